use std::sync::Mutex;

use squbed_core::{BoxError, Frame, LatentPrompt, Sampling};
use squbed_tensor::EncodeError;

use super::*;
use crate::progress::Silent;

/// The mean colour of a clip of one frame.
struct MeanColour(EncoderIdentity, Sampling, Mutex<usize>);

impl MeanColour {
    fn new() -> Self {
        let identity = EncoderIdentity {
            name: "mean-colour".to_owned(),
            weights_sha256: "0".repeat(64),
            preprocessing: "none/1".to_owned(),
            sampling: "uniform:1".to_owned(),
            head: "embedding".to_owned(),
            dtype: "f32".to_owned(),
            dim: 3,
        };
        Self(identity, "uniform:1".parse().unwrap(), Mutex::new(0))
    }

    /// Clips embedded since the last call.
    fn embedded(&self) -> usize {
        std::mem::take(&mut *self.2.lock().unwrap())
    }
}

impl VideoEncoder for MeanColour {
    fn identity(&self) -> &EncoderIdentity {
        &self.0
    }

    fn sampling(&self) -> &Sampling {
        &self.1
    }

    fn preprocess(&self, clip: &Clip) -> Result<Tensor, EncodeError> {
        let frame: &Frame = &clip.frames()[0];
        let numbers: Vec<f32> = frame.rgb().iter().map(|&x| x.into()).collect();
        Tensor::from_vec(numbers, (1, frame.height(), frame.width(), 3), &Device::Cpu).map_err(|e| {
            let source: BoxError = Box::new(squbed_tensor::Error::from(e));
            EncodeError { encoder: self.0.name.clone(), source }
        })
    }

    fn embed(&self, batch: &Tensor) -> Result<Tensor, EncodeError> {
        *self.2.lock().unwrap() += batch.dims()[0];
        Ok(batch.mean((1, 2, 3)).unwrap())
    }
}

/// A folder of one picture of one grey, which is read as a video.
fn video(folder: &Path, grey: u8) -> PathBuf {
    let path = folder.join(format!("grey-{grey}"));
    std::fs::create_dir_all(&path).unwrap();
    image::RgbImage::from_pixel(8, 8, image::Rgb([grey; 3])).save(path.join("0.png")).unwrap();
    path
}

/// Steps that began, and what advanced in each.
#[derive(Default)]
struct Steps(Mutex<Vec<(String, u64, u64)>>);

impl Progress for Steps {
    fn begin(&self, step: &str, total: u64, _: &str) {
        self.0.lock().unwrap().push((step.to_owned(), total, 0));
    }

    fn advance(&self, by: u64) {
        self.0.lock().unwrap().last_mut().unwrap().2 += by;
    }

    fn end(&self) {}

    fn warn(&self, _: &str) {}
}

#[test]
fn videos_are_hashed_and_embedded_with_progress_and_folders_of_frames_are_videos() {
    let folder = tempfile::tempdir().unwrap();
    let videos: Vec<PathBuf> = [10, 200].map(|grey| video(folder.path(), grey)).to_vec();
    let paths: Vec<&Path> = [0, 1, 0].map(|i| videos[i].as_path()).to_vec();
    let steps = Steps::default();
    let (embeddings, _, work) = embed_videos(&paths, &MeanColour::new(), None, 4, &steps).unwrap();
    assert!(work.failures.is_empty(), "{:?}", work.failures);
    for (path, grey) in videos.iter().zip([10.0, 200.0]) {
        assert_eq!(embeddings.video(path), Some(&[grey; 3][..]));
    }
    let steps = steps.0.into_inner().unwrap();
    assert_eq!(steps, [("hash videos".to_owned(), 2, 2), ("embed videos".to_owned(), 2, 2)]);
}

/// Warnings, in their order.
#[derive(Default)]
struct Warnings(Mutex<Vec<String>>);

impl Progress for Warnings {
    fn begin(&self, _: &str, _: u64, _: &str) {}
    fn advance(&self, _: u64) {}
    fn end(&self) {}
    fn warn(&self, message: &str) {
        self.0.lock().unwrap().push(message.to_owned());
    }
}

#[test]
fn a_damaged_part_of_the_cache_is_told_and_its_videos_are_embedded_again() {
    let folder = tempfile::tempdir().unwrap();
    let video = video(folder.path(), 10);
    let cache = folder.path().join("cache");
    let warnings = Warnings::default();
    let embed =
        || embed_videos(&[video.as_path()], &MeanColour::new(), Some(&cache), 4, &warnings).unwrap().2;
    assert_eq!(embed().computed, 1);
    let parts = |folder: &Path| -> Vec<PathBuf> {
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
    };
    let of_colour = |path: &PathBuf| path.to_string_lossy().contains("mean-colour");
    let part = parts(parts(&cache).iter().find(|path| of_colour(path)).unwrap()).remove(0);
    let whole = std::fs::read(&part).unwrap();
    std::fs::write(&part, &whole[..whole.len() / 2]).unwrap();
    assert_eq!(embed().computed, 1);
    let warnings = warnings.0.lock().unwrap();
    let name = part.file_name().unwrap().to_string_lossy();
    assert!(matches!(warnings.as_slice(), [only] if only.contains(&*name)), "{warnings:?}");
}

#[test]
fn a_folder_of_frames_is_known_by_its_content() {
    let folder = tempfile::tempdir().unwrap();
    let path = video(folder.path(), 1);
    let before = digest_video(&path).unwrap();
    let moved = folder.path().join("moved");
    std::fs::rename(&path, &moved).unwrap();
    assert_eq!(digest_video(&moved).unwrap(), before);
    std::fs::rename(moved.join("0.png"), moved.join("1.png")).unwrap();
    assert_ne!(digest_video(&moved).unwrap(), before, "names give the order");
    assert_ne!(digest_video(&video(folder.path(), 2)).unwrap(), before);
    assert!(digest_video(&folder.path().join("nowhere")).is_err());
}

/// What lacks in either cache is decoded again, in the order given; the rest is reused.
#[test]
fn a_video_is_reused_where_both_its_embeddings_are_cached() {
    let folder = tempfile::tempdir().unwrap();
    let videos: Vec<PathBuf> = (0..6).map(|i| video(folder.path(), 10 + 40 * i)).collect();
    let paths: Vec<&Path> = videos.iter().map(PathBuf::as_path).collect();
    let encoder = MeanColour::new();
    let histogram = baseline::histogram_identity(encoder.sampling());
    // Of the first two the cache holds everything, of the third the histogram alone.
    let cache = folder.path().join("cache");
    let embed = |paths: &[&Path]| embed_videos(paths, &encoder, Some(&cache), 2, &Silent).unwrap();
    embed(&paths[..2]);
    let (_, histograms, _) = embed_videos(&paths[2..3], &encoder, None, 2, &Silent).unwrap();
    let row = EmbeddingRow {
        digest: digest_video(paths[2]).unwrap(),
        source: "2".to_owned(),
        frames: 1,
        warnings: Vec::new(),
        embedding: histograms.video(paths[2]).unwrap().to_vec(),
    };
    EmbeddingCache::open(&cache, &histogram).unwrap().append(&[row]).unwrap();
    encoder.embedded();
    let (embeddings, _, work) = embed(&paths);
    assert_eq!((work.reused, work.computed, encoder.embedded()), (2, 4, 4));
    assert!(paths.iter().all(|path| embeddings.video(path).is_some()));
    assert_eq!(embed(&paths).2.computed, 0);
}

#[test]
fn an_estimate_needs_no_ground_truth() {
    let task = Task {
        id: "t".to_owned(),
        prompt: "x".to_owned(),
        dataset: None,
        category: None,
        ground_truth: Some("truth.mp4".into()),
        latents: vec![LatentPrompt { prompt: "z".to_owned(), videos: vec!["a.mp4".into(), "b.mp4".into()] }],
    };
    assert_eq!(generated_videos(&[task]), [Path::new("a.mp4"), Path::new("b.mp4")]);
}
