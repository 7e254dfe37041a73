//! CLIP's embeddings of frames, made once a video and span and kept in the embedding cache.

use std::{
    collections::HashMap,
    path::Path,
    time::{Duration, Instant},
};

use candle_core::{DType, Device, Tensor};
use rayon::prelude::*;
use squbed_core::{EncoderIdentity, Frame};
use squbed_models::{ClipImages, ClipText, ModelStore};
use squbed_store::{EmbeddingCache, EmbeddingRow};
use squbed_tensor::{ImageEncoder, TextEncoder};

use super::{FRAMES, SIDE};
use crate::{
    accuracy::cosine,
    embed::{no_direction, to_rows},
    error::Result,
    progress::Progress,
};

/// Rows of the cache written as one part: of a ViT-B/32 2 MiB.
const ROWS_A_PART: usize = 64;

/// Age at which rows are written though they are fewer.
const PART_AGE: Duration = Duration::from_secs(30);

/// CLIP as its three measures need it.
pub(super) struct Clip {
    pub(super) images: ClipImages,
    /// Where the alignment is asked for.
    texts: Option<ClipText>,
}

impl Clip {
    pub(super) fn open(
        models: &ModelStore,
        name: &str,
        wants_text: bool,
        device: &Device,
        dtype: DType,
    ) -> Result<Self> {
        let images = models.clip_images(name, device, dtype)?;
        let texts = wants_text.then(|| models.clip_text(name, device, dtype)).transpose()?;
        Ok(Self { images, texts })
    }

    /// Embeddings of prompts, in their order; none where no prompt is compared.
    pub(super) fn prompts(&self, prompts: &[&str]) -> Result<Vec<Vec<f32>>> {
        self.texts.as_ref().map_or_else(|| Ok(Vec::new()), |texts| to_rows(&texts.embed(prompts)?))
    }
}

/// Frames of a video over one span of seconds, from its beginning.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key(String);

impl Key {
    /// Of the content of this digest over so many seconds.
    pub(super) fn new(digest: &str, seconds: f64) -> Self {
        Self(squbed_store::digest_text(&format!("{digest} within:{FRAMES}:{seconds}")))
    }
}

/// Frames to be embedded.
pub(super) struct Wanted<'a> {
    pub(super) key: Key,
    pub(super) source: &'a Path,
    pub(super) frames: &'a [Frame],
}

/// The embeddings of the frames of videos, one row a video and span: those of its frames after one another,
/// `[FRAMES · d]`, each of length 1.
pub(super) struct FrameRows<'a> {
    images: &'a ClipImages,
    cache: EmbeddingCache,
    /// Those of the task at hand.
    rows: HashMap<Key, Vec<f32>>,
    /// Not in the cache yet.
    pending: Vec<EmbeddingRow>,
    since: Instant,
}

impl<'a> FrameRows<'a> {
    pub(super) fn open(clip: &'a Clip, cache: &Path, progress: &dyn Progress) -> Result<Self> {
        let images = &clip.images;
        let of = ImageEncoder::identity(images);
        let identity = EncoderIdentity {
            name: format!("{}-frames", of.name),
            preprocessing: format!("{SIDE}x{SIDE} bicubic/1, {}", of.preprocessing),
            sampling: format!("{FRAMES} within the compared seconds"),
            head: format!("{} of each frame", of.head),
            dim: FRAMES * of.dim,
            ..of.clone()
        };
        let cache = EmbeddingCache::open(cache, &identity)?;
        cache.warnings().iter().for_each(|warning| progress.warn(&warning.to_string()));
        Ok(Self { images, cache, rows: HashMap::new(), pending: Vec::new(), since: Instant::now() })
    }

    /// Takes rows that the cache has.
    pub(super) fn look_up(&mut self, keys: &[Key]) -> Result<()> {
        let digests: Vec<&str> = keys.iter().map(|key| key.0.as_str()).collect();
        for (key, row) in keys.iter().zip(self.cache.get_many(&digests)?) {
            if let Some(row) = row.filter(|row| no_direction(row).is_none()) {
                self.rows.insert(key.clone(), row);
            }
        }
        Ok(())
    }

    pub(super) fn get(&self, key: &Key) -> Option<&[f32]> {
        self.rows.get(key).map(Vec::as_slice)
    }

    /// Embeds the frames of several videos in one forward pass; those whose row is there are left out.
    pub(super) fn embed(&mut self, mut wanted: Vec<Wanted<'_>>) -> Result<()> {
        let mut seen = std::collections::HashSet::new();
        wanted.retain(|w| !self.rows.contains_key(&w.key) && seen.insert(w.key.clone()));
        if wanted.is_empty() {
            return Ok(());
        }
        let frames: Vec<&Frame> = wanted.iter().flat_map(|w| w.frames).collect();
        let inputs: Vec<Tensor> =
            frames.par_iter().map(|frame| self.images.preprocess(frame)).collect::<Result<_, _>>()?;
        let batch = Tensor::stack(&inputs, 0).map_err(squbed_tensor::Error::from)?;
        let mut rows = to_rows(&self.images.embed(&batch)?)?.into_iter();
        for Wanted { key, source, frames } in wanted {
            let embedding = rows.by_ref().take(frames.len()).collect::<Vec<_>>().concat();
            if no_direction(&embedding).is_none() {
                self.pending.push(EmbeddingRow {
                    digest: key.0.clone(),
                    source: source.display().to_string(),
                    frames: frames.len(),
                    warnings: Vec::new(),
                    embedding: embedding.clone(),
                });
            }
            self.rows.insert(key, embedding);
        }
        Ok(())
    }

    /// Forgets the rows of a task that is done; the cache keeps them.
    pub(super) fn end_task(&mut self) -> Result<()> {
        self.rows.clear();
        if self.pending.len() >= ROWS_A_PART || self.since.elapsed() >= PART_AGE {
            self.keep()
        } else {
            Ok(())
        }
    }

    /// Brings what is pending to the cache.
    pub(super) fn keep(&mut self) -> Result<()> {
        self.since = Instant::now();
        if self.pending.is_empty() {
            return Ok(());
        }
        Ok(self.cache.append(&std::mem::take(&mut self.pending))?)
    }
}

/// Cosine of the means of both videos' frame embeddings.
pub(super) fn score(video: &[f32], truth: &[f32]) -> f64 {
    cosine(&mean(video), &mean(truth))
}

/// Mean cosine of frame embeddings in pairs.
pub(super) fn frame_score(video: &[f32], truth: &[f32]) -> f64 {
    let width = video.len() / FRAMES;
    let pairs = video.chunks_exact(width).zip(truth.chunks_exact(width));
    pairs.map(|(a, b)| cosine(a, b)).sum::<f64>() / FRAMES as f64
}

/// Cosine of a prompt's embedding with the mean of a video's frame embeddings.
pub(super) fn alignment(video: &[f32], prompt: &[f32]) -> f64 {
    cosine(&mean(video), prompt)
}

/// The sum of rows of length 1, whose direction is that of their mean.
fn mean(row: &[f32]) -> Vec<f32> {
    let mut mean = vec![0.0; row.len() / FRAMES];
    for frame in row.chunks_exact(row.len() / FRAMES) {
        mean.iter_mut().zip(frame).for_each(|(sum, x)| *sum += x);
    }
    mean
}
