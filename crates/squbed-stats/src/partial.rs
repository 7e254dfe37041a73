//! Kendall's partial τ.

use crate::{Alternative, check, check_third, error::Error, kendall::tau_b, student::normal_upper_tail};

/// The rank correlation of two columns with a third one held fixed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PartialKendall {
    /// Rows.
    pub n: usize,
    /// Partial τ in \[−1, 1\]; NaN where a column is constant or z orders the rows as x or y does.
    pub tau: f64,
    /// p-value by the normal approximation; NaN where τ is, or with fewer than four rows.
    pub p: f64,
    /// What p speaks against.
    pub alternative: Alternative,
}

/// Kendall's partial τ of x and y given z, (τ_xy − τ_xz τ_yz)/√((1 − τ_xz²)(1 − τ_yz²)) (Kendall 1942,
/// doi:10.1093/biomet/32.3-4.277), each τ a τ-b.
///
/// Its exact distribution under independence is not known. p is the approximation that the R package `ppcor` uses
/// (Kim 2015, doi:10.5351/CSAM.2015.22.6.665), τ over √(2(2m + 5)/(9m(m − 1))) with m = n − 1; where it matters,
/// take the interval of a [`bootstrap`](crate::bootstrap()) over rows beside it.
///
/// # Errors
///
/// Columns of different length, fewer than two rows, NaN.
pub fn partial_kendall(
    x: &[f64],
    y: &[f64],
    z: &[f64],
    alternative: Alternative,
) -> Result<PartialKendall, Error> {
    check(x, y)?;
    check_third(x, z)?;
    let n = x.len();
    let (xy, xz, yz) = (tau_b(x, y), tau_b(x, z), tau_b(y, z));
    let tau = partial_tau(xy, xz, yz);
    let m = n as f64 - 1.0;
    let score = tau / (2.0 * (2.0 * m + 5.0) / (9.0 * m * (m - 1.0))).sqrt();
    let p = if n < 4 || score.is_nan() {
        f64::NAN
    } else {
        match alternative {
            Alternative::TwoSided => 2.0 * normal_upper_tail(score.abs()),
            Alternative::Greater => normal_upper_tail(score),
            Alternative::Less => normal_upper_tail(-score),
        }
    };
    Ok(PartialKendall { n, tau, p, alternative })
}

/// Partial τ from the three τ's; NaN where nothing of x or y is free of z.
pub(crate) fn partial_tau(xy: f64, xz: f64, yz: f64) -> f64 {
    let free = ((1.0 - xz * xz) * (1.0 - yz * yz)).sqrt();
    if free > 0.0 { ((xy - xz * yz) / free).clamp(-1.0, 1.0) } else { f64::NAN }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_of_a_perfect_order_by_rounding_is_no_correlation() {
        // z orders the rows as x does, at every length: nothing of x is free of z.
        for n in 4..100 {
            let x: Vec<f64> = (0..n).map(f64::from).collect();
            let y: Vec<f64> = (0..n).map(|i| f64::from(i * 7 % n)).collect();
            assert_eq!(tau_b(&x, &x), 1.0, "{n}");
            let partial = partial_kendall(&x, &y, &x, Alternative::TwoSided).unwrap();
            assert!(partial.tau.is_nan() && partial.p.is_nan(), "{n}: {partial:?}");
        }
    }
}
