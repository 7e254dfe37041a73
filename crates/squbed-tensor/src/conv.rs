//! 3-D convolution of channels-last volumes.

use std::sync::Arc;

use candle_core::{CpuStorage, CustomOp1, CustomOp2, DType, Layout, Shape, Tensor};

use crate::{
    Activation, Padding3d, cpu,
    error::{Error, Result},
    flop,
    padding::Axis,
};

/// A convolution with its weights laid out for the device, an optional bias and an optional ReLU.
///
/// On the CPU in f32 and on CUDA a kernel of ours runs; elsewhere sums of Candle's products do.
#[derive(Clone, Debug)]
pub struct Conv3d {
    weights: Weights,
    /// kt, kh, kw, cin, cout.
    dims: [usize; 5],
    stride: [usize; 3],
    padding: Padding3d,
    relu: bool,
}

/// In one form alone: those of a large model take gigabytes.
#[derive(Clone, Debug)]
enum Weights {
    /// For the kernel of the CPU, the bias with them.
    Packed(Arc<cpu::Packed>),
    /// For the kernel of CUDA.
    #[cfg(feature = "cuda")]
    Cuda(Arc<crate::cuda::Packed>),
    /// For Candle's products.
    Plain { weight: Tensor, bias: Option<Tensor> },
}

impl Conv3d {
    /// `weight` is `[kt, kh, kw, cin, cout]`, `bias` `[cout]`.
    ///
    /// # Errors
    ///
    /// Shapes that do not fit.
    pub fn new(
        weight: &Tensor,
        bias: Option<&Tensor>,
        stride: [usize; 3],
        padding: &Padding3d,
        relu: bool,
    ) -> Result<Self> {
        let &[kt, kh, kw, cin, cout] = weight.dims() else {
            return Err(Error::Shape {
                operation: "conv3d",
                expected: "a kernel [kt, kh, kw, cin, cout]",
                actual: weight.dims().to_vec(),
            });
        };
        if let Some(bias) = bias.filter(|b| b.dims() != [cout]) {
            return Err(Error::Shape {
                operation: "conv3d",
                expected: "a bias [cout]",
                actual: bias.dims().to_vec(),
            });
        }
        let dims = [kt, kh, kw, cin, cout];
        let weights = if weight.device().is_cpu() && weight.dtype() == DType::F32 {
            let numbers = weight.flatten_all()?.to_vec1::<f32>()?;
            let bias = bias.map(|b| b.to_vec1::<f32>()).transpose()?.unwrap_or_else(|| vec![0.0; cout]);
            Weights::Packed(Arc::new(cpu::Packed::new(&numbers, bias, dims)))
        } else {
            Weights::elsewhere(weight, bias, stride)?
        };
        Ok(Self { weights, dims, stride, padding: *padding, relu })
    }

    /// Channels that it makes.
    pub fn channels(&self) -> usize {
        self.dims[4]
    }

    /// `[b, t, h, w, cin]` to `[b, t′, h′, w′, cout]`.
    ///
    /// # Errors
    ///
    /// Another number of axes or channels, a padded volume smaller than the kernel, or another device or dtype than
    /// that of the weights.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let axes = self.axes(x)?;
        match &self.weights {
            Weights::Packed(packed) => self.packed(packed, x, axes, Then::Nothing),
            #[cfg(feature = "cuda")]
            Weights::Cuda(packed) => {
                let [t, h, w] = axes.map(|a| a.out);
                // SAFETY: the kernel writes all of it.
                let y =
                    unsafe { Tensor::empty((x.dims()[0], t, h, w, self.dims[4]), x.dtype(), x.device()) }?;
                let target = crate::cuda::Target { volume: &y, channel: 0 };
                packed.run(x, &axes, self.relu, self.dims[4], [&target; 2])?;
                Ok(y)
            }
            Weights::Plain { weight, bias } => self.plain(x, &axes, weight, bias.as_ref()),
        }
    }

    /// [`forward`](Self::forward) in the kernel of the CPU, and what follows it, in place of a ReLU; none where other kernels
    /// do it.
    pub(crate) fn forward_then(&self, x: &Tensor, then: Then<'_>) -> Result<Option<Tensor>> {
        match &self.weights {
            Weights::Packed(packed) => Ok(Some(self.packed(packed, x, self.axes(x)?, then)?)),
            _ => Ok(None),
        }
    }

    fn packed(&self, packed: &cpu::Packed, x: &Tensor, axes: [Axis; 3], then: Then<'_>) -> Result<Tensor> {
        let finish = match then {
            Then::Activation(activation) => cpu::Finish::Activation(activation),
            _ if self.relu => cpu::Finish::Relu,
            _ => cpu::Finish::Plain,
        };
        let op = CpuConv { packed, batch: x.dims()[0], axes, finish };
        let x = x.contiguous()?;
        Ok(match then {
            Then::Add(added) => x.apply_op2_no_bwd(&added.contiguous()?, &op)?,
            _ => x.apply_op1_no_bwd(&op)?,
        })
    }

    /// The axes of its windows on a volume, whose operations are counted here.
    pub(crate) fn axes(&self, x: &Tensor) -> Result<[Axis; 3]> {
        let [kt, kh, kw, cin, _] = self.dims;
        let &[b, t, h, w, c] = x.dims() else { return Err(not_a_video("conv3d", x)) };
        if c != cin || b == 0 {
            return Err(Error::Shape {
                operation: "conv3d",
                expected: "as many channels as its kernel has, and a batch",
                actual: x.dims().to_vec(),
            });
        }
        let axes = self.padding.axes("conv3d", [t, h, w], [kt, kh, kw], self.stride)?;
        flop::add(b * axes.iter().map(|a| a.out).product::<usize>() * self.dims.iter().product::<usize>());
        Ok(axes)
    }

    #[cfg(feature = "cuda")]
    pub(crate) fn packed_for_cuda(&self) -> Option<&crate::cuda::Packed> {
        match &self.weights {
            Weights::Cuda(packed) => Some(packed),
            _ => None,
        }
    }

    #[cfg(feature = "cuda")]
    pub(crate) fn relu(&self) -> bool {
        self.relu
    }

    /// Plain Candle: one product for each tap of the kernel.
    fn plain(&self, x: &Tensor, axes: &[Axis; 3], weight: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
        let [kt, kh, kw, cin, cout] = self.dims;
        let mut padded = x.clone();
        for (i, axis) in axes.iter().enumerate() {
            padded = padded.pad_with_zeros(i + 1, axis.before, axis.behind)?;
        }
        let b = x.dims()[0];
        let positions = b * axes.iter().map(|a| a.out).product::<usize>();
        let mut sum: Option<Tensor> = None;
        for tap in 0..kt * kh * kw {
            let at = [tap / (kh * kw), tap / kw % kh, tap % kw];
            let mut taken = padded.clone();
            for (i, axis) in axes.iter().enumerate() {
                taken = every(&taken, i + 1, at[i], axis)?;
            }
            let tap = weight.narrow(0, at[0], 1)?.narrow(1, at[1], 1)?.narrow(2, at[2], 1)?;
            let product = taken.reshape((positions, cin))?.matmul(&tap.reshape((cin, cout))?)?;
            sum = Some(match sum {
                Some(sum) => (sum + product)?,
                None => product,
            });
        }
        // A kernel has at least one tap: the axes were checked.
        let mut y = sum.ok_or_else(|| not_a_video("conv3d", x))?;
        if let Some(bias) = bias {
            y = y.broadcast_add(bias)?;
        }
        if self.relu {
            // Not Candle's relu, which turns NaN into 0.
            y = y.lt(0.0)?.where_cond(&y.zeros_like()?, &y)?;
        }
        Ok(y.reshape((b, axes[0].out, axes[1].out, axes[2].out, cout))?)
    }
}

impl Weights {
    /// Not on the CPU in f32.
    #[cfg_attr(not(feature = "cuda"), expect(unused_variables, reason = "what CUDA's kernel packs for"))]
    fn elsewhere(weight: &Tensor, bias: Option<&Tensor>, stride: [usize; 3]) -> Result<Self> {
        #[cfg(feature = "cuda")]
        if weight.device().is_cuda()
            && let Some(packed) = crate::cuda::Packed::new(weight, bias, stride)?
        {
            return Ok(Self::Cuda(Arc::new(packed)));
        }
        Ok(Self::Plain { weight: weight.clone(), bias: bias.cloned() })
    }
}

/// [`Conv3d`] for one use: its weights are laid out anew each time.
///
/// # Errors
///
/// As [`Conv3d::new`] and [`Conv3d::forward`].
pub fn conv3d(
    x: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    stride: [usize; 3],
    padding: &Padding3d,
    relu: bool,
) -> Result<Tensor> {
    Conv3d::new(weight, bias, stride, padding, relu)?.forward(x)
}

/// Along one axis, the elements `start`, `start + stride`, … that the windows have at one tap.
pub(crate) fn every(x: &Tensor, dim: usize, start: usize, axis: &Axis) -> Result<Tensor> {
    if axis.stride == 1 {
        return Ok(x.narrow(dim, start, axis.out)?);
    }
    let indices: Vec<u32> = (0..axis.out).map(|i| (start + i * axis.stride) as u32).collect();
    Ok(x.contiguous()?.index_select(&Tensor::new(indices, x.device())?, dim)?)
}

pub(crate) fn not_a_video(operation: &'static str, x: &Tensor) -> Error {
    Error::Shape { operation, expected: "[b, t, h, w, c]", actual: x.dims().to_vec() }
}

/// What follows a linear map, in the pass that writes its output.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Then<'a> {
    Nothing,
    Activation(Activation),
    /// A tensor of as many elements is added.
    Add(&'a Tensor),
}

struct CpuConv<'a> {
    packed: &'a cpu::Packed,
    batch: usize,
    axes: [Axis; 3],
    finish: cpu::Finish<'a>,
}

impl CpuConv<'_> {
    fn run(
        &self,
        x: &CpuStorage,
        layout: &Layout,
        finish: cpu::Finish<'_>,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        let y = self.packed.run(numbers(x, layout)?, self.batch, &self.axes, finish);
        let out = self.axes.map(|a| a.out);
        Ok((CpuStorage::F32(y), Shape::from((self.batch, out[0], out[1], out[2], self.packed.cout()))))
    }
}

fn numbers<'a>(storage: &'a CpuStorage, layout: &Layout) -> candle_core::Result<&'a [f32]> {
    match (storage, layout.contiguous_offsets()) {
        (CpuStorage::F32(x), Some((start, end))) => Ok(&x[start..end]),
        _ => candle_core::bail!("conv3d on the CPU takes contiguous f32"),
    }
}

impl CustomOp1 for CpuConv<'_> {
    fn name(&self) -> &'static str {
        "conv3d"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> candle_core::Result<(CpuStorage, Shape)> {
        self.run(storage, layout, self.finish)
    }
}

impl CustomOp2 for CpuConv<'_> {
    fn name(&self) -> &'static str {
        "conv3d"
    }

    fn cpu_fwd(
        &self,
        storage: &CpuStorage,
        layout: &Layout,
        added: &CpuStorage,
        of_added: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        self.run(storage, layout, cpu::Finish::Add(numbers(added, of_added)?))
    }
}
