//! A calibration in the report's words.

use squbed_report::{Bound, Method, MethodOption, Origin, Quantity, SeedRow, SeedTable};
use squbed_vmf::Estimator;

use super::Context;
use crate::{
    calibrate::{Calibration, Correlation},
    demo::{self, SeedCalibration, median},
    method::{MethodOptions, Preset, Projection},
    results::MethodInForce,
};

/// τ with its interval, p and n, as the page writes them.
pub(super) fn tau_text(c: &Correlation) -> String {
    squbed_report::correlation_text(c.tau, c.ci_low, c.ci_high, c.p, c.n)
}

pub(super) fn preset_method(
    in_force: &MethodInForce,
    accuracy: &str,
    calibration: Option<&Calibration>,
    scope: &str,
) -> Method {
    let option = |name: &str, value: String, origin, reason: &str| MethodOption {
        name: name.to_owned(),
        value,
        origin,
        reason: reason.to_owned(),
    };
    const ASKED_FOR: &str = "asked for in the place of the preset's";
    let preset = in_force.preset;
    let own = MethodOptions::from(preset);
    let (estimator, estimator_reason) = match in_force.options.estimator {
        Estimator::Sra => (Origin::Paper, "the closed form that the paper cites"),
        estimator if estimator != own.estimator => (Origin::Ours, ASKED_FOR),
        Estimator::U => (
            Origin::Ours,
            "exact κ of the bias-corrected r̄: the plug-in is biased by up to 27 nats at m = 10",
        ),
        _ => (Origin::Ours, ASKED_FOR),
    };
    let (basis, basis_origin, basis_reason) = match in_force.options.projection {
        Projection::None => (
            "none".to_owned(),
            Origin::Ours,
            if own.projection == Projection::None {
                "the instability that the paper avoids by PCA is gone with this arithmetic"
            } else {
                ASKED_FOR
            },
        ),
        Projection::Corpus { centred, .. } => (
            format!(
                "corpus-wide PCA of the prompts, {}, {} components",
                if centred { "centred" } else { "not centred" },
                in_force.components.unwrap_or(0)
            ),
            Origin::Paper,
            "PCA on the prompt embeddings is the paper's; its basis, centring and width are ours: the paper gives none",
        ),
        Projection::Stored { ref file } => (
            format!("stored basis {}, {} components", file.display(), in_force.components.unwrap_or(0)),
            Origin::Ours,
            "asked for: the prompts in the subspace of another corpus",
        ),
    };
    let options = vec![
        option("κ estimator", in_force.options.estimator.to_string(), estimator, estimator_reason),
        option("projection", basis, basis_origin, basis_reason),
        option(
            "text encoder",
            in_force.text_encoder.name.clone(),
            Origin::Ours,
            "the paper says sentence embeddings and names no model",
        ),
        option(
            "video encoder",
            in_force.video_encoder.name.clone(),
            Origin::Ours,
            "the paper names S3D; its MIL-NCE weights are not here",
        ),
        option("epistemic", "mean over latent prompts".to_owned(), Origin::Paper, "Eq. 9"),
        option("total", "sum; rank and z-score sums beside it".to_owned(), Origin::Paper, "Eq. 3"),
        match accuracy {
            "" => option(
                "accuracy",
                "none".to_owned(),
                Origin::Ours,
                "no task has a true video to compare with",
            ),
            name => {
                option("accuracy", name.to_owned(), Origin::Ours, "the paper's CLIP score needs CLIP weights")
            }
        },
    ];
    Method {
        key: in_force.name(),
        about: match preset {
            _ if in_force.options != own => {
                format!(
                    "The {preset} preset with options changed by hand: it is not the preset; see the options in force."
                )
            }
            Preset::Paper => "The paper to the letter where it is explicit.".to_owned(),
            Preset::Default => {
                "The paper's method with exact κ, the U correction and no projection.".to_owned()
            }
        },
        unit: "nats".to_owned(),
        options,
        correlations: correlations(calibration, scope),
    }
}

/// A calibration's correlations in the report's words.
pub(super) fn correlations(
    calibration: Option<&Calibration>,
    scope: &str,
) -> Vec<squbed_report::Correlation> {
    let Some(c) = calibration else { return Vec::new() };
    let truth = c.truth.as_ref();
    let accuracy = Quantity::Accuracy(0);
    let named = [
        (Quantity::Aleatoric, Quantity::TrueAleatoric, truth.map(|t| &t.aleatoric)),
        (Quantity::Epistemic, Quantity::TrueEpistemic, truth.map(|t| &t.epistemic)),
        (Quantity::Aleatoric, Quantity::TrueEpistemic, truth.map(|t| &t.cross_ae)),
        (Quantity::Epistemic, Quantity::TrueAleatoric, truth.map(|t| &t.cross_ea)),
        (Quantity::TotalRankSum, accuracy, c.total_accuracy.as_ref()),
        (Quantity::TotalSum, accuracy, c.total_accuracy_sum.as_ref()),
        (Quantity::TotalZSum, accuracy, c.total_accuracy_zscore.as_ref()),
        (Quantity::Aleatoric, accuracy, c.aleatoric_accuracy.as_ref()),
        (Quantity::Epistemic, accuracy, c.epistemic_accuracy.as_ref()),
    ];
    named
        .into_iter()
        .filter_map(|(x, y, c)| {
            c.map(|c| squbed_report::Correlation {
                x,
                y,
                scope: scope.to_owned(),
                n: c.n,
                tau: c.tau,
                p: c.p,
                p_method: if c.undefined.is_none() {
                    format!("{}, two-sided", c.p_method)
                } else {
                    String::new()
                },
                ci_low: c.ci_low,
                ci_high: c.ci_high,
                ci_method: c.ci_method.clone(),
                undefined: c.undefined.clone(),
            })
        })
        .collect()
}

/// The pairs of [`demo::CORRELATIONS`], in its order.
const FLOOR_PAIRS: [(Quantity, Quantity); 6] = [
    (Quantity::Aleatoric, Quantity::TrueAleatoric),
    (Quantity::Epistemic, Quantity::TrueEpistemic),
    (Quantity::Aleatoric, Quantity::TrueEpistemic),
    (Quantity::Epistemic, Quantity::TrueAleatoric),
    (Quantity::TotalRankSum, Quantity::Accuracy(0)),
    (Quantity::TrueAleatoric, Quantity::TrueEpistemic),
];

pub(super) fn report_floors(context: Context<'_>) -> Vec<squbed_report::Floor> {
    let basis = if context.seeds.len() > 1 {
        let seeds: Vec<String> = context.seeds.iter().map(|s| s.seed.to_string()).collect();
        format!("median of seeds {}", seeds.join(", "))
    } else {
        "this run".to_owned()
    };
    context
        .floors
        .iter()
        .filter_map(|floor| {
            let place = demo::CORRELATIONS.iter().position(|name| *name == floor.name)?;
            Some((floor, FLOOR_PAIRS[place]))
        })
        .map(|(floor, (x, y))| squbed_report::Floor {
            method: Preset::Default.to_string(),
            x,
            y,
            bound: match floor.bound {
                demo::Bound { least, most } if most >= 1.0 && least > 0.0 => Bound::AtLeast(least),
                demo::Bound { least, most } if least <= -1.0 && most < 0.0 => Bound::AtMost(most),
                demo::Bound { most, .. } => Bound::Within(most),
            },
            value: floor.value,
            basis: basis.clone(),
            held: floor.holds,
        })
        .collect()
}

pub(super) fn seed_tables(seeds: &[SeedCalibration]) -> Vec<SeedTable> {
    if seeds.len() < 2 {
        return Vec::new();
    }
    [Preset::Default, Preset::Paper]
        .into_iter()
        .filter_map(|preset| {
            let rows: Vec<SeedRow> = seeds
                .iter()
                .filter_map(|s| {
                    let taus = crate::demo::taus(&s.calibration, preset.name())?;
                    Some(SeedRow { seed: s.seed, taus: taus.to_vec() })
                })
                .collect();
            let columns = FLOOR_PAIRS.to_vec();
            let column = |i: usize| rows.iter().map(|r| r.taus[i]).collect::<Vec<f64>>();
            let median = (0..columns.len()).map(|i| median(&column(i))).collect();
            (!rows.is_empty()).then(|| SeedTable { method: preset.to_string(), columns, rows, median })
        })
        .collect()
}
