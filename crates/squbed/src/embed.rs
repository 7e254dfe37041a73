//! Embeddings of prompts and videos, computed once and kept in a cache.

mod images;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use candle_core::{DType, Device, Tensor};
use rayon::prelude::*;
use squbed_core::{Clip, EncoderIdentity, Task};
use squbed_store::{EmbeddingCache, EmbeddingRow, Failure, NpyData, read_npy, read_safetensors};
use squbed_tensor::{TextEncoder, VideoEncoder};
use squbed_video::{DecodeOptions, Limits};

pub use images::embed_images;

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
    /// By a text's digest, the characters at its end that the encoder does not see.
    cut: BTreeMap<String, usize>,
}

/// What a call of [`embed_texts`], [`embed_images`] or [`embed_videos`] did.
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
        Self { identity, digests: BTreeMap::new(), rows: BTreeMap::new(), cut: BTreeMap::new() }
    }

    /// What made them.
    pub fn identity(&self) -> &EncoderIdentity {
        &self.identity
    }

    /// The embedding of a video file.
    pub fn video(&self, path: &Path) -> Option<&[f32]> {
        self.file(path)
    }

    /// The embedding of a file, whatever it holds.
    pub fn file(&self, path: &Path) -> Option<&[f32]> {
        self.rows.get(self.digests.get(path)?).map(Vec::as_slice)
    }

    /// The digest of a video file's content, where it could be read.
    pub fn digest(&self, path: &Path) -> Option<&str> {
        self.digests.get(path).map(String::as_str)
    }

    /// The embedding of a text.
    pub fn text(&self, text: &str) -> Option<&[f32]> {
        self.rows.get(&squbed_store::digest_text(text)).map(Vec::as_slice)
    }

    /// Characters at a text's end that its embedding does not see, since they lie behind the encoder's limit.
    pub fn characters_cut(&self, text: &str) -> usize {
        self.cut.get(&squbed_store::digest_text(text)).copied().unwrap_or(0)
    }
}

/// Rows of the cache written as one part.
const ROWS_A_PART: usize = 256;

/// Age at which rows are written though they are fewer: what an interruption costs.
const PART_AGE: Duration = Duration::from_secs(30);

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
    let missing = take_cached(&mut cache, &order, &mut embeddings, progress)?;
    let started = Instant::now();
    let distinct: Vec<&str> = order.iter().map(|digest| wanted[digest]).collect();
    let cut = encoder.characters_cut(&distinct)?;
    tell_cut(encoder.identity(), &distinct, &cut, progress);
    let cut = order.iter().cloned().zip(cut).filter(|(_, cut)| *cut > 0);
    embeddings.cut.extend(cut);
    let mut failures = Vec::new();
    progress.begin("embed prompts", missing.len() as u64, "sentences");
    for step in missing.chunks(TEXTS_A_STEP) {
        let batch: Vec<&str> = step.iter().map(|digest| wanted[digest]).collect();
        let rows = to_rows(&encoder.embed(&batch)?)?;
        let mut stored = Vec::new();
        for (digest, embedding) in step.iter().zip(rows) {
            match no_direction(&embedding) {
                None => stored.push(EmbeddingRow {
                    digest: digest.clone(),
                    source: wanted[digest].to_owned(),
                    frames: 0,
                    warnings: Vec::new(),
                    embedding,
                }),
                Some(why) => {
                    failures.push(useless(encoder.identity(), &format!("“{}”", wanted[digest]), why))
                }
            }
        }
        store(cache.as_mut(), stored, &mut embeddings)?;
        progress.advance(step.len() as u64);
    }
    progress.end();
    let work = Work {
        reused: order.len() - missing.len(),
        computed: missing.len() - failures.len(),
        seconds: started.elapsed().as_secs_f64(),
        failures,
    };
    Ok((embeddings, work))
}

/// Warns of texts that are longer than their encoder takes.
pub fn tell_cut(identity: &EncoderIdentity, texts: &[&str], cut: &[usize], progress: &dyn Progress) {
    /// Texts that are named, and letters of each.
    const NAMED: (usize, usize) = (3, 60);
    let long: Vec<(&str, usize)> =
        texts.iter().copied().zip(cut.iter().copied()).filter(|(_, cut)| *cut > 0).collect();
    if long.is_empty() {
        return;
    }
    let named: Vec<String> = long
        .iter()
        .take(NAMED.0)
        .map(|(text, cut)| {
            let beginning: String = text.chars().take(NAMED.1).collect();
            format!("“{beginning}…” by {cut} character(s)")
        })
        .collect();
    let more = long.len().saturating_sub(NAMED.0);
    let more = if more > 0 { format!("; and {more} more") } else { String::new() };
    progress.warn(&format!(
        "{} of {} texts are longer than {} takes; what lies behind its limit counts for nothing, so that texts that \
         differ only there are the same: {}{more}",
        long.len(),
        texts.len(),
        identity.name,
        named.join("; ")
    ));
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
    embed_videos_within(paths, encoder, cache, batch, &Limits::default(), progress)
}

/// The same within limits of one's own. A video beyond them is one that cannot be read.
pub fn embed_videos_within(
    paths: &[&Path],
    encoder: &dyn VideoEncoder,
    cache: Option<&Path>,
    batch: usize,
    limits: &Limits,
    progress: &dyn Progress,
) -> Result<(Embeddings, Embeddings, Work)> {
    let decoding = DecodeOptions { limits: limits.clone(), ..DecodeOptions::default() };
    if batch == 0 {
        return Err(Error::TooSmall { name: "batch", value: batch, least: 1 });
    }
    let histogram_identity = baseline::histogram_identity(encoder.sampling());
    let mut video_cache = open(cache, encoder.identity())?;
    let mut histogram_cache = open(cache, &histogram_identity)?;
    let mut videos = Embeddings::new(encoder.identity().clone());
    let mut histograms = Embeddings::new(histogram_identity);

    let (digests, mut failures) = digest_files(paths, "hash videos", progress);
    let (order, sources) = distinct(paths, &digests);
    videos.digests.clone_from(&digests);
    histograms.digests = digests;
    take_cached(&mut video_cache, &order, &mut videos, progress)?;
    take_cached(&mut histogram_cache, &order, &mut histograms, progress)?;
    let missing: Vec<String> = order
        .iter()
        .filter(|d| !(videos.rows.contains_key(*d) && histograms.rows.contains_key(*d)))
        .cloned()
        .collect();

    let started = Instant::now();
    let mut computed = 0;
    progress.begin("embed videos", missing.len() as u64, "clips");
    let mut pending = Pending::default();
    let mut unusual = Unusual::default();
    let mut embedded = Ok(());
    for step in missing.chunks(batch) {
        let decoded: Vec<_> =
            step.par_iter().map(|digest| decode(sources[digest], encoder, &decoding)).collect();
        let mut good = Vec::new();
        for (digest, decoded) in step.iter().zip(decoded) {
            match decoded {
                Ok(decoded) => good.push((digest, decoded)),
                Err(failure) => failures.push(failure),
            }
        }
        let rows = match embed_batch(&good, encoder) {
            Ok(rows) => rows,
            Err(error) => {
                embedded = Err(error);
                break;
            }
        };
        for ((digest, decoded), embedding) in good.into_iter().zip(rows) {
            let source = sources[digest].display().to_string();
            unusual.see(&source, &decoded.warnings);
            if let Some(why) = no_direction(&embedding) {
                failures.push(useless(encoder.identity(), &source, why));
                continue;
            }
            let row = |embedding| EmbeddingRow {
                digest: digest.clone(),
                source: source.clone(),
                frames: decoded.frames,
                warnings: decoded.warnings.clone(),
                embedding,
            };
            pending.videos.push(row(embedding));
            pending.histograms.push(row(decoded.histogram.clone()));
            computed += 1;
        }
        if pending.videos.len() >= ROWS_A_PART || pending.since.elapsed() >= PART_AGE {
            store(video_cache.as_mut(), std::mem::take(&mut pending.videos), &mut videos)?;
            store(histogram_cache.as_mut(), std::mem::take(&mut pending.histograms), &mut histograms)?;
            pending.since = Instant::now();
        }
        progress.advance(step.len() as u64);
    }
    // Also where the encoder failed midway: what is embedded by then is kept.
    store(video_cache.as_mut(), pending.videos, &mut videos)?;
    store(histogram_cache.as_mut(), pending.histograms, &mut histograms)?;
    embedded?;
    progress.end();
    unusual.tell(progress);
    let work = Work {
        reused: order.len() - missing.len(),
        computed,
        seconds: started.elapsed().as_secs_f64(),
        failures,
    };
    Ok((videos, histograms, work))
}

/// Rows that are not in the cache yet.
struct Pending {
    videos: Vec<EmbeddingRow>,
    histograms: Vec<EmbeddingRow>,
    since: Instant,
}

impl Default for Pending {
    fn default() -> Self {
        Self { videos: Vec::new(), histograms: Vec::new(), since: Instant::now() }
    }
}

/// Videos of which decoding warned, told once with the first of them; the cache has what each is.
#[derive(Default)]
struct Unusual {
    videos: usize,
    first: Option<String>,
}

impl Unusual {
    fn see(&mut self, source: &str, warnings: &[String]) {
        if !warnings.is_empty() {
            self.videos += 1;
            self.first.get_or_insert_with(|| format!("{source}: {}", warnings.join("; ")));
        }
    }

    fn tell(self, progress: &dyn Progress) {
        if let Some(first) = self.first {
            let n = self.videos;
            progress
                .warn(&format!("{n} video(s) are unusual, `squbed probe` says how; the first is {first}"));
        }
    }
}

/// The embeddings of a batch, in its order.
fn embed_batch(batch: &[(&String, DecodedInput)], encoder: &dyn VideoEncoder) -> Result<Vec<Vec<f32>>> {
    if batch.is_empty() {
        return Ok(Vec::new());
    }
    let inputs: Vec<&Tensor> = batch.iter().map(|(_, d)| &d.input).collect();
    let stacked = Tensor::stack(&inputs, 0).map_err(squbed_tensor::Error::from)?;
    to_rows(&encoder.embed(&stacked)?)
}

/// Why an embedding has no direction, if so.
pub(crate) fn no_direction(embedding: &[f32]) -> Option<String> {
    match embedding.iter().position(|x| !x.is_finite()) {
        Some(at) => Some(format!("number {at} of it is {}", embedding[at])),
        None => embedding.iter().all(|x| *x == 0.0).then(|| "all its numbers are 0".to_owned()),
    }
}

/// The row of an item whose embedding cannot be used.
fn useless(encoder: &EncoderIdentity, item: &str, why: String) -> Failure {
    let error = Error::Useless { encoder: encoder.name.clone(), item: item.to_owned(), why };
    failure("embed", item, &error)
}

/// The row of an item that failed, with what to do about it.
pub(crate) fn failure(step: &str, item: &str, error: &Error) -> Failure {
    let unreadable = "make it again, or take it out of the tasks; the run goes on without it";
    Failure::new(step, item, error).with_hint(error.hint().unwrap_or_else(|| unreadable.to_owned()))
}

struct DecodedInput {
    input: Tensor,
    histogram: Vec<f32>,
    frames: usize,
    warnings: Vec<String>,
}

fn decode(path: &Path, encoder: &dyn VideoEncoder, options: &DecodeOptions) -> Result<DecodedInput, Failure> {
    let failed = |error: Error| failure("embed", &path.display().to_string(), &error);
    let mut decoded = squbed_video::decode(path, std::slice::from_ref(encoder.sampling()), options)
        .map_err(|e| failed(e.into()))?;
    let clip: Clip = decoded.clips.remove(0);
    Ok(DecodedInput {
        input: encoder.preprocess(&clip).map_err(|e| failed(e.into()))?,
        histogram: baseline::colour_histogram(&clip),
        frames: clip.frames().len(),
        warnings: decoded.warnings.iter().map(ToString::to_string).collect(),
    })
}

/// The digests of what can be read, each once and in the order of the paths, and a path of each.
fn distinct<'p>(
    paths: &[&'p Path],
    digests: &BTreeMap<PathBuf, String>,
) -> (Vec<String>, BTreeMap<String, &'p Path>) {
    let mut sources: BTreeMap<String, &Path> = BTreeMap::new();
    let mut order = Vec::new();
    for &path in paths {
        let Some(digest) = digests.get(path) else { continue };
        if sources.insert(digest.clone(), path).is_none() {
            order.push(digest.clone());
        }
    }
    (order, sources)
}

/// Content digests of the files that can be read, and the failures of the others.
fn digest_files(
    paths: &[&Path],
    step: &str,
    progress: &dyn Progress,
) -> (BTreeMap<PathBuf, String>, Vec<Failure>) {
    let distinct: BTreeSet<&Path> = paths.iter().copied().collect();
    let distinct: Vec<&Path> = distinct.into_iter().collect();
    progress.begin(step, distinct.len() as u64, "files");
    let results: Vec<(&Path, Result<String, squbed_store::Error>)> = distinct
        .into_par_iter()
        .map(|path| {
            let digest = digest_video(path);
            progress.advance(1);
            (path, digest)
        })
        .collect();
    progress.end();
    let mut digests = BTreeMap::new();
    let mut failures = Vec::new();
    for (path, result) in results {
        match result {
            Ok(digest) => {
                digests.insert(path.to_owned(), digest);
            }
            Err(error) => failures.push(failure("embed", &path.display().to_string(), &error.into())),
        }
    }
    (digests, failures)
}

/// The digest of a video's content: of a file its bytes, of a folder of frames the names and bytes of its files, since
/// the names give the order.
pub(crate) fn digest_video(path: &Path) -> Result<String, squbed_store::Error> {
    if !path.is_dir() {
        return squbed_store::digest_file(path);
    }
    let unreadable = |source| squbed_store::Error::Io { operation: "read", path: path.to_owned(), source };
    let mut files = BTreeMap::new();
    for entry in std::fs::read_dir(path).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        if entry.path().is_file() {
            files.insert(entry.file_name(), squbed_store::digest_file(&entry.path())?);
        }
    }
    let listed: String =
        files.iter().map(|(name, digest)| format!("{digest} {}\n", name.to_string_lossy())).collect();
    Ok(squbed_store::digest_text(&listed))
}

/// Moves what the cache holds into `embeddings` and returns the digests that it does not hold, or holds
/// without a direction. Parts that were passed over are told.
fn take_cached(
    cache: &mut Option<EmbeddingCache>,
    order: &[String],
    embeddings: &mut Embeddings,
    progress: &dyn Progress,
) -> Result<Vec<String>> {
    let Some(cache) = cache else { return Ok(order.to_vec()) };
    let mut missing = Vec::new();
    for (digest, row) in order.iter().zip(cache.get_many(order)?) {
        match row.filter(|row| no_direction(row).is_none()) {
            Some(row) => {
                embeddings.rows.insert(digest.clone(), row);
            }
            None => missing.push(digest.clone()),
        }
    }
    cache.warnings().iter().for_each(|warning| progress.warn(&warning.to_string()));
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

/// The array of a `.npy` file, or the only tensor of a `.safetensors` file, as it is, on the CPU.
///
/// # Errors
///
/// A file that cannot be read, or of another type than f32, f64 and i64; a safetensors file of several tensors.
pub fn read_tensor(path: &Path) -> Result<Tensor> {
    let safetensors = path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("safetensors"));
    let array = if safetensors { read_safetensors(path, None)? } else { read_npy(path)? };
    let (shape, data) = array.into_parts();
    let tensor = match data {
        NpyData::F32(x) => Tensor::from_vec(x, shape, &Device::Cpu),
        NpyData::F64(x) => Tensor::from_vec(x, shape, &Device::Cpu),
        NpyData::I64(x) => Tensor::from_vec(x, shape, &Device::Cpu),
    };
    Ok(tensor.map_err(squbed_tensor::Error::from)?)
}

/// A `[b, d]` tensor's rows on the host.
pub fn to_rows(x: &Tensor) -> Result<Vec<Vec<f32>>> {
    let rows = || x.to_dtype(DType::F32)?.to_vec2::<f32>();
    Ok(rows().map_err(squbed_tensor::Error::from)?)
}

/// The videos of the tasks' latent prompts, in order: all that an estimate needs.
pub fn generated_videos(tasks: &[Task]) -> Vec<&Path> {
    tasks.iter().flat_map(|t| &t.latents).flat_map(|z| &z.videos).map(PathBuf::as_path).collect()
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
            Err(error) => failures.push(failure("estimate", &task.id, &error)),
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
mod tests;
