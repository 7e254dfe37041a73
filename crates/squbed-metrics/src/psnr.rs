//! The peak signal-to-noise ratio.

use crate::{error::Result, image::Image};

/// 10 log₁₀(range²/MSE) in decibels, the mean square error over pixels and channels; infinite where the images
/// are the same.
///
/// # Errors
///
/// Images of different size, channels or range.
pub fn psnr(a: &Image, b: &Image) -> Result<f64> {
    a.check_pair(b)?;
    // Of bytes every square is a whole number, and so is their sum below 2^53.
    let squares: f64 = a.samples().iter().zip(b.samples()).map(|(a, b)| (a - b) * (a - b)).sum();
    let mse = squares / a.samples().len() as f64;
    Ok(10.0 * (a.range() * a.range() / mse).log10())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_the_same_image_it_is_infinite() {
        let image = Image::new(2, 1, 1, vec![3.0, 4.0], 255.0).unwrap();
        assert_eq!(psnr(&image, &image).unwrap(), f64::INFINITY);
    }

    #[test]
    fn the_range_counts() {
        let image = |samples: [f64; 2], range| Image::new(2, 1, 1, samples.to_vec(), range).unwrap();
        // Mean square error 0.01 of range 1: 20 dB; the same values in a range of 10: 40 dB.
        assert!((psnr(&image([0.0, 0.5], 1.0), &image([0.1, 0.4], 1.0)).unwrap() - 20.0).abs() < 1e-12);
        assert!((psnr(&image([0.0, 0.5], 10.0), &image([0.1, 0.4], 10.0)).unwrap() - 40.0).abs() < 1e-12);
        assert!(psnr(&image([0.0, 0.5], 1.0), &image([0.0, 0.5], 255.0)).is_err());
    }
}
