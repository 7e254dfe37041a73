//! `squbed embed`: texts, images, videos or ready tensors to embeddings.

use std::{
    io::Read,
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use squbed::{
    embed::{embed_images, embed_videos, to_rows},
    models::{Architecture, Head, ModelStore, load_arch},
    progress::Progress,
    store::{NpyArray, NpyData, read_npy, write_npy},
    tensor::Tensor,
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
    /// An architecture for weights of your own: bert, mpnet, xlm-roberta, clip, open-clip or i3d. Needs --weights
    /// and --tensor.
    #[arg(long, requires = "weights", requires = "tensor")]
    arch: Option<String>,
    /// Weights of --arch, a safetensors file.
    #[arg(long, requires = "arch")]
    weights: Option<PathBuf>,
    /// The checkpoint's config.json (open_clip's for open-clip), where the architecture needs it.
    #[arg(long, requires = "arch")]
    config: Option<PathBuf>,
    /// Already preprocessed input, a .npy file: [B,3,H,W] f32 for images, [B,3,T,H,W] f32 for video, token ids
    /// [B,L] i64 for text.
    #[arg(long)]
    tensor: Option<PathBuf>,
    /// Attention mask of token ids, [B,L], 1 for a token.
    #[arg(long, requires = "tensor")]
    mask: Option<PathBuf>,
    /// embedding, features, logits or pooled, as the architecture has them.
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
}

#[derive(Args)]
pub(crate) struct Image {
    #[command(flatten)]
    encoder: Encoder,
    /// Picture files, in the order of the output's rows.
    files: Vec<PathBuf>,
    /// Pictures a batch.
    #[arg(long, default_value_t = 16)]
    batch: usize,
}

#[derive(Args)]
pub(crate) struct Video {
    #[command(flatten)]
    encoder: Encoder,
    /// Video files, in the order of the output's rows.
    files: Vec<PathBuf>,
    /// Keep embeddings here, and reuse what is there.
    #[arg(long, conflicts_with = "tensor")]
    cache: Option<PathBuf>,
    /// Videos a batch.
    #[arg(long, default_value_t = 4)]
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
    /// Embeds `--tensor`, if there is one.
    fn embed_tensor(&self, common: &Common) -> anyhow::Result<Option<Done>> {
        let Some(path) = &self.tensor else { return Ok(None) };
        let (device, dtype) = super::place(common)?;
        let load = |path: &Path| -> anyhow::Result<Tensor> {
            let array = read_npy(path).map_err(squbed::Error::from)?;
            to_tensor(array, &device).with_context(|| path.display().to_string())
        };
        let input = load(path)?;
        let mask = self.mask.as_deref().map(load).transpose()?;
        let head: Head = self.output.parse().map_err(squbed::Error::from)?;
        let output = match (&self.model, &self.arch, &self.weights) {
            (Some(name), _, _) => {
                let store = ModelStore::new(None).map_err(squbed::Error::from)?;
                store.embed_tensor(name, &input, mask.as_ref(), head, &device, dtype)
            }
            (None, Some(arch), Some(weights)) => arch
                .parse::<Architecture>()
                .and_then(|arch| load_arch(arch, weights, self.config.as_deref(), &device, dtype))
                .and_then(|network| network.forward_tensor(&input, mask.as_ref(), head)),
            // clap demands one of the two.
            _ => bail!("give --model, or --arch with --weights"),
        };
        let output = output.map_err(squbed::Error::from)?;
        write_rows(&self.out, &to_rows(&output)?)?;
        Ok(Some(Done::Whole))
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

impl Text {
    fn run(self, common: &Common) -> anyhow::Result<Done> {
        if let Some(done) = self.encoder.embed_tensor(common)? {
            return Ok(done);
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
        if let Some(done) = self.encoder.embed_tensor(common)? {
            return Ok(done);
        }
        if self.files.is_empty() {
            bail!("no picture files are given");
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
            super::record_failures(parent(&self.encoder.out), &["embed"], &work.failures, &bars)?;
            bail!("none of the {} image(s) could be embedded: {}", paths.len(), work.failures[0].error);
        }
        // A row stands for each file, so that rows and files stay in step: NaN where one failed.
        let missing = vec![f32::NAN; encoder.dim()];
        let rows: Vec<Vec<f32>> =
            embeddings.into_iter().map(|row| row.unwrap_or_else(|| missing.clone())).collect();
        write_rows(&self.encoder.out, &rows)?;
        super::record_failures(parent(&self.encoder.out), &["embed"], &work.failures, &bars)
    }
}

impl Video {
    fn run(self, common: &Common) -> anyhow::Result<Done> {
        if let Some(done) = self.encoder.embed_tensor(common)? {
            return Ok(done);
        }
        if self.files.is_empty() {
            bail!("no video files are given");
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
        if work.failures.len() == paths.len() {
            super::record_failures(parent(&self.encoder.out), &["embed"], &work.failures, &bars)?;
            bail!("none of the {} video(s) could be embedded: {}", paths.len(), work.failures[0].error);
        }
        write_rows(&self.encoder.out, &rows)?;
        super::record_failures(parent(&self.encoder.out), &["embed"], &work.failures, &bars)
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

fn to_tensor(array: NpyArray, device: &squbed::tensor::Device) -> anyhow::Result<Tensor> {
    let (shape, data) = array.into_parts();
    Ok(match data {
        NpyData::F32(x) => Tensor::from_vec(x, shape, device)?,
        NpyData::F64(x) => Tensor::from_vec(x, shape, device)?,
        NpyData::I64(x) => Tensor::from_vec(x, shape, device)?,
    })
}
