//! The two black boxes of the method.

use std::{error::Error, path::Path};

use serde::{Deserialize, Serialize};

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

/// What a refiner gave, and what it threw away on the way.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Refinement {
    /// The latent prompts.
    pub prompts: Vec<String>,
    /// Answers drawn in all.
    pub drawn: usize,
    /// Answers that are no latent prompts, or too near to others.
    #[serde(default)]
    pub rejected: Vec<Rejection>,
    /// What judged whether a latent prompt entails ℓ, in words, where something did.
    #[serde(default)]
    pub judge: Option<String>,
}

/// An answer that was not taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rejection {
    /// The answer.
    pub text: String,
    /// What is wrong with it.
    pub reason: String,
}

/// A source of latent prompts z ~ p(Z | ℓ): compatible with ℓ, and more specific (seed, §4.1).
pub trait PromptRefiner: Send + Sync {
    /// What it is, for the record, e.g. `closed-world grammar/1`.
    fn describe(&self) -> String;

    /// `request.n` latent prompts.
    fn refine(&self, request: &RefineRequest<'_>) -> Result<Vec<String>, BoxError>;

    /// [`refine`](Self::refine) with an account of what was rejected, for refiners that reject.
    fn refine_with_account(&self, request: &RefineRequest<'_>) -> Result<Refinement, BoxError> {
        let prompts = self.refine(request)?;
        Ok(Refinement { drawn: prompts.len(), prompts, ..Refinement::default() })
    }
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
