//! Embeddings of prompts and videos, computed once and kept in a cache.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Instant,
};

use candle_core::{DType, Tensor};
use rayon::prelude::*;
use squbed_core::{Clip, EncoderIdentity, Task};
use squbed_store::{EmbeddingCache, EmbeddingRow, Failure};
use squbed_tensor::{ImageEncoder, TextEncoder, VideoEncoder};

use crate::{
    baseline,
    error::{Error, Result},
    method::TaskEmbeddings,
    progress::Progress,
};

/// Embeddings of one encoder, found by the text or by the video's path.
#[derive(Clone, Debug)]
pub struct Embeddings {
    identity: EncoderIdentity,
    digests: BTreeMap<PathBuf, String>,
    rows: BTreeMap<String, Vec<f32>>,
}

/// What a call of [`embed_texts`] or [`embed_videos`] did.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Work {
    /// Items found in the cache.
    pub reused: usize,
    /// Items embedded now.
    pub computed: usize,
    /// Seconds that took.
    pub seconds: f64,
    /// Items that failed, and why.
    pub failures: Vec<Failure>,
}

impl Embeddings {
    fn new(identity: EncoderIdentity) -> Self {
        Self { identity, digests: BTreeMap::new(), rows: BTreeMap::new() }
    }

    /// What made them.
    pub fn identity(&self) -> &EncoderIdentity {
        &self.identity
    }

    /// The embedding of a video file.
    pub fn video(&self, path: &Path) -> Option<&[f32]> {
        self.rows.get(self.digests.get(path)?).map(Vec::as_slice)
    }

    /// The embedding of a text.
    pub fn text(&self, text: &str) -> Option<&[f32]> {
        self.rows.get(&squbed_store::digest_text(text)).map(Vec::as_slice)
    }
}

/// Rows of the cache written as one part.
const ROWS_A_PART: usize = 256;

/// Texts embedded before the rate is told again.
const TEXTS_A_STEP: usize = 256;

/// Embeds texts that the cache, where one is given, does not hold, in their order, each distinct text once.
pub fn embed_texts(
    texts: &[&str],
    encoder: &dyn TextEncoder,
    cache: Option<&Path>,
    progress: &dyn Progress,
) -> Result<(Embeddings, Work)> {
    let mut cache = open(cache, encoder.identity())?;
    let mut embeddings = Embeddings::new(encoder.identity().clone());
    let mut wanted: BTreeMap<String, &str> = BTreeMap::new();
    let mut order = Vec::new();
    for text in texts {
        let digest = squbed_store::digest_text(text);
        if wanted.insert(digest.clone(), text).is_none() {
            order.push(digest);
        }
    }
    let missing = take_cached(&mut cache, &order, &mut embeddings)?;
    let started = Instant::now();
    progress.begin("embed prompts", missing.len() as u64, "sentences");
    for step in missing.chunks(TEXTS_A_STEP) {
        let batch: Vec<&str> = step.iter().map(|digest| wanted[digest]).collect();
        let rows = to_rows(&encoder.embed(&batch)?)?;
        let stored: Vec<EmbeddingRow> = step
            .iter()
            .zip(rows)
            .map(|(digest, embedding)| EmbeddingRow {
                digest: digest.clone(),
                source: wanted[digest].to_owned(),
                frames: 0,
                warnings: Vec::new(),
                embedding,
            })
            .collect();
        store(cache.as_mut(), stored, &mut embeddings)?;
        progress.advance(step.len() as u64);
    }
    progress.end();
    let work = Work {
        reused: order.len() - missing.len(),
        computed: missing.len(),
        seconds: started.elapsed().as_secs_f64(),
        failures: Vec::new(),
    };
    Ok((embeddings, work))
}

/// Embeds videos that the cache, where one is given, does not hold, with their colour histograms from the same decoded frames.
///
/// A video that cannot be read is recorded in the result's failures, and the others go on. Batches are
/// cut from the missing videos in their order.
pub fn embed_videos(
    paths: &[&Path],
    encoder: &dyn VideoEncoder,
    cache: Option<&Path>,
    batch: usize,
    progress: &dyn Progress,
) -> Result<(Embeddings, Embeddings, Work)> {
    if batch == 0 {
        return Err(Error::TooSmall { name: "batch", value: batch, least: 1 });
    }
    let histogram_identity = baseline::histogram_identity(encoder.sampling());
    let mut video_cache = open(cache, encoder.identity())?;
    let mut histogram_cache = open(cache, &histogram_identity)?;
    let mut videos = Embeddings::new(encoder.identity().clone());
    let mut histograms = Embeddings::new(histogram_identity);

    let (digests, mut failures) = digest_files(paths);
    let mut sources: BTreeMap<String, &Path> = BTreeMap::new();
    let mut order = Vec::new();
    for &path in paths {
        let Some(digest) = digests.get(path) else { continue };
        if sources.insert(digest.clone(), path).is_none() {
            order.push(digest.clone());
        }
    }
    videos.digests.clone_from(&digests);
    histograms.digests = digests;
    let without_video = take_cached(&mut video_cache, &order, &mut videos)?;
    let without_histogram = take_cached(&mut histogram_cache, &order, &mut histograms)?;
    let missing: Vec<String> = order
        .iter()
        .filter(|d| without_video.contains(d) || without_histogram.contains(d))
        .cloned()
        .collect();

    let started = Instant::now();
    let mut computed = 0;
    progress.begin("embed videos", missing.len() as u64, "clips");
    let mut video_rows = Vec::new();
    let mut histogram_rows = Vec::new();
    for step in missing.chunks(batch) {
        let decoded: Vec<_> = step.par_iter().map(|digest| decode(sources[digest], encoder)).collect();
        let mut good = Vec::new();
        for (digest, decoded) in step.iter().zip(decoded) {
            match decoded {
                Ok(decoded) => good.push((digest, decoded)),
                Err(failure) => failures.push(failure),
            }
        }
        if !good.is_empty() {
            let inputs: Vec<&Tensor> = good.iter().map(|(_, d)| &d.input).collect();
            let stacked = Tensor::stack(&inputs, 0).map_err(squbed_tensor::Error::from)?;
            let rows = to_rows(&encoder.embed(&stacked)?)?;
            for ((digest, decoded), embedding) in good.into_iter().zip(rows) {
                let row = |embedding| EmbeddingRow {
                    digest: digest.clone(),
                    source: sources[digest].display().to_string(),
                    frames: decoded.frames,
                    warnings: decoded.warnings.clone(),
                    embedding,
                };
                video_rows.push(row(embedding));
                histogram_rows.push(row(decoded.histogram.clone()));
                computed += 1;
            }
        }
        if video_rows.len() >= ROWS_A_PART {
            store(video_cache.as_mut(), std::mem::take(&mut video_rows), &mut videos)?;
            store(histogram_cache.as_mut(), std::mem::take(&mut histogram_rows), &mut histograms)?;
        }
        progress.advance(step.len() as u64);
    }
    store(video_cache.as_mut(), std::mem::take(&mut video_rows), &mut videos)?;
    store(histogram_cache.as_mut(), std::mem::take(&mut histogram_rows), &mut histograms)?;
    progress.end();
    let work = Work {
        reused: order.len() - missing.len(),
        computed,
        seconds: started.elapsed().as_secs_f64(),
        failures,
    };
    Ok((videos, histograms, work))
}

/// Embeds pictures in their order, in batches; `None` where one cannot be read, which is recorded in the
/// result's failures.
pub fn embed_images(
    paths: &[&Path],
    encoder: &dyn ImageEncoder,
    batch: usize,
    progress: &dyn Progress,
) -> Result<(Vec<Option<Vec<f32>>>, Work)> {
    if batch == 0 {
        return Err(Error::TooSmall { name: "batch", value: batch, least: 1 });
    }
    let started = Instant::now();
    let mut embeddings = Vec::with_capacity(paths.len());
    let mut failures = Vec::new();
    progress.begin("embed images", paths.len() as u64, "images");
    for step in paths.chunks(batch) {
        let inputs: Vec<_> = step.par_iter().map(|path| prepare_image(path, encoder)).collect();
        let good: Vec<&Tensor> = inputs.iter().filter_map(|input| input.as_ref().ok()).collect();
        let mut rows = Vec::new();
        if !good.is_empty() {
            let stacked = Tensor::stack(&good, 0).map_err(squbed_tensor::Error::from)?;
            rows = to_rows(&encoder.embed(&stacked)?)?;
        }
        let mut rows = rows.into_iter();
        for input in inputs {
            embeddings.push(match input {
                Ok(_) => rows.next(),
                Err(failure) => {
                    failures.push(failure);
                    None
                }
            });
        }
        progress.advance(step.len() as u64);
    }
    progress.end();
    let computed = paths.len() - failures.len();
    Ok((embeddings, Work { reused: 0, computed, seconds: started.elapsed().as_secs_f64(), failures }))
}

fn prepare_image(path: &Path, encoder: &dyn ImageEncoder) -> Result<Tensor, Failure> {
    let failed =
        |error: &(dyn std::error::Error + 'static)| Failure::new("embed", &path.display().to_string(), error);
    let image = squbed_video::read_picture(path, &Default::default()).map_err(|e| failed(&e))?;
    encoder.preprocess(&image).map_err(|e| failed(&e))
}

struct DecodedInput {
    input: Tensor,
    histogram: Vec<f32>,
    frames: usize,
    warnings: Vec<String>,
}

fn decode(path: &Path, encoder: &dyn VideoEncoder) -> Result<DecodedInput, Failure> {
    let failed =
        |error: &(dyn std::error::Error + 'static)| Failure::new("embed", &path.display().to_string(), error);
    let mut decoded =
        squbed_video::decode(path, std::slice::from_ref(encoder.sampling()), &Default::default())
            .map_err(|e| failed(&e))?;
    let clip: Clip = decoded.clips.remove(0);
    Ok(DecodedInput {
        input: encoder.preprocess(&clip).map_err(|e| failed(&e))?,
        histogram: baseline::colour_histogram(&clip),
        frames: clip.frames().len(),
        warnings: decoded.warnings.iter().map(ToString::to_string).collect(),
    })
}

/// Content digests of the files that can be read, and the failures of the others.
fn digest_files(paths: &[&Path]) -> (BTreeMap<PathBuf, String>, Vec<Failure>) {
    let distinct: std::collections::BTreeSet<&Path> = paths.iter().copied().collect();
    let results: Vec<(&Path, Result<String, squbed_store::Error>)> = distinct
        .into_iter()
        .collect::<Vec<_>>()
        .into_par_iter()
        .map(|path| (path, squbed_store::digest_file(path)))
        .collect();
    let mut digests = BTreeMap::new();
    let mut failures = Vec::new();
    for (path, result) in results {
        match result {
            Ok(digest) => {
                digests.insert(path.to_owned(), digest);
            }
            Err(error) => failures.push(Failure::new("embed", &path.display().to_string(), &error)),
        }
    }
    (digests, failures)
}

/// Moves what the cache holds into `embeddings` and returns the digests that it does not hold.
fn take_cached(
    cache: &mut Option<EmbeddingCache>,
    order: &[String],
    embeddings: &mut Embeddings,
) -> Result<Vec<String>> {
    let Some(cache) = cache else { return Ok(order.to_vec()) };
    let mut missing = Vec::new();
    for (digest, row) in order.iter().zip(cache.get_many(order)?) {
        match row {
            Some(row) => {
                embeddings.rows.insert(digest.clone(), row);
            }
            None => missing.push(digest.clone()),
        }
    }
    Ok(missing)
}

fn open(cache: Option<&Path>, identity: &EncoderIdentity) -> Result<Option<EmbeddingCache>> {
    Ok(cache.map(|folder| EmbeddingCache::open(folder, identity)).transpose()?)
}

/// Writes rows to the cache, where there is one, as one part, and keeps them.
fn store(
    cache: Option<&mut EmbeddingCache>,
    rows: Vec<EmbeddingRow>,
    embeddings: &mut Embeddings,
) -> Result<()> {
    if let Some(cache) = cache.filter(|_| !rows.is_empty()) {
        cache.append(&rows)?;
    }
    embeddings.rows.extend(rows.into_iter().map(|row| (row.digest, row.embedding)));
    Ok(())
}

/// A `[b, d]` tensor's rows on the host.
pub fn to_rows(x: &Tensor) -> Result<Vec<Vec<f32>>> {
    let rows = || x.to_dtype(DType::F32)?.to_vec2::<f32>();
    Ok(rows().map_err(squbed_tensor::Error::from)?)
}

/// The embeddings of each task that has all it needs; the others with what is missing.
///
/// A video that failed is left out of its group; a task is left out only where a group falls below two.
pub fn gather<'a>(
    tasks: &'a [Task],
    texts: &'a Embeddings,
    videos: &'a Embeddings,
) -> (Vec<TaskEmbeddings<'a>>, Vec<Failure>) {
    let mut gathered = Vec::new();
    let mut failures = Vec::new();
    for task in tasks {
        match gather_one(task, texts, videos) {
            Ok(embedded) => gathered.push(embedded),
            Err(error) => failures.push(Failure::new("estimate", &task.id, &error)),
        }
    }
    (gathered, failures)
}

fn gather_one<'a>(
    task: &'a Task,
    texts: &'a Embeddings,
    videos: &'a Embeddings,
) -> Result<TaskEmbeddings<'a>> {
    task.check_complete()?;
    let prompts = task
        .latents
        .iter()
        .map(|z| {
            texts.text(&z.prompt).ok_or_else(|| Error::NotEmbedded {
                encoder: texts.identity().name.clone(),
                item: format!("“{}”", z.prompt),
            })
        })
        .collect::<Result<_>>()?;
    let groups: Vec<Vec<&[f32]>> =
        task.latents.iter().map(|z| z.videos.iter().filter_map(|p| videos.video(p)).collect()).collect();
    match groups.iter().map(Vec::len).min() {
        Some(m) if m >= 2 => Ok(TaskEmbeddings { id: &task.id, prompts, videos: groups }),
        m => Err(Error::TooFewSamples { task: task.id.clone(), n: task.latents.len(), m: m.unwrap_or(0) }),
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Device;
    use squbed_core::Frame;
    use squbed_tensor::EncodeError;

    use super::*;
    use crate::progress::Silent;

    /// The first pixel.
    struct FirstPixel(EncoderIdentity);

    impl ImageEncoder for FirstPixel {
        fn identity(&self) -> &EncoderIdentity {
            &self.0
        }

        fn preprocess(&self, image: &Frame) -> std::result::Result<Tensor, EncodeError> {
            let pixel: Vec<f32> = image.rgb()[..3].iter().map(|&x| f32::from(x)).collect();
            Ok(Tensor::from_vec(pixel, (1, 1, 3), &Device::Cpu).unwrap())
        }

        fn embed(&self, batch: &Tensor) -> std::result::Result<Tensor, EncodeError> {
            Ok(batch.flatten_from(1).unwrap())
        }
    }

    #[test]
    fn images_keep_their_order_around_one_that_fails() {
        let folder = tempfile::tempdir().unwrap();
        let path = |i: u8| folder.path().join(format!("{i}.png"));
        for i in [0, 1, 3, 4] {
            image::RgbImage::from_pixel(2, 1, image::Rgb([i, 0, 9])).save(path(i)).unwrap();
        }
        std::fs::write(path(2), "no picture").unwrap();
        let identity = EncoderIdentity {
            name: "first-pixel".to_owned(),
            weights_sha256: String::new(),
            preprocessing: "none/1".to_owned(),
            sampling: String::new(),
            head: "embedding".to_owned(),
            dtype: "f32".to_owned(),
            dim: 3,
        };
        let paths: Vec<PathBuf> = (0..5).map(path).collect();
        let paths: Vec<&Path> = paths.iter().map(PathBuf::as_path).collect();
        let (rows, work) = embed_images(&paths, &FirstPixel(identity), 2, &Silent).unwrap();
        let row = |i: u8| Some(vec![f32::from(i), 0.0, 9.0]);
        assert_eq!(rows, [row(0), row(1), None, row(3), row(4)]);
        assert_eq!((work.computed, work.failures.len()), (4, 1));
        assert!(work.failures[0].item.ends_with("2.png"), "{:?}", work.failures[0]);
    }
}
