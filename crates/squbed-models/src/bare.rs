//! Networks without a manifest, for checkpoints and inputs that a user brings.

use std::{fmt, path::Path, str::FromStr};

use candle_core::{DType, Device, Tensor};

use crate::{
    arch::{
        VideoNetwork,
        bert::{Bert, BertConfig, masked_mean},
        s3d_milnce::WordTower,
    },
    error::Error,
    manifest::Architecture,
    weights::Weights,
};

/// Clips that pass through a network at once on a device other than the CPU; the first layers of one take about
/// 200 MB. On the CPU one clip keeps all cores busy.
const CLIPS: usize = 4;

/// Which output of a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Head {
    /// What the architecture's embeddings are: of `bert` the mean over the mask, not normalised, of `i3d` and
    /// `s3d-kinetics` the pooled features, of `s3d-milnce` the 512 numbers that videos and texts share.
    Embedding,
    /// The features before any projection.
    Features,
    /// Class scores.
    Logits,
    /// The last map, pooled as the network does it before its own head.
    Pooled,
    /// The last map of an Inception network, averaged over all its positions.
    Mixed5c,
}

impl FromStr for Architecture {
    type Err = Error;

    fn from_str(given: &str) -> Result<Self, Error> {
        Self::ALL.into_iter().find(|architecture| architecture.name() == given).ok_or_else(|| {
            Error::Architecture { given: given.to_owned(), known: Self::ALL.map(Self::name).join(", ") }
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
            "mixed_5c" => Self::Mixed5c,
            _ => {
                let known = "embedding, features, logits, pooled, mixed_5c";
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
            Self::Mixed5c => "mixed_5c",
        })
    }
}

/// A network with its weights.
pub enum Network {
    /// Takes token ids `[b, l]`.
    Bert(Bert),
    /// Takes clips `[b, 3, t, h, w]`.
    Video {
        /// Which one it is.
        architecture: Architecture,
        /// The network of clips.
        clips: Box<dyn VideoNetwork>,
        /// Its tower of texts, which takes word ids `[b, l]`, where the checkpoint has one.
        words: Option<WordTower>,
    },
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
        Architecture::I3d | Architecture::S3dMilnce | Architecture::S3dKinetics => {
            Network::video(architecture, &Weights::open(weights)?, device, dtype)
        }
    }
}

impl Network {
    /// A network of clips, with its tower of texts where the architecture and the checkpoint have one.
    pub(crate) fn video(
        architecture: Architecture,
        weights: &Weights,
        device: &Device,
        dtype: DType,
    ) -> Result<Self, Error> {
        let words = architecture == Architecture::S3dMilnce && WordTower::is_in(weights);
        Ok(Self::Video {
            architecture,
            clips: architecture.video_network(weights, device, dtype)?,
            words: words.then(|| WordTower::load(weights, device, dtype)).transpose()?,
        })
    }

    /// Which architecture it has.
    pub fn architecture(&self) -> Architecture {
        match self {
            Self::Bert(_) => Architecture::Bert,
            Self::Video { architecture, .. } => *architecture,
        }
    }

    /// An output `[b, d]` in f32 of an input that is already preprocessed: token ids `[b, l]` with an optional
    /// mask `[b, l]` of ones and zeros, or clips `[b, 3, t, h, w]`.
    pub fn forward_tensor(&self, x: &Tensor, mask: Option<&Tensor>, head: Head) -> Result<Tensor, Error> {
        let only_embedding = || {
            let (architecture, given) = (self.architecture().name(), head.to_string());
            if head == Head::Embedding {
                Ok(())
            } else {
                Err(Error::Head { architecture, given, known: "embedding" })
            }
        };
        match self {
            Self::Bert(bert) => {
                only_embedding()?;
                match mask {
                    Some(mask) if mask.dims() != x.dims() => {
                        let expected = "a mask of the shape of its token ids";
                        Err(Error::Input { architecture: "bert", expected, actual: mask.dims().to_vec() })
                    }
                    _ => masked_mean(&bert.forward(x, mask)?, mask),
                }
            }
            Self::Video { words: Some(words), .. } if x.rank() == 2 => {
                only_embedding()?;
                words.forward(x)
            }
            Self::Video { architecture, clips, .. } => {
                by_clips(&**clips, &channels_last(*architecture, x)?, head)
            }
        }
    }
}

/// An output of clips `[b, t, h, w, 3]`, few at a time, so that a large batch takes no more memory.
pub(crate) fn by_clips(network: &dyn VideoNetwork, clips: &Tensor, head: Head) -> Result<Tensor, Error> {
    let rows = clips.dims().first().copied().unwrap_or(0);
    let step = if network.device().is_cpu() { 1 } else { CLIPS };
    if rows <= step {
        return network.output(clips, head);
    }
    let parts = (0..rows)
        .step_by(step)
        .map(|start| network.output(&clips.narrow(0, start, step.min(rows - start))?, head));
    Ok(Tensor::cat(&parts.collect::<Result<Vec<_>, Error>>()?, 0)?)
}

/// `[b, 3, t, h, w]` to `[b, t, h, w, 3]`.
fn channels_last(architecture: Architecture, x: &Tensor) -> Result<Tensor, Error> {
    match x.dims() {
        &[_, 3, _, _, _] if x.elem_count() > 0 => Ok(x.permute((0, 2, 3, 4, 1))?.contiguous()?),
        dims => {
            let expected = "clips [b, 3, t, h, w]";
            Err(Error::Input { architecture: architecture.name(), expected, actual: dims.to_vec() })
        }
    }
}
