//! Models: what they are, where they come from, and the encoders built on them.
//!
//! A [`Manifest`] (`models/<name>/model.toml`) names a model's architecture, files, sources, licence, input
//! and embedding. A [`ModelStore`] fetches and verifies the files and opens them as a
//! [`TextEncoder`](squbed_tensor::TextEncoder), an [`ImageEncoder`](squbed_tensor::ImageEncoder) or a
//! [`VideoEncoder`](squbed_tensor::VideoEncoder). The networks alone are in [`arch`]; [`load_arch`] gives one for a
//! checkpoint without a manifest.
//!
//! Nothing here decodes video, and nothing that is fetched is run: archives are opened and pickles are read
//! by [restricted readers](pickle).

pub mod arch;
mod bare;
mod convert;
mod digest;
mod error;
mod fetch;
mod image_text;
pub mod manifest;
pub mod pickle;
mod store;
mod text;
mod video;
mod weights;

pub use bare::{Head, Network, load_arch};
pub use convert::{ConvertError, convert};
pub use digest::{Digest, DigestError, sha256, sha256_file};
pub use error::Error;
pub use fetch::{FetchOptions, Fetched, Progress, SourceError, SourceFailure};
pub use image_text::{ClipImages, ClipText, FrameMean};
pub use manifest::{Architecture, Manifest, ManifestError};
pub use store::{FileReport, FileState, ModelStore, Status, default_home};
pub use text::SentenceEncoder;
pub use video::ClipEncoder;
pub use weights::Weights;
