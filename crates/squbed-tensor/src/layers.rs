//! What networks have between their products, each in one pass where there is a kernel for it.

use candle_core::{CpuStorage, CustomOp1, DType, Layout, Shape, Tensor};
use candle_nn::ops::{sigmoid, softmax_last_dim};
use rayon::prelude::*;

use crate::{error::Result, matmul};

/// Multi-head attention, softmax(q·kᵀ/√d + bias)·v: q, k and v stand side by side in `qkv` `[b, l, 3, heads, d]`, the
/// bias broadcasts to `[b, heads, l, l]`; gives `[b, l, heads, d]` (Vaswani et al. 2017, arXiv 1706.03762, equation 1).
///
/// # Errors
///
/// Shapes that do not fit.
pub fn attention(qkv: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
    let (b, l, three, heads, d) = qkv.dims5()?;
    if three != 3 {
        return Err(crate::Error::Shape {
            operation: "attention",
            expected: "[b, l, 3, heads, d]",
            actual: qkv.dims().to_vec(),
        });
    }
    #[cfg(feature = "cuda")]
    if qkv.device().is_cuda()
        && let Some(y) = crate::cuda::attention(qkv, bias)?
    {
        crate::flop::add(2 * b * heads * l * l * d);
        return Ok(y);
    }
    // [3, b, heads, l, d]
    let parts = qkv.permute((2, 0, 3, 1, 4))?;
    let [q, k, v] = [0, 1, 2].map(|i| parts.get(i).and_then(|part| part.contiguous()));
    let q = (q? / (d as f64).sqrt())?;
    let mut scores = matmul(&q, &k?.t()?)?;
    if let Some(bias) = bias {
        scores = scores.broadcast_add(bias)?;
    }
    let mixed = matmul(&softmax_last_dim(&scores)?, &v?)?;
    Ok(mixed.transpose(1, 2)?.reshape((b, l, heads, d))?)
}

/// Layer normalisation of the last axis, `weight` and `bias` as long as it (Ba et al. 2016, arXiv 1607.06450).
///
/// # Errors
///
/// Shapes that do not fit.
pub fn layer_norm(x: &Tensor, weight: &Tensor, bias: &Tensor, eps: f32) -> Result<Tensor> {
    #[cfg(feature = "cuda")]
    if x.device().is_cuda()
        && let Some(y) = crate::cuda::layer_norm(x, weight, bias, eps)?
    {
        return Ok(y);
    }
    Ok(candle_nn::ops::layer_norm(x, weight, bias, eps)?)
}

/// A volume `[b, t, h, w, c]` times the sigmoid of `g` `[b, c]`.
///
/// # Errors
///
/// Shapes that do not fit.
pub fn gate(x: &Tensor, g: &Tensor) -> Result<Tensor> {
    let (b, _, _, _, c) = x.dims5()?;
    let g = g.reshape((b, c))?;
    #[cfg(feature = "cuda")]
    if x.device().is_cuda()
        && let Some(y) = crate::cuda::gate(x, &g)?
    {
        return Ok(y);
    }
    Ok(x.broadcast_mul(&sigmoid(&g)?.reshape((b, 1, 1, 1, c))?)?)
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

    /// Of every element.
    ///
    /// # Errors
    ///
    /// Only Candle's own.
    pub fn forward(self, x: &Tensor) -> Result<Tensor> {
        if x.device().is_cpu() && x.dtype() == DType::F32 {
            return Ok(x.contiguous()?.apply_op1_no_bwd(&self)?);
        }
        #[cfg(feature = "cuda")]
        if x.device().is_cuda()
            && let Some(y) = crate::cuda::activation(x, self)?
        {
            return Ok(y);
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

#[cfg(test)]
mod tests {
    use candle_core::Device;

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
