//! The convolution of `cuda/convolution.cu`.

use candle_core::{
    DType, Tensor,
    cuda_backend::cudarc::driver::{
        DeviceRepr, LaunchConfig, PushKernelArg,
        sys::CUfunction_attribute_enum::CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES,
    },
};

use super::{Module, address, blank, blocks, in_pieces, pixel_of, suffix, wrap};
use crate::{
    error::{Error, Result},
    padding::Axis,
};

/// Channels of packed pixels.
const PACKED: usize = 8;

/// Rows of a tile, depth of a step, steps in flight, as in the kernel.
const ROWS: usize = 128;
const DEPTH: usize = 64;
const STAGES: usize = 3;

/// Taps along t, h, w that the kernel looks at one by one; beyond them there must be no padding.
const TAPS: [usize; 3] = [7, 12, 12];

/// Weights as the kernel takes them.
#[derive(Debug)]
pub(crate) struct Packed {
    /// `[cout, kt·kh·kw·cin]`.
    weight: Tensor,
    /// `[cout]`, f32.
    bias: Tensor,
    /// kt, kh, kw, cin, as the kernel sees them.
    dims: [usize; 4],
    cout: usize,
    /// Neighbouring pixels that stand in one of the kernel's, where the input is packed.
    group: Option<usize>,
}

/// Where the channels from some on are written.
pub(crate) struct Target<'t> {
    /// A volume `[b, t′, h′, w′, ..]`.
    pub(crate) volume: &'t Tensor,
    /// The channel of it that the first one is written to.
    pub(crate) channel: usize,
}

/// As `Shape` in the kernel's file.
#[repr(C)]
#[derive(Clone, Copy)]
struct Shape {
    rows: i32,
    channels: i32,
    inner: i32,
    cin: i32,
    pixel: i32,
    size: [i32; 3],
    out: [i32; 3],
    kernel: [i32; 2],
    stride: [i32; 3],
    before: [i32; 3],
    split: i32,
    pixels: [i32; 2],
    relu: i32,
}

// SAFETY: plain numbers, laid out as in C.
unsafe impl DeviceRepr for Shape {}

impl Packed {
    /// `weight` is `[kt, kh, kw, cin, cout]` on the device; none for a dtype without a kernel.
    pub(crate) fn new(weight: &Tensor, bias: Option<&Tensor>, stride: [usize; 3]) -> Result<Option<Self>> {
        if suffix(weight.dtype()).is_none() {
            return Ok(None);
        }
        let &[kt, kh, kw, cin, cout] = weight.dims() else { return Ok(None) };
        // Few channels are packed, two pixels together where windows begin at even ones; others are filled up.
        let group = match cin {
            _ if cin.is_multiple_of(PACKED) => None,
            ..=4 if stride[2].is_multiple_of(2) => Some(2),
            _ => Some(1),
        };
        let (weight, kw, cin) = match group {
            None => (weight.clone(), kw, cin),
            Some(group) => {
                let (pixels, slot) = (kw.next_multiple_of(group), cin.next_multiple_of(PACKED / group));
                let weight = weight.pad_with_zeros(2, 0, pixels - kw)?.pad_with_zeros(3, 0, slot - cin)?;
                (weight, pixels / group, slot * group)
            }
        };
        let weight = weight.contiguous()?.reshape((kt * kh * kw * cin, cout))?.t()?.contiguous()?;
        let bias = match bias {
            Some(bias) => bias.to_dtype(DType::F32)?.contiguous()?,
            None => Tensor::zeros(cout, DType::F32, weight.device())?,
        };
        Ok(Some(Self { weight, bias, dims: [kt, kh, kw, cin], cout, group }))
    }

    /// Convolves x `[b, t, h, w, c]`; channels below `split` go to the first target, the others to the second.
    pub(crate) fn run(
        &self,
        x: &Tensor,
        axes: &[Axis; 3],
        relu: bool,
        split: usize,
        targets: [&Target<'_>; 2],
    ) -> Result<()> {
        if x.dtype() != self.weight.dtype() || !x.device().same_device(self.weight.device()) {
            return Err(Error::Shape {
                operation: "conv3d on CUDA",
                expected: "a volume on the device and in the dtype of its weights",
                actual: x.dims().to_vec(),
            });
        }
        let [t, h, w] = axes;
        let (mut stride, mut before) = (axes.map(|a| a.stride), axes.map(|a| a.before));
        let x = match self.group {
            None => x.clone(),
            Some(group) if x.dims()[4] <= PACKED => {
                let packed = pack(x, group, before[2], (w.out - 1) * w.stride / group + self.dims[2])?;
                stride[2] /= group;
                before[2] = 0;
                packed
            }
            Some(_) => x.pad_with_zeros(4, 0, self.dims[3] - x.dims()[4])?,
        };
        let x = match pixel_of(&x) {
            Some(pixel) if in_pieces(&x, pixel)? => x,
            _ => x.force_contiguous()?,
        };
        let &[b, _, _, width, _] = x.dims() else { return Err(crate::conv::not_a_video("conv3d", &x)) };
        let [kt, kh, kw, cin] = self.dims;
        let rows = b * t.out * h.out * w.out;
        let pixels = x.dims()[..4].iter().product::<usize>();
        let fail =
            |expected| Err(Error::Shape { operation: "conv3d on CUDA", expected, actual: x.dims().to_vec() });
        if rows.max(pixels) > i32::MAX as usize {
            return fail("at most 2^31 - 1 positions; use a smaller batch");
        }
        let padded = before.iter().zip(axes).zip([kt, kh, kw]).zip(TAPS);
        if padded.into_iter().any(|(((before, axis), taps), most)| taps > most && before + axis.behind > 0) {
            return fail("no padding with kernels of more than 7×12×12 taps");
        }
        let narrow = |sizes: [usize; 3]| sizes.map(|n| n as i32);
        let shape = Shape {
            rows: rows as i32,
            channels: self.cout as i32,
            inner: (kt * kh * kw * cin) as i32,
            cin: cin as i32,
            pixel: x.stride()[3] as i32,
            size: narrow([t.size, h.size, width]),
            out: narrow(axes.map(|a| a.out)),
            kernel: [kh as i32, kw as i32],
            stride: narrow(stride),
            before: narrow(before),
            split: split as i32,
            pixels: targets.map(|target| target.volume.dims().last().map_or(0, |&c| c as i32)),
            relu: i32::from(relu),
        };
        let place = |target: &Target<'_>| -> Result<u64> {
            Ok(address(target.volume)? + (target.channel * target.volume.dtype().size_in_bytes()) as u64)
        };
        let (y1, y2) = (place(targets[0])?, place(targets[1])?);
        let dtype = x.dtype();
        let Some(suffix) = suffix(dtype) else { return Err(crate::conv::not_a_video("conv3d", &x)) };
        let (columns, name, shared) = if dtype == DType::F32 {
            (64, "convolution_f32".to_owned(), 0)
        } else {
            let columns = columns(self.cout);
            let loaded = (ROWS + columns) * DEPTH * 2 * STAGES;
            let written = ROWS * (columns + 8) * 2;
            (columns, format!("convolution_{suffix}_{columns}"), loaded.max(written))
        };
        let device = x.device().as_cuda_device()?;
        let function = Module::Convolution.function(device, &name)?;
        if shared > 0 {
            function
                .function
                .set_attribute(CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, shared as i32)
                .map_err(wrap)?;
        }
        let tiles = rows.div_ceil(ROWS) * self.cout.div_ceil(columns);
        let (from, weight, bias) = (address(&x)?, address(&self.weight)?, address(&self.bias)?);
        let mut call = function.builder();
        call.arg(&from).arg(&weight).arg(&bias).arg(&y1).arg(&y2).arg(&shape);
        let config = LaunchConfig {
            grid_dim: (tiles as u32, 1, 1),
            block_dim: (256, 1, 1),
            shared_mem_bytes: shared as u32,
        };
        // SAFETY: the addresses are those of whole tensors of these sizes.
        unsafe { call.launch(config) }.map_err(wrap)?;
        Ok(())
    }
}

/// Width of a tile: what is left over costs as much as what is used, and each tile reads its rows anew.
fn columns(channels: usize) -> usize {
    let cost = |width: &usize| channels.div_ceil(*width) * (width + 64);
    [128, 96, 64, 32].into_iter().min_by_key(cost).unwrap_or(64)
}

/// `[b, t, h, w, c]` to `[b, t, h, packed, 8]`: `group` neighbours side by side, the first `before` of them padding.
fn pack(x: &Tensor, group: usize, before: usize, packed: usize) -> Result<Tensor> {
    let x = x.contiguous()?;
    let &[b, t, h, w, c] = x.dims() else { return Err(crate::conv::not_a_video("conv3d", &x)) };
    let y = blank(&[b, t, h, packed, PACKED], &x)?;
    let Some(suffix) = suffix(x.dtype()) else { return Err(crate::conv::not_a_video("conv3d", &x)) };
    let function = Module::Pooling.function(x.device().as_cuda_device()?, &format!("pack_{suffix}"))?;
    let pixels = b * t * h * packed;
    let (from, to, count) = (address(&x)?, address(&y)?, pixels as i64);
    let numbers = [w, c, packed, group, before].map(|n| n as i32);
    let mut call = function.builder();
    call.arg(&from).arg(&to).arg(&count);
    for number in &numbers {
        call.arg(number);
    }
    // SAFETY: `y` has as many pixels.
    unsafe { call.launch(blocks(pixels, 256)) }.map_err(wrap)?;
    Ok(y)
}
