//! What an embedding was made with.

use serde::{Deserialize, Serialize};

/// Everything that decides an embedding's value besides its input; two embeddings may be compared, and
/// a cached one reused, only where these are equal.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct EncoderIdentity {
    /// The model's name, e.g. `i3d-kinetics-400`.
    pub name: String,
    /// SHA-256 of the weights file, lower-case hex.
    pub weights_sha256: String,
    /// Name and version of the preprocessing, e.g. `i3d/1`; raised when its output changes.
    pub preprocessing: String,
    /// How frames are chosen, [`Sampling::identity`](crate::Sampling::identity); empty for text.
    pub sampling: String,
    /// Which output, e.g. `embedding`.
    pub head: String,
    /// Arithmetic, `f32`, `f16` or `bf16`.
    pub dtype: String,
    /// Numbers in one embedding.
    pub dim: usize,
}
