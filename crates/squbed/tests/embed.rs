//! Embedding with an encoder that fails: what is done by then is kept, and the others go on.

use std::{
    path::{Path, PathBuf},
    sync::atomic::{AtomicUsize, Ordering},
};

use squbed::{
    core::{Clip, EncoderIdentity, Frame, Sampling},
    embed::embed_videos,
    progress::Silent,
    tensor::{Device, EncodeError, Tensor, VideoEncoder},
    video::{EncodeOptions, encode},
};

/// Embeds a clip as (1, its first byte); fails at the call of this number, from 1, and gives NaN for clips
/// that are brighter than this.
struct Fake {
    identity: EncoderIdentity,
    sampling: Sampling,
    calls: AtomicUsize,
    fails_at: usize,
    nan_above: f32,
}

impl Fake {
    fn new(fails_at: usize, nan_above: f32) -> Self {
        let sampling = Sampling::Indices(vec![0]);
        let identity = EncoderIdentity {
            name: "fake".to_owned(),
            weights_sha256: String::new(),
            preprocessing: "fake/1".to_owned(),
            sampling: sampling.to_string(),
            head: "embedding".to_owned(),
            dtype: "f32".to_owned(),
            dim: 2,
        };
        Self { identity, sampling, calls: AtomicUsize::new(0), fails_at, nan_above }
    }
}

impl VideoEncoder for Fake {
    fn identity(&self) -> &EncoderIdentity {
        &self.identity
    }

    fn sampling(&self) -> &Sampling {
        &self.sampling
    }

    fn preprocess(&self, clip: &Clip) -> Result<Tensor, EncodeError> {
        let byte = f32::from(clip.frames()[0].rgb()[0]);
        Ok(Tensor::new(&[1.0, byte], &Device::Cpu).unwrap())
    }

    fn embed(&self, batch: &Tensor) -> Result<Tensor, EncodeError> {
        if self.calls.fetch_add(1, Ordering::Relaxed) + 1 == self.fails_at {
            return Err(EncodeError { encoder: "fake".to_owned(), source: "the device is gone".into() });
        }
        let rows = batch.to_vec2::<f32>().unwrap();
        let bright = |row: &Vec<f32>| row[1] > self.nan_above;
        let rows: Vec<Vec<f32>> =
            rows.iter().map(|row| vec![1.0, if bright(row) { f32::NAN } else { row[1] }]).collect();
        Ok(Tensor::new(rows, &Device::Cpu).unwrap())
    }
}

/// Five videos, each brighter than the one before.
fn videos(folder: &Path) -> Vec<PathBuf> {
    let video = |i: usize| {
        let path = folder.join(format!("{i}.mp4"));
        let frame = || Frame::new(64, 64, vec![40 * (i as u8 + 1); 64 * 64 * 3]).unwrap();
        encode(&path, (0..3).map(|_| frame()), &EncodeOptions::default()).unwrap();
        path
    };
    (0..5).map(video).collect()
}

#[test]
fn what_is_embedded_before_an_error_is_in_the_cache() {
    let folder = tempfile::tempdir().unwrap();
    let (paths, cache) = (videos(folder.path()), folder.path().join("cache"));
    let paths: Vec<&Path> = paths.iter().map(PathBuf::as_path).collect();
    let error = embed_videos(&paths, &Fake::new(4, f32::MAX), Some(&cache), 1, &Silent).unwrap_err();
    assert!(error.to_string().contains("fake"), "{error}");
    let (embeddings, histograms, work) =
        embed_videos(&paths, &Fake::new(0, f32::MAX), Some(&cache), 1, &Silent).unwrap();
    assert_eq!((work.reused, work.computed), (3, 2));
    assert!(paths.iter().all(|p| embeddings.video(p).is_some() && histograms.video(p).is_some()));
    let parts = std::fs::read_dir(
        cache.join(std::fs::read_dir(&cache).unwrap().next().unwrap().unwrap().file_name()),
    );
    assert_eq!(parts.unwrap().count(), 2, "one part a call");
}

#[test]
fn an_embedding_that_is_not_finite_is_that_clips_failure_alone() {
    let folder = tempfile::tempdir().unwrap();
    let (paths, cache) = (videos(folder.path()), folder.path().join("cache"));
    std::fs::write(&paths[1], b"no video").unwrap();
    let missing = folder.path().join("missing.mp4");
    let mut paths: Vec<&Path> = paths.iter().map(PathBuf::as_path).collect();
    paths.push(&missing);
    let (embeddings, _, work) = embed_videos(&paths, &Fake::new(0, 180.0), Some(&cache), 4, &Silent).unwrap();
    assert_eq!((work.computed, work.failures.len()), (3, 3));
    for (name, said) in
        [("missing.mp4", "cannot open"), ("1.mp4", "no video"), ("4.mp4", "number 1 of it is NaN")]
    {
        let row = work.failures.iter().find(|f| f.item.ends_with(name)).expect(name);
        assert!(row.step == "embed" && row.error.contains(said) && row.error.contains(name), "{row:?}");
        assert!(!row.hint.is_empty(), "{row:?}");
    }
    assert!(embeddings.video(paths[4]).is_none());
    // It was not kept: a sound encoder gives it its embedding.
    let (embeddings, _, work) =
        embed_videos(&paths, &Fake::new(0, f32::MAX), Some(&cache), 4, &Silent).unwrap();
    assert_eq!((work.reused, work.computed), (3, 1));
    assert!(embeddings.video(paths[4]).is_some());
}
