//! Layers that the transformers share, and where a checkpoint keeps their weights.

use candle_core::{D, DType, Device, Tensor};
use squbed_tensor::{Linear, layer_norm};

use crate::{error::Error, weights::Weights};

/// A branch of a checkpoint's names, and what its tensors become.
pub(super) struct Branch<'w> {
    weights: &'w Weights,
    path: String,
    device: &'w Device,
    dtype: DType,
}

impl<'w> Branch<'w> {
    pub(super) fn new(weights: &'w Weights, path: &str, device: &'w Device, dtype: DType) -> Self {
        Self { weights, path: path.to_owned(), device, dtype }
    }

    pub(super) fn at(&self, name: &str) -> Self {
        Self { path: format!("{}{name}", self.path), ..*self }
    }

    pub(super) fn tensor(&self, name: &str, shape: &[usize]) -> Result<Tensor, Error> {
        self.weights.tensor(&format!("{}{name}", self.path), shape, self.device, self.dtype)
    }

    /// `{name}.weight`, `[output, input]`, with `{name}.bias`.
    pub(super) fn linear(&self, name: &str, input: usize, output: usize) -> Result<Linear, Error> {
        let weight = self.tensor(&format!("{name}.weight"), &[output, input])?;
        Ok(Linear::new(&weight, Some(&self.tensor(&format!("{name}.bias"), &[output])?))?)
    }

    pub(super) fn norm(&self, name: &str, width: usize, eps: f64) -> Result<Norm, Error> {
        Ok(Norm {
            weight: self.tensor(&format!("{name}.weight"), &[width])?,
            bias: self.tensor(&format!("{name}.bias"), &[width])?,
            eps: eps as f32,
        })
    }
}

/// Layer normalisation of the last axis (Ba et al. 2016, arXiv 1607.06450).
pub(super) struct Norm {
    weight: Tensor,
    bias: Tensor,
    eps: f32,
}

impl Norm {
    pub(super) fn forward(&self, x: &Tensor) -> Result<Tensor, Error> {
        Ok(layer_norm(x, &self.weight, &self.bias, self.eps)?)
    }
}

/// Rows of length 1, `[.., d]`.
pub(crate) fn unit_rows(x: &Tensor) -> Result<Tensor, Error> {
    let norm = x.sqr()?.sum_keepdim(D::Minus1)?.sqrt()?;
    Ok(x.broadcast_div(&norm)?)
}
