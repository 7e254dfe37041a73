//! What squbed needs of tensors beyond Candle.
//!
//! Candle has no 3-D convolution or pooling, no eigendecomposition and no batched fit. Here they are: [`Conv3d`],
//! [`max_pool3d`] and [`avg_pool3d`] on channels-last video tensors `[b, t, h, w, c]`, [`group_statistics`] of
//! many groups of embeddings at once, and a [`pca`] whose basis can be kept. The traits [`TextEncoder`],
//! [`ImageEncoder`] and [`VideoEncoder`] are what every encoder of the project is.
//!
//! Nothing here knows a model by name. What has a kernel of its own on the CPU is plain Candle elsewhere.

mod concat;
mod conv;
mod cpu;
#[cfg(feature = "cuda")]
mod cuda;
pub mod device;
mod encoder;
mod error;
mod flop;
mod layers;
mod linear;
mod padding;
pub mod pca;
mod pool;
mod statistics;
mod threads;

pub use candle_core::{DType, Device, Tensor};
pub use concat::Concat;
pub use conv::{Conv3d, conv3d};
pub use encoder::{EncodeError, ImageEncoder, TextEncoder, VideoEncoder};
pub use error::{CandleError, Error, Result};
pub use flop::{counted, matmul};
pub use layers::{Activation, attention, gate, layer_norm};
pub use linear::Linear;
pub use padding::Padding3d;
pub use pool::{avg_pool3d, max_pool3d};
pub use statistics::{group_statistics, is_saturated};
pub use threads::in_pool;
