//! Models: what they are, where they come from, and the encoders built on them.
//!
//! A [`Manifest`] (`models/<name>/model.toml`) names a model's architecture, files, sources, licence, input
//! and embedding. A [`ModelStore`] fetches and verifies the files and opens them as a
//! [`TextEncoder`](squbed_tensor::TextEncoder), an [`ImageEncoder`](squbed_tensor::ImageEncoder) or a
//! [`VideoEncoder`](squbed_tensor::VideoEncoder). The networks alone are in [`arch`]; [`load_arch`] gives one for a
//! checkpoint without a manifest. Language models are in [`llm`].
//!
//! Nothing here decodes video, and nothing that is fetched is run: archives are opened and pickles are read
//! by [restricted readers](pickle).

pub mod arch;
mod bare;
mod bundle;
mod checkpoint;
mod digest;
mod error;
mod fetch;
mod image_text;
pub mod llm;
pub mod manifest;
mod npy;
pub mod pickle;
mod prepared;
mod random;
mod store;
mod text;
mod video;
mod weights;

pub use bare::{Head, Network, load_arch};
pub use bundle::{BundleError, Bundled, BundledFile, bundled_models};
pub use checkpoint::{ConvertError, Converted, TensorInfo, read_checkpoint, tensors_of};
pub use digest::{Digest, DigestError, sha256, sha256_file};
pub use error::{Error, fetch_remedy};
pub use fetch::{FetchOptions, Fetched, Progress, SourceError, SourceFailure, hub_cache};
pub use image_text::{ClipImages, ClipText, EachFrame, FrameMean};
pub use manifest::{Architecture, Manifest, ManifestError, Modality};
pub use npy::NpyError;
pub use prepared::{Clips, Images, Prepared, Tokens};
pub use random::{InputSize, random_network};
pub use store::{Broken, FileReport, FileState, ModelStore, Status, default_home};
pub use text::{SentenceEncoder, WordEncoder, WordListError};
pub use video::ClipEncoder;
pub use weights::{Mismatch, Weights};
