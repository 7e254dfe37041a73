//! What the uncertainty is good for: keeping the tasks that it trusts.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use squbed_core::float;

use super::{
    claim::Scored,
    confounders::Confounders,
    parts::{Total, totals},
};
use crate::error::Result;

/// How much each part drives a total's ranking.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Contribution {
    /// τ-b of the total with its aleatoric part; of the total `mi` that is the mutual information.
    #[serde(with = "float")]
    pub tau_aleatoric: f64,
    /// τ-b of the total with its epistemic part.
    #[serde(with = "float")]
    pub tau_epistemic: f64,
    /// Share of the variance of the total's ranks that the aleatoric part's ranks explain (averaged over the orders in
    /// which the parts enter a regression, [`squbed_stats::rank_shares`]).
    #[serde(with = "float")]
    pub share_aleatoric: f64,
    /// The same of the epistemic part.
    #[serde(with = "float")]
    pub share_epistemic: f64,
}

/// What trusting the tasks of lowest uncertainty first is worth; the risk is the negative accuracy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RiskCoverageArea {
    /// Mean risk over all coverages (AURC).
    pub area: f64,
    /// The same where tasks are kept in the order of their accuracy.
    pub optimal: f64,
    /// The same, expected, where they are kept in random order.
    pub random: f64,
    /// Share of the way from random to optimal; NaN where all accuracies are equal.
    #[serde(with = "float")]
    pub gain: f64,
}

/// One point of a risk–coverage curve.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RiskCoverageRow {
    /// The estimate.
    pub estimate: String,
    /// The accuracy, whose negative is the risk.
    pub metric: String,
    /// The total, or [`OPTIMAL`].
    pub total: String,
    /// Share of the tasks kept.
    pub coverage: f64,
    /// Their mean risk.
    pub risk: f64,
}

/// An accuracy that accepted tasks should reach.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Target {
    /// The accuracy, in the unit of the primary metric.
    pub accuracy: f64,
    /// Largest chance of a task that is accepted and falls short.
    pub alpha: f64,
}

/// Which further tasks may be accepted, by one total that a task has of its own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Acceptance {
    /// What is asked for.
    pub target: Target,
    /// The total's largest value that is accepted, nats; −∞ where none is.
    #[serde(with = "float")]
    pub threshold: f64,
    /// Tasks at hand that it is calibrated on.
    pub n: usize,
    /// Of those, the ones that it accepts.
    pub accepted: usize,
    /// Of the accepted ones, those that fall short.
    pub short: usize,
}

/// What one accuracy says of one estimate, beside the tests.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct MetricAnalysis {
    /// Tasks with this accuracy.
    pub n: usize,
    /// How much each part drives each total, by total.
    pub contributions: BTreeMap<String, Contribution>,
    /// Risk and coverage, by total.
    pub risk_coverage: BTreeMap<String, RiskCoverageArea>,
    /// Thresholds for the wanted accuracy, by total. A rank or a z-score is relative to the tasks at hand, so that a
    /// further task has none, and no threshold is made of it.
    #[serde(default)]
    pub acceptance: BTreeMap<String, Acceptance>,
    /// What else may stand behind the correlations.
    #[serde(default)]
    pub confounders: Confounders,
    /// Why something is not there, by its name.
    #[serde(default)]
    pub not_computed: BTreeMap<String, String>,
}

/// In the place of a total: the order of the accuracy itself, which no uncertainty does better than.
pub const OPTIMAL: &str = "optimal";

fn points(scored: &Scored<'_>, total: &str, curve: Vec<squbed_stats::CoveragePoint>) -> Vec<RiskCoverageRow> {
    let row = |point: squbed_stats::CoveragePoint| RiskCoverageRow {
        estimate: scored.estimate.to_owned(),
        metric: scored.metric.to_owned(),
        total: total.to_owned(),
        coverage: point.coverage,
        risk: point.risk,
    };
    curve.into_iter().map(row).collect()
}

/// Totals that a task has whatever the others are.
const OWN: [&str; 2] = ["sum", "mi"];

/// Contributions, risk and coverage, and thresholds of one accuracy; the curves apart.
pub(super) fn analyse(
    scored: &Scored<'_>,
    target: Option<Target>,
) -> Result<(MetricAnalysis, Vec<RiskCoverageRow>)> {
    let mut analysis = MetricAnalysis { n: scored.rows.len(), ..MetricAnalysis::default() };
    let mut rows = Vec::new();
    if scored.rows.len() < 2 {
        let why =
            format!("{} task(s) with this accuracy are too few, at least 2 are needed", scored.rows.len());
        analysis.not_computed.insert("all".to_owned(), why);
        return Ok((analysis, rows));
    }
    let risk: Vec<f64> = scored.accuracy.iter().map(|accuracy| -accuracy).collect();
    for (name, total) in totals(&scored.rows) {
        let Total { values, aleatoric, epistemic } = match total {
            Ok(total) => total,
            Err(why) => {
                analysis.not_computed.insert(format!("total_{name}"), why);
                continue;
            }
        };
        let shares = squbed_stats::rank_shares(&values, &aleatoric, &epistemic)?;
        let contribution = Contribution {
            tau_aleatoric: shares.tau_first,
            tau_epistemic: shares.tau_second,
            share_aleatoric: shares.first,
            share_epistemic: shares.second,
        };
        analysis.contributions.insert(name.to_owned(), contribution);
        match squbed_stats::risk_coverage(&values, &risk) {
            Ok(squbed_stats::RiskCoverage { curve, best, area, optimal, random, gain }) => {
                // The best order is one for all totals.
                let optimal_rows = if rows.is_empty() { points(scored, OPTIMAL, best) } else { Vec::new() };
                rows.extend(optimal_rows);
                let area = RiskCoverageArea { area, optimal, random, gain };
                analysis.risk_coverage.insert(name.to_owned(), area);
                rows.extend(points(scored, name, curve));
            }
            Err(error @ squbed_stats::Error::Infinite { .. }) => {
                let infinite = scored.accuracy.iter().filter(|accuracy| accuracy.is_infinite()).count();
                let why = format!(
                    "{infinite} of {} tasks have an infinite accuracy, so that there is no mean risk ({error})",
                    scored.accuracy.len()
                );
                analysis.not_computed.insert("risk_coverage".to_owned(), why);
            }
            Err(other) => return Err(other.into()),
        }
        let Some(target) = target.filter(|_| OWN.contains(&name)) else { continue };
        match squbed_stats::conformal_threshold(&values, &scored.accuracy, target.accuracy, target.alpha) {
            Ok(squbed_stats::ConformalThreshold { threshold, n, accepted, short, .. }) => {
                let acceptance = Acceptance { target, threshold, n, accepted, short };
                analysis.acceptance.insert(name.to_owned(), acceptance);
            }
            Err(error @ squbed_stats::Error::TooFewForLevel { .. }) => {
                analysis.not_computed.insert("acceptance".to_owned(), error.to_string());
            }
            Err(other) => return Err(other.into()),
        }
    }
    Ok((analysis, rows))
}
