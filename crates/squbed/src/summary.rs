//! From a results' folder to its report.

mod anomalies;
mod claim;
mod evidence;
mod notes;
mod provenance;
mod tasks;
mod words;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use serde::de::DeserializeOwned;
use squbed_core::{Task, TaskUncertainty};
use squbed_report::{AccuracyMetric, Method, Outcome, ReportData, Run, Step, Verdict};
use words::{correlations, preset_method, report_floors, seed_tables, tau_text};

use crate::{
    anomaly::VideoAnomaly,
    calibrate::{
        Accuracies, Correlation, Parts, PointMasses, Truth, claim::CurvePoint, decision::RiskCoverageRow,
        pairing::check_pairs,
    },
    demo::{DemoFile, Floor, SEEDS, SeedCalibration},
    error::Result,
    experiment::{Experiment, TaskSource},
    method::Preset,
    progress::Progress,
    results::{self, CalibrationFile, MethodInForce},
    run::RunRecord,
    score::MetricsFile,
    sources,
};

/// “4”, or “2 to 4” where they differ.
fn range(counts: impl Iterator<Item = usize> + Clone) -> String {
    match (counts.clone().min(), counts.max()) {
        (Some(least), Some(most)) if least < most => format!("{least} to {most}"),
        (_, most) => most.unwrap_or(0).to_string(),
    }
}

/// What several seeds of a demonstration add to the report of one of them.
#[derive(Clone, Copy, Debug, Default)]
pub struct Context<'a> {
    /// The floors and what became of them; those of the folder's `calibration.json` where empty.
    pub floors: &'a [Floor],
    /// Every seed of the demonstration.
    pub seeds: &'a [SeedCalibration],
}

/// Writes `report.html` and `plots/` into `into` from what the results' folder `out` holds. Returns the
/// report's path.
///
/// # Errors
///
/// A folder in which a step before this one has not left its files; files that cannot be read or written.
pub fn report(out: &Path, into: &Path, context: Context<'_>, progress: &dyn Progress) -> Result<PathBuf> {
    let folder = Folder::read(out)?;
    let floors = if context.floors.is_empty() { &folder.floors } else { context.floors };
    let data = folder.data(Context { floors, ..context }, progress);
    progress.begin("draw plots", squbed_report::plots(&data).len() as u64, "plots");
    squbed_report::write(&data, into, &|| progress.advance(1))?;
    progress.end();
    Ok(into.join("report.html"))
}

/// Fewest tasks on which floors that hold are called held: of fewer, chance alone gives high and low τ's alike.
const LEAST_TASKS_FOR_FLOORS: usize = 12;

/// Everything that a results' folder holds.
struct Folder {
    /// Absent where the steps were run one by one.
    experiment: Option<Experiment>,
    tasks: Vec<Task>,
    truth: BTreeMap<String, Truth>,
    accuracies: Accuracies,
    metrics: MetricsFile,
    subset_curves: Vec<CurvePoint>,
    risk_coverage: Vec<RiskCoverageRow>,
    /// By the estimate's name.
    uncertainty: BTreeMap<String, (MethodInForce, Vec<TaskUncertainty>)>,
    baselines: BTreeMap<String, Vec<Parts>>,
    /// The most surprising videos by each estimate.
    anomalies: Vec<(String, Vec<VideoAnomaly>)>,
    /// The folder itself.
    out: PathBuf,
    /// Why it cannot be checked that uncertainties and accuracies are of the same videos, where it cannot.
    unchecked: Option<String>,
    calibration: CalibrationFile,
    floors: Vec<Floor>,
    record: RunRecord,
    failures: Vec<squbed_store::Failure>,
    /// The commands of the steps that were run one by one.
    commands: Vec<String>,
    /// The files that the report is made of, each with the beginning of its digest.
    inputs: Vec<String>,
}

/// What to do about a file of curves that cannot be read.
const CALIBRATE_AGAIN: &str = "run `squbed calibrate` again";

/// The rows of a file that a step leaves; none in older folders, which lack it.
fn read_rows<T: DeserializeOwned>(path: &Path, remedy: &'static str) -> Result<Vec<T>> {
    if !path.is_file() {
        return Ok(Vec::new());
    }
    let rows = squbed_store::read_json_lines(path, remedy)?;
    Ok(rows.into_iter().map(|(_, row)| row).collect())
}

impl Folder {
    fn read(out: &Path) -> Result<Self> {
        let tasks = squbed_store::read_tasks(&results::need(out.join("tasks.jsonl"), "estimate")?)?;
        results::need(out.join("accuracy.jsonl"), "score")?;
        let file: DemoFile = results::read_json(&results::need(out.join("calibration.json"), "calibrate")?)?;
        let mut uncertainty: BTreeMap<String, (MethodInForce, Vec<TaskUncertainty>)> = BTreeMap::new();
        for name in results::estimate_names(out)? {
            if let Some(rows) = results::read_uncertainty(out, &name)? {
                let in_force = results::read_method(out, &name)?;
                uncertainty.insert(name, (in_force, rows));
            }
        }
        let accuracies = Accuracies::of(&squbed_store::read_accuracy(out)?)?;
        let baselines = results::read_parts(&out.join(results::BASELINES))?;
        let named = uncertainty.iter().map(|(name, (_, rows))| (name.as_str(), rows.as_slice()));
        let unchecked = check_pairs(out, named, &baselines, &accuracies)?;
        Ok(Self {
            experiment: Experiment::read_recorded(out)?,
            tasks,
            truth: results::read_truth(out)?.unwrap_or_default(),
            accuracies,
            metrics: MetricsFile::read(out)?,
            subset_curves: read_rows(&out.join(results::CURVES), CALIBRATE_AGAIN)?,
            risk_coverage: read_rows(&out.join(results::RISK_COVERAGE), CALIBRATE_AGAIN)?,
            uncertainty,
            baselines,
            anomalies: anomalies::read(out)?,
            out: out.to_owned(),
            unchecked,
            calibration: file.calibration,
            floors: file.floors,
            record: results::read_record(out)?.unwrap_or_else(|| RunRecord::new("")),
            failures: squbed_store::read_failures(&out.join(results::FAILURES))?,
            commands: results::read_commands(out)?,
            inputs: provenance::inputs(out)?,
        })
    }

    fn data(&self, context: Context<'_>, progress: &dyn Progress) -> ReportData {
        let apart = self.calibration.confidently_wrong;
        let scope = match apart {
            0 => String::new(),
            1 => "without the confidently wrong task".to_owned(),
            k => format!("without the {k} confidently wrong tasks"),
        };
        let methods: Vec<Method> = self
            .uncertainty
            .iter()
            .map(|(name, (in_force, rows))| {
                let calibration = self.calibration.preset(name);
                preset_method(in_force, rows, &self.calibration.accuracy, calibration, &scope)
            })
            .collect();
        let baselines = self
            .baselines
            .keys()
            .map(|name| Method {
                key: name.clone(),
                about: "1 − the mean cosine over all pairs, of the latent prompts' embeddings and of each latent \
                        prompt's videos; no fit."
                    .to_owned(),
                unit: String::new(),
                options: Vec::new(),
                correlations: correlations(self.calibration.baselines.get(name), &scope),
            })
            .collect();
        ReportData {
            title: self.experiment.as_ref().map_or_else(|| "Uncertainty of a video model".to_owned(), |e| e.title.clone()),
            summary: self.summary(),
            verdict: self.verdict(context),
            floors: report_floors(context),
            run: self.run(),
            accuracies: self.accuracies(),
            claim: self.claim(),
            methods_text: self.methods_text(),
            methods,
            baselines,
            seeds: seed_tables(context.seeds),
            notes: self.notes(),
            confidently_wrong: self.confidently_wrong(),
            tasks: self.task_reports(progress),
            anomalies: self.anomalies(),
            failures: self
                .failures
                .iter()
                .map(|f| squbed_report::Failure {
                    item: f.item.clone(),
                    step: f.step.clone(),
                    error: f.error.clone(),
                    hint: f.hint.clone(),
                })
                .collect(),
            warnings: self.warnings(),
            citations: vec![
                "How Confident Are Video Models? Empowering Video Models to Express Their Uncertainty (S-QUBED)."
                    .to_owned(),
                "Carreira and Zisserman, Quo Vadis, Action Recognition?, CVPR 2017 (I3D).".to_owned(),
                "Reimers and Gurevych, Sentence-BERT, EMNLP 2019.".to_owned(),
            ],
        }
    }

    /// The accuracies, the primary one first; none where no task has one.
    fn accuracies(&self) -> Vec<AccuracyMetric> {
        let about = |name: &str| {
            let record = self.metrics.metrics.iter().find(|m| m.name == name);
            record.map_or_else(|| "Averaged over the task's videos.".to_owned(), |m| m.about.clone())
        };
        let metric = |name: &String| AccuracyMetric {
            name: name.clone(),
            unit: if name.starts_with("psnr") { "dB" } else { "" }.to_owned(),
            about: about(name),
        };
        self.metric_names().into_iter().map(metric).collect()
    }

    /// The metrics' names, the primary one first.
    fn metric_names(&self) -> Vec<&String> {
        let primary = &self.calibration.accuracy;
        let (first, others): (Vec<_>, Vec<_>) =
            self.accuracies.metrics().iter().partition(|name| *name == primary);
        [first, others].concat()
    }

    fn sizes(&self) -> (usize, usize) {
        let n = self.tasks.iter().map(|t| t.latents.len()).max().unwrap_or(0);
        let m = self.tasks.iter().flat_map(|t| &t.latents).map(|z| z.videos.len()).max().unwrap_or(0);
        (n, m)
    }

    fn world(&self) -> String {
        match self.experiment.as_ref().map(|e| (&e.tasks, e.seed)) {
            Some((TaskSource::World { kind, .. }, seed)) => {
                format!("closed world, knowledge by {kind}, seed {seed}")
            }
            Some((TaskSource::File(path), _)) => path.display().to_string(),
            None => "tasks.jsonl".to_owned(),
        }
    }

    fn summary(&self) -> String {
        let n = range(self.tasks.iter().map(|t| t.latents.len()));
        let m = range(self.tasks.iter().flat_map(|t| &t.latents).map(|z| z.videos.len()));
        format!(
            "{} tasks ({}), {n} latent prompts each, {m} videos a latent prompt. Aleatoric uncertainty is the \
             entropy of a von Mises–Fisher distribution fitted to the latent prompts' embeddings, epistemic \
             uncertainty the mean entropy of those fitted to each latent prompt's videos; entropies are in nats.",
            self.tasks.len(),
            self.world()
        )
    }

    fn run(&self) -> Run {
        let (latents, videos) = self.sizes();
        let encoder = self.uncertainty.values().next().map(|(m, _)| (&m.text_encoder, &m.video_encoder));
        let mut facts = vec![
            ("refiner".to_owned(), self.record.refiner.clone()),
            ("video model".to_owned(), self.record.generator.clone()),
        ];
        if let Some((text, video)) = encoder {
            for (name, e) in [("text encoder", text), ("video encoder", video)] {
                let sampling =
                    if e.sampling.is_empty() { String::new() } else { format!(", frames {}", e.sampling) };
                let digest = e.weights_sha256.get(..12).unwrap_or(&e.weights_sha256);
                let value =
                    format!("{} ({}, {} numbers{sampling}, sha256 {digest}…)", e.name, e.dtype, e.dim);
                facts.push((name.to_owned(), value));
            }
        }
        facts.push(("files read, BLAKE3".to_owned(), self.inputs.join("; ")));
        facts.retain(|(_, value)| !value.is_empty());
        Run {
            made: self.record.made.clone(),
            command: self.command(),
            version: self.record.squbed.clone(),
            machine: self.record.machine.clone(),
            device: self.record.device.clone(),
            world: self.world(),
            tasks: self.tasks.len(),
            latents,
            videos,
            steps: self
                .record
                .steps
                .iter()
                .filter(|s| s.skipped.is_none())
                .map(|s| Step {
                    name: s.step.clone(),
                    seconds: s.seconds,
                    items: s.done + s.reused,
                    unit: s.unit.clone(),
                    reused: s.reused,
                })
                .collect(),
            facts,
        }
    }

    fn verdict(&self, Context { floors, seeds }: Context<'_>) -> Verdict {
        // The default preset leads; where it is not there, the first of the others does.
        let others = || self.calibration.presets.values().flatten().next();
        let default = self.calibration.preset(Preset::Default.name()).or_else(others);
        // Before any figure: how many tasks it is of.
        let left_out = self.calibration.claim.left_out();
        let mut evidence: Vec<String> =
            left_out.into_iter().map(|(sentence, _)| format!("{sentence}.")).collect();
        if let Some(truth) = default.and_then(|c| c.truth.as_ref()) {
            evidence
                .push(format!("Estimated with true aleatoric uncertainty: {}.", tau_text(&truth.aleatoric)));
            evidence
                .push(format!("Estimated with true epistemic uncertainty: {}.", tau_text(&truth.epistemic)));
        }
        if let Some(c) = default.and_then(|c| c.total_accuracy.as_ref()) {
            evidence.push(format!("Rank-sum total with {}: {}.", self.calibration.accuracy, tau_text(c)));
        }
        if let [first, _, ..] = seeds {
            evidence.push(format!(
                "These are the figures of seed {}, as are all below but the floors and the tables by seed; the \
                 floors are held against the median over {} seeds.",
                first.seed,
                seeds.len()
            ));
        } else if !floors.is_empty() {
            let all: Vec<String> = SEEDS.iter().map(u64::to_string).collect();
            evidence.push(format!(
                "The floors are meant for the median over seeds {}; here they are held against one seed.",
                all.join(", ")
            ));
        }
        let missed: Vec<&Floor> = floors.iter().filter(|f| !f.holds).collect();
        let (outcome, headline) = if floors.is_empty() {
            (Outcome::Unclaimed, self.claim_in_words(default.and_then(|c| c.total_accuracy.as_ref())))
        } else if missed.is_empty() && self.calibration.n_tasks < LEAST_TASKS_FOR_FLOORS {
            let headline = format!(
                "All {} floors held, but {} tasks are too few to decide: the floors are meant for the \
                 demonstration's 24 tasks, and for a quick test at least {LEAST_TASKS_FOR_FLOORS}.",
                floors.len(),
                self.calibration.n_tasks
            );
            (Outcome::Unclaimed, headline)
        } else if missed.is_empty() {
            (Outcome::Held, format!("All {} floors held.", floors.len()))
        } else {
            let names: Vec<&str> = missed.iter().map(|f| f.name.as_str()).collect();
            (
                Outcome::Missed,
                format!("{} of {} floors missed: {}.", missed.len(), floors.len(), names.join("; ")),
            )
        };
        Verdict { outcome, headline, evidence }
    }

    /// Whether uncertainty predicts the primary accuracy, by the interval of the rank-sum total's τ.
    fn claim_in_words(&self, total: Option<&Correlation>) -> String {
        let accuracy = &self.calibration.accuracy;
        match total {
            None if self.calibration.presets.values().all(Option::is_none) => {
                "No estimate could be computed here.".to_owned()
            }
            None => "No task has an accuracy, so that nothing is said of the claim.".to_owned(),
            Some(c) if c.ci_high < 0.0 => {
                format!("The more uncertain a task, the less accurate by {accuracy}.")
            }
            Some(c) if c.ci_low > 0.0 => {
                format!("The claim fails here: the more uncertain a task, the more accurate by {accuracy}.")
            }
            // Without an interval, as of a perfect order, p decides.
            Some(c) if c.ci_low.is_nan() && c.p < 0.05 && c.tau < 0.0 => {
                format!(
                    "The more uncertain a task, the less accurate by {accuracy} (by p; there is no interval)."
                )
            }
            Some(c) if c.ci_low.is_nan() && c.p < 0.05 => format!(
                "The claim fails here: the more uncertain a task, the more accurate by {accuracy} (by p; there is no \
                 interval)."
            ),
            Some(c) if c.ci_low.is_nan() => format!(
                "Whether uncertainty predicts {accuracy} cannot be told: {}.",
                c.ci_method.trim_start_matches("none: ")
            ),
            Some(_) => {
                format!("It is not shown that uncertainty predicts {accuracy}: the interval of τ contains 0.")
            }
        }
    }

    fn warnings(&self) -> Vec<String> {
        let capital = |sentence: &String| {
            let (first, rest) = sentence.split_at(sentence.chars().next().map_or(0, char::len_utf8));
            format!("{}{rest}.", first.to_uppercase())
        };
        let mut warnings: Vec<String> = self.unchecked.iter().map(capital).collect();
        // The samples are the same, whatever is estimated of them.
        if let Some((_, rows)) = self.uncertainty.values().next() {
            warnings.extend(sources::repeat_sentences(rows).iter().map(capital));
            warnings.extend(sources::cut_sentence(rows).iter().map(capital));
        }
        for (name, why) in &self.calibration.not_computed {
            warnings.push(format!("Not computed: {name}: {why}."));
        }
        for (name, (in_force, rows)) in &self.uncertainty {
            let parts: Vec<Parts> = rows.iter().map(Parts::from).collect();
            warnings.extend(words::uneven(in_force.options.estimator, rows).map(|s| format!("{name}: {s}.")));
            warnings.extend(PointMasses::of(&parts).sentences().into_iter().map(|s| format!("{name}: {s}.")));
            warnings.extend(crate::interval::missing(rows).into_iter().map(|s| format!("{name}: {s}.")));
            let groups = || rows.iter().flat_map(|r| r.videos.iter().chain([&r.prompts]));
            for (flag, words) in [
                (squbed_core::Flag::Clipped, "were clipped to κ = 0 by the U correction"),
                (squbed_core::Flag::Saturated, "are as tight as single-precision embeddings resolve"),
                (
                    squbed_core::Flag::NearUniform,
                    "cannot be told from uniform ones (Rayleigh's test, p > 0.05)",
                ),
                (
                    squbed_core::Flag::Bimodal,
                    "fall in two clusters (p ≤ 0.001), so that their entropies are upper bounds",
                ),
            ] {
                let k = groups().filter(|g| g.flags.contains(&flag)).count();
                if k > 0 {
                    warnings.push(format!("{name}: {k} of {} groups {words}.", groups().count()));
                }
            }
        }
        warnings
    }
}
