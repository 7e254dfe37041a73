//! Layers that the transformers share, and where a checkpoint keeps their weights.

use candle_core::{CpuStorage, CustomOp1, D, DType, Device, Layout, Shape, Tensor};
use candle_nn::ops::{layer_norm, sigmoid};
use rayon::prelude::*;
use squbed_tensor::{Conv3d, Padding3d};

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
        Linear::new(&weight, Some(&self.tensor(&format!("{name}.bias"), &[output])?))
    }

    pub(super) fn norm(&self, name: &str, width: usize, eps: f64) -> Result<Norm, Error> {
        Ok(Norm {
            weight: self.tensor(&format!("{name}.weight"), &[width])?,
            bias: self.tensor(&format!("{name}.bias"), &[width])?,
            eps: eps as f32,
        })
    }
}

/// `x · weight + bias`. A linear map is a convolution whose kernel is one position, and that of
/// `squbed-tensor` keeps its weights laid out for the processor.
pub(crate) struct Linear(Conv3d);

impl Linear {
    /// `weight` is `[output, input]`, as most checkpoints have it.
    pub(crate) fn new(weight: &Tensor, bias: Option<&Tensor>) -> Result<Self, Error> {
        let (output, input) = weight.dims2()?;
        let kernel = weight.t()?.contiguous()?.reshape((1, 1, 1, input, output))?;
        Ok(Self(Conv3d::new(&kernel, bias, [1; 3], &Padding3d::Valid, false)?))
    }

    /// Of the last axis, `[.., input]` to `[.., output]`.
    pub(crate) fn forward(&self, x: &Tensor) -> Result<Tensor, Error> {
        let mut dims = x.dims().to_vec();
        let width = dims.pop().unwrap_or(0);
        // One row of positions for the whole batch.
        let y = self.0.forward(&x.reshape((1, 1, 1, dims.iter().product::<usize>(), width))?)?;
        dims.push(y.dim(D::Minus1)?);
        Ok(y.reshape(dims)?)
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

/// The non-linearity of the feed-forward part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// x·Φ(x) with the error function (Hendrycks and Gimpel 2016, arXiv 1606.08415).
    Gelu,
    /// Its approximation by tanh.
    GeluTanh,
    /// Its approximation x·σ(1.702 x), which OpenAI's CLIP was trained with.
    QuickGelu,
}

impl Activation {
    /// By the name that a `config.json` gives it.
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "gelu" => Some(Self::Gelu),
            "gelu_new" | "gelu_pytorch_tanh" => Some(Self::GeluTanh),
            "quick_gelu" => Some(Self::QuickGelu),
            _ => None,
        }
    }

    pub(super) fn forward(self, x: &Tensor) -> Result<Tensor, Error> {
        if x.device().is_cpu() && x.dtype() == DType::F32 {
            return Ok(x.contiguous()?.apply_op1_no_bwd(&self)?);
        }
        Ok(match self {
            Self::Gelu => x.gelu_erf()?,
            Self::GeluTanh => x.gelu()?,
            Self::QuickGelu => (x * sigmoid(&(x * 1.702)?)?)?,
        })
    }

    fn of(self, x: f32) -> f32 {
        match self {
            Self::Gelu => {
                0.5 * x * (1.0 + candle_core::cpu::erf::erf_f32(x * std::f32::consts::FRAC_1_SQRT_2))
            }
            Self::GeluTanh => {
                let inner = (2.0 / std::f32::consts::PI).sqrt() * (x + 0.044_715 * x * x * x);
                0.5 * x * (1.0 + inner.tanh())
            }
            Self::QuickGelu => x / (1.0 + (-1.702 * x).exp()),
        }
    }
}

/// On the CPU, where Candle's own take one thread.
impl CustomOp1 for Activation {
    fn name(&self) -> &'static str {
        "activation"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> candle_core::Result<(CpuStorage, Shape)> {
        /// Numbers in a task; one takes some ten microseconds.
        const TASK: usize = 4096;
        let x = match (storage, layout.contiguous_offsets()) {
            (CpuStorage::F32(x), Some((start, end))) => &x[start..end],
            _ => candle_core::bail!("the activation on the CPU takes contiguous f32"),
        };
        let mut y = vec![0.0; x.len()];
        y.par_chunks_mut(TASK).zip(x.par_chunks(TASK)).for_each(|(y, x)| {
            for (y, &x) in y.iter_mut().zip(x) {
                *y = self.of(x);
            }
        });
        Ok((CpuStorage::F32(y), layout.shape().clone()))
    }
}

/// Rows of length 1, `[.., d]`.
pub(crate) fn unit_rows(x: &Tensor) -> Result<Tensor, Error> {
    let norm = x.sqr()?.sum_keepdim(D::Minus1)?.sqrt()?;
    Ok(x.broadcast_div(&norm)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn activations_are_their_definitions() {
        let x: Vec<f32> = (-400..=400).map(|i| i as f32 / 40.0).collect();
        let tensor = Tensor::new(x.as_slice(), &Device::Cpu).unwrap();
        for activation in [Activation::Gelu, Activation::GeluTanh, Activation::QuickGelu] {
            let y: Vec<f32> = activation.forward(&tensor).unwrap().to_vec1().unwrap();
            let double = tensor.to_dtype(DType::F64).unwrap();
            let exact: Vec<f64> = activation.forward(&double).unwrap().to_vec1().unwrap();
            for (y, exact) in y.iter().zip(exact) {
                assert!((f64::from(*y) - exact).abs() < 1e-6, "{activation:?}: {y} for {exact}");
            }
        }
        // They are three different functions: at 1 the first has Φ(1).
        let at_one = |a: Activation| a.of(1.0);
        assert!((at_one(Activation::Gelu) - 0.841_344_7).abs() < 1e-6);
        assert!((at_one(Activation::GeluTanh) - 0.841_192).abs() < 1e-6);
        assert!((at_one(Activation::QuickGelu) - 0.845_795_6).abs() < 1e-6);
    }

    #[test]
    fn activations_go_by_their_names() {
        assert_eq!(Activation::parse("gelu"), Some(Activation::Gelu));
        assert_eq!(Activation::parse("gelu_new"), Some(Activation::GeluTanh));
        assert_eq!(Activation::parse("quick_gelu"), Some(Activation::QuickGelu));
        assert_eq!(Activation::parse("relu"), None);
    }
}
