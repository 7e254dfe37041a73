//! `squbed calibrate` and `squbed report`: what a results' folder says.

use std::{collections::BTreeMap, path::PathBuf};

use clap::Args;
use serde::Serialize;
use squbed::{
    calibrate::{
        CalibrateOptions, Calibration, Correlation, Resampling, SubsetRule, calibrate_folder, claim::Test,
        decision::Target,
    },
    core::float,
    progress::Progress,
    results::{self, CalibrationFile},
    summary::Context,
};

use crate::{Common, Done, output::Records, progress::Bars};

#[derive(Args)]
pub(crate) struct Calibrate {
    /// Folder of the results.
    results: PathBuf,
    /// The accuracy that stands for the others, as accuracy.jsonl names it; its first where not given.
    #[arg(long)]
    metric: Option<String>,
    /// A CSV file `id,rank` with the tasks as people rank them, 1 the best; each accuracy is compared with it.
    #[arg(long)]
    human_ranking: Option<PathBuf>,
    /// Tasks in the subset of lowest uncertainty, in the place of the quantile.
    #[arg(long, conflicts_with = "subset_quantile")]
    subset_count: Option<usize>,
    /// Share of the tasks in the subset of lowest uncertainty; 0.25, and five tasks at least, where not given.
    #[arg(long)]
    subset_quantile: Option<f64>,
    /// Pairings of a permutation test beside each p.
    #[arg(long, default_value_t = 0)]
    permutations: usize,
    /// An accuracy that accepted tasks should reach: gives the total up to which further tasks may be accepted.
    #[arg(long, allow_negative_numbers = true)]
    target_accuracy: Option<f64>,
    /// Largest chance of a further task that is accepted and falls short of it.
    #[arg(long, default_value_t = 0.1)]
    alpha: f64,
    /// Bootstrap samples of the intervals; those of more than 1000 tasks are by the jackknife.
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
struct CorrelationRow<'a> {
    estimate: &'a str,
    figure: Option<u8>,
    correlation: String,
    n: usize,
    #[serde(with = "float")]
    tau: f64,
    #[serde(with = "float")]
    p: f64,
    #[serde(with = "float")]
    p_less: f64,
    #[serde(with = "float")]
    p_permutation: f64,
    #[serde(with = "float")]
    p_holm: f64,
    #[serde(with = "float")]
    ci_low: f64,
    #[serde(with = "float")]
    ci_high: f64,
    p_method: &'a str,
    /// The rule of Figure 5's subset, where the row is of one.
    rule: Option<&'a str>,
    /// The total up to which tasks are accepted, where the row is the answer to a wanted accuracy.
    #[serde(with = "float")]
    accept_up_to: f64,
}

/// Ids that a warning names.
const NAMED: usize = 10;

impl Calibrate {
    pub(crate) fn run(self, common: &Common) -> anyhow::Result<Done> {
        let subset = match (self.subset_count, self.subset_quantile) {
            (Some(count), _) => SubsetRule::Count(count),
            (None, Some(quantile)) => SubsetRule::Quantile(quantile),
            (None, None) => SubsetRule::default(),
        };
        let options = CalibrateOptions {
            resampling: Resampling { resamples: self.resamples, seed: self.seed },
            metric: self.metric,
            human_ranking: self.human_ranking,
            subset,
            permutations: self.permutations,
            target: self.target_accuracy.map(|accuracy| Target { accuracy, alpha: self.alpha }),
        };
        results::check_folder(&self.results)?;
        let bars = Bars::new(common.quiet);
        let file = calibrate_folder(&self.results, &options, &bars)?;
        super::record_step(&self.results, "calibrate", &bars)?;
        tell_left_out(&file, &bars);
        tell_unknown(&file, &bars);
        bars.note(&format!("subsets: {}", file.claim.subset_rule));
        let mut rows = Vec::new();
        for (name, calibration) in file.presets.iter().filter_map(|(name, c)| Some((name, c.as_ref()?))) {
            calibration.point_masses.sentences().iter().for_each(|s| bars.note(&format!("{name}: {s}")));
            rows.extend(with_truth(name, calibration));
        }
        rows.extend(file.claim.tests.iter().map(|test| tested(test, &file.claim.subset_rule)));
        rows.extend(accepted(&file));
        tell_not_computed(&file, &bars);
        tell_undefined(&file, &bars);
        tell_no_interval(&file, &bars);
        tell_acceptance(&file, &bars);
        for (name, calibration) in &file.baselines {
            rows.extend(with_truth(name, calibration));
            rows.extend(with_accuracy(name, calibration));
        }
        Records::list(&rows)?.print(common.format)?;
        Ok(Done::Whole)
    }
}

fn row<'a>(estimate: &'a str, correlation: &str, c: &'a Correlation) -> CorrelationRow<'a> {
    CorrelationRow {
        estimate,
        figure: None,
        correlation: correlation.to_owned(),
        n: c.n,
        tau: c.tau,
        p: c.p,
        p_less: f64::NAN,
        p_permutation: f64::NAN,
        p_holm: f64::NAN,
        ci_low: c.ci_low,
        ci_high: c.ci_high,
        p_method: &c.p_method,
        rule: None,
        accept_up_to: f64::NAN,
    }
}

fn tested<'a>(test: &'a Test, rule: &'a str) -> CorrelationRow<'a> {
    let what = format!("{} with {}: {}", test.x, test.y, test.scope);
    let of = row(test.estimate.as_deref().unwrap_or(""), &what, &test.correlation);
    CorrelationRow {
        figure: Some(test.figure),
        p_less: test.p_less,
        p_permutation: test.p_permutation.unwrap_or(f64::NAN),
        p_holm: test.p_holm,
        rule: test.scope.contains(" of lowest ").then_some(rule),
        ..of
    }
}

/// The answers to a wanted accuracy.
fn accepted(file: &CalibrationFile) -> Vec<CorrelationRow<'_>> {
    let mut rows = Vec::new();
    for (estimate, metrics) in &file.claim.by_metric {
        for (metric, analysis) in metrics {
            for (total, a) in &analysis.acceptance {
                rows.push(CorrelationRow {
                    estimate,
                    figure: None,
                    correlation: format!(
                        "accept tasks for {metric} of at least {} by total_{total}, with a chance of at most {} to fall \
                         short: {} of {} accepted, {} of them short",
                        a.target.accuracy, a.target.alpha, a.accepted, a.n, a.short
                    ),
                    n: a.n,
                    tau: f64::NAN,
                    p: f64::NAN,
                    p_less: f64::NAN,
                    p_permutation: f64::NAN,
                    p_holm: f64::NAN,
                    ci_low: f64::NAN,
                    ci_high: f64::NAN,
                    p_method: "none",
                    rule: None,
                    accept_up_to: a.threshold,
                });
            }
        }
    }
    rows
}

fn with_truth<'a>(estimate: &'a str, c: &'a Calibration) -> Vec<CorrelationRow<'a>> {
    let Some(truth) = &c.truth else { return Vec::new() };
    vec![
        row(estimate, "aleatoric with its truth", &truth.aleatoric),
        row(estimate, "epistemic with its truth", &truth.epistemic),
        row(estimate, "aleatoric with true epistemic", &truth.cross_ae),
        row(estimate, "epistemic with true aleatoric", &truth.cross_ea),
    ]
}

fn with_accuracy<'a>(estimate: &'a str, c: &'a Calibration) -> Vec<CorrelationRow<'a>> {
    let named = [
        ("rank-sum total with accuracy", &c.total_accuracy),
        ("sum total with accuracy", &c.total_accuracy_sum),
        ("z-score total with accuracy", &c.total_accuracy_zscore),
        ("aleatoric with accuracy", &c.aleatoric_accuracy),
        ("epistemic with accuracy", &c.epistemic_accuracy),
    ];
    named.into_iter().filter_map(|(what, c)| Some(row(estimate, what, c.as_ref()?))).collect()
}

/// Says how many tasks take part where not all do, who is left out and why; `calibration.json` has all of them.
pub(crate) fn tell_left_out(file: &CalibrationFile, bars: &Bars) {
    for (sentence, as_meant) in file.claim.left_out() {
        if as_meant { bars.note(&sentence) } else { bars.warn(&sentence) }
    }
}

/// Says what is asked of tasks that are not here, a few of them by name.
fn tell_unknown(file: &CalibrationFile, bars: &Bars) {
    let list = |ids: &[String]| {
        let more = if ids.len() > NAMED { ", …" } else { "" };
        format!("{}{more}", ids[..ids.len().min(NAMED)].join(", "))
    };
    if file.claim.metrics.is_empty() {
        bars.warn("no task has an accuracy; `squbed score` compares videos with their ground truths");
    }
    if let Some(ranking) = file.claim.human_ranking.as_ref().filter(|r| !r.unknown_ids.is_empty()) {
        let ids = &ranking.unknown_ids;
        bars.warn(&format!("{}: {} id(s) have no accuracy here: {}", ranking.file, ids.len(), list(ids)));
    }
}

/// Says where nothing can be accepted though it was asked for, and why.
fn tell_acceptance(file: &CalibrationFile, bars: &Bars) {
    for (estimate, metrics) in &file.claim.by_metric {
        for (metric, analysis) in metrics {
            if let Some(why) = analysis.not_computed.get("acceptance") {
                bars.warn(&format!("{estimate}: no threshold for {metric}: {why}"));
            }
        }
    }
}

/// Says which τ's are undefined, each reason once.
fn tell_undefined(file: &CalibrationFile, bars: &Bars) {
    let mut by_reason: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for test in &file.claim.tests {
        if let Some(why) = &test.correlation.undefined {
            let estimate = test.estimate.as_deref().unwrap_or("accuracy");
            by_reason.entry(why).or_default().push(format!("{estimate}: {} with {}", test.x, test.y));
        }
    }
    for (why, tests) in by_reason {
        bars.warn(&format!("τ is undefined, {why}: {}", tests.join("; ")));
    }
}

/// Says of how many tests there is a τ and no interval, each reason once.
fn tell_no_interval(file: &CalibrationFile, bars: &Bars) {
    let mut by_reason: BTreeMap<&str, usize> = BTreeMap::new();
    for c in file.claim.tests.iter().map(|test| &test.correlation).filter(|c| c.undefined.is_none()) {
        if let Some(why) = c.ci_method.strip_prefix("none: ") {
            *by_reason.entry(why).or_default() += 1;
        }
    }
    for (why, tests) in by_reason {
        bars.note(&format!("no interval of {tests} of {} tests: {why}", file.claim.tests.len()));
    }
}

/// Says what could not be computed, and why.
pub(crate) fn tell_not_computed(file: &CalibrationFile, bars: &Bars) {
    for (name, why) in &file.not_computed {
        bars.note(&format!("not computed: {name}: {why}"));
    }
}

impl Report {
    pub(crate) fn run(self, common: &Common) -> anyhow::Result<Done> {
        results::check_folder(&self.results)?;
        let bars = Bars::new(common.quiet);
        if self.results.join(results::CALIBRATION).is_file() {
            results::record_command(&self.results, "report", &super::command_line())?;
        }
        let report = squbed::summary::report(&self.results, &self.results, Context::default(), &bars)?;
        bars.made("report", &report);
        Ok(Done::Whole)
    }
}
