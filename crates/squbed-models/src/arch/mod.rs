//! The networks, free of files, tokenizers and preprocessing.

pub mod bert;
pub mod i3d;
pub mod tower;

use crate::{
    bare::Head,
    error::Error,
    manifest::{Architecture, Modality},
};

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

    /// What it takes.
    pub fn modality(self) -> Modality {
        match self {
            Self::Bert => Modality::Text,
            Self::I3d => Modality::Video,
            Self::Alexnet | Self::Vgg16 => Modality::ImagePair,
        }
    }

    /// The outputs it has.
    pub fn heads(self) -> &'static [Head] {
        match self {
            Self::Bert => &[Head::Embedding, Head::Features],
            Self::I3d => &[Head::Embedding, Head::Features, Head::Logits, Head::Pooled],
            // They are the metric's inside and give no embedding.
            Self::Alexnet | Self::Vgg16 => &[],
        }
    }

    /// The output of a name.
    ///
    /// # Errors
    ///
    /// A name that it does not have; the message tells those it has.
    pub fn head(self, name: &str) -> Result<Head, Error> {
        let found = self.heads().iter().find(|head| head.to_string() == name);
        found.copied().ok_or_else(|| Error::Head {
            architecture: self.name(),
            given: name.to_owned(),
            known: self.heads().iter().map(Head::to_string).collect::<Vec<_>>().join(", "),
        })
    }

    /// That a head is one of [`heads`](Self::heads).
    pub(crate) fn check_head(self, head: Head) -> Result<(), Error> {
        self.head(&head.to_string()).map(|_| ())
    }
}
