//! Resize as Pillow does it.

use squbed_core::Frame;

use crate::{
    Error,
    interpolate::bilinear,
    resample::{Kernel, resample},
};

/// The longest side of a frame, before or after; weights of longer lines would lose their precision.
const LONGEST_SIDE: usize = 65_535;

/// A resampling filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Filter {
    /// The triangle filter, its support widened with the reduction; Pillow's `BILINEAR`.
    Bilinear,
    /// Keys' cubic convolution with a = −½ (Catmull–Rom), its support widened with the reduction; Pillow's
    /// `BICUBIC`.
    Bicubic,
    /// Bilinear interpolation between the four nearest pixels at any reduction; torchvision's `BILINEAR` with
    /// `antialias=False`.
    BilinearNoAntialias,
}

/// `frame` brought to `width`×`height`.
///
/// Equal to Pillow 13 bit for bit with [`Filter::Bilinear`] and [`Filter::Bicubic`]. It resamples within
/// rows, rounds to 8 bits and resamples within columns, or the other way round where the height shrinks
/// by more than twice as many pixels as the width.
///
/// # Errors
///
/// [`Error::Size`] or [`Error::Source`] where a side is zero or above 65,535.
pub fn resize(frame: &Frame, width: usize, height: usize, filter: Filter) -> Result<Frame, Error> {
    let (from_width, from_height) = (frame.width(), frame.height());
    let allowed = |side: usize| (1..=LONGEST_SIDE).contains(&side);
    if !allowed(width) || !allowed(height) {
        return Err(Error::Size { width, height });
    }
    if !allowed(from_width) || !allowed(from_height) {
        return Err(Error::Source { width: from_width, height: from_height });
    }
    if (width, height) == (from_width, from_height) {
        return Ok(frame.clone());
    }
    let (from, to) = ((from_width, from_height), (width, height));
    let rgb = match filter {
        Filter::Bilinear => resample(frame.rgb(), from, to, Kernel::Triangle),
        Filter::Bicubic => resample(frame.rgb(), from, to, Kernel::Cubic),
        Filter::BilinearNoAntialias => bilinear(frame.rgb(), from, to),
    };
    Ok(Frame::new(width, height, rgb)?)
}

/// `frame` resized so that its shorter side has `side` pixels and the longer ⌊side·long/short⌋, the
/// rule of torchvision and of Hugging Face.
///
/// # Errors
///
/// As [`resize`].
pub fn resize_shorter_side(frame: &Frame, side: usize, filter: Filter) -> Result<Frame, Error> {
    let (width, height) = (frame.width(), frame.height());
    let longer = |long: usize, short: usize| side.saturating_mul(long) / short;
    if width <= height {
        resize(frame, side, longer(height, width), filter)
    } else {
        resize(frame, longer(width, height), side, filter)
    }
}
