//! Does uncertainty predict accuracy, and does it follow the truth where the truth is known?
//!
//! [`calibrate()`] correlates one set of estimates with truth and accuracy; [`claim`] tests the paper's claim, figure by
//! figure, for every accuracy; [`confounders`] looks for what else may stand behind it; [`decision`] says what the uncertainty is good for; [`folder`] does all of it for a results'
//! folder.

mod accuracies;
pub mod claim;
pub mod confounders;
mod correlation;
pub mod decision;
mod error;
pub mod folder;
mod left_out;
pub(crate) mod pairing;
mod parts;
mod ranking;
mod subset;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

pub use accuracies::Accuracies;
pub use correlation::{
    Correlation, LEAST_RESAMPLED, LEAST_RESAMPLED_PARTIAL, LEVEL, MOST_RESAMPLED, Resampling, correlate,
    correlate_given, interval,
};
pub use error::CalibrateError;
pub use folder::{CalibrateOptions, calibrate_folder};
pub use left_out::Participation;
pub use parts::{Parts, PointMasses, rank_sum, zscore_sum};
pub use ranking::{HumanRanking, RankingUsed};
pub use subset::SubsetRule;

use crate::error::{Error, Result};
use parts::add;

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
    /// Groups that have no spread at all.
    #[serde(default)]
    pub point_masses: PointMasses,
}

/// Every correlation of `parts`. Tasks marked `confidently_wrong` in `truth` are left out; tasks without
/// an accuracy are left out of the correlations with accuracy. What too few tasks leave undefined is NaN
/// with its reason.
///
/// # Errors
///
/// A task without a truth while others have one.
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
    let column = |f: fn(&Parts) -> f64| -> Vec<f64> { kept.iter().map(|(p, _)| f(p)).collect() };
    let (aleatoric, epistemic) = (column(|p| p.aleatoric), column(|p| p.epistemic));
    let sum = add(&aleatoric, &epistemic);
    let tau = |x: &[f64], y: &[f64]| correlate(x, y, resampling);

    let truth = match truth {
        Some(_) => {
            let known = kept.iter().filter_map(|(_, t)| *t);
            let (a, e): (Vec<f64>, Vec<f64>) = known.map(|t| (t.aleatoric, t.epistemic)).unzip();
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
        (0..kept.len()).filter(|&i| accuracy.get(&kept[i].0.id).is_some_and(|a| !a.is_nan())).collect();
    let values: Vec<f64> = scored.iter().map(|&i| accuracy[&kept[i].0.id]).collect();
    // Totals are ranked among the tasks that have an accuracy, so that both columns speak of one set.
    let pick = |x: &[f64]| -> Vec<f64> { scored.iter().map(|&i| x[i]).collect() };
    let (a, e) = (pick(&aleatoric), pick(&epistemic));
    let against = |x: Vec<f64>| if values.is_empty() { Ok(None) } else { tau(&x, &values).map(Some) };
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
        point_masses: PointMasses::of(parts),
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
                latents_left_out: 0,
                videos_digest: None,
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
        parts[3].latents_left_out = 2;
        let accuracy = parts.iter().map(|p| (p.id.clone(), p.epistemic)).collect();
        let c = calibrate(&parts, &accuracy, None, Resampling::default()).unwrap();
        assert_eq!(c.total_accuracy.unwrap().n, 6);
        assert!(c.total_accuracy_zscore.is_none());
        assert_eq!(c.point_masses, PointMasses { latents_left_out: 2, aleatoric: 1, epistemic: 0 });
        let said = c.point_masses.sentences();
        assert!(said.len() == 2 && said[0].starts_with("2 latent prompt(s) have videos"), "{said:?}");
    }

    #[test]
    fn few_tasks_give_what_they_can_and_say_what_they_cannot() {
        for n in 0..=6 {
            let parts = parts(n);
            let accuracy = parts.iter().map(|p| (p.id.clone(), -p.aleatoric)).collect();
            let c = calibrate(&parts, &accuracy, Some(&truth(&parts, 99)), Resampling::default()).unwrap();
            let t = c.truth.unwrap().aleatoric;
            assert_eq!((t.n, t.tau.is_nan(), t.undefined.is_some()), (n, n < 2, n < 2));
            // The aleatoric part follows its truth without a fault: no interval at any size, for another reason.
            let why = if n < LEAST_RESAMPLED { "too few" } else { "same τ" };
            assert!(t.ci_low.is_nan() && t.ci_method.contains(why), "{n}: {}", t.ci_method);
            assert!(serde_json::to_value(&t).unwrap()["ci_low"].is_null());
            assert_eq!(c.total_aleatoric.n, n);
            assert_eq!(c.aleatoric_accuracy.map(|a| a.n), (n > 0).then_some(n));
        }
    }

    #[test]
    fn an_interval_needs_five_rows_and_some_spread() {
        let x: Vec<f64> = (0..6).map(f64::from).collect();
        let y = [1.0, 0.0, 2.0, 4.0, 3.0, 5.0];
        let of = |n: usize| interval(&x[..n], &y[..n], Resampling::default()).unwrap();
        assert!(of(4).0.is_nan() && of(4).2.contains("at least 5"), "{:?}", of(4));
        let (low, high, how) = of(5);
        assert!(
            low < 0.6 && 0.6 < high && how.starts_with("percentile bootstrap, 2000 resamples, "),
            "{low} {high} {how}"
        );
        assert!(interval(&x, &x, Resampling::default()).unwrap().2.contains("no spread"));
        // Of many rows no resample is drawn.
        let many: Vec<f64> = (0..=MOST_RESAMPLED).map(|i| i as f64).collect();
        let other: Vec<f64> = (0..=MOST_RESAMPLED).map(|i| (i * 7 % 1000) as f64 + i as f64 / 3.0).collect();
        let (low, high, how) = interval(&many, &other, Resampling::default()).unwrap();
        let tau = squbed_stats::tau_b(&many, &other);
        assert!(low < tau && tau < high && how == "jackknife over tasks, 95 %", "{low} {high} {how}");
    }

    #[test]
    fn a_constant_column_is_undefined_and_said_so() {
        let c = correlate(&[1.0, 1.0, 1.0], &[1.0, 2.0, 3.0], Resampling::default()).unwrap();
        assert!(c.tau.is_nan() && c.undefined.unwrap().contains("the same"));
    }
}
