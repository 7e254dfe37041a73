//! A calibration in the report's words.

use squbed_core::{EncoderIdentity, GroupFit, TaskUncertainty};
use squbed_report::{Bound, Method, MethodOption, Origin, Quantity, SeedRow, SeedTable, fixed};
use squbed_vmf::{Estimator, plug_in_shortfall};

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
    rows: &[TaskUncertainty],
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
        Estimator::Sra => (Origin::Paper, "the closed form that the paper cites".to_owned()),
        Estimator::U if own.estimator == Estimator::U => {
            (Origin::Ours, format!("exact κ of the bias-corrected r̄{}", shortfalls(rows)))
        }
        _ => (Origin::Ours, ASKED_FOR.to_owned()),
    };
    let (pooled, pooled_reason) = match in_force.options.estimator {
        Estimator::U => (
            "pairs of videos of different latent prompts",
            "unbiased for the mixture over all latent prompts that there could be: pairs within one would make it look \
             tighter; the mutual information can come out below 0",
        ),
        _ => (
            "all the task's videos at once",
            "the same estimator as for one latent prompt's; the mutual information is a difference of two estimates",
        ),
    };
    let (video_origin, video_reason) = of_video_encoder(&in_force.video_encoder);
    let (accuracy_origin, accuracy_reason) = of_accuracy(accuracy);
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
        option("κ estimator", in_force.options.estimator.to_string(), estimator, &estimator_reason),
        option("projection", basis, basis_origin, basis_reason),
        option(
            "text encoder",
            in_force.text_encoder.name.clone(),
            Origin::Ours,
            "the paper says sentence embeddings and names no model",
        ),
        option("video encoder", in_force.video_encoder.name.clone(), video_origin, video_reason),
        option("epistemic", "mean over latent prompts".to_owned(), Origin::Paper, "Eq. 9"),
        option("total", "sum; rank and z-score sums beside it".to_owned(), Origin::Paper, "Eq. 3"),
        option("total mi", pooled.to_owned(), Origin::Ours, pooled_reason),
        option(
            "accuracy",
            if accuracy.is_empty() { "none" } else { accuracy }.to_owned(),
            accuracy_origin,
            accuracy_reason,
        ),
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

/// What a reader of plug-in estimates of groups of different sizes has to know; none of U, whose bias does not depend on
/// the size, or where all are of one size within a sample.
pub(super) fn uneven(estimator: Estimator, rows: &[TaskUncertainty]) -> Option<String> {
    let sizes = || rows.iter().flat_map(|row| &row.videos).map(|fit| fit.m);
    let (least, most) = (sizes().min()?, sizes().max()?);
    (estimator != Estimator::U && most > least + 1).then(|| {
        format!(
            "latent prompts have {least} to {most} videos, and the estimator {estimator} takes few for tighter than many: part \
             of its ranking of tasks is that of their numbers of videos; estimator U has no such bias"
        )
    })
}

/// By how much the plug-in would miss the entropies of these groups, of the smallest ones where they differ.
fn shortfalls(rows: &[TaskUncertainty]) -> String {
    let of = |what: &str, fits: &mut dyn Iterator<Item = &GroupFit>| {
        let fit = fits.filter(|fit| fit.m > 1).min_by_key(|fit| fit.m)?;
        let nats = plug_in_shortfall(fit.dim, fit.m)?;
        let decimals = usize::from(nats < 9.5);
        Some(format!("{} for {} {what} in {} dimensions", fixed(nats, decimals), fit.m, fit.dim))
    };
    let videos = of("videos", &mut rows.iter().flat_map(|row| &row.videos));
    let prompts = of("latent prompts", &mut rows.iter().map(|row| &row.prompts));
    let all: Vec<String> = [videos, prompts].into_iter().flatten().collect();
    match all.is_empty() {
        true => String::new(),
        false => format!(": the plug-in's entropy is too low by about {} (nats)", all.join(", ")),
    }
}

/// Whose choice the video encoder is, and why.
fn of_video_encoder(encoder: &EncoderIdentity) -> (Origin, &'static str) {
    // The preprocessing tells a network by its architecture, whatever its weights are called.
    match encoder.preprocessing.split('/').next().unwrap_or_default() {
        "s3d-milnce" => {
            (Origin::Paper, "the paper names S3D; that it means MIL-NCE's weights is our reading")
        }
        "s3d-kinetics" => (
            Origin::Ours,
            "the paper names S3D and no weights; these were trained to name actions, on Kinetics",
        ),
        _ => (Origin::Ours, "in the place of the S3D that the paper names"),
    }
}

/// Whose choice the accuracy is, and why.
fn of_accuracy(metric: &str) -> (Origin, &'static str) {
    match metric {
        "" => (Origin::Ours, "no task has a true video to compare with"),
        "ssim" | "psnr" => (Origin::Paper, "one of the metrics that the paper tries (Fig. 3)"),
        name if name.starts_with("-lpips") => (
            Origin::Paper,
            "one of the metrics that the paper tries (Fig. 3), negative so that more is better",
        ),
        name if name.starts_with("CLIP score") => {
            (Origin::Paper, "the paper's metric; the CLIP model and the times of the frames are ours")
        }
        _ => (Origin::Ours, "in the place of the paper's CLIP score"),
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

#[cfg(test)]
mod tests {
    use super::*;

    fn encoder(name: &str, preprocessing: &str, dim: usize) -> EncoderIdentity {
        EncoderIdentity {
            name: name.to_owned(),
            weights_sha256: "ab".repeat(32),
            preprocessing: preprocessing.to_owned(),
            sampling: String::new(),
            head: "embedding".to_owned(),
            dtype: "f32".to_owned(),
            dim,
        }
    }

    /// Origin and reason of an option in force.
    fn option(
        video: EncoderIdentity,
        rows: &[TaskUncertainty],
        accuracy: &str,
        name: &str,
    ) -> (Origin, String) {
        let in_force = MethodInForce {
            preset: Preset::Default,
            options: Preset::Default.into(),
            components: None,
            text_encoder: encoder("all-MiniLM-L6-v2", "text/1", 384),
            video_encoder: video,
            squbed: String::new(),
        };
        let method = preset_method(&in_force, rows, accuracy, None, "");
        let option = method.options.into_iter().find(|option| option.name == name).unwrap();
        (option.origin, option.reason)
    }

    fn row(n: usize, m: usize, dim: usize) -> TaskUncertainty {
        let mut row: TaskUncertainty = serde_json::from_value(serde_json::json!({
            "id": "t", "aleatoric": 0.0, "epistemic": 0.0, "total": 0.0, "epistemic_median": 0.0,
            "epistemic_max": 0.0, "worst_latent": 0, "videos": [], "latents_left_out": 0,
            "prompts": {"m": n, "dim": 384, "rbar": 0.5, "one_minus_rbar": 0.5, "kappa": 1.0, "entropy": 0.0,
                        "relative_entropy": 0.0, "flags": []},
        }))
        .unwrap();
        row.videos = vec![GroupFit { m, dim, ..row.prompts.clone() }];
        row
    }

    #[test]
    fn plug_in_estimates_of_groups_of_different_sizes_are_told() {
        let rows = [row(3, 4, 64), row(3, 10, 64)];
        let told = uneven(Estimator::Sra, &rows).unwrap();
        assert!(told.contains("4 to 10 videos") && told.contains("estimator sra"), "{told}");
        assert_eq!(uneven(Estimator::U, &rows), None);
        assert_eq!(uneven(Estimator::Sra, &[row(3, 4, 64), row(3, 5, 64)]), None);
    }

    #[test]
    fn the_plug_in_s_bias_is_that_of_the_widths_and_sizes_in_force() {
        let i3d = || encoder("i3d-kinetics-400", "i3d/1", 1024);
        let reason = |rows: &[TaskUncertainty]| option(i3d(), rows, "", "κ estimator").1;
        let said = reason(&[row(10, 10, 1024)]);
        assert!(
            said.contains("54 for 10 videos in 1024 dimensions, 20 for 10 latent prompts in 384"),
            "{said}"
        );
        // The smallest groups are those that it would harm most.
        let said = reason(&[row(10, 10, 512), row(5, 10, 512)]);
        assert!(said.contains("27 for 10 videos in 512") && said.contains("for 5 latent prompts"), "{said}");
        assert_eq!(reason(&[]), "exact κ of the bias-corrected r̄");
    }

    #[test]
    fn the_origin_of_an_encoder_and_of_an_accuracy_is_its_own() {
        let video = |name: &str, by: &str| option(encoder(name, by, 512), &[], "", "video encoder");
        let (origin, reason) = video("my-weights", "s3d-milnce/1");
        assert!(matches!(origin, Origin::Paper) && !reason.contains("not here"), "{reason}");
        assert!(matches!(video("s3d-kinetics-400", "s3d-kinetics/1").0, Origin::Ours));
        let (origin, reason) = video("i3d-kinetics-400", "i3d/1");
        assert!(matches!(origin, Origin::Ours) && reason.contains("in the place of the S3D"), "{reason}");

        let accuracy = |name: &str| option(encoder("i3d-kinetics-400", "i3d/1", 1024), &[], name, "accuracy");
        let (origin, reason) = accuracy("CLIP score, clip-vit-base-patch32");
        assert!(matches!(origin, Origin::Paper) && !reason.contains("in the place of"), "{reason}");
        let (origin, reason) = accuracy("i3d-kinetics-400 cosine");
        assert!(
            matches!(origin, Origin::Ours) && reason.contains("in the place of the paper's CLIP"),
            "{reason}"
        );
        assert!(matches!(accuracy("CLIP text alignment, clip-vit-base-patch32").0, Origin::Ours));
        assert!(matches!(accuracy("-lpips-alex").0, Origin::Paper));
        assert!(accuracy("").1.contains("no task has a true video"));
    }
}
