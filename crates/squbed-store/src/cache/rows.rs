//! The rows of one row group, in memory and as Arrow has them.

use std::{path::Path, sync::Arc};

use arrow_array::{ArrayRef, FixedSizeListArray, Float32Array, Int64Array, RecordBatch, StringArray};
use arrow_schema::{ArrowError, DataType, Field, Schema};

use super::EmbeddingRow;
use crate::{
    columns::{self, Named},
    error::Result,
};

/// The rows of one row group.
#[derive(Debug, PartialEq)]
pub(super) struct Rows {
    dim: usize,
    remarks: Vec<Remarks>,
    /// `[rows, dim]`
    embeddings: Vec<f32>,
}

/// A row without its embedding.
#[derive(Clone, Debug, PartialEq)]
struct Remarks {
    digest: String,
    source: String,
    frames: i64,
    warnings: Vec<String>,
}

/// The columns of a part.
pub(super) fn schema(dim: usize) -> Schema {
    let text = |name| Field::new(name, DataType::Utf8, false);
    Schema::new(vec![
        text("digest"),
        text("source"),
        Field::new("frames", DataType::Int64, false),
        Field::new("warnings", DataType::List(Arc::new(text("item"))), false),
        Field::new("embedding", DataType::FixedSizeList(float(), dim as i32), false),
    ])
}

fn float() -> Arc<Field> {
    Arc::new(Field::new("item", DataType::Float32, false))
}

impl Rows {
    /// Rows of embeddings `[dim]`.
    pub(super) fn new(dim: usize, rows: &[&EmbeddingRow]) -> Self {
        let remarks = rows.iter().map(|row| Remarks {
            digest: row.digest.clone(),
            source: row.source.clone(),
            frames: row.frames as i64,
            warnings: row.warnings.clone(),
        });
        let embeddings = rows.iter().flat_map(|row| row.embedding.iter().copied());
        Self { dim, remarks: remarks.collect(), embeddings: embeddings.collect() }
    }

    pub(super) fn to_batch(&self, schema: Arc<Schema>) -> Result<RecordBatch, ArrowError> {
        let texts = |text: fn(&Remarks) -> &String| {
            Arc::new(StringArray::from_iter_values(self.remarks.iter().map(text))) as ArrayRef
        };
        let warnings = StringArray::from_iter_values(self.remarks.iter().flat_map(|row| &row.warnings));
        let warnings =
            columns::lists_of(self.remarks.iter().map(|row| row.warnings.len()), Arc::new(warnings))?;
        let values = Arc::new(Float32Array::from(self.embeddings.clone()));
        RecordBatch::try_new(
            schema,
            vec![
                texts(|row| &row.digest),
                texts(|row| &row.source),
                Arc::new(Int64Array::from_iter_values(self.remarks.iter().map(|row| row.frames))),
                Arc::new(warnings),
                Arc::new(FixedSizeListArray::try_new(float(), self.dim as i32, values, None)?),
            ],
        )
    }

    /// The inverse of [`Rows::to_batch`], from a batch in the types of Parquet alone.
    pub(super) fn from_batch(path: &Path, dim: usize, batch: &RecordBatch) -> Result<Self> {
        let column = |name| Named { path, name, array: batch.column_by_name(name) };
        let (digests, sources) = (column("digest").texts()?, column("source").texts()?);
        let frames = column("frames").integers()?;
        let warnings = column("warnings").lists("a list of text")?;
        let texts = Named { path, name: "warnings.item", array: warnings.items() }.texts()?;
        let embedding = column("embedding");
        let lists = embedding.lists("a list of float32")?;
        if (0..batch.num_rows()).any(|row| lists.range(row) != (row * dim..(row + 1) * dim)) {
            return Err(embedding.wrong("a list of as many float32 as the encoder has"));
        }
        let values = Named { path, name: "embedding.item", array: lists.items() }.floats()?;
        let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
        let remarks = (0..batch.num_rows()).map(|row| Remarks {
            digest: text(digests.get(row)),
            source: text(sources.get(row)),
            frames: frames.value(row),
            warnings: warnings.range(row).map(|i| text(texts.get(i))).collect(),
        });
        Ok(Self { dim, remarks: remarks.collect(), embeddings: values.values().to_vec() })
    }

    /// The digest of the content: BLAKE3 of, row by row, digest, source, frames (i64), the number of
    /// warnings (u64) and the warnings; then of all embeddings as f32. Every text has its length in
    /// bytes (u64) before it; all is little endian.
    pub(super) fn check(&self) -> String {
        fn put(bytes: &mut Vec<u8>, text: &str) {
            bytes.extend((text.len() as u64).to_le_bytes());
            bytes.extend(text.as_bytes());
        }
        let mut bytes = Vec::with_capacity(5 * self.embeddings.len());
        for row in &self.remarks {
            put(&mut bytes, &row.digest);
            put(&mut bytes, &row.source);
            bytes.extend(row.frames.to_le_bytes());
            bytes.extend((row.warnings.len() as u64).to_le_bytes());
            row.warnings.iter().for_each(|warning| put(&mut bytes, warning));
        }
        bytes.extend(self.embeddings.iter().flat_map(|x| x.to_le_bytes()));
        blake3::hash(&bytes).to_hex().to_string()
    }

    /// The source of the first embedding that holds NaN or an infinity.
    pub(super) fn not_finite(&self) -> Option<&str> {
        let at = self.embeddings.iter().position(|x| !x.is_finite())?;
        Some(&self.remarks[at / self.dim].source)
    }

    pub(super) fn len(&self) -> usize {
        self.remarks.len()
    }

    pub(super) fn embedding(&self, row: usize) -> &[f32] {
        &self.embeddings[row * self.dim..(row + 1) * self.dim]
    }

    pub(super) fn row(&self, row: usize) -> EmbeddingRow {
        let Remarks { digest, source, frames, warnings } = self.remarks[row].clone();
        EmbeddingRow {
            digest,
            source,
            frames: frames as usize,
            warnings,
            embedding: self.embedding(row).to_vec(),
        }
    }
}
