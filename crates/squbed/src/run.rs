//! A whole run: every step from one experiment, each reading and writing plain files in one folder.
//!
//! ```text
//! out/
//! ├── experiment.toml          what was asked for
//! ├── tasks.jsonl              tasks with latent prompts and videos
//! ├── truth.jsonl              the closed world's truth, where there is one
//! ├── ground-truth/            the closed world's true clips
//! ├── refinement.jsonl, refiner.json   what refined, and what was rejected; rows are kept as they are made
//! ├── videos/                  generated clips, with ledger.jsonl where a program or server made them, and budget.jsonl
//! │                            where they were made in rounds
//! ├── cache/                   embeddings, unless the experiment names another folder
//! ├── accuracy.{jsonl,parquet}, accuracy_videos.jsonl, metrics.json
//! ├── baselines.jsonl, variants.jsonl
//! ├── <estimate>/uncertainty.{jsonl,parquet}, anomalies.jsonl, method.json, basis.safetensors
//! │                            a folder a preset, and one a preset with changed options
//! ├── calibration.json, subset_curves.jsonl, risk_coverage.jsonl
//! ├── run.json                 machine, versions, seconds and rates of each step, what could not be computed
//! ├── failures.jsonl           items that failed in this run; absent where none did
//! └── report.html, plots/, tables/
//! ```
//!
//! Finished work is found by its files and not done again.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    time::Instant,
};

use candle_core::{DType, Device};
use serde::{Deserialize, Serialize};
use squbed_core::{Task, float};
use squbed_models::ModelStore;
use squbed_sim::{World, WorldSpec};
use squbed_store::{Failure, TruthRow};
use squbed_tensor::{TextEncoder, VideoEncoder};

use crate::{
    ablation,
    adaptive::Stopping,
    anomaly,
    calibrate::{CalibrateOptions, Resampling, calibrate_folder},
    embed::{self, Work},
    error::{Error, Result},
    experiment::{EXPERIMENT, Experiment, TaskSource},
    method::{self, MethodOptions},
    progress::Progress,
    refiner,
    results::{self, CalibrationFile, FAILURES, MethodInForce},
    score::{self, Measure, Scored, Scoring, Videos},
    sources, steps,
    summary::{self, Context},
};

/// The steps whose rows of `failures.jsonl` a run replaces.
const FAILING_STEPS: &[&str] = &["generate", "embed", "score", "estimate"];

/// Encoders on their device, loaded once for any number of runs.
pub struct Encoders {
    /// For prompts.
    pub text: Box<dyn TextEncoder>,
    /// For videos.
    pub video: Box<dyn VideoEncoder>,
    /// Where both live.
    pub device: Device,
    /// Their arithmetic.
    pub dtype: DType,
    /// Where further models are.
    pub models: ModelStore,
}

impl Encoders {
    /// Loads the encoders that an experiment names.
    pub fn load(experiment: &Experiment, models: ModelStore) -> Result<Self> {
        let device = squbed_tensor::device::select_device(&experiment.device)?;
        let dtype: DType = squbed_tensor::device::select_dtype(&experiment.dtype, &device)?;
        Ok(Self {
            text: models.text_encoder(&experiment.embed.text, &device, dtype)?,
            video: models.video_encoder(&experiment.embed.video, &device, dtype)?,
            device,
            dtype,
            models,
        })
    }
}

/// What a step did and how fast.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepRecord {
    /// E.g. `embed videos`.
    pub step: String,
    /// What it counts, e.g. `clips`.
    pub unit: String,
    /// Items found finished.
    pub reused: usize,
    /// Items done now.
    pub done: usize,
    /// Items that failed.
    pub failed: usize,
    /// Seconds.
    #[serde(with = "float")]
    pub seconds: f64,
    /// Why there was nothing to do, or it could not be done.
    #[serde(default)]
    pub skipped: Option<String>,
}

/// Machine, versions and the record of each step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunRecord {
    /// When it ended, RFC 3339.
    pub made: String,
    /// The command line.
    pub command: String,
    /// The machine, in words.
    pub machine: String,
    /// Version of this program.
    pub squbed: String,
    /// The device, in words.
    pub device: String,
    /// Threads of the CPU in use.
    pub threads: usize,
    /// What refined the prompts.
    pub refiner: String,
    /// What generated the videos.
    pub generator: String,
    /// Each step.
    pub steps: Vec<StepRecord>,
    /// What the data did not allow.
    #[serde(default)]
    pub skipped: Vec<Skipped>,
}

/// A preset or a variant of the default preset that could not be computed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Skipped {
    /// Its name.
    pub name: String,
    /// Whether it is a preset; a variant of the ablation otherwise.
    pub preset: bool,
    /// Why.
    pub why: String,
}

/// What a run ended with.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The results' folder.
    pub out: PathBuf,
    /// What `calibration.json` holds.
    pub calibration: CalibrationFile,
    /// What `run.json` holds.
    pub record: RunRecord,
    /// Items that failed.
    pub failures: Vec<Failure>,
}

/// Runs every step but the report, which [`summary::report`] makes of the folder.
/// `command` is what the user typed, for the record.
pub fn run(
    experiment: &Experiment,
    encoders: &Encoders,
    command: &str,
    progress: &dyn Progress,
) -> Result<Outcome> {
    experiment.check()?;
    let out = &experiment.out;
    claim(experiment, &encoders.video.identity().dtype)?;
    results::forget_commands(out)?;
    let mut record = RunRecord::new(command);
    record.device = squbed_tensor::device::describe(&encoders.device);
    let mut failures = Vec::new();

    let (tasks, between_rounds) = make_tasks(experiment, encoders, &mut record, &mut failures, progress)?;
    squbed_store::write_tasks(&out.join("tasks.jsonl"), &tasks)?;

    let prompts: Vec<&str> = tasks.iter().flat_map(|t| &t.latents).map(|z| z.prompt.as_str()).collect();
    let cache = experiment.cache();
    let (texts, work) = embed::embed_texts(&prompts, &*encoders.text, Some(&cache), progress)?;
    record.work("embed prompts", "sentences", &work);
    failures.extend(work.failures);
    let limits = experiment.limits.get();
    let (videos, histograms, mut work) = embed::embed_videos_within(
        &video_paths(&tasks),
        &*encoders.video,
        Some(&cache),
        experiment.embed.batch,
        &limits,
        progress,
    )?;
    work.reused = work.reused.saturating_sub(between_rounds.computed);
    work.computed += between_rounds.computed;
    work.seconds += between_rounds.seconds;
    record.work("embed videos", "clips", &work);
    failures.extend(work.failures);

    let measures = experiment.score.measures()?;
    let scoring = Scoring {
        tasks: &tasks,
        measures: &measures,
        videos: Videos::Embedded(&videos),
        clip_model: &experiment.score.clip,
        models: &encoders.models,
        device: &encoders.device,
        dtype: encoders.dtype,
        cache: &cache,
        batch: experiment.embed.batch,
        limits: &limits,
        out,
    };
    let scored = score::score(&scoring, progress)?;
    record.compared(&scored, &measures);
    for not_run in &scored.file.not_run {
        progress.warn(&format!("not run: {}: {}", not_run.metric, not_run.why));
    }
    // Uncertainties are worth a report without any accuracy; one of earlier videos is none of theirs.
    if scored.scores.is_empty() {
        let before =
            out.join("accuracy.jsonl").exists().then(|| squbed_store::read_accuracy(out)).transpose()?;
        squbed_store::write_accuracy(out, &sources::still_true(before.unwrap_or_default(), &tasks, &videos))?;
    }
    scored.remarks.iter().for_each(|remark| progress.warn(remark));
    // What could not be embedded is told once.
    let known: BTreeSet<String> = failures.iter().map(|failure| failure.item.clone()).collect();
    failures.extend(scored.failures.into_iter().filter(|failure| !known.contains(&failure.item)));
    let (embedded, left_out) = embed::gather(&tasks, &texts, &videos);
    failures.extend(left_out);
    // Before anything that can still end the run.
    results::write_failures(out, FAILING_STEPS, &failures)?;
    if embedded.is_empty() {
        return Err(Error::NoUsableTask { tasks: tasks.len(), failures: out.join(FAILURES) });
    }
    let histograms = embed::gather(&tasks, &texts, &histograms).0;
    let digests = sources::videos_digests(&tasks, &videos);
    results::write_baselines(out, &videos.identity().name, &embedded, &histograms, &digests)?;
    let (variants, skipped) = ablation::variants(&embedded, &histograms, &encoders.device);
    results::write_variants(out, &variants, &digests)?;
    record.skipped = skipped;
    for &preset in &experiment.presets {
        let started = Instant::now();
        let options = MethodOptions::from(preset);
        let mut estimate = match method::estimate(&embedded, &options, &encoders.device) {
            Ok(estimate) => estimate,
            Err(error) => {
                results::forget_estimate(out, preset.name())?;
                let failure = embed::failure("estimate", &format!("preset {preset}"), &error);
                let why = failure.error.clone();
                record.skip(&format!("estimate, {preset} preset"), "tasks", &why);
                record.skipped.push(Skipped { name: preset.name().to_owned(), preset: true, why });
                failures.push(failure);
                continue;
            }
        };
        let in_force = MethodInForce {
            preset,
            options,
            components: estimate.basis.as_ref().map(|b| b.components()),
            text_encoder: texts.identity().clone(),
            video_encoder: videos.identity().clone(),
            squbed: record.squbed.clone(),
        };
        sources::record(&mut estimate.tasks, &tasks, &texts, &videos);
        if preset == experiment.presets[0] {
            sources::tell_repeats(&estimate.tasks, progress);
        }
        results::write_estimate(out, &estimate, &in_force)?;
        let anomalies = anomaly::anomalies(&tasks, &videos, in_force.options.estimator)?;
        results::write_anomalies(out, &in_force.name(), anomalies)?;
        let counts = [0, estimate.tasks.len(), 0];
        record.done(&format!("estimate, {preset} preset"), "tasks", counts, started.elapsed().as_secs_f64());
    }
    results::write_failures(out, FAILING_STEPS, &failures)?;
    record.write(out)?;
    let started = Instant::now();
    let resampling = Resampling { resamples: experiment.resamples, seed: experiment.seed };
    let options = CalibrateOptions { resampling, ..CalibrateOptions::default() };
    let calibration = calibrate_folder(out, &options, progress)?;
    let estimates = calibration.presets.values().flatten().count();
    record.done("calibrate", "estimates", [0, estimates, 0], started.elapsed().as_secs_f64());
    record.write(out)?;
    Ok(Outcome { out: out.clone(), calibration, record, failures })
}

/// Makes `report.html` of the run's folder, which tells the steps before it, and records it as the last one.
pub fn report(outcome: &mut Outcome, progress: &dyn Progress) -> Result<PathBuf> {
    let (started, out) = (Instant::now(), &outcome.out);
    let report = summary::report(out, out, Context::default(), progress)?;
    outcome.record.done("report", "pages", [0, 1, 0], started.elapsed().as_secs_f64());
    outcome.record.write(out)?;
    Ok(report)
}

impl RunRecord {
    /// The record of a run that begins here.
    pub fn new(command: &str) -> Self {
        Self {
            made: crate::machine::now(),
            command: command.to_owned(),
            machine: crate::machine::describe(),
            squbed: env!("CARGO_PKG_VERSION").to_owned(),
            device: String::new(),
            threads: rayon::current_num_threads(),
            refiner: String::new(),
            generator: String::new(),
            steps: Vec::new(),
            skipped: Vec::new(),
        }
    }

    fn work(&mut self, step: &str, unit: &str, work: &Work) {
        self.done(step, unit, [work.reused, work.computed, work.failures.len()], work.seconds);
    }

    /// Adds a step with its items that were reused, done and failed.
    fn done(&mut self, step: &str, unit: &str, [reused, done, failed]: [usize; 3], seconds: f64) {
        let (step, unit) = (step.to_owned(), unit.to_owned());
        self.steps.push(StepRecord { step, unit, reused, done, failed, seconds, skipped: None });
    }

    /// Adds the comparison of videos, with the reason where there was none.
    fn compared(&mut self, scored: &Scored, measures: &[Measure]) {
        let name = "compare videos";
        let counts = [scored.reused, scored.computed, scored.failures.len()];
        if counts != [0; 3] {
            return self.done(name, "values", counts, scored.seconds);
        }
        let not_run = scored.file.not_run.iter().map(|n| format!("{}: {}", n.metric, n.why));
        let not_run = not_run.collect::<Vec<_>>().join("; ");
        let of_sets = |measure: &Measure| matches!(measure, Measure::Cosine | Measure::Frechet);
        self.skip(
            name,
            "values",
            match not_run.as_str() {
                "" if measures.iter().all(of_sets) => "no metric of frames is asked for",
                "" => "no task has a ground truth",
                not_run => not_run,
            },
        );
    }

    /// Adds a step that was not gone through.
    fn skip(&mut self, step: &str, unit: &str, why: &str) {
        self.done(step, unit, [0; 3], 0.0);
        if let Some(step) = self.steps.last_mut() {
            step.skipped = Some(why.to_owned());
        }
    }

    fn write(&mut self, out: &Path) -> Result<()> {
        self.made = crate::machine::now();
        results::write_json(&out.join("run.json"), self)
    }
}

/// Makes the results' folder this experiment's own, or finds that it is. `dtype` is what `auto` came to.
///
/// A folder is another experiment's where an option differs that changes what its files hold; title, device,
/// cache, batch, resamples and further presets may change, and the record follows them. A run that ended before it
/// had a result leaves a folder that is free.
fn claim(experiment: &Experiment, dtype: &str) -> Result<()> {
    let here = experiment.resolved(dtype);
    let path = experiment.out.join(EXPERIMENT);
    if let Some(there) = Experiment::read_recorded(&experiment.out)?
        && let Some(difference) = there.difference(&here)
        && results::holds_results(&experiment.out)
    {
        return Err(Error::OtherExperiment { path: experiment.out.clone(), difference });
    }
    results::make_folder(&experiment.out)?;
    let text = toml::to_string(&here)
        .map_err(|source| Error::Encode { what: "the experiment", source: Box::new(source) })?;
    Ok(squbed_store::write_atomic(&path, text.as_bytes())?)
}

/// Tasks with latent prompts and videos: read or drawn from the closed world, refined and generated; and what was embedded
/// between rounds of generation.
fn make_tasks(
    experiment: &Experiment,
    encoders: &Encoders,
    record: &mut RunRecord,
    failures: &mut Vec<Failure>,
    progress: &dyn Progress,
) -> Result<(Vec<Task>, Work)> {
    let out = &experiment.out;
    let world = match &experiment.tasks {
        TaskSource::File(_) => WorldSpec::default(),
        TaskSource::World { kind, tasks } => WorldSpec {
            kind: kind.parse()?,
            tasks: *tasks,
            latents: experiment.refine.latents,
            videos: experiment.generate.videos,
            seed: experiment.seed,
            ..WorldSpec::default()
        },
    };
    let world = World::new(world)?;
    let mut tasks = match &experiment.tasks {
        TaskSource::File(path) => squbed_store::read_tasks(path)?,
        TaskSource::World { .. } => {
            let (tasks, truths): (Vec<_>, Vec<_>) = world.tasks().iter().cloned().unzip();
            let rows: Vec<TruthRow> = truths
                .iter()
                .map(|t| TruthRow {
                    id: t.id.clone(),
                    aleatoric: t.aleatoric,
                    epistemic: t.epistemic,
                    confidently_wrong: t.confidently_wrong,
                })
                .collect();
            squbed_store::write_truth(out, &rows)?;
            results::write_json(&out.join("world.json"), &world.record())?;
            draw_ground_truths(&world, tasks, out, progress)?
        }
    };
    if tasks.iter().any(|t| t.latents.is_empty()) {
        let started = Instant::now();
        let (refine, seed) = (&experiment.refine, experiment.seed);
        let open = || refine.open(&encoders.models, &encoders.device, encoders.dtype);
        let refined = refiner::refine_into(&mut tasks, refine, seed, out, true, open, progress)?;
        record.refiner = refined.record["refiner"].as_str().unwrap_or_default().to_owned();
        let done = refined.tasks.len() - refined.reused;
        let counts = [tasks.len() - done, done, 0];
        record.done("refine prompts", "tasks", counts, started.elapsed().as_secs_f64());
    } else {
        record.skip("refine prompts", "tasks", "every task has latent prompts");
    }
    if tasks.iter().flat_map(|t| &t.latents).any(|z| z.videos.is_empty()) {
        let started = Instant::now();
        let folder = out.join("videos");
        let (cache, limits) = (experiment.cache(), experiment.limits.get());
        let stopping = experiment.generate.stop_when_interval_below.map(|width| Stopping {
            width,
            encoder: &*encoders.video,
            estimator: MethodOptions::from(experiment.presets[0]).estimator,
            cache: &cache,
            batch: experiment.embed.batch,
            limits: &limits,
        });
        let stopping = stopping.as_ref();
        let (generator, rounds) =
            experiment.generate.make(&mut tasks, &world, experiment.seed, &folder, stopping, progress)?;
        record.generator = generator;
        let made = rounds.generated;
        let counts = [made.reused, made.made, made.failures.len()];
        let seconds = started.elapsed().as_secs_f64() - rounds.embedded.seconds;
        record.done("generate videos", "clips", counts, seconds);
        failures.extend(made.failures);
        return Ok((tasks, rounds.embedded));
    }
    record.skip("generate videos", "clips", "every latent prompt has videos");
    Ok((tasks, Work::default()))
}

/// Renders the true video of each task of the closed world, those that stand there excepted.
fn draw_ground_truths(
    world: &World,
    mut tasks: Vec<Task>,
    out: &Path,
    progress: &dyn Progress,
) -> Result<Vec<Task>> {
    use rayon::prelude::*;
    let folder = out.join("ground-truth");
    results::make_folder(&folder)?;
    progress.begin("draw ground truths", tasks.len() as u64, "clips");
    tasks.par_iter_mut().try_for_each(|task| {
        let path = folder.join(format!("{}.mp4", steps::file_name(&task.id)));
        if !path.exists() {
            world.render_ground_truth(task, &path)?;
        }
        task.ground_truth = Some(path);
        progress.advance(1);
        Ok::<_, Error>(())
    })?;
    progress.end();
    Ok(tasks)
}

/// Every video of the tasks, true ones included, in order.
pub fn video_paths(tasks: &[Task]) -> Vec<&Path> {
    tasks
        .iter()
        .flat_map(|t| t.ground_truth.iter().chain(t.latents.iter().flat_map(|z| &z.videos)))
        .map(PathBuf::as_path)
        .collect()
}
