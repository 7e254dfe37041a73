//! The encoder block of the transformer, and what its attention may not see.
//!
//! Vaswani et al., *Attention Is All You Need* (NeurIPS 2017, arXiv 1706.03762). One block serves BERT, MPNet,
//! RoBERTa and both towers of CLIP: they differ in where the normalisation stands, in the non-linearity, in the
//! bias on the attention scores, and in the names of their tensors.

use candle_core::{DType, Device, Tensor};
use squbed_tensor::{Activation, Linear, attention, in_pool};

use super::layers::{Branch, Norm};
use crate::error::Error;

/// The least that is added to a score, and hides its position. Its exponential is 0 in every dtype, yet a score
/// plus it is finite in f16, so that a softmax never meets ∞ − ∞.
const HIDDEN: f32 = -3e4;

/// Sizes and kinds of a stack of blocks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Size {
    pub(super) width: usize,
    pub(super) layers: usize,
    pub(super) heads: usize,
    /// Width within the feed-forward part.
    pub(super) inner: usize,
    /// Added to the variance in layer normalisation.
    pub(super) eps: f64,
    pub(super) activation: Activation,
    pub(super) order: Order,
}

/// Where layer normalisation stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// Before attention and feed-forward part; the sum around them goes by it.
    NormFirst,
    /// After each sum.
    NormLast,
}

/// Names of a block's tensors within its branch.
pub(super) struct Names {
    pub(super) qkv: Qkv,
    pub(super) attended: &'static str,
    pub(super) attention_norm: &'static str,
    pub(super) up: &'static str,
    pub(super) down: &'static str,
    pub(super) inner_norm: &'static str,
}

/// Query, key and value in the checkpoint.
pub(super) enum Qkv {
    /// Three linear maps.
    Apart([&'static str; 3]),
    /// Stacked, a weight `[3 width, width]` and a bias `[3 width]`.
    Stacked { weight: &'static str, bias: &'static str },
}

/// A stack of blocks.
pub(super) struct Transformer {
    blocks: Vec<Block>,
}

struct Block {
    /// Query, key and value in one product, `[h, 3h]`.
    qkv: Linear,
    attended: Linear,
    attention_norm: Norm,
    up: Linear,
    down: Linear,
    inner_norm: Norm,
    heads: usize,
    activation: Activation,
    order: Order,
}

impl Transformer {
    /// Block i lies at `{i}.` of the branch.
    pub(super) fn load(branch: &Branch<'_>, names: &Names, size: &Size) -> Result<Self, Error> {
        let block = |i| Block::load(&branch.at(&format!("{i}.")), names, size);
        Ok(Self { blocks: (0..size.layers).map(block).collect::<Result<_, _>>()? })
    }

    /// Hidden states `[b, l, h]`; the bias on the scores broadcasts to `[b, heads, l, l]`.
    pub(super) fn forward(&self, x: &Tensor, bias: Option<&Tensor>) -> Result<Tensor, Error> {
        in_pool(x.device(), || {
            let mut x = x.clone();
            for block in &self.blocks {
                x = block.forward(&x, bias)?;
            }
            Ok(x)
        })
    }
}

impl Block {
    fn load(branch: &Branch<'_>, names: &Names, size: &Size) -> Result<Self, Error> {
        let (h, inner) = (size.width, size.inner);
        let qkv = match names.qkv {
            Qkv::Apart(maps) => {
                let stacked = |leaf, shape: &[usize]| {
                    let [q, k, v] = maps.map(|map| branch.tensor(&format!("{map}.{leaf}"), shape));
                    Ok::<_, Error>(Tensor::cat(&[q?, k?, v?], 0)?)
                };
                Linear::new(&stacked("weight", &[h, h])?, Some(&stacked("bias", &[h])?))?
            }
            Qkv::Stacked { weight, bias } => {
                Linear::new(&branch.tensor(weight, &[3 * h, h])?, Some(&branch.tensor(bias, &[3 * h])?))?
            }
        };
        Ok(Self {
            qkv,
            attended: branch.linear(names.attended, h, h)?,
            attention_norm: branch.norm(names.attention_norm, h, size.eps)?,
            up: branch.linear(names.up, h, inner)?,
            down: branch.linear(names.down, inner, h)?,
            inner_norm: branch.norm(names.inner_norm, h, size.eps)?,
            heads: size.heads,
            activation: size.activation,
            order: size.order,
        })
    }

    fn forward(&self, x: &Tensor, bias: Option<&Tensor>) -> Result<Tensor, Error> {
        match self.order {
            Order::NormFirst => {
                let x = self.attend(&self.attention_norm.forward(x)?, bias, x)?;
                self.feed(&self.inner_norm.forward(&x)?, &x)
            }
            Order::NormLast => {
                let x = self.attention_norm.forward(&self.attend(x, bias, x)?)?;
                self.inner_norm.forward(&self.feed(&x, &x)?)
            }
        }
    }

    /// The feed-forward part of `x`, added to `sum`.
    fn feed(&self, x: &Tensor, sum: &Tensor) -> Result<Tensor, Error> {
        let inner = self.up.forward_activated(x, self.activation)?;
        Ok(self.down.forward_add(&inner, sum)?)
    }

    /// The linear map of all heads' attention, added to `sum`.
    fn attend(&self, x: &Tensor, bias: Option<&Tensor>, sum: &Tensor) -> Result<Tensor, Error> {
        let (b, l, h) = x.dims3()?;
        let qkv = self.qkv.forward(x)?.reshape((b, l, 3, self.heads, h / self.heads))?;
        let mixed = attention(&qkv, bias)?.reshape((b, l, h))?;
        Ok(self.attended.forward_add(&mixed, sum)?)
    }
}

/// A bias that hides padding: `[b, 1, 1, l]` from a mask `[b, l]` of ones and zeros.
pub(super) fn padding_bias(mask: &Tensor, device: &Device, dtype: DType) -> Result<Tensor, Error> {
    let (b, l) = mask.dims2()?;
    let hidden = f64::from(HIDDEN);
    let bias = mask.to_dtype(DType::F32)?.affine(-hidden, hidden)?;
    Ok(bias.to_dtype(dtype)?.to_device(device)?.reshape((b, 1, 1, l))?)
}

/// A bias that hides what comes later, `[1, 1, l, l]`.
pub(super) fn causal_bias(l: usize, device: &Device, dtype: DType) -> Result<Tensor, Error> {
    let hidden = |(i, j)| if j > i { HIDDEN } else { 0.0 };
    let bias: Vec<f32> = (0..l * l).map(|k| hidden((k / l, k % l))).collect();
    Ok(Tensor::from_vec(bias, (1, 1, l, l), &Device::Cpu)?.to_dtype(dtype)?.to_device(device)?)
}

#[cfg(test)]
mod tests {
    use candle_nn::ops::softmax_last_dim;

    use super::*;

    #[test]
    fn what_is_hidden_weighs_nothing_and_stays_finite_in_half_precision() {
        let cpu = Device::Cpu;
        for dtype in [DType::F32, DType::F16, DType::BF16] {
            let mask = Tensor::new(&[[0u8, 1, 1, 0]], &cpu).unwrap();
            let padding = padding_bias(&mask, &cpu, dtype).unwrap();
            let both = causal_bias(4, &cpu, dtype).unwrap().broadcast_minimum(&padding).unwrap();
            let scores = Tensor::full(-2000f32, (1, 2, 4, 4), &cpu).unwrap().to_dtype(dtype).unwrap();
            let weights = softmax_last_dim(&scores.broadcast_add(&both).unwrap()).unwrap();
            let rows: Vec<Vec<f32>> =
                weights.get(0).unwrap().get(1).unwrap().to_dtype(DType::F32).unwrap().to_vec2().unwrap();
            // The first row sees itself alone, which is padding: no NaN, and nobody reads it.
            assert!(rows[0].iter().all(|w| w.is_finite()), "{dtype:?} {rows:?}");
            assert_eq!(rows[1..], [[0.0, 1.0, 0.0, 0.0], [0.0, 0.5, 0.5, 0.0], [0.0, 0.5, 0.5, 0.0]]);
        }
    }
}
