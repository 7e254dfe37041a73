//! Both parts of the uncertainty, and the totals that are made of them.

use serde::{Deserialize, Serialize};
use squbed_core::TaskUncertainty;

/// Point masses among an estimate's groups: samples that are all the same, whose entropy is −∞. They end
/// nothing: ranks take −∞ as the least value, and means leave it out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PointMasses {
    /// Latent prompts whose videos are all the same, left out of their tasks' means.
    pub latents_left_out: usize,
    /// Tasks whose latent prompts are all the same: their aleatoric part is −∞.
    pub aleatoric: usize,
    /// Tasks of which every latent prompt's videos are all the same: their epistemic part is −∞.
    pub epistemic: usize,
}

impl PointMasses {
    /// Those of an estimate.
    pub fn of(parts: &[Parts]) -> Self {
        let infinite = |f: fn(&Parts) -> f64| parts.iter().filter(|p| f(p) == f64::NEG_INFINITY).count();
        Self {
            latents_left_out: parts.iter().map(|p| p.latents_left_out).sum(),
            aleatoric: infinite(|p| p.aleatoric),
            epistemic: infinite(|p| p.epistemic),
        }
    }

    /// What a reader has to know of them, one sentence each; none where there are none.
    pub fn sentences(&self) -> Vec<String> {
        let said = [
            (
                self.latents_left_out,
                "latent prompt(s) have videos that are all the same (h = −∞) and are left out of their tasks' means",
            ),
            (self.aleatoric, "task(s) have latent prompts that are all the same: aleatoric and total are −∞"),
            (self.epistemic, "task(s) have no latent prompt whose videos differ: epistemic and total are −∞"),
        ];
        said.into_iter().filter(|(k, _)| *k > 0).map(|(k, what)| format!("{k} {what}")).collect()
    }
}

/// One pair of numbers a task, from whatever estimator.
#[derive(Clone, Debug, PartialEq)]
pub struct Parts {
    /// The task.
    pub id: String,
    /// Aleatoric estimate.
    pub aleatoric: f64,
    /// Epistemic estimate.
    pub epistemic: f64,
    /// Latent prompts whose videos are all the same, left out of the epistemic estimate.
    pub latents_left_out: usize,
    /// The videos that they are of, see [`crate::sources::videos_digest`]; none where that was not written down.
    pub videos_digest: Option<String>,
}

impl From<&TaskUncertainty> for Parts {
    fn from(task: &TaskUncertainty) -> Self {
        Self {
            id: task.id.clone(),
            aleatoric: task.aleatoric,
            epistemic: task.epistemic,
            latents_left_out: task.latents_left_out,
            videos_digest: task.videos_digest.clone(),
        }
    }
}

/// Totals that put both parts on one scale: the sum of their average ranks.
pub fn rank_sum(aleatoric: &[f64], epistemic: &[f64]) -> Vec<f64> {
    add(&squbed_stats::ranks(aleatoric), &squbed_stats::ranks(epistemic))
}

/// The sum of their z-scores.
pub fn zscore_sum(aleatoric: &[f64], epistemic: &[f64]) -> Vec<f64> {
    add(&squbed_stats::z_scores(aleatoric), &squbed_stats::z_scores(epistemic))
}

pub(super) fn add(x: &[f64], y: &[f64]) -> Vec<f64> {
    x.iter().zip(y).map(|(x, y)| x + y).collect()
}

/// A total of every task, and the two parts that it is made of.
pub(super) struct Total {
    pub(super) values: Vec<f64>,
    pub(super) aleatoric: Vec<f64>,
    pub(super) epistemic: Vec<f64>,
}

/// The totals by name, in the order in which they are reported, or why there is none:
///
/// - `sum`: the paper's, h(Z | ℓ) + h(V | Z) (Eq. 3). By the chain rule that is the joint entropy h(V, Z | ℓ), not h(V | ℓ):
///   Eq. 12 drops the integral over z within the logarithm. Its parts live in spaces of different dimension, and the one
///   with the larger range drives its ranking.
/// - `mi`: h(V | ℓ) = h(V | Z) + I(V; Z | ℓ), the entropy of all of a task's videos together, all in the one video space.
///   The mutual information takes the aleatoric part's place.
/// - `rank_sum`, `zscore_sum`: the sum of both parts' ranks, or z-scores, among the tasks.
pub(super) fn totals(rows: &[&TaskUncertainty]) -> Vec<(&'static str, Result<Total, String>)> {
    let column = |f: fn(&TaskUncertainty) -> f64| -> Vec<f64> { rows.iter().map(|row| f(row)).collect() };
    let (aleatoric, epistemic) = (column(|row| row.aleatoric), column(|row| row.epistemic));
    let of = |values| Total { values, aleatoric: aleatoric.clone(), epistemic: epistemic.clone() };
    let pooled = column(|row| row.pooled.as_ref().map_or(f64::NAN, |fit| fit.entropy));
    let mi = if pooled.iter().any(|h| h.is_nan()) {
        Err("the uncertainties have no pooled entropy; run `squbed estimate` again".to_owned())
    } else {
        let information = column(|row| row.mutual_information);
        Ok(Total { values: pooled, aleatoric: information, epistemic: epistemic.clone() })
    };
    let zscore = if aleatoric.iter().chain(&epistemic).all(|h| h.is_finite()) {
        Ok(of(zscore_sum(&aleatoric, &epistemic)))
    } else {
        Err("a part of a task is −∞ (all its samples are the same), so that there are no z-scores".to_owned())
    };
    vec![
        ("sum", Ok(of(add(&aleatoric, &epistemic)))),
        ("mi", mi),
        ("rank_sum", Ok(of(rank_sum(&aleatoric, &epistemic)))),
        ("zscore_sum", zscore),
    ]
}
