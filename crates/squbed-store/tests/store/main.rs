//! The store as its users see it.

mod cache;
mod cache_damage;
mod embeddings;
mod npy;
mod results;
mod safetensors;
mod tasks;

use std::{
    fs::File,
    path::{Path, PathBuf},
};

use parquet::{
    arrow::{ArrowWriter, arrow_reader::ParquetRecordBatchReaderBuilder},
    basic::Compression,
    file::properties::WriterProperties,
};

/// A file made by other programs, see `tests/golden/store/README.md`.
fn golden(name: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/store")).join(name)
}

/// A Parquet file of one row group as the bytes of the same file in another compression.
fn compressed(path: &Path, codec: Compression) -> Vec<u8> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(path).unwrap()).unwrap();
    let pairs = reader.metadata().file_metadata().key_value_metadata().cloned();
    // The writer adds this one itself.
    let pairs = pairs.map(|pairs| pairs.into_iter().filter(|pair| pair.key != "ARROW:schema").collect());
    let properties = WriterProperties::builder().set_compression(codec).set_key_value_metadata(pairs).build();
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, reader.schema().clone(), Some(properties)).unwrap();
    for batch in reader.build().unwrap() {
        writer.write(&batch.unwrap()).unwrap();
    }
    writer.close().unwrap();
    bytes
}

/// An error with its causes, the folder of the test left out.
fn told(error: &dyn std::error::Error, folder: &Path) -> String {
    let causes: Vec<String> =
        std::iter::successors(Some(error), |&e| e.source()).map(ToString::to_string).collect();
    causes.join(": ").replace(&format!("{}/", folder.display()), "")
}
