//! Resize as Pillow does it.

use squbed_core::Frame;

use crate::{Error, resample::resample};

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
    /// The triangle filter over the two nearest pixels at any reduction; torchvision's `BILINEAR` with
    /// `antialias=False`.
    BilinearNoAntialias,
}

impl Filter {
    pub(crate) fn antialiases(self) -> bool {
        self != Self::BilinearNoAntialias
    }

    /// Beyond this distance the weight is zero.
    pub(crate) fn support(self) -> f64 {
        match self {
            Self::Bilinear | Self::BilinearNoAntialias => 1.0,
            Self::Bicubic => 2.0,
        }
    }

    /// The weight of a pixel at distance `x` from the centre.
    pub(crate) fn weight(self, x: f64) -> f64 {
        const A: f64 = -0.5;
        let x = x.abs();
        match self {
            Self::Bilinear | Self::BilinearNoAntialias => (1.0 - x).max(0.0),
            Self::Bicubic if x < 1.0 => ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0,
            Self::Bicubic if x < 2.0 => (((x - 5.0) * x + 8.0) * x - 4.0) * A,
            Self::Bicubic => 0.0,
        }
    }
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
    let rgb = resample(frame.rgb(), (from_width, from_height), (width, height), filter);
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
