//! Sizes of both towers, from the transformers library's `config.json` or from open_clip's.

use std::path::Path;

use serde::Deserialize;
use squbed_tensor::Activation;

use super::{Eos, Layout};
use crate::{
    arch::transformer::{Order, Size},
    error::Error,
};

/// What a configuration says of the network.
#[derive(Clone, Debug)]
pub struct ClipConfig {
    pub(super) layout: Layout,
    /// Numbers in an embedding.
    pub(super) width: usize,
    pub(super) text: TextSize,
    pub(super) vision: VisionSize,
}

#[derive(Clone, Debug)]
pub(super) struct TextSize {
    pub(super) blocks: Size,
    pub(super) vocabulary: usize,
    /// Tokens in the longest text.
    pub(super) context: usize,
    pub(super) eos: Eos,
}

#[derive(Clone, Debug)]
pub(super) struct VisionSize {
    pub(super) blocks: Size,
    /// Pixels along a side of an image.
    pub(super) side: usize,
    /// Pixels along a side of a patch.
    pub(super) patch: usize,
}

impl ClipConfig {
    /// Reads the content of the configuration at `file`.
    pub fn parse(layout: Layout, file: &Path, bytes: &[u8]) -> Result<Self, Error> {
        let json = |source| Error::Json { file: file.to_path_buf(), source };
        let refusal = match layout {
            Layout::HuggingFace => serde_json::from_slice::<HuggingFace>(bytes).map_err(json)?.sizes(),
            Layout::OpenClip => {
                let given: serde_json::Value = serde_json::from_slice(bytes).map_err(json)?;
                // open_clip_config.json wraps what its model_configs/*.json hold bare.
                let model = given.get("model_cfg").unwrap_or(&given).clone();
                serde_json::from_value::<OpenClip>(model).map_err(json)?.sizes()
            }
        };
        refusal.and_then(Self::checked).map_err(|(field, value, expected)| Error::Config {
            file: file.to_path_buf(),
            field,
            value,
            expected,
        })
    }

    /// Numbers in an embedding.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Pixels along a side of the images that the network takes.
    pub fn side(&self) -> usize {
        self.vision.side
    }

    /// Tokens in the longest text, those of its begin and end included.
    pub fn context(&self) -> usize {
        self.text.context
    }

    /// Rows of the table of tokens.
    pub fn vocabulary(&self) -> usize {
        self.text.vocabulary
    }

    fn checked(self) -> Result<Self, Refusal> {
        for Size { width, heads, eps, .. } in [self.text.blocks, self.vision.blocks] {
            if heads == 0 || width == 0 || !width.is_multiple_of(heads) {
                return Err(refusal("heads", heads, "the width of a tower is a multiple of them"));
            }
            if !(eps > 0.0 && eps < 1.0) {
                return Err(refusal("layer_norm_eps", eps, "it lies between 0 and 1"));
            }
        }
        let VisionSize { side, patch, .. } = self.vision;
        if patch == 0 || side < patch {
            return Err(refusal("patch_size", patch, "it lies between 1 and `image_size`"));
        }
        Ok(self)
    }
}

/// Field, value, and what it may be.
type Refusal = (&'static str, String, &'static str);

fn refusal(field: &'static str, value: impl ToString, expected: &'static str) -> Refusal {
    (field, value.to_string(), expected)
}

/// `CLIPConfig` of transformers; what it leaves out has that library's defaults, ViT-B/32.
#[derive(Deserialize)]
struct HuggingFace {
    model_type: Option<String>,
    projection_dim: Option<usize>,
    text_config: HuggingFaceTower,
    vision_config: HuggingFaceTower,
}

#[derive(Deserialize)]
struct HuggingFaceTower {
    vocab_size: Option<usize>,
    hidden_size: Option<usize>,
    intermediate_size: Option<usize>,
    num_hidden_layers: Option<usize>,
    num_attention_heads: Option<usize>,
    max_position_embeddings: Option<usize>,
    layer_norm_eps: Option<f64>,
    hidden_act: Option<String>,
    eos_token_id: Option<u32>,
    image_size: Option<usize>,
    patch_size: Option<usize>,
    num_channels: Option<usize>,
}

impl HuggingFace {
    fn sizes(self) -> Result<ClipConfig, Refusal> {
        if let Some(given) = self.model_type.filter(|given| given != "clip") {
            return Err(refusal("model_type", given, "the checkpoint is of another architecture"));
        }
        let (text, vision) = (self.text_config, self.vision_config);
        if let Some(channels) = vision.num_channels.filter(|&channels| channels != 3) {
            return Err(refusal("num_channels", channels, "images are RGB"));
        }
        Ok(ClipConfig {
            layout: Layout::HuggingFace,
            width: self.projection_dim.unwrap_or(512),
            text: TextSize {
                blocks: text.blocks(512, 8)?,
                vocabulary: text.vocab_size.unwrap_or(49_408),
                context: text.max_position_embeddings.unwrap_or(77),
                // 2 is what configurations of the first checkpoints say by mistake; the library then takes the
                // largest id, which is their true end.
                eos: match text.eos_token_id.unwrap_or(49_407) {
                    2 => Eos::Largest,
                    id => Eos::First(id),
                },
            },
            vision: VisionSize {
                blocks: vision.blocks(768, 12)?,
                side: vision.image_size.unwrap_or(224),
                patch: vision.patch_size.unwrap_or(32),
            },
        })
    }
}

impl HuggingFaceTower {
    fn blocks(&self, width: usize, heads: usize) -> Result<Size, Refusal> {
        let activation = self.hidden_act.as_deref().unwrap_or("quick_gelu");
        Ok(Size {
            width: self.hidden_size.unwrap_or(width),
            layers: self.num_hidden_layers.unwrap_or(12),
            heads: self.num_attention_heads.unwrap_or(heads),
            inner: self.intermediate_size.unwrap_or(4 * width),
            eps: self.layer_norm_eps.unwrap_or(1e-5),
            activation: Activation::parse(activation).ok_or_else(|| {
                refusal(
                    "hidden_act",
                    activation,
                    "built are gelu, gelu_new, gelu_pytorch_tanh and quick_gelu",
                )
            })?,
            order: Order::NormFirst,
        })
    }
}

/// A model of open_clip; what it leaves out has that library's defaults. Its many experiments are refused by name
/// rather than left out in silence.
#[derive(Deserialize)]
struct OpenClip {
    embed_dim: usize,
    #[serde(default)]
    quick_gelu: bool,
    #[serde(default)]
    custom_text: bool,
    text_cfg: OpenClipText,
    vision_cfg: OpenClipVision,
}

#[derive(Deserialize)]
#[serde(default)]
struct OpenClipText {
    context_length: usize,
    vocab_size: usize,
    width: usize,
    heads: usize,
    layers: usize,
    mlp_ratio: f64,
    #[serde(flatten)]
    rest: serde_json::Map<String, serde_json::Value>,
}

impl Default for OpenClipText {
    fn default() -> Self {
        Self {
            context_length: 77,
            vocab_size: 49_408,
            width: 512,
            heads: 8,
            layers: 12,
            mlp_ratio: 4.0,
            rest: Default::default(),
        }
    }
}

#[derive(Deserialize)]
#[serde(default)]
struct OpenClipVision {
    image_size: usize,
    patch_size: usize,
    width: usize,
    head_width: usize,
    layers: usize,
    mlp_ratio: f64,
    #[serde(flatten)]
    rest: serde_json::Map<String, serde_json::Value>,
}

impl Default for OpenClipVision {
    fn default() -> Self {
        Self {
            image_size: 224,
            patch_size: 16,
            width: 768,
            head_width: 64,
            layers: 12,
            mlp_ratio: 4.0,
            rest: Default::default(),
        }
    }
}

impl OpenClip {
    fn sizes(self) -> Result<ClipConfig, Refusal> {
        if self.custom_text {
            return Err(refusal("custom_text", true, "only open_clip's own text tower is built"));
        }
        let (text, vision) = (self.text_cfg, self.vision_cfg);
        plain(&text.rest)?;
        plain(&vision.rest)?;
        let activation = if self.quick_gelu { Activation::QuickGelu } else { Activation::Gelu };
        let blocks = |width: usize, heads, layers, mlp_ratio: f64| Size {
            width,
            layers,
            heads,
            inner: (width as f64 * mlp_ratio) as usize,
            eps: 1e-5,
            activation,
            order: Order::NormFirst,
        };
        let heads = vision.width.checked_div(vision.head_width).unwrap_or(0);
        Ok(ClipConfig {
            layout: Layout::OpenClip,
            width: self.embed_dim,
            text: TextSize {
                blocks: blocks(text.width, text.heads, text.layers, text.mlp_ratio),
                vocabulary: text.vocab_size,
                context: text.context_length,
                eos: Eos::Largest,
            },
            vision: VisionSize {
                blocks: blocks(vision.width, heads, vision.layers, vision.mlp_ratio),
                side: vision.image_size,
                patch: vision.patch_size,
            },
        })
    }
}

/// Options that change what is computed, with the values that do not.
const OPTIONS: [(&str, &[&str]); 21] = [
    ("pool_type", &["\"tok\"", "\"argmax\""]),
    ("timm_model_name", &["\"\""]),
    ("hf_model_name", &["\"\""]),
    ("ls_init_value", &[]),
    ("attentional_pool", &["false", "\"\""]),
    ("embed_cls", &["false"]),
    ("no_causal_mask", &["false"]),
    ("no_ln_pre", &["false"]),
    ("final_ln_after_pool", &["false"]),
    ("pos_embed_type", &["\"learnable\""]),
    ("proj_type", &["\"linear\""]),
    ("proj_bias", &["false"]),
    ("act_kwargs", &["{}"]),
    ("norm_kwargs", &["{}"]),
    ("block_type", &["\"default\""]),
    ("qk_norm", &["false"]),
    ("scaled_cosine_attn", &["false"]),
    ("scale_heads", &["false"]),
    ("scale_attn_inner", &["false"]),
    ("scale_attn", &["false"]),
    ("scale_fc", &["false"]),
];

fn plain(options: &serde_json::Map<String, serde_json::Value>) -> Result<(), Refusal> {
    for (option, harmless) in OPTIONS {
        let given = options.get(option).filter(|value| !value.is_null()).map(ToString::to_string);
        if let Some(given) = given.filter(|given| !harmless.contains(&given.as_str())) {
            return Err(refusal(option, given, "this option of open_clip is not built"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(layout: Layout, json: &str) -> Result<ClipConfig, Error> {
        ClipConfig::parse(layout, Path::new("config.json"), json.as_bytes())
    }

    #[test]
    fn what_is_left_out_has_the_librarys_default() {
        let config =
            parse(Layout::HuggingFace, r#"{"model_type": "clip", "text_config": {}, "vision_config": {}}"#)
                .unwrap();
        assert_eq!((config.width(), config.side(), config.context()), (512, 224, 77));
        assert_eq!((config.vision.patch, config.vision.blocks.inner), (32, 3072));
        assert_eq!(config.text.eos, Eos::First(49_407));
        assert_eq!(config.text.blocks.activation, Activation::QuickGelu);

        let config = parse(
            Layout::OpenClip,
            r#"{"model_cfg": {"embed_dim": 1024, "vision_cfg": {"width": 1280, "head_width": 80, "patch_size": 14},
                "text_cfg": {"width": 1024, "heads": 16, "layers": 24}}, "preprocess_cfg": {}}"#,
        )
        .unwrap();
        assert_eq!((config.vision.blocks.heads, config.text.blocks.inner), (16, 4096));
        assert_eq!((config.text.eos, config.text.blocks.activation), (Eos::Largest, Activation::Gelu));
    }

    #[test]
    fn the_end_that_old_configurations_name_means_the_largest_id() {
        let json = r#"{"text_config": {"eos_token_id": 2}, "vision_config": {}}"#;
        assert_eq!(parse(Layout::HuggingFace, json).unwrap().text.eos, Eos::Largest);
    }

    #[test]
    fn what_is_not_built_is_refused_by_name() {
        for (layout, json, field) in [
            (
                Layout::HuggingFace,
                r#"{"model_type": "siglip", "text_config": {}, "vision_config": {}}"#,
                "model_type",
            ),
            (
                Layout::HuggingFace,
                r#"{"text_config": {"hidden_act": "relu"}, "vision_config": {}}"#,
                "hidden_act",
            ),
            (Layout::HuggingFace, r#"{"text_config": {}, "vision_config": {"patch_size": 0}}"#, "patch_size"),
            (
                Layout::HuggingFace,
                r#"{"text_config": {"num_attention_heads": 7}, "vision_config": {}}"#,
                "heads",
            ),
            (
                Layout::OpenClip,
                r#"{"embed_dim": 8, "text_cfg": {"hf_model_name": "roberta-base"}, "vision_cfg": {}}"#,
                "hf_model_name",
            ),
            (
                Layout::OpenClip,
                r#"{"embed_dim": 8, "text_cfg": {"no_causal_mask": true}, "vision_cfg": {}}"#,
                "no_causal_mask",
            ),
            (
                Layout::OpenClip,
                r#"{"embed_dim": 8, "text_cfg": {}, "vision_cfg": {"attentional_pool": true}}"#,
                "attentional_pool",
            ),
            (
                Layout::OpenClip,
                r#"{"embed_dim": 8, "custom_text": true, "text_cfg": {}, "vision_cfg": {}}"#,
                "custom_text",
            ),
        ] {
            let message = parse(layout, json).unwrap_err().to_string();
            assert!(message.starts_with(&format!("config.json: `{field}` is ")), "{message}");
        }
        let resnet = r#"{"embed_dim": 8, "text_cfg": {}, "vision_cfg": {"layers": [3, 4, 6, 3]}}"#;
        assert!(matches!(parse(Layout::OpenClip, resnet), Err(Error::Json { .. })));
    }
}
