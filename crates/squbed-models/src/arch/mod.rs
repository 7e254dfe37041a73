//! The networks, free of files, tokenizers and preprocessing.

pub mod bert;
pub mod i3d;
pub mod tower;

use crate::manifest::Architecture;

impl Architecture {
    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bert => "bert",
            Self::I3d => "i3d",
            Self::Alexnet => "alexnet",
            Self::Vgg16 => "vgg16",
        }
    }
}
