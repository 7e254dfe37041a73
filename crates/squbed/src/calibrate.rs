//! Does uncertainty predict accuracy, and does it follow the truth where the truth is known?

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use squbed_core::{TaskUncertainty, float};
use squbed_stats::{Alternative, KendallMethod};

use crate::error::{Error, Result};

/// A rank correlation over tasks with its p-value and interval.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Correlation {
    /// Tasks.
    pub n: usize,
    /// Kendall's τ-b.
    #[serde(with = "float")]
    pub tau: f64,
    /// Two-sided p, exact where there are no ties and few tasks.
    #[serde(with = "float")]
    pub p: f64,
    /// `exact` or `asymptotic`.
    pub p_method: String,
    /// Lower end of the 95 % interval.
    #[serde(with = "float")]
    pub ci_low: f64,
    /// Upper end.
    #[serde(with = "float")]
    pub ci_high: f64,
    /// How the interval was made.
    pub ci_method: String,
}

/// What is known of a task of the closed world.
#[derive(Clone, Debug, PartialEq)]
pub struct Truth {
    /// Entropy of what the prompt leaves open, nats.
    pub aleatoric: f64,
    /// Entropy of what the model does not know, nats.
    pub epistemic: f64,
    /// Whether the model is certain of something false; such tasks are kept apart.
    pub confidently_wrong: bool,
}

/// Estimates against known truths.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TruthCorrelations {
    /// Estimated with true aleatoric: should be high.
    pub aleatoric: Correlation,
    /// Estimated with true epistemic: should be high.
    pub epistemic: Correlation,
    /// Estimated aleatoric with true epistemic: should vanish.
    pub cross_ae: Correlation,
    /// Estimated epistemic with true aleatoric: should vanish.
    pub cross_ea: Correlation,
}

/// Every correlation of one set of estimates.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// Against the truth, in the closed world.
    pub truth: Option<TruthCorrelations>,
    /// Rank-sum total with accuracy.
    pub total_accuracy: Option<Correlation>,
    /// The paper's plain sum with accuracy.
    pub total_accuracy_sum: Option<Correlation>,
    /// Sum of z-scores with accuracy; absent where a part is infinite, since it has no z-scores then.
    pub total_accuracy_zscore: Option<Correlation>,
    /// Aleatoric part with accuracy.
    pub aleatoric_accuracy: Option<Correlation>,
    /// Epistemic part with accuracy.
    pub epistemic_accuracy: Option<Correlation>,
    /// The plain sum with its aleatoric part: how much that part drives the total's ranking.
    pub total_aleatoric: Correlation,
    /// The plain sum with its epistemic part.
    pub total_epistemic: Correlation,
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
}

impl From<&TaskUncertainty> for Parts {
    fn from(task: &TaskUncertainty) -> Self {
        Self { id: task.id.clone(), aleatoric: task.aleatoric, epistemic: task.epistemic }
    }
}

/// How intervals are made.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Resampling {
    /// Bootstrap samples of the tasks.
    pub resamples: usize,
    /// Seed of the resampling.
    pub seed: u64,
}

impl Default for Resampling {
    fn default() -> Self {
        Self { resamples: 2000, seed: 0 }
    }
}

/// Level of every interval.
pub const LEVEL: f64 = 0.95;

/// τ-b of two columns, two-sided, with its percentile-bootstrap interval over the rows.
pub fn correlate(x: &[f64], y: &[f64], resampling: Resampling) -> Result<Correlation> {
    let kendall = squbed_stats::kendall(x, y, Alternative::TwoSided, KendallMethod::Auto)?;
    // A constant column has no τ, hence no interval.
    let (ci_low, ci_high, ci_method) = if kendall.tau.is_nan() {
        (f64::NAN, f64::NAN, "undefined: a column is constant".to_owned())
    } else {
        let i = squbed_stats::bootstrap_kendall(x, y, LEVEL, resampling.resamples, resampling.seed)?;
        (i.low, i.high, format!("{}, {} resamples of tasks, {} %", i.method, i.resamples, i.level * 100.0))
    };
    Ok(Correlation {
        n: kendall.n,
        tau: kendall.tau,
        p: kendall.p,
        p_method: kendall.method.to_string(),
        ci_low,
        ci_high,
        ci_method,
    })
}

/// Totals that put both parts on one scale: the sum of their average ranks.
pub fn rank_sum(aleatoric: &[f64], epistemic: &[f64]) -> Vec<f64> {
    add(&squbed_stats::ranks(aleatoric), &squbed_stats::ranks(epistemic))
}

/// The sum of their z-scores.
pub fn zscore_sum(aleatoric: &[f64], epistemic: &[f64]) -> Vec<f64> {
    add(&squbed_stats::z_scores(aleatoric), &squbed_stats::z_scores(epistemic))
}

fn add(x: &[f64], y: &[f64]) -> Vec<f64> {
    x.iter().zip(y).map(|(x, y)| x + y).collect()
}

/// Every correlation of `parts`. Tasks marked `confidently_wrong` in `truth` are left out; tasks without
/// an accuracy are left out of the correlations with accuracy.
///
/// # Errors
///
/// Fewer than two tasks, or a task without a truth while others have one.
pub fn calibrate(
    parts: &[Parts],
    accuracy: &BTreeMap<String, f64>,
    truth: Option<&BTreeMap<String, Truth>>,
    resampling: Resampling,
) -> Result<Calibration> {
    let mut kept: Vec<(&Parts, Option<&Truth>)> = Vec::new();
    for part in parts {
        let known = match truth {
            Some(truth) => Some(truth.get(&part.id).ok_or_else(|| Error::NoTruth { task: part.id.clone() })?),
            None => None,
        };
        if !known.is_some_and(|t| t.confidently_wrong) {
            kept.push((part, known));
        }
    }
    if kept.len() < 2 {
        return Err(Error::TooFewTasks { got: kept.len() });
    }
    let column = |f: fn(&Parts) -> f64| -> Vec<f64> { kept.iter().map(|(p, _)| f(p)).collect() };
    let (aleatoric, epistemic) = (column(|p| p.aleatoric), column(|p| p.epistemic));
    let sum = add(&aleatoric, &epistemic);
    let tau = |x: &[f64], y: &[f64]| correlate(x, y, resampling);

    let truth = match kept.iter().map(|(_, t)| *t).collect::<Option<Vec<&Truth>>>() {
        Some(known) => {
            let (a, e): (Vec<f64>, Vec<f64>) = known.iter().map(|t| (t.aleatoric, t.epistemic)).unzip();
            Some(TruthCorrelations {
                aleatoric: tau(&aleatoric, &a)?,
                epistemic: tau(&epistemic, &e)?,
                cross_ae: tau(&aleatoric, &e)?,
                cross_ea: tau(&epistemic, &a)?,
            })
        }
        None => None,
    };

    let scored: BTreeSet<usize> =
        (0..kept.len()).filter(|&i| accuracy.get(&kept[i].0.id).is_some_and(|a| a.is_finite())).collect();
    let values: Vec<f64> = scored.iter().map(|&i| accuracy[&kept[i].0.id]).collect();
    // Totals are ranked among the tasks that have an accuracy, so that both columns speak of one set.
    let pick = |x: &[f64]| -> Vec<f64> { scored.iter().map(|&i| x[i]).collect() };
    let (a, e) = (pick(&aleatoric), pick(&epistemic));
    let against = |x: Vec<f64>| if values.len() < 2 { Ok(None) } else { tau(&x, &values).map(Some) };
    Ok(Calibration {
        truth,
        total_accuracy: against(rank_sum(&a, &e))?,
        total_accuracy_sum: against(add(&a, &e))?,
        total_accuracy_zscore: if a.iter().chain(&e).all(|h| h.is_finite()) {
            against(zscore_sum(&a, &e))?
        } else {
            None
        },
        aleatoric_accuracy: against(a.clone())?,
        epistemic_accuracy: against(e.clone())?,
        total_aleatoric: tau(&sum, &aleatoric)?,
        total_epistemic: tau(&sum, &epistemic)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(n: usize) -> Vec<Parts> {
        (0..n)
            .map(|i| Parts {
                id: format!("t{i}"),
                aleatoric: -100.0 + i as f64,
                epistemic: -900.0 + ((i * 5) % n) as f64 * 0.01,
            })
            .collect()
    }

    fn truth(parts: &[Parts], wrong: usize) -> BTreeMap<String, Truth> {
        parts
            .iter()
            .enumerate()
            .map(|(i, p)| {
                let t = Truth {
                    aleatoric: 2.0 * p.aleatoric,
                    epistemic: p.epistemic.exp(),
                    confidently_wrong: i == wrong,
                };
                (p.id.clone(), t)
            })
            .collect()
    }

    #[test]
    fn a_perfect_estimate_has_tau_one_and_wrong_tasks_stand_apart() {
        let parts = parts(12);
        let accuracy = parts.iter().map(|p| (p.id.clone(), -p.aleatoric)).collect();
        let c = calibrate(&parts, &accuracy, Some(&truth(&parts, 3)), Resampling::default()).unwrap();
        let t = c.truth.unwrap();
        assert_eq!((t.aleatoric.n, t.aleatoric.tau), (11, 1.0));
        assert_eq!(c.aleatoric_accuracy.unwrap().tau, -1.0);
        // The sum is ranked by the part with the larger range.
        assert_eq!(c.total_aleatoric.tau, 1.0);
        assert!(c.total_accuracy.unwrap().tau > -1.0);
    }

    #[test]
    fn tasks_without_an_accuracy_are_left_out() {
        let parts = parts(6);
        let accuracy =
            BTreeMap::from([("t0".to_owned(), 1.0), ("t4".to_owned(), 0.5), ("t5".to_owned(), 0.2)]);
        let c = calibrate(&parts, &accuracy, None, Resampling::default()).unwrap();
        assert_eq!(c.total_accuracy.unwrap().n, 3);
        assert!(c.truth.is_none());
        let none = calibrate(&parts, &BTreeMap::new(), None, Resampling::default()).unwrap();
        assert!(none.total_accuracy.is_none());
    }

    #[test]
    fn a_point_mass_leaves_ranks_and_no_z_scores() {
        let mut parts = parts(6);
        parts[2].aleatoric = f64::NEG_INFINITY;
        let accuracy = parts.iter().map(|p| (p.id.clone(), p.epistemic)).collect();
        let c = calibrate(&parts, &accuracy, None, Resampling::default()).unwrap();
        assert_eq!(c.total_accuracy.unwrap().n, 6);
        assert!(c.total_accuracy_zscore.is_none());
    }

    #[test]
    fn a_constant_column_is_undefined_and_said_so() {
        let c = correlate(&[1.0, 1.0, 1.0], &[1.0, 2.0, 3.0], Resampling::default()).unwrap();
        assert!(c.tau.is_nan() && c.ci_method.contains("constant"));
    }
}
