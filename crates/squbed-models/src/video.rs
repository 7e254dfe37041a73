//! Encoders of video clips: resize, crop, scale, network.

use candle_core::{DType, Device, Tensor};
use rayon::prelude::*;
use squbed_core::{Clip, EncoderIdentity, Frame, Sampling};
use squbed_frame::{center_crop, resize_shorter_side};
use squbed_tensor::{EncodeError, VideoEncoder};

use crate::{
    arch::i3d::{FEATURES, I3d},
    error::{Error, encode_error},
    manifest::{CropRule, Filter, Input, Modality},
    store::Opened,
    weights::Weights,
};

/// I3D with its preprocessing.
pub struct ClipEncoder {
    identity: EncoderIdentity,
    steps: Preprocessing,
    network: I3d,
}

/// What a frame goes through before the network sees it.
#[derive(Clone, Debug)]
struct Preprocessing {
    sampling: Sampling,
    shorter_side: usize,
    filter: squbed_frame::Filter,
    crop: usize,
    crop_rule: squbed_frame::CropRule,
    scale: f32,
    offset: f32,
}

impl ClipEncoder {
    pub(crate) fn load(model: &Opened<'_>, device: &Device, dtype: DType) -> Result<Self, Error> {
        let manifest = model.manifest;
        let Input::Video { preprocessing, sampling, shorter_side, filter, crop, crop_rule, scale, offset } =
            &manifest.input
        else {
            let name = manifest.name.clone();
            return Err(Error::Modality { name, takes: Modality::Text, wanted: Modality::Video });
        };
        let steps = Preprocessing {
            sampling: sampling.clone(),
            shorter_side: *shorter_side,
            filter: match filter {
                Filter::Bilinear => squbed_frame::Filter::Bilinear,
                Filter::Bicubic => squbed_frame::Filter::Bicubic,
            },
            crop: *crop,
            crop_rule: match crop_rule {
                CropRule::Floor => squbed_frame::CropRule::Floor,
                CropRule::RoundHalfEven => squbed_frame::CropRule::RoundHalfEven,
            },
            scale: *scale as f32,
            offset: *offset as f32,
        };
        let weights = Weights::new(model.read("model.safetensors")?)?;
        let identity = EncoderIdentity {
            name: manifest.name.clone(),
            weights_sha256: weights.sha256().to_owned(),
            preprocessing: preprocessing.clone(),
            sampling: sampling.to_string(),
            head: "embedding".to_owned(),
            dtype: dtype.as_str().to_owned(),
            dim: FEATURES,
        };
        let network = weights.all_of(|| I3d::load(&weights, device, dtype))?;
        Ok(Self { identity, steps, network })
    }

    /// Gives the network away.
    pub fn into_network(self) -> I3d {
        self.network
    }

    /// The network, for outputs other than the embedding.
    pub fn network(&self) -> &I3d {
        &self.network
    }

    /// A clip as the network takes it, `[t, h, w, 3]` in f32 on the CPU.
    pub fn prepare(&self, clip: &Clip) -> Result<Tensor, Error> {
        let side = self.steps.crop;
        let numbers = side * side * 3;
        let mut values = vec![0f32; clip.frames().len() * numbers];
        values.par_chunks_mut(numbers).zip(clip.frames()).enumerate().try_for_each(|(i, (out, frame))| {
            let cut = self.steps.cut(frame).map_err(|source| Error::Frame { frame: i, source })?;
            for (out, &byte) in out.iter_mut().zip(cut.rgb()) {
                *out = f32::from(byte) * self.steps.scale + self.steps.offset;
            }
            Ok::<_, Error>(())
        })?;
        Ok(Tensor::from_vec(values, (clip.frames().len(), side, side, 3), &Device::Cpu)?)
    }
}

impl Preprocessing {
    fn cut(&self, frame: &Frame) -> Result<Frame, squbed_frame::Error> {
        let resized = resize_shorter_side(frame, self.shorter_side, self.filter)?;
        center_crop(&resized, self.crop, self.crop, self.crop_rule)
    }
}

impl VideoEncoder for ClipEncoder {
    fn identity(&self) -> &EncoderIdentity {
        &self.identity
    }

    fn sampling(&self) -> &Sampling {
        &self.steps.sampling
    }

    fn preprocess(&self, clip: &Clip) -> Result<Tensor, EncodeError> {
        self.prepare(clip).map_err(|error| encode_error(&self.identity, error))
    }

    fn embed(&self, batch: &Tensor) -> Result<Tensor, EncodeError> {
        self.network
            .forward(batch)
            .map(|output| output.pooled)
            .map_err(|error| encode_error(&self.identity, error))
    }
}
