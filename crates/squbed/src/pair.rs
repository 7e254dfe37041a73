//! One metric of two pictures.

use std::path::Path;

use candle_core::{DType, Device};
use squbed_metrics::{Lpips, Metric};
use squbed_models::{ModelStore, Weights, arch::backbone::Backbone};
use squbed_video::Limits;

use crate::error::{Error, Result};

/// Weights of LPIPS that a user brings, as safetensors.
#[derive(Clone, Copy, Debug)]
pub struct LpipsFiles<'a> {
    /// The network's checkpoint in torchvision's names.
    pub backbone: &'a Path,
    /// The linear heads in the package's names.
    pub linear: &'a Path,
}

/// A metric of two pictures of one size, grey and other kinds brought to 8-bit RGB. LPIPS takes its weights
/// from `files`, else from the model of its name.
///
/// # Errors
///
/// Pictures that cannot be read, of different size, or too small for the metric; weights that are not there,
/// with the command that fetches them.
pub fn score_pair(
    a: &Path,
    b: &Path,
    metric: Metric,
    files: Option<LpipsFiles<'_>>,
    device: &Device,
    dtype: DType,
) -> Result<f64> {
    let read = |path: &Path| Ok::<_, Error>([squbed_video::read_picture(path, &Limits::default())?]);
    let (first, second) = (read(a)?, read(b)?);
    let values = match metric {
        Metric::Pixel(metric) => metric.frames(&first, &second),
        Metric::Lpips(backbone) => lpips(backbone, files, device, dtype)?.frames(&first, &second),
    };
    let refused = |source| Error::Pair { a: a.to_owned(), b: b.to_owned(), source };
    // One pair gives one value.
    Ok(values.map_err(refused)?[0])
}

fn lpips(backbone: Backbone, files: Option<LpipsFiles<'_>>, device: &Device, dtype: DType) -> Result<Lpips> {
    Ok(match files {
        Some(LpipsFiles { backbone: network, linear }) => {
            Lpips::load(backbone, &Weights::open(network)?, &Weights::open(linear)?, device, dtype)?
        }
        None => Lpips::open(&ModelStore::new(None)?, backbone, device, dtype)?,
    })
}
