//! S3D as torchvision trained it on Kinetics-400.
//!
//! Xie et al., *Rethinking Spatiotemporal Feature Learning: Speed-Accuracy Trade-offs in Video
//! Classification* (ECCV 2018, arXiv 1712.04851). Layers and names are those of torchvision's
//! `models.video.s3d`, whose weights are `s3d-d76dad2f.pth`: no gates, symmetric padding throughout, every
//! 3-D convolution parted into space and time.

use candle_core::{DType, Device, Tensor};
use squbed_tensor::{Linear, Padding3d};

use super::{
    VideoNetwork,
    inception::{
        CLASSES, ClassHead, Design, FEATURES, KineticsOutput, Loader, PoolPadding, STEM, See, Trunk,
        UnitNames, read_torch,
    },
};
use crate::{bare::Head, error::Error, weights::Weights};

/// The least clip whose last map has the 2×7×7 positions of the averaging window, over time, height, width.
const LEAST: [usize; 3] = [13, 209, 209];

const SPATIAL: UnitNames = UnitNames { convolution: "0.0", norm: "0.1" };
const TEMPORAL: UnitNames = UnitNames { convolution: "1.0", norm: "1.1" };

const DESIGN: Design = Design {
    name: "s3d-kinetics",
    layers: [
        "features.1",
        "features.2",
        "features.3",
        "features.4",
        "features.5",
        "features.6",
        "features.7",
        "features.8",
        "features.9",
        "features.10",
        "features.11",
        "features.12",
        "features.13",
        "features.14",
        "features.15",
    ],
    branches: ["branch0", "branch1.0", "branch1.1", "branch2.0", "branch2.1", "branch3.1"],
    unit: UnitNames { convolution: "0", norm: "1" },
    halves: Some([SPATIAL, TEMPORAL]),
    gates: None,
    pools: PoolPadding::Symmetric,
    epsilon: 1e-3,
    read: read_torch,
};

/// The network.
pub struct S3dKinetics {
    trunk: Trunk,
    head: ClassHead,
}

impl S3dKinetics {
    /// Builds the network from the tensors of torchvision's checkpoint, by their names there.
    pub fn load(weights: &Weights, device: &Device, dtype: DType) -> Result<Self, Error> {
        weights.leave_ending(".num_batches_tracked");
        let loader = Loader { weights, device, dtype, design: &DESIGN };
        let name = "features.0";
        let spatial = loader.folded(name, SPATIAL, [1, 7, 7], 3, STEM)?;
        let temporal = loader.folded(name, TEMPORAL, [7, 1, 1], STEM, STEM)?;
        let stem = vec![
            loader.conv(
                spatial,
                [1, 7, 7, 3, STEM],
                [1, 2, 2],
                Padding3d::Explicit([(0, 0), (3, 3), (3, 3)]),
            )?,
            loader.conv(
                temporal,
                [7, 1, 1, STEM, STEM],
                [2, 1, 1],
                Padding3d::Explicit([(3, 3), (0, 0), (0, 0)]),
            )?,
        ];
        let trunk = Trunk::load(&loader, (name, stem))?;

        let weight = weights.tensor("classifier.1.weight", &[CLASSES, FEATURES, 1, 1, 1], device, dtype)?;
        let bias = weights.tensor("classifier.1.bias", &[CLASSES], device, dtype)?;
        let head = Linear::new(&weight.reshape((CLASSES, FEATURES))?, Some(&bias))?;
        Ok(Self { trunk, head: ClassHead(head) })
    }

    /// Features and class scores of clips `[b, t, h, w, 3]`, each channel normalised as the weights were trained.
    ///
    /// # Errors
    ///
    /// A clip of fewer than 13 frames or 209×209 pixels, which torchvision's network refuses too.
    pub fn forward(&self, x: &Tensor) -> Result<KineticsOutput, Error> {
        self.forward_with(x, &mut |_, _| Ok(()))
    }

    /// [`forward`](Self::forward), showing every layer's output.
    pub fn forward_with(&self, x: &Tensor, see: &mut See<'_>) -> Result<KineticsOutput, Error> {
        if let &[_, t, h, w, _] = x.dims() {
            self.check([t, h, w])?;
        }
        self.head.forward(&self.trunk.forward(x, see)?)
    }
}

impl VideoNetwork for S3dKinetics {
    fn device(&self) -> &Device {
        &self.trunk.device
    }

    fn check(&self, size: [usize; 3]) -> Result<(), Error> {
        if size.iter().zip(LEAST).any(|(&n, least)| n < least) {
            let needs = "at least 13 frames of 209×209";
            return Err(Error::Clip { architecture: DESIGN.name, needs, size });
        }
        Ok(())
    }

    fn output(&self, clips: &Tensor, head: Head) -> Result<Tensor, Error> {
        Ok(self.forward(clips)?.head(head))
    }
}
