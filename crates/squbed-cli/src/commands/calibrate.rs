//! `squbed calibrate` and `squbed report`: what a results' folder says.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use squbed::{
    calibrate::{Calibration, Correlation, Resampling},
    core::float,
    results::CalibrationFile,
    summary::Context,
};

use crate::{Common, Done, output::Records, progress::Bars};

#[derive(Args)]
pub(crate) struct Calibrate {
    /// Folder of the results.
    results: PathBuf,
    /// Bootstrap samples of the intervals.
    #[arg(long, default_value_t = 2000)]
    resamples: usize,
    /// Seed of the bootstrap.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

#[derive(Args)]
pub(crate) struct Report {
    /// Folder of the results.
    results: PathBuf,
}

#[derive(Serialize)]
struct CorrelationRow {
    estimate: String,
    correlation: &'static str,
    n: usize,
    #[serde(with = "float")]
    tau: f64,
    #[serde(with = "float")]
    p: f64,
    #[serde(with = "float")]
    ci_low: f64,
    #[serde(with = "float")]
    ci_high: f64,
}

impl Calibrate {
    pub(crate) fn run(self, common: &Common) -> anyhow::Result<Done> {
        let resampling = Resampling { resamples: self.resamples, seed: self.seed };
        let bars = Bars::new(common.quiet);
        let file = squbed::results::calibrate_folder(&self.results, resampling, &bars)?;
        let mut rows = Vec::new();
        for (name, calibration) in file.presets.iter().filter_map(|(name, c)| Some((name, c.as_ref()?))) {
            calibration.point_masses.sentences().iter().for_each(|s| bars.note(&format!("{name}: {s}")));
            rows.extend(correlations(name, calibration));
        }
        tell_not_computed(&file, &bars);
        for (name, calibration) in &file.baselines {
            rows.extend(correlations(name, calibration));
        }
        Records::list(&rows)?.print(common.format)?;
        Ok(Done::Whole)
    }
}

fn correlations(estimate: &str, c: &Calibration) -> Vec<CorrelationRow> {
    let truth = c.truth.as_ref();
    let named: [(&'static str, Option<&Correlation>); 9] = [
        ("aleatoric with its truth", truth.map(|t| &t.aleatoric)),
        ("epistemic with its truth", truth.map(|t| &t.epistemic)),
        ("aleatoric with true epistemic", truth.map(|t| &t.cross_ae)),
        ("epistemic with true aleatoric", truth.map(|t| &t.cross_ea)),
        ("rank-sum total with accuracy", c.total_accuracy.as_ref()),
        ("sum total with accuracy", c.total_accuracy_sum.as_ref()),
        ("z-score total with accuracy", c.total_accuracy_zscore.as_ref()),
        ("aleatoric with accuracy", c.aleatoric_accuracy.as_ref()),
        ("epistemic with accuracy", c.epistemic_accuracy.as_ref()),
    ];
    named
        .into_iter()
        .filter_map(|(correlation, c)| {
            c.map(|&Correlation { n, tau, p, ci_low, ci_high, .. }| CorrelationRow {
                estimate: estimate.to_owned(),
                correlation,
                n,
                tau,
                p,
                ci_low,
                ci_high,
            })
        })
        .collect()
}

/// Says what could not be computed, and why.
pub(crate) fn tell_not_computed(file: &CalibrationFile, bars: &Bars) {
    for (name, why) in &file.not_computed {
        bars.note(&format!("not computed: {name}: {why}"));
    }
}

impl Report {
    pub(crate) fn run(self, common: &Common) -> anyhow::Result<Done> {
        let bars = Bars::new(common.quiet);
        let report = squbed::summary::report(&self.results, &self.results, Context::default(), &bars)?;
        bars.note(&format!("report: {}", report.display()));
        Ok(Done::Whole)
    }
}
