//! The Fréchet video distance of a whole set of tasks.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use candle_core::{Device, Tensor};
use squbed_core::Task;
use squbed_models::arch::inception::CLASSES;
use squbed_store::Failure;

use super::{Frechet, Measure, NotRun, Scoring};
use crate::{
    embed::{Embeddings, Work, embed_videos_within, generated_videos},
    error::Result,
    progress::Progress,
};

/// The model whose logits it takes.
const MODEL: &str = "i3d-kinetics-400";

/// The distance of all generated videos to all true ones; why there is none where the sets are too small or the
/// weights are not here.
pub(super) fn frechet(
    scoring: &Scoring<'_>,
    progress: &dyn Progress,
) -> Result<(Result<Frechet, NotRun>, Vec<Failure>)> {
    let not_run = |why: String| NotRun { metric: Measure::Frechet.name().to_owned(), why };
    let generated = distinct(generated_videos(scoring.tasks));
    let truths = distinct(true_videos(scoring.tasks));
    // Before anything is embedded.
    if let Some(why) = too_few(generated.len(), truths.len()) {
        return Ok((Err(not_run(why)), Vec::new()));
    }
    let Scoring { models, device, dtype, cache, batch, limits, .. } = *scoring;
    let encoder = match models.clip_encoder(MODEL, device, dtype).and_then(|encoder| encoder.logits()) {
        Ok(encoder) => encoder,
        Err(error) => return Ok((Err(NotRun::missing(Measure::Frechet.name(), error.into())?), Vec::new())),
    };
    let (distance, failures) = distance(&generated, &truths, |videos| {
        embed_videos_within(videos, &encoder, Some(cache), batch, limits, progress)
    })?;
    Ok((distance.map_err(not_run), failures))
}

/// The distance of the videos of the first list to those of the second by their logits, which `embed` makes; why there
/// is none.
fn distance(
    generated: &[&Path],
    truths: &[&Path],
    embed: impl FnOnce(&[&Path]) -> Result<(Embeddings, Embeddings, Work)>,
) -> Result<(Result<Frechet, String>, Vec<Failure>)> {
    let all = [generated, truths].concat();
    let (logits, _, work) = embed(&all)?;
    let sets = [rows(generated, &logits), rows(truths, &logits)];
    if let Some(why) = too_few(sets[0].len(), sets[1].len()) {
        return Ok((Err(why), work.failures));
    }
    let tensor = |rows: &[Vec<f32>]| {
        Tensor::from_vec(rows.concat(), (rows.len(), CLASSES), &Device::Cpu)
            .map_err(squbed_tensor::Error::from)
    };
    let distance = squbed_metrics::frechet_video_distance(&tensor(&sets[0])?, &tensor(&sets[1])?)?;
    let frechet =
        Frechet { variant: distance.variant.to_owned(), value: distance.value, clips: distance.clips };
    Ok((Ok(frechet), work.failures))
}

fn true_videos(tasks: &[Task]) -> Vec<&Path> {
    tasks.iter().filter_map(|task| task.ground_truth.as_ref()).map(PathBuf::as_path).collect()
}

/// Each path once: a video that stands in many tasks is one sample.
fn distinct(paths: Vec<&Path>) -> Vec<&Path> {
    paths.into_iter().collect::<BTreeSet<_>>().into_iter().collect()
}

/// The logits of each video of different content once.
fn rows(paths: &[&Path], logits: &Embeddings) -> Vec<Vec<f32>> {
    let by_content: BTreeMap<&str, &[f32]> =
        paths.iter().filter_map(|path| Some((logits.digest(path)?, logits.video(path)?))).collect();
    by_content.into_values().map(<[f32]>::to_vec).collect()
}

/// Why sets of these sizes have no distance, if so.
fn too_few(generated: usize, truths: usize) -> Option<String> {
    (generated.min(truths) <= CLASSES).then(|| {
        format!(
            "{generated} different generated and {truths} different true videos are too few: a covariance of {CLASSES} logits needs more than \
             {CLASSES} in each set, and the distance of smaller ones tells their size more than what they show"
        )
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use squbed_core::{Clip, EncoderIdentity, Sampling};
    use squbed_tensor::{EncodeError, VideoEncoder};

    use super::*;
    use crate::{embed::embed_videos, progress::Silent};

    /// Gives the features of the golden file's formula, by the numbers in a video's first pixel.
    struct Numbered(EncoderIdentity, Sampling);

    impl VideoEncoder for Numbered {
        fn identity(&self) -> &EncoderIdentity {
            &self.0
        }

        fn sampling(&self) -> &Sampling {
            &self.1
        }

        fn preprocess(&self, clip: &Clip) -> Result<Tensor, EncodeError> {
            let numbers: Vec<f32> = clip.frames()[0].rgb()[..3].iter().map(|&x| f32::from(x)).collect();
            Ok(Tensor::new(numbers, &Device::Cpu).unwrap())
        }

        fn embed(&self, batch: &Tensor) -> Result<Tensor, EncodeError> {
            let rows = batch.to_vec2::<f32>().unwrap();
            let rows: Vec<Vec<f32>> =
                rows.iter().map(|x| features(x[2] as usize, x[0] as usize + 256 * x[1] as usize)).collect();
            Ok(Tensor::new(rows, &Device::Cpu).unwrap())
        }
    }

    /// `features` of `scripts/golden_metrics.py`, one row of the first or the second set.
    fn features(set: usize, row: usize) -> Vec<f32> {
        let mix = |x: u64| {
            let z = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            z ^ (z >> 31)
        };
        let uniform = |at: usize| (mix((set * 1_000_000_007 + at) as u64) >> 11) as f64 * 2f64.powi(-53);
        let shift = if set == 2 { 0.01 } else { 0.0 };
        let value = |j: usize| {
            let at = row * (CLASSES + 1) + j;
            ((uniform(at) + 0.75 * uniform(at + 1)) / (1 + j % 7) as f64 + shift) as f32
        };
        (0..CLASSES).map(value).collect()
    }

    #[test]
    fn the_distance_of_files_equals_scipy_s_and_each_content_counts_once() {
        let folder = tempfile::tempdir().unwrap();
        // A folder of one picture is a video; its first pixel says which row of the golden features it has.
        let still = |set: u8, row: usize| {
            let video = folder.path().join(format!("{set}-{row}"));
            fs::create_dir(&video).unwrap();
            let pixel = image::Rgb([(row % 256) as u8, (row / 256) as u8, set]);
            image::RgbImage::from_pixel(2, 2, pixel).save(video.join("0.png")).unwrap();
            video
        };
        let mut generated: Vec<PathBuf> = (0..450).map(|row| still(1, row)).collect();
        let truths: Vec<PathBuf> = (0..520).map(|row| still(2, row)).collect();
        let copy = folder.path().join("copy");
        fs::create_dir(&copy).unwrap();
        fs::copy(generated[0].join("0.png"), copy.join("0.png")).unwrap();
        generated.push(copy);
        fn paths(paths: &[PathBuf]) -> Vec<&Path> {
            paths.iter().map(PathBuf::as_path).collect()
        }
        let sampling = Sampling::Indices(vec![0]);
        let identity = EncoderIdentity {
            name: "numbered".to_owned(),
            weights_sha256: String::new(),
            preprocessing: "none".to_owned(),
            sampling: sampling.to_string(),
            head: "logits".to_owned(),
            dtype: "f32".to_owned(),
            dim: CLASSES,
        };
        let encoder = Numbered(identity, sampling);
        let cache = folder.path().join("cache");
        let of = |generated: &[PathBuf], truths: &[PathBuf]| {
            let embed = |videos: &[&Path]| embed_videos(videos, &encoder, Some(&cache), 64, &Silent);
            distance(&paths(generated), &paths(truths), embed).unwrap()
        };
        let (found, failures) = of(&generated, &truths);
        let found = found.unwrap();
        assert!(failures.is_empty());
        assert_eq!(found.clips, [450, 520]);
        let golden = include_str!("../../../../tests/golden/metrics/frechet.json");
        let golden: serde_json::Value = serde_json::from_str(golden).unwrap();
        let case = golden["cases"].as_array().unwrap().iter().find(|case| case["dim"] == CLASSES).unwrap();
        assert_eq!((&case["n"], &case["m"]), (&450.into(), &520.into()));
        let error = (found.value / case["distance"].as_f64().unwrap() - 1.0).abs();
        // Embeddings are f32, the golden features f64.
        assert!(error < 1e-6, "{error:e}");
        let (few, _) = of(&generated[..400], &truths);
        assert!(few.unwrap_err().starts_with("400 different generated and 520 different true"));
    }
}
