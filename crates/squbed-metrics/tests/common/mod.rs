//! Golden files, and weights and images by formula (`tests/golden/metrics/README.md`).

#![allow(dead_code, reason = "each test file uses a part")]

use std::{collections::BTreeMap, fs, path::PathBuf};

use safetensors::{Dtype, tensor::TensorView};
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

fn fnv1a64(name: &str) -> u64 {
    name.bytes().fold(0xcbf2_9ce4_8422_2325, |h, byte| (h ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

pub(crate) fn splitmix64(x: u64) -> u64 {
    let z = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Uniform in [0, 1).
pub(crate) fn uniform(number: u64) -> f64 {
    (splitmix64(number) >> 11) as f64 * 2f64.powi(-53)
}

fn values(name: &str, count: usize, seed: u64, scale: f64, offset: f64) -> Vec<f32> {
    let start = fnv1a64(name) ^ seed;
    (0..count as u64)
        .map(|i| (offset + scale * (2.0 * uniform(start.wrapping_add(i)) - 1.0)) as f32)
        .collect()
}

/// A safetensors file of the weights that a list of shapes describes, in a folder that vanishes.
pub(crate) fn weights(shapes: &str, seed: u64) -> (tempfile::TempDir, PathBuf) {
    let mut tensors = BTreeMap::new();
    for tensor in array(&golden_json(shapes)["tensors"]) {
        let shape: Vec<usize> = serde_json::from_value(tensor["shape"].clone()).unwrap();
        let name = tensor["name"].as_str().unwrap().to_owned();
        let scale = match tensor["kind"].as_str().unwrap() {
            "weight" => {
                let number = |key: &str| tensor[key].as_f64().unwrap();
                (3.0 / number("fan_in")).sqrt() * number("gain")
            }
            "bias" => 0.1,
            other => panic!("{other}"),
        };
        let numbers = values(&name, shape.iter().product(), seed, scale, 0.0);
        let bytes: Vec<u8> = numbers.iter().flat_map(|x| x.to_le_bytes()).collect();
        tensors.insert(name, (shape, bytes));
    }
    let views = tensors
        .iter()
        .map(|(name, (shape, bytes))| (name, TensorView::new(Dtype::F32, shape.clone(), bytes).unwrap()));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("backbone.safetensors");
    fs::write(&file, safetensors::serialize(views, None).unwrap()).unwrap();
    (folder, file)
}

/// `image(seed, 1, 3, h, w)` of the formula, `[3, h, w]` in [0, 1).
pub(crate) fn formula_image(seed: u64, h: usize, w: usize) -> Vec<f32> {
    let (cells_h, cells_w) = (h.div_ceil(16), w.div_ceil(16));
    let coarse = values("input.coarse", 3 * cells_h * cells_w, seed, 0.5, 0.5);
    let fine = values("input", 3 * h * w, seed, 0.5, 0.5);
    let at = |i: usize| {
        let (c, y, x) = (i / (h * w), i / w % h, i % w);
        0.5 * coarse[(c * cells_h + y / 16) * cells_w + x / 16] + 0.5 * fine[i]
    };
    (0..3 * h * w).map(at).collect()
}
