//! Networks with weights by chance and inputs for them, to measure speed: what a dense network does takes the same time
//! whatever its numbers are, as long as they are ordinary ones.

use std::path::Path;

use candle_core::{DType, Device, Tensor};
use rayon::prelude::*;

use crate::{
    arch::bert::Bert,
    bare::{Network, build, read_config},
    error::Error,
    manifest::{Architecture, Modality},
    prepared::{Clips, Images, Prepared, Tokens},
    weights::Weights,
};

/// Builds a network with random weights, of the sizes in `config` or else of a known model, whose name is given beside
/// it; architectures of one size alone have none.
///
/// # Errors
///
/// A configuration that cannot be read or is of another architecture; an architecture without embeddings.
pub fn random_network(
    architecture: Architecture,
    config: Option<&Path>,
    device: &Device,
    dtype: DType,
) -> Result<(Network, Option<&'static str>), Error> {
    let known = known_sizes(architecture);
    let (name, config) = match (config, known) {
        (Some(_), None) => return Err(Error::NeedlessConfig { architecture: architecture.name() }),
        (Some(file), _) => (None, Some(read_config(file)?)),
        (None, Some((name, json))) => (Some(name), Some((name.into(), json.as_bytes().to_vec()))),
        (None, None) => (None, None),
    };
    Ok((build(architecture, &Weights::random(), config, device, dtype)?, name))
}

/// A model of the architecture and what its configuration says of sizes.
fn known_sizes(architecture: Architecture) -> Option<(&'static str, &'static str)> {
    match architecture {
        Architecture::Bert => Some((
            "all-MiniLM-L6-v2",
            r#"{"vocab_size": 30522, "hidden_size": 384, "num_hidden_layers": 6, "num_attention_heads": 12,
                "intermediate_size": 1536, "hidden_act": "gelu", "max_position_embeddings": 512,
                "type_vocab_size": 2, "layer_norm_eps": 1e-12}"#,
        )),
        Architecture::Mpnet => Some((
            "all-mpnet-base-v2",
            r#"{"vocab_size": 30527, "hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12,
                "intermediate_size": 3072, "hidden_act": "gelu", "max_position_embeddings": 514,
                "layer_norm_eps": 1e-5}"#,
        )),
        Architecture::XlmRoberta => Some((
            "multilingual-e5-base",
            r#"{"vocab_size": 250002, "hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12,
                "intermediate_size": 3072, "hidden_act": "gelu", "max_position_embeddings": 514,
                "type_vocab_size": 1, "layer_norm_eps": 1e-5}"#,
        )),
        // What is left out has the libraries' defaults.
        Architecture::Clip => Some(("clip-vit-base-patch32", r#"{"text_config": {}, "vision_config": {}}"#)),
        Architecture::OpenClip => Some((
            "CLIP-ViT-B-32-laion2B-s34B-b79K",
            r#"{"embed_dim": 512, "text_cfg": {}, "vision_cfg": {"patch_size": 32}}"#,
        )),
        _ => None,
    }
}

/// What a random input is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InputSize {
    /// Token ids `[batch, tokens]`.
    Texts {
        /// Texts.
        batch: usize,
        /// Tokens of each.
        tokens: usize,
    },
    /// Images `[batch, 3, s, s]`, s the side that the network takes.
    Images {
        /// Images.
        batch: usize,
    },
    /// Clips `[batch, 3, frames, side, side]`.
    Clips {
        /// Clips.
        batch: usize,
        /// Frames of each.
        frames: usize,
        /// Pixels along a side.
        side: usize,
    },
}

impl InputSize {
    fn modality(self) -> Modality {
        match self {
            Self::Texts { .. } => Modality::Text,
            Self::Images { .. } => Modality::Image,
            Self::Clips { .. } => Modality::Video,
        }
    }
}

impl Network {
    /// An input by chance, the same each time: numbers from −1 to 1, or tokens of the vocabulary without padding.
    ///
    /// # Errors
    ///
    /// A size of another modality than the network takes, or of nothing.
    pub fn random_input(&self, size: InputSize) -> Result<Prepared, Error> {
        let numbers = |shape: &[usize]| {
            let count = shape.iter().product();
            Tensor::from_vec(values("input", count, 1.0, 0.0), shape, &Device::Cpu)
        };
        match (self, size) {
            (Self::Clip(clip), InputSize::Images { batch }) => {
                let side = clip.vision.side();
                Ok(Prepared::Images(Images::new(&numbers(&[batch, 3, side, side])?)?))
            }
            (Self::Video { .. }, InputSize::Clips { batch, frames, side }) => {
                Ok(Prepared::Clips(Clips::new(&numbers(&[batch, 3, frames, side, side])?)?))
            }
            (_, InputSize::Texts { batch, tokens }) if self.architecture().takes(Modality::Text) => {
                let of = |bert: &Bert| (bert.padding() + 1, bert.vocabulary(), None);
                let (first, behind, end) = match self {
                    Self::Bert(bert) => of(bert),
                    Self::Sentence(encoder) => of(encoder.network()),
                    Self::Clip(clip) => (0, clip.text.vocabulary(), Some(clip.text.end())),
                    Self::Video { words, .. } => (0, words.as_ref().map_or(1, |words| words.rows()), None),
                };
                let span = f64::from((behind as u32).saturating_sub(first));
                let mut ids: Vec<u32> = values("tokens", batch * tokens, 0.5, 0.5)
                    .into_iter()
                    .map(|u| first + (f64::from(u) * (span - 1.0)) as u32)
                    .collect();
                for row in ids.chunks_exact_mut(tokens.max(1)) {
                    if let (Some(last), Some(end)) = (row.last_mut(), end) {
                        *last = end;
                    }
                }
                let ids = Tensor::from_vec(ids, (batch, tokens), &Device::Cpu)?;
                Ok(Prepared::Tokens(Tokens::new(&ids)?))
            }
            (_, size) => {
                let architecture = self.architecture();
                let name = architecture.name().to_owned();
                Err(Error::Modality { name, takes: architecture.modality(), wanted: size.modality() })
            }
        }
    }
}

/// A tensor of a network by its name and shape, in f32: means and biases about 0, variances and the weights of
/// normalisations about 1, and the others of a variance of one over the inputs of each output.
pub(crate) fn weight(name: &str, shape: &[usize]) -> Result<Tensor, Error> {
    let count: usize = shape.iter().product();
    let (scale, offset) = if ["bias", "mean"].iter().any(|ending| name.ends_with(ending)) {
        (0.1, 0.0)
    } else if name.ends_with("var") || shape.len() == 1 {
        (0.1, 1.0)
    } else {
        // Flax has the outputs last, everyone else first.
        let outputs = if name.ends_with(".kernel") { shape.last() } else { shape.first() };
        let inputs = count / outputs.copied().unwrap_or(1).max(1);
        ((3.0 / inputs.max(1) as f64).sqrt(), 0.0)
    };
    Ok(Tensor::from_vec(values(name, count, scale, offset), shape, &Device::Cpu)?)
}

/// `offset + scale · u` with u uniform in [−1, 1): SplitMix64 (Steele et al. 2014, doi 10.1145/2660193.2660195), started
/// from the name.
fn values(name: &str, count: usize, scale: f64, offset: f64) -> Vec<f32> {
    const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;
    let start = name.bytes().fold(0u64, |h, b| (h ^ u64::from(b)).wrapping_mul(GOLDEN).rotate_left(23));
    let value = |i: usize| {
        let mut z = start.wrapping_add((i as u64 + 1).wrapping_mul(GOLDEN));
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        // The upper bits as a number in [0, 2).
        let u = ((z ^ (z >> 31)) >> 11) as f64 * 2f64.powi(-52);
        (offset + scale * (u - 1.0)) as f32
    };
    (0..count).into_par_iter().map(value).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_have_the_spread_that_keeps_sums_in_size() {
        let numbers = |name: &str, shape: &[usize]| {
            weight(name, shape).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap()
        };
        let moments = |x: &[f32]| {
            let mean = x.iter().map(|&x| f64::from(x)).sum::<f64>() / x.len() as f64;
            let square = x.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>() / x.len() as f64;
            (mean, square)
        };
        // Of 300 · 40 numbers: a standard error of the mean of square is about one per cent.
        for (name, shape) in [("fc.weight", [300, 40]), ("fc.kernel", [40, 300])] {
            let (mean, square) = moments(&numbers(name, &shape));
            assert!(mean.abs() < 0.01 && (square * 40.0 - 1.0).abs() < 0.05, "{name}: {mean} {square}");
        }
        for (name, shape, about) in [
            ("norm.weight", &[1000][..], 1.0),
            ("bn.var", &[1, 1, 1, 1, 1000], 1.0),
            ("bn.running_mean", &[1000], 0.0),
            ("fc.bias", &[1000], 0.0),
        ] {
            let x = numbers(name, shape);
            assert!(x.iter().all(|x| (f64::from(*x) - about).abs() <= 0.1), "{name}");
            assert!((moments(&x).0 - about).abs() < 0.01, "{name}");
        }
        assert_eq!(numbers("a.weight", &[2, 3]), numbers("a.weight", &[2, 3]));
        assert_ne!(numbers("a.weight", &[2, 3]), numbers("b.weight", &[2, 3]));
    }
}
