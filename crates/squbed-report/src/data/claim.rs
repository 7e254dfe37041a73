//! The paper's claim, that uncertainty predicts accuracy, figure by figure.

use serde::Serialize;
use squbed_core::float;

use crate::{Curves, Scatter};

/// Every test of the claim, with what was fixed before.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Claim {
    /// The tests, each with its figure.
    pub tests: Vec<ClaimTest>,
    /// Of which tasks the subset of Figure 5 consists, in words.
    pub subset_rule: String,
    /// What p-values are corrected over, in words.
    pub families: String,
    /// Where the human ranking of Figure 3 comes from, in words; empty where there is none.
    pub human_ranking: String,
    /// Tasks by what a test correlates: of Figure 3 each accuracy with the human ranking, of Figure 4 each total with each
    /// accuracy.
    pub scatters: Vec<ClaimScatter>,
    /// Curves: τ over all thresholds, risk over coverage.
    pub curves: Vec<ClaimCurves>,
    /// How much each part drives the order of each total.
    pub contributions: Vec<Contribution>,
    /// What trusting the least uncertain tasks first is worth.
    pub risk_coverage: Vec<RiskCoverage>,
    /// The same correlations with the prompt's length held fixed, and within categories; no tests of a figure.
    pub past_the_prompts: Vec<ClaimTest>,
    /// Which further tasks may be accepted, in words; empty where no accuracy was wanted.
    pub accepted: Vec<String>,
    /// Metrics that were asked for and could not be computed.
    pub not_run: Vec<NotRun>,
    /// What else is missing, and why.
    pub not_computed: Vec<NotRun>,
}

/// One rank correlation of the claim.
#[derive(Clone, Debug, Serialize)]
pub struct ClaimTest {
    /// The paper's figure: 3, 4 or 5.
    pub figure: u8,
    /// The estimate; empty where no uncertainty takes part.
    pub estimate: String,
    /// The accuracy.
    pub metric: String,
    /// What is correlated, in words.
    pub x: String,
    /// With what, in words.
    pub y: String,
    /// Which tasks, and what is held fixed.
    pub scope: String,
    /// Tasks.
    pub n: usize,
    /// Kendall's τ-b.
    #[serde(with = "float")]
    pub tau: f64,
    /// Lower end of its interval.
    #[serde(with = "float")]
    pub ci_low: f64,
    /// Upper end.
    #[serde(with = "float")]
    pub ci_high: f64,
    /// Two-sided p.
    #[serde(with = "float")]
    pub p: f64,
    /// How p was computed, e.g. `exact`.
    pub p_method: String,
    /// Two-sided p of a permutation test beside it; NaN where none was made.
    #[serde(with = "float")]
    pub p_permutation: f64,
    /// One-sided p of the claim's direction.
    #[serde(with = "float")]
    pub p_less: f64,
    /// Two-sided p after Holm's correction.
    #[serde(with = "float")]
    pub p_holm: f64,
    /// Why τ is undefined, where it is.
    pub undefined: Option<String>,
}

/// A scatter plot of the claim.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ClaimScatter {
    /// The paper's figure: 3 or 4.
    pub figure: u8,
    /// The picture; its name is given by the report.
    pub scatter: Scatter,
}

/// Curves with what a reader has to know of them.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ClaimCurves {
    /// The picture; its name is given by the report.
    pub curves: Curves,
    /// What stands under it.
    pub caption: String,
}

/// How much each part drives the order of a total.
#[derive(Clone, Debug, Serialize)]
pub struct Contribution {
    /// The estimate.
    pub estimate: String,
    /// The total, in words.
    pub total: String,
    /// τ of the total with its first part: aleatoric, or of the total `mi` the mutual information.
    #[serde(with = "float")]
    pub tau_aleatoric: f64,
    /// τ of the total with its epistemic part.
    #[serde(with = "float")]
    pub tau_epistemic: f64,
    /// Share of the variance of its ranks that the first part explains.
    #[serde(with = "float")]
    pub share_aleatoric: f64,
    /// The same of the epistemic part.
    #[serde(with = "float")]
    pub share_epistemic: f64,
}

/// Area under a risk–coverage curve with its references.
#[derive(Clone, Debug, Serialize)]
pub struct RiskCoverage {
    /// The estimate.
    pub estimate: String,
    /// The accuracy whose negative is the risk.
    pub metric: String,
    /// The total, in words.
    pub total: String,
    /// Area of the curve.
    #[serde(with = "float")]
    pub area: f64,
    /// Area of the best order.
    #[serde(with = "float")]
    pub optimal: f64,
    /// Area of a random order.
    #[serde(with = "float")]
    pub random: f64,
    /// Share of the way from random to optimal.
    #[serde(with = "float")]
    pub gain: f64,
}

/// Something that was asked for and could not be computed.
#[derive(Clone, Debug, Serialize)]
pub struct NotRun {
    /// The metric, or what else it is.
    pub metric: String,
    /// Why, and what to do.
    pub why: String,
}
