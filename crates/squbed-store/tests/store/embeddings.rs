//! Tables of embeddings.

use std::{fs, fs::File, path::Path};

use arrow_array::{Array, Float32Array, cast::AsArray};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::{Value, json};
use squbed_store::{EmbeddingFormat, NpyData, read_npy, read_safetensors, write_embeddings};

use crate::told;

/// Keys that are neither sorted nor distinct, and an item that failed between two that did not.
fn table() -> (Vec<String>, Vec<Option<Vec<f32>>>) {
    let keys = ["b \"quoted\"\n.png", "a.png", "b \"quoted\"\n.png"].map(str::to_owned);
    (keys.to_vec(), vec![Some(vec![0.1, -2.5]), None, Some(vec![f32::MIN_POSITIVE, 1e30])])
}

fn numbers(data: &NpyData) -> Vec<f32> {
    match data {
        NpyData::F32(numbers) => numbers.clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn arrays_have_a_row_of_nan_for_what_failed() {
    let home = tempfile::tempdir().unwrap();
    let (keys, rows) = table();
    let npy = home.path().join("y.npy");
    write_embeddings(&npy, &keys, &rows, 2).unwrap();
    let tensors = home.path().join("y.safetensors");
    write_embeddings(&tensors, &keys, &rows, 2).unwrap();
    for array in [read_npy(&npy).unwrap(), read_safetensors(&tensors, Some("embeddings")).unwrap()] {
        let got = numbers(array.data());
        assert_eq!(array.shape(), [3, 2]);
        assert!(got[2].is_nan() && got[3].is_nan());
        assert_eq!((&got[..2], &got[4..]), (&[0.1, -2.5][..], &[f32::MIN_POSITIVE, 1e30][..]));
    }
    let bytes = fs::read(&tensors).unwrap();
    let (_, metadata) = safetensors::SafeTensors::read_metadata(&bytes).unwrap();
    let listed: Vec<String> = serde_json::from_str(&metadata.metadata().as_ref().unwrap()["keys"]).unwrap();
    assert_eq!(listed, keys);
}

#[test]
fn tables_have_null_for_what_failed_and_every_digit() {
    let home = tempfile::tempdir().unwrap();
    let (keys, rows) = table();
    let path = home.path().join("y.parquet");
    write_embeddings(&path, &keys, &rows, 2).unwrap();
    let mut batches =
        ParquetRecordBatchReaderBuilder::try_new(File::open(&path).unwrap()).unwrap().build().unwrap();
    let batch = batches.next().unwrap().unwrap();
    assert!(batches.next().is_none());
    let read: Vec<&str> = batch["key"].as_string::<i32>().iter().flatten().collect();
    assert_eq!(read, keys);
    let lists = batch["embedding"].as_fixed_size_list();
    assert_eq!((lists.value_length(), lists.null_count()), (2, 1));
    for (i, row) in rows.iter().enumerate() {
        let got = lists.is_valid(i).then(|| {
            let list = lists.value(i);
            list.as_any().downcast_ref::<Float32Array>().unwrap().values().to_vec()
        });
        assert_eq!(&got, row);
    }

    let value = |x: f32| -> Value { serde_json::from_str(&x.to_string()).unwrap() };
    let expected = json!([
        {"key": keys[0], "embedding": [value(0.1), value(-2.5)]},
        {"key": keys[1], "embedding": null},
        {"key": keys[2], "embedding": [value(f32::MIN_POSITIVE), value(1e30)]},
    ]);
    let written = |name: &str| {
        let path = home.path().join(name);
        write_embeddings(&path, &keys, &rows, 2).unwrap();
        fs::read_to_string(path).unwrap()
    };
    let floats = |value: &Value| -> Vec<Option<Vec<f32>>> {
        let row = |row: &Value| serde_json::from_value(row["embedding"].clone()).unwrap();
        value.as_array().unwrap().iter().map(row).collect()
    };
    let document: Value = serde_json::from_str(&written("y.json")).unwrap();
    assert_eq!(floats(&document), rows);
    let lines: Value =
        written("y.JSONL").lines().map(|l| serde_json::from_str::<Value>(l).unwrap()).collect();
    for table in [&document, &lines] {
        assert_eq!(floats(table), floats(&expected));
        assert_eq!(table[0]["key"], expected[0]["key"]);
    }
}

#[test]
fn a_table_of_nothing_is_whole() {
    let home = tempfile::tempdir().unwrap();
    for name in ["y.npy", "y.safetensors", "y.parquet", "y.json", "y.jsonl"] {
        write_embeddings(&home.path().join(name), &[], &[], 4).unwrap();
    }
    assert_eq!(read_npy(&home.path().join("y.npy")).unwrap().shape(), [0, 4]);
    let document: Value = serde_json::from_slice(&fs::read(home.path().join("y.json")).unwrap()).unwrap();
    assert_eq!(document, json!([]));
}

#[test]
fn another_ending_is_refused_with_those_there_are() {
    for name in ["y.csv", "y", ".npy"] {
        let error = EmbeddingFormat::of(Path::new(name)).unwrap_err();
        assert_eq!(
            told(&error, Path::new("nowhere")),
            format!(
                "`{name}` does not say in which form to write embeddings; end its name with .npy, .safetensors, \
                 .parquet, .json or .jsonl"
            )
        );
    }
}
