//! Kernels of ours (`cuda/*.cu`) and cuBLASLt on a CUDA device.
//!
//! All of a device's work goes to the one stream of Candle's device, in the order of the calls, and its memory is given
//! back in that order too. So an address taken here stays good for the kernels that it is given to, and one thread owns a
//! device. Each function checks what its kernel takes; what it does not take is plain Candle's, in the caller.

mod convolution;
mod groups;
mod layers;
mod pooling;
mod product;

use std::sync::Arc;

use candle_core::{
    CudaDevice, DType, Storage, Tensor,
    backend::BackendStorage,
    cuda_backend::cudarc::driver::{CudaFunction, CudaStream, DevicePtr, LaunchArgs, LaunchConfig},
};
use half::{bf16, f16};

pub(crate) use convolution::{Packed, Target};
pub(crate) use groups::group_sums;
pub(crate) use layers::{activation, attention, gate, layer_norm};
pub(crate) use pooling::{max_pool, mean_of_all, mean_pool};
pub(crate) use product::Matrix;

use crate::error::Result;

#[expect(unreachable_pub, reason = "as cudaforge writes it")]
mod ptx {
    include!(concat!(env!("OUT_DIR"), "/ptx.rs"));
}

/// A file of kernels.
#[derive(Clone, Copy)]
enum Module {
    Convolution,
    Groups,
    Pooling,
    Transformer,
}

impl Module {
    /// Its function of a name, loaded at the first use.
    fn function(self, device: &CudaDevice, name: &str) -> Result<Function> {
        let (module, ptx) = match self {
            Self::Convolution => ("squbed_convolution", ptx::CONVOLUTION),
            Self::Groups => ("squbed_groups", ptx::GROUPS),
            Self::Pooling => ("squbed_pooling", ptx::POOLING),
            Self::Transformer => ("squbed_transformer", ptx::TRANSFORMER),
        };
        let function = device.get_or_load_custom_func(name, module, ptx)?.into_cuda_function();
        Ok(Function { function, stream: device.cuda_stream() })
    }
}

/// A kernel, and the stream that it runs in.
struct Function {
    function: CudaFunction,
    stream: Arc<CudaStream>,
}

impl Function {
    fn builder(&self) -> LaunchArgs<'_> {
        self.stream.launch_builder(&self.function)
    }
}

/// What a kernel's name ends with; none for dtypes that no kernel takes.
fn suffix(dtype: DType) -> Option<&'static str> {
    match dtype {
        DType::F32 => Some("f32"),
        DType::F16 => Some("f16"),
        DType::BF16 => Some("bf16"),
        _ => None,
    }
}

/// Numbers in 16 bytes, which kernels read at once.
fn piece(dtype: DType) -> usize {
    16 / dtype.size_in_bytes()
}

/// Address of a tensor's first number.
fn address(x: &Tensor) -> Result<u64> {
    let (storage, layout) = x.storage_and_layout();
    let Storage::Cuda(storage) = &*storage else {
        return Err(candle_core::Error::Msg("a tensor of a CUDA device is expected".to_owned()).into());
    };
    let stream = storage.device().cuda_stream();
    let start = match storage.dtype() {
        DType::F32 => storage.as_cuda_slice::<f32>()?.device_ptr(&stream).0,
        DType::F64 => storage.as_cuda_slice::<f64>()?.device_ptr(&stream).0,
        DType::F16 => storage.as_cuda_slice::<f16>()?.device_ptr(&stream).0,
        DType::BF16 => storage.as_cuda_slice::<bf16>()?.device_ptr(&stream).0,
        dtype => return Err(candle_core::Error::Msg(format!("no kernel takes {dtype:?}")).into()),
    };
    Ok(start + (layout.start_offset() * x.dtype().size_in_bytes()) as u64)
}

/// A tensor without values, for a kernel to write.
fn blank(dims: &[usize], like: &Tensor) -> Result<Tensor> {
    // SAFETY: the caller gives it to a kernel that writes all of it.
    Ok(unsafe { Tensor::empty(dims, like.dtype(), like.device()) }?)
}

/// Whether rows of `width` numbers that begin at `x` are whole pieces.
fn in_pieces(x: &Tensor, width: usize) -> Result<bool> {
    Ok(width.is_multiple_of(piece(x.dtype())) && address(x)?.is_multiple_of(16))
}

/// Blocks of `size` threads for `count` of them.
fn blocks(count: usize, size: u32) -> LaunchConfig {
    LaunchConfig {
        grid_dim: (count.div_ceil(size as usize) as u32, 1, 1),
        block_dim: (size, 1, 1),
        shared_mem_bytes: 0,
    }
}

/// An error of the driver's as one of Candle's.
fn wrap(error: impl std::error::Error + Send + Sync + 'static) -> candle_core::Error {
    candle_core::Error::wrap(error)
}

/// Where pixels of a channels-last volume lie: the distance of neighbours in numbers, where the volume is whole but for
/// its channels, which may be some of a wider volume's.
fn pixel_of(x: &Tensor) -> Option<usize> {
    let (&[_, t, h, w, _], &[sb, st, sh, sw, sc]) = (x.dims(), x.stride()) else { return None };
    (sc == 1 && sh == w * sw && st == h * sh && sb == t * st).then_some(sw)
}
