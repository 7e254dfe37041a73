//! The pooling of `cuda/pooling.cu`.

use candle_core::{
    DType, Tensor,
    cuda_backend::cudarc::driver::{DeviceRepr, LaunchConfig, PushKernelArg},
};

use super::{Module, address, blank, blocks, in_pieces, piece, pixel_of, suffix, wrap};
use crate::{error::Result, padding::Axis};

/// Windows of one thread along the width, as in the kernel.
const STRIP: usize = 4;

/// As `Windows` in the kernel's file.
#[repr(C)]
#[derive(Clone, Copy)]
struct Windows {
    channels: i32,
    size: [i32; 3],
    out: [i32; 3],
    kernel: [i32; 3],
    stride: [i32; 3],
    before: [i32; 3],
    pixel: i32,
}

// SAFETY: plain numbers, laid out as in C.
unsafe impl DeviceRepr for Windows {}

/// What the kernels take: the volume with whole pieces of channels, its windows, the name's end.
fn prepared(x: &Tensor, axes: &[Axis; 3]) -> Result<Option<(Tensor, Windows, &'static str)>> {
    let Some(suffix) = suffix(x.dtype()) else { return Ok(None) };
    let c = x.dims()[4];
    if !c.is_multiple_of(piece(x.dtype())) {
        return Ok(None);
    }
    let x = match pixel_of(x) {
        Some(pixel) if in_pieces(x, pixel)? => x.clone(),
        _ => x.force_contiguous()?,
    };
    let windows = Windows {
        channels: (c / piece(x.dtype())) as i32,
        size: axes.map(|a| a.size as i32),
        out: axes.map(|a| a.out as i32),
        kernel: axes.map(|a| a.kernel as i32),
        stride: axes.map(|a| a.stride as i32),
        before: axes.map(|a| a.before as i32),
        pixel: x.stride()[3] as i32,
    };
    Ok(Some((x, windows, suffix)))
}

/// Largest element of each window; none where no kernel takes `x`.
pub(crate) fn max_pool(x: &Tensor, axes: &[Axis; 3]) -> Result<Option<Tensor>> {
    let Some((x, windows, suffix)) = prepared(x, axes)? else { return Ok(None) };
    let [t, h, w] = axes.map(|a| a.out);
    let (b, c) = (x.dims()[0], x.dims()[4]);
    let y = blank(&[b, t, h, w, c], &x)?;
    let strips = b * t * h * w.div_ceil(STRIP) * windows.channels as usize;
    let function = Module::Pooling.function(x.device().as_cuda_device()?, &format!("max_pool_{suffix}"))?;
    let (from, to, count) = (address(&x)?, address(&y)?, strips as i64);
    let mut call = function.builder();
    call.arg(&from).arg(&to).arg(&count).arg(&windows);
    // SAFETY: the shapes are those of the tensors.
    unsafe { call.launch(blocks(strips, 256)) }.map_err(wrap)?;
    Ok(Some(y))
}

/// Mean of each window, padding counted as 0; none where no kernel takes `x`.
pub(crate) fn mean_pool(x: &Tensor, axes: &[Axis; 3]) -> Result<Option<Tensor>> {
    let Some((x, windows, suffix)) = prepared(x, axes)? else { return Ok(None) };
    let [t, h, w] = axes.map(|a| a.out);
    let (b, c) = (x.dims()[0], x.dims()[4]);
    let y = blank(&[b, t, h, w, c], &x)?;
    let threads = b * t * h * w * windows.channels as usize;
    let function = Module::Pooling.function(x.device().as_cuda_device()?, &format!("mean_pool_{suffix}"))?;
    let volume = axes.iter().map(|a| a.kernel).product::<usize>() as f32;
    let (from, to, count) = (address(&x)?, address(&y)?, threads as i64);
    let mut call = function.builder();
    call.arg(&from).arg(&to).arg(&count).arg(&volume).arg(&windows);
    // SAFETY: the shapes are those of the tensors.
    unsafe { call.launch(blocks(threads, 256)) }.map_err(wrap)?;
    Ok(Some(y))
}

/// Mean over all positions, `[b, 1, 1, 1, c]`; none where no kernel takes `x`.
pub(crate) fn mean_of_all(x: &Tensor) -> Result<Option<Tensor>> {
    /// Positions of a part at least.
    const PART: usize = 256;
    let Some(suffix) = suffix(x.dtype()) else { return Ok(None) };
    let &[b, t, h, w, c] = x.dims() else { return Ok(None) };
    if !c.is_multiple_of(piece(x.dtype())) || b > usize::from(u16::MAX) {
        return Ok(None);
    }
    let x = match pixel_of(x) {
        Some(pixel) if in_pieces(x, pixel)? => x.clone(),
        _ => x.force_contiguous()?,
    };
    let device = x.device().as_cuda_device()?;
    let (positions, pieces) = (t * h * w, c / piece(x.dtype()));
    let parts = positions.div_ceil(PART).min(64);
    // SAFETY: the first kernel writes all of it.
    let sums = unsafe { Tensor::empty((b, parts, c), DType::F32, x.device()) }?;
    let y = blank(&[b, 1, 1, 1, c], &x)?;
    let (from, between, to) = (address(&x)?, address(&sums)?, address(&y)?);
    let numbers = [positions, pieces, x.stride()[3]].map(|n| n as i32);
    let function = Module::Pooling.function(device, &format!("part_sums_{suffix}"))?;
    let mut call = function.builder();
    call.arg(&from).arg(&between).arg(&numbers[0]).arg(&numbers[1]).arg(&numbers[2]);
    let config = LaunchConfig {
        grid_dim: (pieces.div_ceil(32) as u32, parts as u32, b as u32),
        block_dim: (32, 8, 1),
        shared_mem_bytes: 0,
    };
    // SAFETY: the shapes are those of the tensors.
    unsafe { call.launch(config) }.map_err(wrap)?;
    let numbers = [b * c, c, parts].map(|n| n as i32);
    let volume = positions as f32;
    let function = Module::Pooling.function(device, &format!("join_sums_{suffix}"))?;
    let mut call = function.builder();
    call.arg(&between).arg(&to).arg(&numbers[0]).arg(&numbers[1]).arg(&numbers[2]).arg(&volume);
    // SAFETY: as above.
    unsafe { call.launch(blocks(b * c, 256)) }.map_err(wrap)?;
    Ok(Some(y))
}
