//! What can go wrong with models.

use std::{io, path::PathBuf, sync::Arc};

use squbed_core::{EncoderIdentity, causes};
use squbed_tensor::EncodeError;

use crate::{
    bundle::BundleError,
    checkpoint::ConvertError,
    fetch::{SourceError, SourceFailure},
    manifest::{Manifest, ManifestError, Modality},
    text::WordListError,
    weights::Mismatch,
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
    /// The manifest of a model that is asked for was refused when the manifests were read.
    #[error(transparent)]
    Refused(Arc<Error>),
    /// A folder that should hold manifests cannot be read.
    #[error("cannot read the manifests in {folder}, a folder that SQUBED_MODELS names", folder = folder.display())]
    Manifests {
        /// The folder.
        folder: PathBuf,
        /// What the system says.
        source: io::Error,
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
        takes: Modality,
        /// What it was to take.
        wanted: Modality,
    },
    /// Frames one by one are asked of a model of whole clips.
    #[error(
        "model `{name}` gives one embedding for all frames of a clip; frames one by one have an embedding by a model of \
         images, such as clip-vit-base-patch32"
    )]
    WholeClips {
        /// The model.
        name: String,
    },
    /// Frames one by one are asked of a model that takes more of them from a longer video.
    #[error(
        "model `{name}` takes its frames by `{sampling}`, more of a longer video; frames one by one need a number of \
         them that is the same for all: write `uniform:K` in its manifest"
    )]
    FramesByLength {
        /// The model.
        name: String,
        /// Its sampling.
        sampling: String,
    },
    /// A language model failed.
    #[error(transparent)]
    LanguageModel(#[from] crate::llm::LlmError),
    /// A file of a model is not on this machine.
    #[error("model `{model}` is not complete: {file} is missing; {}", fetch_remedy(&[model]), file = file.display())]
    Missing {
        /// The model.
        model: String,
        /// The file.
        file: PathBuf,
    },
    /// A file of a model is not what its manifest promises.
    #[error(
        "{file} has sha256 {actual}, not {expected}: it is damaged; {}",
        fetch_remedy(&[model]),
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
        "no source gave model `{model}`:{failures}\nput {missing} into a folder and {remedy} --from FOLDER`",
        failures = list(failures),
        missing = if missing.is_empty() { "its files".to_owned() } else { missing.join(", ") },
        remedy = fetch_remedy(&[model]).trim_end_matches('`')
    )]
    Fetch {
        /// The model.
        model: String,
        /// Each source and why it failed, in the order tried.
        failures: Vec<SourceFailure>,
        /// The files that have yet to come, by their paths in the sources.
        missing: Vec<String>,
    },
    /// The folder or archive that was named did not give the model.
    #[error(
        "{place} did not give model `{model}`: {failure}\nput that right, or leave --from away to fetch from: {sources}",
        place = place.display(),
        failure = causes(failure).join(": "),
    )]
    FetchFrom {
        /// The model.
        model: String,
        /// The folder or archive.
        place: PathBuf,
        /// Why it did not.
        failure: SourceError,
        /// The sources of the manifest, in words.
        sources: String,
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
    /// A weights file that is cut short.
    #[error(
        "{file} is not whole: it has {actual} bytes, and its header promises {least}{promised}; copy or fetch it again",
        file = file.display(),
        least = if *whole { "" } else { "at least " }
    )]
    SafetensorsLength {
        /// The file.
        file: PathBuf,
        /// Bytes promised.
        promised: u64,
        /// Bytes found.
        actual: u64,
        /// Whether the header is.
        whole: bool,
    },
    /// Weights in another form that cannot be read.
    #[error("the weights {file} cannot be read", file = file.display())]
    Convert {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        source: ConvertError,
    },
    /// A file that holds other tensors than a network needs.
    #[error("{file} does not hold the tensors of this architecture:{mismatch}", file = file.display())]
    Tensors {
        /// The file.
        file: PathBuf,
        /// How they differ.
        mismatch: Box<Mismatch>,
    },
    /// Models cannot be bundled.
    #[error("the bundle {folder} cannot be made", folder = folder.display())]
    Bundle {
        /// The folder.
        folder: PathBuf,
        /// Why.
        source: BundleError,
    },
    /// A weights file that is no safetensors.
    #[error("{file} is no safetensors file", file = file.display())]
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
    /// A word list that cannot be read, or does not belong to the weights.
    #[error("the word list {file} is refused", file = file.display())]
    WordList {
        /// Its file.
        file: PathBuf,
        /// What is wrong with it.
        source: WordListError,
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
        known: String,
    },
    /// An architecture needs a configuration file.
    #[error("architecture {architecture} needs the checkpoint's config.json; name it with --config")]
    NoConfig {
        /// The architecture.
        architecture: &'static str,
    },
    /// An architecture has no configuration file.
    #[error("architecture {architecture} has no config.json; leave --config away")]
    NeedlessConfig {
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
        known: String,
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
    /// An input of another kind of numbers.
    #[error("{what} are {expected}, not {actual}")]
    InputKind {
        /// The input.
        what: &'static str,
        /// The kind that it has to be.
        expected: &'static str,
        /// The kind given.
        actual: &'static str,
    },
    /// NaN or infinity in an input.
    #[error("the {what} hold {value:?} at {position:?}; every number must be finite in f32")]
    NotFinite {
        /// The input.
        what: &'static str,
        /// Index on each axis, from 0.
        position: Vec<usize>,
        /// What stands there.
        value: f64,
    },
    /// A clip of a size that a network cannot take.
    #[error(
        "{architecture} takes clips of {needs}, not {t} frames of {h}×{w}",
        t = size[0], h = size[1], w = size[2]
    )]
    Clip {
        /// The architecture.
        architecture: &'static str,
        /// What it takes.
        needs: &'static str,
        /// Frames, rows and columns given.
        size: [usize; 3],
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
    #[error("token id {id} in row {row}, column {column}, is not in the vocabulary of {vocabulary}")]
    TokenId {
        /// The token.
        id: i64,
        /// Row of the batch, from 0.
        row: usize,
        /// Place in the row, from 0.
        column: usize,
        /// Size of the vocabulary.
        vocabulary: usize,
    },
    /// A mask of another shape than its token ids.
    #[error("the mask has shape {actual:?}; it must be that of the token ids, {expected:?}")]
    MaskShape {
        /// Shape of the token ids.
        expected: Vec<usize>,
        /// Shape given.
        actual: Vec<usize>,
    },
    /// A number that says neither token nor padding.
    #[error("the mask holds {value} in row {row}, column {column}; write 1 for a token and 0 for padding")]
    MaskValue {
        /// Row of the batch, from 0.
        row: usize,
        /// Place in the row, from 0.
        column: usize,
        /// What stands there.
        value: f64,
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
    /// An operation on tensors failed.
    #[error("a tensor operation failed")]
    Tensor(#[from] squbed_tensor::Error),
}

impl From<candle_core::Error> for Error {
    fn from(error: candle_core::Error) -> Self {
        Self::Tensor(error.into())
    }
}

/// What brings models to this machine, or mends them there.
pub fn fetch_remedy(models: &[impl AsRef<str>]) -> String {
    let names: Vec<&str> = models.iter().map(AsRef::as_ref).collect();
    format!("run `squbed models fetch {}`", names.join(" "))
}

impl Error {
    /// An [`Error::Modality`] of this model.
    pub(crate) fn modality(manifest: &Manifest, wanted: Modality) -> Self {
        Self::Modality { name: manifest.name.clone(), takes: manifest.input.modality(), wanted }
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
    failures.iter().map(|f| format!("\n  {}: {}", f.source, causes(&f.error).join(": "))).collect()
}
