//! Embeddings with their keys, in the forms that other programs read.
//!
//! | file | is | an item that failed |
//! | --- | --- | --- |
//! | `.npy` | `[n, d]` f32, without keys | a row of NaN |
//! | `.safetensors` | the tensor `embeddings` `[n, d]` f32; `keys` in the metadata, a JSON array of strings | a row of NaN |
//! | `.parquet` | columns `key` (string) and `embedding` (fixed-size list of float32) | null |
//! | `.json` | an array of `{"key": …, "embedding": […]}` | null |
//! | `.jsonl` | the same objects, one a line | null |
//!
//! Rows stand in the order of the input, and a key may occur more than once.

use std::{
    collections::HashMap,
    io::{self, Write},
    path::Path,
    sync::Arc,
};

use ::safetensors::{Dtype, tensor::TensorView};
use arrow_array::{Array, ArrayRef, FixedSizeListArray, Float32Array, RecordBatch, StringArray};
use arrow_buffer::NullBuffer;
use arrow_schema::{ArrowError, DataType, Field, Schema};
use parquet::{
    arrow::ArrowWriter,
    basic::{Compression, ZstdLevel},
    file::properties::WriterProperties,
};
use serde::Serialize;

use crate::{
    atomic::{write_atomic, write_atomic_with},
    error::{Error, Result, writing},
    npy::{NpyArray, NpyData, write_npy},
};

/// The longest keys that a safetensors header takes: its readers admit 100 000 000 bytes of header.
const MAX_KEYS: usize = 99_000_000;

/// A form of such a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EmbeddingFormat {
    /// NumPy's array.
    Npy,
    /// A tensor with keys in its metadata.
    Safetensors,
    /// A table.
    Parquet,
    /// One JSON document.
    Json,
    /// One JSON object a line.
    JsonLines,
}

impl EmbeddingFormat {
    /// By the ending of a file's name, in either case.
    ///
    /// # Errors
    ///
    /// Another ending, or none.
    pub fn of(path: &Path) -> Result<Self> {
        let ending = path.extension().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
        Ok(match ending.as_str() {
            "npy" => Self::Npy,
            "safetensors" => Self::Safetensors,
            "parquet" => Self::Parquet,
            "json" => Self::Json,
            "jsonl" => Self::JsonLines,
            _ => return Err(Error::EmbeddingFormat { path: path.to_owned() }),
        })
    }
}

#[derive(Serialize)]
struct Row<'a> {
    key: &'a str,
    embedding: Option<&'a [f32]>,
}

/// Writes embeddings of `dim` numbers each, `None` for what failed, in the form that the ending of `path` says. The file
/// appears whole or not at all.
///
/// # Errors
///
/// Another ending, a file that cannot be written, more keys than a safetensors header takes.
///
/// # Panics
///
/// As many keys as rows are needed, and rows of `dim` numbers.
pub fn write_embeddings(path: &Path, keys: &[String], rows: &[Option<Vec<f32>>], dim: usize) -> Result<()> {
    assert!(keys.len() == rows.len() && rows.iter().flatten().all(|row| row.len() == dim));
    match EmbeddingFormat::of(path)? {
        EmbeddingFormat::Npy => {
            let array = NpyArray::new(vec![rows.len(), dim], NpyData::F32(flat(rows, dim, f32::NAN)));
            write_npy(path, &array.map_err(|source| Error::Npy { path: path.to_owned(), source })?)
        }
        EmbeddingFormat::Safetensors => write_safetensors(path, keys, rows, dim),
        EmbeddingFormat::Parquet => write_parquet(path, keys, rows, dim),
        EmbeddingFormat::Json => write_atomic_with(path, |out| {
            out.write_all(b"[")?;
            for (i, row) in json_rows(keys, rows).enumerate() {
                out.write_all(if i == 0 { b"\n" } else { b",\n" })?;
                serde_json::to_writer(&mut *out, &row).map_err(io::Error::from)?;
            }
            out.write_all(b"\n]\n")
        }),
        EmbeddingFormat::JsonLines => write_atomic_with(path, |out| {
            json_rows(keys, rows).try_for_each(|row| {
                serde_json::to_writer(&mut *out, &row).map_err(io::Error::from)?;
                out.write_all(b"\n")
            })
        }),
    }
}

fn json_rows<'a>(keys: &'a [String], rows: &'a [Option<Vec<f32>>]) -> impl Iterator<Item = Row<'a>> {
    keys.iter().zip(rows).map(|(key, row)| Row { key, embedding: row.as_deref() })
}

/// All numbers, row by row; `missing` in a row that there is not.
fn flat(rows: &[Option<Vec<f32>>], dim: usize, missing: f32) -> Vec<f32> {
    let mut numbers = Vec::with_capacity(rows.len() * dim);
    for row in rows {
        match row {
            Some(row) => numbers.extend_from_slice(row),
            None => numbers.extend(std::iter::repeat_n(missing, dim)),
        }
    }
    numbers
}

fn write_safetensors(path: &Path, keys: &[String], rows: &[Option<Vec<f32>>], dim: usize) -> Result<()> {
    let to_json = |source| Error::ToJson { path: path.to_owned(), row: 1, source };
    let listed = serde_json::to_string(keys).map_err(to_json)?;
    // In the header the list is a string, with its quotes escaped once more.
    let bytes = serde_json::to_string(&listed).map_err(to_json)?.len();
    if bytes > MAX_KEYS {
        return Err(Error::Keys { path: path.to_owned(), keys: keys.len(), bytes, most: MAX_KEYS });
    }
    let numbers: Vec<u8> = flat(rows, dim, f32::NAN).iter().flat_map(|x| x.to_le_bytes()).collect();
    let damaged = |source| Error::Safetensors { path: path.to_owned(), source };
    let tensor = TensorView::new(Dtype::F32, vec![rows.len(), dim], &numbers).map_err(damaged)?;
    let metadata = HashMap::from([("keys".to_owned(), listed)]);
    let file = ::safetensors::serialize([("embeddings", tensor)], Some(metadata)).map_err(damaged)?;
    write_atomic(path, file)
}

fn write_parquet(path: &Path, keys: &[String], rows: &[Option<Vec<f32>>], dim: usize) -> Result<()> {
    let properties = WriterProperties::builder()
        .set_created_by(concat!("squbed ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .build();
    write_atomic_with(path, |file| {
        let batch = to_batch(keys, rows, dim).map_err(io::Error::other)?;
        let mut writer = ArrowWriter::try_new(file, batch.schema(), Some(properties)).map_err(writing)?;
        writer.write(&batch).map_err(writing)?;
        writer.close().map_err(writing)?;
        Ok(())
    })
}

fn to_batch(keys: &[String], rows: &[Option<Vec<f32>>], dim: usize) -> Result<RecordBatch, ArrowError> {
    let width = i32::try_from(dim).map_err(|e| ArrowError::InvalidArgumentError(e.to_string()))?;
    let number = Arc::new(Field::new("item", DataType::Float32, false));
    let there: NullBuffer = rows.iter().map(Option::is_some).collect::<Vec<bool>>().into();
    let numbers = Arc::new(Float32Array::from(flat(rows, dim, 0.0)));
    let embeddings = FixedSizeListArray::try_new(number, width, numbers, Some(there))?;
    let schema = Schema::new(vec![
        Field::new("key", DataType::Utf8, false),
        Field::new("embedding", embeddings.data_type().clone(), true),
    ]);
    let keys: ArrayRef = Arc::new(StringArray::from_iter_values(keys));
    RecordBatch::try_new(Arc::new(schema), vec![keys, Arc::new(embeddings)])
}
