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
        // Only the sum of both variances is asked for.
        let (squares, xy) = (filtered(|x, y| x * x + y * y), filtered(|x, y| x * y));
        let at = |i: usize| {
            let (mx, my) = (mean_x[i], mean_y[i]);
            let (v, vxy) = (squares[i] - mx * mx - my * my, xy[i] - mx * my);
            // Eq. 13.
            ((2.0 * mx * my + c1) * (2.0 * vxy + c2)) / ((mx * mx + my * my + c1) * (v + c2))
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
    let mut rows = vec![0.0; w * height];
    for (row, out) in plane.chunks_exact(width).zip(rows.chunks_exact_mut(w)) {
        weigh(row, 1, window, out);
    }
    let mut out = vec![0.0; w * h];
    for (y, out) in out.chunks_exact_mut(w).enumerate() {
        weigh(&rows[y * w..], w, window, out);
    }
    out
}

/// Sums that are made side by side, so that they stay in registers and each weight meets a vector.
const LANES: usize = 8;

/// `out[i] = Σₖ window[k] · x[i + k · stride]`, in the order of k.
fn weigh(x: &[f64], stride: usize, window: &[f64; WINDOW], out: &mut [f64]) {
    let whole = out.len() / LANES * LANES;
    let (lanes, rest) = out.split_at_mut(whole);
    for (i, out) in lanes.chunks_exact_mut(LANES).enumerate() {
        let mut sums = [0.0; LANES];
        for (k, weight) in window.iter().enumerate() {
            let x = &x[i * LANES + k * stride..][..LANES];
            sums.iter_mut().zip(x).for_each(|(sum, x)| *sum += x * weight);
        }
        out.copy_from_slice(&sums);
    }
    for (i, out) in rest.iter_mut().enumerate() {
        *out = window.iter().enumerate().map(|(k, weight)| x[whole + i + k * stride] * weight).sum();
    }
}
