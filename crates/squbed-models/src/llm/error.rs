//! What can go wrong with a language model.

use std::path::PathBuf;

/// An error of a language model.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LlmError {
    /// A file that is no GGUF, or a damaged one.
    #[error("{file} cannot be read as a GGUF file", file = file.display())]
    Gguf {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        source: candle_core::Error,
    },
    /// The file cannot be opened.
    #[error("cannot read {file}", file = file.display())]
    Io {
        /// The file.
        file: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// A model of another family, or one with something that is not built here.
    #[error("{file}: `{key}` is {value}; {expected}", file = file.display())]
    Unsupported {
        /// The file.
        file: PathBuf,
        /// The key of the metadata.
        key: String,
        /// What it holds.
        value: String,
        /// What it may be.
        expected: &'static str,
    },
    /// A key that every model of its kind has.
    #[error("{file} has no `{key}` in its metadata, or one of the wrong kind", file = file.display())]
    Metadata {
        /// The file.
        file: PathBuf,
        /// The key.
        key: String,
    },
    /// A tensor of another shape than the metadata say.
    #[error("{file}: tensor `{tensor}` has shape {actual:?}, not {expected:?}", file = file.display())]
    TensorShape {
        /// The file.
        file: PathBuf,
        /// The tensor.
        tensor: String,
        /// The shape found.
        actual: Vec<usize>,
        /// The shape that the metadata say.
        expected: Vec<usize>,
    },
    /// A tokenizer that cannot be built, or a text that it cannot cut.
    #[error("the tokenizer of {file} failed", file = file.display())]
    Tokenizer {
        /// The file.
        file: PathBuf,
        /// What it says.
        source: tokenizers::Error,
    },
    /// The model's chat template fails.
    #[error("the chat template of {file} failed", file = file.display())]
    Template {
        /// The file.
        file: PathBuf,
        /// What it says.
        source: minijinja::Error,
    },
    /// A conversation without words.
    #[error("the prompt has no tokens")]
    Empty,
    /// A conversation that does not fit.
    #[error(
        "the prompt has {prompt} tokens and the answer may have {answer}; the model reads {context}: shorten one of them"
    )]
    TooLong {
        /// Tokens of the prompt.
        prompt: usize,
        /// Tokens of the answer at most.
        answer: usize,
        /// Tokens that the model reads.
        context: usize,
    },
    /// A setting of the sampler out of its range.
    #[error("{name} is {value}; {expected}")]
    Sampling {
        /// The setting.
        name: &'static str,
        /// What was given.
        value: f64,
        /// What it may be.
        expected: &'static str,
    },
    /// The network gave numbers that are no logits.
    #[error("the model's logits are not finite; the file may be damaged")]
    NotFinite,
    /// The tensor library failed.
    #[error(transparent)]
    Candle(#[from] candle_core::Error),
}
