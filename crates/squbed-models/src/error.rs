//! What can go wrong with models.

use std::{io, path::PathBuf};

use squbed_core::EncoderIdentity;
use squbed_tensor::EncodeError;

use crate::{
    fetch::{SourceFailure, one_line},
    manifest::{Manifest, ManifestError},
};

/// An error of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A manifest is refused.
    #[error("the manifest {file} is refused", file = file.display())]
    Manifest {
        /// The manifest.
        file: PathBuf,
        /// What is wrong with it.
        source: ManifestError,
    },
    /// A manifest names another model than its folder.
    #[error("{file} describes `{name}`; its folder must have that name", file = file.display())]
    ManifestName {
        /// The manifest.
        file: PathBuf,
        /// The name in it.
        name: String,
    },
    /// No manifest has this name.
    #[error("there is no model `{name}`; known are {known}")]
    UnknownModel {
        /// The name given.
        name: String,
        /// The names known.
        known: String,
    },
    /// A model is there for another purpose.
    #[error("model `{name}` takes {takes}, not {wanted}")]
    Modality {
        /// The model.
        name: String,
        /// What it takes.
        takes: &'static str,
        /// What it was to take.
        wanted: &'static str,
    },
    /// A file of a model is not on this machine.
    #[error("model `{model}` is not complete: {file} is missing; run `squbed models fetch {model}`", file = file.display())]
    Missing {
        /// The model.
        model: String,
        /// The file.
        file: PathBuf,
    },
    /// A file of a model is not what its manifest promises.
    #[error(
        "{file} has sha256 {actual}, not {expected}; it is damaged: run `squbed models fetch {model}`",
        file = file.display()
    )]
    Digest {
        /// The model.
        model: String,
        /// The file.
        file: PathBuf,
        /// Digest promised.
        expected: String,
        /// Digest found.
        actual: String,
    },
    /// A manifest lacks a file that its architecture needs.
    #[error("the manifest of `{model}` names no `{file}`, which {architecture} needs")]
    Incomplete {
        /// The model.
        model: String,
        /// The file.
        file: String,
        /// The architecture.
        architecture: &'static str,
    },
    /// No source gave the model.
    #[error(
        "no source gave model `{model}`:{failures}\nput its files into a folder and run `squbed models fetch {model} --from FOLDER`",
        failures = list(failures)
    )]
    Fetch {
        /// The model.
        model: String,
        /// Each source and why it failed, in the order tried.
        failures: Vec<SourceFailure>,
    },
    /// Nowhere to keep models.
    #[error("there is no place for models: set SQUBED_HOME to a folder")]
    NoHome,
    /// A file or folder could not be read or written.
    #[error("cannot {operation} {path}", path = path.display())]
    Io {
        /// What was tried.
        operation: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A weights file that is truncated, or no safetensors at all.
    #[error("{file} is not a whole safetensors file", file = file.display())]
    Safetensors {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        source: safetensors::SafeTensorError,
    },
    /// A tensor that the architecture needs is not in the file.
    #[error("{file} has no tensor `{tensor}` of shape {expected:?}", file = file.display())]
    MissingTensor {
        /// The file.
        file: PathBuf,
        /// The tensor.
        tensor: String,
        /// The shape that is needed.
        expected: Vec<usize>,
    },
    /// A tensor of another shape.
    #[error("{file}: tensor `{tensor}` has shape {actual:?}, not {expected:?}", file = file.display())]
    TensorShape {
        /// The file.
        file: PathBuf,
        /// The tensor.
        tensor: String,
        /// The shape that is needed.
        expected: Vec<usize>,
        /// The shape found.
        actual: Vec<usize>,
    },
    /// A tensor of a kind that is no floating-point number.
    #[error("{file}: tensor `{tensor}` holds {dtype}, not floating-point numbers", file = file.display())]
    TensorDtype {
        /// The file.
        file: PathBuf,
        /// The tensor.
        tensor: String,
        /// What it holds.
        dtype: String,
    },
    /// A tensor with NaN or infinity.
    #[error("{file}: tensor `{tensor}` holds numbers that are not finite", file = file.display())]
    TensorNotFinite {
        /// The file.
        file: PathBuf,
        /// The tensor.
        tensor: String,
    },
    /// A JSON file of a model that cannot be read.
    #[error("{file} cannot be read", file = file.display())]
    Json {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// A setting that this crate does not implement.
    #[error("{file}: `{field}` is {value}; {expected}", file = file.display())]
    Config {
        /// The file.
        file: PathBuf,
        /// The setting.
        field: &'static str,
        /// Its value.
        value: String,
        /// What it may be.
        expected: &'static str,
    },
    /// A tokenizer that cannot be read, or a text that it cannot cut.
    #[error("the tokenizer {file} failed", file = file.display())]
    Tokenizer {
        /// Its file.
        file: PathBuf,
        /// What it says.
        source: tokenizers::Error,
    },
    /// A tokenizer whose vocabulary is not the network's.
    #[error(
        "the tokenizer {file} has {tokens} tokens, the network {rows}; they are of different models",
        file = file.display()
    )]
    Vocabulary {
        /// The tokenizer's file.
        file: PathBuf,
        /// Tokens that it knows.
        tokens: usize,
        /// Rows of the network's table of tokens.
        rows: usize,
    },
    /// An architecture that is not built here.
    #[error("there is no architecture `{given}`; there are {known}")]
    Architecture {
        /// The name given.
        given: String,
        /// The names known.
        known: &'static str,
    },
    /// An architecture needs a configuration file.
    #[error("architecture {architecture} needs the checkpoint's config.json; name it with --config")]
    NoConfig {
        /// The architecture.
        architecture: &'static str,
    },
    /// An output that an architecture does not have.
    #[error("{architecture} has no output `{given}`; it has {known}")]
    Head {
        /// The architecture.
        architecture: &'static str,
        /// The output asked for.
        given: String,
        /// The outputs it has.
        known: &'static str,
    },
    /// An input of the wrong shape.
    #[error("{architecture} takes {expected}, not {actual:?}")]
    Input {
        /// The architecture.
        architecture: &'static str,
        /// The shape that it takes.
        expected: &'static str,
        /// The shape given.
        actual: Vec<usize>,
    },
    /// Images of another size.
    #[error("{architecture} takes images [b, {side}, {side}, 3] of these weights, not {actual:?}")]
    ImageSize {
        /// The architecture.
        architecture: &'static str,
        /// Pixels along a side.
        side: usize,
        /// The shape given.
        actual: Vec<usize>,
    },
    /// A text whose tokens lack the end, at which CLIP reads its features.
    #[error("{architecture}: the token ids in row {row} lack the end of the text, id {end}")]
    NoEnd {
        /// The architecture.
        architecture: &'static str,
        /// Row of the batch, from 0.
        row: usize,
        /// The end's id.
        end: u32,
    },
    /// A token that the vocabulary does not have.
    #[error("token id {id} in row {row} is not in the vocabulary of {vocabulary}")]
    TokenId {
        /// The token.
        id: i64,
        /// Row of the batch, from 0.
        row: usize,
        /// Size of the vocabulary.
        vocabulary: usize,
    },
    /// A row of a mask that keeps nothing.
    #[error("row {row} of the mask keeps no token")]
    EmptyMask {
        /// Row of the batch, from 0.
        row: usize,
    },
    /// An image that cannot be prepared.
    #[error("the image cannot be prepared")]
    Image {
        /// What is wrong with it.
        source: squbed_frame::Error,
    },
    /// A frame that cannot be prepared.
    #[error("frame {frame} of a clip cannot be prepared")]
    Frame {
        /// The frame, from 0.
        frame: usize,
        /// What is wrong with it.
        source: squbed_frame::Error,
    },
    /// A tensor operation failed.
    #[error("a tensor operation failed")]
    Candle(#[from] candle_core::Error),
    /// An operation of `squbed-tensor` failed.
    #[error("a tensor operation failed")]
    Tensor(#[from] squbed_tensor::Error),
}

impl Error {
    /// An [`Error::Modality`] of this model.
    pub(crate) fn modality(manifest: &Manifest, wanted: &'static str) -> Self {
        Self::Modality { name: manifest.name.clone(), takes: manifest.input.takes(), wanted }
    }

    /// An [`Error::Io`] of this operation on this path.
    pub(crate) fn io(operation: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { operation, path, source }
    }
}

/// The error as an encoder of this identity gives it.
pub(crate) fn encode_error(identity: &EncoderIdentity, error: Error) -> EncodeError {
    EncodeError { encoder: identity.name.clone(), source: Box::new(error) }
}

fn list(failures: &[SourceFailure]) -> String {
    failures.iter().map(|f| format!("\n  {}: {}", f.source, one_line(&f.error))).collect()
}
