//! Metrics of frames, video by video.

use std::{
    collections::{BTreeMap, HashMap},
    path::Path,
    time::Instant,
};

use rayon::prelude::*;
use squbed_core::{AccuracyScore, Frame, Sampling, Task};
use squbed_frame::{Filter, resize};
use squbed_store::Failure;

use super::{
    FRAMES, Loaded, Measure, SIDE, VideoScore,
    loaded::{Compared, Truth},
};
use crate::{
    embed::{digest_video, failure},
    error::{Error, Result},
    progress::Progress,
};

/// Videos decoded at once: their frames take 2.4 MB each.
const VIDEOS_A_STEP: usize = 8;

/// What [`score_frames`] found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FrameScores {
    /// Mean over the videos of each task, metric by metric in the order asked for.
    pub tasks: Vec<AccuracyScore>,
    /// Every video and metric.
    pub videos: Vec<VideoScore>,
    /// What a reader has to know, such as videos that equal their ground truth.
    pub remarks: Vec<String>,
    /// Values that stood there from an earlier call.
    pub reused: usize,
    /// Values computed now.
    pub computed: usize,
    /// Seconds that took.
    pub seconds: f64,
    /// Videos and ground truths that cannot be compared.
    pub failures: Vec<Failure>,
}

/// A generated video with its place.
struct Sample<'a> {
    latent: usize,
    sample: usize,
    path: &'a Path,
    digest: String,
}

/// A value is the same where all of this is.
type Key = (String, String, String);

/// Computes what `loaded` measures, of every video of every task. Values of `known` whose files and metrics did not
/// change are used again. A video or ground truth that cannot be read is recorded, and the others go on.
///
/// # Errors
///
/// A device that fails.
pub fn score_frames(
    tasks: &[Task],
    loaded: &Loaded,
    known: &[VideoScore],
    progress: &dyn Progress,
) -> Result<FrameScores> {
    let mut scores = FrameScores::default();
    if loaded.measures().is_empty() {
        return Ok(scores);
    }
    let started = Instant::now();
    let known: HashMap<Key, f64> =
        known.iter().map(|row| ((row.by.clone(), row.video.clone(), row.with.clone()), row.value)).collect();
    let prompts: Vec<&str> = tasks.iter().map(|task| task.prompt.as_str()).collect();
    let prompts = loaded.prompts(&prompts)?;
    let videos = tasks.iter().flat_map(|t| &t.latents).map(|z| z.videos.len()).sum::<usize>();
    progress.begin("compare videos", videos as u64, "clips");
    for (i, task) in tasks.iter().enumerate() {
        let one = OneTask { task, loaded, known: &known, prompt: prompts.get(i).map(Vec::as_slice) };
        one.score(&mut scores, progress)?;
    }
    progress.end();
    for (_, record) in loaded.measures() {
        scores.tasks.extend(task_means(tasks, &scores.videos, &record.name));
    }
    scores.seconds = started.elapsed().as_secs_f64();
    Ok(scores)
}

/// The mean over each task's videos; a task without a value has none.
fn task_means(tasks: &[Task], videos: &[VideoScore], metric: &str) -> Vec<AccuracyScore> {
    let mut values: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    for row in videos.iter().filter(|row| row.metric == metric) {
        values.entry(&row.id).or_default().push(row.value);
    }
    let score = |task: &Task| {
        let values = values.get(task.id.as_str())?;
        let value = values.iter().sum::<f64>() / values.len() as f64;
        let (id, metric) = (task.id.clone(), metric.to_owned());
        Some(AccuracyScore { id, metric, value, videos: values.len() })
    };
    tasks.iter().filter_map(score).collect()
}

struct OneTask<'a> {
    task: &'a Task,
    loaded: &'a Loaded,
    known: &'a HashMap<Key, f64>,
    /// The prompt's embedding, where the alignment is asked for.
    prompt: Option<&'a [f32]>,
}

/// Seconds of a video.
#[derive(Clone, Copy)]
struct Length {
    own: f64,
    /// Those that its ground truth lasts as well, where there is one.
    shared: Option<f64>,
}

/// The frames of one video that its open measures need.
struct Decoded {
    /// Place of the ground truth over the same span.
    shared: Option<(usize, Vec<Frame>)>,
    own: Option<Vec<Frame>>,
}

impl OneTask<'_> {
    fn score(&self, scores: &mut FrameScores, progress: &dyn Progress) -> Result<()> {
        let truth = self.task.ground_truth.as_deref();
        let mut truth_digest = None;
        if let Some(path) = truth {
            match digest_video(path) {
                Ok(digest) => truth_digest = Some(digest),
                Err(error) => scores.failures.push(failed(path, &error.into())),
            }
        }
        let prompt_digest = squbed_store::digest_text(&self.task.prompt);
        // What a measure compares a video with; none where there is nothing.
        let with = |measure: Measure| match measure {
            Measure::Alignment => Some(prompt_digest.clone()),
            _ => truth_digest.clone(),
        };
        let paths = self.task.latents.iter().enumerate().flat_map(|(latent, z)| {
            z.videos.iter().enumerate().map(move |(sample, path)| (latent, sample, path))
        });
        let mut samples = Vec::new();
        for (latent, sample, path) in paths {
            match digest_video(path) {
                Ok(digest) => samples.push(Sample { latent, sample, path, digest }),
                Err(error) => {
                    scores.failures.push(failed(path, &error.into()));
                    progress.advance(1);
                }
            }
        }

        let mut rows: Vec<VideoScore> = Vec::new();
        let mut open: Vec<(&Sample<'_>, Vec<Measure>)> = Vec::new();
        let row = |of: &Sample<'_>, measure: Measure, value: f64| {
            let (_, record) = self.loaded.measures().iter().find(|(m, _)| *m == measure)?;
            Some(VideoScore {
                id: self.task.id.clone(),
                latent: of.latent,
                sample: of.sample,
                metric: record.name.clone(),
                value,
                by: record.by.clone(),
                video: of.digest.clone(),
                with: with(measure)?,
            })
        };
        for sample in &samples {
            let mut wanted = Vec::new();
            for (measure, record) in self.loaded.measures() {
                let Some(with) = with(*measure) else { continue };
                match self.known.get(&(record.by.clone(), sample.digest.clone(), with)) {
                    Some(&value) => {
                        rows.extend(row(sample, *measure, value));
                        scores.reused += 1;
                    }
                    None => wanted.push(*measure),
                }
            }
            if wanted.is_empty() {
                progress.advance(1);
            } else {
                open.push((sample, wanted));
            }
        }

        let lengths = self.lengths(&open, scores);
        let truths = self.truths(&open, &lengths, scores)?;
        for (step, lengths) in open.chunks(VIDEOS_A_STEP).zip(lengths.chunks(VIDEOS_A_STEP)) {
            let decoded: Vec<Option<Result<Decoded, Failure>>> = step
                .par_iter()
                .zip(lengths)
                .map(|((sample, wanted), length)| {
                    let length = (*length)?;
                    let compares = wanted.iter().any(|m| m.needs_truth());
                    let shared =
                        truths.iter().position(|truth| compares && Some(truth.span) == length.shared);
                    Some(decode(sample.path, shared.map(|at| (at, truths[at].span)), length.own, wanted))
                })
                .collect();
            let mut compared = Vec::new();
            for ((sample, wanted), decoded) in step.iter().zip(decoded) {
                match decoded {
                    Some(Ok(decoded)) => compared.push((*sample, wanted, decoded)),
                    Some(Err(failure)) => scores.failures.push(failure),
                    None => {}
                }
            }
            for (sample, wanted, decoded) in &compared {
                let pair = decoded.shared.as_ref().map(|(at, frames)| (frames.as_slice(), &truths[*at]));
                let own = decoded.own.as_deref().zip(self.prompt);
                let mut values = self.loaded.values(wanted, &Compared { pair, own })?;
                values.retain(|(measure, value)| {
                    if value.is_nan() {
                        let (encoder, item) = (measure.name().to_owned(), sample.path.display().to_string());
                        let why = "its value is no number".to_owned();
                        scores.failures.push(failed(sample.path, &Error::Useless { encoder, item, why }));
                    }
                    !value.is_nan()
                });
                scores.computed += values.len();
                rows.extend(values.into_iter().filter_map(|(measure, value)| row(sample, measure, value)));
            }
            progress.advance(step.len() as u64);
        }
        let infinite = rows.iter().filter(|row| row.value == f64::INFINITY).count();
        if infinite > 0 {
            scores.remarks.push(format!(
                "task {}: {infinite} value(s) are infinite, since those frames equal the ground truth's; its mean is \
                 infinite too, and ranks take it as the largest",
                self.task.id
            ));
        }
        rows.sort_by_key(|row| (row.latent, row.sample));
        scores.videos.extend(rows);
        Ok(())
    }

    /// How long each video lasts, and how much of that its ground truth does; a video or a ground truth that cannot be
    /// read is recorded.
    fn lengths(&self, open: &[(&Sample<'_>, Vec<Measure>)], scores: &mut FrameScores) -> Vec<Option<Length>> {
        let compares = open.iter().flat_map(|(_, wanted)| wanted).any(|m| m.needs_truth());
        let truth = self.task.ground_truth.as_deref().filter(|_| compares).map(seconds);
        let truth = truth.and_then(|length| length.map_err(|failure| scores.failures.push(failure)).ok());
        let found: Vec<_> = open.par_iter().map(|(sample, _)| seconds(sample.path)).collect();
        let of = |own: f64| Length { own, shared: truth.map(|truth| own.min(truth)) };
        found
            .into_iter()
            .map(|own| own.map(of).map_err(|failure| scores.failures.push(failure)).ok())
            .collect()
    }

    /// The ground truth over each span that a video shares with it, from one pass over its file: few, since as a rule
    /// every video is as long as every other.
    fn truths(
        &self,
        open: &[(&Sample<'_>, Vec<Measure>)],
        lengths: &[Option<Length>],
        scores: &mut FrameScores,
    ) -> Result<Vec<Truth>> {
        let mut spans: Vec<f64> = lengths.iter().filter_map(|length| length.as_ref()?.shared).collect();
        spans.sort_by(f64::total_cmp);
        spans.dedup();
        let Some(path) = self.task.ground_truth.as_deref().filter(|_| !spans.is_empty()) else {
            return Ok(Vec::new());
        };
        let wanted: Vec<Measure> = open.iter().flat_map(|(_, wanted)| wanted).copied().collect();
        match frames(path, &spans) {
            Ok(truths) => {
                let truths = spans.into_iter().zip(truths);
                truths.map(|(span, frames)| self.loaded.truth(span, frames, &wanted)).collect()
            }
            Err(failure) => {
                scores.failures.push(failure);
                Ok(Vec::new())
            }
        }
    }
}

/// A video's frames in the pictures that are compared.
fn decode(
    path: &Path,
    shared: Option<(usize, f64)>,
    own: f64,
    wanted: &[Measure],
) -> Result<Decoded, Failure> {
    let wants_own = wanted.contains(&Measure::Alignment);
    let mut spans: Vec<f64> = shared.iter().map(|(_, span)| *span).collect();
    if wants_own {
        spans.push(own);
    }
    let mut decoded = if spans.is_empty() { Vec::new() } else { frames(path, &spans)? };
    let own = if wants_own { decoded.pop() } else { None };
    Ok(Decoded { shared: shared.map(|(at, _)| at).zip(decoded.pop()), own })
}

/// Frames at equal times within each span of seconds, all from one pass over the file, as 224×224 pictures.
fn frames(path: &Path, spans: &[f64]) -> Result<Vec<Vec<Frame>>, Failure> {
    let plans: Vec<Sampling> =
        spans.iter().map(|&seconds| Sampling::Within { frames: FRAMES, seconds }).collect();
    let decoded =
        squbed_video::decode(path, &plans, &Default::default()).map_err(|e| failed(path, &e.into()))?;
    let small = |frame: &Frame| resize(frame, SIDE, SIDE, Filter::Bicubic);
    let clip = |clip: &squbed_core::Clip| clip.frames().iter().map(small).collect::<Result<Vec<_>, _>>();
    let clips = decoded.clips.iter().map(clip).collect::<Result<_, _>>();
    clips.map_err(|source| failed(path, &Error::Compare { path: path.to_owned(), source }))
}

fn seconds(path: &Path) -> Result<f64, Failure> {
    let info = squbed_video::probe(path).map_err(|e| failed(path, &e.into()))?;
    let length = info.duration_seconds;
    if length > 0.0 { Ok(length) } else { Err(failed(path, &Error::NoDuration { path: path.to_owned() })) }
}

fn failed(path: &Path, error: &Error) -> Failure {
    failure("score", &path.display().to_string(), error)
}
