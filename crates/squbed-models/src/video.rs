//! Encoders of video clips: resize, crop, scale, network.

use candle_core::{DType, Device, Tensor};
use rayon::prelude::*;
use squbed_core::{Clip, EncoderIdentity, Frame, Sampling};
use squbed_frame::{center_crop, resize, resize_and_crop};
use squbed_tensor::{EncodeError, VideoEncoder};

use crate::{
    arch::{VideoNetwork, inception::CLASSES},
    bare::{Head, by_clips},
    error::{Error, encode_error},
    manifest::{Architecture, Input, Modality, Normalise},
    store::Opened,
    weights::Weights,
};

/// A network of video clips with its preprocessing.
pub struct ClipEncoder {
    identity: EncoderIdentity,
    steps: Preprocessing,
    network: Box<dyn VideoNetwork>,
    architecture: Architecture,
    head: Head,
}

/// What a frame goes through before the network sees it.
#[derive(Clone, Debug)]
struct Preprocessing {
    sampling: Sampling,
    shorter_side: usize,
    square: bool,
    filter: squbed_frame::Filter,
    crop: usize,
    crop_rule: squbed_frame::CropRule,
    /// What each byte becomes, in red, green and blue.
    values: Vec<[f32; 3]>,
}

impl ClipEncoder {
    pub(crate) fn load(model: &Opened<'_>, device: &Device, dtype: DType) -> Result<Self, Error> {
        let manifest = model.manifest;
        let Input::Video {
            preprocessing,
            sampling,
            shorter_side,
            square,
            filter,
            crop,
            crop_rule,
            scale,
            offset,
            normalise,
        } = &manifest.input
        else {
            let name = manifest.name.clone();
            return Err(Error::Modality { name, takes: Modality::Text, wanted: Modality::Video });
        };
        let steps = Preprocessing {
            sampling: sampling.clone(),
            shorter_side: *shorter_side,
            square: *square,
            filter: (*filter).into(),
            crop: *crop,
            crop_rule: (*crop_rule).into(),
            values: (0..=u8::MAX).map(|byte| value(byte, *scale, *offset, normalise.as_ref())).collect(),
        };
        let weights = Weights::new(model.read("model.safetensors")?)?;
        let identity = EncoderIdentity {
            name: manifest.name.clone(),
            weights_sha256: weights.sha256().to_owned(),
            preprocessing: preprocessing.clone(),
            sampling: sampling.identity(),
            head: "embedding".to_owned(),
            dtype: dtype.as_str().to_owned(),
            dim: manifest.embedding.width,
        };
        let load = || manifest.architecture.video_network(&weights, device, dtype);
        let network = weights.all_of(load)?;
        let architecture = manifest.architecture;
        Ok(Self { identity, steps, network, architecture, head: Head::Embedding })
    }

    /// The same network with its class scores in place of embeddings.
    ///
    /// # Errors
    ///
    /// A network without classes.
    pub fn logits(self) -> Result<Self, Error> {
        self.architecture.check_head(Head::Logits)?;
        let identity = EncoderIdentity { head: Head::Logits.to_string(), dim: CLASSES, ..self.identity };
        Ok(Self { identity, head: Head::Logits, ..self })
    }

    /// A clip as the network takes it, `[t, h, w, 3]` in f32 on the CPU.
    pub fn prepare(&self, clip: &Clip) -> Result<Tensor, Error> {
        let side = self.steps.crop;
        self.network.check([clip.frames().len(), side, side])?;
        let numbers = side * side * 3;
        let mut values = vec![0f32; clip.frames().len() * numbers];
        values.par_chunks_mut(numbers).zip(clip.frames()).enumerate().try_for_each(|(i, (out, frame))| {
            let cut = self.steps.cut(frame).map_err(|source| Error::Frame { frame: i, source })?;
            for (out, rgb) in out.chunks_exact_mut(3).zip(cut.rgb().chunks_exact(3)) {
                for (channel, (out, &byte)) in out.iter_mut().zip(rgb).enumerate() {
                    *out = self.steps.values[usize::from(byte)][channel];
                }
            }
            Ok::<_, Error>(())
        })?;
        Ok(Tensor::from_vec(values, (clip.frames().len(), side, side, 3), &Device::Cpu)?)
    }
}

impl Preprocessing {
    fn cut(&self, frame: &Frame) -> Result<Frame, squbed_frame::Error> {
        let (side, crop) = (self.shorter_side, self.crop);
        if self.square {
            return center_crop(&resize(frame, side, side, self.filter)?, crop, crop, self.crop_rule);
        }
        resize_and_crop(frame, side, (crop, crop), self.filter, self.crop_rule)
    }
}

/// What a byte becomes in red, green and blue, in f32 step by step.
fn value(byte: u8, scale: f64, offset: f64, normalise: Option<&Normalise>) -> [f32; 3] {
    let scaled = f32::from(byte) * scale as f32 + offset as f32;
    [0, 1, 2].map(|c| match normalise {
        Some(Normalise { mean, std }) => (scaled - mean[c] as f32) / std[c] as f32,
        None => scaled,
    })
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
        by_clips(&*self.network, batch, self.head).map_err(|error| encode_error(&self.identity, error))
    }
}
