//! The Fréchet video distance.
//!
//! Unterthiner et al., *Towards Accurate Generative Models of Video: A New Metric & Challenges* (arXiv
//! 1812.01717): the Fréchet distance (Dowson and Landau 1982, doi:10.1016/0047-259X(82)90077-X) of two normal
//! distributions, fitted to the class scores of I3D for two sets of videos.

use candle_core::{DType, Device, Tensor};
use faer::{Mat, Side};
use squbed_models::arch::inception::CLASSES;

use crate::error::{Error, Result};

/// What [`frechet_video_distance`] is computed from. Distances of different variants do not compare: the
/// original resizes frames to 224×224, the preprocessing here (`i3d/1`) resizes the shorter side to 256 and cuts
/// the middle.
pub const FVD_VARIANT: &str = "I3D Kinetics-400 logits, preprocessing i3d/1";

/// A Fréchet video distance and what it is made of.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FrechetVideoDistance {
    /// Squared distance, as is usual; 0 for two equal fits.
    pub value: f64,
    /// [`FVD_VARIANT`].
    pub variant: &'static str,
    /// Clips of the two sets.
    pub clips: [usize; 2],
}

/// The Fréchet video distance of two sets of clips from their I3D logits, `[n, 400]` each.
///
/// # Errors
///
/// As [`frechet_distance`], which refuses fewer than 401 clips; rows of other than 400 numbers.
pub fn frechet_video_distance(a: &Tensor, b: &Tensor) -> Result<FrechetVideoDistance> {
    for set in [a, b] {
        if !matches!(set.dims(), [_, CLASSES]) {
            return Err(Error::Features {
                what: "I3D's logits",
                expected: CLASSES.to_string(),
                got: format!("a tensor {:?}", set.dims()),
            });
        }
    }
    let value = frechet_distance(a, b)?;
    Ok(FrechetVideoDistance { value, variant: FVD_VARIANT, clips: [a.dim(0)?, b.dim(0)?] })
}

/// ‖μ₁ − μ₂‖² + tr(Σ₁ + Σ₂ − 2(Σ₁Σ₂)^½) of normal distributions fitted to rows `[n, d]`, covariances with
/// divisor n − 1, in f64 on the CPU.
///
/// tr (Σ₁Σ₂)^½ is the sum of the singular values of Σ₁^½ Σ₂^½, whose factors are symmetric square roots: no
/// root of a matrix that is not symmetric is taken, and nothing turns complex.
///
/// # Errors
///
/// Sets of no more than d rows: their covariance has no full rank, and the distance depends on the number of
/// rows more than on what they are. Rows of different width, numbers that are not finite.
pub fn frechet_distance(a: &Tensor, b: &Tensor) -> Result<f64> {
    let (a, b) = (rows(a)?, rows(b)?);
    let dim = a.ncols();
    if dim != b.ncols() {
        return Err(Error::Features {
            what: "the second set's features",
            expected: dim.to_string(),
            got: format!("rows of {}", b.ncols()),
        });
    }
    if a.nrows() <= dim || b.nrows() <= dim {
        return Err(Error::TooFew { dim, least: dim + 1, a: a.nrows(), b: b.nrows() });
    }
    let (a, b) = (Normal::fit(&a), Normal::fit(&b));
    let apart: f64 = a.mean.iter().zip(&b.mean).map(|(a, b)| (a - b) * (a - b)).sum();
    let product = square_root(&a.covariance)? * square_root(&b.covariance)?;
    let singular = product.singular_values().map_err(|_| Error::Decomposition)?;
    let traces = trace(&a.covariance) + trace(&b.covariance);
    // Rounding must not make a distance negative.
    Ok((apart + traces - 2.0 * singular.iter().sum::<f64>()).max(0.0))
}

struct Normal {
    mean: Vec<f64>,
    covariance: Mat<f64>,
}

impl Normal {
    fn fit(rows: &Mat<f64>) -> Self {
        let n = rows.nrows() as f64;
        let mean: Vec<f64> = rows.col_iter().map(|c| c.iter().sum::<f64>() / n).collect();
        let centred = Mat::from_fn(rows.nrows(), rows.ncols(), |i, j| rows[(i, j)] - mean[j]);
        let covariance = centred.transpose() * &centred * faer::Scale(1.0 / (n - 1.0));
        Self { mean, covariance }
    }
}

/// V √λ Vᵀ of a symmetric matrix V λ Vᵀ without negative eigenvalues but those of rounding.
fn square_root(x: &Mat<f64>) -> Result<Mat<f64>> {
    let eigen = x.self_adjoint_eigen(Side::Lower).map_err(|_| Error::Decomposition)?;
    let (vectors, values) = (eigen.U(), eigen.S());
    let scaled = Mat::from_fn(x.nrows(), x.ncols(), |i, j| vectors[(i, j)] * values[j].max(0.0).sqrt());
    Ok(scaled * vectors.transpose())
}

fn trace(x: &Mat<f64>) -> f64 {
    (0..x.nrows()).map(|i| x[(i, i)]).sum()
}

fn rows(x: &Tensor) -> Result<Mat<f64>> {
    let not_rows = |got: String| Error::Features { what: "features", expected: "d".to_owned(), got };
    let &[n, d] = x.dims() else { return Err(not_rows(format!("a tensor {:?}", x.dims()))) };
    let values = x.to_device(&Device::Cpu)?.to_dtype(DType::F64)?.flatten_all()?.to_vec1::<f64>()?;
    if let Some(at) = values.iter().position(|v| !v.is_finite()) {
        return Err(not_rows(format!("{} in row {}", values[at], at / d)));
    }
    Ok(Mat::from_fn(n, d, |i, j| values[i * d + j]))
}
