//! Tables of clips, a row a video: what data sets of videos carry beside their files.

use std::{fs::File, path::Path, sync::Arc};

use arrow_array::{Array, ArrayRef, Int64Array, RecordBatch, StringArray, cast::AsArray, types::Int64Type};
use arrow_schema::{DataType, Field, Schema};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    columns::{self, write_table},
    error::{Error, Result},
};

/// A clip of an exported data set, and the task that it belongs to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClipRow {
    /// The clip, relative to the table's folder, with `/`. Data sets of other programs have this column and one of
    /// prompts.
    pub file_name: String,
    /// The task's id.
    pub task: String,
    /// The task's prompt ℓ.
    pub prompt: String,
    /// Whether it is the true video, or a generated one.
    pub kind: ClipKind,
    /// Position of the latent prompt in its task, from 0; none of a true video.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latent: Option<u32>,
    /// The latent prompt z; none of a true video.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latent_prompt: Option<String>,
    /// Position of the sample in its latent prompt, from 0; none of a true video.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sample: Option<u32>,
    /// The data set that the task comes from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dataset: Option<String>,
    /// The task's category.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
    /// BLAKE3 of the clip's bytes.
    pub digest: String,
    /// What generated it, where a ledger says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Its seed, where a ledger says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
}

/// What a clip is in its task.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClipKind {
    /// The true video.
    GroundTruth,
    /// A generated one.
    #[default]
    Generated,
}

impl ClipKind {
    fn name(self) -> &'static str {
        match self {
            Self::GroundTruth => "ground_truth",
            Self::Generated => "generated",
        }
    }
}

/// Writes clips as a Parquet table, in their order; the file appears whole or not at all.
///
/// # Errors
///
/// A file that cannot be written.
pub fn write_clips(path: &Path, rows: &[ClipRow]) -> Result<()> {
    write_table(path, None, || {
        let mut fields = Vec::new();
        let mut arrays: Vec<ArrayRef> = Vec::new();
        let mut text = |name: &str, of: fn(&ClipRow) -> Option<&str>, nullable: bool| {
            fields.push(Field::new(name, DataType::Utf8, nullable));
            arrays.push(Arc::new(rows.iter().map(of).collect::<StringArray>()) as ArrayRef);
        };
        text("file_name", |row| Some(&row.file_name), false);
        text("task", |row| Some(&row.task), false);
        text("prompt", |row| Some(&row.prompt), false);
        text("kind", |row| Some(row.kind.name()), false);
        text("latent_prompt", |row| row.latent_prompt.as_deref(), true);
        text("dataset", |row| row.dataset.as_deref(), true);
        text("category", |row| row.category.as_deref(), true);
        text("digest", |row| Some(&row.digest), false);
        text("model", |row| row.model.as_deref(), true);
        let mut number = |name: &str, of: fn(&ClipRow) -> Option<i64>| {
            fields.push(Field::new(name, DataType::Int64, true));
            arrays.push(Arc::new(rows.iter().map(of).collect::<Int64Array>()) as ArrayRef);
        };
        number("latent", |row| row.latent.map(i64::from));
        number("sample", |row| row.sample.map(i64::from));
        // Seeds are below 2³¹ here; a larger one of another program would not be a number in every reader.
        number("seed", |row| row.seed.and_then(|seed| i64::try_from(seed).ok()));
        RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays)
    })
}

/// The texts and whole numbers of any Parquet table, by the names of their columns, a map a row. Nulls, and columns of
/// other types, are left out.
///
/// # Errors
///
/// What is no Parquet file, a damaged one, or one in a compression that is not built in.
pub fn read_rows(path: &Path) -> Result<Vec<Map<String, Value>>> {
    let file = File::open(path).map_err(Error::io("open", path))?;
    let read = || {
        let metadata = columns::open(&file)?;
        if let Some(codec) = columns::unread_codec(&metadata) {
            return Ok(Err(Error::Codec { path: path.to_owned(), codec }));
        }
        let file = file.try_clone()?;
        let reader = ParquetRecordBatchReaderBuilder::new_with_metadata(file, metadata).build()?;
        let mut rows = Vec::new();
        for batch in reader {
            let batch = batch?;
            let first = rows.len();
            rows.resize_with(first + batch.num_rows(), Map::new);
            for (field, array) in batch.schema().fields().iter().zip(batch.columns()) {
                for (i, row) in rows[first..].iter_mut().enumerate() {
                    if let Some(value) = cell(array, i) {
                        row.insert(field.name().clone(), value);
                    }
                }
            }
        }
        Ok::<_, parquet::errors::ParquetError>(Ok(rows))
    };
    columns::guarded(read).map_err(Error::parquet(path))?
}

fn cell(array: &ArrayRef, row: usize) -> Option<Value> {
    if array.is_null(row) {
        return None;
    }
    if let Some(texts) = array.as_string_opt::<i32>() {
        return Some(texts.value(row).into());
    }
    array.as_primitive_opt::<Int64Type>().map(|numbers| numbers.value(row).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clips_come_back_as_they_were() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("metadata.parquet");
        let truth = ClipRow {
            file_name: "data/0/truth.mp4".to_owned(),
            task: "ä".to_owned(),
            prompt: "a “cat”".to_owned(),
            kind: ClipKind::GroundTruth,
            digest: "d".to_owned(),
            ..ClipRow::default()
        };
        let generated = ClipRow {
            kind: ClipKind::Generated,
            latent: Some(0),
            latent_prompt: Some("a grey cat".to_owned()),
            sample: Some(3),
            dataset: Some("set".to_owned()),
            category: Some("animals".to_owned()),
            model: Some("m".to_owned()),
            seed: Some((1 << 31) - 1),
            ..truth.clone()
        };
        write_clips(&path, &[truth.clone(), generated.clone()]).unwrap();
        let rows = read_rows(&path).unwrap();
        let back: Vec<ClipRow> =
            rows.into_iter().map(|row| serde_json::from_value(row.into()).unwrap()).collect();
        assert_eq!(back, [truth, generated]);
        let whole = std::fs::read(&path).unwrap();
        std::fs::write(&path, &whole[..whole.len() / 2]).unwrap();
        assert!(read_rows(&path).unwrap_err().to_string().contains("metadata.parquet"));
    }
}
