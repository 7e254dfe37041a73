//! The Inception networks over time: what I3D and the S3D networks share.
//!
//! Inception-v1 (Szegedy et al. 2015, arXiv 1409.4842) in three dimensions: a stem, two convolutions and nine
//! Inception modules with max pools between them (I3D: Carreira and Zisserman 2017, arXiv 1705.07750). S3D
//! parts each 3×3×3 convolution into 1×3×3 and 3×1×1, and S3D-G gates features by their own mean (Xie et al.
//! 2018, arXiv 1712.04851).
//!
//! A `Design` says which of this a network has and what its checkpoint calls the parts; a network's own file
//! adds the stem and the head. Batch normalisation is folded into the convolutions on loading. Maps are
//! channels-last, `[b, t, h, w, c]`.

use candle_core::{D, DType, Device, Tensor};
use squbed_tensor::{Concat, Conv3d, Linear, Padding3d, avg_pool3d, gate, in_pool, max_pool3d};

use crate::{bare::Head, error::Error, weights::Weights};

/// Classes of Kinetics-400.
pub const CLASSES: usize = 400;
/// Channels of the last map, and so the width of the features.
pub const FEATURES: usize = 1024;
/// Channels that every stem gives.
pub(crate) const STEM: usize = 64;

/// Shows a layer's output `[b, t, h, w, c]` by the name that the published network gives it.
pub type See<'s> = dyn FnMut(&'static str, &Tensor) -> Result<(), Error> + 's;

enum Layer {
    MaxPool {
        kernel: [usize; 3],
        stride: [usize; 3],
    },
    Conv {
        kernel: usize,
        channels: usize,
    },
    /// Output channels: 1×1×1; 1×1×1 then 3×3×3, twice; pool then 1×1×1.
    Mixed([usize; 6]),
}

/// The layers behind the stem, in the order in which [`Design::layers`] names them.
const LAYERS: [Layer; 15] = [
    Layer::MaxPool { kernel: [1, 3, 3], stride: [1, 2, 2] },
    Layer::Conv { kernel: 1, channels: 64 },
    Layer::Conv { kernel: 3, channels: 192 },
    Layer::MaxPool { kernel: [1, 3, 3], stride: [1, 2, 2] },
    Layer::Mixed([64, 96, 128, 16, 32, 32]),
    Layer::Mixed([128, 128, 192, 32, 96, 64]),
    Layer::MaxPool { kernel: [3; 3], stride: [2; 3] },
    Layer::Mixed([192, 96, 208, 16, 48, 64]),
    Layer::Mixed([160, 112, 224, 24, 64, 64]),
    Layer::Mixed([128, 128, 256, 24, 64, 64]),
    Layer::Mixed([112, 144, 288, 32, 64, 64]),
    Layer::Mixed([256, 160, 320, 32, 128, 128]),
    Layer::MaxPool { kernel: [2; 3], stride: [2; 3] },
    Layer::Mixed([256, 160, 320, 32, 128, 128]),
    Layer::Mixed([384, 192, 384, 48, 128, 128]),
];

/// What tells one network of the family from another, and what its checkpoint calls the parts.
pub(crate) struct Design {
    /// The name of the architecture, for messages.
    pub(crate) name: &'static str,
    /// The layers behind the stem.
    pub(crate) layers: [&'static str; LAYERS.len()],
    /// The convolutions of an Inception module, in the order of its widths.
    pub(crate) branches: [&'static str; 6],
    /// The parts of a convolution.
    pub(crate) unit: UnitNames,
    /// Those of its 1×3×3 and its 3×1×1 half, where 3×3×3 convolutions are parted.
    pub(crate) halves: Option<[UnitNames; 2]>,
    /// The gates, where features are gated.
    pub(crate) gates: Option<GateNames>,
    /// How the max pools between the modules are padded.
    pub(crate) pools: PoolPadding,
    /// Added to the variances of batch normalisation.
    pub(crate) epsilon: f64,
    /// How a convolution with its normalisation stands in the checkpoint.
    pub(crate) read: ReadUnit,
}

/// What a checkpoint calls a convolution and its batch normalisation, below their common name.
#[derive(Clone, Copy)]
pub(crate) struct UnitNames {
    pub(crate) convolution: &'static str,
    pub(crate) norm: &'static str,
}

/// What a checkpoint calls the gates.
pub(crate) struct GateNames {
    /// The one behind the second convolution.
    pub(crate) layer: &'static str,
    /// Those of an Inception module's branches.
    pub(crate) branches: [&'static str; 4],
}

/// How max pools are padded.
#[derive(Clone, Copy)]
pub(crate) enum PoolPadding {
    /// TensorFlow's SAME.
    Same,
    /// ⌊(kernel − 1)/2⌋ on either side.
    Symmetric,
    /// As many windows as with SAME, but all padding behind.
    Behind,
}

/// A convolution and its batch normalisation, unfolded.
pub(crate) struct Unit {
    /// `[kt, kh, kw, cin, cout]`.
    pub(crate) weight: Vec<f64>,
    /// γ; absent where the network has none.
    pub(crate) scale: Option<Vec<f64>>,
    /// β.
    pub(crate) bias: Vec<f64>,
    pub(crate) mean: Vec<f64>,
    pub(crate) variance: Vec<f64>,
}

/// Reads a convolution and its normalisation by their full names, given kernel, cin and cout.
pub(crate) type ReadUnit =
    fn(&Weights, convolution: &str, norm: &str, [usize; 3], usize, usize) -> Result<Unit, Error>;

/// A [`ReadUnit`] of checkpoints that PyTorch wrote: kernels `[cout, cin, kt, kh, kw]`.
pub(crate) fn read_torch(
    weights: &Weights,
    convolution: &str,
    norm: &str,
    kernel: [usize; 3],
    cin: usize,
    cout: usize,
) -> Result<Unit, Error> {
    let [kt, kh, kw] = kernel;
    let stored = weights.f64(&format!("{convolution}.weight"), &[cout, cin, kt, kh, kw])?;
    let (inputs, taps) = (cin * kt * kh * kw, kt * kh * kw);
    let mut weight = Vec::with_capacity(stored.len());
    for tap in 0..taps {
        for c in 0..cin {
            weight.extend((0..cout).map(|o| stored[o * inputs + c * taps + tap]));
        }
    }
    let channels = |leaf: &str| weights.f64(&format!("{norm}.{leaf}"), &[cout]);
    Ok(Unit {
        weight,
        scale: Some(channels("weight")?),
        bias: channels("bias")?,
        mean: channels("running_mean")?,
        variance: channels("running_var")?,
    })
}

/// A convolution's weights `[kt, kh, kw, cin, cout]` and bias `[cout]` with its normalisation folded in.
pub(crate) struct Folded {
    pub(crate) weight: Vec<f64>,
    pub(crate) bias: Vec<f64>,
}

impl Unit {
    /// γ·(w·x − mean)/√(var + ε) + β = s·w·x + (β − mean·s) with s = γ/√(var + ε).
    fn fold(mut self, epsilon: f64) -> Folded {
        let cout = self.bias.len();
        let mut scale: Vec<f64> = self.variance.iter().map(|var| (var + epsilon).sqrt().recip()).collect();
        if let Some(gamma) = &self.scale {
            scale.iter_mut().zip(gamma).for_each(|(s, gamma)| *s *= gamma);
        }
        for row in self.weight.chunks_exact_mut(cout) {
            row.iter_mut().zip(&scale).for_each(|(w, s)| *w *= s);
        }
        for ((b, mean), s) in self.bias.iter_mut().zip(&self.mean).zip(&scale) {
            *b -= mean * s;
        }
        Folded { weight: self.weight, bias: self.bias }
    }
}

impl PoolPadding {
    fn of(self, size: [usize; 3], kernel: [usize; 3], stride: [usize; 3]) -> Padding3d {
        match self {
            Self::Same => Padding3d::Same,
            Self::Symmetric => Padding3d::Explicit(kernel.map(|k| ((k - 1) / 2, (k - 1) / 2))),
            Self::Behind => Padding3d::Explicit([0, 1, 2].map(|i| {
                let end = (size[i].div_ceil(stride[i]).saturating_sub(1)) * stride[i] + kernel[i];
                (0, end.saturating_sub(size[i]))
            })),
        }
    }
}

/// Builds parts of a network from its checkpoint.
pub(crate) struct Loader<'w> {
    pub(crate) weights: &'w Weights,
    pub(crate) device: &'w Device,
    pub(crate) dtype: DType,
    pub(crate) design: &'w Design,
}

impl Loader<'_> {
    /// A convolution with its normalisation folded in.
    pub(crate) fn folded(
        &self,
        name: &str,
        unit: UnitNames,
        kernel: [usize; 3],
        cin: usize,
        cout: usize,
    ) -> Result<Folded, Error> {
        let full = |part: &str| format!("{name}.{part}");
        let unit =
            (self.design.read)(self.weights, &full(unit.convolution), &full(unit.norm), kernel, cin, cout)?;
        Ok(unit.fold(self.design.epsilon))
    }

    /// The convolution, then ReLU. `shape` is `[kt, kh, kw, cin, cout]`.
    pub(crate) fn conv(
        &self,
        folded: Folded,
        shape: [usize; 5],
        stride: [usize; 3],
        padding: Padding3d,
    ) -> Result<Conv3d, Error> {
        let place = |values: Vec<f64>, shape: &[usize]| {
            Tensor::from_vec(values, shape, &Device::Cpu)?.to_dtype(self.dtype)?.to_device(self.device)
        };
        let weight = place(folded.weight, &shape)?;
        let bias = place(folded.bias, &shape[4..])?;
        Ok(Conv3d::new(&weight, Some(&bias), stride, &padding, true)?)
    }

    /// A linear map as PyTorch writes it, `[cout, cin]` and `[cout]`.
    pub(crate) fn linear(&self, name: &str, cin: usize, cout: usize) -> Result<Linear, Error> {
        let tensor = |leaf, shape: &[usize]| {
            self.weights.tensor(&format!("{name}.{leaf}"), shape, self.device, self.dtype)
        };
        Ok(Linear::new(&tensor("weight", &[cout, cin])?, Some(&tensor("bias", &[cout])?))?)
    }

    /// A cubic convolution of stride 1, in halves where the design parts it.
    fn cube(&self, name: &str, kernel: usize, cin: usize, cout: usize) -> Result<Vec<Conv3d>, Error> {
        let conv = |unit, [kt, kh, kw]: [usize; 3], cin| {
            let folded = self.folded(name, unit, [kt, kh, kw], cin, cout)?;
            self.conv(folded, [kt, kh, kw, cin, cout], [1; 3], Padding3d::Same)
        };
        match self.design.halves {
            Some([spatial, temporal]) if kernel > 1 => {
                Ok(vec![conv(spatial, [1, kernel, kernel], cin)?, conv(temporal, [kernel, 1, 1], cout)?])
            }
            _ => Ok(vec![conv(self.design.unit, [kernel; 3], cin)?]),
        }
    }

    fn mixed(&self, name: &str, cin: usize, out: [usize; 6]) -> Result<Mixed, Error> {
        let branch = |i: usize| format!("{name}.{}", self.design.branches[i]);
        let shared = [(0, out[0]), (1, out[1]), (3, out[3])];
        let [a, b, c] =
            shared.map(|(i, width)| self.folded(&branch(i), self.design.unit, [1; 3], cin, width));
        let (a, b, c) = (a?, b?, c?);
        let widths = shared.map(|(_, width)| width);
        // Rows are input channels; each row's outputs stand side by side.
        let row = |i: usize| {
            let part = |f: &Folded, width: usize| f.weight[i * width..(i + 1) * width].to_vec();
            [part(&a, widths[0]), part(&b, widths[1]), part(&c, widths[2])].concat()
        };
        let reduce = Folded {
            weight: (0..cin).flat_map(row).collect(),
            bias: [&a, &b, &c].iter().flat_map(|f| f.bias.iter().copied()).collect(),
        };
        let gate = |gates: &GateNames| {
            let part = |i: usize, width| {
                let linear = self.linear(&format!("{name}.{}.fc", gates.branches[i]), width, width)?;
                Ok::<_, Error>((width, linear))
            };
            Ok::<_, Error>(Gate(vec![part(0, out[0])?, part(1, out[2])?, part(2, out[4])?, part(3, out[5])?]))
        };
        Ok(Mixed {
            reduce: self.conv(reduce, [1, 1, 1, cin, widths.iter().sum()], [1; 3], Padding3d::Valid)?,
            widths,
            branch_1: self.cube(&branch(2), 3, out[1], out[2])?,
            branch_2: self.cube(&branch(4), 3, out[3], out[4])?,
            branch_3: self.cube(&branch(5), 1, cin, out[5])?,
            gate: self.design.gates.as_ref().map(gate).transpose()?,
        })
    }
}

/// A network up to its last map.
pub(crate) struct Trunk {
    name: &'static str,
    pools: PoolPadding,
    steps: Vec<(&'static str, Step)>,
    pub(crate) device: Device,
    dtype: DType,
}

enum Step {
    Convs(Vec<Conv3d>),
    MaxPool { kernel: [usize; 3], stride: [usize; 3] },
    Gate(Gate),
    Mixed(Box<Mixed>),
}

impl Trunk {
    /// The stem and what follows it.
    pub(crate) fn load(loader: &Loader<'_>, stem: (&'static str, Vec<Conv3d>)) -> Result<Self, Error> {
        let design = loader.design;
        let mut steps = vec![(stem.0, Step::Convs(stem.1))];
        let mut width = STEM;
        for (name, layer) in design.layers.into_iter().zip(LAYERS) {
            let step = match layer {
                Layer::MaxPool { kernel, stride } => Step::MaxPool { kernel, stride },
                Layer::Conv { kernel, channels } => {
                    let convs = loader.cube(name, kernel, width, channels)?;
                    width = channels;
                    Step::Convs(convs)
                }
                Layer::Mixed(out) => {
                    let mixed = loader.mixed(name, width, out)?;
                    width = out[0] + out[2] + out[4] + out[5];
                    Step::Mixed(Box::new(mixed))
                }
            };
            steps.push((name, step));
            if let (Layer::Conv { kernel: 3, .. }, Some(gates)) = (layer, &design.gates) {
                let gate = loader.linear(&format!("{}.fc", gates.layer), width, width)?;
                steps.push((gates.layer, Step::Gate(Gate(vec![(width, gate)]))));
            }
        }
        Ok(Self {
            name: design.name,
            pools: design.pools,
            steps,
            device: loader.device.clone(),
            dtype: loader.dtype,
        })
    }

    /// The last map `[b, t′, h′, w′, 1024]` of clips `[b, t, h, w, 3]`.
    pub(crate) fn forward(&self, x: &Tensor, see: &mut See<'_>) -> Result<Tensor, Error> {
        match x.dims() {
            &[_, _, _, _, 3] if x.elem_count() > 0 => {}
            dims => {
                let expected = "clips [b, t, h, w, 3]";
                return Err(Error::Input { architecture: self.name, expected, actual: dims.to_vec() });
            }
        }
        let mut x = x.to_device(&self.device)?.to_dtype(self.dtype)?;
        for (name, step) in &self.steps {
            x = in_pool(&self.device, || match step {
                Step::Convs(convs) => chain(convs, x),
                Step::MaxPool { kernel, stride } => {
                    let (_, t, h, w, _) = x.dims5()?;
                    Ok(max_pool3d(&x, *kernel, *stride, &self.pools.of([t, h, w], *kernel, *stride))?)
                }
                Step::Gate(gate) => gate.forward(&x),
                Step::Mixed(mixed) => mixed.forward(&x),
            })?;
            see(name, &x)?;
        }
        Ok(x)
    }
}

/// An Inception module.
struct Mixed {
    /// The 1×1×1 convolutions of branches 0, 1 and 2, which share their input, in one product.
    reduce: Conv3d,
    widths: [usize; 3],
    branch_1: Vec<Conv3d>,
    branch_2: Vec<Conv3d>,
    branch_3: Vec<Conv3d>,
    gate: Option<Gate>,
}

impl Mixed {
    fn forward(&self, x: &Tensor) -> Result<Tensor, Error> {
        let [first, w1, w2] = self.widths;
        let branches = [&self.branch_1, &self.branch_2, &self.branch_3];
        let others = branches.iter().filter_map(|convs| convs.last()).map(Conv3d::channels);
        let mut volume = Concat::new(first + others.sum::<usize>());
        let reduced = volume.put_first(&self.reduce, x, first)?;
        let mut branch = |convs: &[Conv3d], x: Tensor| {
            let Some((last, before)) = convs.split_last() else { return Ok::<_, Error>(()) };
            Ok(volume.put(last, &chain(before, x)?)?)
        };
        branch(&self.branch_1, reduced.narrow(D::Minus1, 0, w1)?)?;
        branch(&self.branch_2, reduced.narrow(D::Minus1, w1, w2)?)?;
        branch(&self.branch_3, max_pool3d(x, [3; 3], [1; 3], &Padding3d::Same)?)?;
        let y = volume.finish()?;
        match &self.gate {
            Some(gate) => gate.forward(&y),
            None => Ok(y),
        }
    }
}

fn chain(convs: &[Conv3d], x: Tensor) -> Result<Tensor, Error> {
    convs.iter().try_fold(x, |x, conv| Ok(conv.forward(&x)?))
}

/// Self-gating: channels times the sigmoid of a linear map of their means. Parts that are gated apart stand
/// side by side, each with its channels.
struct Gate(Vec<(usize, Linear)>);

impl Gate {
    fn forward(&self, x: &Tensor) -> Result<Tensor, Error> {
        let mean = global_mean(x)?;
        let mut start = 0;
        let mut gates = Vec::with_capacity(self.0.len());
        for (channels, part) in &self.0 {
            gates.push(part.forward(&mean.narrow(1, start, *channels)?.contiguous()?)?);
            start += channels;
        }
        Ok(gate(x, &Tensor::cat(&gates, 1)?)?)
    }
}

/// `[b, t, h, w, c]` to its mean over all positions, `[b, c]`.
pub(crate) fn global_mean(x: &Tensor) -> Result<Tensor, Error> {
    let (b, t, h, w, c) = x.dims5()?;
    Ok(avg_pool3d(x, [t, h, w], [1; 3], &Padding3d::Valid)?.reshape((b, c))?)
}

/// The head of the networks trained on Kinetics-400: means over windows, then classes.
pub(crate) struct ClassHead(pub(crate) Linear);

/// What a network trained on Kinetics-400 gives for clips.
pub struct KineticsOutput {
    /// Class scores `[b, 400]`, averaged over time.
    pub logits: Tensor,
    /// Features `[b, 1024]`: the last map averaged over 2×7×7 windows, then over their positions.
    pub pooled: Tensor,
    /// `[b, 1024]`: the last map averaged over all positions.
    pub mixed_5c: Tensor,
}

impl KineticsOutput {
    /// One of them; the embedding is `pooled`.
    pub(crate) fn head(self, head: Head) -> Tensor {
        match head {
            Head::Embedding | Head::Features | Head::Pooled => self.pooled,
            Head::Logits => self.logits,
            Head::Mixed5c => self.mixed_5c,
        }
    }
}

impl ClassHead {
    /// The averaging window, over time, height and width.
    const WINDOW: [usize; 3] = [2, 7, 7];

    /// Along an axis of the map that is shorter than the window, the window is as long as the map.
    pub(crate) fn forward(&self, map: &Tensor) -> Result<KineticsOutput, Error> {
        let (_, t, h, w, _) = map.dims5()?;
        let [wt, wh, ww] = Self::WINDOW;
        let pooled =
            global_mean(&avg_pool3d(map, [wt.min(t), wh.min(h), ww.min(w)], [1; 3], &Padding3d::Valid)?)?;
        // The mean over positions of a linear map is the map of the mean.
        let logits = self.0.forward(&pooled)?;
        Ok(KineticsOutput {
            logits: logits.to_dtype(DType::F32)?,
            pooled: pooled.to_dtype(DType::F32)?,
            mixed_5c: global_mean(map)?.to_dtype(DType::F32)?,
        })
    }
}
