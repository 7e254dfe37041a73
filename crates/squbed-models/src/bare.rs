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
    prepared::Prepared,
    weights::Weights,
};

/// Clips that pass through I3D at once; the first layers of one take about 100 MB.
const CLIPS: usize = 4;

/// Architectures that give embeddings.
const EMBEDDERS: &str = "bert, i3d";

/// Which output of a network; [`Architecture::heads`] tells which it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Head {
    /// What the architecture's embeddings are: of `bert` what the model's module files say, and of bare weights the
    /// mean over the mask, not normalised; of `i3d` the pooled features.
    Embedding,
    /// The embedding before it is normalised; the same where nothing normalises it.
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

/// Builds a network from a file of weights in any form that [`Weights::open`] reads, and from the `config.json` of its
/// checkpoint where the architecture has sizes of its own.
pub fn load_arch(
    architecture: Architecture,
    weights: &Path,
    config: Option<&Path>,
    device: &Device,
    dtype: DType,
) -> Result<Network, Error> {
    if architecture == Architecture::I3d && config.is_some() {
        return Err(Error::NeedlessConfig { architecture: architecture.name() });
    }
    let weights = Weights::open(weights)?;
    weights.all_of(|| match architecture {
        Architecture::Bert => {
            let file = config.ok_or(Error::NoConfig { architecture: architecture.name() })?;
            let bytes = std::fs::read(file).map_err(Error::io("read", file))?;
            let config = BertConfig::parse(file, &bytes)?;
            Ok(Network::Bert(Bert::load(&weights, &config, device, dtype)?))
        }
        Architecture::I3d => Ok(Network::I3d(I3d::load(&weights, device, dtype)?)),
        Architecture::Alexnet | Architecture::Vgg16 => {
            Err(Error::Architecture { given: architecture.name().to_owned(), known: EMBEDDERS })
        }
    })
}

impl Network {
    /// Which architecture it has.
    pub fn architecture(&self) -> Architecture {
        match self {
            Self::Bert(_) => Architecture::Bert,
            Self::I3d(_) => Architecture::I3d,
        }
    }

    /// An output `[b, d]` in f32 of an input that is already preprocessed.
    ///
    /// # Errors
    ///
    /// An output that the architecture does not have, an input of the other modality, token ids beyond the
    /// vocabulary or the longest sequence.
    pub fn forward_tensor(&self, input: &Prepared, head: Head) -> Result<Tensor, Error> {
        let architecture = self.architecture();
        architecture.check_head(head)?;
        match (self, input) {
            (Self::Bert(bert), Prepared::Tokens(tokens)) => {
                masked_mean(&bert.forward(tokens.ids(), tokens.mask())?, tokens.mask())
            }
            (Self::I3d(i3d), Prepared::Clips(clips)) => {
                let clips = clips.tensor().permute((0, 2, 3, 4, 1))?.contiguous()?;
                let rows = clips.dim(0)?;
                let parts = (0..rows).step_by(CLIPS).map(|start| {
                    let output = i3d.forward(&clips.narrow(0, start, CLIPS.min(rows - start))?)?;
                    Ok(if head == Head::Logits { output.logits } else { output.pooled })
                });
                Ok(Tensor::cat(&parts.collect::<Result<Vec<_>, Error>>()?, 0)?)
            }
            (_, input) => Err(Error::Modality {
                name: architecture.name().to_owned(),
                takes: architecture.modality(),
                wanted: input.modality(),
            }),
        }
    }
}
