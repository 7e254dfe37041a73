//! Linear maps.

use candle_core::Tensor;

use crate::{
    Activation, Conv3d, Padding3d,
    conv::Then,
    error::{Error, Result},
};

/// `x · weightᵀ + bias`, with its weights laid out for the device.
#[derive(Clone, Debug)]
pub struct Linear(Kind);

#[derive(Clone, Debug)]
enum Kind {
    /// A convolution whose kernel is one position.
    Position(Conv3d),
    #[cfg(feature = "cuda")]
    /// cuBLASLt's.
    Matrix(crate::cuda::Matrix),
}

impl Linear {
    /// `weight` is `[output, input]`, as most checkpoints have it, `bias` `[output]`.
    ///
    /// # Errors
    ///
    /// Shapes that do not fit.
    pub fn new(weight: &Tensor, bias: Option<&Tensor>) -> Result<Self> {
        let (output, input) = weight.dims2()?;
        #[cfg(feature = "cuda")]
        if weight.device().is_cuda()
            && let Some(matrix) = crate::cuda::Matrix::new(weight, bias)?
        {
            return Ok(Self(Kind::Matrix(matrix)));
        }
        let kernel = weight.t()?.contiguous()?.reshape((1, 1, 1, input, output))?;
        Ok(Self(Kind::Position(Conv3d::new(&kernel, bias, [1; 3], &Padding3d::Valid, false)?)))
    }

    /// Of the last axis, `[.., input]` to `[.., output]`.
    ///
    /// # Errors
    ///
    /// A last axis other than `input`.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.map(x, Then::Nothing)
    }

    /// [`forward`](Self::forward), and `added` `[.., output]` to it.
    ///
    /// # Errors
    ///
    /// Shapes that do not fit.
    pub fn forward_add(&self, x: &Tensor, added: &Tensor) -> Result<Tensor> {
        self.map(x, Then::Add(added))
    }

    /// [`forward`](Self::forward), and `activation` of it.
    ///
    /// # Errors
    ///
    /// A last axis other than `input`.
    pub fn forward_activated(&self, x: &Tensor, activation: Activation) -> Result<Tensor> {
        self.map(x, Then::Activation(activation))
    }

    fn map(&self, x: &Tensor, then: Then<'_>) -> Result<Tensor> {
        match &self.0 {
            Kind::Position(conv) => {
                let mut dims = x.dims().to_vec();
                let width = dims.pop().unwrap_or(0);
                // One row of positions for the whole batch.
                let rows = x.reshape((1, 1, 1, dims.iter().product::<usize>(), width))?;
                dims.push(conv.channels());
                if let Then::Add(added) = then
                    && added.dims() != dims
                {
                    return Err(Error::Shape {
                        operation: "Linear::forward_add",
                        expected: "what is added of the shape of the output",
                        actual: added.dims().to_vec(),
                    });
                }
                if let Some(y) = conv.forward_then(&rows, then)? {
                    return Ok(y.reshape(dims)?);
                }
                let y = conv.forward(&rows)?.reshape(dims)?;
                match then {
                    Then::Nothing => Ok(y),
                    Then::Add(added) => Ok((y + added)?),
                    Then::Activation(activation) => activation.forward(&y),
                }
            }
            #[cfg(feature = "cuda")]
            Kind::Matrix(matrix) => {
                let added = if let Then::Add(added) = then { Some(added) } else { None };
                let y = matrix.forward(x, added)?;
                crate::flop::add(y.elem_count() * x.dim(candle_core::D::Minus1)?);
                if let Then::Activation(activation) = then { activation.forward(&y) } else { Ok(y) }
            }
        }
    }
}
