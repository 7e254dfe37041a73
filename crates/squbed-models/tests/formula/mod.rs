//! Weights and inputs made by the formula of `tests/golden/encoders/README.md`, bit for bit those of the
//! reference runs.

use std::{collections::BTreeMap, path::Path};

use candle_core::{Device, Tensor};
use serde_json::Value;

fn fnv1a64(name: &str) -> u64 {
    name.bytes().fold(0xcbf2_9ce4_8422_2325, |h, byte| (h ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
}

fn splitmix64(x: u64) -> u64 {
    let z = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// `offset + scale·(2u − 1)`, rounded once.
fn values(name: &str, count: usize, seed: u64, scale: f64, offset: f64) -> Vec<f32> {
    let start = fnv1a64(name) ^ seed;
    let u = |i: u64| (splitmix64(start.wrapping_add(i)) >> 11) as f64 * 2f64.powi(-53);
    (0..count as u64).map(|i| (offset + scale * (2.0 * u(i) - 1.0)) as f32).collect()
}

fn weight(tensor: &Value, seed: u64) -> Tensor {
    let number = |field: &str| tensor[field].as_f64().unwrap();
    let shape: Vec<usize> = serde_json::from_value(tensor["shape"].clone()).unwrap();
    let (scale, offset) = match tensor["kind"].as_str().unwrap() {
        "weight" => ((3.0 / number("fan_in")).sqrt() * number("gain"), 0.0),
        "bias" | "norm_bias" | "running_mean" => (0.1, 0.0),
        "norm_weight" => (0.1, 1.0),
        "running_var" => (0.5, 1.0),
        "embedding" => (number("scale"), 0.0),
        kind => panic!("a tensor of kind {kind}"),
    };
    let name = tensor["name"].as_str().unwrap();
    let numbers = values(name, shape.iter().product(), seed, scale, offset);
    Tensor::from_vec(numbers, shape, &Device::Cpu).unwrap()
}

/// The tensors that a list of shapes names.
pub(crate) fn tensors(shapes: &Value, seed: u64) -> BTreeMap<String, Tensor> {
    let named = |t: &Value| (t["name"].as_str().unwrap().to_owned(), weight(t, seed));
    shapes["tensors"].as_array().unwrap().iter().map(named).collect()
}

/// Writes them as a checkpoint.
pub(crate) fn write(tensors: &BTreeMap<String, Tensor>, path: &Path) {
    safetensors::serialize_to_file(tensors, None, path).unwrap();
}

/// A clip `[b, 3, t, h, w]` with values in [0, 1): cells of 4×16×16, and noise.
pub(crate) fn video(shape: [usize; 5], seed: u64) -> Tensor {
    let [b, c, t, h, w] = shape;
    let cells = [t.div_ceil(4), h.div_ceil(16), w.div_ceil(16)];
    let coarse = values("input.coarse", b * c * cells.iter().product::<usize>(), seed, 0.5, 0.5);
    let mut x = values("input", shape.iter().product(), seed, 0.5, 0.5);
    for (line, x) in x.chunks_exact_mut(w).enumerate() {
        let (at, it, ih) = (line / (t * h), line / h % t, line % h);
        let row = &coarse[((at * cells[0] + it / 4) * cells[1] + ih / 16) * cells[2]..][..cells[2]];
        for (i, x) in x.iter_mut().enumerate() {
            *x = 0.5 * row[i / 16] + 0.5 * *x;
        }
    }
    Tensor::from_vec(x, &shape[..], &Device::Cpu).unwrap()
}

#[test]
fn the_formula_gives_its_test_vector() {
    assert_eq!(fnv1a64("fc.weight"), 0x79fb_28a7_5603_c7a0);
    assert_eq!(splitmix64(0), 0xe220_a839_7b1d_cdaf);
    let weights = values("fc.weight", 5, 0x1234, (3.0f64 / 1024.0).sqrt(), 0.0);
    let bits: Vec<u32> = weights.iter().map(|w| w.to_bits()).collect();
    assert_eq!(bits, [0xbd4f_a201, 0xbc67_4a0b, 0x3ce1_9c50, 0xba86_fd17, 0x3d07_6623]);
    let x = video([1, 3, 5, 17, 33], 7).flatten_all().unwrap().to_vec1::<f32>().unwrap();
    let at = ((2 * 5 + 4) * 17 + 16) * 33 + 32;
    assert_eq!(x[at].to_bits(), 0x3f05_845b);
    let sum: f64 = x.iter().map(|&x| f64::from(x)).sum();
    assert!((sum - 4_286.607_589_93).abs() < 1e-7, "{sum}");
}
