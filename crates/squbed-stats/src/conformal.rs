//! A threshold with a guarantee for items to come.

use crate::{check, error::Error, rank::order};

/// Which items may be accepted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ConformalThreshold {
    /// Items that it is calibrated on.
    pub n: usize,
    /// Accuracy that an accepted item should reach.
    pub target: f64,
    /// Largest chance of an item that is accepted and falls short.
    pub alpha: f64,
    /// An item is accepted where its uncertainty is at most this; −∞ where none may be.
    pub threshold: f64,
    /// Of the items at hand, those that it accepts.
    pub accepted: usize,
    /// Of those, the ones that fall short.
    pub short: usize,
}

/// The largest threshold on the uncertainty such that a further item is accepted and yet falls short of `target` with
/// probability at most α: conformal risk control (Angelopoulos et al. 2024, arXiv 2208.02814, Theorem 1) with the loss
/// of one item 1 where it is accepted and falls short, else 0, which grows with the threshold.
///
/// The largest t among the uncertainties with (k(t) + 1)/(n + 1) ≤ α, k(t) being the items up to t that fall short.
/// Valid at any n for an item exchangeable with those at hand, on average over such sets; it bounds the share among
/// all items, not among the accepted ones, which is larger the fewer are accepted.
///
/// # Errors
///
/// Columns of different length, fewer than two items, NaN, α outside (0, 1), a target that is no number; so few items
/// that no threshold has the guarantee, n < 1/α − 1.
pub fn conformal_threshold(
    uncertainty: &[f64],
    accuracy: &[f64],
    target: f64,
    alpha: f64,
) -> Result<ConformalThreshold, Error> {
    check(uncertainty, accuracy)?;
    if !(alpha > 0.0 && alpha < 1.0) {
        return Err(Error::Share { what: "level", value: alpha });
    }
    if !target.is_finite() {
        return Err(Error::Target { value: target });
    }
    let n = uncertainty.len();
    // (0 + 1)/(n + 1) ≤ α, with room for the rounding of 1/α.
    let allowed = (alpha * (n as f64 + 1.0) + 1e-9).floor();
    if allowed < 1.0 {
        return Err(Error::TooFewForLevel { n, alpha, least: (1.0 / alpha - 1.0 - 1e-9).ceil() as usize });
    }
    let mut result =
        ConformalThreshold { n, target, alpha, threshold: f64::NEG_INFINITY, accepted: 0, short: 0 };
    let order = order(uncertainty);
    let (mut accepted, mut short) = (0, 0);
    for tie in order.chunk_by(|&i, &j| uncertainty[i] == uncertainty[j]) {
        accepted += tie.len();
        short += tie.iter().filter(|&&i| accuracy[i] < target).count();
        if (short + 1) as f64 > allowed {
            break;
        }
        result = ConformalThreshold { threshold: uncertainty[tie[0]], accepted, short, ..result };
    }
    Ok(result)
}
