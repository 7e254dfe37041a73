//! Samples of an image with the range that they may span.

use squbed_core::Frame;

use crate::error::{Error, Result};

/// An image as PSNR and SSIM see it: `[height, width, channels]` in f64, row-major, and its data range.
#[derive(Clone, Debug, PartialEq)]
pub struct Image {
    width: usize,
    height: usize,
    channels: usize,
    samples: Vec<f64>,
    range: f64,
}

impl Image {
    /// An image of any scale. `range` is the largest possible value less the smallest: 255 of bytes, 1 of
    /// values in \[0, 1\].
    ///
    /// # Errors
    ///
    /// A length other than `width · height · channels`, no sample, a value that is not finite, a range that
    /// is not positive.
    pub fn new(width: usize, height: usize, channels: usize, samples: Vec<f64>, range: f64) -> Result<Self> {
        let whole = samples.len() == width * height * channels && !samples.is_empty();
        let sound = samples.iter().all(|v| v.is_finite()) && range > 0.0 && range.is_finite();
        if !(whole && sound) {
            return Err(Error::Image { width, height, channels, got: samples.len(), range });
        }
        Ok(Self { width, height, channels, samples, range })
    }

    /// The luma of a frame: BT.601 of limited range, 16 + (65.481 R + 128.553 G + 24.966 B)/255, rounded to a
    /// whole number (halves up), as the Y plane of an 8-bit video holds it. The data range is 255 all the
    /// same, which is what tools for Y planes take.
    pub fn luma(frame: &Frame) -> Self {
        let y = |rgb: &[u8]| {
            let [r, g, b] = [rgb[0], rgb[1], rgb[2]].map(u64::from);
            // In whole thousandths, so that nothing is rounded twice.
            (16 + (65_481 * r + 128_553 * g + 24_966 * b + 127_500) / 255_000) as f64
        };
        Self {
            width: frame.width(),
            height: frame.height(),
            channels: 1,
            samples: frame.rgb().chunks_exact(3).map(y).collect(),
            range: 255.0,
        }
    }

    /// Pixels in a row.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Rows.
    pub fn height(&self) -> usize {
        self.height
    }

    /// Values a pixel.
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// `[height, width, channels]`.
    pub fn samples(&self) -> &[f64] {
        &self.samples
    }

    /// The largest possible value less the smallest.
    pub fn range(&self) -> f64 {
        self.range
    }

    /// Checks that two images can be compared.
    pub(crate) fn check_pair(&self, other: &Self) -> Result<()> {
        let size = |i: &Self| [i.width, i.height];
        if size(self) != size(other) {
            return Err(Error::Sizes { a: size(self), b: size(other) });
        }
        let kind = |i: &Self| (i.channels, i.range);
        if kind(self) != kind(other) {
            return Err(Error::Kinds { a: kind(self), b: kind(other) });
        }
        Ok(())
    }
}

/// All three channels; the data range is 255.
impl From<&Frame> for Image {
    fn from(frame: &Frame) -> Self {
        Self {
            width: frame.width(),
            height: frame.height(),
            channels: 3,
            samples: frame.rgb().iter().map(|&byte| f64::from(byte)).collect(),
            range: 255.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn luma_of_known_colours() {
        // Black, white, and the primaries of BT.601: 16, 235, 81.481, 144.553, 40.966.
        let colours = [[0, 0, 0], [255, 255, 255], [255, 0, 0], [0, 255, 0], [0, 0, 255], [1, 1, 1]];
        let frame = Frame::new(6, 1, colours.concat()).unwrap();
        assert_eq!(Image::luma(&frame).samples(), [16.0, 235.0, 81.0, 145.0, 41.0, 17.0]);
    }

    #[test]
    fn samples_must_be_an_image() {
        assert!(Image::new(2, 1, 1, vec![0.0, 1.0], 1.0).is_ok());
        for (width, samples, range) in [
            (1, vec![0.0, 1.0], 1.0),
            (2, vec![0.0, f64::NAN], 1.0),
            (2, vec![0.0; 2], 0.0),
            (0, vec![], 1.0),
        ] {
            assert!(Image::new(width, 1, 1, samples, range).is_err());
        }
    }
}
