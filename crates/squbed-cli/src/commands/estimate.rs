//! `squbed estimate` and `squbed score`: from cached embeddings to uncertainties and accuracies.

use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use serde::Serialize;
use squbed::{
    accuracy,
    calibrate::{Parts, PointMasses},
    core::float,
    embed,
    method::{self, MethodOptions, Preset, Projection},
    models::ModelStore,
    progress::Progress,
    results::{self, MethodInForce},
    run,
    vmf::Estimator,
};

use crate::{Common, Done, output::Records, progress::Bars};

#[derive(Args)]
struct Embedded {
    /// Task manifest with latent prompts and videos.
    tasks: PathBuf,
    /// Embedding cache; what it lacks is embedded now.
    #[arg(long)]
    cache: PathBuf,
    /// Encoder of the prompts.
    #[arg(long, default_value = "all-MiniLM-L6-v2")]
    text_model: String,
    /// Encoder of the videos.
    #[arg(long, default_value = "i3d-kinetics-400")]
    video_model: String,
    /// Videos a batch.
    #[arg(long, default_value_t = 4)]
    batch: usize,
    /// Folder of the results.
    #[arg(long)]
    out: PathBuf,
}

#[derive(Args)]
pub(crate) struct Estimate {
    #[command(flatten)]
    embedded: Embedded,
    /// default or paper.
    #[arg(long, default_value = "default")]
    preset: Preset,
    /// Estimator of κ in place of the preset's: exact, u, banerjee, sra, song or tanabe.
    #[arg(long)]
    estimator: Option<Estimator>,
    /// Components of a corpus-wide, centred basis for the prompts in place of the preset's; 0 for none.
    #[arg(long)]
    components: Option<usize>,
}

#[derive(Args)]
pub(crate) struct Score {
    #[command(flatten)]
    embedded: Embedded,
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
    latents_left_out: usize,
}

impl Estimate {
    pub(crate) fn run(self, common: &Common) -> anyhow::Result<Done> {
        let input = &self.embedded;
        let mut options = MethodOptions::from(self.preset);
        if let Some(estimator) = self.estimator {
            options.estimator = estimator;
        }
        match self.components {
            Some(0) => options.projection = Projection::None,
            Some(k) => options.projection = Projection::Corpus { dims: Some(k), centred: true },
            None => {}
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
        let text = models.text_encoder(&input.text_model, &device, dtype).map_err(squbed::Error::from)?;
        let video = models.video_encoder(&input.video_model, &device, dtype).map_err(squbed::Error::from)?;
        let prompts: Vec<&str> = tasks.iter().flat_map(|t| &t.latents).map(|z| z.prompt.as_str()).collect();
        let (texts, text_work) = embed::embed_texts(&prompts, &*text, Some(&input.cache), &bars)?;
        let (videos, _, work) =
            embed::embed_videos(&run::video_paths(&tasks), &*video, Some(&input.cache), input.batch, &bars)?;
        let (embedded, left_out) = embed::gather(&tasks, &texts, &videos);
        let estimate = method::estimate(&embedded, &options, &device)?;
        let in_force = MethodInForce {
            preset: self.preset,
            options,
            components: estimate.basis.as_ref().map(|b| b.components()),
            text_encoder: texts.identity().clone(),
            video_encoder: videos.identity().clone(),
            squbed: env!("CARGO_PKG_VERSION").to_owned(),
        };
        results::write_estimate(&input.out, &estimate, &in_force)?;
        squbed::store::write_tasks(&input.out.join("tasks.jsonl"), &tasks).map_err(squbed::Error::from)?;
        results::carry_truth(&input.tasks, &tasks, &input.out)?;
        results::forget_calibration(&input.out)?;
        let folder = input.out.join(in_force.name());
        bars.note(&format!("estimate {}: {}", in_force.name(), folder.display()));
        let parts: Vec<Parts> = estimate.tasks.iter().map(Parts::from).collect();
        PointMasses::of(&parts).sentences().iter().for_each(|sentence| bars.note(sentence));
        let rows: Vec<UncertaintyRow<'_>> = estimate
            .tasks
            .iter()
            .map(|t| UncertaintyRow {
                id: &t.id,
                aleatoric: t.aleatoric,
                epistemic: t.epistemic,
                total: t.total,
                latents_left_out: t.latents_left_out,
            })
            .collect();
        Records::list(&rows)?.print(common.format)?;
        let failures: Vec<_> = [text_work.failures, work.failures, left_out].concat();
        super::record_failures(&input.out, &["embed", "estimate"], &failures, &bars)
    }
}

impl Score {
    pub(crate) fn run(self, common: &Common) -> anyhow::Result<Done> {
        let input = &self.embedded;
        let bars = Bars::new(common.quiet);
        let tasks = squbed::store::read_tasks(&input.tasks).map_err(squbed::Error::from)?;
        let (device, dtype) = super::place(common)?;
        let models = ModelStore::new(None).map_err(squbed::Error::from)?;
        let video = models.video_encoder(&input.video_model, &device, dtype).map_err(squbed::Error::from)?;
        let (videos, _, work) =
            embed::embed_videos(&run::video_paths(&tasks), &*video, Some(&input.cache), input.batch, &bars)?;
        let scores = accuracy::cosine_scores(&tasks, &videos);
        results::make_folder(&input.out)?;
        squbed::store::write_accuracy(&input.out, &scores).map_err(squbed::Error::from)?;
        results::carry_truth(&input.tasks, &tasks, &input.out)?;
        results::forget_calibration(&input.out)?;
        Records::list(&scores)?.print(common.format)?;
        super::record_failures(&input.out, &["embed"], &work.failures, &bars)
    }
}
