//! One video that is unlike the others of its latent prompt.

use serde::Serialize;
use squbed_core::float;

use super::Image;

/// A video under the fit of the others of its latent prompt.
#[derive(Clone, Debug, Default, Serialize)]
pub struct VideoAnomaly {
    /// The task's id.
    pub task: String,
    /// Its latent prompt.
    pub prompt: String,
    /// The video's path, as the results' folder names it.
    pub video: String,
    /// Videos of the latent prompt, this one included.
    pub videos: usize,
    /// How much more surprising it is than a video of the others' distribution is on average, nats.
    #[serde(with = "float")]
    pub surprise: f64,
    /// Its log-density under that distribution, nats.
    #[serde(with = "float")]
    pub log_density: f64,
    /// Its first frame.
    pub frame: Option<Image>,
}
