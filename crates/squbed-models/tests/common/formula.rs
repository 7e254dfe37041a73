//! Weights and inputs by formula, the same to the last bit as those of the reference outputs; the formula is in
//! `tests/golden/encoders/README.md`.

#![allow(dead_code, reason = "each test file uses a part")]

use std::{collections::BTreeMap, fs, path::Path};

use candle_core::{Device, Tensor};
use rayon::prelude::*;
use safetensors::tensor::{Dtype, TensorView};
use serde_json::Value;

fn fnv1a64(name: &str) -> u64 {
    name.bytes().fold(0xcbf2_9ce4_8422_2325, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3))
}

fn splitmix64(x: u64) -> u64 {
    let z = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// `offset + scale · (2u − 1)` for each of `count` elements.
pub(crate) fn values(name: &str, count: usize, seed: u64, scale: f64, offset: f64) -> Vec<f32> {
    let seed = fnv1a64(name) ^ seed;
    let value = |i: usize| {
        let u = (splitmix64(seed.wrapping_add(i as u64)) >> 11) as f64 * 2f64.powi(-53);
        (offset + scale * (2.0 * u - 1.0)) as f32
    };
    (0..count).into_par_iter().map(value).collect()
}

fn tensor(description: &Value, seed: u64) -> (Vec<usize>, Vec<f32>) {
    let shape: Vec<usize> = serde_json::from_value(description["shape"].clone()).unwrap();
    let count = shape.iter().product();
    let number = |field: &str| description[field].as_f64().unwrap();
    let (scale, offset) = match description["kind"].as_str().unwrap() {
        "const" => return (shape, vec![number("value") as f32; count]),
        "weight" => ((3.0 / number("fan_in")).sqrt() * number("gain"), 0.0),
        "bias" | "norm_bias" | "running_mean" => (0.1, 0.0),
        "norm_weight" => (0.1, 1.0),
        "running_var" => (0.5, 1.0),
        "embedding" => (number("scale"), 0.0),
        kind => panic!("kind {kind}"),
    };
    (shape, values(description["name"].as_str().unwrap(), count, seed, scale, offset))
}

/// Writes the weights that a file of `shapes/` describes.
pub(crate) fn write_weights(path: &Path, shapes: &Value, seed: u64) {
    let tensors: BTreeMap<&str, (Vec<usize>, Vec<u8>)> = shapes["tensors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|description| {
            let (shape, values) = tensor(description, seed);
            let bytes = values.iter().flat_map(|x| x.to_le_bytes()).collect();
            (description["name"].as_str().unwrap(), (shape, bytes))
        })
        .collect();
    let views: BTreeMap<&str, TensorView<'_>> = tensors
        .iter()
        .map(|(name, (shape, bytes))| (*name, TensorView::new(Dtype::F32, shape.clone(), bytes).unwrap()))
        .collect();
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    safetensors::serialize_to_file(views, None, path).unwrap();
}

/// `4 · image − 2`, `[b, 3, side, side]`.
pub(crate) fn image(seed: u64, b: usize, side: usize) -> Tensor {
    let cells = side.div_ceil(16);
    let coarse = values("input.coarse", b * 3 * cells * cells, seed, 0.5, 0.5);
    let fine = values("input", b * 3 * side * side, seed, 0.5, 0.5);
    let pixel = |i: usize| {
        let (plane, y, x) = (i / (side * side), i / side % side, i % side);
        let value = 0.5 * coarse[(plane * cells + y / 16) * cells + x / 16] + 0.5 * fine[i];
        4.0 * value - 2.0
    };
    Tensor::from_vec((0..fine.len()).map(pixel).collect(), (b, 3, side, side), &Device::Cpu).unwrap()
}

#[test]
fn the_formula_gives_its_test_vector() {
    assert_eq!(fnv1a64("fc.weight"), 0x79fb_28a7_5603_c7a0);
    assert_eq!(splitmix64(0), 0xe220_a839_7b1d_cdaf);
    let weight = values("fc.weight", 5, 0x1234, (3.0f64 / 1024.0).sqrt(), 0.0);
    let bits = [0xbd4f_a201, 0xbc67_4a0b, 0x3ce1_9c50, 0xba86_fd17, 0x3d07_6623];
    assert_eq!(weight.iter().map(|x| x.to_bits()).collect::<Vec<u32>>(), bits);
    let norm = values("fc.weight", 5, 0x1234, 0.1, 1.0);
    let bits = [0x3f68_064e, 0x3f79_52c1, 0x3f86_8348, 0x3f7f_834e, 0x3f87_d138];
    assert_eq!(norm.iter().map(|x| x.to_bits()).collect::<Vec<u32>>(), bits);
}
