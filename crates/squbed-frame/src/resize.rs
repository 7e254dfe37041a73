//! Resize as Pillow does it.

use squbed_core::Frame;

use crate::{
    CropRule, Error, center_crop,
    interpolate::bilinear,
    resample::{Kernel, Target, resample},
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
    check(frame, width, height)?;
    let (from, to) = ((frame.width(), frame.height()), (width, height));
    if from == to {
        return Ok(frame.clone());
    }
    let rgb = match filter {
        Filter::Bilinear => resample(frame.rgb(), from, &Target::whole(to), Kernel::Triangle),
        Filter::Bicubic => resample(frame.rgb(), from, &Target::whole(to), Kernel::Cubic),
        Filter::BilinearNoAntialias => bilinear(frame.rgb(), from, to),
    };
    Ok(Frame::new(width, height, rgb)?)
}

/// Refuses sizes, before or after, that cannot be resampled.
fn check(frame: &Frame, width: usize, height: usize) -> Result<(), Error> {
    let (from_width, from_height) = (frame.width(), frame.height());
    let allowed = |side: usize| (1..=LONGEST_SIDE).contains(&side);
    if !allowed(width) || !allowed(height) {
        return Err(Error::Size { width, height });
    }
    if !allowed(from_width) || !allowed(from_height) {
        return Err(Error::Source { width: from_width, height: from_height });
    }
    Ok(())
}

/// `frame` resized so that its shorter side has `side` pixels and the longer ⌊side·long/short⌋, the
/// rule of torchvision and of Hugging Face.
///
/// # Errors
///
/// As [`resize`].
pub fn resize_shorter_side(frame: &Frame, side: usize, filter: Filter) -> Result<Frame, Error> {
    let (width, height) = shorter_side_to(frame, side);
    resize(frame, width, height, filter)
}

/// [`resize_shorter_side`] and then [`center_crop`] to `width`×`height`, bit for bit, without computing what is
/// cut off.
///
/// # Errors
///
/// As these two.
pub fn resize_and_crop(
    frame: &Frame,
    side: usize,
    (width, height): (usize, usize),
    filter: Filter,
    rule: CropRule,
) -> Result<Frame, Error> {
    let (full_width, full_height) = shorter_side_to(frame, side);
    let kernel = match filter {
        Filter::Bilinear => Kernel::Triangle,
        Filter::Bicubic => Kernel::Cubic,
        Filter::BilinearNoAntialias => {
            return center_crop(&resize(frame, full_width, full_height, filter)?, width, height, rule);
        }
    };
    check(frame, full_width, full_height)?;
    if width == 0 || height == 0 || width > full_width || height > full_height {
        let (crop_width, crop_height) = (width, height);
        return Err(Error::Crop { crop_width, crop_height, width: full_width, height: full_height });
    }
    let (left, top) = (rule.offset(full_width - width), rule.offset(full_height - height));
    let target =
        Target { size: (full_width, full_height), columns: left..left + width, rows: top..top + height };
    let rgb = resample(frame.rgb(), (frame.width(), frame.height()), &target, kernel);
    Ok(Frame::new(width, height, rgb)?)
}

/// Width and height once the shorter side has `side` pixels.
fn shorter_side_to(frame: &Frame, side: usize) -> (usize, usize) {
    let (width, height) = (frame.width(), frame.height());
    let longer = |long: usize, short: usize| side.saturating_mul(long) / short;
    if width <= height { (side, longer(height, width)) } else { (longer(width, height), side) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crop_is_what_is_cut_out_of_the_whole() {
        for (width, height) in [(61, 40), (40, 61), (33, 300), (300, 33), (24, 24), (25, 24), (10, 7)] {
            let byte = |i: usize| ((i as u32).wrapping_mul(2_654_435_761) >> 24) as u8;
            let frame = Frame::new(width, height, (0..width * height * 3).map(byte).collect()).unwrap();
            for filter in [Filter::Bilinear, Filter::Bicubic, Filter::BilinearNoAntialias] {
                for rule in [CropRule::Floor, CropRule::RoundHalfEven] {
                    for size in [(24, 24), (24, 11), (9, 24), (1, 1)] {
                        let whole = resize_shorter_side(&frame, 24, filter).unwrap();
                        let cut = center_crop(&whole, size.0, size.1, rule).unwrap();
                        let at_once = resize_and_crop(&frame, 24, size, filter, rule).unwrap();
                        assert!(at_once == cut, "{width}x{height} {filter:?} {rule:?} {size:?}");
                    }
                }
            }
            let rule = CropRule::Floor;
            let error = resize_and_crop(&frame, 24, (25, 24 * 40), Filter::Bicubic, rule).unwrap_err();
            assert!(matches!(error, Error::Crop { .. }), "{error}");
        }
    }
}
