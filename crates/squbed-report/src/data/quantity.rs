//! What is measured of a task, and bounds on a correlation.

use serde::Serialize;

/// What is measured of a task; two of them make a correlation and a scatter plot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Quantity {
    /// Estimated h(Z | ℓ), nats ([`Estimate::aleatoric`](crate::Estimate::aleatoric)).
    Aleatoric,
    /// Estimated h(V | Z), nats ([`Estimate::epistemic`](crate::Estimate::epistemic)).
    Epistemic,
    /// Sum of the ranks of both parts.
    TotalRankSum,
    /// The paper's plain sum (Eq. 3), nats.
    TotalSum,
    /// Sum of the z-scores of both parts.
    TotalZSum,
    /// The true entropy of what the prompt leaves open, nats.
    TrueAleatoric,
    /// The true entropy of what the model does not know, nats.
    TrueEpistemic,
    /// The accuracy at this position in [`ReportData::accuracies`](crate::ReportData::accuracies).
    Accuracy(usize),
}

/// Where a correlation has to lie, ends included.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Bound {
    /// At this value or above.
    AtLeast(f64),
    /// At this value or below.
    AtMost(f64),
    /// Within ± this value.
    Within(f64),
}

impl Bound {
    /// Both ends of the allowed part of [−1, 1].
    pub(crate) fn range(self) -> (f64, f64) {
        match self {
            Self::AtLeast(low) => (low, 1.0),
            Self::AtMost(high) => (-1.0, high),
            Self::Within(half) => (-half.abs(), half.abs()),
        }
    }
}
