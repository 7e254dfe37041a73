//! `squbed score`: accuracy of generated videos.

use anyhow::bail;
use clap::{Args, Subcommand};
use squbed::{
    core::Task,
    experiment::{DEFAULT_CLIP, DEFAULT_METRICS},
    models::ModelStore,
    progress::Progress,
    results, run,
    score::{self, Measure, Scored, Scoring, Videos},
};

use super::{estimate::Embedded, limits::DecodeLimits, nothing, pair::Pair};
use crate::{Common, Done, output::Records, progress::Bars};

#[derive(Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct Score {
    #[command(flatten)]
    embedded: Option<Embedded>,
    /// What to compute, by commas or given again: cosine (of the video encoder's embeddings), clip, clip-frames,
    /// alignment (of the prompt with the video, needs no ground truth), ssim, psnr, ssim-y, psnr-y, lpips-alex, lpips-vgg
    /// and fvd. The first is the primary one. What has no weights here is told and left out.
    #[arg(long = "metric", value_delimiter = ',', default_values = DEFAULT_METRICS)]
    metrics: Vec<Measure>,
    /// Model of clip, clip-frames and alignment.
    #[arg(long, default_value = DEFAULT_CLIP)]
    clip_model: String,
    #[command(flatten)]
    limits: DecodeLimits,
    #[command(subcommand)]
    what: Option<ScoreOf>,
}

/// What `squbed score` compares other than the videos of tasks.
#[derive(Subcommand)]
enum ScoreOf {
    /// One metric of two pictures.
    Pair(Pair),
}

impl Score {
    pub(crate) fn run(self, common: &Common) -> anyhow::Result<Done> {
        if let Some(ScoreOf::Pair(pair)) = self.what {
            return pair.run(common);
        }
        let Some(input) = &self.embedded else { bail!("give task manifest, --cache and --out") };
        input.check_places()?;
        let bars = Bars::new(common.quiet);
        let tasks = squbed::store::read_tasks(&input.tasks).map_err(squbed::Error::from)?;
        let all = tasks.clone();
        let tasks = self.scorable(tasks, input, &bars)?;
        let (device, dtype) = super::place(common)?;
        let models = ModelStore::new(None).map_err(squbed::Error::from)?;
        let paths = run::video_paths(&tasks);
        let scoring = Scoring {
            tasks: &tasks,
            measures: &self.metrics,
            videos: Videos::By(&input.video_model),
            clip_model: &self.clip_model,
            models: &models,
            device: &device,
            dtype,
            cache: &input.cache,
            batch: input.batch,
            limits: &self.limits.get(),
            out: &input.out,
        };
        let scored = score::score(&scoring, &bars)?;
        tell(&scored, &bars);
        let failures = &scored.failures;
        let done = super::record_failures(&input.out, &["embed", "score"], &paths, failures, &bars)?;
        if scored.scores.is_empty() && scored.file.frechet.is_none() {
            if let (true, Some(first)) = (failures.is_empty(), scored.file.not_run.first()) {
                bail!("no metric could be run: {}: {}", first.metric, first.why);
            }
            return Ok(nothing("no task could be scored", failures, &input.out));
        }
        results::carry_truth(&input.tasks, &all, &input.out)?;
        results::forget_calibration(&input.out)?;
        super::record_step(&input.out, "score", &bars)?;
        Records::list(&scored.scores)?.print(common.format)?;
        Ok(done)
    }

    /// The tasks that have what the metrics need; what the others lack is told.
    fn scorable(&self, tasks: Vec<Task>, input: &Embedded, bars: &Bars) -> anyhow::Result<Vec<Task>> {
        let all = tasks.len();
        let needs_truth = self.metrics.iter().all(|measure| measure.needs_truth());
        let tasks: Vec<_> =
            tasks.into_iter().filter(|task| !needs_truth || task.ground_truth.is_some()).collect();
        if tasks.is_empty() {
            bail!(
                "nothing can be scored: none of the {all} task(s) in {} has a ground truth; give each a \
                 `ground_truth`, the path of its true video, or ask for `--metric alignment`, which needs none",
                input.tasks.display()
            );
        }
        let (tasks, without_videos): (Vec<_>, Vec<_>) =
            tasks.into_iter().partition(|task| task.latents.iter().any(|z| !z.videos.is_empty()));
        if tasks.is_empty() {
            bail!(
                "nothing can be scored: no task of {} has videos; run `squbed generate` first",
                input.tasks.display()
            );
        }
        if tasks.len() < all {
            bars.warn(&format!(
                "{} of {all} task(s) get no score: {} without ground truth, {} without videos",
                all - tasks.len(),
                all - tasks.len() - without_videos.len(),
                without_videos.len()
            ));
        }
        Ok(tasks)
    }
}

/// What was not run, what is unusual, and the distance of the whole set.
fn tell(scored: &Scored, bars: &Bars) {
    for not_run in &scored.file.not_run {
        bars.warn(&format!("not run: {}: {}", not_run.metric, not_run.why));
    }
    scored.remarks.iter().for_each(|remark| bars.warn(remark));
    if let Some(frechet) = &scored.file.frechet {
        let [generated, truths] = frechet.clips;
        bars.note(&format!(
            "Fréchet video distance {} of {generated} generated to {truths} true videos ({})",
            frechet.value, frechet.variant
        ));
    }
    if scored.reused > 0 {
        bars.note(&format!("{} value(s) of an earlier call used again", scored.reused));
    }
}
