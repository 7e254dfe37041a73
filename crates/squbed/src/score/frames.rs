//! Metrics of frames, video by video.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    path::Path,
    time::Instant,
};

use rayon::prelude::*;
use squbed_core::{AccuracyScore, Frame, Sampling, Task};
use squbed_frame::{Filter, resize};
use squbed_metrics::Metric;
use squbed_store::Failure;
use squbed_video::{DecodeOptions, Limits};

use super::{
    FRAMES, Loaded, Measure, SIDE, Scoring, VideoScore,
    clip::{FrameRows, Key, Wanted},
    loaded::Compared,
    record::Journal,
};
use crate::{
    embed::{digest_video, failure},
    error::{Error, Result},
    progress::Progress,
    sources::videos_digest,
};

/// Videos decoded at once: their frames take 2.4 MB each.
const VIDEOS_A_STEP: usize = 8;

/// What [`score_frames`] found.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct FrameScores {
    /// Which videos each task has, see [`crate::sources::videos_digest`].
    digests: BTreeMap<String, String>,
    /// Mean over the videos of each task, metric by metric in the order asked for.
    pub(super) tasks: Vec<AccuracyScore>,
    /// Every video and metric.
    pub(super) videos: Vec<VideoScore>,
    /// What a reader has to know, such as videos that equal their ground truth.
    pub(super) remarks: Vec<String>,
    /// Values that stood there from an earlier call.
    pub(super) reused: usize,
    /// Values computed now.
    pub(super) computed: usize,
    /// Seconds that took.
    pub(super) seconds: f64,
    /// Videos and ground truths that cannot be compared.
    pub(super) failures: Vec<Failure>,
}

/// A generated video with its place.
struct Sample<'a> {
    latent: usize,
    sample: usize,
    path: &'a Path,
    digest: String,
}

/// A value is the same where all of this is.
type ValueKey = (String, String, String);

/// Computes what `loaded` measures, of every video of every task. Values of `known` whose files and metrics did not
/// change are used again; those of each task are in the journal before the next task begins. A video or ground truth
/// that cannot be read is recorded, and the others go on.
///
/// # Errors
///
/// A device that fails, a cache or a journal that cannot be written.
pub(super) fn score_frames(
    scoring: &Scoring<'_>,
    loaded: &Loaded,
    known: &[VideoScore],
    journal: &mut Journal,
    progress: &dyn Progress,
) -> Result<FrameScores> {
    let Scoring { tasks, cache, limits, .. } = *scoring;
    let mut scores = FrameScores::default();
    if loaded.measures().is_empty() {
        return Ok(scores);
    }
    let started = Instant::now();
    let known: HashMap<ValueKey, f64> =
        known.iter().map(|row| ((row.by.clone(), row.video.clone(), row.with.clone()), row.value)).collect();
    let prompts: Vec<&str> = tasks.iter().map(|task| task.prompt.as_str()).collect();
    let prompts = loaded.prompts(&prompts)?;
    let videos = tasks.iter().flat_map(|t| &t.latents).map(|z| z.videos.len()).sum::<usize>();
    progress.begin("compare videos", videos as u64, "clips");
    let mut clip = loaded.clip().map(|clip| FrameRows::open(clip, cache, progress)).transpose()?;
    for (i, task) in tasks.iter().enumerate() {
        let one = OneTask { task, loaded, limits, known: &known, prompt: prompts.get(i).map(Vec::as_slice) };
        let computed = one.score(clip.as_mut(), &mut scores, progress)?;
        journal.append(&computed)?;
        clip.as_mut().map_or(Ok(()), FrameRows::end_task)?;
    }
    clip.as_mut().map_or(Ok(()), FrameRows::keep)?;
    progress.end();
    for (_, record) in loaded.measures() {
        let means = task_means(tasks, &scores, &record.name);
        scores.tasks.extend(means);
    }
    scores.seconds = started.elapsed().as_secs_f64();
    Ok(scores)
}

/// The mean over each task's videos; a task without a value has none.
fn task_means(tasks: &[Task], scores: &FrameScores, metric: &str) -> Vec<AccuracyScore> {
    let mut values: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    for row in scores.videos.iter().filter(|row| row.metric == metric) {
        values.entry(&row.id).or_default().push(row.value);
    }
    let score = |task: &Task| {
        let values = values.get(task.id.as_str())?;
        let value = values.iter().sum::<f64>() / values.len() as f64;
        let (id, metric) = (task.id.clone(), metric.to_owned());
        let videos_digest = scores.digests.get(&id).cloned();
        Some(AccuracyScore { id, metric, value, videos: values.len(), videos_digest })
    };
    tasks.iter().filter_map(score).collect()
}

struct OneTask<'a> {
    task: &'a Task,
    loaded: &'a Loaded,
    limits: &'a Limits,
    known: &'a HashMap<ValueKey, f64>,
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

/// A ground truth over one span of seconds, which many videos are compared with.
struct Truth {
    span: f64,
    key: Key,
    /// None where CLIP's embeddings of them are all that is asked for, and are there.
    frames: Option<Vec<Frame>>,
}

/// A video with what it still has to be measured by.
struct Open<'a> {
    sample: &'a Sample<'a>,
    wanted: Vec<Measure>,
    length: Length,
}

/// The frames of one video that its open measures need.
struct Decoded {
    shared: Option<Vec<Frame>>,
    own: Option<Vec<Frame>>,
}

impl OneTask<'_> {
    /// Adds the task's values to the scores, and gives those that were computed now.
    fn score(
        &self,
        mut clip: Option<&mut FrameRows<'_>>,
        scores: &mut FrameScores,
        progress: &dyn Progress,
    ) -> Result<Vec<VideoScore>> {
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
        let by_path: BTreeMap<&Path, &str> =
            samples.iter().map(|sample: &Sample<'_>| (sample.path, sample.digest.as_str())).collect();
        let digest = videos_digest(self.task, |path| by_path.get(path).copied());
        scores.digests.insert(self.task.id.clone(), digest);

        let (mut rows_of_task, mut fresh) = (Vec::new(), Vec::new());
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
                        rows_of_task.extend(row(sample, *measure, value));
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

        let unreadable = open.len();
        let open = self.with_lengths(open, scores);
        progress.advance((unreadable - open.len()) as u64);
        let truths = self.truths(&open, truth_digest.as_deref(), clip.as_deref_mut(), scores)?;
        for step in open.chunks(VIDEOS_A_STEP) {
            let decoded = self.decoded(step, &truths, clip.as_deref_mut(), scores)?;
            let perceptual = self.perceptual(&decoded, &truths)?;
            for ((open, decoded), perceptual) in decoded.iter().zip(&perceptual) {
                let truth = open.truth(&truths);
                let clip = clip.as_deref();
                let rows = |seconds: f64| clip?.get(&open.key(seconds));
                let compared = Compared {
                    frames: decoded.shared.as_deref().zip(truth.and_then(|t| t.frames.as_deref())),
                    perceptual,
                    rows: truth.and_then(|t| rows(t.span).zip(clip?.get(&t.key))),
                    prompt: rows(open.length.own).zip(self.prompt),
                };
                let mut values = self.loaded.values(&open.wanted, compared)?;
                let path = open.sample.path;
                values.retain(|(measure, value)| {
                    if value.is_nan() {
                        let (encoder, item) = (measure.name().to_owned(), path.display().to_string());
                        let why = "its value is no number".to_owned();
                        scores.failures.push(failed(path, &Error::Useless { encoder, item, why }));
                    }
                    !value.is_nan()
                });
                scores.computed += values.len();
                let computed =
                    values.into_iter().filter_map(|(measure, value)| row(open.sample, measure, value));
                let computed: Vec<VideoScore> = computed.collect();
                fresh.extend_from_slice(&computed);
                rows_of_task.extend(computed);
            }
            progress.advance(step.len() as u64);
        }
        let infinite = rows_of_task.iter().filter(|row| row.value == f64::INFINITY).count();
        if infinite > 0 {
            scores.remarks.push(format!(
                "task {}: {infinite} value(s) are infinite, since those frames equal the ground truth's; its mean is \
                 infinite too, and ranks take it as the largest",
                self.task.id
            ));
        }
        // In the same order whatever was known before.
        let place =
            |row: &VideoScore| self.loaded.measures().iter().position(|(_, of)| of.name == row.metric);
        rows_of_task.sort_by_key(|row| (row.latent, row.sample, place(row)));
        scores.videos.extend(rows_of_task);
        Ok(fresh)
    }

    /// The perceptual distances of a step's videos, those of one ground truth at a time.
    fn perceptual(
        &self,
        decoded: &[(&Open<'_>, Decoded)],
        truths: &[Truth],
    ) -> Result<Vec<Vec<(Metric, f64)>>> {
        let mut distances = vec![Vec::new(); decoded.len()];
        for metric in self.loaded.perceptual() {
            for truth in truths {
                let Some(truth_frames) = truth.frames.as_deref() else { continue };
                let of_truth = |(i, (open, video)): (usize, &'_ (&Open<'_>, Decoded))| {
                    let is = open.wanted.contains(&Measure::Frames(metric))
                        && open.length.shared == Some(truth.span);
                    (is && video.shared.is_some()).then_some(i)
                };
                let members: Vec<usize> = decoded.iter().enumerate().filter_map(of_truth).collect();
                let videos: Vec<&[Frame]> =
                    members.iter().filter_map(|&i| decoded[i].1.shared.as_deref()).collect();
                let found = self.loaded.distances(metric, &videos, truth_frames)?;
                members
                    .into_iter()
                    .zip(found)
                    .for_each(|(i, distance)| distances[i].push((metric, distance)));
            }
        }
        Ok(distances)
    }

    /// Takes in how long each video lasts, and how much of that its ground truth does; a video or a ground truth that
    /// cannot be read is recorded.
    fn with_lengths<'s>(
        &self,
        open: Vec<(&'s Sample<'s>, Vec<Measure>)>,
        scores: &mut FrameScores,
    ) -> Vec<Open<'s>> {
        let compares = open.iter().flat_map(|(_, wanted)| wanted).any(|m| m.needs_truth());
        let truth =
            self.task.ground_truth.as_deref().filter(|_| compares).map(|path| seconds(path, self.limits));
        let truth = truth.and_then(|length| length.map_err(|failure| scores.failures.push(failure)).ok());
        let found: Vec<_> = open.par_iter().map(|(sample, _)| seconds(sample.path, self.limits)).collect();
        let of = |own: f64| Length { own, shared: truth.map(|truth| own.min(truth)) };
        let with = |((sample, wanted), own): (_, Result<f64, Failure>)| match own {
            Ok(own) => Some(Open { sample, wanted, length: of(own) }),
            Err(failure) => {
                scores.failures.push(failure);
                None
            }
        };
        open.into_iter().zip(found).filter_map(with).collect()
    }

    /// The ground truth over each span that a video shares with it, from one pass over its file: few, since as a rule
    /// every video is as long as every other. CLIP's embeddings of it, where they are asked for, are made.
    fn truths(
        &self,
        open: &[Open<'_>],
        digest: Option<&str>,
        clip: Option<&mut FrameRows<'_>>,
        scores: &mut FrameScores,
    ) -> Result<Vec<Truth>> {
        let compared = |open: &&Open<'_>| open.wanted.iter().any(|measure| measure.needs_truth());
        let mut spans: Vec<f64> =
            open.iter().filter(compared).filter_map(|open| open.length.shared).collect();
        spans.sort_by(f64::total_cmp);
        spans.dedup();
        let (Some(path), Some(digest)) = (self.task.ground_truth.as_deref(), digest) else {
            return Ok(Vec::new());
        };
        let mut truths: Vec<Truth> =
            spans.iter().map(|&span| Truth { span, key: Key::new(digest, span), frames: None }).collect();
        let mut clip = clip.filter(|_| open.iter().any(Open::of_clip));
        let mut missing: BTreeSet<usize> = BTreeSet::new();
        for (at, truth) in truths.iter().enumerate() {
            let of_span = || open.iter().filter(|open| open.length.shared == Some(truth.span));
            if of_span().any(Open::of_pixels)
                || (of_span().any(Open::of_clip) && lacks(&mut clip, &truth.key)?)
            {
                missing.insert(at);
            }
        }
        let spans: Vec<f64> = missing.iter().map(|&at| truths[at].span).collect();
        if spans.is_empty() {
            return Ok(truths);
        }
        match frames(path, &spans, self.limits) {
            Ok(decoded) => {
                missing.iter().zip(decoded).for_each(|(&at, frames)| truths[at].frames = Some(frames));
            }
            Err(failure) => {
                scores.failures.push(failure);
                return Ok(Vec::new());
            }
        }
        if let Some(clip) = clip {
            clip.embed(truths.iter().filter_map(|truth| truth.clip_wanted(path)).collect())?;
        }
        Ok(truths)
    }

    /// The frames of a step's videos, and CLIP's embeddings of them in one pass. What cannot be decoded is recorded.
    fn decoded<'o, 's>(
        &self,
        step: &'o [Open<'s>],
        truths: &[Truth],
        mut clip: Option<&mut FrameRows<'_>>,
        scores: &mut FrameScores,
    ) -> Result<Vec<(&'o Open<'s>, Decoded)>> {
        let mut plans = Vec::new();
        for open in step {
            let span = open.truth(truths).map(|truth| truth.span);
            let shared = match span {
                Some(span) if open.of_pixels() => Some(span),
                Some(span) if open.of_clip() && lacks(&mut clip, &open.key(span))? => Some(span),
                _ => None,
            };
            let own = open.length.own;
            let aligned = open.wanted.contains(&Measure::Alignment) && lacks(&mut clip, &open.key(own))?;
            plans.push((shared, aligned.then_some(own)));
        }
        let frames: Vec<Result<Decoded, Failure>> = step
            .par_iter()
            .zip(plans)
            .map(|(open, (shared, own))| decode(open.sample.path, shared, own, self.limits))
            .collect();
        let mut decoded = Vec::new();
        for (open, frames) in step.iter().zip(frames) {
            match frames {
                Ok(frames) => decoded.push((open, frames)),
                Err(failure) => scores.failures.push(failure),
            }
        }
        if let Some(clip) = clip {
            clip.embed(decoded.iter().flat_map(|(open, decoded)| open.clip_wanted(decoded)).collect())?;
        }
        Ok(decoded)
    }
}

impl Open<'_> {
    /// Whether CLIP compares its frames with those of the ground truth.
    fn of_clip(&self) -> bool {
        self.wanted.iter().any(|measure| matches!(measure, Measure::Clip | Measure::ClipFrames))
    }

    /// Whether a metric compares its pixels with those of the ground truth.
    fn of_pixels(&self) -> bool {
        self.wanted.iter().any(|measure| matches!(measure, Measure::Frames(_)))
    }

    fn key(&self, seconds: f64) -> Key {
        Key::new(&self.sample.digest, seconds)
    }

    /// What it is compared with.
    fn truth<'t>(&self, truths: &'t [Truth]) -> Option<&'t Truth> {
        truths.iter().find(|truth| Some(truth.span) == self.length.shared)
    }

    /// What CLIP has to embed of its frames.
    fn clip_wanted<'d>(&'d self, decoded: &'d Decoded) -> Vec<Wanted<'d>> {
        let of = |seconds: f64, frames: &'d [Frame]| Wanted {
            key: self.key(seconds),
            source: self.sample.path,
            frames,
        };
        let shared = self.length.shared.filter(|_| self.of_clip()).zip(decoded.shared.as_deref());
        let own = decoded.own.as_deref().map(|frames| (self.length.own, frames));
        shared.into_iter().chain(own).map(|(seconds, frames)| of(seconds, frames)).collect()
    }
}

/// Whether CLIP's embeddings of this are neither made nor in the cache; not where CLIP is not asked for.
fn lacks(clip: &mut Option<&mut FrameRows<'_>>, key: &Key) -> Result<bool> {
    let Some(clip) = clip else { return Ok(false) };
    if clip.get(key).is_none() {
        clip.look_up(std::slice::from_ref(key))?;
    }
    Ok(clip.get(key).is_none())
}

impl Truth {
    /// What CLIP has to embed of its frames.
    fn clip_wanted<'t>(&'t self, path: &'t Path) -> Option<Wanted<'t>> {
        Some(Wanted { key: self.key.clone(), source: path, frames: self.frames.as_deref()? })
    }
}

/// A video's frames in the pictures that are compared.
fn decode(path: &Path, shared: Option<f64>, own: Option<f64>, limits: &Limits) -> Result<Decoded, Failure> {
    let mut spans: Vec<f64> = shared.into_iter().chain(own).collect();
    spans.dedup();
    let mut decoded = if spans.is_empty() { Vec::new() } else { frames(path, &spans, limits)? };
    let of_own = if own.is_some() { decoded.pop() } else { None };
    // A video that is no longer than its ground truth shares all of itself.
    let of_shared = if shared == own { of_own.clone() } else { decoded.pop() };
    Ok(Decoded { shared: of_shared, own: of_own })
}

/// Frames at equal times within each span of seconds, all from one pass over the file, as 224×224 pictures.
fn frames(path: &Path, spans: &[f64], limits: &Limits) -> Result<Vec<Vec<Frame>>, Failure> {
    let plans: Vec<Sampling> =
        spans.iter().map(|&seconds| Sampling::Within { frames: FRAMES, seconds }).collect();
    let options = DecodeOptions { limits: limits.clone(), ..DecodeOptions::default() };
    let decoded = squbed_video::decode(path, &plans, &options).map_err(|e| failed(path, &e.into()))?;
    let small = |frame: &Frame| resize(frame, SIDE, SIDE, Filter::Bicubic);
    let clip = |clip: &squbed_core::Clip| clip.frames().iter().map(small).collect::<Result<Vec<_>, _>>();
    let clips = decoded.clips.iter().map(clip).collect::<Result<_, _>>();
    clips.map_err(|source| failed(path, &Error::Compare { path: path.to_owned(), source }))
}

fn seconds(path: &Path, limits: &Limits) -> Result<f64, Failure> {
    let info = squbed_video::probe_within(path, limits).map_err(|e| failed(path, &e.into()))?;
    let length = info.duration_seconds;
    if length > 0.0 { Ok(length) } else { Err(failed(path, &Error::NoDuration { path: path.to_owned() })) }
}

fn failed(path: &Path, error: &Error) -> Failure {
    failure("score", &path.display().to_string(), error)
}
