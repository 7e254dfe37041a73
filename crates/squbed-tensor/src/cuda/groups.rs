//! The group statistics of `cuda/groups.cu`.

use candle_core::{
    DType, Tensor,
    cuda_backend::cudarc::driver::{LaunchConfig, PushKernelArg},
};

use super::{Module, address, suffix, wrap};
use crate::error::Result;

/// Of each group of `[g, m, d]`: ‖ȳ‖², the scatter, the first row without direction (or −1), its length; none where no
/// kernel takes `x`.
pub(crate) fn group_sums(x: &Tensor) -> Result<Option<Vec<[f64; 4]>>> {
    /// Rows whose lengths fit into the shared memory of every device.
    const MOST: usize = 4096;
    let (g, m, d) = x.dims3()?;
    let Some(suffix) =
        suffix(x.dtype()).filter(|_| m <= MOST && d <= i32::MAX as usize && g <= i32::MAX as usize)
    else {
        return Ok(None);
    };
    let x = x.contiguous()?;
    // SAFETY: the kernel writes all of it.
    let sums = unsafe { Tensor::empty((g, 4), DType::F64, x.device()) }?;
    let function = Module::Groups.function(x.device().as_cuda_device()?, &format!("group_sums_{suffix}"))?;
    let (from, to) = (address(&x)?, address(&sums)?);
    let numbers = [m as i32, d as i32];
    let mut call = function.builder();
    call.arg(&from).arg(&to).arg(&numbers[0]).arg(&numbers[1]);
    let config = LaunchConfig {
        grid_dim: (g as u32, 1, 1),
        block_dim: (128, 1, 1),
        shared_mem_bytes: (m * size_of::<f64>()) as u32,
    };
    // SAFETY: the shapes are those of the tensors.
    unsafe { call.launch(config) }.map_err(wrap)?;
    let sums: Vec<f64> = sums.flatten_all()?.to_vec1()?;
    Ok(Some(sums.as_chunks().0.to_vec()))
}
