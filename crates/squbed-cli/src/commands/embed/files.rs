//! `squbed embed image` and `squbed embed video`.

use std::path::{Path, PathBuf};

use clap::Args;
use squbed::{
    core::EncoderIdentity,
    embed::{Embeddings, Work, embed_images, embed_videos_within},
    models::{Modality, ModelStore},
    tensor::VideoEncoder,
};

use super::{
    Encoder,
    inputs::{Kind, expand},
};
use crate::{
    Common, Done,
    commands::limits::{DecodeLimits, PictureLimits},
    progress::Bars,
};

#[derive(Args)]
pub(crate) struct Image {
    #[command(flatten)]
    pub(super) encoder: Encoder,
    /// Picture files, in the order of the output's rows; see below.
    #[arg(value_name = "FILE", conflicts_with = "tensor")]
    files: Vec<PathBuf>,
    /// Keep embeddings here, and reuse what is there.
    #[arg(long, conflicts_with = "tensor")]
    pub(super) cache: Option<PathBuf>,
    /// Pictures a batch.
    #[arg(long, default_value_t = 16, conflicts_with = "tensor")]
    batch: usize,
    #[command(flatten)]
    limits: PictureLimits,
}

#[derive(Args)]
pub(crate) struct Video {
    #[command(flatten)]
    pub(super) encoder: Encoder,
    /// Video files, in the order of the output's rows; see below. A folder with pictures right in it is a video of these
    /// frames.
    #[arg(value_name = "FILE", conflicts_with = "tensor")]
    files: Vec<PathBuf>,
    /// Keep embeddings here, and reuse what is there.
    #[arg(long, conflicts_with = "tensor")]
    pub(super) cache: Option<PathBuf>,
    /// Videos a batch.
    #[arg(long, default_value_t = 4, conflicts_with = "tensor")]
    batch: usize,
    /// An embedding of each frame in place of one of the video: of a model of images, such as CLIP. Arrays are then
    /// [videos, frames, numbers], tables have a row a frame and a column `frame`.
    #[arg(long, conflicts_with = "tensor")]
    per_frame: bool,
    #[command(flatten)]
    limits: DecodeLimits,
}

impl Image {
    pub(super) fn run(self, common: &Common) -> anyhow::Result<Done> {
        if let Some(tensor) = &self.encoder.tensor {
            return self.encoder.embed_tensor(tensor, None, Modality::Image, common);
        }
        let files = expand(&self.files, Kind::Images)?;
        let paths: Vec<&Path> = files.iter().map(PathBuf::as_path).collect();
        let (device, dtype) = crate::commands::place(common)?;
        let name = self.encoder.name()?;
        let encoder = ModelStore::new(None)
            .and_then(|store| store.image_encoder(name, &device, dtype))
            .map_err(squbed::Error::from)?;
        let bars = Bars::new(common.quiet);
        let (cache, limits) = (self.cache.as_deref(), self.limits.get());
        let (embeddings, work) = embed_images(&paths, &*encoder, cache, self.batch, &limits, &bars)?;
        self.encoder.write_files(&paths, &embeddings, (encoder.identity(), None), &work, "image(s)", &bars)
    }
}

impl Video {
    pub(super) fn run(self, common: &Common) -> anyhow::Result<Done> {
        if let Some(tensor) = &self.encoder.tensor {
            return self.encoder.embed_tensor(tensor, None, Modality::Video, common);
        }
        let files = expand(&self.files, Kind::Videos)?;
        let paths: Vec<&Path> = files.iter().map(PathBuf::as_path).collect();
        let (device, dtype) = crate::commands::place(common)?;
        let name = self.encoder.name()?;
        let store = ModelStore::new(None).map_err(squbed::Error::from)?;
        let bars = Bars::new(common.quiet);
        let (cache, limits) = (self.cache.as_deref(), self.limits.get());
        let embed = |encoder: &dyn VideoEncoder| {
            embed_videos_within(&paths, encoder, cache, self.batch, &limits, &bars)
        };
        if self.per_frame {
            let encoder = store.frame_encoder(name, &device, dtype).map_err(squbed::Error::from)?;
            let (embeddings, _, work) = embed(&encoder)?;
            let of = (&encoder.frame_identity(), Some(encoder.frames()));
            return self.encoder.write_files(&paths, &embeddings, of, &work, "video(s)", &bars);
        }
        let encoder = store.video_encoder(name, &device, dtype).map_err(squbed::Error::from)?;
        let (embeddings, _, work) = embed(&*encoder)?;
        self.encoder.write_files(&paths, &embeddings, (encoder.identity(), None), &work, "video(s)", &bars)
    }
}

impl Encoder {
    /// Writes a row a file, so that rows and files stay in step, and records what failed. Where all failed nothing is
    /// written. `of` is what made an embedding, and how many frames of a video have one each.
    fn write_files(
        &self,
        paths: &[&Path],
        embeddings: &Embeddings,
        of: (&EncoderIdentity, Option<usize>),
        work: &Work,
        what: &str,
        bars: &Bars,
    ) -> anyhow::Result<Done> {
        if work.reused > 0 {
            bars.note(&format!("{} of {} reused", work.reused, work.reused + work.computed));
        }
        let rows: Vec<Option<Vec<f32>>> =
            paths.iter().map(|path| embeddings.file(path).map(<[f32]>::to_vec)).collect();
        let done = crate::commands::record_failures(self.folder(), &["embed"], paths, &work.failures, bars)?;
        if rows.iter().all(Option::is_none) {
            let none = format!("none of the {} {what} could be embedded", paths.len());
            return Ok(crate::commands::nothing(&none, &work.failures, self.folder()));
        }
        let keys: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
        self.write(of.0, &keys, &rows, of.1)?;
        Ok(done)
    }
}
