//! The metrics that were asked for, with their networks.

use candle_core::{DType, Device};
use squbed_core::Frame;
use squbed_metrics::{Lpips, Metric};
use squbed_models::ModelStore;
use squbed_tensor::ImageEncoder;

use super::{
    FRAMES, Measure, MetricRecord, NotRun, SIDE,
    clip::{self, Clip},
};
use crate::error::{Error, Result};

/// Version of how frames are chosen and resized; raised when that changes.
const FRAMES_VERSION: &str = "a1/1";

/// The measures that compare frames, with what they need.
pub(super) struct Loaded {
    measures: Vec<(Measure, MetricRecord)>,
    lpips: Vec<(Metric, Lpips)>,
    clip: Option<Clip>,
    not_run: Vec<NotRun>,
}

/// What is compared, of one video.
#[derive(Clone, Copy, Default)]
pub(super) struct Compared<'a> {
    /// Its frames at equal times within the shorter duration, and the ground truth's.
    pub(super) frames: Option<(&'a [Frame], &'a [Frame])>,
    /// Its perceptual distances from the ground truth, which are made of several videos at once.
    pub(super) perceptual: &'a [(Metric, f64)],
    /// CLIP's embeddings of both.
    pub(super) rows: Option<(&'a [f32], &'a [f32])>,
    /// CLIP's embeddings of frames over the video's own duration, and the prompt's.
    pub(super) prompt: Option<(&'a [f32], &'a [f32])>,
}

impl Loaded {
    /// Loads what the measures need. What has no weights on this machine is [`not_run`](Self::not_run) with the command
    /// that fetches them. [`Measure::Cosine`] and [`Measure::Frechet`] are no measures of frames and are passed over.
    ///
    /// # Errors
    ///
    /// Weights that are there and damaged, or not what their manifest promises; an unknown CLIP model.
    pub(super) fn load(
        measures: &[Measure],
        models: &ModelStore,
        clip_model: &str,
        device: &Device,
        dtype: DType,
    ) -> Result<Self> {
        let mut loaded = Self { measures: Vec::new(), lpips: Vec::new(), clip: None, not_run: Vec::new() };
        let wants_text = measures.contains(&Measure::Alignment);
        for (i, &measure) in measures.iter().enumerate() {
            if measures[..i].contains(&measure) {
                continue;
            }
            let record = match measure {
                Measure::Cosine | Measure::Frechet => continue,
                Measure::Frames(metric @ Metric::Pixel(_)) => Ok(of_pixels(metric)),
                Measure::Frames(metric @ Metric::Lpips(backbone)) => {
                    Lpips::open(models, backbone, device, dtype).map_err(Error::from).map(|lpips| {
                        let record = of_lpips(metric, lpips.weights_sha256(), dtype);
                        loaded.lpips.push((metric, lpips));
                        record
                    })
                }
                Measure::Clip | Measure::ClipFrames | Measure::Alignment => loaded
                    .with_clip(|| Clip::open(models, clip_model, wants_text, device, dtype))
                    .map(|clip| of_clip(measure, clip_model, clip)),
            };
            match record {
                Ok(record) => loaded.measures.push((measure, record)),
                Err(error) => loaded.not_run.push(NotRun::missing(measure.name(), error)?),
            }
        }
        Ok(loaded)
    }

    fn with_clip(&mut self, open: impl FnOnce() -> Result<Clip>) -> Result<&Clip> {
        let clip = self.clip.take().map_or_else(open, Ok)?;
        Ok(self.clip.insert(clip))
    }

    /// The measures that can be computed, each with its record.
    pub(super) fn measures(&self) -> &[(Measure, MetricRecord)] {
        &self.measures
    }

    /// Those that cannot.
    pub(super) fn not_run(&self) -> &[NotRun] {
        &self.not_run
    }

    pub(super) fn clip(&self) -> Option<&Clip> {
        self.clip.as_ref()
    }

    /// Embeddings of prompts for the alignment; empty where it is not asked for.
    pub(super) fn prompts(&self, prompts: &[&str]) -> Result<Vec<Vec<f32>>> {
        self.clip.as_ref().map_or_else(|| Ok(Vec::new()), |clip| clip.prompts(prompts))
    }

    /// The perceptual metrics.
    pub(super) fn perceptual(&self) -> impl Iterator<Item = Metric> {
        self.lpips.iter().map(|(metric, _)| *metric)
    }

    /// The perceptual distance of each of several videos from one ground truth, whose frames pass through the network once.
    ///
    /// # Errors
    ///
    /// Frames too small for the network, or a device that fails.
    pub(super) fn distances(&self, metric: Metric, videos: &[&[Frame]], truth: &[Frame]) -> Result<Vec<f64>> {
        let Some((_, lpips)) = self.lpips.iter().find(|(m, _)| *m == metric) else { return Ok(Vec::new()) };
        Ok(lpips.clips(videos, truth)?.iter().map(|of_video| mean(of_video)).collect())
    }

    /// The value of each of `wanted` for one video, higher being better; none of what is not there to be compared.
    ///
    /// # Errors
    ///
    /// Frames too small for a metric, or a device that fails.
    pub(super) fn values(&self, wanted: &[Measure], compared: Compared<'_>) -> Result<Vec<(Measure, f64)>> {
        let mut values = Vec::new();
        for &measure in wanted {
            let value = match measure {
                Measure::Frames(Metric::Pixel(metric)) => compared
                    .frames
                    .map(|(video, truth)| Ok::<_, Error>(mean(&metric.frames(video, truth)?)))
                    .transpose()?,
                Measure::Frames(metric) => {
                    let distance = compared.perceptual.iter().find(|(m, _)| *m == metric);
                    distance.map(|(_, distance)| -distance)
                }
                Measure::Clip => compared.rows.map(|(video, truth)| clip::score(video, truth)),
                Measure::ClipFrames => compared.rows.map(|(video, truth)| clip::frame_score(video, truth)),
                Measure::Alignment => compared.prompt.map(|(video, prompt)| clip::alignment(video, prompt)),
                Measure::Cosine | Measure::Frechet => None,
            };
            values.extend(value.map(|value| (measure, value)));
        }
        Ok(values)
    }
}

fn of_pixels(metric: Metric) -> MetricRecord {
    let about = match metric.name() {
        "psnr" => "Peak signal-to-noise ratio over red, green and blue, dB",
        "psnr-y" => "Peak signal-to-noise ratio of the luma, dB",
        "ssim" => "Structural similarity, mean over red, green and blue",
        _ => "Structural similarity of the luma",
    };
    record(metric.name().to_owned(), format!("{}/1 {FRAMES_VERSION}", metric.name()), about)
}

fn of_lpips(metric: Metric, digest: &str, dtype: DType) -> MetricRecord {
    let name = metric.name();
    let about = "The negative of LPIPS v0.1, so that more is better";
    record(format!("-{name}"), format!("{name}/1 {digest} {} {FRAMES_VERSION}", dtype.as_str()), about)
}

fn of_clip(measure: Measure, model: &str, clip: &Clip) -> MetricRecord {
    let (name, about) = match measure {
        Measure::Clip => {
            ("CLIP score", "Cosine of the normalised means of CLIP's normalised frame embeddings")
        }
        Measure::ClipFrames => ("CLIP frame score", "Mean cosine of CLIP's frame embeddings in pairs"),
        _ => (
            "CLIP text alignment",
            "Cosine of CLIP's embeddings of the prompt and of the video; no ground truth",
        ),
    };
    let of = ImageEncoder::identity(&clip.images);
    let by = format!(
        "{}/1 {} {} {} {FRAMES_VERSION}",
        measure.name(),
        of.weights_sha256,
        of.preprocessing,
        of.dtype
    );
    let mut record = record(format!("{name}, {model}"), by, about);
    if measure == Measure::Alignment {
        record.about = format!("{about}; {FRAMES} frames of {SIDE}×{SIDE} at equal times over its duration.");
    }
    record
}

fn record(name: String, by: String, about: &str) -> MetricRecord {
    let about =
        format!("{about}; {FRAMES} frames of {SIDE}×{SIDE} at equal times over the shorter duration.");
    MetricRecord { name, by, about }
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}
