//! What trusting the least uncertain items first is worth.
//!
//! El-Yaniv and Wiener, *On the Foundations of Noise-free Selective Classification* (JMLR 2010), and Geifman,
//! Uziel and El-Yaniv, *Bias-Reduced Uncertainty Estimation for Deep Neural Classifiers* (ICLR 2019, arXiv
//! 1805.08206), for the area.

use crate::{check, error::Error, rank::order};

/// One point of the curve.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CoveragePoint {
    /// Share of the items kept, least uncertain first; in (0, 1].
    pub coverage: f64,
    /// Their mean risk.
    pub risk: f64,
}

/// The risk–coverage curve and its area, with the areas of the best and of no ordering.
#[derive(Clone, Debug, PartialEq)]
pub struct RiskCoverage {
    /// A point for each number of items kept, 1 to n.
    pub curve: Vec<CoveragePoint>,
    /// The same where items are kept in the order of their risk: no uncertainty does better.
    pub best: Vec<CoveragePoint>,
    /// Mean of the curve (AURC).
    pub area: f64,
    /// The same of the best curve.
    pub optimal: f64,
    /// The same, expected, where they are kept in random order: the mean risk.
    pub random: f64,
    /// Share of the way from random to optimal, (random − area)/(random − optimal): 1 at best, 0 for an
    /// uncertainty that says nothing, negative for a misleading one; NaN where all risks are equal.
    pub gain: f64,
}

/// The risk–coverage curve of uncertainties with risks, such as one less the accuracy, or its negative.
///
/// Items of equal uncertainty are kept in no order: within a tie the curve is its expectation over all orders,
/// so that the result does not depend on how the items are listed.
///
/// # Errors
///
/// Columns of different length, fewer than two items, NaN, a risk that is not finite.
pub fn risk_coverage(uncertainty: &[f64], risk: &[f64]) -> Result<RiskCoverage, Error> {
    check(uncertainty, risk)?;
    if let Some(row) = risk.iter().position(|v| v.is_infinite()) {
        return Err(Error::Infinite { column: "risk", row });
    }
    let (curve, best) = (curve(uncertainty, risk), curve(risk, risk));
    let (area, optimal, random) = (mean(&curve), mean(&best), curve[curve.len() - 1].risk);
    // Rounding can part the two areas of equal risks, so the risks themselves are asked.
    let equal = risk.iter().all(|v| *v == risk[0]);
    let gain = if equal { f64::NAN } else { (random - area) / (random - optimal) };
    Ok(RiskCoverage { curve, best, area, optimal, random, gain })
}

fn curve(uncertainty: &[f64], risk: &[f64]) -> Vec<CoveragePoint> {
    let n = risk.len();
    let order = order(uncertainty);
    let (mut kept, mut sum) = (0, 0.0);
    let mut curve = Vec::with_capacity(n);
    for tie in order.chunk_by(|&i, &j| uncertainty[i] == uncertainty[j]) {
        let tie_sum: f64 = tie.iter().map(|&i| risk[i]).sum();
        for from_tie in 1..=tie.len() {
            let count = (kept + from_tie) as f64;
            let expected = sum + tie_sum * from_tie as f64 / tie.len() as f64;
            curve.push(CoveragePoint { coverage: count / n as f64, risk: expected / count });
        }
        kept += tie.len();
        sum += tie_sum;
    }
    curve
}

fn mean(curve: &[CoveragePoint]) -> f64 {
    curve.iter().map(|point| point.risk).sum::<f64>() / curve.len() as f64
}
