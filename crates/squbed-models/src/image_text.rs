//! Encoders of images, texts and video clips in one space: CLIP.

use candle_core::{DType, Device, Tensor};
use squbed_core::{Clip, EncoderIdentity, Frame, Sampling};
use squbed_frame::resize_and_crop;
use squbed_tensor::{EncodeError, ImageEncoder, TextEncoder, VideoEncoder};

use crate::{
    arch::{
        clip::{self, ClipConfig, Layout, TextTower, VisionTower},
        unit_rows,
    },
    error::{Error, encode_error},
    manifest::{Architecture, Input, Manifest, Modality},
    store::Opened,
    text::{ModelTokenizer, each_batch, padded},
    weights::Weights,
};

/// CLIP's tower of texts with its tokenizer.
pub struct ClipText {
    identity: EncoderIdentity,
    tokenizer: ModelTokenizer,
    tower: TextTower,
}

/// CLIP's tower of images with its preprocessing.
pub struct ClipImages {
    identity: EncoderIdentity,
    steps: Steps,
    tower: VisionTower,
}

/// An encoder of images as one of video clips: the normalised mean of the frames' normalised embeddings.
pub struct FrameMean<E> {
    identity: EncoderIdentity,
    sampling: Sampling,
    images: E,
}

/// An encoder of images as one of video clips that keeps the frames apart: a row of a clip holds the normalised embeddings
/// of its frames one after another, `[t · d]`.
pub struct EachFrame<E> {
    identity: EncoderIdentity,
    frames: usize,
    of: FrameMean<E>,
}

/// What an image goes through before the network sees it.
#[derive(Clone, Debug)]
struct Steps {
    side: usize,
    filter: squbed_frame::Filter,
    crop_rule: squbed_frame::CropRule,
    mean: [f32; 3],
    std: [f32; 3],
}

/// The files of a model of either layout.
struct Files {
    config: ClipConfig,
    weights: Weights,
}

impl Files {
    fn read(model: &Opened<'_>) -> Result<Self, Error> {
        let (layout, config, weights) = match model.manifest.architecture {
            Architecture::OpenClip => {
                (Layout::OpenClip, "open_clip_config.json", "open_clip_model.safetensors")
            }
            _ => (Layout::HuggingFace, "config.json", "model.safetensors"),
        };
        let config = model.read(config)?;
        let (file, config) = (config.path.clone(), ClipConfig::parse(layout, &config.path, &config.bytes)?);
        if config.width() != model.manifest.embedding.width {
            return Err(Error::Config {
                file,
                field: if layout == Layout::OpenClip { "embed_dim" } else { "projection_dim" },
                value: config.width().to_string(),
                expected: "the manifest's `embedding.width` is another",
            });
        }
        Ok(Self { config, weights: Weights::new(model.read(weights)?)? })
    }

    fn identity(
        &self,
        manifest: &Manifest,
        preprocessing: &str,
        head: &str,
        dtype: DType,
    ) -> EncoderIdentity {
        EncoderIdentity {
            name: manifest.name.clone(),
            weights_sha256: self.weights.sha256().to_owned(),
            preprocessing: preprocessing.to_owned(),
            sampling: String::new(),
            head: head.to_owned(),
            dtype: dtype.as_str().to_owned(),
            dim: self.config.width(),
        }
    }
}

/// Both towers of a model, without tokenizer and preprocessing.
pub(crate) fn network(model: &Opened<'_>, device: &Device, dtype: DType) -> Result<clip::Clip, Error> {
    let files = Files::read(model)?;
    files.weights.all_of(|| clip::Clip::load(&files.weights, &files.config, device, dtype))
}

impl ClipText {
    pub(crate) fn load(model: &Opened<'_>, device: &Device, dtype: DType) -> Result<Self, Error> {
        let Input::ImageText { preprocessing, max_tokens, .. } = &model.manifest.input else {
            return Err(Error::modality(model.manifest, Modality::Text));
        };
        let files = Files::read(model)?;
        let tokenizer = ModelTokenizer::load(model, *max_tokens, files.config.vocabulary())?;
        let load = || TextTower::load(&files.weights, &files.config, device, dtype);
        Ok(Self {
            identity: files.identity(model.manifest, preprocessing, "text", dtype),
            tokenizer,
            tower: clip::alone(&files.weights, clip::VISION, load)?,
        })
    }

    /// Token ids of a text, special tokens included, cut at the model's limit.
    pub fn token_ids(&self, text: &str) -> Result<Vec<u32>, Error> {
        Ok(self.tokenizer.encode(&[text])?.concat())
    }

    /// Embeddings `[b, d]` in f32 of the texts, in their order, each of length 1.
    pub fn encode(&self, texts: &[&str]) -> Result<Tensor, Error> {
        let ids = self.tokenizer.encode(texts)?;
        each_batch(&ids, self.identity.dim, |rows| {
            // The padding follows a text's end, so that nothing that is read sees it, whatever it is.
            let (ids, _) = padded(rows, 0)?;
            unit_rows(&self.tower.forward(&ids, None)?)
        })
    }
}

impl TextEncoder for ClipText {
    fn identity(&self) -> &EncoderIdentity {
        &self.identity
    }

    fn embed(&self, texts: &[&str]) -> Result<Tensor, EncodeError> {
        self.encode(texts).map_err(|error| encode_error(&self.identity, error))
    }

    fn characters_cut(&self, texts: &[&str]) -> Result<Vec<usize>, EncodeError> {
        self.tokenizer.cut(texts).map_err(|error| encode_error(&self.identity, error))
    }
}

impl ClipImages {
    pub(crate) fn load(model: &Opened<'_>, device: &Device, dtype: DType) -> Result<Self, Error> {
        let manifest = model.manifest;
        let Input::ImageText { preprocessing, side, filter, crop_rule, mean, std, .. } = &manifest.input
        else {
            return Err(Error::modality(manifest, Modality::Image));
        };
        let files = Files::read(model)?;
        if files.config.side() != *side {
            let architecture = manifest.architecture.name();
            let (expected, actual) = (files.config.side(), vec![*side, *side]);
            return Err(Error::ImageSize { architecture, side: expected, actual });
        }
        let steps = Steps {
            side: *side,
            filter: (*filter).into(),
            crop_rule: (*crop_rule).into(),
            mean: *mean,
            std: *std,
        };
        let load = || VisionTower::load(&files.weights, &files.config, device, dtype);
        Ok(Self {
            identity: files.identity(manifest, preprocessing, "image", dtype),
            steps,
            tower: clip::alone(&files.weights, clip::TEXT, load)?,
        })
    }

    /// An image as the network takes it, `[side, side, 3]` in f32 on the CPU.
    pub fn prepare(&self, image: &Frame) -> Result<Tensor, Error> {
        let values = self.steps.prepare(image).map_err(|source| Error::Image { source })?;
        Ok(Tensor::from_vec(values, (self.steps.side, self.steps.side, 3), &Device::Cpu)?)
    }

    /// Embeddings `[b, d]` in f32 of prepared images `[b, side, side, 3]`, each of length 1.
    pub fn encode(&self, images: &Tensor) -> Result<Tensor, Error> {
        unit_rows(&self.tower.forward(images)?)
    }
}

impl Steps {
    fn prepare(&self, image: &Frame) -> Result<Vec<f32>, squbed_frame::Error> {
        let cut = resize_and_crop(image, self.side, (self.side, self.side), self.filter, self.crop_rule)?;
        let normalised =
            |(i, &byte): (usize, &u8)| (f32::from(byte) / 255.0 - self.mean[i % 3]) / self.std[i % 3];
        Ok(cut.rgb().iter().enumerate().map(normalised).collect())
    }
}

impl ImageEncoder for ClipImages {
    fn identity(&self) -> &EncoderIdentity {
        &self.identity
    }

    fn preprocess(&self, image: &Frame) -> Result<Tensor, EncodeError> {
        self.prepare(image).map_err(|error| encode_error(&self.identity, error))
    }

    fn embed(&self, batch: &Tensor) -> Result<Tensor, EncodeError> {
        self.encode(batch).map_err(|error| encode_error(&self.identity, error))
    }
}

impl<E: ImageEncoder> FrameMean<E> {
    /// Of the frames that `sampling` chooses.
    pub fn new(images: E, sampling: Sampling) -> Self {
        let identity = EncoderIdentity {
            sampling: sampling.identity(),
            head: format!("mean of {}", images.identity().head),
            ..images.identity().clone()
        };
        Self { identity, sampling, images }
    }

    /// Embeddings of length 1 of each frame, `[b, t, d]` in f32, of clips `[b, t, h, w, 3]`.
    ///
    /// # Errors
    ///
    /// Another shape, or a device that fails.
    pub fn frames(&self, clips: &Tensor) -> Result<Tensor, EncodeError> {
        let fail = |error: candle_core::Error| encode_error(&self.identity, error.into());
        let (b, t, h, w, c) = clips.dims5().map_err(fail)?;
        let frames = clips.reshape((b * t, h, w, c)).map_err(fail)?;
        let rows = self.images.embed(&frames)?;
        let rows = unit_rows(&rows).map_err(|error| encode_error(&self.identity, error))?;
        rows.reshape((b, t, ())).map_err(fail)
    }
}

impl<E: ImageEncoder> VideoEncoder for FrameMean<E> {
    fn identity(&self) -> &EncoderIdentity {
        &self.identity
    }

    fn sampling(&self) -> &Sampling {
        &self.sampling
    }

    fn preprocess(&self, clip: &Clip) -> Result<Tensor, EncodeError> {
        let frames: Vec<Tensor> =
            clip.frames().iter().map(|frame| self.images.preprocess(frame)).collect::<Result<_, _>>()?;
        Tensor::stack(&frames, 0).map_err(|error| encode_error(&self.identity, error.into()))
    }

    fn embed(&self, batch: &Tensor) -> Result<Tensor, EncodeError> {
        let mean = self.frames(batch)?.mean(1).map_err(Error::from).and_then(|mean| unit_rows(&mean));
        mean.map_err(|error| encode_error(&self.identity, error))
    }
}

impl<E: ImageEncoder> EachFrame<E> {
    /// Of the frames that `sampling` chooses.
    ///
    /// # Errors
    ///
    /// A sampling that gives longer videos more frames, whose rows would not be of one length.
    pub fn new(images: E, sampling: Sampling) -> Result<Self, Error> {
        let of = images.identity();
        let Some(frames) = sampling.fixed_count() else {
            return Err(Error::FramesByLength { name: of.name.clone(), sampling: sampling.to_string() });
        };
        let identity = EncoderIdentity {
            sampling: sampling.identity(),
            head: format!("{} of each frame", of.head),
            dim: frames * of.dim,
            ..of.clone()
        };
        Ok(Self { identity, frames, of: FrameMean::new(images, sampling) })
    }

    /// How many frames a row holds.
    pub fn frames(&self) -> usize {
        self.frames
    }

    /// What made the embedding of one frame.
    pub fn frame_identity(&self) -> EncoderIdentity {
        EncoderIdentity { dim: self.identity.dim / self.frames, ..self.identity.clone() }
    }
}

impl<E: ImageEncoder> VideoEncoder for EachFrame<E> {
    fn identity(&self) -> &EncoderIdentity {
        &self.identity
    }

    fn sampling(&self) -> &Sampling {
        &self.of.sampling
    }

    fn preprocess(&self, clip: &Clip) -> Result<Tensor, EncodeError> {
        self.of.preprocess(clip)
    }

    fn embed(&self, batch: &Tensor) -> Result<Tensor, EncodeError> {
        let rows = self.of.frames(batch)?.flatten_from(1);
        rows.map_err(|error| encode_error(&self.identity, error.into()))
    }
}
