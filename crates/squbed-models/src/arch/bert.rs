//! BERT and its kin, transformer encoders of text.
//!
//! - BERT: Devlin et al., *BERT: Pre-training of Deep Bidirectional Transformers for Language Understanding* (NAACL
//!   2019, arXiv 1810.04805).
//! - MPNet: Song et al., *MPNet: Masked and Permuted Pre-training for Language Understanding* (NeurIPS 2020, arXiv
//!   2004.09297), whose attention has a bias by relative position.
//! - RoBERTa and XLM-RoBERTa: Liu et al. (2019, arXiv 1907.11692), Conneau et al. (ACL 2020, arXiv 1911.02116).
//!
//! Tensor names and `config.json` are those of the Hugging Face transformers library (`BertModel`, `MPNetModel`,
//! `XLMRobertaModel`).

use std::path::Path;

use candle_core::{DType, Device, Tensor};
use serde::Deserialize;
use squbed_tensor::Activation;

use super::{
    layers::{Branch, Norm},
    transformer::{Names, Order, Qkv, Size, Transformer, padding_bias},
};
use crate::{error::Error, weights::Weights};

/// The networks of this file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// Positions count from 0.
    Bert,
    /// Positions as RoBERTa's; besides, a bias by relative position; no segments.
    Mpnet,
    /// Positions count the tokens that are not padding, and begin behind the padding's own.
    XlmRoberta,
}

/// Tensors of a block of `BertModel` and `XLMRobertaModel`.
const BERT: Names = Names {
    qkv: Qkv::Apart(["attention.self.query", "attention.self.key", "attention.self.value"]),
    attended: "attention.output.dense",
    attention_norm: "attention.output.LayerNorm",
    up: "intermediate.dense",
    down: "output.dense",
    inner_norm: "output.LayerNorm",
};

/// Tensors of a block of `MPNetModel`.
const MPNET: Names = Names {
    qkv: Qkv::Apart(["attention.attn.q", "attention.attn.k", "attention.attn.v"]),
    attended: "attention.attn.o",
    attention_norm: "attention.LayerNorm",
    ..BERT
};

impl Family {
    fn name(self) -> &'static str {
        match self {
            Self::Bert => "bert",
            Self::Mpnet => "mpnet",
            Self::XlmRoberta => "xlm-roberta",
        }
    }

    /// What the names of a checkpoint may begin with.
    fn prefix(self) -> &'static str {
        match self {
            Self::Bert => "bert.",
            Self::Mpnet => "mpnet.",
            Self::XlmRoberta => "roberta.",
        }
    }

    /// Whether a `config.json` that says `model_type` describes this network.
    fn admits(self, model_type: &str) -> bool {
        match self {
            Self::XlmRoberta => ["xlm-roberta", "roberta", "camembert"].contains(&model_type),
            _ => model_type == self.name(),
        }
    }
}

/// What a `config.json` says of the network.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct BertConfig {
    /// Which network, by the transformers library's name.
    pub model_type: Option<String>,
    /// Tokens.
    pub vocab_size: usize,
    /// Width h of the hidden states.
    pub hidden_size: usize,
    /// Layers.
    pub num_hidden_layers: usize,
    /// Heads of the attention.
    pub num_attention_heads: usize,
    /// Width of the feed-forward part.
    pub intermediate_size: usize,
    /// Non-linearity, a name that [`Activation::parse`] knows.
    pub hidden_act: String,
    /// Rows of the table of positions.
    pub max_position_embeddings: usize,
    /// Kinds of segments; MPNet has none.
    #[serde(default)]
    pub type_vocab_size: usize,
    /// Added to the variance in layer normalisation.
    pub layer_norm_eps: f64,
    /// How positions enter; only `absolute` is built.
    #[serde(default = "absolute")]
    pub position_embedding_type: String,
    /// The padding's token, behind which MPNet's and RoBERTa's positions begin.
    pub pad_token_id: Option<u32>,
    /// Rows of MPNet's table of relative positions.
    #[serde(default = "thirty_two")]
    pub relative_attention_num_buckets: usize,
}

fn absolute() -> String {
    "absolute".to_owned()
}

fn thirty_two() -> usize {
    32
}

impl BertConfig {
    /// Reads the content of the `config.json` at `file`.
    pub fn parse(family: Family, file: &Path, bytes: &[u8]) -> Result<Self, Error> {
        let config: Self = serde_json::from_slice(bytes)
            .map_err(|source| Error::Json { file: file.to_path_buf(), source })?;
        let refuse = |field, value: &dyn ToString, expected| {
            Err(Error::Config { file: file.to_path_buf(), field, value: value.to_string(), expected })
        };
        if let Some(given) = config.model_type.as_ref().filter(|given| !family.admits(given)) {
            return refuse("model_type", given, "the checkpoint is of another architecture");
        }
        let heads = config.num_attention_heads;
        if heads == 0 || !config.hidden_size.is_multiple_of(heads) || config.hidden_size == 0 {
            return refuse("num_attention_heads", &heads, "it must divide `hidden_size`");
        }
        if Activation::parse(&config.hidden_act).is_none() {
            let given = &config.hidden_act;
            return refuse("hidden_act", given, "built are gelu, gelu_new, gelu_pytorch_tanh and quick_gelu");
        }
        if config.position_embedding_type != "absolute" {
            let given = &config.position_embedding_type;
            return refuse("position_embedding_type", given, "only `absolute` is built");
        }
        if !(config.layer_norm_eps > 0.0 && config.layer_norm_eps < 1.0) {
            return refuse("layer_norm_eps", &config.layer_norm_eps, "it lies between 0 and 1");
        }
        if config.first_position(family) >= config.max_position_embeddings {
            let given = &config.max_position_embeddings;
            return refuse("max_position_embeddings", given, "no position is left behind the padding's");
        }
        let buckets = config.relative_attention_num_buckets;
        if buckets < 4 || !buckets.is_multiple_of(4) {
            return refuse("relative_attention_num_buckets", &buckets, "it is a multiple of 4");
        }
        Ok(config)
    }

    /// Tokens in the longest sequence.
    pub fn longest(&self, family: Family) -> usize {
        self.max_position_embeddings.saturating_sub(self.first_position(family))
    }

    fn first_position(&self, family: Family) -> usize {
        if family == Family::Bert { 0 } else { self.padding(family) as usize + 1 }
    }

    /// Where it isn't named it has the library's default.
    fn padding(&self, family: Family) -> u32 {
        self.pad_token_id.unwrap_or(u32::from(family != Family::Bert))
    }
}

/// The network.
pub struct Bert {
    family: Family,
    words: Tensor,
    /// Position embeddings, plus that of segment 0, the only one that single sentences have.
    positions: Tensor,
    norm: Norm,
    transformer: Transformer,
    /// MPNet's bias for each distance and head, `[buckets, heads]`.
    relative: Option<Tensor>,
    config: BertConfig,
}

impl Bert {
    /// Builds the network from a checkpoint, whose names may begin with `bert.`, `mpnet.` or `roberta.`.
    pub fn load(
        family: Family,
        weights: &Weights,
        config: &BertConfig,
        device: &Device,
        dtype: DType,
    ) -> Result<Self, Error> {
        let prefix = family.prefix();
        let prefixed = weights.contains(&format!("{prefix}embeddings.word_embeddings.weight"));
        let prefix = if prefixed { prefix } else { "" };
        // The heads that training used, and positions that are counted here.
        for unneeded in ["pooler.", "embeddings.position_ids"] {
            weights.leave(format!("{prefix}{unneeded}"));
        }
        ["pooler.", "cls.", "lm_head."].into_iter().for_each(|head| weights.leave(head));
        let branch = Branch::new(weights, prefix, device, dtype);
        let (h, eps) = (config.hidden_size, config.layer_norm_eps);
        let embeddings = branch.at("embeddings.");
        let mut positions =
            embeddings.tensor("position_embeddings.weight", &[config.max_position_embeddings, h])?;
        if family != Family::Mpnet {
            let segments = embeddings.tensor("token_type_embeddings.weight", &[config.type_vocab_size, h])?;
            positions = positions.broadcast_add(&segments.get(0)?)?;
        }
        let size = Size {
            width: h,
            layers: config.num_hidden_layers,
            heads: config.num_attention_heads,
            inner: config.intermediate_size,
            eps,
            // `parse` looked at it; a configuration of another origin may not have been there.
            activation: Activation::parse(&config.hidden_act).unwrap_or(Activation::Gelu),
            order: Order::NormLast,
        };
        let encoder = branch.at("encoder.");
        let (names, buckets) = match family {
            Family::Mpnet => (&MPNET, Some(config.relative_attention_num_buckets)),
            _ => (&BERT, None),
        };
        let relative =
            |rows| encoder.tensor("relative_attention_bias.weight", &[rows, config.num_attention_heads]);
        Ok(Self {
            family,
            words: embeddings.tensor("word_embeddings.weight", &[config.vocab_size, h])?,
            positions,
            norm: embeddings.norm("LayerNorm", h, eps)?,
            transformer: Transformer::load(&encoder.at("layer."), names, &size)?,
            relative: buckets.map(relative).transpose()?,
            config: config.clone(),
        })
    }

    /// Which of the networks it is.
    pub fn family(&self) -> Family {
        self.family
    }

    /// Width h of the hidden states.
    pub fn hidden_size(&self) -> usize {
        self.config.hidden_size
    }

    /// Rows of the table of tokens.
    pub fn vocabulary(&self) -> usize {
        self.config.vocab_size
    }

    /// The token that fills a batch up.
    pub fn padding(&self) -> u32 {
        self.config.padding(self.family)
    }

    /// The last hidden states `[b, l, h]` of token ids `[b, l]` (i64 or u32). A mask `[b, l]` of ones and
    /// zeros tells tokens from padding; without one every token counts.
    pub fn forward(&self, ids: &Tensor, mask: Option<&Tensor>) -> Result<Tensor, Error> {
        let name = self.family.name();
        let rows = token_ids(name, ids, self.config.vocab_size, self.config.longest(self.family))?;
        let (b, l) = (rows.len(), rows[0].len());
        if let Some(mask) = mask.filter(|mask| mask.dims() != [b, l]) {
            let expected = "a mask of the shape of its token ids";
            return Err(Error::Input { architecture: name, expected, actual: mask.dims().to_vec() });
        }
        let (device, dtype) = (self.words.device(), self.words.dtype());
        let flat = Tensor::from_vec(rows.concat(), b * l, device)?;
        let embedded = self.words.index_select(&flat, 0)?.reshape((b, l, self.hidden_size()))?;
        let embedded = embedded.broadcast_add(&self.position_embeddings(&rows)?)?;
        let padding = mask.map(|mask| padding_bias(mask, device, dtype)).transpose()?;
        let relative = self.relative.as_ref().map(|table| relative_bias(table, l)).transpose()?;
        let bias = match (padding, relative) {
            (Some(padding), Some(relative)) => Some(padding.broadcast_add(&relative)?),
            (padding, relative) => padding.or(relative),
        };
        self.transformer.forward(&self.norm.forward(&embedded)?, bias.as_ref())
    }

    /// `[1, l, h]`, or `[b, l, h]` where positions depend on the tokens.
    fn position_embeddings(&self, rows: &[Vec<u32>]) -> Result<Tensor, Error> {
        let (b, l) = (rows.len(), rows[0].len());
        if self.family == Family::Bert {
            return Ok(self.positions.narrow(0, 0, l)?.unsqueeze(0)?);
        }
        let padding = self.padding();
        let positions = rows.iter().flat_map(|row| {
            row.iter().scan(padding, move |last, &id| {
                *last += u32::from(id != padding);
                Some(if id == padding { padding } else { *last })
            })
        });
        let positions = Tensor::from_vec(positions.collect::<Vec<u32>>(), b * l, self.positions.device())?;
        Ok(self.positions.index_select(&positions, 0)?.reshape((b, l, self.hidden_size()))?)
    }
}

/// Token ids on the host: b at least 1, l from 1 to `longest`, each id within the vocabulary.
pub(super) fn token_ids(
    architecture: &'static str,
    ids: &Tensor,
    vocabulary: usize,
    longest: usize,
) -> Result<Vec<Vec<u32>>, Error> {
    match ids.dims() {
        &[b, l] if b > 0 && (1..=longest).contains(&l) => {}
        dims => {
            let expected = "token ids [b, l] with b at least 1 and l from 1 to the longest sequence";
            return Err(Error::Input { architecture, expected, actual: dims.to_vec() });
        }
    }
    let rows = ids.to_dtype(DType::I64)?.to_vec2::<i64>()?;
    let known = |row, column, id: i64| match u32::try_from(id) {
        Ok(known) if (known as usize) < vocabulary => Ok(known),
        _ => Err(Error::TokenId { id, row, column, vocabulary }),
    };
    let all = |(row, ids): (usize, &Vec<i64>)| {
        ids.iter().enumerate().map(|(column, &id)| known(row, column, id)).collect()
    };
    rows.iter().enumerate().map(all).collect()
}

/// MPNet's bias by relative position, `[1, heads, l, l]`, from its table `[buckets, heads]`.
fn relative_bias(table: &Tensor, l: usize) -> Result<Tensor, Error> {
    let (buckets, heads) = table.dims2()?;
    let indices = (0..l * l).map(|k| relative_bucket((k % l) as i64 - (k / l) as i64, buckets) as u32);
    let indices = Tensor::from_vec(indices.collect::<Vec<u32>>(), l * l, table.device())?;
    let bias = table.index_select(&indices, 0)?.t()?.contiguous()?;
    Ok(bias.reshape((1, heads, l, l))?)
}

/// Row of the table for a key that stands `distance` behind its query (Raffel et al. 2020, arXiv 1910.10683, section
/// 2.1, with its reference code): half of the rows for each direction, the near half of these a row each, the rest
/// growing by logarithm up to 128. The logarithm is taken in f32, as the reference takes it.
fn relative_bucket(distance: i64, buckets: usize) -> usize {
    const FARTHEST: f32 = 128.0;
    let half = buckets / 2;
    let near = half / 2;
    let far = distance.unsigned_abs() as usize;
    let within = if far < near {
        far
    } else {
        let share = (far as f32 / near as f32).ln() / (FARTHEST / near as f32).ln();
        (near + (share * (half - near) as f32) as usize).min(half - 1)
    };
    if distance > 0 { half + within } else { within }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relative_positions_fall_into_their_buckets() {
        // From the reference's formula in exact arithmetic: 8 near rows a direction, then 8·log16(d / 8).
        for (distance, bucket) in [(0, 0), (-1, 1), (-7, 7), (-8, 8), (-11, 8), (-12, 9), (-16, 10)] {
            assert_eq!(relative_bucket(distance, 32), bucket, "{distance}");
            if distance != 0 {
                assert_eq!(relative_bucket(-distance, 32), bucket + 16, "{distance}");
            }
        }
        for (distance, bucket) in
            [(-31, 11), (-32, 12), (-63, 13), (-64, 14), (-127, 15), (-128, 15), (-500, 15)]
        {
            assert_eq!(relative_bucket(distance, 32), bucket, "{distance}");
        }
    }

    fn config(change: impl Fn(&mut serde_json::Value)) -> Result<BertConfig, Error> {
        let mut json = serde_json::json!({
            "model_type": "bert", "vocab_size": 9, "hidden_size": 8, "num_hidden_layers": 1,
            "num_attention_heads": 2, "intermediate_size": 8, "hidden_act": "gelu",
            "max_position_embeddings": 16, "type_vocab_size": 2, "layer_norm_eps": 1e-12
        });
        change(&mut json);
        BertConfig::parse(Family::Bert, Path::new("config.json"), json.to_string().as_bytes())
    }

    #[test]
    fn what_is_not_built_is_refused_by_name() {
        assert_eq!(config(|_| {}).unwrap().longest(Family::XlmRoberta), 14);
        for (field, value) in [
            ("model_type", "mpnet".into()),
            ("hidden_act", "relu".into()),
            ("position_embedding_type", "relative_key".into()),
            ("num_attention_heads", 3.into()),
            ("num_attention_heads", 0.into()),
            ("layer_norm_eps", 0.into()),
            ("max_position_embeddings", 0.into()),
            ("relative_attention_num_buckets", 2.into()),
        ] {
            let value: serde_json::Value = value;
            let message = config(|json| json[field] = value.clone()).unwrap_err().to_string();
            assert!(message.starts_with(&format!("config.json: `{field}` is ")), "{message}");
        }
    }
}
