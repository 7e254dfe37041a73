//! Networks without a manifest, for checkpoints and inputs that a user brings.

use std::{fmt, path::Path, str::FromStr};

use candle_core::{DType, Device, Tensor};

use crate::{
    arch::{
        bert::{Bert, BertConfig, masked_mean},
        i3d::I3d,
    },
    error::Error,
    manifest::Architecture,
    weights::Weights,
};

/// Clips that pass through I3D at once; the first layers of one take about 100 MB.
const CLIPS: usize = 4;

/// Architectures that give embeddings.
const EMBEDDERS: &str = "bert, i3d";

/// Which output of a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Head {
    /// What the architecture's embeddings are: of `bert` the mean over the mask, not normalised, of `i3d` the
    /// pooled features.
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
        [Self::Bert, Self::I3d]
            .into_iter()
            .find(|architecture| architecture.name() == given)
            .ok_or_else(|| Error::Architecture { given: given.to_owned(), known: EMBEDDERS })
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
    /// Takes token ids `[b, l]`.
    Bert(Bert),
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
    match architecture {
        Architecture::Bert => {
            let file = config.ok_or(Error::NoConfig { architecture: architecture.name() })?;
            let bytes = std::fs::read(file).map_err(Error::io("read", file))?;
            let config = BertConfig::parse(file, &bytes)?;
            Ok(Network::Bert(Bert::load(&Weights::open(weights)?, &config, device, dtype)?))
        }
        Architecture::I3d => Ok(Network::I3d(I3d::load(&Weights::open(weights)?, device, dtype)?)),
        Architecture::Alexnet | Architecture::Vgg16 => {
            Err(Error::Architecture { given: architecture.name().to_owned(), known: EMBEDDERS })
        }
    }
}

impl Network {
    /// Which architecture it has.
    pub fn architecture(&self) -> Architecture {
        match self {
            Self::Bert(_) => Architecture::Bert,
            Self::I3d(_) => Architecture::I3d,
        }
    }

    /// An output `[b, d]` in f32 of an input that is already preprocessed: token ids `[b, l]` with an optional
    /// mask `[b, l]` of ones and zeros, or clips `[b, 3, t, h, w]`.
    pub fn forward_tensor(&self, x: &Tensor, mask: Option<&Tensor>, head: Head) -> Result<Tensor, Error> {
        match self {
            Self::Bert(bert) => {
                let known = "embedding";
                if head != Head::Embedding {
                    return Err(Error::Head { architecture: "bert", given: head.to_string(), known });
                }
                match mask {
                    Some(mask) if mask.dims() != x.dims() => {
                        let expected = "a mask of the shape of its token ids";
                        Err(Error::Input { architecture: "bert", expected, actual: mask.dims().to_vec() })
                    }
                    _ => masked_mean(&bert.forward(x, mask)?, mask),
                }
            }
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
