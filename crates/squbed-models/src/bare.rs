//! Networks without a manifest, for checkpoints and inputs that a user brings.

use std::{fmt, path::Path, str::FromStr};

use candle_core::{DType, Device, Tensor};

use crate::{
    arch::{
        Pooling,
        bert::{Bert, BertConfig, Family},
        clip::{Clip, ClipConfig, Layout},
        i3d::I3d,
        unit_rows,
    },
    error::Error,
    manifest::Architecture,
    weights::Weights,
};

/// Clips that pass through I3D at once; the first layers of one take about 100 MB.
const CLIPS: usize = 4;

/// Which output of a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Head {
    /// What the architecture's embeddings are: of `bert`, `mpnet` and `xlm-roberta` the mean over the mask, not
    /// normalised, of `clip` and `open-clip` projected and normalised, of `i3d` the pooled features.
    Embedding,
    /// The features before any projection.
    Features,
    /// Class scores.
    Logits,
    /// The last map, pooled.
    Pooled,
}

impl FromStr for Architecture {
    type Err = Error;

    fn from_str(given: &str) -> Result<Self, Error> {
        [Self::Bert, Self::Mpnet, Self::XlmRoberta, Self::Clip, Self::OpenClip, Self::I3d]
            .into_iter()
            .find(|architecture| architecture.name() == given)
            .ok_or_else(|| Error::Architecture {
                given: given.to_owned(),
                known: "bert, mpnet, xlm-roberta, clip, open-clip, i3d",
            })
    }
}

impl fmt::Display for Architecture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Head {
    type Err = Error;

    fn from_str(given: &str) -> Result<Self, Error> {
        Ok(match given {
            "embedding" => Self::Embedding,
            "features" => Self::Features,
            "logits" => Self::Logits,
            "pooled" => Self::Pooled,
            _ => {
                let known = "embedding, features, logits, pooled";
                return Err(Error::Head { architecture: "the program", given: given.to_owned(), known });
            }
        })
    }
}

impl fmt::Display for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Embedding => "embedding",
            Self::Features => "features",
            Self::Logits => "logits",
            Self::Pooled => "pooled",
        })
    }
}

/// A network with its weights.
pub enum Network {
    /// Takes token ids `[b, l]`; MPNet and XLM-RoBERTa as well.
    Bert(Bert),
    /// Takes token ids `[b, l]`, images `[b, 3, h, w]` or clips `[b, 3, t, h, w]`, in either layout.
    Clip(Box<Clip>),
    /// Takes clips `[b, 3, t, h, w]`.
    I3d(I3d),
}

/// Builds a network from a safetensors file, and from the `config.json` of its checkpoint where the
/// architecture has sizes of its own.
pub fn load_arch(
    architecture: Architecture,
    weights: &Path,
    config: Option<&Path>,
    device: &Device,
    dtype: DType,
) -> Result<Network, Error> {
    let config = || {
        let file = config.ok_or(Error::NoConfig { architecture: architecture.name() })?;
        Ok::<_, Error>((file, std::fs::read(file).map_err(Error::io("read", file))?))
    };
    let bert = |family| {
        let (file, bytes) = config()?;
        let config = BertConfig::parse(family, file, &bytes)?;
        Ok(Network::Bert(Bert::load(family, &Weights::open(weights)?, &config, device, dtype)?))
    };
    let clip = |layout| {
        let (file, bytes) = config()?;
        let config = ClipConfig::parse(layout, file, &bytes)?;
        Ok(Network::Clip(Box::new(Clip::load(&Weights::open(weights)?, &config, device, dtype)?)))
    };
    match architecture {
        Architecture::Bert => bert(Family::Bert),
        Architecture::Mpnet => bert(Family::Mpnet),
        Architecture::XlmRoberta => bert(Family::XlmRoberta),
        Architecture::Clip => clip(Layout::HuggingFace),
        Architecture::OpenClip => clip(Layout::OpenClip),
        Architecture::I3d => Ok(Network::I3d(I3d::load(&Weights::open(weights)?, device, dtype)?)),
    }
}

impl Network {
    /// Which architecture it has.
    pub fn architecture(&self) -> Architecture {
        match self {
            Self::Bert(bert) => match bert.family() {
                Family::Bert => Architecture::Bert,
                Family::Mpnet => Architecture::Mpnet,
                Family::XlmRoberta => Architecture::XlmRoberta,
            },
            Self::Clip(clip) => match clip.layout() {
                Layout::HuggingFace => Architecture::Clip,
                Layout::OpenClip => Architecture::OpenClip,
            },
            Self::I3d(_) => Architecture::I3d,
        }
    }

    /// An output `[b, d]` in f32 of an input that is already preprocessed: token ids `[b, l]` with an optional
    /// mask `[b, l]` of ones and zeros, or clips `[b, 3, t, h, w]`.
    pub fn forward_tensor(&self, x: &Tensor, mask: Option<&Tensor>, head: Head) -> Result<Tensor, Error> {
        match self {
            Self::Bert(_) if head != Head::Embedding => Err(self.no_head(head, "embedding")),
            Self::Bert(bert) => Pooling::Mean.pool(&bert.forward(x, mask)?, mask),
            Self::Clip(clip) => match head {
                Head::Embedding => unit_rows(&self.clip_features(clip, x, mask)?),
                Head::Features => self.clip_features(clip, x, mask),
                _ => Err(self.no_head(head, "embedding, features")),
            },
            Self::I3d(i3d) => {
                let clips = channels_last(x)?;
                let rows = clips.dim(0)?;
                let parts = (0..rows).step_by(CLIPS).map(|start| {
                    let output = i3d.forward(&clips.narrow(0, start, CLIPS.min(rows - start))?)?;
                    Ok(if head == Head::Logits { output.logits } else { output.pooled })
                });
                Ok(Tensor::cat(&parts.collect::<Result<Vec<_>, Error>>()?, 0)?)
            }
        }
    }
}

impl Network {
    fn no_head(&self, head: Head, known: &'static str) -> Error {
        Error::Head { architecture: self.architecture().name(), given: head.to_string(), known }
    }

    /// Projected features `[b, d]` of token ids or images; of clips the mean of their frames' embeddings.
    fn clip_features(&self, clip: &Clip, x: &Tensor, mask: Option<&Tensor>) -> Result<Tensor, Error> {
        match x.dims() {
            [_, _] => clip.text.forward(x, mask),
            [_, 3, _, _] => clip.vision.forward(&x.permute((0, 2, 3, 1))?.contiguous()?),
            &[b, 3, t, h, w] if b * t > 0 => {
                let frames = x.permute((0, 2, 3, 4, 1))?.reshape((b * t, h, w, 3))?;
                let frames = unit_rows(&clip.vision.forward(&frames)?)?;
                Ok(frames.reshape((b, t, ()))?.mean(1)?)
            }
            dims => Err(Error::Input {
                architecture: self.architecture().name(),
                expected: "token ids [b, l], images [b, 3, h, w] or clips [b, 3, t, h, w]",
                actual: dims.to_vec(),
            }),
        }
    }
}

/// `[b, 3, t, h, w]` to `[b, t, h, w, 3]`.
fn channels_last(x: &Tensor) -> Result<Tensor, Error> {
    match x.dims() {
        &[_, 3, _, _, _] if x.elem_count() > 0 => Ok(x.permute((0, 2, 3, 4, 1))?.contiguous()?),
        dims => {
            let expected = "clips [b, 3, t, h, w]";
            Err(Error::Input { architecture: "i3d", expected, actual: dims.to_vec() })
        }
    }
}
