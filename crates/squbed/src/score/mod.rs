//! Accuracy of generated videos, metric by metric.
//!
//! The paper's appendix A.1: generated and true clip are brought to 224×224 without a crop (bicubic), 16 frames are taken
//! at equal times over the shorter of both durations, a metric is averaged over the frames, and then over the task's
//! videos. Equal times are the centres of 16 equal spans, which is our choice. Higher is better in every metric: LPIPS is
//! a distance and enters as its negative, under that name.
//!
//! | asked for as | stands as | is |
//! | --- | --- | --- |
//! | `cosine` | `ENCODER cosine` | cosine of the video encoder's embeddings, see [`crate::accuracy`] |
//! | `clip` | `CLIP score, MODEL` | cosine of the normalised means of normalised frame embeddings |
//! | `clip-frames` | `CLIP frame score, MODEL` | mean cosine of frames in pairs |
//! | `alignment` | `CLIP text alignment, MODEL` | cosine of the prompt ℓ and the video; needs no ground truth |
//! | `ssim`, `psnr`, `ssim-y`, `psnr-y` | the same | [`squbed_metrics`] |
//! | `lpips-alex`, `lpips-vgg` | `-lpips-alex`, `-lpips-vgg` | the negative distance |
//! | `fvd` | in `metrics.json` | Fréchet distance of all generated videos to all true ones, one number for the whole set |

mod clip;
mod frames;
mod frechet;
mod loaded;
mod record;

use std::{fmt, path::Path, str::FromStr};

use candle_core::{DType, Device};
use squbed_core::{AccuracyScore, Task};
use squbed_metrics::Metric;
use squbed_models::ModelStore;
use squbed_store::Failure;
use squbed_video::Limits;

use crate::{
    accuracy,
    embed::{Embeddings, embed_videos_within},
    error::{Error, Result},
    progress::Progress,
    results,
    run::video_paths,
};
use frames::score_frames;
use loaded::Loaded;
pub use record::{Frechet, METRICS, MetricRecord, MetricsFile, NotRun, VIDEO_SCORES, VideoScore};

/// Frames of a video that a metric is averaged over (A.1).
pub const FRAMES: usize = 16;
/// Side of the pictures that are compared, in pixels (A.1).
pub const SIDE: usize = 224;

/// A measure of accuracy that can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// Cosine of the video encoder's embeddings.
    Cosine,
    /// A metric of frames in pairs.
    Frames(Metric),
    /// Cosine of CLIP's video embeddings.
    Clip,
    /// Mean cosine of CLIP's frame embeddings in pairs.
    ClipFrames,
    /// Cosine of CLIP's embeddings of prompt and video.
    Alignment,
    /// Fréchet video distance of the whole set.
    Frechet,
}

impl Measure {
    /// Every measure.
    pub fn all() -> impl Iterator<Item = Self> {
        let frames = Metric::ALL.into_iter().map(Self::Frames);
        [Self::Cosine, Self::Clip, Self::ClipFrames, Self::Alignment, Self::Frechet].into_iter().chain(frames)
    }

    /// The name to ask for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cosine => "cosine",
            Self::Frames(metric) => metric.name(),
            Self::Clip => "clip",
            Self::ClipFrames => "clip-frames",
            Self::Alignment => "alignment",
            Self::Frechet => "fvd",
        }
    }

    /// Whether it compares with a ground truth.
    pub fn needs_truth(self) -> bool {
        self != Self::Alignment
    }
}

impl fmt::Display for Measure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Measure {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        Self::all().find(|measure| measure.name() == name).ok_or_else(|| Error::UnknownMeasure {
            name: name.to_owned(),
            known: Self::all().map(Self::name).collect::<Vec<_>>().join(", "),
        })
    }
}

/// What is scored, how and into which folder.
#[derive(Clone, Copy)]
pub struct Scoring<'a> {
    /// The tasks, with their videos.
    pub tasks: &'a [Task],
    /// The measures; the first is the primary one.
    pub measures: &'a [Measure],
    /// The embeddings of the cosine.
    pub videos: Videos<'a>,
    /// The model of the CLIP measures.
    pub clip_model: &'a str,
    /// Where weights are.
    pub models: &'a ModelStore,
    /// Where networks run.
    pub device: &'a Device,
    /// Their arithmetic.
    pub dtype: DType,
    /// The embedding cache.
    pub cache: &'a Path,
    /// Videos a batch.
    pub batch: usize,
    /// What a video may cost; one beyond it cannot be compared.
    pub limits: &'a Limits,
    /// Folder of the results.
    pub out: &'a Path,
}

/// Where the embeddings that [`Measure::Cosine`] compares come from.
#[derive(Clone, Copy)]
pub enum Videos<'a> {
    /// They are there: of generated and true videos.
    Embedded(&'a Embeddings),
    /// This model makes them.
    By(&'a str),
}

/// What scoring came to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scored {
    /// What `accuracy.jsonl` holds, metric by metric in the order asked for.
    pub scores: Vec<AccuracyScore>,
    /// What `metrics.json` holds.
    pub file: MetricsFile,
    /// What a reader has to know of the values.
    pub remarks: Vec<String>,
    /// Values that an earlier call had computed.
    pub reused: usize,
    /// Values computed now.
    pub computed: usize,
    /// Seconds that took.
    pub seconds: f64,
    /// Videos that could not be compared.
    pub failures: Vec<Failure>,
}

/// Scores tasks and writes `accuracy.jsonl`, `accuracy.parquet`, `accuracy_videos.jsonl` and `metrics.json`. A measure
/// that cannot be computed is in [`MetricsFile::not_run`]. Where nothing could be computed these files stay as they were.
///
/// Values of frames are kept task by task, in `accuracy_videos.open.jsonl` until the end, and embeddings in the cache: a
/// scoring that was killed loses one task's work, and the next one writes the files that it would have written.
///
/// # Errors
///
/// A model that is here and damaged; a device that fails; a folder that cannot be written.
pub fn score(scoring: &Scoring<'_>, progress: &dyn Progress) -> Result<Scored> {
    let Scoring { tasks, measures, models, device, dtype, out, .. } = *scoring;
    let loaded = Loaded::load(measures, models, scoring.clip_model, device, dtype)?;
    let mut scored = Scored::default();
    scored.file.not_run = loaded.not_run().to_vec();
    let made;
    let videos = match scoring.videos {
        _ if !measures.contains(&Measure::Cosine) => None,
        Videos::Embedded(videos) => Some(videos),
        Videos::By(model) => {
            made = embed(scoring, model, &mut scored, progress)?;
            made.as_ref()
        }
    };
    let known = record::read_videos(out)?;
    let mut journal = record::Journal::of(out);
    let frames = score_frames(scoring, &loaded, &known, &mut journal, progress)?;
    scored.remarks = frames.remarks;
    (scored.reused, scored.computed, scored.seconds) = (frames.reused, frames.computed, frames.seconds);
    scored.fail(frames.failures);
    for measure in measures {
        match measure {
            Measure::Cosine => {
                let Some(videos) = videos else { continue };
                let of = videos.identity();
                scored.scores.extend(accuracy::cosine_scores(tasks, videos));
                scored.file.metrics.push(MetricRecord {
                    name: accuracy::cosine_metric(&of.name),
                    by: format!("{} {} {} {}", of.weights_sha256, of.preprocessing, of.sampling, of.dtype),
                    about: "Cosine of a generated video's embedding with its ground truth's, averaged over the task's \
                            videos. It is not a CLIP score."
                        .to_owned(),
                });
            }
            Measure::Frechet => {
                let (frechet, failures) = frechet::frechet(scoring, progress)?;
                scored.fail(failures);
                match frechet {
                    Ok(frechet) => scored.file.frechet = Some(frechet),
                    Err(not_run) => scored.file.not_run.push(not_run),
                }
            }
            _ => {
                let Some((_, record)) = loaded.measures().iter().find(|(m, _)| m == measure) else {
                    continue;
                };
                scored.scores.extend(frames.tasks.iter().filter(|s| s.metric == record.name).cloned());
                scored.file.metrics.push(record.clone());
            }
        }
    }
    // What an earlier scoring left stays whole where this one came to nothing.
    if scored.scores.is_empty() && scored.file.frechet.is_none() {
        return Ok(scored);
    }
    results::make_folder(out)?;
    squbed_store::write_accuracy(out, &scored.scores)?;
    record::write_videos(out, &known, &frames.videos)?;
    scored.file.write(out)?;
    journal.end()?;
    Ok(scored)
}

/// The embeddings of all videos by a model; none, and the reason in what is not run, where its weights are not here.
fn embed(
    scoring: &Scoring<'_>,
    model: &str,
    scored: &mut Scored,
    progress: &dyn Progress,
) -> Result<Option<Embeddings>> {
    let Scoring { tasks, models, device, dtype, cache, batch, limits, .. } = *scoring;
    let encoder = match models.video_encoder(model, device, dtype).map_err(Error::from) {
        Ok(encoder) => encoder,
        Err(error) => {
            scored.file.not_run.insert(0, NotRun::missing(Measure::Cosine.name(), error)?);
            return Ok(None);
        }
    };
    let (videos, _, work) =
        embed_videos_within(&video_paths(tasks), &*encoder, Some(cache), batch, limits, progress)?;
    scored.fail(work.failures);
    Ok(Some(videos))
}

impl Scored {
    /// Adds failures; an item that failed already is told once.
    fn fail(&mut self, failures: Vec<Failure>) {
        let known: Vec<String> = self.failures.iter().map(|failure| failure.item.clone()).collect();
        self.failures.extend(failures.into_iter().filter(|failure| !known.contains(&failure.item)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_measure_is_found_by_its_name() {
        for measure in Measure::all() {
            assert_eq!(measure.name().parse::<Measure>().unwrap(), measure);
        }
        let told = "lpips".parse::<Measure>().unwrap_err().to_string();
        assert!(told.contains("`lpips`") && told.contains("lpips-alex, lpips-vgg"), "{told}");
    }
}
