//! Typed columns of Parquet files.
//!
//! Files are opened in the types of Parquet alone: whatever wrote a text or a list, and under whichever
//! of Arrow's names for them, it is read as `Utf8` and `List`.

use std::{fs::File, ops::Range, panic::AssertUnwindSafe, path::Path, sync::Arc};

use arrow_array::{
    Array, ArrayRef, Float32Array, Int64Array, ListArray, RecordBatch, StringArray, StructArray,
    cast::AsArray,
};
use arrow_buffer::OffsetBuffer;
use arrow_schema::{ArrowError, Field};
use parquet::{
    arrow::{
        ArrowWriter,
        arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions},
    },
    basic::{Compression, ZstdLevel},
    errors::ParquetError,
    file::{
        metadata::{ColumnChunkMetaData, KeyValue, RowGroupMetaData},
        properties::WriterProperties,
    },
};

use crate::{
    atomic::write_atomic_with,
    error::{Error, Result, writing},
};

/// Reads a Parquet file's footer.
pub(crate) fn open(file: &File) -> Result<ArrowReaderMetadata, ParquetError> {
    ArrowReaderMetadata::load(file, ArrowReaderOptions::new().with_skip_arrow_metadata(true))
}

/// What to do about a file in a compression that [`unread_codec`] names.
pub(crate) const WRITE_AGAIN: &str =
    "which this program cannot read; write it with snappy, with zstd or without compression";

/// The name of a compression in a file that is not built in, such as GZIP.
pub(crate) fn unread_codec(metadata: &ArrowReaderMetadata) -> Option<String> {
    let columns = metadata.metadata().row_groups().iter().flat_map(RowGroupMetaData::columns);
    let unread = columns.map(ColumnChunkMetaData::compression).find(|codec| {
        !matches!(codec, Compression::UNCOMPRESSED | Compression::SNAPPY | Compression::ZSTD(_))
    })?;
    let name = unread.to_string();
    // The level is a writer's affair; a file does not state it.
    Some(name.split('(').next().unwrap_or(&name).to_owned())
}

/// Writes one table; the file appears whole or not at all.
pub(crate) fn write_table(
    path: &Path,
    metadata: Option<Vec<KeyValue>>,
    table: impl FnOnce() -> Result<RecordBatch, ArrowError>,
) -> Result<()> {
    let properties = WriterProperties::builder()
        .set_created_by(concat!("squbed ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_key_value_metadata(metadata)
        .build();
    write_atomic_with(path, |file| {
        let batch = table().map_err(std::io::Error::other)?;
        let mut writer = ArrowWriter::try_new(file, batch.schema(), Some(properties)).map_err(writing)?;
        writer.write(&batch).map_err(writing)?;
        writer.close().map_err(writing)?;
        Ok(())
    })
}

/// Runs what reads Parquet. On some damaged files the library panics instead of failing; that is an
/// error of the file as any other.
pub(crate) fn guarded<T, E: From<ParquetError>>(read: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
    // Nothing outlives the call but its answer, so nothing half-changed can be seen.
    std::panic::catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(|_| {
        Err(ParquetError::General("what it says of itself does not hold".to_owned()).into())
    })
}

/// The value under `key` in a file's metadata.
pub(crate) fn metadata_value<'a>(metadata: &'a ArrowReaderMetadata, key: &str) -> Option<&'a str> {
    let pairs = metadata.metadata().file_metadata().key_value_metadata()?;
    pairs.iter().find(|pair| pair.key == key)?.value.as_deref()
}

/// Lists of these lengths, of `items` in their order; neither is null.
pub(crate) fn lists_of(
    lengths: impl IntoIterator<Item = usize>,
    items: ArrayRef,
) -> Result<ListArray, ArrowError> {
    let item = Arc::new(Field::new("item", items.data_type().clone(), false));
    ListArray::try_new(item, OffsetBuffer::from_lengths(lengths), items, None)
}

/// A column with its name, for messages.
#[derive(Clone, Copy)]
pub(crate) struct Named<'a> {
    pub(crate) path: &'a Path,
    pub(crate) name: &'a str,
    pub(crate) array: Option<&'a ArrayRef>,
}

impl<'a> Named<'a> {
    /// The column, unless it is absent or holds nothing but nulls.
    fn filled(self) -> Option<&'a ArrayRef> {
        self.array.filter(|array| array.logical_null_count() < array.len())
    }

    fn typed<T>(
        self,
        expected: &'static str,
        cast: impl FnOnce(&'a ArrayRef) -> Option<&'a T>,
    ) -> Result<Option<&'a T>> {
        self.filled().map(|array| cast(array).ok_or_else(|| self.wrong(expected))).transpose()
    }

    /// The error about a column of another type, or none.
    pub(crate) fn wrong(self, expected: &'static str) -> Error {
        Error::Column {
            path: self.path.to_owned(),
            column: self.name.to_owned(),
            expected,
            found: self.array.map_or_else(|| "nothing".to_owned(), |array| array.data_type().to_string()),
        }
    }

    /// Texts; `None` where there is none in any row.
    pub(crate) fn texts(self) -> Result<Texts<'a>> {
        self.typed("text", |array| array.as_string_opt::<i32>()).map(Texts)
    }

    /// Lists; `None` where there is none in any row.
    pub(crate) fn lists(self, expected: &'static str) -> Result<Lists<'a>> {
        self.typed(expected, |array| array.as_list_opt::<i32>()).map(Lists)
    }

    /// Structures; `None` where there is none in any row.
    pub(crate) fn structs(self, expected: &'static str) -> Result<Option<&'a StructArray>> {
        self.typed(expected, |array| array.as_struct_opt())
    }

    /// 64-bit whole numbers without nulls.
    pub(crate) fn integers(self) -> Result<&'a Int64Array> {
        self.array
            .and_then(|array| array.as_primitive_opt())
            .filter(|array| array.null_count() == 0)
            .ok_or_else(|| self.wrong("int64 without nulls"))
    }

    /// 32-bit floats without nulls.
    pub(crate) fn floats(self) -> Result<&'a Float32Array> {
        self.array
            .and_then(|array| array.as_primitive_opt())
            .filter(|array| array.null_count() == 0)
            .ok_or_else(|| self.wrong("float32 without nulls"))
    }
}

/// A column of texts, or none.
pub(crate) struct Texts<'a>(Option<&'a StringArray>);

impl<'a> Texts<'a> {
    pub(crate) fn get(&self, row: usize) -> Option<&'a str> {
        let array = self.0?;
        (!array.is_null(row)).then(|| array.value(row))
    }
}

/// A column of lists, or none.
pub(crate) struct Lists<'a>(Option<&'a ListArray>);

impl<'a> Lists<'a> {
    /// The rows of [`Lists::items`] that belong to a row; none where it is null.
    pub(crate) fn range(&self, row: usize) -> Range<usize> {
        match self.0 {
            Some(array) if !array.is_null(row) => {
                let offsets = array.value_offsets();
                offsets[row] as usize..offsets[row + 1] as usize
            }
            _ => 0..0,
        }
    }

    /// What all lists hold, one after the other.
    pub(crate) fn items(&self) -> Option<&'a ArrayRef> {
        self.0.map(ListArray::values)
    }
}
