//! The networks, free of files, tokenizers and preprocessing.

pub mod bert;
pub mod clip;
pub mod i3d;
mod layers;
mod pooling;
mod transformer;

pub use layers::Activation;
pub(crate) use layers::{Linear, unit_rows};
pub use pooling::Pooling;

use crate::manifest::Architecture;

impl Architecture {
    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bert => "bert",
            Self::Mpnet => "mpnet",
            Self::XlmRoberta => "xlm-roberta",
            Self::Clip => "clip",
            Self::OpenClip => "open-clip",
            Self::I3d => "i3d",
        }
    }
}
