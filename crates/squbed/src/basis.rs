//! A stored basis, used again.

use std::path::Path;

use candle_core::Device;
use squbed_core::EncoderIdentity;
use squbed_tensor::pca::Pca;

use crate::{
    error::{Error, Result},
    fit::Group,
};

/// The options that made an estimate, beside its basis.
const METHOD: &str = "method.json";

/// Reads a basis that prompts are to be projected on.
///
/// # Errors
///
/// A file that is no basis, or one of another width than the prompts.
pub fn load(file: &Path, prompts: &[Group<'_>], device: &Device) -> Result<Pca> {
    let basis = Pca::load(file, device)
        .map_err(|source| Error::Basis { path: file.to_owned(), source: Box::new(source) })?;
    let width = basis.basis().dim(0).map_err(squbed_tensor::Error::from)?;
    match prompts.iter().flatten().find(|row| row.len() != width) {
        Some(row) => Err(Error::BasisWidth { path: file.to_owned(), basis: width, got: row.len() }),
        None => Ok(basis),
    }
}

/// Checks that a basis is of the encoder whose embeddings it is to project, by the record that lies beside it;
/// whether there is one. Embeddings of another encoder may well have the same width.
///
/// # Errors
///
/// A basis of another encoder, a record that is none.
pub fn check_encoder(file: &Path, encoder: &EncoderIdentity) -> Result<bool> {
    #[derive(serde::Deserialize)]
    struct Record {
        text_encoder: EncoderIdentity,
    }
    let path = file.with_file_name(METHOD);
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
        Err(source) => return Err(Error::Read { path, source }),
    };
    let Record { text_encoder } =
        serde_json::from_str(&text).map_err(|source| Error::Json { path, source })?;
    if text_encoder == *encoder {
        return Ok(true);
    }
    // The arithmetic is told too: it may be all that differs.
    let name = |e: &EncoderIdentity| format!("{} ({}, {})", e.name, e.preprocessing, e.dtype);
    Err(Error::BasisEncoder { path: file.to_owned(), basis: name(&text_encoder), here: name(encoder) })
}

#[cfg(test)]
mod tests {
    use candle_core::Tensor;
    use squbed_vmf::Estimator;

    use super::*;
    use crate::method::{self, MethodOptions, Projection, TaskEmbeddings};

    fn number(i: usize) -> f32 {
        ((i * 7919 + 17) % 2003) as f32 / 1001.5 - 1.0
    }

    fn rows(numbers: &[f32], width: usize) -> Group<'_> {
        numbers.chunks(width).collect()
    }

    fn saved(width: usize, centred: bool, file: &Path) {
        let corpus: Vec<f32> = (0..20 * width).map(number).collect();
        let corpus = Tensor::from_vec(corpus, (20, width), &Device::Cpu).unwrap();
        Pca::fit(&corpus, 4, centred).unwrap().save(file).unwrap();
    }

    #[test]
    fn a_stored_basis_projects_prompts_of_another_corpus() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("basis.safetensors");
        let prompts: Vec<f32> = (500..500 + 5 * 12).map(number).collect();
        let videos: Vec<f32> = (900..900 + 3 * 6).map(number).collect();
        let task =
            || TaskEmbeddings { id: "t", prompts: rows(&prompts, 12), videos: vec![rows(&videos, 6); 5] };
        for centred in [true, false] {
            saved(12, centred, &file);
            let options = MethodOptions {
                estimator: Estimator::Exact,
                projection: Projection::Stored { file: file.clone() },
            };
            let estimate = method::estimate(&[task()], &options, &Device::Cpu).unwrap();
            let fit = &estimate.tasks[0].prompts;
            assert_eq!((fit.dim, estimate.tasks[0].videos[0].dim), (4, 6));
            // By hand: coordinates in the stored basis, then the fit.
            let x = Tensor::from_vec(prompts.clone(), (1, 5, 12), &Device::Cpu).unwrap();
            let projected = Pca::load(&file, &Device::Cpu).unwrap().project(&x).unwrap();
            let statistics = squbed_tensor::group_statistics(&projected).unwrap()[0];
            let want = squbed_vmf::fit(&statistics, Estimator::Exact).unwrap();
            assert_eq!(fit.entropy, want.entropy);
            // A result keeps the basis that it used.
            assert_eq!(estimate.basis.unwrap().components(), 4);
        }
    }

    #[test]
    fn a_basis_that_does_not_belong_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("basis.safetensors");
        saved(8, true, &file);
        let prompts: Vec<f32> = (0..3 * 12).map(number).collect();
        let refused = |file: &Path| load(file, &[rows(&prompts, 12)], &Device::Cpu).unwrap_err().to_string();
        let message = refused(&file);
        assert!(message.contains("basis.safetensors") && message.contains("8") && message.contains("12"));
        assert!(refused(Path::new("nowhere.safetensors")).contains("nowhere.safetensors"));

        let encoder = |name: &str| EncoderIdentity {
            name: name.to_owned(),
            weights_sha256: String::new(),
            preprocessing: "p/1".to_owned(),
            sampling: String::new(),
            head: "embedding".to_owned(),
            dtype: "f32".to_owned(),
            dim: 8,
        };
        assert!(!check_encoder(&file, &encoder("a")).unwrap(), "there is no record");
        let record = serde_json::json!({ "preset": "paper", "text_encoder": encoder("a") }).to_string();
        std::fs::write(folder.path().join(METHOD), record).unwrap();
        assert!(check_encoder(&file, &encoder("a")).unwrap());
        let message = check_encoder(&file, &encoder("b")).unwrap_err().to_string();
        assert!(message.contains("a (p/1, f32)") && message.contains("b (p/1, f32)"), "{message}");
    }

    #[test]
    fn projections_have_names_and_one_per_prompt_is_refused() {
        assert_eq!(Projection::named("none", None).unwrap(), Projection::None);
        let corpus = |dims, centred| Projection::Corpus { dims, centred };
        assert_eq!(Projection::named("corpus", Some(9)).unwrap(), corpus(Some(9), true));
        assert_eq!(Projection::named("corpus-uncentred", None).unwrap(), corpus(None, false));
        let refused = |name, dims| Projection::named(name, dims).unwrap_err().to_string();
        assert!(refused("prompt-centred", None).contains("r̄ ≈ 0"));
        assert!(refused("prompt", Some(3)).contains("comparable"));
        assert!(refused("none", Some(3)).contains("3 components"));
        assert!(refused("pca", None).contains("corpus-uncentred"));
    }
}
