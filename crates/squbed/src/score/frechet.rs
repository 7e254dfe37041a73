//! The Fréchet video distance of a whole set of tasks.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use candle_core::{Device, Tensor};
use squbed_core::Task;
use squbed_models::arch::inception::CLASSES;
use squbed_store::Failure;

use super::{Frechet, Measure, NotRun, Scoring};
use crate::{
    embed::{Embeddings, embed_videos, generated_videos},
    error::Result,
    progress::Progress,
};

/// The model whose logits it takes.
const MODEL: &str = "i3d-kinetics-400";

/// The distance of all generated videos to all true ones; why there is none where the sets are too small or the
/// weights are not here.
pub(super) fn frechet(
    scoring: &Scoring<'_>,
    progress: &dyn Progress,
) -> Result<(Result<Frechet, NotRun>, Vec<Failure>)> {
    let not_run = |why: String| NotRun { metric: Measure::Frechet.name().to_owned(), why };
    let generated = distinct(generated_videos(scoring.tasks));
    let truths = distinct(true_videos(scoring.tasks));
    // Before anything is embedded.
    if let Some(why) = too_few(generated.len(), truths.len()) {
        return Ok((Err(not_run(why)), Vec::new()));
    }
    let Scoring { models, device, dtype, cache, batch, .. } = *scoring;
    let encoder = match models.clip_encoder(MODEL, device, dtype).and_then(|encoder| encoder.logits()) {
        Ok(encoder) => encoder,
        Err(error) => {
            let error = crate::error::Error::from(error);
            if !error.is_missing_model() {
                return Err(error);
            }
            return Ok((Err(not_run(squbed_core::causes(&error).join(": "))), Vec::new()));
        }
    };
    let all = [generated.clone(), truths.clone()].concat();
    let (logits, _, work) = embed_videos(&all, &encoder, Some(cache), batch, progress)?;
    let sets = [rows(&generated, &logits), rows(&truths, &logits)];
    if let Some(why) = too_few(sets[0].len(), sets[1].len()) {
        return Ok((Err(not_run(why)), work.failures));
    }
    let tensor = |rows: &[Vec<f32>]| {
        Tensor::from_vec(rows.concat(), (rows.len(), CLASSES), &Device::Cpu)
            .map_err(squbed_tensor::Error::from)
    };
    let distance = squbed_metrics::frechet_video_distance(&tensor(&sets[0])?, &tensor(&sets[1])?)?;
    let frechet =
        Frechet { variant: distance.variant.to_owned(), value: distance.value, clips: distance.clips };
    Ok((Ok(frechet), work.failures))
}

fn true_videos(tasks: &[Task]) -> Vec<&Path> {
    tasks.iter().filter_map(|task| task.ground_truth.as_ref()).map(PathBuf::as_path).collect()
}

/// Each path once: a video that stands in many tasks is one sample.
fn distinct(paths: Vec<&Path>) -> Vec<&Path> {
    paths.into_iter().collect::<BTreeSet<_>>().into_iter().collect()
}

/// The logits of each video of different content once.
fn rows(paths: &[&Path], logits: &Embeddings) -> Vec<Vec<f32>> {
    let by_content: BTreeMap<&str, &[f32]> =
        paths.iter().filter_map(|path| Some((logits.digest(path)?, logits.video(path)?))).collect();
    by_content.into_values().map(<[f32]>::to_vec).collect()
}

/// Why sets of these sizes have no distance, if so.
fn too_few(generated: usize, truths: usize) -> Option<String> {
    (generated.min(truths) <= CLASSES).then(|| {
        format!(
            "{generated} different generated and {truths} different true videos are too few: a covariance of {CLASSES} logits needs more than \
             {CLASSES} in each set, and the distance of smaller ones tells their size more than what they show"
        )
    })
}
