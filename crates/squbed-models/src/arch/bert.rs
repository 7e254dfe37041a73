//! BERT, the transformer encoder of text.
//!
//! Devlin et al., *BERT: Pre-training of Deep Bidirectional Transformers for Language Understanding*
//! (NAACL 2019, arXiv 1810.04805). Tensor names and `config.json` are those of the Hugging Face
//! transformers library's `BertModel`; weights of `sentence-transformers/all-MiniLM-L6-v2` fit.

use std::path::Path;

use candle_core::{D, DType, Device, Tensor};
use candle_nn::ops::{layer_norm, softmax_last_dim};
use serde::Deserialize;
use squbed_tensor::{Conv3d, Padding3d};

use crate::{error::Error, weights::Weights};

/// Added to the attention scores of padding. Its exponential is 0 in every dtype, yet a score plus it is
/// finite in f16, so that a softmax never meets ∞ − ∞.
const MASKED: f64 = -3e4;

/// What a `config.json` says of the network's size.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct BertConfig {
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
    /// Non-linearity; only `gelu` with the error function is built.
    pub hidden_act: String,
    /// Longest sequence.
    pub max_position_embeddings: usize,
    /// Kinds of segments.
    pub type_vocab_size: usize,
    /// Added to the variance in layer normalisation.
    pub layer_norm_eps: f64,
    /// How positions enter; only `absolute` is built.
    #[serde(default = "absolute")]
    pub position_embedding_type: String,
}

fn absolute() -> String {
    "absolute".to_owned()
}

impl BertConfig {
    /// Reads the content of the `config.json` at `file`.
    pub fn parse(file: &Path, bytes: &[u8]) -> Result<Self, Error> {
        let config: Self = serde_json::from_slice(bytes)
            .map_err(|source| Error::Json { file: file.to_path_buf(), source })?;
        let refuse = |field, value: &dyn ToString, expected| {
            Err(Error::Config { file: file.to_path_buf(), field, value: value.to_string(), expected })
        };
        let heads = config.num_attention_heads;
        if heads == 0 || !config.hidden_size.is_multiple_of(heads) || config.hidden_size == 0 {
            return refuse("num_attention_heads", &heads, "it must divide `hidden_size`");
        }
        if config.hidden_act != "gelu" {
            return refuse(
                "hidden_act",
                &config.hidden_act,
                "only `gelu` (with the error function) is built",
            );
        }
        if config.position_embedding_type != "absolute" {
            let given = &config.position_embedding_type;
            return refuse("position_embedding_type", given, "only `absolute` is built");
        }
        if !(config.layer_norm_eps > 0.0 && config.layer_norm_eps < 1.0) {
            return refuse("layer_norm_eps", &config.layer_norm_eps, "it lies between 0 and 1");
        }
        Ok(config)
    }
}

/// The network.
pub struct Bert {
    words: Tensor,
    /// Position embeddings plus that of segment 0, the only one that single sentences have.
    positions: Tensor,
    norm: Norm,
    layers: Vec<Layer>,
    vocab_size: usize,
    hidden_size: usize,
}

struct Layer {
    /// Query, key and value in one product, `[h, 3h]`.
    qkv: Linear,
    attended: Linear,
    attended_norm: Norm,
    up: Linear,
    down: Linear,
    output_norm: Norm,
    heads: usize,
}

/// `x · weight + bias`. A linear map is a convolution whose kernel is one position, and that of
/// `squbed-tensor` keeps its weights laid out for the processor.
struct Linear(Conv3d);

struct Norm {
    weight: Tensor,
    bias: Tensor,
    eps: f32,
}

impl Bert {
    /// Builds the network from a checkpoint, whose names may begin with `bert.`.
    pub fn load(
        weights: &Weights,
        config: &BertConfig,
        device: &Device,
        dtype: DType,
    ) -> Result<Self, Error> {
        let prefixed = weights.contains("bert.embeddings.word_embeddings.weight");
        // The head that training used, and positions that are counted here.
        let unneeded =
            ["bert.pooler.", "pooler.", "cls.", "bert.embeddings.position_ids", "embeddings.position_ids"];
        unneeded.into_iter().for_each(|prefix| weights.leave(prefix));
        let part = Part { weights, path: if prefixed { "bert." } else { "" }.to_owned(), device, dtype };
        let (h, eps) = (config.hidden_size, config.layer_norm_eps);
        let embeddings = part.at("embeddings.");
        let segments = embeddings.tensor("token_type_embeddings.weight", &[config.type_vocab_size, h])?;
        let positions =
            embeddings.tensor("position_embeddings.weight", &[config.max_position_embeddings, h])?;
        let layer = |i| Layer::load(&part.at(&format!("encoder.layer.{i}.")), config);
        Ok(Self {
            words: embeddings.tensor("word_embeddings.weight", &[config.vocab_size, h])?,
            positions: positions.broadcast_add(&segments.get(0)?)?,
            norm: embeddings.norm("LayerNorm", h, eps)?,
            layers: (0..config.num_hidden_layers).map(layer).collect::<Result<_, _>>()?,
            vocab_size: config.vocab_size,
            hidden_size: h,
        })
    }

    /// Width h of the hidden states.
    pub fn hidden_size(&self) -> usize {
        self.hidden_size
    }

    /// The last hidden states `[b, l, h]` of token ids `[b, l]` (i64 or u32). A mask `[b, l]` of ones and
    /// zeros tells tokens from padding; without one every token counts.
    pub fn forward(&self, ids: &Tensor, mask: Option<&Tensor>) -> Result<Tensor, Error> {
        let (b, l) = match ids.dims() {
            &[b, l] if b > 0 && (1..=self.positions.dim(0)?).contains(&l) => (b, l),
            dims => return Err(input(dims)),
        };
        let ids = self.checked(ids)?;
        let embedded = self.words.index_select(&ids.flatten_all()?, 0)?.reshape((b, l, self.hidden_size))?;
        let embedded = embedded.broadcast_add(&self.positions.narrow(0, 0, l)?)?;
        let mut hidden = self.norm.forward(&embedded)?;
        let bias = mask.map(|mask| self.attention_bias(mask, b, l)).transpose()?;
        for layer in &self.layers {
            hidden = layer.forward(&hidden, bias.as_ref())?;
        }
        Ok(hidden)
    }

    /// Ids on the network's device, each within the vocabulary.
    fn checked(&self, ids: &Tensor) -> Result<Tensor, Error> {
        let rows = ids.to_dtype(DType::I64)?.to_vec2::<i64>()?;
        for (row, ids) in rows.iter().enumerate() {
            let beyond = |id: i64| usize::try_from(id).map_or(true, |id| id >= self.vocab_size);
            if let Some((column, &id)) = ids.iter().enumerate().find(|(_, id)| beyond(**id)) {
                return Err(Error::TokenId { id, row, column, vocabulary: self.vocab_size });
            }
        }
        Ok(ids.to_dtype(DType::U32)?.to_device(self.words.device())?)
    }

    /// 0 for tokens and [`MASKED`] for padding, `[b, 1, 1, l]`.
    fn attention_bias(&self, mask: &Tensor, b: usize, l: usize) -> Result<Tensor, Error> {
        let padding = mask.to_dtype(DType::F32)?.affine(-MASKED, MASKED)?;
        let padding = padding.to_dtype(self.words.dtype())?.to_device(self.words.device())?;
        Ok(padding.reshape((b, 1, 1, l))?)
    }
}

impl Layer {
    fn load(part: &Part<'_>, config: &BertConfig) -> Result<Self, Error> {
        let (h, wide, eps) = (config.hidden_size, config.intermediate_size, config.layer_norm_eps);
        let attention = |leaf, shape: &[usize]| {
            let parts =
                ["query", "key", "value"].map(|n| part.tensor(&format!("attention.self.{n}.{leaf}"), shape));
            let [q, k, v] = parts;
            Ok::<_, Error>(Tensor::cat(&[q?, k?, v?], 0)?)
        };
        Ok(Self {
            qkv: Linear::new(&attention("weight", &[h, h])?, &attention("bias", &[h])?)?,
            attended: part.linear("attention.output.dense", h, h)?,
            attended_norm: part.norm("attention.output.LayerNorm", h, eps)?,
            up: part.linear("intermediate.dense", h, wide)?,
            down: part.linear("output.dense", wide, h)?,
            output_norm: part.norm("output.LayerNorm", h, eps)?,
            heads: config.num_attention_heads,
        })
    }

    fn forward(&self, x: &Tensor, bias: Option<&Tensor>) -> Result<Tensor, Error> {
        let attended = self.attended.forward(&self.attend(x, bias)?)?;
        let x = self.attended_norm.forward(&(x + attended)?)?;
        let fed = self.down.forward(&self.up.forward(&x)?.gelu_erf()?)?;
        self.output_norm.forward(&(x + fed)?)
    }

    /// softmax(q·kᵀ/√d + bias)·v for each head.
    fn attend(&self, x: &Tensor, bias: Option<&Tensor>) -> Result<Tensor, Error> {
        let (b, l, h) = x.dims3()?;
        let d = h / self.heads;
        // [b, l, 3h] → [3, b, heads, l, d]
        let qkv = self.qkv.forward(x)?.reshape((b, l, 3, self.heads, d))?.permute((2, 0, 3, 1, 4))?;
        let [q, k, v] = [0, 1, 2].map(|i| qkv.get(i).and_then(|part| part.contiguous()));
        let q = (q? / (d as f64).sqrt())?;
        let mut scores = q.matmul(&k?.t()?)?;
        if let Some(bias) = bias {
            scores = scores.broadcast_add(bias)?;
        }
        let mixed = softmax_last_dim(&scores)?.matmul(&v?)?;
        Ok(mixed.transpose(1, 2)?.reshape((b, l, h))?)
    }
}

impl Linear {
    /// `weight` is `[out, in]`, as checkpoints have it.
    fn new(weight: &Tensor, bias: &Tensor) -> Result<Self, Error> {
        let (output, input) = weight.dims2()?;
        let kernel = weight.t()?.contiguous()?.reshape((1, 1, 1, input, output))?;
        Ok(Self(Conv3d::new(&kernel, Some(bias), [1; 3], &Padding3d::Valid, false)?))
    }

    fn forward(&self, x: &Tensor) -> Result<Tensor, Error> {
        let (b, l, width) = x.dims3()?;
        // One row of positions for the whole batch.
        let y = self.0.forward(&x.reshape((1, 1, 1, b * l, width))?)?;
        Ok(y.reshape((b, l, ()))?)
    }
}

impl Norm {
    fn forward(&self, x: &Tensor) -> Result<Tensor, Error> {
        Ok(layer_norm(x, &self.weight, &self.bias, self.eps)?)
    }
}

/// A branch of the checkpoint's names.
struct Part<'w> {
    weights: &'w Weights,
    path: String,
    device: &'w Device,
    dtype: DType,
}

impl Part<'_> {
    fn at(&self, name: &str) -> Self {
        Self { path: format!("{}{name}", self.path), ..*self }
    }

    fn tensor(&self, name: &str, shape: &[usize]) -> Result<Tensor, Error> {
        self.weights.tensor(&format!("{}{name}", self.path), shape, self.device, self.dtype)
    }

    fn linear(&self, name: &str, input: usize, output: usize) -> Result<Linear, Error> {
        let weight = self.tensor(&format!("{name}.weight"), &[output, input])?;
        Linear::new(&weight, &self.tensor(&format!("{name}.bias"), &[output])?)
    }

    fn norm(&self, name: &str, width: usize, eps: f64) -> Result<Norm, Error> {
        Ok(Norm {
            weight: self.tensor(&format!("{name}.weight"), &[width])?,
            bias: self.tensor(&format!("{name}.bias"), &[width])?,
            eps: eps as f32,
        })
    }
}

fn input(dims: &[usize]) -> Error {
    Error::Input {
        architecture: "bert",
        expected: "token ids [b, l] with b at least 1 and l from 1 to the longest sequence",
        actual: dims.to_vec(),
    }
}

/// Mean over the tokens that the mask keeps, at least one a row: `[b, l, h]` and `[b, l]` to `[b, h]`, in f32.
pub fn masked_mean(hidden: &Tensor, mask: Option<&Tensor>) -> Result<Tensor, Error> {
    let hidden = hidden.to_dtype(DType::F32)?;
    let Some(mask) = mask else {
        return Ok(hidden.mean(1)?);
    };
    let mask = mask.to_dtype(DType::F32)?.to_device(hidden.device())?;
    let count = mask.sum_keepdim(D::Minus1)?;
    let sum = hidden.broadcast_mul(&mask.unsqueeze(D::Minus1)?)?.sum(1)?;
    Ok(sum.broadcast_div(&count)?)
}
