//! Videos made in rounds, as many a latent prompt as the task's interval needs.
//!
//! What more videos of the same latent prompts can narrow is one part of an interval alone: the error of the epistemic
//! uncertainty that is due to their number, `epistemic_error_of_videos` of [`Intervals`](squbed_core::Intervals). The
//! choice of latent prompts makes the rest, and no number of videos changes it. A task therefore stops when the interval
//! of that part is narrow enough. The smallest round is of [`FIRST`] videos, since a standard error of few samples is
//! often too small by chance; still, a task that stops was somewhat luckier than its interval says (Chow and Robbins 1965,
//! doi:10.1214/aoms/1177700156, have the limit in which that vanishes).

use std::{collections::BTreeMap, path::Path};

use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use squbed_core::{LatentPrompt, Task, float};
use squbed_store::Failure;
use squbed_tensor::VideoEncoder;
use squbed_video::Limits;
use squbed_vmf::Estimator;

use crate::{
    embed::{self, Work},
    error::Result,
    fit::Group,
    interval,
    progress::Progress,
    steps::Generated,
};

/// Rows of [`Budget`], beside the videos.
pub const BUDGET: &str = "budget.jsonl";

/// Videos a latent prompt of the first round.
pub const FIRST: usize = 4;

/// Videos that each further round adds.
pub const STEP: usize = 2;

/// What a task was given.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Budget {
    /// The task.
    pub id: String,
    /// Whether its interval was narrow enough; otherwise it had all the videos that were allowed.
    pub narrow: bool,
    /// Each round.
    pub rounds: Vec<Round>,
}

/// What a task's videos told after a round.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Round {
    /// Videos a latent prompt.
    pub videos: usize,
    /// Width of the 95 % interval of the epistemic uncertainty over other videos of the same latent prompts, nats; NaN
    /// where it is unknown.
    #[serde(with = "float")]
    pub width: f64,
}

/// When a task stops, and how its videos are looked at between rounds.
pub struct Stopping<'a> {
    /// Width of the interval below which a task gets no more videos, nats.
    pub width: f64,
    /// Their encoder.
    pub encoder: &'a dyn VideoEncoder,
    /// The estimator of their entropies.
    pub estimator: Estimator,
    /// The cache of their embeddings, from which a later estimate takes them.
    pub cache: &'a Path,
    /// Videos a batch.
    pub batch: usize,
    /// What one may cost.
    pub limits: &'a Limits,
}

/// What rounds of videos came to.
#[derive(Clone, Debug, Default)]
pub struct Rounds {
    /// Videos found, made and failed in all.
    pub generated: Generated,
    /// What was embedded between rounds.
    pub embedded: Work,
    /// What each task was given, in their order; tasks that had all their videos are absent.
    pub budget: Vec<Budget>,
}

impl Rounds {
    /// What came of it in words, for a `most` of videos a latent prompt.
    pub fn describe(&self, width: f64, most: usize) -> String {
        let stopped = |budget: &&Budget| budget.rounds.last().is_some_and(|round| round.videos < most);
        let early = self.budget.iter().filter(stopped).count();
        format!(
            "in rounds until the 95 % interval of the epistemic uncertainty over other videos of the same latent prompts was \
             narrower than {width} nats: {early} of {} tasks had fewer than {most} videos a latent prompt",
            self.budget.len()
        )
    }
}

/// Gives each latent prompt without videos its own in rounds: `make` gives tasks the first so many, keeping those that
/// are there, and a task takes part in further rounds until its interval is narrow enough or it has `most` videos a latent
/// prompt. The same videos are made in the same rounds however often this is called.
///
/// # Errors
///
/// Those of `make`, and of the embedding; a video that fails is recorded and left out.
pub fn generate_in_rounds(
    tasks: &mut [Task],
    most: usize,
    stopping: &Stopping<'_>,
    make: &mut dyn FnMut(&mut [Task], usize) -> Result<Generated>,
    progress: &dyn Progress,
) -> Result<Rounds> {
    let mut rounds = Rounds::default();
    let mut failures: BTreeMap<String, Failure> = BTreeMap::new();
    let open = |task: &Task| task.latents.iter().map(|z| z.videos.is_empty()).collect::<Vec<_>>();
    // The tasks that go on, with which of their latent prompts had no videos.
    let mut going: Vec<(usize, Vec<bool>)> = tasks
        .iter()
        .enumerate()
        .map(|(i, task)| (i, open(task)))
        .filter(|(_, open)| open.contains(&true))
        .collect();
    let first = going.clone();
    let mut budget: BTreeMap<usize, Budget> = BTreeMap::new();
    let mut videos = 0;
    while !going.is_empty() && videos < most {
        videos = if videos == 0 { FIRST.min(most) } else { (videos + STEP).min(most) };
        let mut now: Vec<Task> = going.iter().map(|(i, open)| without_videos(&tasks[*i], open)).collect();
        let generated = make(&mut now, videos)?;
        rounds.generated.made += generated.made;
        // A video that failed in a round is tried again in the next.
        failures.extend(generated.failures.into_iter().map(|failure| (failure.item.clone(), failure)));
        let paths = embed::generated_videos(&now);
        let Stopping { width, encoder, estimator, cache, batch, limits } = *stopping;
        let (embeddings, _, work) =
            embed::embed_videos_within(&paths, encoder, Some(cache), batch, limits, progress)?;
        rounds.embedded.computed += work.computed;
        rounds.embedded.seconds += work.seconds;
        let widths: Vec<f64> = now
            .par_iter()
            .map(|task| {
                let rows =
                    |z: &LatentPrompt| z.videos.iter().filter_map(|path| embeddings.video(path)).collect();
                let groups: Vec<Group<'_>> = task.latents.iter().map(rows).collect();
                interval::width_over_videos(&groups, estimator)
            })
            .collect::<Result<_>>()?;
        for (((i, _), task), &wide) in going.iter().zip(now).zip(&widths) {
            let row = budget.entry(*i).or_insert_with(|| Budget {
                id: task.id.clone(),
                narrow: false,
                rounds: Vec::new(),
            });
            row.narrow = wide < width;
            row.rounds.push(Round { videos, width: wide });
            tasks[*i] = task;
        }
        let mut narrow = widths.iter().map(|&wide| wide < width);
        going.retain(|_| !narrow.next().unwrap_or(false));
    }
    failures.retain(|item, _| !Path::new(item).exists());
    rounds.generated.failures = failures.into_values().collect();
    let there: usize = first
        .iter()
        .flat_map(|(i, open)| tasks[*i].latents.iter().zip(open))
        .filter(|(_, open)| **open)
        .map(|(z, _)| z.videos.len())
        .sum();
    rounds.generated.reused = there.saturating_sub(rounds.generated.made);
    rounds.budget = budget.into_values().collect();
    Ok(rounds)
}

/// The task as it was before its first round.
fn without_videos(task: &Task, open: &[bool]) -> Task {
    let mut task = task.clone();
    for (latent, _) in task.latents.iter_mut().zip(open).filter(|(_, open)| **open) {
        latent.videos.clear();
    }
    task
}
