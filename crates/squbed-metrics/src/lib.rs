//! How far two images, or two sets of videos, are apart.
//!
//! | metric | of | arithmetic |
//! | --- | --- | --- |
//! | [`psnr`](psnr()) | two images | f64 on the CPU; of bytes exact up to the logarithm |
//! | [`ssim`](ssim()) | two images | f64 on the CPU: variances as small differences of large squares lose half of f32's digits |
//! | [`Lpips`] | batches of images | the networks in the device's dtype, distances in f32, their mean in f64 |
//! | [`frechet_video_distance`] | two sets of videos | f64 on the CPU |
//!
//! A metric is named after what computed it ([`Metric`]): luma alone is `psnr-y`, not `psnr`, and LPIPS
//! carries its network's name.

mod error;
mod frechet;
mod image;
mod lpips;
mod metric;
mod psnr;
mod ssim;

pub use error::{Error, Result};
pub use frechet::{FVD_VARIANT, FrechetVideoDistance, frechet_distance, frechet_video_distance};
pub use image::Image;
pub use lpips::Lpips;
pub use metric::{Metric, PixelMetric};
pub use psnr::psnr;
pub use ssim::{WINDOW, ssim};
