//! `squbed estimate` and `squbed score`: from cached embeddings to uncertainties and accuracies.

use std::path::PathBuf;

use anyhow::bail;
use clap::{Args, Subcommand};
use serde::Serialize;
use squbed::{
    accuracy,
    core::float,
    embed,
    method::{self, MethodOptions, Preset, Projection},
    models::ModelStore,
    run::{self, MethodInForce},
    vmf::Estimator,
};

use super::pair::Pair;
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
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct Score {
    #[command(flatten)]
    embedded: Option<Embedded>,
    #[command(subcommand)]
    what: Option<ScoreOf>,
}

/// What `squbed score` compares other than the videos of tasks.
#[derive(Subcommand)]
enum ScoreOf {
    /// One metric of two pictures.
    Pair(Pair),
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
            task.check_complete().map_err(squbed::Error::from)?;
        }
        let models = ModelStore::new(None).map_err(squbed::Error::from)?;
        let (device, dtype) = super::place(common)?;
        let text = models.text_encoder(&input.text_model, &device, dtype).map_err(squbed::Error::from)?;
        let video = models.video_encoder(&input.video_model, &device, dtype).map_err(squbed::Error::from)?;
        let prompts: Vec<&str> = tasks.iter().flat_map(|t| &t.latents).map(|z| z.prompt.as_str()).collect();
        let (texts, _) = embed::embed_texts(&prompts, &*text, Some(&input.cache), &bars)?;
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
        run::write_estimate(&input.out.join(self.preset.to_string()), &estimate, &in_force)?;
        squbed::store::write_tasks(&input.out.join("tasks.jsonl"), &tasks).map_err(squbed::Error::from)?;
        run::forget_calibration(&input.out)?;
        let rows: Vec<UncertaintyRow<'_>> = estimate
            .tasks
            .iter()
            .map(|t| UncertaintyRow {
                id: &t.id,
                aleatoric: t.aleatoric,
                epistemic: t.epistemic,
                total: t.total,
            })
            .collect();
        Records::list(&rows)?.print(common.format)?;
        let failures: Vec<_> = work.failures.into_iter().chain(left_out).collect();
        super::record_failures(&input.out, &["embed", "estimate"], &failures, &bars)
    }
}

impl Score {
    pub(crate) fn run(self, common: &Common) -> anyhow::Result<Done> {
        if let Some(ScoreOf::Pair(pair)) = self.what {
            return pair.run(common);
        }
        let Some(input) = &self.embedded else { bail!("give task manifest, --cache and --out") };
        let bars = Bars::new(common.quiet);
        let tasks = squbed::store::read_tasks(&input.tasks).map_err(squbed::Error::from)?;
        let (device, dtype) = super::place(common)?;
        let models = ModelStore::new(None).map_err(squbed::Error::from)?;
        let video = models.video_encoder(&input.video_model, &device, dtype).map_err(squbed::Error::from)?;
        let (videos, _, work) =
            embed::embed_videos(&run::video_paths(&tasks), &*video, Some(&input.cache), input.batch, &bars)?;
        let scores = accuracy::cosine_scores(&tasks, &videos);
        std::fs::create_dir_all(&input.out)?;
        squbed::store::write_accuracy(&input.out, &scores).map_err(squbed::Error::from)?;
        run::forget_calibration(&input.out)?;
        Records::list(&scores)?.print(common.format)?;
        super::record_failures(&input.out, &["embed"], &work.failures, &bars)
    }
}
