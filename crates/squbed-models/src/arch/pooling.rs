//! Hidden states of a sentence to one vector.

use candle_core::{DType, Tensor};
use squbed_tensor::matmul;

use crate::error::Error;

/// How hidden states `[b, l, h]` become vectors `[b, h]`, as the sentence-transformers library has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pooling {
    /// The first token.
    Cls,
    /// The largest value of each number over the tokens.
    Max,
    /// Mean over the tokens.
    Mean,
    /// Sum over the tokens, divided by the square root of their count.
    MeanSqrtLength,
    /// Mean over the tokens weighted by their position, 1 for the first token.
    WeightedMean,
    /// The last token.
    Last,
}

impl Pooling {
    /// By the library's name.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "cls" => Self::Cls,
            "max" => Self::Max,
            "mean" => Self::Mean,
            "mean_sqrt_len_tokens" => Self::MeanSqrtLength,
            "weightedmean" => Self::WeightedMean,
            "lasttoken" => Self::Last,
            _ => return None,
        })
    }

    /// In f32. A mask `[b, l]` of ones and zeros tells tokens from padding; without one every position counts.
    ///
    /// # Errors
    ///
    /// A row of the mask that keeps nothing.
    pub fn pool(self, hidden: &Tensor, mask: Option<&Tensor>) -> Result<Tensor, Error> {
        let hidden = hidden.to_dtype(DType::F32)?;
        let (b, l, h) = hidden.dims3()?;
        let mask = match mask {
            Some(mask) => mask.to_dtype(DType::F32)?.to_vec2::<f32>()?,
            None => vec![vec![1.0; l]; b],
        };
        let mut weights = Vec::with_capacity(b * l);
        for (row, mask) in mask.iter().enumerate() {
            let first = mask.iter().position(|&m| m > 0.0).ok_or(Error::EmptyMask { row })?;
            let last = l - 1 - mask.iter().rev().position(|&m| m > 0.0).unwrap_or(0);
            let at = weights.len();
            weights.extend((0..l).map(|i| match self {
                Self::Cls => f32::from(i == first),
                Self::Last => f32::from(i == last),
                Self::Max => (1.0 - mask[i]) * -f32::MAX,
                Self::Mean | Self::MeanSqrtLength => mask[i],
                Self::WeightedMean if i < first => 0.0,
                Self::WeightedMean => mask[i] * (i + 1 - first) as f32,
            }));
            let sum: f32 = weights[at..].iter().sum();
            let divisor = match self {
                Self::Mean | Self::WeightedMean => sum,
                Self::MeanSqrtLength => sum.sqrt(),
                _ => 1.0,
            };
            weights[at..].iter_mut().for_each(|w| *w /= divisor);
        }
        let weights = Tensor::from_vec(weights, (b, l, 1), hidden.device())?;
        Ok(match self {
            Self::Max => hidden.broadcast_add(&weights)?.max(1)?,
            _ => matmul(&weights.transpose(1, 2)?.contiguous()?, &hidden)?.reshape((b, h))?,
        })
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    #[test]
    fn each_pooling_is_its_definition_and_ignores_padding() {
        let cpu = Device::Cpu;
        let hidden = Tensor::new(&[[[9f32, 9.0], [1.0, -2.0], [4.0, -6.0], [9.0, 9.0]]], &cpu).unwrap();
        let mask = Tensor::new(&[[0u8, 1, 1, 0]], &cpu).unwrap();
        let root = 2f32.sqrt();
        for (name, expected) in [
            ("cls", [1.0, -2.0]),
            ("max", [4.0, -2.0]),
            ("mean", [2.5, -4.0]),
            ("mean_sqrt_len_tokens", [5.0 / root, -8.0 / root]),
            ("weightedmean", [3.0, -14.0 / 3.0]),
            ("lasttoken", [4.0, -6.0]),
        ] {
            let pooling = Pooling::parse(name).unwrap();
            let check = |pooled: Tensor| {
                let pooled = pooled.to_vec2::<f32>().unwrap();
                let off = pooled[0].iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
                assert!(off < 1e-6, "{name}: {pooled:?}");
            };
            check(pooling.pool(&hidden, Some(&mask)).unwrap());
            // Alone, without a mask, the tokens give the same.
            check(pooling.pool(&hidden.narrow(1, 1, 2).unwrap(), None).unwrap());
            let empty = mask.zeros_like().unwrap();
            assert!(pooling.pool(&hidden, Some(&empty)).is_err());
        }
        assert!(Pooling::parse("median").is_none());
    }
}
