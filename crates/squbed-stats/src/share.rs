//! What drives the ranking of a sum.

use crate::{Alternative, check, check_third, error::Error, linear::pearson, rank::ranks, tau_b};

/// How much each of two parts drives the ranking of their total.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RankShares {
    /// τ-b of the total with the first part.
    pub tau_first: f64,
    /// τ-b of the total with the second part.
    pub tau_second: f64,
    /// Share of the variance of the total's ranks that the first part's ranks explain.
    pub first: f64,
    /// The same of the second part; both sum to R² of the two together.
    pub second: f64,
}

/// τ of the total with each part, and the variance of the total's ranks parted between the ranks of both.
///
/// The shares are those of Lindeman, Merenda and Gold (1980; Grömping 2007, doi:10.1198/000313007X188252): what a
/// part adds to R² of a linear regression on ranks, averaged over the two orders in which the parts can enter. They
/// are not negative, and two parts of one ranking share alike.
///
/// A part that is constant explains nothing; of a constant total all is NaN.
///
/// # Errors
///
/// Columns of different length, fewer than two items, NaN.
pub fn rank_shares(total: &[f64], first: &[f64], second: &[f64]) -> Result<RankShares, Error> {
    check(total, first)?;
    check_third(total, second)?;
    let (tau_first, tau_second) = (tau_b(total, first), tau_b(total, second));
    let ranks = [total, first, second].map(ranks);
    let r = |i: usize, j: usize| -> Result<f64, Error> {
        Ok(pearson(&ranks[i], &ranks[j], Alternative::TwoSided)?.r)
    };
    if total.iter().all(|v| *v == total[0]) {
        return Ok(RankShares { tau_first, tau_second, first: f64::NAN, second: f64::NAN });
    }
    // A constant column correlates with nothing.
    let or_0 = |r: f64| if r.is_nan() { 0.0 } else { r };
    let (a, b, ab) = (or_0(r(0, 1)?), or_0(r(0, 2)?), or_0(r(1, 2)?));
    let rest = 1.0 - ab * ab;
    let both = if rest > 1e-12 { (a * a + b * b - 2.0 * a * b * ab) / rest } else { a * a };
    Ok(RankShares {
        tau_first,
        tau_second,
        first: (a * a + both - b * b) / 2.0,
        second: (b * b + both - a * a) / 2.0,
    })
}
