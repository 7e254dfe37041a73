//! What a results' folder holds, written and read: estimates, baselines, truths, failures, correlations.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use squbed_core::{EncoderIdentity, Task, TaskUncertainty, float};
use squbed_store::{Failure, TruthRow};

pub use squbed_files::folder_of;

use crate::{
    ablation::Variant,
    anomaly::VideoAnomaly,
    baseline,
    calibrate::{Calibration, Correlation, Parts, Truth, folder::Claim},
    error::{Error, Result},
    experiment::EXPERIMENT,
    method::{self, MethodOptions, Preset, TaskEmbeddings},
    refiner::{REFINEMENT, REFINER},
    run::RunRecord,
};

/// Rows of failed items.
pub const FAILURES: &str = "failures.jsonl";
/// Rows of baselines.
pub const BASELINES: &str = "baselines.jsonl";
/// Rows of variants of the default preset.
pub const VARIANTS: &str = "variants.jsonl";
/// The correlations and the tests of the claim.
pub const CALIBRATION: &str = "calibration.json";
/// τ and p at every threshold, a [`CurvePoint`](crate::calibrate::claim::CurvePoint) a row.
pub const CURVES: &str = "subset_curves.jsonl";
/// Risk and coverage, a [`RiskCoverageRow`](crate::calibrate::decision::RiskCoverageRow) a row.
pub const RISK_COVERAGE: &str = "risk_coverage.jsonl";
/// The closed world's truth.
const TRUTH: &str = "truth.jsonl";
/// Each video under the fit of the others of its latent prompt, beside the uncertainties.
pub const ANOMALIES: &str = "anomalies.jsonl";
/// The commands of steps that were run by themselves, by step.
const COMMANDS: &str = "commands.json";
/// The options in force, beside the uncertainties that they made.
const METHOD: &str = "method.json";

/// The options that made a set of uncertainties.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MethodInForce {
    /// The preset that the options start from.
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

impl MethodInForce {
    /// The estimate's name and the name of its folder, see [`MethodOptions::name`].
    pub fn name(&self) -> String {
        self.options.name(self.preset)
    }
}

/// `calibration.json`. Of a demonstration, [`DemoFile`](crate::demo::DemoFile) is the whole.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CalibrationFile {
    /// Tasks with an estimate.
    pub n_tasks: usize,
    /// Of them, tasks on which the closed world's model is confidently wrong; kept apart.
    pub confidently_wrong: usize,
    /// What computed the accuracy that `presets`, `baselines` and `variants` speak of.
    pub accuracy: String,
    /// True aleatoric with true epistemic: must vanish for the rest to mean anything.
    pub truths: Option<Correlation>,
    /// By estimate: a preset's name, or that of a preset with changed options; `null` where it could not be
    /// computed.
    pub presets: BTreeMap<String, Option<Calibration>>,
    /// By baseline.
    pub baselines: BTreeMap<String, Calibration>,
    /// By variant of the default preset with one choice changed; `null` where it could not be computed.
    pub variants: BTreeMap<String, Option<Calibration>>,
    /// Why what is `null` among presets and variants could not be computed.
    #[serde(default)]
    pub not_computed: BTreeMap<String, String>,
    /// The claim that uncertainty predicts accuracy, tested with every accuracy.
    #[serde(flatten)]
    pub claim: Claim,
}

impl CalibrationFile {
    /// The correlations of an estimate, where there are any.
    pub fn preset(&self, name: &str) -> Option<&Calibration> {
        self.presets.get(name)?.as_ref()
    }
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
    /// Latent prompts whose videos are all the same, left out of the epistemic part.
    #[serde(default)]
    pub latents_left_out: usize,
    /// The videos that they are of, see [`crate::sources::videos_digest`]; absent in older files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub videos_digest: Option<String>,
}

/// The digest of each task's videos.
type VideosDigests = BTreeMap<String, String>;

impl PartsRow {
    fn new(name: &str, parts: Parts, videos: &VideosDigests) -> Self {
        let Parts { id, aleatoric, epistemic, latents_left_out, .. } = parts;
        let videos_digest = videos.get(&id).cloned();
        Self { name: name.to_owned(), id, aleatoric, epistemic, latents_left_out, videos_digest }
    }
}

/// Writes one estimate's uncertainties, the options that made them and the basis into a folder of `out`
/// that is named after the options.
///
/// # Errors
///
/// An estimate of that name by other encoders, which is kept; a file that cannot be written.
pub fn write_estimate(out: &Path, estimate: &method::Estimate, in_force: &MethodInForce) -> Result<()> {
    let folder = out.join(in_force.name());
    let record = folder.join(METHOD);
    if record.is_file() {
        let there: MethodInForce = read_json(&record)?;
        let encoders = |m: &MethodInForce| format!("{} and {}", m.text_encoder.name, m.video_encoder.name);
        let (there, here) = (encoders(&there), encoders(in_force));
        if there != here {
            return Err(Error::OtherEncoders { path: folder, there, here });
        }
    }
    make_folder(&folder)?;
    let metadata = serde_json::to_value(in_force)
        .map_err(|source| Error::Encode { what: "the method's options", source: Box::new(source) })?;
    squbed_store::write_uncertainty(&folder, &estimate.tasks, &metadata)?;
    let basis_file = folder.join("basis.safetensors");
    match &estimate.basis {
        Some(basis) => basis.save(&basis_file)?,
        None => remove(&basis_file)?,
    }
    write_json(&record, in_force)
}

/// Writes which videos are unlike the others of their latent prompt, beside the uncertainties; paths of videos that lie in
/// `out` start there.
pub fn write_anomalies(out: &Path, estimate: &str, mut rows: Vec<VideoAnomaly>) -> Result<()> {
    for row in &mut rows {
        if let Ok(inside) = row.video.strip_prefix(out) {
            row.video = inside.to_owned();
        }
    }
    Ok(squbed_store::write_json_lines(&out.join(estimate).join(ANOMALIES), &rows)?)
}

/// Takes an estimate away that this run could not make again.
pub(crate) fn forget_estimate(out: &Path, name: &str) -> Result<()> {
    let files = ["uncertainty.jsonl", "uncertainty.parquet", "basis.safetensors", METHOD, ANOMALIES];
    files.iter().try_for_each(|file| remove(&out.join(name).join(file)))
}

/// Takes `calibration.json` and its curves away, which speak of uncertainties or accuracies that are no longer there.
pub fn forget_calibration(out: &Path) -> Result<()> {
    [CALIBRATION, CURVES, RISK_COVERAGE].iter().try_for_each(|file| remove(&out.join(file)))
}

fn remove(path: &Path) -> Result<()> {
    match std::fs::remove_file(path) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::Write { path: path.to_owned(), source })
        }
        _ => Ok(()),
    }
}

/// Finds out whether a folder of results, or a cache, can be written into, before the work whose results go there.
///
/// # Errors
///
/// A file in its place; a folder that takes no files.
pub fn check_folder(folder: &Path) -> Result<()> {
    squbed_files::check_folder(folder).map_err(|source| Error::Write { path: folder.to_owned(), source })
}

/// [`check_folder`] for one file.
///
/// # Errors
///
/// A folder in its place; a folder that takes no files.
pub fn check_file(path: &Path) -> Result<()> {
    squbed_files::check_file(path).map_err(|source| Error::Write { path: path.to_owned(), source })
}

/// Whether a run's folder holds more than the record of what was asked for, its cache of embeddings and what failed. A
/// refinement that ended before its first row is none.
pub(crate) fn holds_results(out: &Path) -> bool {
    let besides = [EXPERIMENT, "cache", COMMANDS, FAILURES, REFINER];
    let empty = |name: &Path| name == REFINEMENT && out.join(name).metadata().is_ok_and(|m| m.len() == 0);
    let entries = std::fs::read_dir(out).into_iter().flatten().flatten();
    let mut names = entries.map(|entry| PathBuf::from(entry.file_name()));
    names.any(|name| !besides.iter().any(|besides| name == Path::new(besides)) && !empty(&name))
}

/// Makes a folder and those that it lies in.
pub fn make_folder(folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder).map_err(|source| Error::Write { path: folder.to_owned(), source })
}

pub(crate) fn write_baselines(
    out: &Path,
    video_encoder: &str,
    videos: &[TaskEmbeddings<'_>],
    histograms: &[TaskEmbeddings<'_>],
    digests: &VideosDigests,
) -> Result<()> {
    let mut rows = Vec::new();
    for (encoder, tasks) in [(video_encoder, videos), (baseline::HISTOGRAM, histograms)] {
        let name = baseline::pairwise_name(encoder);
        rows.extend(tasks.iter().map(|task| PartsRow::new(&name, baseline::pairwise_parts(task), digests)));
    }
    Ok(squbed_store::write_json_lines(&out.join(BASELINES), &rows)?)
}

pub(crate) fn write_variants(out: &Path, variants: &[Variant], digests: &VideosDigests) -> Result<()> {
    let of =
        |v: &Variant| v.parts.iter().map(|p| PartsRow::new(&v.name, p.clone(), digests)).collect::<Vec<_>>();
    let rows: Vec<PartsRow> = variants.iter().flat_map(of).collect();
    Ok(squbed_store::write_json_lines(&out.join(VARIANTS), &rows)?)
}

/// The rows of `baselines.jsonl` or `variants.jsonl` by name; empty where the file is absent.
pub fn read_parts(path: &Path) -> Result<BTreeMap<String, Vec<Parts>>> {
    let mut grouped: BTreeMap<String, Vec<Parts>> = BTreeMap::new();
    if !path.exists() {
        return Ok(grouped);
    }
    let rows = squbed_store::read_json_lines(path, "run the experiment again to write it anew")?;
    for (_, PartsRow { name, id, aleatoric, epistemic, latents_left_out, videos_digest }) in rows {
        let parts = Parts { id, aleatoric, epistemic, latents_left_out, videos_digest };
        grouped.entry(name).or_default().push(parts);
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
    if !out.join(TRUTH).exists() {
        return Ok(None);
    }
    Ok(Some(squbed_store::read_truth(out)?.into_iter().map(known).collect()))
}

/// Takes the truth that lies beside a list of tasks, where one does, into the folder that the next step
/// reads: the rows of `tasks`. Returns whether there was any.
pub fn carry_truth(from: &Path, tasks: &[Task], into: &Path) -> Result<bool> {
    let beside = if from.is_dir() { from } else { folder_of(from) };
    if !beside.join(TRUTH).exists() {
        return Ok(false);
    }
    let ids: BTreeSet<&str> = tasks.iter().map(|t| t.id.as_str()).collect();
    let mut rows = squbed_store::read_truth(beside)?;
    rows.retain(|row| ids.contains(row.id.as_str()));
    make_folder(into)?;
    let here = beside.canonicalize().ok() == into.canonicalize().ok();
    if !rows.is_empty() && !here {
        squbed_store::write_truth(into, &rows)?;
    }
    Ok(!rows.is_empty())
}

/// The names of the estimates in a results' folder: the default preset first, then by name.
pub fn estimate_names(out: &Path) -> Result<Vec<String>> {
    let read = |source| Error::Read { path: out.to_owned(), source };
    let mut names = Vec::new();
    for entry in std::fs::read_dir(out).map_err(read)? {
        let entry = entry.map_err(read)?;
        if let Ok(name) = entry.file_name().into_string()
            && entry.path().join(METHOD).exists()
        {
            names.push(name);
        }
    }
    // “default” comes first in this order as well.
    names.sort();
    Ok(names)
}

/// One estimate's uncertainties, where the folder has them.
pub fn read_uncertainty(out: &Path, name: &str) -> Result<Option<Vec<TaskUncertainty>>> {
    let folder = out.join(name);
    if folder.join("uncertainty.jsonl").exists() {
        Ok(Some(squbed_store::read_uncertainty(&folder)?))
    } else {
        Ok(None)
    }
}

/// The options in force of one estimate.
pub fn read_method(out: &Path, name: &str) -> Result<MethodInForce> {
    read_json(&out.join(name).join(METHOD))
}

/// Fails, with the command to run, where a step has not left its file in the folder.
pub(crate) fn need(path: PathBuf, step: &'static str) -> Result<PathBuf> {
    if path.exists() { Ok(path) } else { Err(Error::NoStep { path, step }) }
}

/// Keeps the command of a step that was run by itself, so that a report can say how its folder was made; of a step that
/// was run again the last one counts.
pub fn record_command(out: &Path, step: &str, command: &str) -> Result<()> {
    let mut commands = commands(out)?;
    commands.retain(|[name, _]| name != step);
    commands.push([step.to_owned(), command.to_owned()]);
    write_json(&out.join(COMMANDS), &commands)
}

/// The commands of steps that were run by themselves, in the order in which they were run.
pub(crate) fn read_commands(out: &Path) -> Result<Vec<String>> {
    Ok(commands(out)?.into_iter().map(|[_, command]| command).collect())
}

/// The command that was run first of those of `steps`, so that the others were run after it; none where not all of them
/// are known.
pub(crate) fn older_command(out: &Path, steps: &[String]) -> Result<Option<String>> {
    let of_steps: Vec<[String; 2]> =
        commands(out)?.into_iter().filter(|[step, _]| steps.contains(step)).collect();
    let all = of_steps.len() == steps.len();
    Ok(of_steps.into_iter().next().filter(|_| all).map(|[_, command]| command))
}

fn commands(out: &Path) -> Result<Vec<[String; 2]>> {
    let path = out.join(COMMANDS);
    if path.exists() { read_json(&path) } else { Ok(Vec::new()) }
}

/// Forgets the commands of single steps: a whole run makes all of the folder.
pub(crate) fn forget_commands(out: &Path) -> Result<()> {
    remove(&out.join(COMMANDS))
}

/// Whether the folder has a report, which is older than what is being written into it now.
pub fn has_report(out: &Path) -> bool {
    out.join("report.html").is_file()
}

/// The tasks of a results' folder by id; none where it has no list of them.
pub(crate) fn read_tasks_of(out: &Path) -> Result<BTreeMap<String, Task>> {
    let path = out.join("tasks.jsonl");
    let tasks = if path.exists() { squbed_store::read_tasks(&path)? } else { Vec::new() };
    Ok(tasks.into_iter().map(|task| (task.id.clone(), task)).collect())
}

/// `run.json`; `None` where the steps were run one by one.
pub fn read_record(out: &Path) -> Result<Option<RunRecord>> {
    let path = out.join("run.json");
    if path.exists() { read_json(&path).map(Some) } else { Ok(None) }
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
    remove(&path)
}
