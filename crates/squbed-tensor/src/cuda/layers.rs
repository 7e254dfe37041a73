//! What stands between a network's products: the kernels of `cuda/transformer.cu`, and gates.

use candle_core::{
    DType, Tensor,
    cuda_backend::cudarc::driver::{DeviceRepr, LaunchConfig, PushKernelArg},
};

use super::{Module, address, blank, blocks, in_pieces, piece, suffix, wrap};
use crate::{Activation, error::Result};

/// Widest row of the layer normalisation.
const WIDEST: usize = 2048;

/// As `Heads` in the kernel's file.
#[repr(C)]
#[derive(Clone, Copy)]
struct Heads {
    length: i32,
    heads: i32,
    /// Distances along b, heads, queries, keys.
    bias: [i32; 4],
    biased: i32,
    scale: f32,
}

// SAFETY: plain numbers, laid out as in C.
unsafe impl DeviceRepr for Heads {}

/// Attention in half precision; none where no kernel takes `qkv` `[b, l, 3, heads, d]`.
pub(crate) fn attention(qkv: &Tensor, bias: Option<&Tensor>) -> Result<Option<Tensor>> {
    let &[b, l, _, heads, d] = qkv.dims() else { return Ok(None) };
    let half = matches!(qkv.dtype(), DType::F16 | DType::BF16);
    let Some(suffix) = suffix(qkv.dtype()).filter(|_| half && matches!(d, 32 | 64 | 80)) else {
        return Ok(None);
    };
    let most = usize::from(u16::MAX);
    if b > most || heads > most || bias.is_some_and(|bias| bias.dtype() != qkv.dtype()) {
        return Ok(None);
    }
    let qkv = qkv.contiguous()?;
    if !in_pieces(&qkv, d)? {
        return Ok(None);
    }
    let bias = bias.map(|bias| bias.broadcast_as((b, heads, l, l))).transpose()?;
    let mut shape = Heads {
        length: l as i32,
        heads: heads as i32,
        bias: [0; 4],
        biased: i32::from(bias.is_some()),
        scale: (d as f32).sqrt().recip(),
    };
    if let Some(bias) = &bias {
        shape.bias.iter_mut().zip(bias.stride()).for_each(|(to, &stride)| *to = stride as i32);
    }
    let y = blank(&[b, l, heads, d], &qkv)?;
    let function =
        Module::Transformer.function(qkv.device().as_cuda_device()?, &format!("attention_{suffix}_{d}"))?;
    let (from, to) = (address(&qkv)?, address(&y)?);
    let bias = bias.as_ref().map_or(Ok(0), address)?;
    let mut call = function.builder();
    call.arg(&from).arg(&bias).arg(&to).arg(&shape);
    let config = LaunchConfig {
        grid_dim: (l.div_ceil(64) as u32, heads as u32, b as u32),
        block_dim: (128, 1, 1),
        shared_mem_bytes: 0,
    };
    // SAFETY: the shapes are those of the tensors.
    unsafe { call.launch(config) }.map_err(wrap)?;
    Ok(Some(y))
}

/// Layer normalisation; none where no kernel takes `x`.
pub(crate) fn layer_norm(x: &Tensor, weight: &Tensor, bias: &Tensor, eps: f32) -> Result<Option<Tensor>> {
    let Some(suffix) = suffix(x.dtype()) else { return Ok(None) };
    let Some(&width) = x.dims().last() else { return Ok(None) };
    let x = x.contiguous()?;
    // Others are refused by Candle's own.
    if [weight, bias]
        .iter()
        .any(|row| row.dims() != [width] || row.dtype() != x.dtype() || !row.is_contiguous())
    {
        return Ok(None);
    }
    if width > WIDEST || !in_pieces(&x, width)? || !in_pieces(weight, width)? || !in_pieces(bias, width)? {
        return Ok(None);
    }
    let y = blank(x.dims(), &x)?;
    let rows = x.elem_count() / width;
    let function =
        Module::Transformer.function(x.device().as_cuda_device()?, &format!("layer_norm_{suffix}"))?;
    let addresses = [address(&x)?, address(weight)?, address(bias)?, address(&y)?];
    let numbers = [rows as i32, width as i32];
    let mut call = function.builder();
    for address in &addresses {
        call.arg(address);
    }
    call.arg(&numbers[0]).arg(&numbers[1]).arg(&eps);
    // SAFETY: the shapes are those of the tensors.
    unsafe { call.launch(blocks(rows * 32, 256)) }.map_err(wrap)?;
    Ok(Some(y))
}

/// The non-linearity; none where no kernel takes `x`.
pub(crate) fn activation(x: &Tensor, kind: Activation) -> Result<Option<Tensor>> {
    let Some(suffix) = suffix(x.dtype()) else { return Ok(None) };
    let x = x.contiguous()?;
    if !in_pieces(&x, x.elem_count())? {
        return Ok(None);
    }
    let y = blank(x.dims(), &x)?;
    let pieces = x.elem_count() / piece(x.dtype());
    let kind = match kind {
        Activation::Gelu => 0_i32,
        Activation::GeluTanh => 1,
        Activation::QuickGelu => 2,
    };
    let function =
        Module::Transformer.function(x.device().as_cuda_device()?, &format!("activation_{suffix}"))?;
    let (from, to, count) = (address(&x)?, address(&y)?, pieces as i64);
    let mut call = function.builder();
    call.arg(&from).arg(&to).arg(&count).arg(&kind);
    // SAFETY: both have as many pieces.
    unsafe { call.launch(blocks(pieces, 256)) }.map_err(wrap)?;
    Ok(Some(y))
}

/// `x` `[b, t, h, w, c]` times the sigmoid of `g` `[b, c]`; none where no kernel takes them.
pub(crate) fn gate(x: &Tensor, g: &Tensor) -> Result<Option<Tensor>> {
    let Some(suffix) = suffix(x.dtype()) else { return Ok(None) };
    let &[b, t, h, w, c] = x.dims() else { return Ok(None) };
    if g.dtype() != x.dtype() {
        return Ok(None);
    }
    let (x, g) = (x.contiguous()?, g.contiguous()?);
    if !in_pieces(&x, c)? || !in_pieces(&g, c)? {
        return Ok(None);
    }
    let y = blank(x.dims(), &x)?;
    let channels = c / piece(x.dtype());
    let pieces = b * t * h * w * channels;
    let function = Module::Pooling.function(x.device().as_cuda_device()?, &format!("gate_{suffix}"))?;
    let (from, gates, to, count) = (address(&x)?, address(&g)?, address(&y)?, pieces as i64);
    let numbers = [(t * h * w) as i32, channels as i32];
    let mut call = function.builder();
    call.arg(&from).arg(&gates).arg(&to).arg(&count).arg(&numbers[0]).arg(&numbers[1]);
    // SAFETY: the shapes are those of the tensors.
    unsafe { call.launch(blocks(pieces, 256)) }.map_err(wrap)?;
    Ok(Some(y))
}
