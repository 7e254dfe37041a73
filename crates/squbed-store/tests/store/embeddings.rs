//! Tables of embeddings.

use std::{fs, fs::File, path::Path};

use arrow_array::{Array, Float32Array, cast::AsArray};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::{Value, json};
use squbed_core::EncoderIdentity;
use squbed_store::{EmbeddingFormat, EmbeddingTable, NpyData, read_npy, read_safetensors, write_embeddings};

use crate::told;

/// Keys that are neither sorted nor distinct, and an item that failed between two that did not.
fn table() -> (Vec<String>, Vec<Option<Vec<f32>>>) {
    let keys = ["b \"quoted\"\n.png", "a.png", "b \"quoted\"\n.png"].map(str::to_owned);
    (keys.to_vec(), vec![Some(vec![0.1, -2.5]), None, Some(vec![f32::MIN_POSITIVE, 1e30])])
}

fn encoder(dim: usize) -> EncoderIdentity {
    EncoderIdentity {
        name: "a \"b\"".to_owned(),
        weights_sha256: "0f".repeat(32),
        preprocessing: "c/1".to_owned(),
        sampling: "uniform:2/3".to_owned(),
        head: "embedding".to_owned(),
        dtype: "f32".to_owned(),
        dim,
    }
}

fn write(path: &Path, keys: &[String], rows: &[Option<Vec<f32>>], dim: usize) {
    write_embeddings(path, &EmbeddingTable { encoder: &encoder(dim), keys, rows, frames: None }).unwrap();
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
    write(&npy, &keys, &rows, 2);
    let tensors = home.path().join("y.safetensors");
    write(&tensors, &keys, &rows, 2);
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
    write(&path, &keys, &rows, 2);
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
        write(&path, &keys, &rows, 2);
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

/// What a file of any form but `.npy` says of the encoder.
fn said(path: &Path) -> EncoderIdentity {
    let bytes = fs::read(path).unwrap();
    match EmbeddingFormat::of(path).unwrap() {
        EmbeddingFormat::Npy => panic!("no place for it"),
        EmbeddingFormat::Safetensors => {
            let (_, metadata) = safetensors::SafeTensors::read_metadata(&bytes).unwrap();
            serde_json::from_str(&metadata.metadata().as_ref().unwrap()["encoder"]).unwrap()
        }
        EmbeddingFormat::Parquet => {
            let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(path).unwrap()).unwrap();
            let listed = reader.metadata().file_metadata().key_value_metadata().unwrap().clone();
            let found = listed.into_iter().find(|entry| entry.key == "squbed.encoder").unwrap();
            serde_json::from_str(&found.value.unwrap()).unwrap()
        }
        EmbeddingFormat::Json | EmbeddingFormat::JsonLines => {
            let text = String::from_utf8(bytes).unwrap();
            let rows: Vec<Value> = serde_json::from_str(&text)
                .unwrap_or_else(|_| text.lines().map(|line| serde_json::from_str(line).unwrap()).collect());
            assert!(rows.iter().all(|row| row["encoder"] == rows[0]["encoder"]));
            serde_json::from_value(rows[0]["encoder"].clone()).unwrap()
        }
    }
}

#[test]
fn every_form_with_a_place_for_it_says_what_made_the_embeddings() {
    let home = tempfile::tempdir().unwrap();
    let (keys, rows) = table();
    for name in ["y.safetensors", "y.parquet", "y.json", "y.jsonl"] {
        let path = home.path().join(name);
        write(&path, &keys, &rows, 2);
        assert_eq!(said(&path), encoder(2), "{name}");
    }
}

#[test]
fn frames_are_an_axis_of_arrays_and_rows_of_tables() {
    let home = tempfile::tempdir().unwrap();
    let keys = ["a.mp4", "b.mp4"].map(str::to_owned);
    let rows = [Some(vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0]), None];
    let of = encoder(2);
    let table = EmbeddingTable { encoder: &of, keys: &keys, rows: &rows, frames: Some(3) };
    let written = |name: &str| {
        let path = home.path().join(name);
        write_embeddings(&path, &table).unwrap();
        path
    };
    let (npy, tensors) = (written("y.npy"), written("y.safetensors"));
    for array in [read_npy(&npy).unwrap(), read_safetensors(&tensors, None).unwrap()] {
        assert_eq!(array.shape(), [2, 3, 2]);
        let got = numbers(array.data());
        assert_eq!(got[..6], [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        assert!(got[6..].iter().all(|x| x.is_nan()));
    }
    assert_eq!(said(&tensors).dim, 2);

    let rows: Vec<Value> = serde_json::from_slice(&fs::read(written("y.json")).unwrap()).unwrap();
    let told: Vec<Value> =
        rows.iter().map(|row| json!([row["key"], row["frame"], row["embedding"]])).collect();
    let expected = json!([
        ["a.mp4", 0, [1.0, 2.0]],
        ["a.mp4", 1, [3.0, 4.0]],
        ["a.mp4", 2, [5.0, 6.0]],
        ["b.mp4", 0, null],
        ["b.mp4", 1, null],
        ["b.mp4", 2, null],
    ]);
    assert_eq!(Value::from(told), expected);

    let file = File::open(written("y.parquet")).unwrap();
    let batch = ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap().next().unwrap();
    let batch = batch.unwrap();
    let frames = batch["frame"].as_primitive::<arrow_array::types::Int32Type>();
    assert_eq!(frames.values(), &[0, 1, 2, 0, 1, 2]);
    let lists = batch["embedding"].as_fixed_size_list();
    assert_eq!((lists.len(), lists.null_count(), lists.value_length()), (6, 3, 2));
    assert_eq!(lists.value(2).as_primitive::<arrow_array::types::Float32Type>().values(), &[5.0, 6.0]);
    let keys: Vec<&str> = batch["key"].as_string::<i32>().iter().flatten().collect();
    assert_eq!(keys, ["a.mp4", "a.mp4", "a.mp4", "b.mp4", "b.mp4", "b.mp4"]);
}

#[test]
fn a_table_of_nothing_is_whole() {
    let home = tempfile::tempdir().unwrap();
    for name in ["y.npy", "y.safetensors", "y.parquet", "y.json", "y.jsonl"] {
        write(&home.path().join(name), &[], &[], 4);
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
