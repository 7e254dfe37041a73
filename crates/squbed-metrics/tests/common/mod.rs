//! Golden files, and weights by formula (`tests/golden/metrics/README.md`).

#![allow(dead_code, reason = "each test file uses a part")]

#[path = "../../../squbed-models/tests/common/formula.rs"]
pub(crate) mod formula;

use std::{fs, path::PathBuf};

use serde_json::Value;
use squbed_core::Frame;

pub(crate) fn golden_path(file: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/metrics")).join(file)
}

pub(crate) fn golden_json(file: &str) -> Value {
    serde_json::from_slice(&fs::read(golden_path(file)).unwrap()).unwrap()
}

pub(crate) fn array(value: &Value) -> &[Value] {
    value.as_array().unwrap()
}

pub(crate) fn picture(file: &str) -> Frame {
    let picture = image::open(golden_path(file)).unwrap().into_rgb8();
    Frame::new(picture.width() as usize, picture.height() as usize, picture.into_raw()).unwrap()
}

/// A safetensors file of the weights that a list of shapes describes, in a folder that vanishes.
pub(crate) fn weights(shapes: &str, seed: u64) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("backbone.safetensors");
    formula::write(&formula::tensors(&golden_json(shapes), seed), &file);
    (folder, file)
}
