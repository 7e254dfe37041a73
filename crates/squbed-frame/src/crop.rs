//! Cutting the middle out of a frame.

use squbed_core::Frame;

use crate::Error;

/// Where the crop begins when the margin `d` = frame side − crop side is odd.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CropRule {
    /// `⌊d/2⌋`: Hugging Face image processors and the I3D preprocessing.
    Floor,
    /// `d/2` rounded half to even, as Python's `round`: torchvision and open_clip.
    RoundHalfEven,
}

impl CropRule {
    /// The first kept row or column for a margin of `d` pixels.
    pub(crate) fn offset(self, d: usize) -> usize {
        let half = d / 2;
        match self {
            Self::Floor => half,
            // d odd: d/2 lies half-way, and the even neighbour wins.
            Self::RoundHalfEven => half + (d % 2) * (half % 2),
        }
    }
}

/// The `width`×`height` pixels in the middle of `frame`.
///
/// # Errors
///
/// [`Error::Crop`] where the crop is empty or larger than the frame.
pub fn center_crop(frame: &Frame, width: usize, height: usize, rule: CropRule) -> Result<Frame, Error> {
    let (full_width, full_height) = (frame.width(), frame.height());
    if width == 0 || height == 0 || width > full_width || height > full_height {
        return Err(Error::Crop {
            crop_width: width,
            crop_height: height,
            width: full_width,
            height: full_height,
        });
    }
    let (left, top) = (rule.offset(full_width - width), rule.offset(full_height - height));
    let mut rgb = Vec::with_capacity(width * height * 3);
    for row in frame.rgb().chunks_exact(full_width * 3).skip(top).take(height) {
        rgb.extend_from_slice(&row[left * 3..(left + width) * 3]);
    }
    Ok(Frame::new(width, height, rgb)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_part_only_at_margins_of_three_modulo_four() {
        let offsets = |rule: CropRule| (0..8).map(|d| rule.offset(d)).collect::<Vec<_>>();
        assert_eq!(offsets(CropRule::Floor), [0, 0, 1, 1, 2, 2, 3, 3]);
        // Python: [round(d / 2) for d in range(8)]
        assert_eq!(offsets(CropRule::RoundHalfEven), [0, 0, 1, 2, 2, 2, 3, 4]);
    }

    #[test]
    fn the_middle_is_kept() {
        let rgb = (0..5 * 3).flat_map(|i| [i, 0, 0]).collect();
        let frame = Frame::new(5, 3, rgb).unwrap();
        let middle = center_crop(&frame, 2, 1, CropRule::Floor).unwrap();
        assert_eq!(middle.rgb(), [6, 0, 0, 7, 0, 0]);
        let middle = center_crop(&frame, 2, 1, CropRule::RoundHalfEven).unwrap();
        assert_eq!(middle.rgb(), [7, 0, 0, 8, 0, 0]);
    }

    #[test]
    fn a_crop_must_fit() {
        let frame = Frame::new(4, 4, vec![0; 48]).unwrap();
        assert_eq!(
            center_crop(&frame, 5, 2, CropRule::Floor).unwrap_err().to_string(),
            "cannot crop 5x2 out of a frame of 4x4"
        );
        assert!(center_crop(&frame, 0, 2, CropRule::Floor).is_err());
    }
}
