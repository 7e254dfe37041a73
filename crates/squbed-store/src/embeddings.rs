//! Embeddings with their keys, in the forms that other programs read.
//!
//! | file | is | an item that failed | the encoder |
//! | --- | --- | --- | --- |
//! | `.npy` | `[n, d]` f32, without keys | a row of NaN | not there: the form has no place for it |
//! | `.safetensors` | the tensor `embeddings` `[n, d]` f32; `keys` in the metadata, a JSON array of strings | a row of NaN | `encoder` in the metadata, a JSON object |
//! | `.parquet` | columns `key` (string) and `embedding` (fixed-size list of float32) | null | `squbed.encoder` in the metadata, a JSON object |
//! | `.json` | an array of `{"key": …, "embedding": […], "encoder": {…}}` | null | in each row |
//! | `.jsonl` | the same objects, one a line | null | in each row |
//!
//! Rows stand in the order of the input, and a key may occur more than once. The encoder is an [`EncoderIdentity`].
//!
//! Of videos frame by frame arrays are `[n, t, d]`, and tables have a row a frame, with `frame` (int32) between `key` and
//! `embedding`: 0 for the first of the frames that the sampling chose.

use std::{
    collections::HashMap,
    io::{self, Write},
    path::Path,
    sync::Arc,
};

use ::safetensors::{Dtype, tensor::TensorView};
use arrow_array::{Array, ArrayRef, FixedSizeListArray, Float32Array, Int32Array, RecordBatch, StringArray};
use arrow_buffer::NullBuffer;
use arrow_schema::{ArrowError, DataType, Field, Schema};
use parquet::file::metadata::KeyValue;
use serde::Serialize;
use squbed_core::EncoderIdentity;

use crate::{
    atomic::{write_atomic, write_atomic_with},
    columns::write_table,
    error::{Error, Result},
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

/// Key of the encoder in a Parquet file's metadata.
const ENCODER_KEY: &str = "squbed.encoder";

/// Embeddings of an encoder with their keys.
#[derive(Clone, Copy, Debug)]
pub struct EmbeddingTable<'a> {
    /// What made them; `dim` is the numbers of one embedding.
    pub encoder: &'a EncoderIdentity,
    /// One an item.
    pub keys: &'a [String],
    /// One an item, `None` for what failed: an embedding, or those of its frames one after another.
    pub rows: &'a [Option<Vec<f32>>],
    /// How many frames a row holds, where it is not one embedding.
    pub frames: Option<usize>,
}

impl<'a> EmbeddingTable<'a> {
    /// Numbers of a row.
    fn width(&self) -> usize {
        self.encoder.dim * self.frames.unwrap_or(1)
    }

    /// The shape of all of them as one array.
    fn shape(&self) -> Vec<usize> {
        [Some(self.keys.len()), self.frames, Some(self.encoder.dim)].into_iter().flatten().collect()
    }

    /// All numbers, row by row; `missing` in a row that there is not.
    fn flat(&self, missing: f32) -> Vec<f32> {
        let width = self.width();
        let mut numbers = Vec::with_capacity(self.rows.len() * width);
        for row in self.rows {
            match row {
                Some(row) => numbers.extend_from_slice(row),
                None => numbers.extend(std::iter::repeat_n(missing, width)),
            }
        }
        numbers
    }

    /// The rows of a table: one an item, or one a frame.
    fn entries(&self) -> impl Iterator<Item = Row<'a>> {
        let Self { encoder, keys, rows, frames } = *self;
        keys.iter().zip(rows).flat_map(move |(key, row)| {
            (0..frames.unwrap_or(1)).map(move |i| Row {
                key,
                frame: frames.map(|_| i),
                embedding: row.as_ref().map(|row| &row[i * encoder.dim..][..encoder.dim]),
                encoder,
            })
        })
    }
}

#[derive(Serialize)]
struct Row<'a> {
    key: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    frame: Option<usize>,
    embedding: Option<&'a [f32]>,
    encoder: &'a EncoderIdentity,
}

/// Writes embeddings in the form that the ending of `path` says. The file appears whole or not at all.
///
/// # Errors
///
/// Another ending, a file that cannot be written, more keys than a safetensors header takes.
///
/// # Panics
///
/// As many keys as rows are needed, and rows as long as the encoder and the number of frames say.
pub fn write_embeddings(path: &Path, table: &EmbeddingTable<'_>) -> Result<()> {
    let width = table.width();
    assert!(
        table.keys.len() == table.rows.len() && table.rows.iter().flatten().all(|row| row.len() == width)
    );
    match EmbeddingFormat::of(path)? {
        EmbeddingFormat::Npy => {
            let array = NpyArray::new(table.shape(), NpyData::F32(table.flat(f32::NAN)));
            write_npy(path, &array.map_err(|source| Error::Npy { path: path.to_owned(), source })?)
        }
        EmbeddingFormat::Safetensors => write_safetensors(path, table),
        EmbeddingFormat::Parquet => write_parquet(path, table),
        EmbeddingFormat::Json => write_atomic_with(path, |out| {
            out.write_all(b"[")?;
            for (i, row) in table.entries().enumerate() {
                out.write_all(if i == 0 { b"\n" } else { b",\n" })?;
                serde_json::to_writer(&mut *out, &row).map_err(io::Error::from)?;
            }
            out.write_all(b"\n]\n")
        }),
        EmbeddingFormat::JsonLines => write_atomic_with(path, |out| {
            table.entries().try_for_each(|row| {
                serde_json::to_writer(&mut *out, &row).map_err(io::Error::from)?;
                out.write_all(b"\n")
            })
        }),
    }
}

fn write_safetensors(path: &Path, table: &EmbeddingTable<'_>) -> Result<()> {
    let to_json = |source| Error::ToJson { path: path.to_owned(), row: 1, source };
    let listed = serde_json::to_string(table.keys).map_err(to_json)?;
    // In the header the list is a string, with its quotes escaped once more.
    let bytes = serde_json::to_string(&listed).map_err(to_json)?.len();
    if bytes > MAX_KEYS {
        return Err(Error::Keys { path: path.to_owned(), keys: table.keys.len(), bytes, most: MAX_KEYS });
    }
    let encoder = serde_json::to_string(table.encoder).map_err(to_json)?;
    let numbers: Vec<u8> = table.flat(f32::NAN).iter().flat_map(|x| x.to_le_bytes()).collect();
    let damaged = |source| Error::Safetensors { path: path.to_owned(), source };
    let tensor = TensorView::new(Dtype::F32, table.shape(), &numbers).map_err(damaged)?;
    let metadata = HashMap::from([("keys".to_owned(), listed), ("encoder".to_owned(), encoder)]);
    let file = ::safetensors::serialize([("embeddings", tensor)], Some(metadata)).map_err(damaged)?;
    write_atomic(path, file)
}

fn write_parquet(path: &Path, table: &EmbeddingTable<'_>) -> Result<()> {
    let encoder = serde_json::to_string(table.encoder).map_err(|source| Error::ToJson {
        path: path.to_owned(),
        row: 1,
        source,
    })?;
    write_table(path, Some(vec![KeyValue::new(ENCODER_KEY.to_owned(), encoder)]), || to_batch(table))
}

fn to_batch(table: &EmbeddingTable<'_>) -> Result<RecordBatch, ArrowError> {
    let too_many = |e: std::num::TryFromIntError| ArrowError::InvalidArgumentError(e.to_string());
    let width = i32::try_from(table.encoder.dim).map_err(too_many)?;
    let number = Arc::new(Field::new("item", DataType::Float32, false));
    let there: NullBuffer = table.entries().map(|row| row.embedding.is_some()).collect::<Vec<bool>>().into();
    let numbers = Arc::new(Float32Array::from(table.flat(0.0)));
    let embeddings = FixedSizeListArray::try_new(number, width, numbers, Some(there))?;
    let keys: ArrayRef = Arc::new(StringArray::from_iter_values(table.entries().map(|row| row.key)));
    let mut fields = vec![Field::new("key", DataType::Utf8, false)];
    let mut columns = vec![keys];
    if table.frames.is_some() {
        let frames = table.entries().filter_map(|row| row.frame).map(i32::try_from);
        let frames: Vec<i32> = frames.collect::<Result<_, _>>().map_err(too_many)?;
        fields.push(Field::new("frame", DataType::Int32, false));
        columns.push(Arc::new(Int32Array::from(frames)));
    }
    fields.push(Field::new("embedding", embeddings.data_type().clone(), true));
    columns.push(Arc::new(embeddings));
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)
}
