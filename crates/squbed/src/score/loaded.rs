//! The metrics that were asked for, with their networks.

use candle_core::{DType, Device, Tensor};
use squbed_core::Frame;
use squbed_metrics::{Lpips, Metric};
use squbed_models::{ClipImages, ClipText, ModelStore};
use squbed_tensor::{ImageEncoder, TextEncoder};

use super::{FRAMES, Measure, MetricRecord, NotRun, SIDE};
use crate::{
    accuracy::cosine,
    embed::to_rows,
    error::{Error, Result},
};

/// Version of how frames are chosen and resized; raised when that changes.
const FRAMES_VERSION: &str = "a1/1";

/// The measures that compare frames, with what they need.
pub struct Loaded {
    measures: Vec<(Measure, MetricRecord)>,
    lpips: Vec<(Metric, Lpips)>,
    clip: Option<Clip>,
    not_run: Vec<NotRun>,
}

struct Clip {
    images: ClipImages,
    /// Where the alignment is asked for.
    texts: Option<ClipText>,
}

/// What is compared, of one video.
pub(super) struct Compared<'a> {
    /// Frames at equal times within the shorter duration, with those of the ground truth.
    pub(super) pair: Option<(&'a [Frame], &'a Truth)>,
    /// Frames over the video's own duration, with the prompt's embedding.
    pub(super) own: Option<(&'a [Frame], &'a [f32])>,
}

/// A ground truth over one span of seconds, which many videos are compared with.
pub(super) struct Truth {
    pub(super) span: f64,
    frames: Vec<Frame>,
    /// CLIP's embeddings of the frames, where a measure asks for them.
    rows: Vec<Vec<f32>>,
}

impl Loaded {
    /// Loads what the measures need. What has no weights on this machine is [`not_run`](Self::not_run) with the command
    /// that fetches them. [`Measure::Cosine`] and [`Measure::Frechet`] are no measures of frames and are passed over.
    ///
    /// # Errors
    ///
    /// Weights that are there and damaged, or not what their manifest promises; an unknown CLIP model.
    pub fn load(
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
                    .with_clip(models, clip_model, wants_text, device, dtype)
                    .map(|clip| of_clip(measure, clip_model, clip)),
            };
            match record {
                Ok(record) => loaded.measures.push((measure, record)),
                Err(error) if error.is_missing_model() => {
                    let why = squbed_core::causes(&error).join(": ");
                    loaded.not_run.push(NotRun { metric: measure.name().to_owned(), why });
                }
                Err(error) => return Err(error),
            }
        }
        Ok(loaded)
    }

    fn with_clip(
        &mut self,
        models: &ModelStore,
        name: &str,
        wants_text: bool,
        device: &Device,
        dtype: DType,
    ) -> Result<&Clip> {
        let clip = match self.clip.take() {
            Some(clip) => clip,
            None => Clip {
                images: models.clip_images(name, device, dtype)?,
                texts: wants_text.then(|| models.clip_text(name, device, dtype)).transpose()?,
            },
        };
        Ok(self.clip.insert(clip))
    }

    /// The measures that can be computed, each with its record.
    pub fn measures(&self) -> &[(Measure, MetricRecord)] {
        &self.measures
    }

    /// Those that cannot.
    pub fn not_run(&self) -> &[NotRun] {
        &self.not_run
    }

    /// Embeddings of prompts for the alignment; empty where it is not asked for.
    pub(super) fn prompts(&self, prompts: &[&str]) -> Result<Vec<Vec<f32>>> {
        match self.clip.as_ref().and_then(|clip| clip.texts.as_ref()) {
            Some(texts) => to_rows(&texts.embed(prompts)?),
            None => Ok(Vec::new()),
        }
    }

    /// A ground truth's frames with what the wanted measures need of them, computed once for all its videos.
    pub(super) fn truth(&self, span: f64, frames: Vec<Frame>, wanted: &[Measure]) -> Result<Truth> {
        let rows = if of_clip_frames(wanted) { self.rows(&frames)? } else { Vec::new() };
        Ok(Truth { span, frames, rows })
    }

    fn rows(&self, frames: &[Frame]) -> Result<Vec<Vec<f32>>> {
        self.clip.as_ref().map_or_else(|| Ok(Vec::new()), |clip| clip.rows(frames))
    }

    /// The value of each of `wanted` for one video, higher being better.
    ///
    /// # Errors
    ///
    /// Frames too small for a metric, or a device that fails.
    pub(super) fn values(&self, wanted: &[Measure], compared: &Compared<'_>) -> Result<Vec<(Measure, f64)>> {
        let clip_pair = match compared.pair {
            Some((video, truth)) if of_clip_frames(wanted) => Some((self.rows(video)?, &truth.rows)),
            _ => None,
        };
        let mut values = Vec::new();
        for &measure in wanted {
            let value = match measure {
                Measure::Frames(metric) => {
                    let Some((video, truth)) = compared.pair else { continue };
                    match metric {
                        Metric::Pixel(metric) => mean(&metric.frames(video, &truth.frames)?),
                        Metric::Lpips(_) => {
                            let Some((_, lpips)) = self.lpips.iter().find(|(m, _)| *m == metric) else {
                                continue;
                            };
                            -mean(&lpips.frames(video, &truth.frames)?)
                        }
                    }
                }
                Measure::Clip => {
                    let Some((video, truth)) = &clip_pair else { continue };
                    cosine(&mean_row(video), &mean_row(truth))
                }
                Measure::ClipFrames => {
                    let Some((video, truth)) = &clip_pair else { continue };
                    mean(&video.iter().zip(truth.iter()).map(|(a, b)| cosine(a, b)).collect::<Vec<_>>())
                }
                Measure::Alignment => {
                    let Some((frames, prompt)) = compared.own else { continue };
                    cosine(&mean_row(&self.rows(frames)?), prompt)
                }
                Measure::Cosine | Measure::Frechet => continue,
            };
            values.push((measure, value));
        }
        Ok(values)
    }
}

impl Clip {
    /// Embeddings of frames, each of length 1.
    fn rows(&self, frames: &[Frame]) -> Result<Vec<Vec<f32>>> {
        let prepared: Vec<Tensor> =
            frames.iter().map(|frame| self.images.preprocess(frame)).collect::<Result<_, _>>()?;
        let batch = Tensor::stack(&prepared, 0).map_err(squbed_tensor::Error::from)?;
        to_rows(&self.images.embed(&batch)?)
    }
}

/// Whether CLIP compares frames with those of the ground truth.
fn of_clip_frames(wanted: &[Measure]) -> bool {
    wanted.iter().any(|measure| matches!(measure, Measure::Clip | Measure::ClipFrames))
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

/// The mean of rows of length 1, whose direction alone matters.
fn mean_row(rows: &[Vec<f32>]) -> Vec<f32> {
    let mut mean = vec![0.0; rows.first().map_or(0, Vec::len)];
    for row in rows {
        mean.iter_mut().zip(row).for_each(|(sum, x)| *sum += x);
    }
    mean
}
