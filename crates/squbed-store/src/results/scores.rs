//! `accuracy.parquet`.

use std::{path::Path, sync::Arc};

use arrow_array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow_schema::{ArrowError, DataType, Field, Schema};
use squbed_core::AccuracyScore;

use super::table::defined;
use crate::columns::write_table;
use crate::error::Result;

pub(super) fn write(path: &Path, rows: &[AccuracyScore]) -> Result<()> {
    write_table(path, None, || to_batch(rows))
}

/// An undefined value is null.
fn to_batch(rows: &[AccuracyScore]) -> Result<RecordBatch, ArrowError> {
    let ids = StringArray::from_iter_values(rows.iter().map(|row| &row.id));
    let metrics = StringArray::from_iter_values(rows.iter().map(|row| &row.metric));
    let values: Float64Array = rows.iter().map(|row| defined(row.value)).collect();
    let videos = Int64Array::from_iter_values(rows.iter().map(|row| row.videos as i64));
    let digests: StringArray = rows.iter().map(|row| row.videos_digest.as_ref()).collect();
    let columns: Vec<ArrayRef> =
        vec![Arc::new(ids), Arc::new(metrics), Arc::new(values), Arc::new(videos), Arc::new(digests)];
    let fields = [
        ("id", DataType::Utf8),
        ("metric", DataType::Utf8),
        ("value", DataType::Float64),
        ("videos", DataType::Int64),
        ("videos_digest", DataType::Utf8),
    ]
    .map(|(name, kind)| Field::new(name, kind, matches!(name, "value" | "videos_digest")));
    RecordBatch::try_new(Arc::new(Schema::new(fields.to_vec())), columns)
}
