//! How far an output may be from its reference, and why.
//!
//! In f32 the bound is that of the golden itself, from how far its reference moves when computed in f64 (the noise floor)
//! and how far it moves by the smallest mistake tried. TF32, which keeps 10 bits of fraction, is off everywhere: it moves
//! outputs by 3e-4 and more of themselves and misses these bounds.
//!
//! In f16 and bf16 each layer's output is rounded once to the unit roundoff u (2⁻¹¹ and 2⁻⁸), and sums are in f32. Errors of
//! layers one behind the other are independent, so that they add as √n: the bound is 2·u·√n of the output's length, n the
//! roundings on the longest way through the network, weights rounded once counted with them. The 2 covers what a layer
//! adds to its input's error. A path that sums in half precision, a mask that overflows, or a layer that was left out is
//! several times further away.

use candle_core::{DType, Device};
use serde::Serialize;

/// What is compared, as far as its tolerance goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A product of matrices.
    Product,
    /// A 3-D convolution with bias and ReLU.
    Conv3d,
    /// Maxima, which no arithmetic changes.
    MaxPool,
    /// Means of few numbers.
    AvgPool,
    /// S3D of torchvision.
    S3d,
    /// S3D of MIL-NCE, whose features are gated.
    GatedS3d,
    /// The tower of words of MIL-NCE.
    Words,
    /// Class scores of I3D with the published weights.
    I3dLogits,
    /// Features of I3D with the published weights.
    I3dPooled,
    /// I3D beside the CPU.
    I3d,
    /// Unit embeddings of a CLIP of so many layers.
    Clip(u32),
    /// The same before they are normalised, up to twenty times as large.
    ClipFeatures(u32),
    /// Means over tokens of a BERT, MPNet or XLM-RoBERTa of two layers.
    Tokens,
    /// Unit embeddings of MiniLM with the published weights.
    MiniLm,
    /// MiniLM beside the CPU.
    MiniLmMean,
    /// LPIPS and its parts by depth.
    Lpips,
    /// PSNR and SSIM.
    Pixels,
    /// 1 − r̄ of groups.
    Scatter,
    /// Entropies of groups in nats.
    Entropy,
    /// Variances and coordinates of principal components.
    Components,
}

/// What an error is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Measure {
    /// ‖x − r‖/‖r‖ of the worst row.
    Relative,
    /// The largest |x − r|.
    Absolute,
    /// The largest |x/r − 1|.
    Each,
}

/// How far an output may be from its reference.
#[derive(Clone, Copy, Debug)]
pub struct Tolerance {
    /// What is measured.
    pub measure: Measure,
    /// How large it may be.
    pub bound: f64,
    /// Why.
    pub reason: &'static str,
}

/// A row of the table.
struct Bounds {
    measure: Measure,
    /// In f32, on any device.
    single: f64,
    reason: &'static str,
    /// Roundings one behind the other in half precision; 0 where the arithmetic is not that of the network.
    roundings: u32,
}

impl Kind {
    /// The table.
    fn bounds(self) -> Bounds {
        use Measure::{Absolute, Each, Relative};
        let row = |measure, single, roundings, reason| Bounds { measure, single, reason, roundings };
        match self {
            Self::Product => {
                row(Relative, 2e-6, 1, "sums of 768 in another order: √768·2⁻²⁴ = 1.7e-6; one rounding")
            }
            Self::Conv3d => row(
                Relative,
                2e-6,
                1,
                "sums of up to 1029 in another order; in half precision summed in f32 and rounded once",
            ),
            Self::MaxPool => row(Absolute, 0.0, 0, "a maximum is one of its inputs"),
            Self::AvgPool => {
                row(Relative, 1e-5, 1, "sums of up to 100,352 numbers in another order; one rounding")
            }
            Self::S3d => row(
                Relative,
                1e-4,
                26,
                "f64 is 1.2e-6 away, the smallest mistake 2.6e-2; 25 convolutions one behind the other and the head",
            ),
            Self::GatedS3d => {
                row(Relative, 1e-4, 56, "as S3D; besides ten gates, each a mean, a linear map and a product")
            }
            Self::Words => row(Relative, 1e-4, 3, "as S3D; two linear maps and the table"),
            Self::I3dLogits => {
                row(Absolute, 2e-4, 22, "two references differ by 2.5e-5; 21 convolutions and the head")
            }
            Self::I3dPooled => row(Absolute, 5e-5, 21, "two references differ by 6e-6; 21 convolutions"),
            Self::I3d => row(
                Relative,
                2e-5,
                22,
                "two f32 programs, each some 1e-6 from f64; 21 convolutions and the head",
            ),
            Self::Clip(layers) => row(
                Absolute,
                1e-5,
                5 * layers,
                "f64 is 2.2e-7 away, the other GELU 1.6e-3; five roundings in each layer",
            ),
            Self::ClipFeatures(layers) => {
                row(Absolute, 3e-5, 5 * layers, "f64 is 3.0e-6 away; five roundings in each layer")
            }
            Self::Tokens => {
                row(Absolute, 1e-5, 10, "f64 is 1.0e-6 away; five roundings in each of two layers")
            }
            Self::MiniLm => row(
                Absolute,
                1e-5,
                30,
                "two runs of the reference differ by 2.2e-7, the other GELU by 2.7e-4; five roundings in each of six layers",
            ),
            Self::MiniLmMean => row(
                Relative,
                1e-5,
                30,
                "two f32 programs, each 1e-6 from f64; five roundings in each of six layers",
            ),
            Self::Lpips => row(
                Each,
                1e-5,
                5,
                "sums in another order move it by 1e-6; five depths, and errors of thousands of positions that average \
                 out",
            ),
            Self::Pixels => row(Each, 1e-11, 0, "in f64 on the CPU, whatever the device"),
            Self::Scatter => row(Each, 1e-9, 0, "sums in f64 of 10 × 512 numbers, of the same rounded input"),
            Self::Entropy => row(Absolute, 1e-6, 0, "n/2 = 256 times the relative error of 1 − r̄"),
            Self::Components => {
                row(Each, 1e-8, 0, "sums in f64; eigenvalues apart by a twentieth of themselves")
            }
        }
    }

    /// The tolerance on a device in a dtype.
    pub fn tolerance(self, dtype: DType, device: &Device) -> Tolerance {
        let Bounds { measure, single, reason, roundings } = self.bounds();
        let unit = match dtype {
            DType::F16 => 2f64.powi(-11),
            DType::BF16 => 2f64.powi(-8),
            _ => 0.0,
        };
        if unit > 0.0 && roundings > 0 {
            let bound = 2.0 * unit * f64::from(roundings).sqrt();
            return Tolerance { measure: Measure::Relative, bound, reason };
        }
        if device.is_metal() && matches!(self, Self::Scatter | Self::Entropy | Self::Components) {
            let bound = if self == Self::Entropy { 0.3 } else { 1e-3 };
            return Tolerance { measure, bound, reason: "Metal has no f64: sums in f32" };
        }
        Tolerance { measure, bound: single, reason }
    }

    /// Whether its rows are vectors with a direction, and not lists of figures.
    pub fn has_direction(self) -> bool {
        !matches!(
            self,
            Self::Lpips | Self::Pixels | Self::Scatter | Self::Entropy | Self::Components | Self::MaxPool
        )
    }
}

impl Measure {
    /// The error of rows of the same shape; NaN where one of them holds a NaN.
    pub fn of(self, actual: &[Vec<f64>], expected: &[Vec<f64>]) -> f64 {
        let errors = actual.iter().zip(expected).flat_map(|(a, e)| {
            let pairs = || a.iter().zip(e);
            match self {
                Self::Relative => {
                    let apart = pairs().map(|(a, e)| (a - e).powi(2)).sum::<f64>().sqrt();
                    vec![apart / length(e)]
                }
                Self::Absolute => pairs().map(|(a, e)| if a == e { 0.0 } else { (a - e).abs() }).collect(),
                Self::Each => pairs().map(|(a, e)| if a == e { 0.0 } else { (a / e - 1.0).abs() }).collect(),
            }
        });
        // `f64::max` would drop a NaN.
        errors.fold(0.0, |worst, error| if error > worst || error.is_nan() { error } else { worst })
    }

    /// As it is written.
    pub fn word(self) -> &'static str {
        match self {
            Self::Relative => "relative",
            Self::Absolute => "absolute",
            Self::Each => "each",
        }
    }
}

fn length(x: &[f64]) -> f64 {
    x.iter().map(|x| x * x).sum::<f64>().sqrt()
}

/// 1 − cosine of the worst row. A relative error ε keeps it at or below ε² (for ε up to 1), so that it has no bound of its
/// own; beside a large error it tells another length from another direction.
pub fn one_minus_cosine(actual: &[Vec<f64>], expected: &[Vec<f64>]) -> f64 {
    let of = |(a, e): (&Vec<f64>, &Vec<f64>)| {
        let (la, le) = (length(a), length(e));
        // ‖a/‖a‖ − e/‖e‖‖²/2, which keeps the digits that 1 − a·e loses.
        a.iter().zip(e).map(|(a, e)| (a / la - e / le).powi(2)).sum::<f64>() / 2.0
    };
    actual.iter().zip(expected).map(of).fold(0.0, |worst, x| if x > worst || x.is_nan() { x } else { worst })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_the_worst_of_all_rows() {
        let (a, e) = ([vec![3.0, 4.0], vec![0.0, 2.0]], [vec![3.0, 4.0], vec![0.0, 1.0]]);
        assert_eq!(Measure::Relative.of(&a, &e), 1.0);
        assert_eq!((Measure::Absolute.of(&a, &e), Measure::Each.of(&a, &e)), (1.0, 1.0));
        let infinite = [vec![f64::NEG_INFINITY]];
        assert_eq!(Measure::Absolute.of(&infinite, &infinite), 0.0);
        for measure in [Measure::Relative, Measure::Absolute, Measure::Each] {
            assert!(measure.of(&[vec![f64::NAN, 1.0]], &[vec![1.0, 1.0]]).is_nan());
        }
        assert!(
            (one_minus_cosine(&[vec![1.0, 0.0]], &[vec![2.0, 2.0]]) - (1.0 - 0.5f64.sqrt())).abs() < 1e-15
        );
    }

    #[test]
    fn half_precision_is_given_what_its_roundings_make() {
        let cpu = Device::Cpu;
        let bf16 = Kind::S3d.tolerance(DType::BF16, &cpu);
        assert!((bf16.bound - 2.0 / 256.0 * 26f64.sqrt()).abs() < 1e-15 && bf16.measure == Measure::Relative);
        assert!((Kind::S3d.tolerance(DType::F16, &cpu).bound * 8.0 - bf16.bound).abs() < 1e-15);
        assert_eq!(Kind::Scatter.tolerance(DType::F16, &cpu).bound, 1e-9);
        assert_eq!(Kind::MaxPool.tolerance(DType::BF16, &cpu).bound, 0.0);
    }
}
