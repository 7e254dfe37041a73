//! Embeddings of pictures.

use std::{path::Path, time::Instant};

use candle_core::Tensor;
use rayon::prelude::*;
use squbed_store::Failure;
use squbed_tensor::ImageEncoder;

use super::{Work, to_rows};
use crate::{
    error::{Error, Result},
    progress::Progress,
};

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
        let (rows, work) = embed_images(&paths, &FirstPixel(identity), 2, &Silent).unwrap();
        let row = |i: u8| Some(vec![f32::from(i), 0.0, 9.0]);
        assert_eq!(rows, [row(0), row(1), None, row(3), row(4)]);
        assert_eq!((work.computed, work.failures.len()), (4, 1));
        assert!(work.failures[0].item.ends_with("2.png"), "{:?}", work.failures[0]);
    }
}
