//! Resize and crop of 8-bit RGB frames, as the published encoders were trained with.
//!
//! The reference is Pillow, whose antialiased filters widen with the reduction; [`resize`] equals it bit
//! for bit.
//!
//! ```
//! use squbed_core::Frame;
//! use squbed_frame::{CropRule, Filter, center_crop, resize_shorter_side};
//!
//! let frame = Frame::new(640, 272, vec![128; 640 * 272 * 3])?;
//! let small = resize_shorter_side(&frame, 224, Filter::Bicubic)?;
//! assert_eq!((small.width(), small.height()), (527, 224));
//! let square = center_crop(&small, 224, 224, CropRule::RoundHalfEven)?;
//! assert_eq!((square.width(), square.height()), (224, 224));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod crop;
mod error;
mod interpolate;
mod resample;
mod resize;

pub use crop::{CropRule, center_crop};
pub use error::Error;
pub use resize::{Filter, resize, resize_and_crop, resize_shorter_side};
