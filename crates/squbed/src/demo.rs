//! The demonstration: the method on the closed world, where the truth is known, and the floors that it
//! must reach there.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use serde::{Deserialize, Serialize};
use squbed_core::float;

use crate::{
    calibrate::{Calibration, Correlation, PointMasses, TruthCorrelations, folder::Claim},
    experiment::{Embed, Experiment, Generate, Refine, Score, TaskSource, VideoLimits},
    method::Preset,
    results::CalibrationFile,
};

/// Seeds of the full demonstration, named before any run. The floors bind the median over them.
pub const SEEDS: [u64; 5] = [1, 2, 3, 4, 5];

/// What a demonstration runs.
#[derive(Clone, Debug, PartialEq)]
pub struct Demo {
    /// Results' folder.
    pub out: PathBuf,
    /// Tasks.
    pub tasks: usize,
    /// Latent prompts a task.
    pub latents: usize,
    /// Videos a latent prompt.
    pub videos: usize,
    /// `realm` or `value`.
    pub world: String,
    /// Device and dtype, as an experiment has them.
    pub device: String,
    /// Arithmetic of the encoders.
    pub dtype: String,
}

impl Demo {
    /// The experiment of one seed, in its own folder where there are several.
    pub fn experiment(&self, seed: u64, several: bool) -> Experiment {
        Experiment {
            title: format!("S-QUBED on the closed world ({}, seed {seed})", self.world),
            out: if several { self.out.join(format!("seed-{seed}")) } else { self.out.clone() },
            seed,
            device: self.device.clone(),
            dtype: self.dtype.clone(),
            tasks: TaskSource::World { kind: self.world.clone(), tasks: self.tasks },
            refine: Refine { latents: self.latents, ..Refine::default() },
            generate: Generate { videos: self.videos, ..Generate::default() },
            embed: Embed { cache: several.then(|| self.out.join("cache")), ..Embed::default() },
            score: Score::default(),
            limits: VideoLimits::default(),
            presets: vec![Preset::Default, Preset::Paper],
            resamples: 2000,
        }
    }
}

/// Where a correlation must lie, ends included.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bound {
    /// Least value; −1 for none.
    pub least: f64,
    /// Greatest value; 1 for none.
    pub most: f64,
}

/// A bound that a correlation of the default preset must keep, as the median over the seeds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Floor {
    /// Which correlation.
    pub name: String,
    /// τ, the median over the seeds; NaN (`null`) where it is undefined.
    #[serde(with = "float")]
    pub value: f64,
    /// Where it must lie.
    pub bound: Bound,
    /// Whether it lies there.
    pub holds: bool,
}

/// The correlations that a floor can bind, by name.
pub const CORRELATIONS: [&str; 6] = [
    "estimated with true aleatoric",
    "estimated with true epistemic",
    "estimated aleatoric with true epistemic",
    "estimated epistemic with true aleatoric",
    "rank-sum total with accuracy",
    "true aleatoric with true epistemic",
];

/// The τ of each of [`CORRELATIONS`], of one estimate; NaN where it is undefined.
pub fn taus(calibration: &CalibrationFile, estimate: &str) -> Option<[f64; 6]> {
    let of = calibration.preset(estimate)?;
    let truth = of.truth.as_ref()?;
    Some([
        truth.aleatoric.tau,
        truth.epistemic.tau,
        truth.cross_ae.tau,
        truth.cross_ea.tau,
        of.total_accuracy.as_ref().map_or(f64::NAN, |c| c.tau),
        calibration.truths.as_ref().map_or(f64::NAN, |c| c.tau),
    ])
}

/// Tests the floors on the calibrations of one or more seeds of the same sizes.
///
/// From 24 tasks of 4 × 4 up both parts must reach .60 and the cross terms stay within ±.30; in a
/// quicker test the parts must reach .45 and the cross terms, too noisy there, are not bound. Floors bind
/// the realm world alone; in the by-value world the result is empty.
pub fn floors(demo: &Demo, calibrations: &[CalibrationFile]) -> Vec<Floor> {
    if demo.world != "realm" {
        return Vec::new();
    }
    let full = demo.tasks >= 24 && demo.latents >= 4 && demo.videos >= 4;
    let part = if full { 0.60 } else { 0.45 };
    let cross = if full { 0.30 } else { 1.0 };
    let bounds = [(part, 1.0), (part, 1.0), (-cross, cross), (-cross, cross), (-1.0, -0.30), (-0.10, 0.10)];
    let all: Vec<_> = calibrations.iter().filter_map(|c| taus(c, Preset::Default.name())).collect();
    if all.is_empty() {
        return Vec::new();
    }
    CORRELATIONS
        .into_iter()
        .zip(bounds)
        .enumerate()
        .filter(|(_, (_, bound))| *bound != (-1.0, 1.0))
        .map(|(i, (name, (least, most)))| {
            let value = median(&all.iter().map(|seed| seed[i]).collect::<Vec<f64>>());
            let holds = (least..=most).contains(&value);
            Floor { name: name.to_owned(), value, bound: Bound { least, most }, holds }
        })
        .collect()
}

/// The median; NaN where any value is.
pub fn median(values: &[f64]) -> f64 {
    if values.is_empty() || values.iter().any(|v| v.is_nan()) {
        return f64::NAN;
    }
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    (sorted[(sorted.len() - 1) / 2] + sorted[sorted.len() / 2]) / 2.0
}

/// `calibration.json` of a demonstration, of one form for one seed and for several.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DemoFile {
    /// The correlations; over several seeds each number is the median of that number over the seeds, both
    /// ends of an interval and p included: what a seed typically gives, not an interval of the median τ.
    #[serde(flatten)]
    pub calibration: CalibrationFile,
    /// The floors with what was held against them; none where none binds.
    #[serde(default)]
    pub floors: Vec<Floor>,
    /// Each seed with its correlations, where there are several.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub seeds: Vec<SeedCalibration>,
}

/// One seed's calibration.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SeedCalibration {
    /// The seed.
    pub seed: u64,
    /// Its correlations.
    #[serde(flatten)]
    pub calibration: CalibrationFile,
}

/// The calibrations of one or more seeds with the floors held against them.
pub fn demo_file(demo: &Demo, seeds: &[u64], calibrations: &[CalibrationFile]) -> DemoFile {
    let floors = floors(demo, calibrations);
    if let [only] = calibrations {
        return DemoFile { calibration: only.clone(), floors, seeds: Vec::new() };
    }
    let seeds: Vec<SeedCalibration> = seeds
        .iter()
        .zip(calibrations)
        .map(|(&seed, calibration)| SeedCalibration { seed, calibration: calibration.clone() })
        .collect();
    DemoFile { calibration: medians(&seeds), floors, seeds }
}

/// The median of each number over the seeds. What one seed lacks is undefined.
fn medians(seeds: &[SeedCalibration]) -> CalibrationFile {
    let all: Vec<&CalibrationFile> = seeds.iter().map(|s| &s.calibration).collect();
    let over: Vec<String> = seeds.iter().map(|s| s.seed.to_string()).collect();
    let over = format!("median over seeds {}", over.join(", "));
    let of_name = |map: fn(&CalibrationFile) -> &BTreeMap<String, Option<Calibration>>| {
        let names: BTreeSet<&String> = all.iter().flat_map(|c| map(c).keys()).collect();
        let median = |name: &String| {
            let of: Option<Vec<&Calibration>> = all.iter().map(|c| map(c).get(name)?.as_ref()).collect();
            (name.clone(), of.map(|of| median_calibration(&of, &over)))
        };
        names.into_iter().map(median).collect::<BTreeMap<_, _>>()
    };
    let baselines = all.first().map(|c| c.baselines.keys().cloned().collect::<Vec<_>>()).unwrap_or_default();
    let baseline = |name: String| {
        let of = all.iter().map(|c| c.baselines.get(&name)).collect::<Option<Vec<_>>>()?;
        Some((name, median_calibration(&of, &over)))
    };
    CalibrationFile {
        n_tasks: median_count(all.iter().map(|c| c.n_tasks)),
        confidently_wrong: median_count(all.iter().map(|c| c.confidently_wrong)),
        accuracy: all.first().map(|c| c.accuracy.clone()).unwrap_or_default(),
        truths: median_of(&all, &over, |c| c.truths.as_ref()),
        presets: of_name(|c| &c.presets),
        baselines: baselines.into_iter().filter_map(baseline).collect(),
        variants: of_name(|c| &c.variants),
        not_computed: all.iter().flat_map(|c| c.not_computed.clone()).collect(),
        // Tests and curves of each seed stand beside.
        claim: Claim::default(),
    }
}

fn median_calibration(all: &[&Calibration], over: &str) -> Calibration {
    let optional = |get: fn(&Calibration) -> Option<&Correlation>| median_of(all, over, get);
    let of = |get: fn(&Calibration) -> &Correlation| {
        let correlations: Vec<&Correlation> = all.iter().map(|c| get(c)).collect();
        median_correlation(&correlations, over)
    };
    let truth = all.iter().all(|c| c.truth.is_some()).then(|| {
        let of = |get: fn(&TruthCorrelations) -> &Correlation| {
            let correlations: Vec<&Correlation> =
                all.iter().filter_map(|c| c.truth.as_ref().map(get)).collect();
            median_correlation(&correlations, over)
        };
        TruthCorrelations {
            aleatoric: of(|t| &t.aleatoric),
            epistemic: of(|t| &t.epistemic),
            cross_ae: of(|t| &t.cross_ae),
            cross_ea: of(|t| &t.cross_ea),
        }
    });
    let count = |get: fn(&PointMasses) -> usize| all.iter().map(|c| get(&c.point_masses)).sum();
    Calibration {
        truth,
        total_accuracy: optional(|c| c.total_accuracy.as_ref()),
        total_accuracy_sum: optional(|c| c.total_accuracy_sum.as_ref()),
        total_accuracy_zscore: optional(|c| c.total_accuracy_zscore.as_ref()),
        aleatoric_accuracy: optional(|c| c.aleatoric_accuracy.as_ref()),
        epistemic_accuracy: optional(|c| c.epistemic_accuracy.as_ref()),
        total_aleatoric: of(|c| &c.total_aleatoric),
        total_epistemic: of(|c| &c.total_epistemic),
        point_masses: PointMasses {
            latents_left_out: count(|p| p.latents_left_out),
            aleatoric: count(|p| p.aleatoric),
            epistemic: count(|p| p.epistemic),
        },
    }
}

/// The median of a correlation that every one has; none where one lacks it.
fn median_of<T>(all: &[&T], over: &str, get: impl Fn(&T) -> Option<&Correlation>) -> Option<Correlation> {
    let correlations: Vec<&Correlation> = all.iter().map(|c| get(c)).collect::<Option<_>>()?;
    Some(median_correlation(&correlations, over))
}

fn median_correlation(all: &[&Correlation], over: &str) -> Correlation {
    let number = |get: fn(&Correlation) -> f64| median(&all.iter().map(|c| get(c)).collect::<Vec<f64>>());
    let words = |get: fn(&Correlation) -> &str| {
        let how: BTreeSet<&str> = all.iter().map(|c| get(c)).collect();
        format!("{over} of each number: {}", how.into_iter().collect::<Vec<_>>().join("; "))
    };
    let tau = number(|c| c.tau);
    Correlation {
        n: median_count(all.iter().map(|c| c.n)),
        tau,
        p: number(|c| c.p),
        p_method: words(|c| &c.p_method),
        ci_low: number(|c| c.ci_low),
        ci_high: number(|c| c.ci_high),
        ci_method: words(|c| &c.ci_method),
        undefined: tau.is_nan().then(|| "undefined in at least one of the seeds".to_owned()),
    }
}

/// The median of counts, the lower one of two in the middle.
fn median_count(counts: impl Iterator<Item = usize>) -> usize {
    let mut sorted: Vec<usize> = counts.collect();
    sorted.sort_unstable();
    sorted.get(sorted.len().saturating_sub(1) / 2).copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calibrate::{self, Parts, Resampling, Truth};

    #[test]
    fn a_median_is_of_the_middle() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 2.5);
        assert!(median(&[1.0, f64::NAN]).is_nan() && median(&[]).is_nan());
    }

    /// Correlations of twelve tasks whose estimates follow their truths but for `swaps` pairs of neighbours.
    fn calibration(swaps: usize) -> CalibrationFile {
        let truth = |i: usize| Truth {
            aleatoric: i as f64,
            epistemic: ((i * 5) % 12) as f64,
            confidently_wrong: false,
        };
        let parts: Vec<Parts> = (0..12)
            .map(|i| Parts {
                id: i.to_string(),
                aleatoric: if i / 2 < swaps { (i ^ 1) as f64 } else { i as f64 },
                epistemic: if truth(i).epistemic < 2.0 {
                    1.0 - truth(i).epistemic
                } else {
                    truth(i).epistemic
                },
                latents_left_out: 0,
                videos_digest: None,
            })
            .collect();
        let accuracy = parts.iter().map(|p| (p.id.clone(), -p.aleatoric - p.epistemic)).collect();
        let truths = (0..12).map(|i| (i.to_string(), truth(i))).collect();
        let of = calibrate::calibrate(&parts, &accuracy, Some(&truths), Resampling::default()).unwrap();
        let (a, e): (Vec<f64>, Vec<f64>) = truths.values().map(|t| (t.aleatoric, t.epistemic)).unzip();
        CalibrationFile {
            n_tasks: 12,
            confidently_wrong: 0,
            accuracy: "test cosine".to_owned(),
            truths: Some(calibrate::correlate(&a, &e, Resampling::default()).unwrap()),
            presets: BTreeMap::from([("default".to_owned(), Some(of.clone())), ("paper".to_owned(), None)]),
            baselines: BTreeMap::from([("mean".to_owned(), of)]),
            variants: BTreeMap::new(),
            not_computed: BTreeMap::from([("paper".to_owned(), "why".to_owned())]),
            claim: Claim::default(),
        }
    }

    fn demo() -> Demo {
        Demo {
            out: "demo-out".into(),
            tasks: 12,
            latents: 3,
            videos: 3,
            world: "realm".to_owned(),
            device: "cpu".to_owned(),
            dtype: "f32".to_owned(),
        }
    }

    #[test]
    fn calibration_json_has_the_pinned_form_for_one_seed_and_for_several() {
        let seeds: Vec<CalibrationFile> = [1, 3, 2].map(calibration).to_vec();
        let one = serde_json::to_value(demo_file(&demo(), &[1], &seeds[..1])).unwrap();
        let three = serde_json::to_value(demo_file(&demo(), &[1, 2, 3], &seeds)).unwrap();
        for file in [&one, &three] {
            assert_eq!(file["n_tasks"], 12);
            let default = &file["presets"]["default"];
            for t in ["aleatoric", "epistemic", "cross_ae", "cross_ea"].map(|t| &default["truth"][t]) {
                assert!(["tau", "p", "ci_low", "ci_high"].iter().all(|k| t[k].is_number()), "{t}");
            }
            assert!(default["total_accuracy"]["tau"].is_number());
            assert!(default["total_accuracy_sum"]["tau"].is_number());
            assert!(file["presets"]["paper"].is_null() && file["not_computed"]["paper"] == "why");
            let floor = &file["floors"][0];
            assert_eq!(floor["name"], "estimated with true aleatoric");
            assert_eq!((&floor["bound"]["least"], &floor["holds"]), (&0.45.into(), &true.into()));
            assert_eq!(floor["value"], default["truth"]["aleatoric"]["tau"]);
            // At this size the two cross terms are not bound, so they are no floors.
            assert_eq!(file["floors"].as_array().unwrap().len(), 4);
        }
        assert!(one.get("seeds").is_none());
        // Of 66 pairs each swap turns one around; the middle of 1, 2 and 3 swaps is 2.
        let tau = |file: &serde_json::Value| {
            file["presets"]["default"]["truth"]["aleatoric"]["tau"].as_f64().map(|t| (t * 66.0).round())
        };
        assert_eq!((tau(&one), tau(&three)), (Some(64.0), Some(62.0)));
        assert_eq!(three["seeds"].as_array().unwrap().len(), 3);
        assert_eq!((&three["seeds"][1]["seed"], tau(&three["seeds"][1])), (&2.into(), Some(60.0)));
        // What was written is what the report reads.
        let back: DemoFile = serde_json::from_value(three).unwrap();
        assert_eq!((back.seeds.len(), back.floors.len()), (3, 4));
        let full = Demo { tasks: 24, latents: 4, videos: 4, ..demo() };
        assert_eq!(floors(&full, &seeds).len(), 6);
        assert_eq!(back.calibration.preset("default").unwrap().point_masses, PointMasses::default());
    }

    #[test]
    fn the_by_value_world_has_no_floor() {
        let demo = Demo { world: "value".to_owned(), ..demo() };
        assert!(demo_file(&demo, &[1], &[calibration(0)]).floors.is_empty());
    }
}
