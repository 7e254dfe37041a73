//! Results of the method.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::float;

/// A remark on a fitted group that a reader of its numbers needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Flag {
    /// All samples are the same, or there is one only: κ = ∞, h = −∞.
    PointMass,
    /// The mean vanishes, or is no more than the rounding of the embeddings: κ = 0 or next to it, h = log|S|, no mean
    /// direction.
    Uniform,
    /// The U correction would have been negative and was set to κ = 0.
    Clipped,
    /// The spread is below what f32 embeddings resolve.
    Saturated,
    /// Rayleigh's test does not tell the group from a uniform one at the 5 % level.
    NearUniform,
    /// The group falls in two clusters of two samples at least each, which one von Mises–Fisher distribution does not
    /// describe: no normal distribution of any covariance parts so well along its first principal component, at the 0.1 %
    /// level. Never of fewer than four samples, nor in fewer than 64 dimensions.
    Bimodal,
}

/// One von Mises–Fisher fit and its entropy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GroupFit {
    /// Samples.
    pub m: usize,
    /// Dimension n of the space that the unit sphere lies in.
    pub dim: usize,
    /// Length r̄ of the mean of the unit vectors.
    #[serde(with = "float")]
    pub rbar: f64,
    /// 1 − r̄, without cancellation.
    #[serde(with = "float")]
    pub one_minus_rbar: f64,
    /// Concentration κ.
    #[serde(with = "float")]
    pub kappa: f64,
    /// Differential entropy h in nats (seed, Eq. 8 and 10).
    #[serde(with = "float")]
    pub entropy: f64,
    /// h − log|S|, at most 0: the entropy relative to the uniform distribution, in nats.
    #[serde(with = "float")]
    pub relative_entropy: f64,
    /// p of Rayleigh's test of uniformity; NaN where it was not made.
    #[serde(with = "float", default = "undefined")]
    pub rayleigh_p: f64,
    /// p of the test for two clusters; none where it was not made: of fewer than four samples, or in fewer than 64 dimensions.
    #[serde(default)]
    pub two_clusters_p: Option<f64>,
    /// Remarks.
    pub flags: Vec<Flag>,
}

/// The default of a number that older files lack.
fn undefined() -> f64 {
    f64::NAN
}

/// An interval of one uncertainty over repetitions of the task with other latent prompts and videos.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// Lower end, nats; NaN where there is none.
    #[serde(with = "float")]
    pub low: f64,
    /// Upper end.
    #[serde(with = "float")]
    pub high: f64,
    /// Standard error.
    #[serde(with = "float")]
    pub standard_error: f64,
}

/// The intervals of a task's uncertainties.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Intervals {
    /// Nominal coverage.
    pub level: f64,
    /// How they were made, and why one is undefined.
    pub method: String,
    /// Of h(Z | ℓ).
    pub aleatoric: Interval,
    /// Of h(V | Z).
    pub epistemic: Interval,
    /// Of their sum.
    pub total: Interval,
    /// Of h(V | ℓ).
    pub pooled: Interval,
    /// Of I(V; Z | ℓ).
    pub mutual_information: Interval,
    /// The part of the standard error of h(V | Z) that is due to the number of videos a latent prompt: what is left
    /// of it with these latent prompts held fixed.
    #[serde(with = "float")]
    pub epistemic_error_of_videos: f64,
}

/// The uncertainty of one task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskUncertainty {
    /// The task.
    pub id: String,
    /// h(Z | ℓ), nats (Eq. 8, Algorithm 1).
    #[serde(with = "float")]
    pub aleatoric: f64,
    /// h(V | Z), nats: mean over the latent prompts (Eq. 9, Algorithm 2).
    #[serde(with = "float")]
    pub epistemic: f64,
    /// Their sum (Eq. 3).
    #[serde(with = "float")]
    pub total: f64,
    /// Median of h(V | Z = z) over the latent prompts.
    #[serde(with = "float")]
    pub epistemic_median: f64,
    /// Largest h(V | Z = z).
    #[serde(with = "float")]
    pub epistemic_max: f64,
    /// Position of the latent prompt with the largest.
    pub worst_latent: usize,
    /// The fit of the latent prompts.
    pub prompts: GroupFit,
    /// The fit of the videos of each latent prompt.
    pub videos: Vec<GroupFit>,
    /// Latent prompts whose videos form a point mass; they are left out of the mean, and counted here.
    pub latents_left_out: usize,
    /// The fit of the mixture of the task's videos over latent prompts: its entropy is h(V | ℓ), the total `mi`.
    ///
    /// Under the estimator U it is no fit of these videos all together: r̄ is what as many videos would have if each two
    /// were as far apart as two of *different* latent prompts are on average. That is unbiased for the mixture over all
    /// latent prompts that there could be, of which these are a sample. Rayleigh's test does not hold of it, and
    /// `rayleigh_p` is NaN. Under other estimators it is the fit of all the videos at once.
    ///
    /// Absent in older files, as are the next two.
    #[serde(default)]
    pub pooled: Option<GroupFit>,
    /// I(V; Z | ℓ) = h(V | ℓ) − h(V | Z), nats: what a prompt leaves open as far as the videos show it. A
    /// difference of two estimates: below 0 it means no information beyond the noise of sampling.
    #[serde(with = "float", default = "undefined")]
    pub mutual_information: f64,
    /// Intervals of all of these.
    #[serde(default)]
    pub interval: Option<Intervals>,
    /// Digest of the content of the task's generated videos, as [`AccuracyScore::videos_digest`] has it. Absent in older
    /// files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub videos_digest: Option<String>,
    /// Samples that stand more than once where a spread is measured.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub repeats: Vec<Repeat>,
    /// Latent prompts whose ends their encoder does not see.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cut: Vec<CutPrompt>,
}

/// A latent prompt that is longer than its encoder takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CutPrompt {
    /// Its position in the task, from 0.
    pub latent: usize,
    /// Characters behind the encoder's limit, which count for nothing.
    pub characters: usize,
}

/// A sample that stands more than once among those whose spread is measured, which is smaller for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "what")]
pub enum Repeat {
    /// Latent prompts of one text.
    Prompt {
        /// Their positions in the task, from 0.
        latents: Vec<usize>,
        /// Their text.
        text: String,
    },
    /// Videos of one latent prompt whose files have the same content.
    Video {
        /// Position of the latent prompt, from 0.
        latent: usize,
        /// Their names; their paths where two have one name.
        videos: Vec<String>,
    },
    /// Videos of several latent prompts whose files have the same content.
    Shared {
        /// The latent prompts' positions in the task, from 0.
        latents: Vec<usize>,
        /// The videos' names; their paths where two have one name.
        videos: Vec<String>,
    },
    /// Generated videos whose content is that of the task's ground truth.
    GroundTruth {
        /// Their names; their paths where two have one name.
        videos: Vec<String>,
    },
}

impl fmt::Display for Repeat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Prompt { latents, text } => {
                let latents: Vec<String> = latents.iter().map(usize::to_string).collect();
                write!(f, "latent prompts {}: “{text}”", latents.join(" and "))
            }
            Self::Video { latent, videos } => {
                write!(f, "latent prompt {latent}: {}", videos.join(" and "))
            }
            Self::Shared { latents, videos } => {
                let latents: Vec<String> = latents.iter().map(usize::to_string).collect();
                write!(f, "latent prompts {}: {}", latents.join(" and "), videos.join(" and "))
            }
            Self::GroundTruth { videos } => write!(f, "{}", videos.join(" and ")),
        }
    }
}

/// How well a task's videos match its ground truth.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AccuracyScore {
    /// The task.
    pub id: String,
    /// What computed it, e.g. `i3d_cosine`.
    pub metric: String,
    /// Mean over the task's videos.
    #[serde(with = "float")]
    pub value: f64,
    /// Videos that took part.
    pub videos: usize,
    /// Digest of the content of all of the task's generated videos, in any order: an accuracy speaks of an estimate
    /// where both have the same. Absent in older files and those of other programs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub videos_digest: Option<String>,
}
