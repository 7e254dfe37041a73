//! Embeddings of pictures.

use std::{collections::BTreeMap, path::Path, time::Instant};

use candle_core::Tensor;
use rayon::prelude::*;
use squbed_store::{EmbeddingRow, Failure};
use squbed_tensor::ImageEncoder;
use squbed_video::Limits;

use super::{
    Embeddings, PART_AGE, ROWS_A_PART, Work, digest_files, distinct, no_direction, open, store, take_cached,
    to_rows, useless,
};
use crate::{
    error::{Error, Result},
    progress::Progress,
};

/// Embeds pictures that the cache, where one is given, does not hold, in batches in their order, each distinct content
/// once.
///
/// A picture that cannot be read, or is larger than the limits admit, is recorded in the result's failures, and the others go on.
pub fn embed_images(
    paths: &[&Path],
    encoder: &dyn ImageEncoder,
    cache: Option<&Path>,
    batch: usize,
    limits: &Limits,
    progress: &dyn Progress,
) -> Result<(Embeddings, Work)> {
    if batch == 0 {
        return Err(Error::TooSmall { name: "batch", value: batch, least: 1 });
    }
    let mut cache = open(cache, encoder.identity())?;
    let mut images = Embeddings::new(encoder.identity().clone());
    let (digests, mut failures) = digest_files(paths, "hash images", progress);
    let (order, sources) = distinct(paths, &digests);
    images.digests = digests;
    let missing = take_cached(&mut cache, &order, &mut images, progress)?;

    let started = Instant::now();
    let known = images.rows.len();
    progress.begin("embed images", missing.len() as u64, "images");
    let mut pending = Vec::new();
    let mut embedded = Ok(());
    let mut since = Instant::now();
    for step in missing.chunks(batch) {
        match embed_step(step, &sources, encoder, limits, &mut failures) {
            Ok(rows) => pending.extend(rows),
            Err(error) => {
                embedded = Err(error);
                break;
            }
        }
        if pending.len() >= ROWS_A_PART || since.elapsed() >= PART_AGE {
            store(cache.as_mut(), std::mem::take(&mut pending), &mut images)?;
            since = Instant::now();
        }
        progress.advance(step.len() as u64);
    }
    // Also where the encoder failed midway: what is embedded by then is kept.
    store(cache.as_mut(), pending, &mut images)?;
    embedded?;
    progress.end();
    let work = Work {
        reused: order.len() - missing.len(),
        computed: images.rows.len() - known,
        seconds: started.elapsed().as_secs_f64(),
        failures,
    };
    Ok((images, work))
}

/// The rows of one batch.
fn embed_step(
    step: &[String],
    sources: &BTreeMap<String, &Path>,
    encoder: &dyn ImageEncoder,
    limits: &Limits,
    failures: &mut Vec<Failure>,
) -> Result<Vec<EmbeddingRow>> {
    let inputs: Vec<_> =
        step.par_iter().map(|digest| prepare_image(sources[digest], encoder, limits)).collect();
    let (mut good, mut tensors) = (Vec::new(), Vec::new());
    for (digest, input) in step.iter().zip(inputs) {
        match input {
            Ok(tensor) => {
                good.push(digest);
                tensors.push(tensor);
            }
            Err(failure) => failures.push(failure),
        }
    }
    if good.is_empty() {
        return Ok(Vec::new());
    }
    let stacked = Tensor::stack(&tensors, 0).map_err(squbed_tensor::Error::from)?;
    let mut rows = Vec::new();
    for (digest, embedding) in good.into_iter().zip(to_rows(&encoder.embed(&stacked)?)?) {
        let source = sources[digest].display().to_string();
        match no_direction(&embedding) {
            Some(why) => failures.push(useless(encoder.identity(), &source, why)),
            None => {
                let digest = digest.clone();
                rows.push(EmbeddingRow { digest, source, frames: 1, warnings: Vec::new(), embedding });
            }
        }
    }
    Ok(rows)
}

fn prepare_image(path: &Path, encoder: &dyn ImageEncoder, limits: &Limits) -> Result<Tensor, Failure> {
    let failed =
        |error: &(dyn std::error::Error + 'static)| Failure::new("embed", &path.display().to_string(), error);
    let image = squbed_video::read_picture(path, limits)
        .map_err(|error| super::failure("embed", &path.display().to_string(), &error.into()))?;
    encoder.preprocess(&image).map_err(|e| failed(&e))
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use candle_core::Device;
    use squbed_core::{EncoderIdentity, Frame};
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
        let encoder = FirstPixel(identity);
        let cache = folder.path().join("cache");
        let embed = |cache| embed_images(&paths, &encoder, cache, 2, &Limits::default(), &Silent).unwrap();
        let row = |i: u8| Some(vec![f32::from(i), 0.0, 9.0]);
        let expected = [row(0), row(1), None, row(3), row(4)];
        for (cache, reused, computed) in
            [(None, 0, 4), (Some(cache.as_path()), 0, 4), (Some(cache.as_path()), 4, 0)]
        {
            let (images, work) = embed(cache);
            let rows: Vec<_> = paths.iter().map(|path| images.file(path).map(<[f32]>::to_vec)).collect();
            assert_eq!(rows, expected);
            assert_eq!((work.reused, work.computed, work.failures.len()), (reused, computed, 1));
            assert!(work.failures[0].item.ends_with("2.png"), "{:?}", work.failures[0]);
        }
        // Known by its content, whatever its name; no direction is no embedding.
        std::fs::copy(path(4), folder.path().join("copy.png")).unwrap();
        image::RgbImage::new(1, 1).save(folder.path().join("black.png")).unwrap();
        let more = ["copy.png", "black.png"].map(|name| folder.path().join(name));
        let more: Vec<&Path> = more.iter().map(PathBuf::as_path).collect();
        let (images, work) =
            embed_images(&more, &encoder, Some(&cache), 2, &Limits::default(), &Silent).unwrap();
        assert_eq!((work.reused, work.computed, work.failures.len()), (1, 0, 1));
        assert_eq!(images.file(more[0]).map(<[f32]>::to_vec), row(4));
        assert_eq!(images.file(more[1]), None);
    }
}
