//! The demonstration: the method on the closed world, where the truth is known, and the floors that it
//! must reach there.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use squbed_core::float;

use crate::{
    experiment::{Embed, Experiment, Generate, Refine, TaskSource},
    method::Preset,
    run::CalibrationFile,
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
            presets: vec![Preset::Default, Preset::Paper],
            resamples: 2000,
        }
    }
}

/// A bound that a correlation of the default preset must keep, as the median over the seeds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Floor {
    /// Which correlation.
    pub name: String,
    /// Least value, or −∞.
    #[serde(with = "float")]
    pub least: f64,
    /// Greatest value, or +∞.
    #[serde(with = "float")]
    pub most: f64,
    /// The value, by seed.
    pub taus: Vec<f64>,
    /// Their median.
    #[serde(with = "float")]
    pub median: f64,
    /// Whether the median keeps the bound.
    pub holds: bool,
}

/// The τ of each correlation that a floor can bind, under one preset; NaN where it is undefined.
pub fn taus(calibration: &CalibrationFile, preset: Preset) -> Option<[(&'static str, f64); 6]> {
    let default = calibration.presets.get(&preset)?;
    let truth = default.truth.as_ref()?;
    Some([
        ("estimated with true aleatoric", truth.aleatoric.tau),
        ("estimated with true epistemic", truth.epistemic.tau),
        ("estimated aleatoric with true epistemic", truth.cross_ae.tau),
        ("estimated epistemic with true aleatoric", truth.cross_ea.tau),
        ("rank-sum total with accuracy", default.total_accuracy.as_ref().map_or(f64::NAN, |c| c.tau)),
        ("true aleatoric with true epistemic", calibration.truths.as_ref().map_or(f64::NAN, |c| c.tau)),
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
    let all: Vec<_> = calibrations.iter().filter_map(|c| taus(c, Preset::Default)).collect();
    let Some(first) = all.first() else { return Vec::new() };
    let names: Vec<&str> = first.iter().map(|(name, _)| *name).collect();
    names
        .into_iter()
        .zip(bounds)
        .enumerate()
        .map(|(i, (name, (least, most)))| {
            let taus: Vec<f64> = all.iter().map(|seed| seed[i].1).collect();
            let median = median(&taus);
            let holds = (least..=most).contains(&median);
            Floor { name: name.to_owned(), least, most, taus, median, holds }
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

/// `calibration.json` of a demonstration over several seeds.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SeedsFile {
    /// Tasks of each seed.
    pub n_tasks: usize,
    /// The floors, each with its value by seed and the median.
    pub floors: Vec<Floor>,
    /// Each seed with its calibration.
    pub seeds: Vec<SeedCalibration>,
}

/// One seed's calibration.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SeedCalibration {
    /// The seed.
    pub seed: u64,
    /// Its `calibration.json`.
    #[serde(flatten)]
    pub calibration: CalibrationFile,
}

/// The calibrations of one or more seeds with the floors held against them.
pub fn seeds_file(demo: &Demo, seeds: &[u64], calibrations: &[CalibrationFile]) -> SeedsFile {
    SeedsFile {
        n_tasks: demo.tasks,
        floors: floors(demo, calibrations),
        seeds: seeds
            .iter()
            .zip(calibrations)
            .map(|(&seed, calibration)| SeedCalibration { seed, calibration: calibration.clone() })
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_median_is_of_the_middle() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 2.5);
        assert!(median(&[1.0, f64::NAN]).is_nan() && median(&[]).is_nan());
    }
}
