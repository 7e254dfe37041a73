//! The feature towers of AlexNet and VGG16: their convolutions, and the maps at five depths of them.
//!
//! AlexNet is the one-column variant of Krizhevsky, *One weird trick for parallelizing convolutional neural
//! networks* (arXiv 1404.5997), VGG16 configuration D of Simonyan and Zisserman (ICLR 2015, arXiv 1409.1556),
//! both with torchvision's layers and names, `features.N.weight`. A checkpoint may hold more, its classifier
//! for one; that is left alone.

use candle_core::{DType, Device, Tensor};
use squbed_tensor::{Conv3d, Padding3d, max_pool3d};

use crate::{error::Error, weights::Weights};

/// Which network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backbone {
    /// AlexNet: the maps after each of its five convolutions.
    AlexNet,
    /// VGG16: the maps after the last convolution at each of its five resolutions.
    Vgg16,
}

/// One layer of a plan. ReLU follows every convolution; stride is 1 where there is none.
#[derive(Clone, Copy, Debug)]
enum Layer {
    /// Layer number in `features`, output channels, side of the kernel, stride and padding.
    Conv(usize, usize, usize, usize, usize),
    /// Side of the window; the stride is 2.
    MaxPool(usize),
    /// The map as it is here is an output.
    Output,
}

use Layer::{Conv, MaxPool, Output};

const ALEX_NET: [Layer; 12] = [
    Conv(0, 64, 11, 4, 2),
    Output,
    MaxPool(3),
    Conv(3, 192, 5, 1, 2),
    Output,
    MaxPool(3),
    Conv(6, 384, 3, 1, 1),
    Output,
    Conv(8, 256, 3, 1, 1),
    Output,
    Conv(10, 256, 3, 1, 1),
    Output,
];

const VGG16: [Layer; 22] = [
    Conv(0, 64, 3, 1, 1),
    Conv(2, 64, 3, 1, 1),
    Output,
    MaxPool(2),
    Conv(5, 128, 3, 1, 1),
    Conv(7, 128, 3, 1, 1),
    Output,
    MaxPool(2),
    Conv(10, 256, 3, 1, 1),
    Conv(12, 256, 3, 1, 1),
    Conv(14, 256, 3, 1, 1),
    Output,
    MaxPool(2),
    Conv(17, 512, 3, 1, 1),
    Conv(19, 512, 3, 1, 1),
    Conv(21, 512, 3, 1, 1),
    Output,
    MaxPool(2),
    Conv(24, 512, 3, 1, 1),
    Conv(26, 512, 3, 1, 1),
    Conv(28, 512, 3, 1, 1),
    Output,
];

impl Backbone {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::AlexNet => "alexnet",
            Self::Vgg16 => "vgg16",
        }
    }

    /// Channels of the five maps.
    pub fn channels(self) -> [usize; 5] {
        match self {
            Self::AlexNet => [64, 192, 384, 256, 256],
            Self::Vgg16 => [64, 128, 256, 512, 512],
        }
    }

    /// The least height and width of an image; of a smaller one nothing would be left at some depth.
    pub fn least_side(self) -> usize {
        match self {
            Self::AlexNet => 31,
            Self::Vgg16 => 16,
        }
    }

    fn plan(self) -> &'static [Layer] {
        match self {
            Self::AlexNet => &ALEX_NET,
            Self::Vgg16 => &VGG16,
        }
    }
}

/// A network up to its last map.
pub struct FeatureTower {
    backbone: Backbone,
    steps: Vec<Step>,
    device: Device,
    dtype: DType,
}

enum Step {
    Conv(Conv3d),
    MaxPool(usize),
    Output,
}

impl FeatureTower {
    /// Builds the tower from the `features.N` tensors of a checkpoint.
    pub fn load(backbone: Backbone, weights: &Weights, device: &Device, dtype: DType) -> Result<Self, Error> {
        let mut channels = 3;
        let step = |layer: &Layer| {
            Ok(match *layer {
                Conv(number, cout, kernel, stride, padding) => {
                    let tensor = |leaf, shape: &[usize]| {
                        weights.tensor(&format!("features.{number}.{leaf}"), shape, device, dtype)
                    };
                    // [cout, cin, kh, kw] to [kt, kh, kw, cin, cout].
                    let weight = tensor("weight", &[cout, channels, kernel, kernel])?;
                    let weight = weight.permute((2, 3, 1, 0))?.unsqueeze(0)?.contiguous()?;
                    channels = cout;
                    Step::Conv(Conv3d::new(
                        &weight,
                        Some(&tensor("bias", &[cout])?),
                        [1, stride, stride],
                        &Padding3d::Explicit([(0, 0), (padding, padding), (padding, padding)]),
                        true,
                    )?)
                }
                MaxPool(side) => Step::MaxPool(side),
                Output => Step::Output,
            })
        };
        let steps = backbone.plan().iter().map(step).collect::<Result<_, Error>>()?;
        Ok(Self { backbone, steps, device: device.clone(), dtype })
    }

    /// Which network it is.
    pub fn backbone(&self) -> Backbone {
        self.backbone
    }

    /// The five maps `[b, h′, w′, c]` of images `[b, h, w, 3]`, shallowest first, in the tower's dtype.
    ///
    /// # Errors
    ///
    /// Another shape, or sides below [`Backbone::least_side`].
    pub fn forward(&self, x: &Tensor) -> Result<Vec<Tensor>, Error> {
        let least = self.backbone.least_side();
        match x.dims() {
            &[b, h, w, 3] if b > 0 && h >= least && w >= least => {}
            dims => {
                let expected = match self.backbone {
                    Backbone::AlexNet => "images [b, h, w, 3] of at least 31x31 pixels",
                    Backbone::Vgg16 => "images [b, h, w, 3] of at least 16x16 pixels",
                };
                let architecture = self.backbone.name();
                return Err(Error::Input { architecture, expected, actual: dims.to_vec() });
            }
        }
        // A clip of one frame: the kernel of 3-D convolutions is the fast one.
        let mut x = x.to_device(&self.device)?.to_dtype(self.dtype)?.unsqueeze(1)?;
        let mut maps = Vec::new();
        for step in &self.steps {
            match step {
                Step::Conv(conv) => x = conv.forward(&x)?,
                Step::MaxPool(side) => {
                    x = max_pool3d(&x, [1, *side, *side], [1, 2, 2], &Padding3d::Valid)?;
                }
                Step::Output => maps.push(x.squeeze(1)?),
            }
        }
        Ok(maps)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sides of the maps, by the rule of convolutions and windows without dilation.
    fn sides(backbone: Backbone, side: usize) -> Option<Vec<usize>> {
        let (mut side, mut sides) = (side, Vec::new());
        for layer in backbone.plan() {
            side = match *layer {
                Conv(_, _, kernel, stride, padding) => (side + 2 * padding).checked_sub(kernel)? / stride + 1,
                MaxPool(window) => side.checked_sub(window)? / 2 + 1,
                Output => {
                    sides.push(side);
                    side
                }
            };
        }
        Some(sides)
    }

    #[test]
    fn the_least_side_is_the_least() {
        for backbone in [Backbone::AlexNet, Backbone::Vgg16] {
            let least = backbone.least_side();
            assert_eq!(sides(backbone, least).map(|s| s.len()), Some(5), "{backbone:?}");
            assert_eq!(sides(backbone, least - 1), None, "{backbone:?}");
        }
        assert_eq!(sides(Backbone::AlexNet, 224).unwrap(), [55, 27, 13, 13, 13]);
        assert_eq!(sides(Backbone::Vgg16, 224).unwrap(), [224, 112, 56, 28, 14]);
    }

    #[test]
    fn every_output_follows_a_convolution_of_its_channels() {
        for backbone in [Backbone::AlexNet, Backbone::Vgg16] {
            let mut widths = Vec::new();
            for pair in backbone.plan().windows(2) {
                if let [Conv(_, cout, ..), Output] = pair {
                    widths.push(*cout);
                }
            }
            assert_eq!(widths, backbone.channels());
        }
    }
}
