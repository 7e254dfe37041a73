//! Results of the method and the truths of the closed world.
//!
//! | file | row |
//! | --- | --- |
//! | `uncertainty.jsonl` | a [`TaskUncertainty`] |
//! | `uncertainty.parquet` | the same: the task's numbers, its intervals as `interval_…`, the prompts' fit as `prompts_…`, and `videos`, a list of structs with one fit a latent prompt; the options in force as JSON in the metadata under `squbed.method` |
//! | `accuracy.jsonl` | an [`AccuracyScore`]: a task and a metric |
//! | `accuracy.parquet` | the same |
//! | `truth.jsonl` | a [`TruthRow`] |
//!
//! In JSON an infinity is the string `"inf"` or `"-inf"` and an undefined number is `null`; in Parquet
//! an infinity is itself and an undefined number is null.

mod scores;
mod table;

use std::path::Path;

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use squbed_core::{AccuracyScore, TaskUncertainty};

use crate::{
    error::Result,
    jsonl::{read_json_lines, write_json_lines},
};

/// Name of the uncertainties in a folder of results, without `.jsonl` or `.parquet`.
const UNCERTAINTY: &str = "uncertainty";
const ACCURACY: &str = "accuracy";
const TRUTH: &str = "truth.jsonl";

/// What is true of a task of the closed world.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TruthRow {
    /// The task.
    pub id: String,
    /// Entropy of what the prompt leaves open, nats.
    #[serde(with = "squbed_core::float")]
    pub aleatoric: f64,
    /// Entropy of what the model does not know, nats.
    #[serde(with = "squbed_core::float")]
    pub epistemic: f64,
    /// Whether the model always draws the same wrong value for this task.
    pub confidently_wrong: bool,
}

/// Writes `uncertainty.jsonl` and `uncertainty.parquet` into `dir`, each whole or not at all.
///
/// `method` names the options in force, and goes into the metadata of the Parquet file.
pub fn write_uncertainty(dir: &Path, rows: &[TaskUncertainty], method: &serde_json::Value) -> Result<()> {
    table::write(&dir.join(format!("{UNCERTAINTY}.parquet")), rows, &method.to_string())?;
    write_json_lines(&dir.join(format!("{UNCERTAINTY}.jsonl")), rows)
}

/// Reads `uncertainty.jsonl` in `dir`.
pub fn read_uncertainty(dir: &Path) -> Result<Vec<TaskUncertainty>> {
    read(
        &dir.join(format!("{UNCERTAINTY}.jsonl")),
        "a row is what `squbed estimate` writes for one task; run it again",
    )
}

/// Reads the options that were in force from `uncertainty.parquet` in `dir`.
pub fn read_method(dir: &Path) -> Result<serde_json::Value> {
    table::read_method(&dir.join(format!("{UNCERTAINTY}.parquet")))
}

/// Writes `accuracy.jsonl` and `accuracy.parquet` into `dir`, each whole or not at all.
pub fn write_accuracy(dir: &Path, rows: &[AccuracyScore]) -> Result<()> {
    scores::write(&dir.join(format!("{ACCURACY}.parquet")), rows)?;
    write_json_lines(&dir.join(format!("{ACCURACY}.jsonl")), rows)
}

/// Reads `accuracy.jsonl` in `dir`.
pub fn read_accuracy(dir: &Path) -> Result<Vec<AccuracyScore>> {
    read(&dir.join(format!("{ACCURACY}.jsonl")), "a row is an object with id, metric, value and videos")
}

/// Writes `truth.jsonl` into `dir`, whole or not at all.
pub fn write_truth(dir: &Path, rows: &[TruthRow]) -> Result<()> {
    write_json_lines(&dir.join(TRUTH), rows)
}

/// Reads `truth.jsonl` in `dir`.
pub fn read_truth(dir: &Path) -> Result<Vec<TruthRow>> {
    read(&dir.join(TRUTH), "a row is an object with id, aleatoric, epistemic and confidently_wrong")
}

fn read<T: DeserializeOwned>(path: &Path, remedy: &'static str) -> Result<Vec<T>> {
    Ok(read_json_lines(path, remedy)?.into_iter().map(|(_, row)| row).collect())
}
