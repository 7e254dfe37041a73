//! The networks, free of files, tokenizers and preprocessing.

pub mod backbone;
pub mod bert;
pub mod clip;
pub mod i3d;
pub mod inception;
mod layers;
mod pooling;
pub mod s3d_kinetics;
pub mod s3d_milnce;
mod transformer;

pub(crate) use layers::unit_rows;
pub use pooling::Pooling;
pub use squbed_tensor::Activation;

use candle_core::{DType, Device, Tensor};

use crate::{
    bare::Head,
    error::Error,
    manifest::{Architecture, Modality},
    weights::Weights,
};

impl Architecture {
    /// Those that give embeddings.
    pub const EMBEDDERS: [Self; 8] = [
        Self::Bert,
        Self::Mpnet,
        Self::XlmRoberta,
        Self::Clip,
        Self::OpenClip,
        Self::I3d,
        Self::S3dMilnce,
        Self::S3dKinetics,
    ];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bert => "bert",
            Self::Mpnet => "mpnet",
            Self::XlmRoberta => "xlm-roberta",
            Self::Clip => "clip",
            Self::OpenClip => "open-clip",
            Self::I3d => "i3d",
            Self::S3dMilnce => "s3d-milnce",
            Self::S3dKinetics => "s3d-kinetics",
            Self::Alexnet => "alexnet",
            Self::Vgg16 => "vgg16",
            Self::Llama => "llama",
            Self::Qwen2 => "qwen2",
            Self::Qwen3 => "qwen3",
        }
    }

    /// What it takes; `s3d-milnce` takes text as well, see [`takes`](Self::takes).
    pub fn modality(self) -> Modality {
        match self {
            Self::Bert | Self::Mpnet | Self::XlmRoberta => Modality::Text,
            Self::Clip | Self::OpenClip => Modality::ImageText,
            Self::I3d | Self::S3dMilnce | Self::S3dKinetics => Modality::Video,
            Self::Alexnet | Self::Vgg16 => Modality::ImagePair,
            Self::Llama | Self::Qwen2 | Self::Qwen3 => Modality::Chat,
        }
    }

    /// Whether it takes such an input.
    pub fn takes(self, modality: Modality) -> bool {
        match (self.modality(), modality) {
            (own, other) if own == other => true,
            (Modality::ImageText, Modality::Text | Modality::Image | Modality::Video) => true,
            (_, Modality::Text) => self == Self::S3dMilnce,
            _ => false,
        }
    }

    /// The outputs it has.
    pub fn heads(self) -> &'static [Head] {
        use Head::{Embedding, Features, Logits, Mixed5c, Pooled};
        match self {
            Self::Bert | Self::Mpnet | Self::XlmRoberta | Self::Clip | Self::OpenClip => {
                &[Embedding, Features]
            }
            Self::I3d | Self::S3dKinetics => &[Embedding, Features, Logits, Pooled, Mixed5c],
            Self::S3dMilnce => &[Embedding, Features, Pooled, Mixed5c],
            // They are the metric's inside, or give text, and no embedding.
            Self::Alexnet | Self::Vgg16 | Self::Llama | Self::Qwen2 | Self::Qwen3 => &[],
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

    /// Its network of video clips.
    ///
    /// # Errors
    ///
    /// Weights of another architecture, and an architecture that takes no clips.
    pub fn video_network(
        self,
        weights: &Weights,
        device: &Device,
        dtype: DType,
    ) -> Result<Box<dyn VideoNetwork>, Error> {
        Ok(match self {
            Self::I3d => Box::new(i3d::I3d::load(weights, device, dtype)?),
            Self::S3dMilnce => Box::new(s3d_milnce::S3dMilNce::load(weights, device, dtype)?),
            Self::S3dKinetics => Box::new(s3d_kinetics::S3dKinetics::load(weights, device, dtype)?),
            _ => {
                let name = self.name().to_owned();
                return Err(Error::Modality { name, takes: self.modality(), wanted: Modality::Video });
            }
        })
    }
}

/// A network of video clips.
pub trait VideoNetwork: Send + Sync {
    /// Where its weights are.
    fn device(&self) -> &Device;

    /// Refuses a clip of so many frames, rows and columns that the network cannot take. By default it takes any.
    ///
    /// # Errors
    ///
    /// [`Error::Clip`], with what the network needs.
    fn check(&self, size: [usize; 3]) -> Result<(), Error> {
        let _ = size;
        Ok(())
    }

    /// An output `[b, d]` in f32 of preprocessed clips `[b, t, h, w, 3]`.
    ///
    /// # Errors
    ///
    /// Another shape, a clip that [`check`](Self::check) refuses, or an output that the network does not have.
    fn output(&self, clips: &Tensor, head: Head) -> Result<Tensor, Error>;
}
