//! `squbed estimate`: from cached embeddings to uncertainties.

use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use serde::Serialize;
use squbed::{
    anomaly,
    calibrate::{Parts, PointMasses},
    core::{Flag, GroupFit, TaskUncertainty, float},
    embed, interval,
    method::{self, MethodOptions, Preset, Projection},
    models::ModelStore,
    results::{self, MethodInForce},
    sources,
    vmf::Estimator,
};

use super::limits::DecodeLimits;
use crate::{Common, Done, output::Records, progress::Bars};

#[derive(Args)]
pub(super) struct Embedded {
    /// Task manifest with latent prompts and videos.
    pub(super) tasks: PathBuf,
    /// Embedding cache; what it lacks is embedded now.
    #[arg(long)]
    pub(super) cache: PathBuf,
    /// Encoder of the videos.
    #[arg(long, default_value = "i3d-kinetics-400")]
    pub(super) video_model: String,
    /// Videos a batch.
    #[arg(long, default_value_t = 4)]
    pub(super) batch: usize,
    /// Folder of the results.
    #[arg(long)]
    pub(super) out: PathBuf,
}

impl Embedded {
    /// Refuses places that cannot be written before the work whose results go there.
    pub(super) fn check_places(&self) -> squbed::Result<()> {
        results::check_folder(&self.out)?;
        results::check_folder(&self.cache)
    }
}

#[derive(Args)]
pub(crate) struct Estimate {
    #[command(flatten)]
    embedded: Embedded,
    /// Encoder of the prompts.
    #[arg(long, default_value = "all-MiniLM-L6-v2")]
    text_model: String,
    /// default or paper.
    #[arg(long, default_value = "default")]
    preset: Preset,
    /// Estimator of κ in place of the preset's: exact, u, banerjee, sra, song or tanabe.
    #[arg(long)]
    estimator: Option<Estimator>,
    /// What the prompts are projected on in place of the preset's: none, corpus (principal components of all latent
    /// prompts, centred) or corpus-uncentred.
    #[arg(long)]
    projection: Option<String>,
    /// Components of that basis, at most the rank, or 0 for none; 64 or the rank where not given.
    #[arg(long)]
    components: Option<usize>,
    /// Project on the basis that an earlier estimate stored, its basis.safetensors.
    #[arg(long, conflicts_with_all = ["projection", "components"])]
    basis: Option<PathBuf>,
    /// Intervals by so many resamples of the hierarchical bootstrap, in the place of the jackknife.
    #[arg(long)]
    bootstrap: Option<usize>,
    /// Seed of the bootstrap.
    #[arg(long, default_value_t = 1, requires = "bootstrap")]
    seed: u64,
    #[command(flatten)]
    limits: DecodeLimits,
}

#[derive(Serialize)]
struct UncertaintyRow<'a> {
    id: &'a str,
    #[serde(with = "float")]
    aleatoric: f64,
    #[serde(with = "float")]
    epistemic: f64,
    #[serde(with = "float")]
    total: f64,
    /// Ends of the total's 95 % interval.
    #[serde(with = "float")]
    total_low: f64,
    #[serde(with = "float")]
    total_high: f64,
    latents_left_out: usize,
    /// What a reader of the numbers has to know of the fits; a table leaves the column out where there is nothing.
    flags: Vec<String>,
}

/// The flags of a task's fits, and how many of its groups of videos have each.
fn flags(task: &TaskUncertainty) -> Vec<String> {
    let has = |fit: &GroupFit, flag| fit.flags.contains(&flag);
    let mut flags = Vec::new();
    for (flag, name) in [
        (Flag::PointMass, "point_mass"),
        (Flag::Uniform, "uniform"),
        (Flag::Clipped, "clipped"),
        (Flag::Saturated, "saturated"),
        (Flag::NearUniform, "near_uniform"),
        (Flag::Bimodal, "bimodal"),
    ] {
        if has(&task.prompts, flag) {
            flags.push(format!("prompts {name}"));
        }
        let groups = task.videos.iter().filter(|fit| has(fit, flag)).count();
        if groups > 0 {
            flags.push(format!("videos {name} in {groups} of {}", task.videos.len()));
        }
    }
    flags
}

impl Estimate {
    pub(crate) fn run(self, common: &Common) -> anyhow::Result<Done> {
        let input = &self.embedded;
        input.check_places()?;
        let mut options = MethodOptions::from(self.preset);
        if let Some(estimator) = self.estimator {
            options.estimator = estimator;
        }
        match (&self.basis, self.projection.as_deref(), self.components) {
            (Some(file), ..) => options.projection = Projection::Stored { file: file.clone() },
            (None, None, Some(0)) => options.projection = Projection::None,
            (None, Some(name), dims) => options.projection = Projection::named(name, dims)?,
            (None, None, Some(k)) => options.projection = Projection::named("corpus", Some(k))?,
            (None, None, None) => {}
        }
        let bars = Bars::new(common.quiet);
        let tasks = squbed::store::read_tasks(&input.tasks).map_err(squbed::Error::from)?;
        for task in &tasks {
            task.check_complete().map_err(squbed::Error::from).with_context(|| {
                format!("{} holds a task that cannot be estimated", input.tasks.display())
            })?;
        }
        let models = ModelStore::new(None).map_err(squbed::Error::from)?;
        let (device, dtype) = super::place(common)?;
        let text = models.text_encoder(&self.text_model, &device, dtype).map_err(squbed::Error::from)?;
        if let Some(file) = &self.basis
            && !squbed::basis::check_encoder(file, text.identity())?
        {
            bars.note(&format!("{} has no method.json beside it: its encoder is not known", file.display()));
        }
        let video = models.video_encoder(&input.video_model, &device, dtype).map_err(squbed::Error::from)?;
        let prompts: Vec<&str> = tasks.iter().flat_map(|t| &t.latents).map(|z| z.prompt.as_str()).collect();
        let (texts, text_work) = embed::embed_texts(&prompts, &*text, Some(&input.cache), &bars)?;
        let paths = embed::generated_videos(&tasks);
        let (cache, limits) = (Some(input.cache.as_path()), self.limits.get());
        let (videos, _, work) =
            embed::embed_videos_within(&paths, &*video, cache, input.batch, &limits, &bars)?;
        let (embedded, left_out) = embed::gather(&tasks, &texts, &videos);
        let failures = [text_work.failures, work.failures, left_out].concat();
        let done = super::record_failures(&input.out, &["embed", "estimate"], &paths, &failures, &bars)?;
        if embedded.is_empty() {
            return Ok(super::nothing("no task could be estimated", &failures, &input.out));
        }
        let mut estimate = method::estimate(&embedded, &options, &device)?;
        if let Some(resamples) = self.bootstrap {
            let estimator = options.estimator;
            interval::bootstrap(&mut estimate, &embedded, estimator, resamples, self.seed, &device)?;
        }
        sources::record(&mut estimate.tasks, &tasks, &texts, &videos);
        sources::tell_repeats(&estimate.tasks, &bars);
        let in_force = MethodInForce {
            preset: self.preset,
            options,
            components: estimate.basis.as_ref().map(|b| b.components()),
            text_encoder: texts.identity().clone(),
            video_encoder: videos.identity().clone(),
            squbed: env!("CARGO_PKG_VERSION").to_owned(),
        };
        results::write_estimate(&input.out, &estimate, &in_force)?;
        let anomalies = anomaly::anomalies(&tasks, &videos, in_force.options.estimator)?;
        results::write_anomalies(&input.out, &in_force.name(), anomalies)?;
        squbed::store::write_tasks(&input.out.join("tasks.jsonl"), &tasks).map_err(squbed::Error::from)?;
        results::carry_truth(&input.tasks, &tasks, &input.out)?;
        results::forget_calibration(&input.out)?;
        super::record_step(&input.out, &format!("estimate {}", in_force.name()), &bars)?;
        let folder = input.out.join(in_force.name());
        bars.note(&format!("estimate {}: {}", in_force.name(), folder.display()));
        let parts: Vec<Parts> = estimate.tasks.iter().map(Parts::from).collect();
        PointMasses::of(&parts).sentences().iter().for_each(|sentence| bars.note(sentence));
        interval::missing(&estimate.tasks).iter().for_each(|sentence| bars.note(sentence));
        let rows: Vec<UncertaintyRow<'_>> = estimate
            .tasks
            .iter()
            .map(|t| UncertaintyRow {
                id: &t.id,
                aleatoric: t.aleatoric,
                epistemic: t.epistemic,
                total: t.total,
                total_low: t.interval.as_ref().map_or(f64::NAN, |i| i.total.low),
                total_high: t.interval.as_ref().map_or(f64::NAN, |i| i.total.high),
                latents_left_out: t.latents_left_out,
                flags: flags(t),
            })
            .collect();
        Records::list(&rows)?.print(common.format)?;
        Ok(done)
    }
}
