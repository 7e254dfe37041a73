//! Kernels of the CPU, in f32.

mod aligned;
mod attention;
mod convolution;
mod functions;
mod kernel;
mod pooling;

pub(crate) use attention::Attention;
pub(crate) use convolution::{Finish, Packed};
pub(crate) use kernel::name as kernel_name;
pub(crate) use pooling::{Kind as PoolKind, pool};
