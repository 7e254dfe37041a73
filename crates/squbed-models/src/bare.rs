//! Networks by themselves, for checkpoints and inputs that a user brings.

use std::{
    fmt,
    path::{Path, PathBuf},
    str::FromStr,
};

use candle_core::{DType, Device, Tensor};

use crate::{
    arch::{
        Pooling, VideoNetwork,
        bert::{Bert, BertConfig, Family},
        clip::{Clip, ClipConfig, Layout},
        s3d_milnce::WordTower,
        unit_rows,
    },
    error::Error,
    manifest::{Architecture, Modality},
    prepared::Prepared,
    text::SentenceEncoder,
    weights::Weights,
};

/// Clips that pass through a network at once on a device other than the CPU, enough to fill a large one; the first layers
/// of one take about 200 MB in f32, half of it in half precision. On the CPU one clip keeps all cores busy.
const CLIPS: usize = 32;

/// Which output of a network; [`Architecture::heads`] tells which it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Head {
    /// What the architecture's embeddings are: of `bert`, `mpnet` and `xlm-roberta` what the model's module files say,
    /// and of bare weights the mean over the mask, not normalised; of `clip` and `open-clip` projected and normalised;
    /// of `i3d` and `s3d-kinetics` the pooled features, of `s3d-milnce` the 512 numbers that videos and texts share.
    Embedding,
    /// The embedding before it is normalised; the same where nothing normalises it.
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
        Self::EMBEDDERS
            .into_iter()
            .find(|architecture| architecture.name() == given)
            .ok_or_else(|| no_embedder(given))
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
            Self::Mixed5c => "mixed_5c",
        })
    }
}

/// A network with its weights.
pub enum Network {
    /// Takes token ids `[b, l]`; MPNet and XLM-RoBERTa as well.
    Bert(Bert),
    /// The same with what a model's module files put behind it.
    Sentence(Box<SentenceEncoder>),
    /// Takes token ids `[b, l]`, images `[b, 3, h, w]` or clips `[b, 3, t, h, w]`, in either layout.
    Clip(Box<Clip>),
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

/// Builds a network from a file of weights in any form that [`Weights::open`] reads, and from the `config.json` of its
/// checkpoint where the architecture has sizes of its own.
pub fn load_arch(
    architecture: Architecture,
    weights: &Path,
    config: Option<&Path>,
    device: &Device,
    dtype: DType,
) -> Result<Network, Error> {
    if architecture.modality() == Modality::Video && config.is_some() {
        return Err(Error::NeedlessConfig { architecture: architecture.name() });
    }
    let weights = Weights::open(weights)?;
    build(architecture, &weights, config.map(read_config).transpose()?, device, dtype)
}

/// A configuration file and its content.
pub(crate) fn read_config(file: &Path) -> Result<(PathBuf, Vec<u8>), Error> {
    Ok((file.to_owned(), squbed_files::read(file).map_err(Error::io("read", file))?))
}

/// Builds a network from weights and the content of its configuration file, which messages name.
pub(crate) fn build(
    architecture: Architecture,
    weights: &Weights,
    config: Option<(PathBuf, Vec<u8>)>,
    device: &Device,
    dtype: DType,
) -> Result<Network, Error> {
    let config = || config.as_ref().ok_or(Error::NoConfig { architecture: architecture.name() });
    let bert = |family| {
        let (file, bytes) = config()?;
        let config = BertConfig::parse(family, file, bytes)?;
        Ok(Network::Bert(Bert::load(family, weights, &config, device, dtype)?))
    };
    let clip = |layout| {
        let (file, bytes) = config()?;
        let config = ClipConfig::parse(layout, file, bytes)?;
        Ok(Network::Clip(Box::new(Clip::load(weights, &config, device, dtype)?)))
    };
    weights.all_of(|| match architecture {
        Architecture::Bert => bert(Family::Bert),
        Architecture::Mpnet => bert(Family::Mpnet),
        Architecture::XlmRoberta => bert(Family::XlmRoberta),
        Architecture::Clip => clip(Layout::HuggingFace),
        Architecture::OpenClip => clip(Layout::OpenClip),
        Architecture::I3d | Architecture::S3dMilnce | Architecture::S3dKinetics => {
            Network::video(architecture, weights, device, dtype)
        }
        Architecture::Alexnet
        | Architecture::Vgg16
        | Architecture::Llama
        | Architecture::Qwen2
        | Architecture::Qwen3 => Err(no_embedder(architecture.name())),
    })
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
        let of = |bert: &Bert| match bert.family() {
            Family::Bert => Architecture::Bert,
            Family::Mpnet => Architecture::Mpnet,
            Family::XlmRoberta => Architecture::XlmRoberta,
        };
        match self {
            Self::Bert(bert) => of(bert),
            Self::Sentence(encoder) => of(encoder.network()),
            Self::Clip(clip) => match clip.layout() {
                Layout::HuggingFace => Architecture::Clip,
                Layout::OpenClip => Architecture::OpenClip,
            },
            Self::Video { architecture, .. } => *architecture,
        }
    }

    /// An output `[b, d]` in f32 of an input that is already preprocessed.
    ///
    /// # Errors
    ///
    /// An output that the architecture does not have, an input of the other modality, token ids beyond the
    /// vocabulary or the longest sequence, images or clips of a size that the network cannot take.
    pub fn forward_tensor(&self, input: &Prepared, head: Head) -> Result<Tensor, Error> {
        let architecture = self.architecture();
        architecture.check_head(head)?;
        match (self, input) {
            (Self::Bert(bert), Prepared::Tokens(tokens)) => {
                Pooling::Mean.pool(&bert.forward(tokens.ids(), tokens.mask())?, tokens.mask())
            }
            (Self::Sentence(encoder), Prepared::Tokens(tokens)) => encoder.encode_tokens(tokens, head),
            (Self::Clip(clip), input) => {
                let features = clip_features(clip, input)?;
                if head == Head::Features { Ok(features) } else { unit_rows(&features) }
            }
            (Self::Video { words: Some(words), .. }, Prepared::Tokens(tokens)) => {
                if head != Head::Embedding {
                    let (architecture, given) = ("s3d-milnce of text", head.to_string());
                    return Err(Error::Head { architecture, given, known: "embedding".to_owned() });
                }
                words.forward(tokens.ids())
            }
            (Self::Video { clips: network, .. }, Prepared::Clips(clips)) => {
                by_clips(&**network, &clips.tensor().permute((0, 2, 3, 4, 1))?.contiguous()?, head)
            }
            (_, input) => Err(Error::Modality {
                name: architecture.name().to_owned(),
                takes: architecture.modality(),
                wanted: input.modality(),
            }),
        }
    }
}

/// Projected features `[b, d]` of token ids or images; of clips the mean of their frames' embeddings.
fn clip_features(clip: &Clip, input: &Prepared) -> Result<Tensor, Error> {
    match input {
        Prepared::Tokens(tokens) => clip.text.forward(tokens.ids(), tokens.mask()),
        Prepared::Images(images) => {
            clip.vision.forward(&images.tensor().permute((0, 2, 3, 1))?.contiguous()?)
        }
        Prepared::Clips(clips) => {
            let (b, c, t, h, w) = clips.tensor().dims5()?;
            let frames = clips.tensor().permute((0, 2, 3, 4, 1))?.reshape((b * t, h, w, c))?;
            let frames = unit_rows(&clip.vision.forward(&frames)?)?;
            Ok(frames.reshape((b, t, ()))?.mean(1)?)
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

pub(crate) fn no_embedder(given: &str) -> Error {
    let known = Architecture::EMBEDDERS.map(Architecture::name).join(", ");
    Error::Architecture { given: given.to_owned(), known }
}
