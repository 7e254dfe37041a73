//! `squbed embed`: texts, images, videos or ready tensors to embeddings.

use std::{
    io::Read,
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use squbed::{
    embed::{embed_images, embed_videos, read_tensor, to_rows},
    models::{Architecture, Clips, Images, Modality, ModelStore, Prepared, Tokens, load_arch},
    progress::Progress,
    store::{NpyArray, NpyData, write_npy},
};

use crate::{Common, Done, progress::Bars};

#[derive(Subcommand)]
pub(crate) enum Embed {
    /// One sentence a line on stdin; blank lines are embedded too.
    Text(Text),
    /// Picture files (PNG, JPEG, BMP, WebP).
    Image(Image),
    /// Video files.
    Video(Video),
}

/// Which encoder, and a tensor in place of files.
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
    /// Already preprocessed input in place of text or files, a .npy file: images [B,3,H,W] or clips [B,3,T,H,W] of finite
    /// f32 (f64 is converted), or token ids [B,L] i64. I3D averages over windows that take 9 frames of 193×193; of a
    /// smaller clip they are cut to what is there, and a warning says so.
    #[arg(long)]
    tensor: Option<PathBuf>,
    /// Output of --tensor. bert, mpnet, xlm-roberta: embedding (of a --model what its module files say, of an --arch the
    /// mean over the mask, not normalised) or features (the same before a final normalisation). clip, open-clip:
    /// embedding (projected, normalised) or features (projected). i3d and s3d-kinetics: embedding, features
    /// and pooled (all three the 1024 pooled features), mixed_5c (the mean of that layer) or logits. s3d-milnce:
    /// embedding (512), features, pooled and mixed_5c (1024); of token ids embedding alone.
    #[arg(long, default_value = "embedding", requires = "tensor")]
    output: String,
    /// Where the embeddings go, a .npy file of f32.
    #[arg(long)]
    out: PathBuf,
}

#[derive(Args)]
pub(crate) struct Text {
    #[command(flatten)]
    encoder: Encoder,
    /// Each line of stdin is a JSON string, so that any text can be carried.
    #[arg(long, conflicts_with = "tensor")]
    json_lines: bool,
    /// Mask of the token ids, [B,L]: 1 for a token, 0 for padding, at least one token a row.
    #[arg(long, requires = "tensor")]
    mask: Option<PathBuf>,
}

#[derive(Args)]
pub(crate) struct Image {
    #[command(flatten)]
    encoder: Encoder,
    /// Picture files, in the order of the output's rows.
    #[arg(conflicts_with = "tensor")]
    files: Vec<PathBuf>,
    /// Pictures a batch.
    #[arg(long, default_value_t = 16, conflicts_with = "tensor")]
    batch: usize,
}

#[derive(Args)]
pub(crate) struct Video {
    #[command(flatten)]
    encoder: Encoder,
    /// Video files, or folders of frames, in the order of the output's rows.
    #[arg(conflicts_with = "tensor")]
    files: Vec<PathBuf>,
    /// Keep embeddings here, and reuse what is there.
    #[arg(long, conflicts_with = "tensor")]
    cache: Option<PathBuf>,
    /// Videos a batch.
    #[arg(long, default_value_t = 4, conflicts_with = "tensor")]
    batch: usize,
}

impl Embed {
    pub(crate) fn run(self, common: &Common) -> anyhow::Result<Done> {
        match self {
            Self::Text(text) => text.run(common),
            Self::Image(image) => image.run(common),
            Self::Video(video) => video.run(common),
        }
    }
}

impl Encoder {
    /// Embeds what `--tensor` gives.
    fn embed_tensor(
        &self,
        tensor: &Path,
        mask: Option<&Path>,
        wanted: Modality,
        common: &Common,
    ) -> anyhow::Result<Done> {
        let (device, dtype) = super::place(common)?;
        let store = ModelStore::new(None).map_err(squbed::Error::from)?;
        let architecture = match (&self.model, &self.arch) {
            (Some(name), _) => store.manifest(name).map(|manifest| manifest.architecture),
            (None, Some(arch)) => arch.parse(),
            // clap demands one of the two.
            (None, None) => bail!("give --model, or --arch with --weights"),
        };
        let architecture: Architecture = architecture.map_err(squbed::Error::from)?;
        if !architecture.takes(wanted) {
            let commands = [
                (Modality::Text, "embed text"),
                (Modality::Image, "embed image"),
                (Modality::Video, "embed video"),
            ];
            let command = commands.into_iter().find(|(modality, _)| architecture.takes(*modality));
            bail!(
                "`{}` takes {}, not {wanted}; use `squbed {}`",
                self.model.as_deref().unwrap_or(architecture.name()),
                architecture.modality(),
                command.map_or("score pair", |(_, command)| command),
            );
        }
        let head = architecture.head(&self.output).map_err(squbed::Error::from)?;
        let input = prepared(tensor, mask, wanted)?;
        let output = match (&self.model, &self.weights) {
            (Some(name), _) => store.embed_tensor(name, &input, head, &device, dtype),
            (None, Some(weights)) => load_arch(architecture, weights, self.config.as_deref(), &device, dtype)
                .and_then(|network| network.forward_tensor(&input, head)),
            (None, None) => bail!("--arch {architecture} needs --weights"),
        };
        let output = output
            .map_err(squbed::Error::from)
            .with_context(|| format!("cannot embed {}", tensor.display()))?;
        if let (Prepared::Clips(clips), Architecture::I3d) = (&input, architecture)
            && let Some(remark) = clips.remark_for_i3d()
        {
            Bars::new(common.quiet).warn(&remark);
        }
        write_rows(&self.out, &to_rows(&output)?)?;
        Ok(Done::Whole)
    }

    fn name(&self) -> anyhow::Result<&str> {
        match (&self.model, &self.arch) {
            (Some(name), _) => Ok(name),
            (None, Some(arch)) => {
                bail!("--arch {arch} takes preprocessed input only: give --tensor, or a --model")
            }
            (None, None) => bail!("give --model"),
        }
    }
}

/// The input of `--tensor` and `--mask`, checked; an error names its file.
fn prepared(tensor: &Path, mask: Option<&Path>, modality: Modality) -> anyhow::Result<Prepared> {
    let x = read_tensor(tensor)?;
    let of_tensor = || format!("{} cannot be embedded", tensor.display());
    if modality == Modality::Image {
        let images = Images::new(&x).map_err(squbed::Error::from).with_context(of_tensor)?;
        return Ok(Prepared::Images(images));
    }
    if modality == Modality::Video {
        let clips = Clips::new(&x).map_err(squbed::Error::from).with_context(of_tensor)?;
        return Ok(Prepared::Clips(clips));
    }
    let tokens = Tokens::new(&x).map_err(squbed::Error::from).with_context(of_tensor)?;
    let Some(mask) = mask else { return Ok(Prepared::Tokens(tokens)) };
    let tokens = tokens
        .with_mask(&read_tensor(mask)?)
        .map_err(squbed::Error::from)
        .with_context(|| format!("{} is no mask of {}", mask.display(), tensor.display()))?;
    Ok(Prepared::Tokens(tokens))
}

impl Text {
    fn run(self, common: &Common) -> anyhow::Result<Done> {
        if let Some(tensor) = &self.encoder.tensor {
            return self.encoder.embed_tensor(tensor, self.mask.as_deref(), Modality::Text, common);
        }
        let mut input = String::new();
        std::io::stdin().read_to_string(&mut input).context("stdin is not UTF-8 text")?;
        let texts: Vec<String> = if self.json_lines {
            let string = |(i, line): (usize, &str)| {
                serde_json::from_str(line)
                    .with_context(|| format!("stdin, line {}: not a JSON string", i + 1))
            };
            input.lines().enumerate().map(string).collect::<anyhow::Result<_>>()?
        } else {
            input.lines().map(str::to_owned).collect()
        };
        if texts.is_empty() {
            bail!("stdin holds no text; give one sentence a line");
        }
        let (device, dtype) = super::place(common)?;
        let name = self.encoder.name()?;
        let encoder = ModelStore::new(None)
            .and_then(|store| store.text_encoder(name, &device, dtype))
            .map_err(squbed::Error::from)?;
        let bars = Bars::new(common.quiet);
        bars.begin("embed", texts.len() as u64, "sentences");
        let mut rows = Vec::with_capacity(texts.len());
        for step in texts.chunks(1024) {
            let step: Vec<&str> = step.iter().map(String::as_str).collect();
            rows.extend(to_rows(&encoder.embed(&step).map_err(squbed::Error::from)?)?);
            bars.advance(step.len() as u64);
        }
        bars.end();
        write_rows(&self.encoder.out, &rows)?;
        Ok(Done::Whole)
    }
}

impl Image {
    fn run(self, common: &Common) -> anyhow::Result<Done> {
        if let Some(tensor) = &self.encoder.tensor {
            return self.encoder.embed_tensor(tensor, None, Modality::Image, common);
        }
        if self.files.is_empty() {
            bail!("no picture files are given; name one at least");
        }
        let (device, dtype) = super::place(common)?;
        let name = self.encoder.name()?;
        let encoder = ModelStore::new(None)
            .and_then(|store| store.image_encoder(name, &device, dtype))
            .map_err(squbed::Error::from)?;
        let bars = Bars::new(common.quiet);
        let paths: Vec<&Path> = self.files.iter().map(PathBuf::as_path).collect();
        let (embeddings, work) = embed_images(&paths, &*encoder, self.batch, &bars)?;
        if work.computed == 0 {
            super::record_failures(parent(&self.encoder.out), &["embed"], &paths, &work.failures, &bars)?;
            bail!("none of the {} image(s) could be embedded: {}", paths.len(), work.failures[0].error);
        }
        // A row stands for each file, so that rows and files stay in step: NaN where one failed.
        let missing = vec![f32::NAN; encoder.dim()];
        let rows: Vec<Vec<f32>> =
            embeddings.into_iter().map(|row| row.unwrap_or_else(|| missing.clone())).collect();
        write_rows(&self.encoder.out, &rows)?;
        super::record_failures(parent(&self.encoder.out), &["embed"], &paths, &work.failures, &bars)
    }
}

impl Video {
    fn run(self, common: &Common) -> anyhow::Result<Done> {
        if let Some(tensor) = &self.encoder.tensor {
            return self.encoder.embed_tensor(tensor, None, Modality::Video, common);
        }
        if self.files.is_empty() {
            bail!("no video files are given; name one at least");
        }
        let (device, dtype) = super::place(common)?;
        let name = self.encoder.name()?;
        let encoder = ModelStore::new(None)
            .and_then(|store| store.video_encoder(name, &device, dtype))
            .map_err(squbed::Error::from)?;
        let bars = Bars::new(common.quiet);
        let paths: Vec<&Path> = self.files.iter().map(PathBuf::as_path).collect();
        let (embeddings, _, work) =
            embed_videos(&paths, &*encoder, self.cache.as_deref(), self.batch, &bars)?;
        if work.reused > 0 {
            bars.note(&format!("{} of {} reused", work.reused, work.reused + work.computed));
        }
        // A row stands for each file, so that rows and files stay in step: NaN where one failed.
        let dim = embeddings.identity().dim;
        let rows: Vec<Vec<f32>> = paths
            .iter()
            .map(|path| embeddings.video(path).map_or_else(|| vec![f32::NAN; dim], <[f32]>::to_vec))
            .collect();
        let folder = parent(&self.encoder.out);
        let done = super::record_failures(folder, &["embed"], &paths, &work.failures, &bars)?;
        if paths.iter().all(|path| embeddings.video(path).is_none()) {
            let why = work.failures.first().map_or("", |failure| &failure.error);
            bail!("none of the {} video(s) could be embedded, the first because: {why}", paths.len());
        }
        write_rows(&self.encoder.out, &rows)?;
        Ok(done)
    }
}

fn parent(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new(""))
}

fn write_rows(path: &Path, rows: &[Vec<f32>]) -> anyhow::Result<()> {
    let dim = rows.first().map_or(0, Vec::len);
    let array = NpyArray::new(vec![rows.len(), dim], NpyData::F32(rows.concat()))?;
    Ok(write_npy(path, &array).map_err(squbed::Error::from)?)
}
