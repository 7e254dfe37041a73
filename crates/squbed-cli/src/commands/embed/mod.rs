//! `squbed embed`: texts, images, videos or ready tensors to embeddings.

mod files;
mod inputs;
mod tensor;
mod text;

use std::path::{Path, PathBuf};

use anyhow::bail;
use clap::{Args, Subcommand};
use squbed::{
    core::EncoderIdentity,
    results,
    store::{EmbeddingFormat, EmbeddingTable, write_embeddings},
};

use crate::{Common, Done};

/// What FILE may be, for `--help`.
const INPUTS: &str = "\
FILE is a file, a pattern in quotes ('clips/**/*.mp4'), a folder, whose files of the kind are taken in the
order of their names, those of its subfolders not, or - for a list of paths on stdin, one a line or, as
`find -print0` gives them, one before each NUL. The rows of the output are in the order of the input.";

/// What a text's FILE may be, for `--help`.
const TEXTS: &str = "\
FILE is a text file, a pattern in quotes ('prompts/*.txt'), a folder, whose .txt files are taken in the order
of their names, or - for stdin, which is read where no FILE is given. The rows of the output are in the order
of the input.";

#[derive(Subcommand)]
pub(crate) enum Embed {
    /// Sentences, one a line; blank lines are embedded too.
    #[command(after_help = TEXTS)]
    Text(text::Text),
    /// Picture files (PNG, JPEG, BMP, WebP).
    #[command(after_help = INPUTS)]
    Image(files::Image),
    /// Video files, and folders of frames.
    #[command(after_help = INPUTS)]
    Video(files::Video),
}

/// Which encoder, a tensor in place of files, and where the embeddings go.
#[derive(Args)]
struct Encoder {
    /// A model that `squbed models list` names.
    #[arg(long, required_unless_present = "arch", conflicts_with = "arch")]
    model: Option<String>,
    /// An architecture for weights of your own: bert, mpnet, xlm-roberta, clip, open-clip, i3d, s3d-milnce or
    /// s3d-kinetics. Needs --weights and --tensor.
    #[arg(long, requires = "weights", requires = "tensor")]
    arch: Option<String>,
    /// Weights of --arch, a safetensors file.
    #[arg(long, requires = "arch")]
    weights: Option<PathBuf>,
    /// The checkpoint's config.json (open_clip's for open-clip), where the architecture needs it.
    #[arg(long, requires = "arch")]
    config: Option<PathBuf>,
    /// Already preprocessed input in place of text or files, a .npy file or a .safetensors file of one tensor: images
    /// [B,3,H,W] or clips [B,3,T,H,W] of finite f32 (f64 is converted), or token ids [B,L] i64. I3D averages over windows
    /// that take 9 frames of 193×193; of a smaller clip they are cut to what is there, and a warning says so.
    #[arg(long)]
    tensor: Option<PathBuf>,
    /// Output of --tensor. bert, mpnet, xlm-roberta: embedding (of a --model what its module files say, of an --arch the
    /// mean over the mask, not normalised) or features (the same before a final normalisation). clip, open-clip:
    /// embedding (projected, normalised) or features (projected). i3d and s3d-kinetics: embedding, features
    /// and pooled (all three the 1024 pooled features), mixed_5c (the mean of that layer) or logits. s3d-milnce:
    /// embedding (512), features, pooled and mixed_5c (1024); of token ids embedding alone.
    #[arg(long, default_value = "embedding", requires = "tensor")]
    output: String,
    /// Where the embeddings go, in the form that the ending says: .npy (an array of f32), .safetensors (`embeddings`, and
    /// `keys` as a JSON array in the metadata), .parquet (columns key and embedding), .json or .jsonl (objects of key and
    /// embedding). A key is the text, the path as it was given, or the row of the tensor. Of what failed the embedding is
    /// NaN in arrays and null in tables. All but .npy say what made them (model, digest of the weights, preprocessing,
    /// sampling, output, arithmetic): in the metadata under `encoder` and `squbed.encoder`, in JSON in each row.
    #[arg(long)]
    out: PathBuf,
}

impl Embed {
    pub(crate) fn run(self, common: &Common) -> anyhow::Result<Done> {
        // What cannot be written is told before hours of work.
        let out = &self.encoder().out;
        EmbeddingFormat::of(out).map_err(squbed::Error::from)?;
        results::check_file(out)?;
        self.cache().map_or(Ok(()), results::check_folder)?;
        match self {
            Self::Text(text) => text.run(common),
            Self::Image(image) => image.run(common),
            Self::Video(video) => video.run(common),
        }
    }

    fn cache(&self) -> Option<&Path> {
        match self {
            Self::Text(_) => None,
            Self::Image(image) => image.cache.as_deref(),
            Self::Video(video) => video.cache.as_deref(),
        }
    }

    fn encoder(&self) -> &Encoder {
        match self {
            Self::Text(text) => &text.encoder,
            Self::Image(image) => &image.encoder,
            Self::Video(video) => &video.encoder,
        }
    }
}

impl Encoder {
    fn name(&self) -> anyhow::Result<&str> {
        match (&self.model, &self.arch) {
            (Some(name), _) => Ok(name),
            (None, Some(arch)) => {
                bail!("--arch {arch} takes preprocessed input only: give --tensor, or a --model")
            }
            (None, None) => bail!("give --model"),
        }
    }

    /// Writes a row a key, `None` where one failed.
    fn write(
        &self,
        encoder: &EncoderIdentity,
        keys: &[String],
        rows: &[Option<Vec<f32>>],
        frames: Option<usize>,
    ) -> anyhow::Result<()> {
        let table = EmbeddingTable { encoder, keys, rows, frames };
        Ok(write_embeddings(&self.out, &table).map_err(squbed::Error::from)?)
    }

    /// The folder of the output, where the failures are listed.
    fn folder(&self) -> &Path {
        self.out.parent().unwrap_or(Path::new(""))
    }
}
