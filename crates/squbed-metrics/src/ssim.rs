//! The structural similarity of two images.
//!
//! Wang, Bovik, Sheikh and Simoncelli, *Image quality assessment: from error visibility to structural
//! similarity* (IEEE TIP 2004, doi:10.1109/TIP.2003.819861): a Gaussian window of 11×11 and σ = 1.5, K₁ = 0.01,
//! K₂ = 0.03, moments without sample correction, windows that lie in the image whole, no resampling. Of several
//! channels it is the mean of each one's.

use crate::{
    error::{Error, Result},
    image::Image,
};

/// Side of the window, and so the least side of an image.
pub const WINDOW: usize = 11;
const SIGMA: f64 = 1.5;
const K1: f64 = 0.01;
const K2: f64 = 0.03;

/// The mean structural similarity, at most 1, which identical images have.
///
/// # Errors
///
/// Images of different size, channels or range, or of fewer than 11 rows or columns.
pub fn ssim(a: &Image, b: &Image) -> Result<f64> {
    a.check_pair(b)?;
    let (width, height, channels) = (a.width(), a.height(), a.channels());
    if width < WINDOW || height < WINDOW {
        return Err(Error::TooSmall { metric: "ssim", least: WINDOW, width, height });
    }
    let window = window();
    let (c1, c2) = ((K1 * a.range()).powi(2), (K2 * a.range()).powi(2));
    let plane = |image: &Image, c: usize| -> Vec<f64> {
        image.samples().iter().skip(c).step_by(channels).copied().collect()
    };
    let one_channel = |c: usize| {
        let (x, y) = (plane(a, c), plane(b, c));
        let filtered = |f: fn(f64, f64) -> f64| {
            let values: Vec<f64> = x.iter().zip(&y).map(|(&x, &y)| f(x, y)).collect();
            filter(&values, width, height, &window)
        };
        let (mean_x, mean_y) = (filtered(|x, _| x), filtered(|_, y| y));
        let (xx, yy, xy) = (filtered(|x, _| x * x), filtered(|_, y| y * y), filtered(|x, y| x * y));
        let at = |i: usize| {
            let (mx, my) = (mean_x[i], mean_y[i]);
            let (vx, vy, vxy) = (xx[i] - mx * mx, yy[i] - my * my, xy[i] - mx * my);
            // Eq. 13.
            ((2.0 * mx * my + c1) * (2.0 * vxy + c2)) / ((mx * mx + my * my + c1) * (vx + vy + c2))
        };
        (0..mean_x.len()).map(at).sum::<f64>() / mean_x.len() as f64
    };
    Ok((0..channels).map(one_channel).sum::<f64>() / channels as f64)
}

/// One axis of the window; the two-dimensional one is its product with itself.
fn window() -> [f64; WINDOW] {
    let weight = |i: usize| {
        let x = i as f64 - (WINDOW / 2) as f64;
        (-x * x / (2.0 * SIGMA * SIGMA)).exp()
    };
    let weights: [f64; WINDOW] = std::array::from_fn(weight);
    let sum: f64 = weights.iter().sum();
    weights.map(|w| w / sum)
}

/// The weighted mean of every window that lies whole in a plane `[height, width]`.
fn filter(plane: &[f64], width: usize, height: usize, window: &[f64; WINDOW]) -> Vec<f64> {
    let (w, h) = (width + 1 - WINDOW, height + 1 - WINDOW);
    // Whole rows times one weight, shifted and added, which compilers turn into vector instructions.
    let add =
        |out: &mut [f64], row: &[f64], k: f64| out.iter_mut().zip(row).for_each(|(out, x)| *out += x * k);
    let mut rows = vec![0.0; w * height];
    for (out, row) in rows.chunks_exact_mut(w).zip(plane.chunks_exact(width)) {
        window.iter().enumerate().for_each(|(shift, k)| add(out, &row[shift..], *k));
    }
    let mut out = vec![0.0; w * h];
    for (y, out) in out.chunks_exact_mut(w).enumerate() {
        rows[y * w..].chunks_exact(w).zip(window).for_each(|(row, k)| add(out, row, *k));
    }
    out
}
