//! Learned perceptual image patch similarity.
//!
//! Zhang, Isola, Efros, Shechtman and Wang, *The Unreasonable Effectiveness of Deep Features as a Perceptual
//! Metric* (CVPR 2018, arXiv 1801.03924), version 0.1 with its linear heads (package `lpips`): the maps of a
//! network at five depths, each position normalised to length 1 over the channels, the squared difference
//! weighted by the head, averaged over positions and summed over depths.

use candle_core::{D, DType, Device, Tensor};
use squbed_core::Frame;
use squbed_models::{
    ModelStore, Weights,
    arch::backbone::{Backbone, FeatureTower},
};

use crate::{
    error::{Error, Result},
    metric::{Metric, check_paired},
};

/// The package's `ScalingLayer`: ImageNet's mean and deviation for values in [−1, 1].
const SHIFT: [f32; 3] = [-0.030, -0.088, -0.188];
const SCALE: [f32; 3] = [0.458, 0.448, 0.450];
/// Added to a length before dividing by it.
const NORM_EPS: f64 = 1e-10;
/// Frames that pass through the network at once: VGG16's maps of one at 224×224 take some 50 MB.
const FRAMES_ON_A_CPU: usize = 4;
/// On a GPU, which a few frames leave idle: those of a whole video, as they are compared.
const FRAMES_ON_A_GPU: usize = 16;

/// LPIPS with one network.
pub struct Lpips {
    tower: FeatureTower,
    /// `[c]` of each depth.
    heads: Vec<Tensor>,
    device: Device,
    weights_sha256: String,
}

impl Lpips {
    /// From the network's checkpoint in torchvision's names and the heads in the package's,
    /// `linN.model.1.weight`.
    ///
    /// # Errors
    ///
    /// Tensors that are not there, of another shape, or not finite.
    pub fn load(
        backbone: Backbone,
        weights: &Weights,
        linear: &Weights,
        device: &Device,
        dtype: DType,
    ) -> Result<Self> {
        let tower = FeatureTower::load(backbone, weights, device, dtype)?;
        let head = |(depth, channels): (usize, usize)| {
            let name = format!("lin{depth}.model.1.weight");
            let head = linear.tensor(&name, &[1, channels, 1, 1], device, DType::F32)?;
            Ok(head.flatten_all()?)
        };
        let heads = backbone.channels().into_iter().enumerate().map(head).collect::<Result<_>>()?;
        let weights_sha256 = format!("{}+{}", weights.sha256(), linear.sha256());
        Ok(Self { tower, heads, device: device.clone(), weights_sha256 })
    }

    /// Digests of the network's and of the heads' file.
    pub fn weights_sha256(&self) -> &str {
        &self.weights_sha256
    }

    /// From the model `lpips-alex` or `lpips-vgg` of a store.
    ///
    /// # Errors
    ///
    /// Weights that are not there or not what their manifest promises.
    pub fn open(store: &ModelStore, backbone: Backbone, device: &Device, dtype: DType) -> Result<Self> {
        let model = Metric::Lpips(backbone).name();
        let weights = store.weights(model, "backbone.safetensors")?;
        let linear = store.weights(model, "linear.safetensors")?;
        Self::load(backbone, &weights, &linear, device, dtype)
    }

    /// The distance of each pair of frames, in their order; 0 where they are the same.
    ///
    /// # Errors
    ///
    /// Clips of different length, frames of different size or too small for the network.
    pub fn frames(&self, a: &[Frame], b: &[Frame]) -> Result<Vec<f64>> {
        Ok(self.clips(&[a], b)?.pop().unwrap_or_default())
    }

    /// The distances of each of several clips from one, frame by frame, as [`frames`](Self::frames) gives them. The one clip
    /// passes through the network once, a few frames at a time, so that memory is bounded whatever there is to compare.
    ///
    /// # Errors
    ///
    /// As [`frames`](Self::frames).
    pub fn clips(&self, clips: &[&[Frame]], with: &[Frame]) -> Result<Vec<Vec<f64>>> {
        let metric = Metric::Lpips(self.tower.backbone()).name();
        let least = self.tower.backbone().least_side();
        for clip in clips {
            check_paired(clip, with)?;
        }
        let mut distances = vec![Vec::with_capacity(with.len()); clips.len()];
        let all = || clips.iter().copied().flatten().chain(with);
        let Some(first) = all().next() else { return Ok(distances) };
        for frame in all() {
            let (width, height) = (frame.width(), frame.height());
            if [width, height] != [first.width(), first.height()] {
                return Err(Error::Sizes { a: [first.width(), first.height()], b: [width, height] });
            }
            if width < least || height < least {
                return Err(Error::TooSmall { metric, least, width, height });
            }
        }
        let at_once = if self.device.is_cpu() { FRAMES_ON_A_CPU } else { FRAMES_ON_A_GPU };
        for (i, with) in with.chunks(at_once).enumerate() {
            let with_maps = self.maps(&self.tensor(with)?)?;
            for (clip, distances) in clips.iter().zip(&mut distances) {
                let part = &clip[i * at_once..][..with.len()];
                let depths = self.distances(&self.maps(&self.tensor(part)?)?, &with_maps)?;
                distances.extend(depths.iter().map(|depths| depths.iter().sum::<f64>()));
            }
        }
        Ok(distances)
    }

    /// The part of each depth in the distances of images `[b, h, w, 3]` with values in [−1, 1]; their sum is
    /// the distance.
    ///
    /// # Errors
    ///
    /// Batches of different shape, or images too small for the network.
    pub fn by_depth(&self, a: &Tensor, b: &Tensor) -> Result<Vec<[f64; 5]>> {
        self.distances(&self.maps(a)?, &self.maps(b)?)
    }

    /// The maps of images at the five depths, each position at length 1 over the channels, in f32.
    fn maps(&self, images: &Tensor) -> Result<Vec<Tensor>> {
        let images = images.to_device(&self.device)?.to_dtype(DType::F32)?;
        let shift = Tensor::new(&SHIFT, &self.device)?;
        let scale = Tensor::new(&SCALE, &self.device)?;
        let maps = self.tower.forward(&images.broadcast_sub(&shift)?.broadcast_div(&scale)?)?;
        maps.iter().map(|map| unit(&map.to_dtype(DType::F32)?)).collect()
    }

    /// [`by_depth`](Self::by_depth) of their [`maps`](Self::maps).
    fn distances(&self, a: &[Tensor], b: &[Tensor]) -> Result<Vec<[f64; 5]>> {
        let mut distances = Vec::new();
        for (depth, ((a, b), head)) in a.iter().zip(b).zip(&self.heads).enumerate() {
            let (pairs, h, w, _) = a.dims4()?;
            distances.resize(pairs, [0.0; 5]);
            let difference = (a - b)?.sqr()?;
            // Not a product of matrices, whose sums depend on how many pairs there are.
            let weighted = difference.broadcast_mul(head)?.sum(D::Minus1)?.reshape((pairs, h * w))?;
            // The mean over up to 50,000 positions is taken in f64.
            for (row, distance) in weighted.to_vec2::<f32>()?.iter().zip(&mut distances) {
                distance[depth] = row.iter().map(|&x| f64::from(x)).sum::<f64>() / row.len() as f64;
            }
        }
        Ok(distances)
    }

    /// Frames of one size as `[b, h, w, 3]` with values in [−1, 1].
    fn tensor(&self, frames: &[Frame]) -> Result<Tensor> {
        let (width, height) = (frames[0].width(), frames[0].height());
        let bytes = frames.iter().flat_map(|frame| frame.rgb());
        let values: Vec<f32> = bytes.map(|&byte| f32::from(byte) / 127.5 - 1.0).collect();
        Ok(Tensor::from_vec(values, (frames.len(), height, width, 3), &self.device)?)
    }
}

/// Each position of a map `[b, h, w, c]` at length 1 over the channels.
fn unit(map: &Tensor) -> Result<Tensor> {
    let length = map.sqr()?.sum_keepdim(D::Minus1)?.sqrt()?;
    Ok(map.broadcast_div(&(length + NORM_EPS)?)?)
}
