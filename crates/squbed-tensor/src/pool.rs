//! 3-D pooling of channels-last volumes.

use candle_core::{CpuStorage, CustomOp1, DType, Layout, Shape, Tensor};
use rayon::prelude::*;

use crate::{
    Padding3d,
    conv::{every, not_a_video},
    cpu::{self, PoolKind as Kind},
    error::{Error, Result},
    padding::Axis,
};

/// Largest element of each window, `[b, t, h, w, c]` to `[b, t′, h′, w′, c]`; padding counts as −∞, and a window with
/// a NaN gives NaN.
///
/// # Errors
///
/// Another number of axes; a padded volume smaller than the kernel.
pub fn max_pool3d(x: &Tensor, kernel: [usize; 3], stride: [usize; 3], padding: &Padding3d) -> Result<Tensor> {
    let axes = windows("max_pool3d", x, kernel, stride, padding)?;
    // A window that lies in padding alone would be −∞.
    if axes.iter().any(|a| a.before >= a.kernel || a.behind >= a.kernel) {
        return Err(Error::Shape {
            operation: "max_pool3d",
            expected: "less padding than kernel",
            actual: axes.iter().map(|a| a.before.max(a.behind)).collect(),
        });
    }
    #[cfg(feature = "cuda")]
    if x.device().is_cuda()
        && let Some(largest) = crate::cuda::max_pool(x, &axes)?
    {
        return Ok(largest);
    }
    passes(x, axes, Kind::Max)
}

/// Mean of each window, `[b, t, h, w, c]` to `[b, t′, h′, w′, c]`; padding counts as 0 and is counted.
///
/// # Errors
///
/// As [`max_pool3d`].
pub fn avg_pool3d(x: &Tensor, kernel: [usize; 3], stride: [usize; 3], padding: &Padding3d) -> Result<Tensor> {
    let axes = windows("avg_pool3d", x, kernel, stride, padding)?;
    #[cfg(feature = "cuda")]
    if x.device().is_cuda() {
        let all = axes.iter().all(|a| a.kernel == a.size && a.out == 1 && a.before + a.behind == 0);
        let mean = if all { crate::cuda::mean_of_all(x)? } else { crate::cuda::mean_pool(x, &axes)? };
        if let Some(mean) = mean {
            return Ok(mean);
        }
    }
    Ok((passes(x, axes, Kind::Sum)? / kernel.iter().product::<usize>() as f64)?)
}

/// The axes of the windows on a volume with elements.
fn windows(
    operation: &'static str,
    x: &Tensor,
    kernel: [usize; 3],
    stride: [usize; 3],
    padding: &Padding3d,
) -> Result<[Axis; 3]> {
    let &[b, t, h, w, c] = x.dims() else { return Err(not_a_video(operation, x)) };
    let axes = padding.axes(operation, [t, h, w], kernel, stride)?;
    if b * c == 0 {
        return Err(Error::Shape {
            operation,
            expected: "a volume with elements",
            actual: x.dims().to_vec(),
        });
    }
    Ok(axes)
}

/// Windows are boxes, so a pass along each axis in turn does.
fn passes(x: &Tensor, axes: [Axis; 3], kind: Kind) -> Result<Tensor> {
    let mut y = x.clone();
    // Width first: it has the shortest strides while the volume is still large.
    for (dim, axis) in [(3, axes[2]), (2, axes[1]), (1, axes[0])] {
        if axis.kernel == 1 && axis.stride == 1 && axis.before + axis.behind == 0 {
            continue;
        }
        y = if y.device().is_cpu() && y.dtype() == DType::F32 {
            y.contiguous()?.apply_op1_no_bwd(&CpuPass { dim, axis, kind })?
        } else {
            plain_pass(&y, dim, &axis, kind)?
        };
    }
    Ok(y)
}

/// Plain Candle: the taps of one axis one after the other.
fn plain_pass(x: &Tensor, dim: usize, axis: &Axis, kind: Kind) -> Result<Tensor> {
    if kind == Kind::Sum && axis.kernel == axis.size && axis.before + axis.behind == 0 {
        return Ok(x.sum_keepdim(dim)?);
    }
    let edge = |size: usize| {
        let mut shape = x.dims().to_vec();
        shape[dim] = size;
        let value = if kind == Kind::Max { f64::NEG_INFINITY } else { 0.0 };
        Tensor::full(value as f32, shape, x.device())?.to_dtype(x.dtype())
    };
    let padded = Tensor::cat(&[edge(axis.before)?, x.clone(), edge(axis.behind)?], dim)?;
    let mut y = every(&padded, dim, 0, axis)?;
    for tap in 1..axis.kernel {
        let next = every(&padded, dim, tap, axis)?;
        y = match kind {
            Kind::Max => larger(&y, &next)?,
            Kind::Sum => (y + next)?,
        };
    }
    Ok(y)
}

/// The larger of two, NaN where either is.
///
/// Not Candle's `maximum`: on the CPU it passes over a NaN on its right (`if a < b { b } else { a }`), on CUDA in f32
/// and f64 over one on either side (`fmaxf`). A comparison with NaN is false, so the first choice below takes a NaN
/// of `b`, the second keeps one of `a`. Metal's kernels are compiled with fast arithmetic, which leaves comparisons
/// with NaN undefined; there a NaN shows in the sums of the convolutions alone.
fn larger(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    let larger = a.ge(b)?.where_cond(a, b)?;
    Ok(a.eq(a)?.where_cond(&larger, a)?)
}

struct CpuPass {
    dim: usize,
    axis: Axis,
    kind: Kind,
}

impl CustomOp1 for CpuPass {
    fn name(&self) -> &'static str {
        "pool3d"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> candle_core::Result<(CpuStorage, Shape)> {
        let x = match (storage, layout.contiguous_offsets()) {
            (CpuStorage::F32(x), Some((start, end))) => &x[start..end],
            _ => candle_core::bail!("pool3d on the CPU takes contiguous f32"),
        };
        let mut dims = layout.dims().to_vec();
        let inner: usize = dims[self.dim + 1..].iter().product();
        let outer: usize = dims[..self.dim].iter().product();
        dims[self.dim] = self.axis.out;
        let mut y = vec![0.0; outer * self.axis.out * inner];
        // Windows in a task: some ten thousand numbers, and no more than leaves every thread some.
        let windows = outer * self.axis.out;
        let task = (16_384 / inner).clamp(1, windows.div_ceil(4 * rayon::current_num_threads()).max(1));
        y.par_chunks_mut(task * inner).enumerate().for_each(|(i, y)| {
            cpu::pool(x, &self.axis, inner, self.kind, i * task, y);
        });
        Ok((CpuStorage::F32(y), Shape::from(dims)))
    }
}
