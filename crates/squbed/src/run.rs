//! A whole run: every step from one experiment, each reading and writing plain files in one folder.
//!
//! ```text
//! out/
//! ├── experiment.toml          what was asked for
//! ├── tasks.jsonl              tasks with latent prompts and videos
//! ├── truth.jsonl              the closed world's truth, where there is one
//! ├── ground-truth/, videos/   the closed world's clips
//! ├── cache/                   embeddings, unless the experiment names another folder
//! ├── accuracy.jsonl
//! ├── baselines.jsonl, variants.jsonl
//! ├── <preset>/uncertainty.{jsonl,parquet}, basis.safetensors
//! ├── calibration.json
//! ├── run.json                 machine, versions, seconds and rates of each step
//! ├── failures.jsonl           items that failed in this run; absent where none did
//! └── report.html, plots/
//! ```
//!
//! Finished work is found by its files and not done again.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Instant,
};

use candle_core::{DType, Device};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use squbed_core::{EncoderIdentity, Task, TaskUncertainty, float};
use squbed_models::ModelStore;
use squbed_sim::{World, WorldSpec};
use squbed_store::{Failure, TruthRow};
use squbed_tensor::{TextEncoder, VideoEncoder};

use crate::{
    ablation::{self, Variant},
    accuracy, baseline,
    calibrate::{self, Calibration, Correlation, Parts, Resampling, Truth},
    embed::{self, Work},
    error::{Error, Result},
    experiment::{Experiment, TaskSource},
    method::{self, MethodOptions, Preset, TaskEmbeddings},
    progress::Progress,
    steps,
};

/// Rows of failed items in a results' folder.
pub const FAILURES: &str = "failures.jsonl";
/// Rows of baselines.
pub const BASELINES: &str = "baselines.jsonl";
/// Rows of variants of the default preset.
pub const VARIANTS: &str = "variants.jsonl";

/// Encoders on their device, loaded once for any number of runs.
pub struct Encoders {
    /// For prompts.
    pub text: Box<dyn TextEncoder>,
    /// For videos.
    pub video: Box<dyn VideoEncoder>,
    /// Where both live.
    pub device: Device,
}

impl Encoders {
    /// Loads the encoders that an experiment names.
    pub fn load(experiment: &Experiment, models: &ModelStore) -> Result<Self> {
        let device = squbed_tensor::device::select_device(&experiment.device)?;
        let dtype: DType = squbed_tensor::device::select_dtype(&experiment.dtype, &device)?;
        Ok(Self {
            text: models.text_encoder(&experiment.embed.text, &device, dtype)?,
            video: models.video_encoder(&experiment.embed.video, &device, dtype)?,
            device,
        })
    }
}

/// The options that made a set of uncertainties.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MethodInForce {
    /// The preset's name.
    pub preset: Preset,
    /// Estimator and projection.
    pub options: MethodOptions,
    /// Components of the basis, where there is one.
    pub components: Option<usize>,
    /// Encoder of the prompts.
    pub text_encoder: EncoderIdentity,
    /// Encoder of the videos.
    pub video_encoder: EncoderIdentity,
    /// Version of this program.
    pub squbed: String,
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
}

/// `calibration.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CalibrationFile {
    /// Tasks with an estimate.
    pub n_tasks: usize,
    /// Of them, tasks on which the closed world's model is confidently wrong; kept apart.
    pub confidently_wrong: usize,
    /// What computed the accuracy.
    pub accuracy: String,
    /// True aleatoric with true epistemic: must vanish for the rest to mean anything.
    pub truths: Option<Correlation>,
    /// By preset.
    pub presets: BTreeMap<Preset, Calibration>,
    /// By baseline.
    pub baselines: BTreeMap<String, Calibration>,
    /// By variant of the default preset with one choice changed.
    pub variants: BTreeMap<String, Calibration>,
}

/// One baseline's or variant's numbers for one task, as `baselines.jsonl` and `variants.jsonl` have them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PartsRow {
    /// The baseline or the variant.
    pub name: String,
    /// The task.
    pub id: String,
    /// In the place of the aleatoric part.
    #[serde(with = "float")]
    pub aleatoric: f64,
    /// In the place of the epistemic part.
    #[serde(with = "float")]
    pub epistemic: f64,
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

/// Runs every step but the report, which [`summary::report`](crate::summary::report) makes of the folder.
/// `command` is what the user typed, for the record.
pub fn run(
    experiment: &Experiment,
    encoders: &Encoders,
    command: &str,
    progress: &dyn Progress,
) -> Result<Outcome> {
    experiment.check()?;
    let out = &experiment.out;
    claim(experiment)?;
    let mut record = RunRecord::new(command);
    record.device = squbed_tensor::device::describe(&encoders.device);
    let mut failures = Vec::new();

    let tasks = make_tasks(experiment, &mut record, &mut failures, progress)?;
    squbed_store::write_tasks(&out.join("tasks.jsonl"), &tasks)?;

    let prompts: Vec<&str> = tasks.iter().flat_map(|t| &t.latents).map(|z| z.prompt.as_str()).collect();
    let cache = experiment.cache();
    let (texts, work) = embed::embed_texts(&prompts, &*encoders.text, Some(&cache), progress)?;
    record.work("embed prompts", "sentences", &work);
    let (videos, histograms, work) = embed::embed_videos(
        &video_paths(&tasks),
        &*encoders.video,
        Some(&cache),
        experiment.embed.batch,
        progress,
    )?;
    record.work("embed videos", "clips", &work);
    failures.extend(work.failures);

    let scores = accuracy::cosine_scores(&tasks, &videos);
    squbed_store::write_accuracy(out, &scores)?;
    let (embedded, left_out) = embed::gather(&tasks, &texts, &videos);
    failures.extend(left_out);
    // Before anything that can still end the run.
    write_failures(out, &["generate", "embed", "estimate"], &failures)?;
    let histograms = embed::gather(&tasks, &texts, &histograms).0;
    write_baselines(out, &videos.identity().name, &embedded, &histograms)?;
    write_variants(out, &ablation::variants(&embedded, &histograms, &encoders.device)?)?;
    for &preset in &experiment.presets {
        let started = Instant::now();
        let options = preset.into();
        let estimate = method::estimate(&embedded, &options, &encoders.device)?;
        let in_force = MethodInForce {
            preset,
            options,
            components: estimate.basis.as_ref().map(|b| b.components()),
            text_encoder: texts.identity().clone(),
            video_encoder: videos.identity().clone(),
            squbed: record.squbed.clone(),
        };
        write_estimate(&out.join(preset.to_string()), &estimate, &in_force)?;
        record.steps.push(StepRecord {
            step: format!("estimate, {preset} preset"),
            unit: "tasks".to_owned(),
            reused: 0,
            done: estimate.tasks.len(),
            failed: 0,
            seconds: started.elapsed().as_secs_f64(),
        });
    }
    let calibration =
        calibrate_folder(out, Resampling { resamples: experiment.resamples, seed: experiment.seed })?;
    record.made = crate::machine::now();
    write_json(&out.join("run.json"), &record)?;
    Ok(Outcome { out: out.clone(), calibration, record, failures })
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
        }
    }

    fn work(&mut self, step: &str, unit: &str, work: &Work) {
        self.steps.push(StepRecord {
            step: step.to_owned(),
            unit: unit.to_owned(),
            reused: work.reused,
            done: work.computed,
            failed: work.failures.len(),
            seconds: work.seconds,
        });
    }
}

/// Makes the results' folder this experiment's own, or finds that it is.
fn claim(experiment: &Experiment) -> Result<()> {
    let path = experiment.out.join("experiment.toml");
    let text = toml::to_string(experiment)
        .map_err(|source| Error::Encode { what: "the experiment", source: Box::new(source) })?;
    match std::fs::read_to_string(&path) {
        Ok(there) if there == text => Ok(()),
        Ok(there) => {
            Err(Error::OtherExperiment { path: experiment.out.clone(), key: first_difference(&there, &text) })
        }
        Err(_) => {
            std::fs::create_dir_all(&experiment.out)
                .map_err(|source| Error::Write { path: experiment.out.clone(), source })?;
            Ok(squbed_store::write_atomic(&path, text.as_bytes())?)
        }
    }
}

fn first_difference(there: &str, here: &str) -> String {
    let (there, here) = (there.lines(), here.lines());
    let differing = there.zip(here).find(|(a, b)| a != b);
    differing.map_or_else(|| "settings".to_owned(), |(a, b)| format!("`{a}` (now `{b}`)"))
}

/// Tasks with latent prompts and videos: read, or drawn from the closed world.
fn make_tasks(
    experiment: &Experiment,
    record: &mut RunRecord,
    failures: &mut Vec<Failure>,
    progress: &dyn Progress,
) -> Result<Vec<Task>> {
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
            write_json(&out.join("world.json"), &world.record())?;
            draw_ground_truths(&world, tasks, out, progress)?
        }
    };
    if tasks.iter().any(|t| t.latents.is_empty()) {
        let started = Instant::now();
        let refiner = closed_world_only("refine.refiner", &experiment.refine.refiner, world.refiner())?;
        record.refiner = squbed_core::PromptRefiner::describe(&refiner);
        let done = steps::refine(&mut tasks, &refiner, experiment.refine.latents, experiment.seed, progress)?;
        record.steps.push(StepRecord {
            step: "refine prompts".to_owned(),
            unit: "tasks".to_owned(),
            reused: tasks.len() - done,
            done,
            failed: 0,
            seconds: started.elapsed().as_secs_f64(),
        });
    }
    if tasks.iter().flat_map(|t| &t.latents).any(|z| z.videos.is_empty()) {
        let started = Instant::now();
        let generator =
            closed_world_only("generate.generator", &experiment.generate.generator, world.generator())?;
        record.generator = squbed_core::VideoGenerator::describe(&generator);
        let m = experiment.generate.videos;
        let made =
            steps::generate(&mut tasks, &generator, m, experiment.seed, &out.join("videos"), progress)?;
        record.steps.push(StepRecord {
            step: "generate videos".to_owned(),
            unit: "clips".to_owned(),
            reused: made.reused,
            done: made.made,
            failed: made.failures.len(),
            seconds: started.elapsed().as_secs_f64(),
        });
        failures.extend(made.failures);
    }
    Ok(tasks)
}

fn closed_world_only<T>(name: &'static str, value: &str, made: T) -> Result<T> {
    if value == "closed-world" {
        return Ok(made);
    }
    Err(Error::Option { name, value: value.to_owned(), allowed: "closed-world" })
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
    std::fs::create_dir_all(&folder).map_err(|source| Error::Write { path: folder.clone(), source })?;
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

/// Writes one preset's uncertainties, the options that made them and the basis.
pub fn write_estimate(folder: &Path, estimate: &method::Estimate, in_force: &MethodInForce) -> Result<()> {
    std::fs::create_dir_all(folder).map_err(|source| Error::Write { path: folder.to_owned(), source })?;
    let metadata = serde_json::to_value(in_force)
        .map_err(|source| Error::Encode { what: "the method's options", source: Box::new(source) })?;
    squbed_store::write_uncertainty(folder, &estimate.tasks, &metadata)?;
    let basis_file = folder.join("basis.safetensors");
    match &estimate.basis {
        Some(basis) => basis.save(&basis_file)?,
        None => remove(basis_file)?,
    }
    write_json(&folder.join("method.json"), in_force)
}

/// Takes `calibration.json` away, which speaks of uncertainties or accuracies that are no longer there.
pub fn forget_calibration(out: &Path) -> Result<()> {
    remove(out.join("calibration.json"))
}

fn remove(path: PathBuf) -> Result<()> {
    match std::fs::remove_file(&path) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => Err(Error::Write { path, source }),
        _ => Ok(()),
    }
}

fn write_baselines(
    out: &Path,
    video_encoder: &str,
    videos: &[TaskEmbeddings<'_>],
    histograms: &[TaskEmbeddings<'_>],
) -> Result<()> {
    let mut rows = Vec::new();
    for (encoder, tasks) in [(video_encoder, videos), (baseline::HISTOGRAM, histograms)] {
        let name = format!("mean pairwise cosine, {encoder}");
        rows.extend(tasks.iter().map(|task| PartsRow::new(&name, baseline::pairwise_parts(task))));
    }
    Ok(squbed_store::write_json_lines(&out.join(BASELINES), &rows)?)
}

fn write_variants(out: &Path, variants: &[Variant]) -> Result<()> {
    let rows: Vec<PartsRow> =
        variants.iter().flat_map(|v| v.parts.iter().map(|p| PartsRow::new(&v.name, p.clone()))).collect();
    Ok(squbed_store::write_json_lines(&out.join(VARIANTS), &rows)?)
}

impl PartsRow {
    fn new(name: &str, Parts { id, aleatoric, epistemic }: Parts) -> Self {
        Self { name: name.to_owned(), id, aleatoric, epistemic }
    }
}

/// The rows of `baselines.jsonl` or `variants.jsonl` by name; empty where the file is absent.
pub fn read_parts(path: &Path) -> Result<BTreeMap<String, Vec<Parts>>> {
    let mut grouped: BTreeMap<String, Vec<Parts>> = BTreeMap::new();
    if !path.exists() {
        return Ok(grouped);
    }
    let rows = squbed_store::read_json_lines(path, "run the experiment again to write it anew")?;
    for (_, PartsRow { name, id, aleatoric, epistemic }) in rows {
        grouped.entry(name).or_default().push(Parts { id, aleatoric, epistemic });
    }
    Ok(grouped)
}

/// The closed world's truth by task, where the folder has it.
pub fn read_truth(out: &Path) -> Result<Option<BTreeMap<String, Truth>>> {
    let known = |t: TruthRow| {
        let truth =
            Truth { aleatoric: t.aleatoric, epistemic: t.epistemic, confidently_wrong: t.confidently_wrong };
        (t.id, truth)
    };
    if !out.join("truth.jsonl").exists() {
        return Ok(None);
    }
    Ok(Some(squbed_store::read_truth(out)?.into_iter().map(known).collect()))
}

/// Reads a folder's uncertainties, accuracies, baselines and truth, correlates them and writes
/// `calibration.json`.
pub fn calibrate_folder(out: &Path, resampling: Resampling) -> Result<CalibrationFile> {
    let truth = read_truth(out)?;
    let scores = squbed_store::read_accuracy(out)?;
    let by_task = accuracy::by_task(&scores);
    let mut presets = BTreeMap::new();
    let mut ids = Vec::new();
    for preset in [Preset::Default, Preset::Paper] {
        let Some(uncertainty) = read_uncertainty(out, preset)? else { continue };
        let parts: Vec<Parts> = uncertainty.iter().map(Parts::from).collect();
        ids = parts.iter().map(|p| p.id.clone()).collect();
        presets.insert(preset, calibrate::calibrate(&parts, &by_task, truth.as_ref(), resampling)?);
    }
    let of_file = |name: &str| -> Result<BTreeMap<String, Calibration>> {
        read_parts(&out.join(name))?
            .into_iter()
            .map(|(name, parts)| {
                Ok((name, calibrate::calibrate(&parts, &by_task, truth.as_ref(), resampling)?))
            })
            .collect()
    };
    let (baselines, variants) = (of_file(BASELINES)?, of_file(VARIANTS)?);
    let known: Vec<&Truth> = truth.iter().flat_map(|t| ids.iter().filter_map(|id| t.get(id))).collect();
    let ordinary: Vec<&&Truth> = known.iter().filter(|t| !t.confidently_wrong).collect();
    let truths = if ordinary.len() < 2 {
        None
    } else {
        let (a, e): (Vec<f64>, Vec<f64>) = ordinary.iter().map(|t| (t.aleatoric, t.epistemic)).unzip();
        Some(calibrate::correlate(&a, &e, resampling)?)
    };
    let calibration = CalibrationFile {
        n_tasks: ids.len(),
        confidently_wrong: known.len() - ordinary.len(),
        accuracy: scores.first().map(|s| s.metric.clone()).unwrap_or_default(),
        truths,
        presets,
        baselines,
        variants,
    };
    write_json(&out.join("calibration.json"), &calibration)?;
    Ok(calibration)
}

/// One preset's uncertainties, where the folder has them.
pub fn read_uncertainty(out: &Path, preset: Preset) -> Result<Option<Vec<TaskUncertainty>>> {
    let folder = out.join(preset.to_string());
    if folder.join("uncertainty.jsonl").exists() {
        Ok(Some(squbed_store::read_uncertainty(&folder)?))
    } else {
        Ok(None)
    }
}

/// Writes pretty JSON, whole or not at all.
pub fn write_json<T: Serialize>(path: &Path, value: &T) -> Result<()> {
    let mut text = serde_json::to_string_pretty(value)
        .map_err(|source| Error::Encode { what: "a result", source: Box::new(source) })?;
    text.push('\n');
    Ok(squbed_store::write_atomic(path, text.as_bytes())?)
}

/// Reads what [`write_json`] wrote.
pub fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T> {
    let text =
        std::fs::read_to_string(path).map_err(|source| Error::Read { path: path.to_owned(), source })?;
    serde_json::from_str(&text).map_err(|source| Error::Json { path: path.to_owned(), source })
}

/// Replaces the rows of `steps` in `failures.jsonl`; rows of other steps stay, and a file without rows goes.
pub fn write_failures(out: &Path, steps: &[&str], failures: &[Failure]) -> Result<()> {
    let path = out.join(FAILURES);
    let mut rows = squbed_store::read_failures(&path)?;
    rows.retain(|row| !steps.contains(&row.step.as_str()));
    rows.extend_from_slice(failures);
    if !rows.is_empty() {
        return Ok(squbed_store::write_json_lines(&path, &rows)?);
    }
    remove(path)
}
