//! The two black boxes of the method.

use std::{error::Error, path::Path};

/// An error of a refiner or a generator, whatever it runs.
pub type BoxError = Box<dyn Error + Send + Sync + 'static>;

/// What a refiner is asked.
#[derive(Clone, Debug)]
pub struct RefineRequest<'a> {
    /// The prompt ℓ.
    pub prompt: &'a str,
    /// How many latent prompts are wanted.
    pub n: usize,
    /// Same request, same seed: same answer.
    pub seed: u64,
}

/// A source of latent prompts z ~ p(Z | ℓ): compatible with ℓ, and more specific (seed, §4.1).
pub trait PromptRefiner: Send + Sync {
    /// What it is, for the record, e.g. `closed-world grammar/1`.
    fn describe(&self) -> String;

    /// `request.n` latent prompts.
    fn refine(&self, request: &RefineRequest<'_>) -> Result<Vec<String>, BoxError>;
}

/// What a video model is asked.
#[derive(Clone, Debug)]
pub struct GenerateRequest<'a> {
    /// The latent prompt z. Nothing else about the task reaches the model.
    pub prompt: &'a str,
    /// Seed of this sample; no two samples of a latent prompt share one.
    pub seed: u64,
    /// Where the video goes; the file appears whole or not at all.
    pub out: &'a Path,
}

/// A video model v ~ p(V | z).
pub trait VideoGenerator: Send + Sync {
    /// What it is, for the record, e.g. `closed-world realm/1`.
    fn describe(&self) -> String;

    /// Writes one video.
    fn generate(&self, request: &GenerateRequest<'_>) -> Result<(), BoxError>;
}
