//! One file a command: its flags, and what it prints.

pub(crate) mod aleatoric;
pub(crate) mod bench;
pub(crate) mod calibrate;
pub(crate) mod dataset;
pub(crate) mod demo;
pub(crate) mod devices;
pub(crate) mod embed;
pub(crate) mod estimate;
pub(crate) mod generate;
pub(crate) mod models;
pub(crate) mod pair;
pub(crate) mod plan;
pub(crate) mod probe;
pub(crate) mod refine;
pub(crate) mod run;
pub(crate) mod score;
pub(crate) mod sim;
pub(crate) mod stats;
pub(crate) mod vmf;

use std::{collections::BTreeSet, path::Path};

use squbed::{
    progress::Progress,
    store::Failure,
    tensor::{DType, Device, device},
};

use crate::{Common, Done, progress::Bars};

/// The device and dtype of the common options.
pub(crate) fn place(common: &Common) -> anyhow::Result<(Device, DType)> {
    let device = device::select_device(&common.device).map_err(squbed::Error::from)?;
    let dtype = device::select_dtype(&common.dtype, &device).map_err(squbed::Error::from)?;
    Ok((device, dtype))
}

/// What the user typed, for the record.
pub(crate) fn command_line() -> String {
    let words: Vec<String> = std::env::args().skip(1).collect();
    format!("squbed {}", words.join(" "))
}

/// Replaces the rows of `steps` in `failures.jsonl` of `folder`, says so, and gives the command's end. Of the step
/// `embed`, which several commands share, only rows of the videos `tried` now are replaced.
pub(crate) fn record_failures(
    folder: &Path,
    steps: &[&str],
    tried: &[&Path],
    failures: &[Failure],
    bars: &Bars,
) -> anyhow::Result<Done> {
    let path = folder.join(squbed::results::FAILURES);
    let tried: BTreeSet<String> = tried.iter().map(|path| path.display().to_string()).collect();
    let mut rows = squbed::store::read_failures(&path).map_err(squbed::Error::from)?;
    rows.retain(|row| row.step == "embed" && steps.contains(&"embed") && !tried.contains(&row.item));
    rows.extend_from_slice(failures);
    squbed::results::write_failures(folder, steps, &rows)?;
    if failures.is_empty() {
        return Ok(Done::Whole);
    }
    bars.warn(&format!("{} item(s) failed; see {}", failures.len(), path.display()));
    Ok(Done::WithFailures)
}
