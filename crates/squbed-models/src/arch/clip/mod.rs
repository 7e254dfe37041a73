//! CLIP: images and texts in one space.
//!
//! Radford et al., *Learning Transferable Visual Models From Natural Language Supervision* (ICML 2021, arXiv
//! 2103.00020). Two layouts of its checkpoints are read, that of `CLIPModel` in the Hugging Face transformers
//! library and that of OpenAI's own code, which open_clip has kept; the networks are the same.

mod config;

use candle_core::{DType, Device, Tensor};
use squbed_tensor::{Conv3d, Linear, Padding3d};

pub use config::ClipConfig;

use super::{
    bert::token_ids,
    layers::{Branch, Norm},
    transformer::{Names, Qkv, Transformer, causal_bias, padding_bias},
};
use crate::{error::Error, weights::Weights};

/// Images that pass through the network at once; one takes up to 30 MB in the largest. A GPU wants more at a time.
fn at_once(device: &Device) -> usize {
    if device.is_cpu() { 16 } else { 256 }
}

/// Names and shapes of a checkpoint's tensors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// `CLIPModel` of the transformers library.
    HuggingFace,
    /// OpenAI's and open_clip's own.
    OpenClip,
}

/// Which token's hidden state is the text's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Eos {
    /// The first with the largest id: the end's id is the last of the vocabulary.
    Largest,
    /// The first with this id.
    First(u32),
}

impl Layout {
    /// The architecture's name on the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::HuggingFace => "clip",
            Self::OpenClip => "open-clip",
        }
    }

    /// Tensors of a block.
    fn names(self) -> &'static Names {
        match self {
            Self::HuggingFace => &Names {
                qkv: Qkv::Apart(["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"]),
                attended: "self_attn.out_proj",
                attention_norm: "layer_norm1",
                up: "mlp.fc1",
                down: "mlp.fc2",
                inner_norm: "layer_norm2",
            },
            Self::OpenClip => &Names {
                qkv: Qkv::Stacked { weight: "attn.in_proj_weight", bias: "attn.in_proj_bias" },
                attended: "attn.out_proj",
                attention_norm: "ln_1",
                up: "mlp.c_fc",
                down: "mlp.c_proj",
                inner_norm: "ln_2",
            },
        }
    }

    /// The linear map into the common space, which has no bias.
    fn projection(self, branch: &Branch<'_>, from: usize, to: usize, vision: bool) -> Result<Linear, Error> {
        let weight = match self {
            Self::HuggingFace => {
                let name = if vision { "visual_projection.weight" } else { "text_projection.weight" };
                branch.tensor(name, &[to, from])?
            }
            Self::OpenClip => {
                let name = if vision { "visual.proj" } else { "text_projection" };
                branch.tensor(name, &[from, to])?.t()?
            }
        };
        Ok(Linear::new(&weight, None)?)
    }
}

/// Both towers.
pub struct Clip {
    /// That of texts.
    pub text: TextTower,
    /// That of images.
    pub vision: VisionTower,
}

impl Clip {
    /// Builds both towers from a checkpoint.
    pub fn load(
        weights: &Weights,
        config: &ClipConfig,
        device: &Device,
        dtype: DType,
    ) -> Result<Self, Error> {
        leave_training(weights);
        Ok(Self {
            text: TextTower::load(weights, config, device, dtype)?,
            vision: VisionTower::load(weights, config, device, dtype)?,
        })
    }

    /// The layout of the checkpoint that it came from.
    pub fn layout(&self) -> Layout {
        self.text.layout
    }
}

/// Beginnings of the names of the texts' tower, in either layout.
pub(crate) const TEXT: &[&str] = &[
    "text_model.",
    "text_projection",
    "token_embedding.",
    "positional_embedding",
    "transformer.",
    "ln_final.",
];
/// The same of the images' tower.
pub(crate) const VISION: &[&str] = &["vision_model.", "visual_projection.", "visual."];

/// Leaves what training alone needs, and positions that are counted here.
fn leave_training(weights: &Weights) {
    ["logit_scale", "logit_bias", "attn_mask"].into_iter().for_each(|name| weights.leave(name));
    weights.leave_ending(".position_ids");
}

/// Loads one tower alone, from a checkpoint that may hold the `other` as well.
pub(crate) fn alone<T>(
    weights: &Weights,
    other: &[&str],
    load: impl FnOnce() -> Result<T, Error>,
) -> Result<T, Error> {
    weights.all_of(|| {
        leave_training(weights);
        other.iter().for_each(|name| weights.leave(*name));
        load()
    })
}

/// The tower of texts.
pub struct TextTower {
    layout: Layout,
    words: Tensor,
    positions: Tensor,
    transformer: Transformer,
    norm: Norm,
    projection: Linear,
    eos: Eos,
}

impl TextTower {
    /// Builds the tower from a checkpoint.
    pub fn load(
        weights: &Weights,
        config: &ClipConfig,
        device: &Device,
        dtype: DType,
    ) -> Result<Self, Error> {
        let (layout, size) = (config.layout, &config.text);
        let (width, eps) = (size.blocks.width, size.blocks.eps);
        let root = Branch::new(weights, "", device, dtype);
        let [words, positions, blocks, norm] = match layout {
            Layout::HuggingFace => [
                "text_model.embeddings.token_embedding.weight",
                "text_model.embeddings.position_embedding.weight",
                "text_model.encoder.layers.",
                "text_model.final_layer_norm",
            ],
            Layout::OpenClip => {
                ["token_embedding.weight", "positional_embedding", "transformer.resblocks.", "ln_final"]
            }
        };
        Ok(Self {
            layout,
            words: root.tensor(words, &[size.vocabulary, width])?,
            positions: root.tensor(positions, &[size.context, width])?,
            transformer: Transformer::load(&root.at(blocks), layout.names(), &size.blocks)?,
            norm: root.norm(norm, width, eps)?,
            projection: layout.projection(&root, width, config.width, false)?,
            eos: size.eos,
        })
    }

    /// Token ids `[b, l]` (i64 or u32), l at most the context, to features `[b, d]` in f32, projected but not
    /// normalised. A mask `[b, l]` of ones and zeros tells tokens from padding. Without one padding may only
    /// follow the text, whose tokens do not see what comes later.
    ///
    /// # Errors
    ///
    /// Another shape, an id outside the vocabulary, a text without its end.
    pub fn forward(&self, ids: &Tensor, mask: Option<&Tensor>) -> Result<Tensor, Error> {
        let architecture = self.layout.name();
        let (vocabulary, width) = self.words.dims2()?;
        let rows = token_ids(architecture, ids, vocabulary, self.positions.dim(0)?)?;
        let (b, l) = (rows.len(), rows[0].len());
        let mut ends = Vec::with_capacity(b);
        for (row, ids) in rows.iter().enumerate() {
            let end = self.eos.of(ids);
            let position = ids.iter().position(|&id| id == end);
            ends.push((row * l + position.ok_or(Error::NoEnd { architecture, row, end })?) as u32);
        }
        let (device, dtype) = (self.words.device(), self.words.dtype());
        let mut bias = causal_bias(l, device, dtype)?;
        if let Some(mask) = mask {
            if mask.dims() != [b, l] {
                let expected = "a mask of the shape of its token ids";
                return Err(Error::Input { architecture, expected, actual: mask.dims().to_vec() });
            }
            // The lesser of the two, since their sum may be infinite in f16.
            bias = bias.broadcast_minimum(&padding_bias(mask, device, dtype)?)?;
        }
        let flat = Tensor::from_vec(rows.concat(), b * l, device)?;
        let embedded = self.words.index_select(&flat, 0)?.reshape((b, l, width))?;
        let embedded = embedded.broadcast_add(&self.positions.narrow(0, 0, l)?)?;
        let hidden = self.transformer.forward(&embedded, Some(&bias))?;
        let ends = hidden.reshape((b * l, width))?.index_select(&Tensor::new(ends, device)?, 0)?;
        Ok(self.projection.forward(&self.norm.forward(&ends)?)?.to_dtype(DType::F32)?)
    }
}

impl TextTower {
    /// Rows of the table of tokens.
    pub fn vocabulary(&self) -> usize {
        self.words.dims()[0]
    }

    /// The id that ends a text.
    pub fn end(&self) -> u32 {
        match self.eos {
            Eos::Largest => (self.vocabulary() as u32).saturating_sub(1),
            Eos::First(id) => id,
        }
    }
}

impl Eos {
    /// The id of the end of these tokens.
    fn of(self, ids: &[u32]) -> u32 {
        match self {
            Self::Largest => ids.iter().copied().max().unwrap_or(0),
            Self::First(id) => id,
        }
    }
}

/// The tower of images, a vision transformer (Dosovitskiy et al. 2021, arXiv 2010.11929).
pub struct VisionTower {
    layout: Layout,
    patches: Conv3d,
    class: Tensor,
    positions: Tensor,
    norm_before: Norm,
    transformer: Transformer,
    norm: Norm,
    projection: Linear,
    side: usize,
    dtype: DType,
}

impl VisionTower {
    /// Builds the tower from a checkpoint.
    pub fn load(
        weights: &Weights,
        config: &ClipConfig,
        device: &Device,
        dtype: DType,
    ) -> Result<Self, Error> {
        let (layout, size) = (config.layout, &config.vision);
        let (width, eps, patch) = (size.blocks.width, size.blocks.eps, size.patch);
        let root = Branch::new(weights, "", device, dtype);
        let [patches, class, positions, norm_before, blocks, norm] = match layout {
            Layout::HuggingFace => [
                "vision_model.embeddings.patch_embedding.weight",
                "vision_model.embeddings.class_embedding",
                "vision_model.embeddings.position_embedding.weight",
                // So spelt in the checkpoints.
                "vision_model.pre_layrnorm",
                "vision_model.encoder.layers.",
                "vision_model.post_layernorm",
            ],
            Layout::OpenClip => [
                "visual.conv1.weight",
                "visual.class_embedding",
                "visual.positional_embedding",
                "visual.ln_pre",
                "visual.transformer.resblocks.",
                "visual.ln_post",
            ],
        };
        // [width, 3, h, w] → [1, h, w, 3, width]
        let kernel = root.tensor(patches, &[width, 3, patch, patch])?.permute((2, 3, 1, 0))?;
        let kernel = kernel.contiguous()?.unsqueeze(0)?;
        let positions_count = (size.side / patch).pow(2) + 1;
        Ok(Self {
            layout,
            patches: Conv3d::new(&kernel, None, [1, patch, patch], &Padding3d::Valid, false)?,
            class: root.tensor(class, &[width])?,
            positions: root.tensor(positions, &[positions_count, width])?,
            norm_before: root.norm(norm_before, width, eps)?,
            transformer: Transformer::load(&root.at(blocks), layout.names(), &size.blocks)?,
            norm: root.norm(norm, width, eps)?,
            projection: layout.projection(&root, width, config.width, true)?,
            side: size.side,
            dtype,
        })
    }

    /// Pixels along a side of the images that it takes.
    pub fn side(&self) -> usize {
        self.side
    }

    /// Images `[b, s, s, 3]`, s the side that the configuration names, to features `[b, d]` in f32, projected but
    /// not normalised.
    ///
    /// # Errors
    ///
    /// Another shape.
    pub fn forward(&self, images: &Tensor) -> Result<Tensor, Error> {
        match images.dims() {
            &[b, h, w, 3] if b > 0 && h == self.side && w == self.side => {}
            dims => {
                let (architecture, side) = (self.layout.name(), self.side);
                return Err(Error::ImageSize { architecture, side, actual: dims.to_vec() });
            }
        }
        let b = images.dim(0)?;
        let most = at_once(self.class.device());
        let parts = (0..b).step_by(most).map(|at| self.part(&images.narrow(0, at, most.min(b - at))?));
        Ok(Tensor::cat(&parts.collect::<Result<Vec<_>, Error>>()?, 0)?)
    }

    fn part(&self, images: &Tensor) -> Result<Tensor, Error> {
        let images = images.to_dtype(self.dtype)?.to_device(self.class.device())?.unsqueeze(1)?;
        let patches = self.patches.forward(&images)?.flatten(1, 3)?;
        let (b, _, width) = patches.dims3()?;
        let class = self.class.broadcast_as((b, 1, width))?.contiguous()?;
        let x = Tensor::cat(&[class, patches], 1)?.broadcast_add(&self.positions)?;
        let hidden = self.transformer.forward(&self.norm_before.forward(&x)?, None)?;
        let class = hidden.narrow(1, 0, 1)?.reshape((b, width))?.contiguous()?;
        Ok(self.projection.forward(&self.norm.forward(&class)?)?.to_dtype(DType::F32)?)
    }
}
