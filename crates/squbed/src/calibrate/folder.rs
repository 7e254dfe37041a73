//! All of it for a results' folder: reads uncertainties, accuracies, truth and ranking, writes `calibration.json` and the
//! curves beside it.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use squbed_core::{Task, TaskUncertainty};

use super::{
    Accuracies, CalibrateError, Calibration, HumanRanking, Parts, Resampling, SubsetRule, Truth, calibrate,
    claim::{self, Scored, Settings, Test},
    confounders, correlate,
    decision::{self, MetricAnalysis, Target},
    left_out::{Participation, all_tasks, participation},
    pairing::check_pairs,
    ranking::RankingUsed,
};
use crate::{
    demo::{self, DemoFile},
    error::{Error, Result},
    method::Preset,
    progress::Progress,
    results::{self, BASELINES, CALIBRATION, CURVES, CalibrationFile, RISK_COVERAGE, VARIANTS},
};

/// Every choice of a calibration.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CalibrateOptions {
    /// How intervals are made.
    pub resampling: Resampling,
    /// The accuracy that `total_accuracy` and its like speak of; the first of the file where none is named.
    pub metric: Option<String>,
    /// A CSV file with the tasks as people rank them.
    pub human_ranking: Option<PathBuf>,
    /// The subset of Figure 5.
    pub subset: SubsetRule,
    /// Pairings of a permutation test beside each other p; 0 for none.
    pub permutations: usize,
    /// An accuracy of the primary metric that accepted tasks should reach.
    pub target: Option<Target>,
}

/// What a calibration says of the claim: a part of `calibration.json`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Claim {
    /// The accuracies, in the order of their file; higher is better.
    #[serde(default)]
    pub metrics: Vec<String>,
    /// Who takes part in the correlations with each accuracy, and who does not.
    #[serde(default)]
    pub participation: BTreeMap<String, Participation>,
    /// The human ranking of Figure 3, where one was given.
    #[serde(default)]
    pub human_ranking: Option<RankingUsed>,
    /// The subset of Figure 5, in words.
    #[serde(default)]
    pub subset_rule: String,
    /// What [`Test::p_holm`] is corrected over.
    #[serde(default)]
    pub families: String,
    /// The tests of Figures 3, 4 and 5.
    #[serde(default)]
    pub tests: Vec<Test>,
    /// The accuracy that accepted tasks should reach, where one was asked for; the answers are in
    /// [`by_metric`](Self::by_metric), of the primary metric.
    #[serde(default)]
    pub target: Option<Target>,
    /// Contributions of the parts, risk and coverage, and thresholds: by estimate, then by metric.
    #[serde(default)]
    pub by_metric: BTreeMap<String, BTreeMap<String, MetricAnalysis>>,
}

impl Claim {
    /// Who is left out of the correlations, a sentence for all accuracies of which the same is true; and whether all
    /// those are left out on purpose.
    pub fn left_out(&self) -> Vec<(String, bool)> {
        let mut groups: Vec<(&Participation, Vec<&str>)> = Vec::new();
        for metric in &self.metrics {
            let Some(of) = self.participation.get(metric) else { continue };
            match groups.iter_mut().find(|(known, _)| *known == of) {
                Some((_, metrics)) => metrics.push(metric),
                None => groups.push((of, vec![metric])),
            }
        }
        let told = |(of, metrics): (&Participation, Vec<&str>)| {
            Some((of.sentence(&metrics.join(", "))?, of.as_meant()))
        };
        groups.into_iter().filter_map(told).collect()
    }
}

/// Reads a folder's uncertainties, accuracies, baselines and truth, correlates them and writes `calibration.json`,
/// `subset_curves.jsonl` and `risk_coverage.jsonl`. Floors that the file had are held against the new figures.
///
/// # Errors
///
/// A folder without uncertainties or without accuracies, files that cannot be read, a task without its truth;
/// uncertainties that mix dimensions, options or tasks, or are of other videos than the accuracies; a metric or a subset that is none; a ranking that cannot be read
/// or names no task.
pub fn calibrate_folder(
    out: &Path,
    options: &CalibrateOptions,
    progress: &dyn Progress,
) -> Result<CalibrationFile> {
    let resampling = options.resampling;
    let rule = options.subset.check()?;
    let estimates = read_estimates(out)?;
    let Some((_, leading)) = estimates.first() else {
        return Err(Error::NoStep { path: out.join("default/uncertainty.jsonl"), step: "estimate" });
    };
    results::need(out.join("accuracy.jsonl"), "score")?;
    let accuracies = Accuracies::of(&squbed_store::read_accuracy(out)?)?;
    let primary = accuracies.primary(options.metric.as_deref())?;
    let values = accuracies.of_metric(&primary);
    let truth = results::read_truth(out)?;
    let ranking = options.human_ranking.as_deref().map(HumanRanking::read).transpose()?;
    let baselines = results::read_parts(&out.join(BASELINES))?;
    let variants = results::read_parts(&out.join(VARIANTS))?;
    let named = estimates.iter().map(|(name, rows)| (name.as_str(), rows.as_slice()));
    if let Some(unknown) = check_pairs(out, named, baselines.iter().chain(&variants), &accuracies)? {
        progress.warn(&unknown);
    }
    let tasks = results::read_tasks_of(out)?;

    let steps = 2 * estimates.len() + baselines.len() + variants.len();
    progress.begin("calibrate", steps as u64, "estimates");
    let one = |parts: &[Parts]| -> Result<Calibration> {
        let calibration = calibrate(parts, &values, truth.as_ref(), resampling)?;
        progress.advance(1);
        Ok(calibration)
    };
    let of_rows = |(name, rows): &(String, Vec<TaskUncertainty>)| {
        let parts: Vec<Parts> = rows.iter().map(Parts::from).collect();
        Ok((name.clone(), Some(one(&parts)?)))
    };
    let known = |kept: bool| {
        let truth = truth.as_ref();
        leading
            .iter()
            .filter_map(move |row| truth?.get(&row.id))
            .filter(move |t| !kept || !t.confidently_wrong)
    };
    let truths: (Vec<f64>, Vec<f64>) = known(true).map(|t| (t.aleatoric, t.epistemic)).unzip();
    let mut file = CalibrationFile {
        n_tasks: leading.len(),
        confidently_wrong: known(false).count() - truths.0.len(),
        accuracy: primary.clone(),
        truths: truth.as_ref().map(|_| correlate(&truths.0, &truths.1, resampling)).transpose()?,
        presets: estimates.par_iter().map(of_rows).collect::<Result<_>>()?,
        baselines: baselines
            .par_iter()
            .map(|(name, parts)| Ok((name.clone(), one(parts)?)))
            .collect::<Result<_>>()?,
        variants: variants
            .par_iter()
            .map(|(name, parts)| Ok((name.clone(), Some(one(parts)?))))
            .collect::<Result<_>>()?,
        not_computed: BTreeMap::new(),
        claim: Claim {
            metrics: accuracies.metrics().to_vec(),
            participation: participation(out, &tasks, leading, &accuracies, truth.as_ref())?,
            human_ranking: ranking.as_ref().map(|r| used(r, &accuracies)),
            subset_rule: rule.to_string(),
            families: claim::FAMILIES.to_owned(),
            target: options.target,
            ..Claim::default()
        },
    };
    for skipped in results::read_record(out)?.map(|record| record.skipped).unwrap_or_default() {
        let computed = if skipped.preset { &mut file.presets } else { &mut file.variants };
        if computed.entry(skipped.name.clone()).or_insert(None).is_none() {
            file.not_computed.insert(skipped.name, skipped.why);
        }
    }

    let settings = Settings { resampling, rule, permutations: options.permutations };
    if let Some(ranking) = &ranking {
        file.claim.tests = figure_3(&settings, &accuracies, ranking)?;
    }
    let scored = scored(&estimates, &tasks, &accuracies, truth.as_ref());
    let analysed: Vec<Analysed> = scored
        .par_iter()
        .map(|scored| {
            let target = options.target.filter(|_| scored.metric == primary);
            let (mut analysis, risk_coverage) = decision::analyse(scored, target)?;
            analysis.confounders = confounders::confounders(scored, &tasks, resampling)?;
            let tests = settings.figures_4_and_5(scored)?;
            Ok(Analysed { tests, analysis, curves: scored.curves()?, risk_coverage })
        })
        .collect::<Result<_>>()?;
    progress.advance(estimates.len() as u64);
    let (mut curves, mut risk_coverage) = (Vec::new(), Vec::new());
    for (scored, analysed) in scored.iter().zip(analysed) {
        file.claim.tests.extend(analysed.tests);
        curves.extend(analysed.curves);
        risk_coverage.extend(analysed.risk_coverage);
        let of_estimate = file.claim.by_metric.entry(scored.estimate.to_owned()).or_default();
        of_estimate.insert(scored.metric.to_owned(), analysed.analysis);
    }
    claim::correct(&mut file.claim.tests)?;
    progress.end();
    squbed_store::write_json_lines(&out.join(CURVES), &curves)?;
    squbed_store::write_json_lines(&out.join(RISK_COVERAGE), &risk_coverage)?;
    write(out, &file, progress)?;
    Ok(file)
}

struct Analysed {
    tests: Vec<Test>,
    analysis: MetricAnalysis,
    curves: Vec<claim::CurvePoint>,
    risk_coverage: Vec<decision::RiskCoverageRow>,
}

/// The estimates of a folder by name, each checked to be one.
fn read_estimates(out: &Path) -> Result<Vec<(String, Vec<TaskUncertainty>)>> {
    let mut estimates = Vec::new();
    for name in if out.is_dir() { results::estimate_names(out)? } else { Vec::new() } {
        if let Some(rows) = results::read_uncertainty(out, &name)? {
            check(&name, &rows)?;
            check_options(out, &name)?;
            estimates.push((name, rows));
        }
    }
    Ok(estimates)
}

/// Refuses numbers that are none, tasks that come twice and entropies that do not share a scale.
fn check(estimate: &str, rows: &[TaskUncertainty]) -> Result<(), CalibrateError> {
    let mut seen = BTreeSet::new();
    let (mut prompts, mut videos) = (None, None);
    for row in rows {
        let (estimate, task) = (estimate.to_owned(), row.id.clone());
        for (column, value) in [("aleatoric", row.aleatoric), ("epistemic", row.epistemic)] {
            if value.is_nan() || value == f64::INFINITY {
                return Err(CalibrateError::Undefined { estimate, task, column });
            }
        }
        if !seen.insert(&row.id) {
            return Err(CalibrateError::TaskTwice { estimate, task });
        }
        let of_videos = row.videos.iter().map(|fit| ("videos", fit.dim));
        for (of, got) in of_videos.chain([("latent prompts", row.prompts.dim)]) {
            let expected = *(if of == "videos" { &mut videos } else { &mut prompts }).get_or_insert(got);
            if got != expected {
                return Err(CalibrateError::Dimensions { estimate, of, task, expected, got });
            }
        }
    }
    Ok(())
}

/// Refuses uncertainties beside options that did not make them.
fn check_options(out: &Path, estimate: &str) -> Result<()> {
    let folder = out.join(estimate);
    if !folder.join("uncertainty.parquet").exists() {
        return Ok(());
    }
    let rows = squbed_store::read_method(&folder)?;
    let options = results::read_method(out, estimate)?;
    let encode = |source| Error::Encode { what: "the method's options", source: Box::new(source) };
    let written = serde_json::to_value(&options).map_err(encode)?;
    for key in ["preset", "options", "text_encoder", "video_encoder"] {
        if rows[key] != written[key] {
            return Err(Error::from(CalibrateError::Mixed {
                estimate: estimate.to_owned(),
                rows: format!("{key} {}", rows[key]),
                options: written[key].to_string(),
            }));
        }
    }
    Ok(())
}

fn used(ranking: &HumanRanking, accuracies: &Accuracies) -> RankingUsed {
    let known = |id: &str| accuracies.metrics().iter().any(|metric| accuracies.value(metric, id).is_some());
    RankingUsed {
        file: ranking.path.display().to_string(),
        rows: ranking.ranks.len(),
        unknown_ids: ranking.ranks.keys().filter(|id| !known(id)).cloned().collect(),
        ranks: ranking.ranks.clone(),
    }
}

fn figure_3(settings: &Settings, accuracies: &Accuracies, ranking: &HumanRanking) -> Result<Vec<Test>> {
    let values: Vec<_> = accuracies.metrics().iter().map(|m| (m, accuracies.of_metric(m))).collect();
    if !values.iter().any(|(_, values)| ranking.ranks.keys().any(|id| values.contains_key(id))) {
        let first: Vec<&str> = ranking.ranks.keys().take(3).map(String::as_str).collect();
        return Err(Error::from(CalibrateError::RankingMatches {
            path: ranking.path.clone(),
            rows: ranking.ranks.len(),
            first: first.join(", "),
        }));
    }
    values.iter().map(|(metric, values)| settings.figure_3(metric, values, ranking)).collect()
}

/// Each estimate with each accuracy, on the tasks that have both; without those on which the closed world's model is
/// confidently wrong, which stand apart everywhere.
fn scored<'a>(
    estimates: &'a [(String, Vec<TaskUncertainty>)],
    tasks: &BTreeMap<String, Task>,
    accuracies: &'a Accuracies,
    truth: Option<&BTreeMap<String, Truth>>,
) -> Vec<Scored<'a>> {
    let apart = |id: &String| truth.and_then(|t| t.get(id)).is_some_and(|t| t.confidently_wrong);
    let mut all = Vec::new();
    for (estimate, rows) in estimates {
        let of_all = all_tasks(tasks, rows, accuracies).len();
        for metric in accuracies.metrics() {
            let values = accuracies.of_metric(metric);
            let both = rows.iter().filter(|row| !apart(&row.id));
            let (rows, accuracy) = both.filter_map(|row| Some((row, *values.get(&row.id)?))).unzip();
            all.push(Scored { estimate, metric, rows, accuracy, tasks: of_all });
        }
    }
    all
}

/// Writes `calibration.json`. The floors of a demonstration that stood in it are held against the new figures; one that
/// speaks of another accuracy than the present one is left out, and that is told.
fn write(out: &Path, file: &CalibrationFile, progress: &dyn Progress) -> Result<()> {
    let path = out.join(CALIBRATION);
    let before = path.exists().then(|| results::read_json::<DemoFile>(&path).ok()).flatten();
    let Some(before) = before.filter(|before| !before.floors.is_empty()) else {
        return results::write_json(&path, file);
    };
    let taus = demo::taus(file, Preset::Default.name());
    let same_accuracy = before.calibration.accuracy == file.accuracy;
    let mut floors = before.floors;
    floors.retain_mut(|floor| {
        let place = demo::CORRELATIONS.iter().position(|name| *name == floor.name);
        let value = place.and_then(|place| taus.map(|taus| taus[place])).unwrap_or(f64::NAN);
        (floor.value, floor.holds) = (value, (floor.bound.least..=floor.bound.most).contains(&value));
        let kept = same_accuracy || !floor.name.contains("accuracy");
        if !kept {
            progress.warn(&format!(
                "the floor of “{}” is left out: it binds {}, and the primary accuracy is {} now",
                floor.name, before.calibration.accuracy, file.accuracy
            ));
        }
        kept
    });
    results::write_json(&path, &DemoFile { calibration: file.clone(), floors, seeds: Vec::new() })
}
