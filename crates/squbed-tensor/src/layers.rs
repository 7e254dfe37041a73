//! What networks have between their products, each in one pass where there is a kernel for it.

use candle_core::{DType, Tensor};
use candle_nn::ops::{sigmoid, softmax_last_dim};

use crate::{cpu, error::Result, matmul};

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
    if qkv.device().is_cpu() && qkv.dtype() == DType::F32 {
        crate::flop::add(2 * b * heads * l * l * d);
        let op = cpu::Attention { batch: b, length: l, heads, width: d };
        let qkv = qkv.contiguous()?;
        return Ok(match bias {
            Some(bias) => qkv.apply_op2_no_bwd(bias, &op)?,
            None => qkv.apply_op1_no_bwd(&op)?,
        });
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
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    /// Numbers from −1 to 1, and the same in f64, in which no kernel of ours works.
    fn both(shape: &[usize], seed: usize) -> [Tensor; 2] {
        let count = shape.iter().product();
        let number = |i: usize| ((i * 7919 + seed * 104_729 + 13) % 2003) as f32 / 1001.0 - 1.0;
        let x = Tensor::from_vec((0..count).map(number).collect::<Vec<_>>(), shape, &Device::Cpu).unwrap();
        let double = x.to_dtype(DType::F64).unwrap();
        [x, double]
    }

    fn worst(got: &Tensor, want: &Tensor) -> f64 {
        assert_eq!(got.dims(), want.dims());
        let off = (got.to_dtype(DType::F64).unwrap() - want).unwrap().abs().unwrap();
        off.flatten_all().unwrap().to_vec1::<f64>().unwrap().into_iter().fold(0.0, f64::max)
    }

    #[test]
    fn attention_is_its_definition_at_every_size() {
        for (b, l, heads, d) in [
            (1, 1, 1, 1),
            (2, 5, 3, 8),
            (1, 16, 2, 16),
            (3, 50, 2, 64),
            (1, 77, 2, 40),
            (2, 130, 1, 80),
            (1, 200, 2, 32),
        ] {
            let [qkv, double] = both(&[b, l, 3, heads, d], l);
            let check = |bias: Option<&[Tensor; 2]>| {
                let got = attention(&qkv, bias.map(|bias| &bias[0])).unwrap();
                let want = attention(&double, bias.map(|bias| &bias[1])).unwrap();
                let worst = worst(&got, &want);
                assert!(worst < 2e-6, "{b} {l} {heads} {d}, bias {:?}: {worst}", bias.map(|b| b[0].dims()));
            };
            check(None);
            for shape in [[1, 1, l, l], [b, 1, 1, l], [b, heads, l, l], [1, heads, l, l]] {
                check(Some(&both(&shape, 3)));
            }
            // What is hidden weighs nothing; the first position is seen.
            let hidden = (0..b * l).map(|i| if i % l > 0 && i % 3 > 0 { -3e4 } else { 0.0 });
            let hidden = Tensor::from_vec(hidden.collect::<Vec<f32>>(), (b, 1, 1, l), &Device::Cpu).unwrap();
            check(Some(&[hidden.clone(), hidden.to_dtype(DType::F64).unwrap()]));
        }
        // A NaN stays in its own sequence.
        let mut numbers: Vec<f32> = both(&[2, 4, 3, 1, 4], 1)[0].flatten_all().unwrap().to_vec1().unwrap();
        numbers[0] = f32::NAN;
        let qkv = Tensor::from_vec(numbers, (2, 4, 3, 1, 4), &Device::Cpu).unwrap();
        let y: Vec<f32> = attention(&qkv, None).unwrap().flatten_all().unwrap().to_vec1().unwrap();
        assert!(y[..4].iter().all(|y| y.is_nan()) && y[16..].iter().all(|y| y.is_finite()), "{y:?}");
    }

    #[test]
    fn what_follows_a_linear_map_is_done_in_the_same_pass() {
        for (rows, input, output) in [(1, 3, 5), (7, 384, 96), (33, 20, 130), (200, 64, 64)] {
            let [weight, double] = both(&[output, input], 1);
            let [bias, of_double] = both(&[output], 2);
            let linear = crate::Linear::new(&weight, Some(&bias)).unwrap();
            let exact = crate::Linear::new(&double, Some(&of_double)).unwrap();
            let [x, of_x] = both(&[1, rows, input], 3);
            let [sum, of_sum] = both(&[1, rows, output], 4);
            let tolerance = 1e-6 * input as f64;
            let worst = |got: Result<Tensor>, want: Result<Tensor>| worst(&got.unwrap(), &want.unwrap());
            assert!(worst(linear.forward(&x), exact.forward(&of_x)) < tolerance);
            assert!(worst(linear.forward_add(&x, &sum), exact.forward_add(&of_x, &of_sum)) < tolerance);
            for activation in [Activation::Gelu, Activation::GeluTanh, Activation::QuickGelu] {
                let got = linear.forward_activated(&x, activation);
                assert!(worst(got, exact.forward_activated(&of_x, activation)) < tolerance, "{activation:?}");
            }
            let other = sum.narrow(1, 0, rows.min(2) - 1).unwrap();
            assert!(linear.forward_add(&x, &other).is_err());
        }
    }

    #[test]
    fn activations_go_by_their_names() {
        assert_eq!(Activation::parse("gelu"), Some(Activation::Gelu));
        assert_eq!(Activation::parse("gelu_new"), Some(Activation::GeluTanh));
        assert_eq!(Activation::parse("quick_gelu"), Some(Activation::QuickGelu));
        assert_eq!(Activation::parse("relu"), None);
    }
}
