//! I3D against its published port, with the real weights.

mod common;
#[path = "common/formula.rs"]
mod formula;

use std::{collections::BTreeMap, fs, path::PathBuf};

use candle_core::{DType, Device, Tensor};
use common::{golden, golden_json, golden_path, largest_difference, rows, store};
use serde_json::Value;
use squbed_core::{Clip, Frame};
use squbed_models::{Clips, Head, Prepared, Weights, arch::i3d::I3d, load_arch};

const NAME: &str = "i3d-kinetics-400";
/// Two implementations of the reference differ by 2.5e-5.
const LOGITS: f64 = 2e-4;

fn weights_file() -> PathBuf {
    store(NAME).folder(NAME).join("model.safetensors")
}

fn network() -> I3d {
    I3d::load(&Weights::open(weights_file()).unwrap(), &Device::Cpu, DType::F32).unwrap()
}

fn cases() -> Vec<Value> {
    golden_json("i3d.json")["cases"].as_array().unwrap().clone()
}

fn id(case: &Value) -> &str {
    case["id"].as_str().unwrap()
}

/// The case's frames, `[1, t, 224, 224, 3]` with values in [−1, 1].
fn clip(case: &Value) -> Tensor {
    let name = case["frames_png"].as_str().unwrap();
    let stack = image::open(golden_path(name)).unwrap().into_rgb8();
    let t = stack.height() as usize / 224;
    let values: Vec<f32> =
        stack.into_raw().iter().map(|&x| f32::from(x) * (2.0f64 / 255.0) as f32 - 1.0).collect();
    Tensor::from_vec(values, (1, t, 224, 224, 3), &Device::Cpu).unwrap()
}

#[test]
fn the_converted_checkpoint_has_every_tensor() {
    let weights = Weights::open(weights_file()).unwrap();
    assert_eq!(weights.names().len(), 230);
    let name = "params.Mixed_5c.Branch_3.Conv3d_0b_1x1.Conv_0.kernel";
    assert_eq!(weights.f64(name, &[1, 1, 1, 832, 128]).unwrap().len(), 832 * 128);
    assert!(weights.contains("batch_stats.Mixed_3b.Branch_0.Conv3d_0a_1x1.BatchNorm_0.var"));
}

#[test]
fn logits_features_and_every_block_are_the_references() {
    let network = network();
    for case in cases() {
        let blocks = &case["blocks"];
        let mut seen = 0;
        let output = network
            .forward_with(&clip(&case), &mut |name, x| {
                check_block(name, x, &blocks[name]["jax"]);
                seen += 1;
                Ok(())
            })
            .unwrap();
        assert_eq!(seen + 1, blocks.as_object().unwrap().len(), "all but the logits");
        let compare = |what: &str, actual: &Tensor, tolerance: f64| {
            let expected = golden("i3d.safetensors", &format!("{}.{what}", id(&case)));
            let worst = largest_difference(&rows(actual), &rows(&expected));
            println!("{} {what}: largest difference {worst:e}", id(&case));
            assert!(worst <= tolerance, "{} {what}: {worst:e}", id(&case));
        };
        compare("logits", &output.logits, LOGITS);
        compare("pooled", &output.pooled, 5e-5);
    }
}

/// Statistics of a map that the reference keeps as `[b, c, t, h, w]`.
fn check_block(name: &str, x: &Tensor, expected: &Value) {
    let x = x.permute((0, 4, 1, 2, 3)).unwrap();
    let shape: Vec<usize> = serde_json::from_value(expected["shape"].clone()).unwrap();
    assert_eq!(x.dims(), shape, "{name}");
    let values: Vec<f64> =
        x.flatten_all().unwrap().to_vec1::<f32>().unwrap().into_iter().map(f64::from).collect();
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    let std = (values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / values.len() as f64).sqrt();
    let absmax = values.iter().fold(0.0, |m: f64, v| m.max(v.abs()));
    for (what, actual) in [("mean", mean), ("std", std), ("absmax", absmax)] {
        let expected = expected[what].as_f64().unwrap();
        let error = (actual - expected).abs() / expected;
        assert!(error < 2e-5, "{name} {what}: {actual} for {expected}");
    }
    let first: Vec<f64> = serde_json::from_value(expected["first4"].clone()).unwrap();
    for (actual, expected) in values.iter().zip(first) {
        assert!((actual - expected).abs() < 5e-5, "{name}: {actual} for {expected}");
    }
}

#[test]
fn a_batch_equals_its_clips() {
    let network = network();
    let clips: Vec<Tensor> = cases().iter().map(clip).collect();
    let batch = Tensor::cat(&clips, 0).unwrap();
    let together = network.forward(&batch).unwrap();
    for (i, x) in clips.iter().enumerate() {
        let alone = network.forward(x).unwrap();
        let row = together.logits.narrow(0, i, 1).unwrap();
        assert!(largest_difference(&rows(&row), &rows(&alone.logits)) <= 1e-5);
    }
}

#[test]
fn small_clips_of_odd_size_have_features() {
    let network = network();
    for (t, h, w) in [(1, 32, 32), (3, 65, 70), (8, 112, 96)] {
        let x = Tensor::full(0.25f32, (1, t, h, w, 3), &Device::Cpu).unwrap();
        let pooled = rows(&network.forward(&x).unwrap().pooled);
        assert!(pooled[0].iter().all(|v| v.is_finite()) && pooled[0].iter().any(|&v| v > 0.0));
    }
}

/// The policy that `I3d::forward` states: the window is cut to the map on each axis where it is larger, and windows
/// are averaged where it is smaller.
#[test]
fn the_averaging_window_is_cut_to_a_smaller_map() {
    let network = network();
    for (t, h, w, map) in [(8, 64, 70, [1, 2, 3]), (24, 64, 64, [3, 2, 2])] {
        let numbers: Vec<f32> = (0..t * h * w * 3).map(|i| (i * 7919 % 2003) as f32 / 1001.5 - 1.0).collect();
        let x = Tensor::from_vec(numbers, (1, t, h, w, 3), &Device::Cpu).unwrap();
        let mut last = None;
        let output = network.forward_with(&x, &mut |_, x| {
            last = Some(x.clone());
            Ok(())
        });
        let last = last.unwrap().squeeze(0).unwrap();
        assert_eq!(last.dims(), [map[0], map[1], map[2], 1024]);
        // By the definition: windows of min(2, t) frames and the whole of height and width.
        let frames = last.mean((1, 2)).unwrap().to_vec2::<f32>().unwrap();
        let window = map[0].min(2);
        let starts = map[0] - window + 1;
        let expected: Vec<f32> = (0..1024)
            .map(|c| {
                let sum: f32 =
                    (0..starts).flat_map(|s| (s..s + window).map(|f| frames[f][c]).collect::<Vec<_>>()).sum();
                sum / (starts * window) as f32
            })
            .collect();
        let worst = largest_difference(&rows(&output.unwrap().pooled), &[expected]);
        assert!(worst < 1e-5, "{t} frames: {worst:e}");
    }
}

#[test]
fn the_bare_network_takes_channels_first() {
    let i3d = load_arch("i3d".parse().unwrap(), &weights_file(), None, &Device::Cpu, DType::F32).unwrap();
    let case = &cases()[0];
    let x = clip(case).permute((0, 4, 1, 2, 3)).unwrap().contiguous().unwrap();
    let x = Prepared::Clips(Clips::new(&x).unwrap());
    for (head, what) in [(Head::Logits, "logits"), (Head::Embedding, "pooled")] {
        let actual = i3d.forward_tensor(&x, head).unwrap();
        let expected = golden("i3d.safetensors", &format!("{}.{what}", id(case)));
        assert!(largest_difference(&rows(&actual), &rows(&expected)) <= LOGITS);
    }
    let refused =
        load_arch("i3d".parse().unwrap(), &weights_file(), Some(&weights_file()), &Device::Cpu, DType::F32);
    assert_eq!(
        refused.err().unwrap().to_string(),
        "architecture i3d has no config.json; leave --config away"
    );
}

#[test]
fn the_encoder_crops_and_scales() {
    let encoder = store(NAME).video_encoder(NAME, &Device::Cpu, DType::F32).unwrap();
    assert_eq!(encoder.sampling().to_string(), "uniform:16");
    let identity = encoder.identity();
    assert_eq!((identity.preprocessing.as_str(), identity.sampling.as_str()), ("i3d/1", "uniform:16/3"));
    assert_eq!((identity.dim, identity.weights_sha256.len()), (1024, 64));

    // Columns 0..640 carry their number / 4: after a crop of the middle the range tells where it was cut.
    let (w, h) = (640, 272);
    let rgb: Vec<u8> = (0..w * h).flat_map(|i| [(i % w / 4) as u8; 3]).collect();
    let frames = vec![Frame::new(w, h, rgb).unwrap(); 2];
    let x = encoder.preprocess(&Clip::new(frames, vec![0.0, 0.1]).unwrap()).unwrap();
    assert_eq!(x.dims(), [2, 224, 224, 3]);
    let row = x.get(1).unwrap().get(100).unwrap().to_vec2::<f32>().unwrap();
    let grey = |v: f32| (f64::from(v) + 1.0) * 127.5;
    // 602 columns after the resize; the crop begins at column 189 of them, which was 201 of 640.
    assert!((grey(row[0][0]) - 201.0 / 4.0).abs() <= 1.5, "{}", grey(row[0][0]));
    assert!((grey(row[223][2]) - 438.0 / 4.0).abs() <= 1.5, "{}", grey(row[223][2]));
}

/// A checkpoint in a folder of its own, and what loading it says.
struct Foreign(tempfile::TempDir);

impl Foreign {
    fn of(tensors: &BTreeMap<String, Tensor>) -> Self {
        let foreign = Self(tempfile::tempdir().unwrap());
        formula::write(tensors, &foreign.file());
        foreign
    }

    fn file(&self) -> PathBuf {
        self.0.path().join("w.safetensors")
    }

    fn refusal(&self) -> String {
        let loaded = load_arch("i3d".parse().unwrap(), &self.file(), None, &Device::Cpu, DType::F32);
        loaded.err().expect("an error").to_string()
    }
}

fn by_formula() -> BTreeMap<String, Tensor> {
    formula::tensors(&golden_json("shapes/i3d.json"), 9001)
}

#[test]
fn missing_misshapen_and_surplus_tensors_are_one_message_with_names_and_shapes() {
    let mut tensors = by_formula();
    let zeros = |shape: &[usize]| Tensor::zeros(shape, DType::F32, &Device::Cpu).unwrap();
    tensors.remove("batch_stats.Conv3d_2b_1x1.BatchNorm_0.var");
    tensors.insert("batch_stats.Conv3d_1a_7x7.BatchNorm_0.mean".to_owned(), zeros(&[1, 1, 1, 1, 63]));
    tensors.insert("params.another".to_owned(), zeros(&[2, 3]));
    let message = Foreign::of(&tensors).refusal();
    for line in [
        "1 missing: `batch_stats.Conv3d_2b_1x1.BatchNorm_0.var` [1, 1, 1, 1, 64]",
        "1 of another shape: `batch_stats.Conv3d_1a_7x7.BatchNorm_0.mean` [1, 1, 1, 1, 63] instead of \
         [1, 1, 1, 1, 64]",
        "1 surplus: `params.another` [2, 3]",
    ] {
        assert!(message.contains(line), "{line}: {message}");
    }
}

#[test]
fn weights_of_another_architecture_are_refused() {
    let other = formula::tensors(&golden_json("shapes/s3d_torchvision.json"), 2001);
    let message = Foreign::of(&other).refusal();
    assert!(message.contains("230 missing: `"), "{message}");
    assert!(message.contains(&format!("{} surplus: `", other.len())), "{message}");
}

#[test]
fn damaged_weights_are_refused() {
    let mut tensors = by_formula();
    let whole = Foreign::of(&tensors);
    let bytes = fs::read(whole.file()).unwrap();
    fs::write(whole.file(), &bytes[..bytes.len() - 1]).unwrap();
    assert!(whole.refusal().contains("is not whole"), "{}", whole.refusal());
    for value in [f32::NAN, f32::INFINITY] {
        let name = "batch_stats.Conv3d_2c_3x3.BatchNorm_0.mean";
        let mut numbers = vec![0.0; 192];
        numbers[191] = value;
        let tensor = Tensor::from_vec(numbers, (1, 1, 1, 1, 192), &Device::Cpu).unwrap();
        tensors.insert(name.to_owned(), tensor);
        let message = Foreign::of(&tensors).refusal();
        let told = format!("tensor `{name}` holds numbers that are not finite");
        assert!(message.contains(&told), "{message}");
    }
}
