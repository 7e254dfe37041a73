//! Weights and inputs by formula, the same to the last bit as those of the reference outputs; the formula is in
//! `tests/golden/encoders/README.md`.

#![allow(dead_code, reason = "each test file uses a part")]

use std::{collections::BTreeMap, fs, path::Path};

use candle_core::{Device, Tensor};
use rayon::prelude::*;
use serde_json::{Value, json};

fn fnv1a64(name: &str) -> u64 {
    name.bytes().fold(0xcbf2_9ce4_8422_2325, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3))
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

/// `offset + scale · (2u − 1)` for each of `count` elements.
pub(crate) fn values(name: &str, count: usize, seed: u64, scale: f64, offset: f64) -> Vec<f32> {
    let seed = fnv1a64(name) ^ seed;
    let value = |i: usize| (offset + scale * (2.0 * uniform(seed.wrapping_add(i as u64)) - 1.0)) as f32;
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

/// The tensors that a file of `shapes/` describes.
pub(crate) fn tensors(shapes: &Value, seed: u64) -> BTreeMap<String, Tensor> {
    let named = |description: &Value| {
        let (shape, values) = tensor(description, seed);
        let tensor = Tensor::from_vec(values, shape, &Device::Cpu).unwrap();
        (description["name"].as_str().unwrap().to_owned(), tensor)
    };
    shapes["tensors"].as_array().unwrap().iter().map(named).collect()
}

/// Writes tensors as a checkpoint.
pub(crate) fn write(tensors: &BTreeMap<String, Tensor>, path: &Path) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    safetensors::serialize_to_file(tensors, None, path).unwrap();
}

/// Architecture and `config.json` of a golden case of CLIP, from its JSON and the sizes in its list of shapes.
pub(crate) fn clip_config(case: &Value, sizes: &Value) -> (&'static str, Value) {
    if sizes.get("embed_dim").is_some() {
        return ("open-clip", open_clip_config(sizes));
    }
    let mut config = json!({
        "model_type": "clip", "projection_dim": sizes["projection_dim"],
        "text_config": sizes["text"], "vision_config": sizes["vision"],
    });
    for tower in ["text_config", "vision_config"] {
        config[tower]["hidden_act"] = case["hidden_act"].clone();
    }
    config["text_config"]["eos_token_id"] = case["eos_token_id"].clone();
    ("clip", config)
}

/// open_clip's own configuration of these sizes.
fn open_clip_config(sizes: &Value) -> Value {
    let (text, vision) = (&sizes["text"], &sizes["vision"]);
    let number = |tower: &Value, field: &str| tower[field].as_u64().unwrap();
    let ratio = |tower| number(tower, "intermediate_size") as f64 / number(tower, "hidden_size") as f64;
    json!({ "model_cfg": {
        "embed_dim": sizes["embed_dim"], "quick_gelu": sizes["quick_gelu"],
        "vision_cfg": {
            "image_size": vision["image_size"], "patch_size": vision["patch_size"],
            "layers": vision["num_hidden_layers"], "width": vision["hidden_size"],
            "head_width": number(vision, "hidden_size") / number(vision, "num_attention_heads"),
            "mlp_ratio": ratio(vision),
        },
        "text_cfg": {
            "context_length": text["max_position_embeddings"], "vocab_size": text["vocab_size"],
            "layers": text["num_hidden_layers"], "width": text["hidden_size"],
            "heads": text["num_attention_heads"], "mlp_ratio": ratio(text),
        },
    }})
}

/// Weights and `config.json` of a small CLIP for pictures of 224×224 and texts of 77 tokens, of the golden `shapes` of
/// `clip_tiny_gelu`.
pub(crate) fn tiny_clip(mut shapes: Value, vocabulary: usize) -> (BTreeMap<String, Tensor>, Value) {
    for tensor in shapes["tensors"].as_array_mut().unwrap() {
        match tensor["name"].as_str().unwrap() {
            "text_model.embeddings.token_embedding.weight" => tensor["shape"] = json!([vocabulary, 48]),
            "text_model.embeddings.position_embedding.weight" => tensor["shape"] = json!([77, 48]),
            "vision_model.embeddings.position_embedding.weight" => tensor["shape"] = json!([50, 64]),
            "vision_model.embeddings.patch_embedding.weight" => tensor["shape"] = json!([64, 3, 32, 32]),
            _ => {}
        }
    }
    let mut config = json!({
        "model_type": "clip", "projection_dim": 40,
        "text_config": shapes["config"]["text"], "vision_config": shapes["config"]["vision"],
    });
    for (part, field, number) in [
        ("text_config", "vocab_size", vocabulary),
        ("text_config", "max_position_embeddings", 77),
        ("text_config", "eos_token_id", 2),
        ("vision_config", "image_size", 224),
        ("vision_config", "patch_size", 32),
    ] {
        config[part][field] = number.into();
    }
    (tensors(&shapes, 1), config)
}

/// The manifest of [`tiny_clip`] as the model `tiny` of these files.
pub(crate) fn tiny_clip_manifest(crop_rule: &str, files: impl IntoIterator<Item = String>) -> String {
    let file = |path: String| format!("[[files]]\npath = \"{path}\"\nsha256 = \"unverified\"\n");
    let files: String = files.into_iter().map(file).collect();
    format!(
        r#"
        manifest = 1
        name = "tiny"
        architecture = "clip"
        licence = "MIT"
        citation = {{ text = "nobody" }}
        embedding = {{ width = 40, what = "nothing" }}
        [input]
        kind = "image-text"
        preprocessing = "tiny/1"
        max_tokens = 77
        sampling = "uniform:2"
        side = 224
        filter = "bicubic"
        crop_rule = "{crop_rule}"
        mean = [0.48145466, 0.4578275, 0.40821073]
        std = [0.26862954, 0.26130258, 0.27577711]
        {files}
        "#
    )
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

/// An image of the formula, `[b, 3, h, w]` in [0, 1), row-major.
pub(crate) fn pixels(seed: u64, [b, h, w]: [usize; 3]) -> Vec<f32> {
    let (rows, columns) = (h.div_ceil(16), w.div_ceil(16));
    let coarse = values("input.coarse", b * 3 * rows * columns, seed, 0.5, 0.5);
    let fine = values("input", b * 3 * h * w, seed, 0.5, 0.5);
    let pixel = |(i, fine): (usize, f32)| {
        let (plane, y, x) = (i / (h * w), i / w % h, i % w);
        0.5 * coarse[(plane * rows + y / 16) * columns + x / 16] + 0.5 * fine
    };
    fine.into_iter().enumerate().map(pixel).collect()
}

/// `4 · image − 2`, `[b, 3, side, side]`.
pub(crate) fn image(seed: u64, b: usize, side: usize) -> Tensor {
    let numbers: Vec<f32> = pixels(seed, [b, side, side]).into_iter().map(|x| 4.0 * x - 2.0).collect();
    Tensor::from_vec(numbers, (b, 3, side, side), &Device::Cpu).unwrap()
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
    let x = video([1, 3, 5, 17, 33], 7).flatten_all().unwrap().to_vec1::<f32>().unwrap();
    let at = ((2 * 5 + 4) * 17 + 16) * 33 + 32;
    assert_eq!(x[at].to_bits(), 0x3f05_845b);
    let sum: f64 = x.iter().map(|&x| f64::from(x)).sum();
    assert!((sum - 4_286.607_589_93).abs() < 1e-7, "{sum}");
}
