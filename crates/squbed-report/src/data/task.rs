//! One task: its numbers and its pictures.

use serde::{Serialize, Serializer};
use squbed_core::{Flag, float};

/// One task.
#[derive(Clone, Debug, Default, Serialize)]
pub struct TaskReport {
    /// Unique id.
    pub id: String,
    /// The prompt ℓ.
    pub prompt: String,
    /// Its category.
    pub category: Option<String>,
    /// What is known to be true of it; `None` outside the closed world.
    pub truth: Option<Truth>,
    /// One a method or baseline, in any order.
    pub estimates: Vec<Estimate>,
    /// One an accuracy of [`ReportData::accuracies`](crate::ReportData::accuracies), NaN where it has none.
    #[serde(serialize_with = "floats")]
    pub accuracies: Vec<f64>,
    /// Remarks on the fit of its latent prompts.
    pub flags: Vec<Flag>,
    /// Why the model is confidently wrong on it, e.g. “always paints `crimson` as blue”; `None` where it
    /// is not.
    pub confidently_wrong: Option<String>,
    /// First frame of the ground truth.
    pub ground_truth: Option<Image>,
    /// The latent prompts.
    pub latents: Vec<LatentReport>,
}

/// True entropies of a task, nats.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Truth {
    /// Of what the prompt leaves open.
    #[serde(with = "float")]
    pub aleatoric: f64,
    /// Of what the model does not know.
    #[serde(with = "float")]
    pub epistemic: f64,
}

/// What one method says of a task. What it does not estimate is NaN.
#[derive(Clone, Debug, Serialize)]
pub struct Estimate {
    /// The [`Method::key`](crate::Method::key).
    pub method: String,
    /// Nats for the method; a baseline's own scale for a baseline.
    #[serde(with = "float")]
    pub aleatoric: f64,
    /// As `aleatoric`.
    #[serde(with = "float")]
    pub epistemic: f64,
    /// Their sum.
    #[serde(with = "float")]
    pub total_sum: f64,
    /// The sum of their ranks over the tasks.
    #[serde(with = "float")]
    pub total_rank_sum: f64,
    /// The sum of their z-scores over the tasks.
    #[serde(with = "float")]
    pub total_z_sum: f64,
    /// Intervals of the aleatoric and epistemic estimates and of their sum, over repetitions of the task; none where
    /// none were made.
    pub intervals: Option<[Range; 3]>,
}

/// The ends of an interval, NaN where it does not exist.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Range {
    /// Lower end.
    #[serde(with = "float")]
    pub low: f64,
    /// Upper end.
    #[serde(with = "float")]
    pub high: f64,
}

/// A latent prompt with its videos.
#[derive(Clone, Debug, Default, Serialize)]
pub struct LatentReport {
    /// The prompt z.
    pub prompt: String,
    /// h(V | Z = z) in nats, one a method of [`ReportData::methods`](crate::ReportData::methods).
    #[serde(serialize_with = "floats")]
    pub entropies: Vec<f64>,
    /// Remarks on the fit of its videos.
    pub flags: Vec<Flag>,
    /// First frames of some of its videos.
    pub frames: Vec<Image>,
}

/// A PNG, JPEG or WebP file that becomes part of the report. Thumbnails of about 112 pixels keep it small.
#[derive(Clone, Debug)]
pub struct Image {
    /// The file's bytes.
    pub bytes: Vec<u8>,
    /// What it shows, for those who do not see it.
    pub alt: String,
}

impl Serialize for Image {
    /// Only the description: pictures are no data for other programs.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.alt)
    }
}

/// Floats as [`squbed_core::float`] writes them.
pub(super) fn floats<S: Serializer>(values: &[f64], serializer: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    #[serde(transparent)]
    struct Number(#[serde(with = "float")] f64);
    serializer.collect_seq(values.iter().copied().map(Number))
}
