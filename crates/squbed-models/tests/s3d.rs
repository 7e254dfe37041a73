//! Both S3D networks against their reference implementations, with weights by formula. Clips of odd sizes are compared in
//! `tests/parity` of the workspace, on the CPU as on any device.

mod common;
#[path = "common/formula.rs"]
mod formula;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::OnceLock,
};

use candle_core::{DType, Device, Tensor};
use common::{golden, golden_json, golden_path, rows};
use serde_json::Value;
use squbed_core::{Clip, Frame};
use squbed_models::{
    Architecture, Clips, Head, ModelStore, Network, Prepared, Tokens, Weights,
    arch::{s3d_kinetics::S3dKinetics, s3d_milnce::S3dMilNce},
    load_arch,
};
use tempfile::TempDir;

/// Relative distance; the same code in f64 is 1.2e-6 away, the smallest mistake tried 2.6e-2.
const TOLERANCE: f64 = 1e-4;

/// A home with both models, their weights made with the seeds of the golden files.
struct Home(TempDir);

impl Home {
    fn shared() -> &'static Self {
        static HOME: OnceLock<Home> = OnceLock::new();
        HOME.get_or_init(|| {
            let home = Self(tempfile::tempdir().unwrap());
            for (model, shapes, seed) in
                [("s3d-milnce", "s3d_milnce", 1001), ("s3d-kinetics-400", "s3d_torchvision", 2001)]
            {
                fs::create_dir_all(home.folder(model)).unwrap();
                formula::write(&tensors(shapes, seed), &home.weights(model));
            }
            let words = golden_path("shapes/s3d_milnce_fake_dict.npy");
            fs::copy(words, home.folder("s3d-milnce").join("s3d_dict.npy")).unwrap();
            home
        })
    }

    fn folder(&self, model: &str) -> PathBuf {
        self.0.path().join("models").join(model)
    }

    fn weights(&self, model: &str) -> PathBuf {
        self.folder(model).join("model.safetensors")
    }

    fn store(&self) -> ModelStore {
        ModelStore::with_manifests(self.0.path().to_owned(), &[]).unwrap()
    }
}

fn tensors(shapes: &str, seed: u64) -> BTreeMap<String, Tensor> {
    formula::tensors(&golden_json(&format!("shapes/{shapes}.json")), seed)
}

fn milnce(file: &Path) -> S3dMilNce {
    S3dMilNce::load(&Weights::open(file).unwrap(), &Device::Cpu, DType::F32).unwrap()
}

fn kinetics(file: &Path) -> S3dKinetics {
    S3dKinetics::load(&Weights::open(file).unwrap(), &Device::Cpu, DType::F32).unwrap()
}

fn bare(architecture: Architecture, model: &str) -> Network {
    load_arch(architecture, &Home::shared().weights(model), None, &Device::Cpu, DType::F32).unwrap()
}

/// The clip of a case, `[b, 3, t, h, w]`.
fn channels_first(case: &Value) -> Tensor {
    let shape: [usize; 5] = serde_json::from_value(case["shape"].clone()).unwrap();
    formula::video(shape, case["input_seed"].as_u64().unwrap())
}

/// `[b, t, h, w, 3]`.
fn clip(case: &Value) -> Tensor {
    channels_first(case).permute((0, 2, 3, 4, 1)).unwrap().contiguous().unwrap()
}

/// What torchvision's network gets.
fn signed(x: &Tensor) -> Tensor {
    x.affine(4.0, -2.0).unwrap()
}

fn cases(json: &Value) -> Vec<Value> {
    json["cases"].as_array().unwrap().clone()
}

/// Every row is as near to its reference as the tolerance says, and as long.
#[expect(clippy::print_stdout, reason = "the figure is wanted beside the verdict")]
fn compare(what: &str, actual: &Tensor, expected: &Tensor) {
    let (actual, expected) = (rows(actual), rows(expected));
    assert_eq!(actual.len(), expected.len(), "{what}");
    let mut worst = 0f64;
    for (a, e) in actual.iter().zip(&expected) {
        assert_eq!(a.len(), e.len(), "{what}");
        let norm = |x: &mut dyn Iterator<Item = f64>| x.map(|v| v * v).sum::<f64>().sqrt();
        let apart = norm(&mut a.iter().zip(e).map(|(&a, &e)| f64::from(a) - f64::from(e)));
        let length = norm(&mut e.iter().map(|&e| f64::from(e)));
        worst = worst.max(apart / length);
    }
    println!("{what}: {worst:e}");
    assert!(worst <= TOLERANCE, "{what}: {worst:e}");
}

/// Statistics of a map that the reference keeps as `[b, c, t, h, w]`.
fn check_block(name: &str, x: &Tensor, expected: &Value) {
    let x = x.permute((0, 4, 1, 2, 3)).unwrap();
    let shape: Vec<usize> = serde_json::from_value(expected["shape"].clone()).unwrap();
    assert_eq!(x.dims(), shape, "{name}");
    let values = x.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    let mean = values.iter().map(|&v| f64::from(v)).sum::<f64>() / values.len() as f64;
    let reference = expected["mean"].as_f64().unwrap();
    assert!((mean - reference).abs() / reference.abs() < 2e-5, "{name}: mean {mean} for {reference}");
    let most = values.iter().fold(0f64, |m, &v| m.max(f64::from(v).abs()));
    let reference = expected["absmax"].as_f64().unwrap();
    assert!((most - reference).abs() / reference < 2e-5, "{name}: largest {most} for {reference}");
}

#[test]
fn milnce_and_its_blocks_are_the_references() {
    let network = milnce(&Home::shared().weights("s3d-milnce"));
    for case in cases(&golden_json("s3d_milnce.json")) {
        let id = case["id"].as_str().unwrap();
        let mut seen = 0;
        let output = network
            .forward_with(&clip(&case), &mut |name, x| {
                seen += 1;
                // The reference's own layer has a row and a column that it cuts off afterwards.
                if name != "conv1" {
                    check_block(name, x, &case["blocks"][name]);
                }
                Ok(())
            })
            .unwrap();
        assert_eq!(seen + 1, case["blocks"].as_object().unwrap().len(), "all but the projection");
        let reference = |what: &str| golden("s3d_milnce.safetensors", &format!("{id}.{what}"));
        compare(&format!("{id} embedding"), &output.embedding, &reference("video_embedding"));
        compare(&format!("{id} mixed_5c"), &output.mixed_5c, &reference("mixed_5c"));
    }
}

#[test]
fn kinetics_and_its_blocks_are_the_references() {
    let network = kinetics(&Home::shared().weights("s3d-kinetics-400"));
    for case in cases(&golden_json("s3d_torchvision.json")) {
        let id = case["id"].as_str().unwrap();
        let mut seen = 0;
        let output = network
            .forward_with(&signed(&clip(&case)), &mut |name, x| {
                seen += 1;
                check_block(name, x, &case["blocks"][name]);
                Ok(())
            })
            .unwrap();
        assert_eq!(seen, case["blocks"].as_object().unwrap().len());
        let reference = |what: &str| golden("s3d_torchvision.safetensors", &format!("{id}.{what}"));
        compare(&format!("{id} logits"), &output.logits, &reference("logits"));
        compare(&format!("{id} pooled"), &output.pooled, &reference("pooled"));
        compare(&format!("{id} mixed_5c"), &output.mixed_5c, &reference("global_mean"));
        let top = |row: &[f32]| {
            let mut order: Vec<usize> = (0..row.len()).collect();
            order.sort_by(|&a, &b| row[b].total_cmp(&row[a]));
            order.truncate(5);
            order
        };
        let top: Vec<Vec<usize>> = rows(&output.logits).iter().map(|row| top(row)).collect();
        assert_eq!(serde_json::to_value(top).unwrap(), case["top5"], "{id}");
    }
}

#[test]
fn a_batch_equals_its_clips() {
    let network = milnce(&Home::shared().weights("s3d-milnce"));
    let batch = formula::video([3, 3, 6, 34, 46], 5).permute((0, 2, 3, 4, 1)).unwrap();
    let together = rows(&network.forward(&batch).unwrap().embedding);
    for (i, row) in together.iter().enumerate() {
        let alone = rows(&network.forward(&batch.narrow(0, i, 1).unwrap()).unwrap().embedding);
        assert!(row == &alone[0], "clip {i}");
    }
}

fn clips(x: &Tensor) -> Prepared {
    Prepared::Clips(Clips::new(x).unwrap())
}

fn words(ids: &Tensor) -> Prepared {
    Prepared::Tokens(Tokens::new(ids).unwrap())
}

#[test]
fn the_bare_networks_have_their_outputs() {
    let json = golden_json("s3d_milnce.json");
    let network = bare(Architecture::S3dMilnce, "s3d-milnce");
    let x = channels_first(&json["cases"][0]);
    for (head, what) in [
        ("embedding", "video_embedding"),
        ("features", "mixed_5c"),
        ("pooled", "mixed_5c"),
        ("mixed_5c", "mixed_5c"),
    ] {
        let head = Architecture::S3dMilnce.head(head).unwrap();
        let actual = network.forward_tensor(&clips(&x), head).unwrap();
        compare(what, &actual, &golden("s3d_milnce.safetensors", &format!("case0.{what}")));
    }
    let error = network.forward_tensor(&clips(&x), Head::Logits).unwrap_err();
    assert_eq!(
        error.to_string(),
        "s3d-milnce has no output `logits`; it has embedding, features, pooled, mixed_5c"
    );

    let json = golden_json("s3d_torchvision.json");
    let network = bare(Architecture::S3dKinetics, "s3d-kinetics-400");
    let x = signed(&channels_first(&json["cases"][1]));
    for (head, what) in [
        (Head::Embedding, "pooled"),
        (Head::Features, "pooled"),
        (Head::Pooled, "pooled"),
        (Head::Logits, "logits"),
        (Head::Mixed5c, "global_mean"),
    ] {
        let actual = network.forward_tensor(&clips(&x), head).unwrap();
        compare(what, &actual, &golden("s3d_torchvision.safetensors", &format!("case1.{what}")));
    }
}

#[test]
fn a_clip_that_the_reference_refuses_is_refused_with_numbers() {
    let milnce = bare(Architecture::S3dMilnce, "s3d-milnce");
    let kinetics = bare(Architecture::S3dKinetics, "s3d-kinetics-400");
    let refusal = |network: &Network, [t, h, w]: [usize; 3]| {
        let x = Tensor::zeros((1, 3, t, h, w), DType::F32, &Device::Cpu).unwrap();
        network.forward_tensor(&clips(&x), Head::Embedding).unwrap_err().to_string()
    };
    for (size, words) in [([7, 32, 32], "7 frames of 32×32"), ([8, 32, 33], "8 frames of 32×33")] {
        assert_eq!(
            refusal(&milnce, size),
            format!("s3d-milnce takes clips of an even number of frames, rows and columns, not {words}")
        );
    }
    for (size, words) in [
        ([12, 224, 224], "12 frames of 224×224"),
        ([16, 208, 224], "16 frames of 208×224"),
        ([16, 224, 112], "16 frames of 224×112"),
    ] {
        assert_eq!(
            refusal(&kinetics, size),
            format!("s3d-kinetics takes clips of at least 13 frames of 209×209, not {words}")
        );
    }
    let empty = Tensor::zeros((1, 3, 0, 32, 32), DType::F32, &Device::Cpu).unwrap();
    assert!(Clips::new(&empty).unwrap_err().to_string().ends_with("not [1, 3, 0, 32, 32]"));

    // A video that is too short is refused by itself, before it stands in a batch.
    let encoder = Home::shared().store().video_encoder("s3d-kinetics-400", &Device::Cpu, DType::F32).unwrap();
    let short = Clip::new(vec![Frame::new(4, 4, vec![0; 48]).unwrap(); 5], (0..5).map(f64::from).collect());
    let error = encoder.preprocess(&short.unwrap()).unwrap_err();
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert_eq!(source, "s3d-kinetics takes clips of at least 13 frames of 209×209, not 5 frames of 224×224");
}

#[test]
fn weights_of_the_other_network_are_refused() {
    let home = Home::shared();
    let load = |architecture, model| {
        load_arch(architecture, &home.weights(model), None, &Device::Cpu, DType::F32)
            .err()
            .unwrap()
            .to_string()
    };
    let message = load(Architecture::S3dMilnce, "s3d-kinetics-400");
    assert!(message.contains("456 missing: `conv1.conv1.weight` [64, 24, 2, 4, 4]"), "{message}");
    let message = load(Architecture::S3dKinetics, "s3d-milnce");
    assert!(message.contains("missing: `features.0.0.0.weight` [64, 3, 1, 7, 7]"), "{message}");
    assert!(message.contains("surplus: `conv1."), "{message}");
}

#[test]
fn texts_are_embedded_as_the_reference_does() {
    let json = golden_json("s3d_milnce.json");
    let sentences: Vec<&str> =
        json["text"]["sentences"].as_array().unwrap().iter().map(|s| s.as_str().unwrap()).collect();
    let store = Home::shared().store();
    let encoder = store.text_encoder("s3d-milnce", &Device::Cpu, DType::F32).unwrap();
    let expected = golden("s3d_milnce.safetensors", "text.embedding");
    compare("text", &encoder.embed(&sentences).unwrap(), &expected);
    assert_eq!(encoder.embed(&[]).unwrap().dims(), [0, 512]);
    let identity = encoder.identity();
    assert_eq!((identity.preprocessing.as_str(), identity.dim), ("s3d-words/1", 512));

    // The ids themselves, to the bare network and to the model.
    let ids = golden("s3d_milnce.safetensors", "text.ids");
    let network = bare(Architecture::S3dMilnce, "s3d-milnce");
    compare("ids", &network.forward_tensor(&words(&ids), Head::Embedding).unwrap(), &expected);
    let named = store.embed_tensor("s3d-milnce", &words(&ids), Head::Embedding, &Device::Cpu, DType::F32);
    compare("ids by name", &named.unwrap(), &expected);
    let beyond = Tensor::new(&[[1i64, 21]], &Device::Cpu).unwrap();
    assert_eq!(
        network.forward_tensor(&words(&beyond), Head::Embedding).unwrap_err().to_string(),
        "token id 21 in row 0, column 1, is not in the vocabulary of 21"
    );
}

#[test]
fn a_word_list_of_other_weights_is_refused() {
    let home = Home(tempfile::tempdir().unwrap());
    fs::create_dir_all(home.folder("s3d-milnce")).unwrap();
    let mut fewer = tensors("s3d_milnce", 1001);
    let table = fewer["text_module.word_embd.weight"].narrow(0, 0, 20).unwrap().contiguous().unwrap();
    fewer.insert("text_module.word_embd.weight".to_owned(), table);
    formula::write(&fewer, &home.weights("s3d-milnce"));
    let load = || home.store().text_encoder("s3d-milnce", &Device::Cpu, DType::F32).err().unwrap();
    assert!(load().to_string().contains("s3d_dict.npy is missing"), "{}", load());
    let words = home.folder("s3d-milnce").join("s3d_dict.npy");
    fs::copy(golden_path("shapes/s3d_milnce_fake_dict.npy"), words).unwrap();
    assert_eq!(
        std::error::Error::source(&load()).unwrap().to_string(),
        "it has 20 words, and the weights have 20 rows, the one for no word among them"
    );
}

#[test]
fn the_preset_prepares_frames_as_torchvision_does() {
    let encoder = Home::shared().store().video_encoder("s3d-kinetics-400", &Device::Cpu, DType::F32).unwrap();
    assert_eq!(encoder.sampling().to_string(), "uniform:16");
    for case in cases(&golden_json("preprocess.json")) {
        let source = image::open(golden_path(case["src_png"].as_str().unwrap())).unwrap().into_rgb8();
        let (w, h) = (source.width() as usize, source.height() as usize);
        let frame = Frame::new(w, h, source.into_raw()).unwrap();
        let times = (0..14).map(f64::from).collect();
        let x = encoder.preprocess(&Clip::new(vec![frame; 14], times).unwrap()).unwrap();
        assert_eq!(x.dims(), [14, 224, 224, 3]);
        let preset = &case["s3d_preset"];
        let cut = image::open(golden_path(preset["png"].as_str().unwrap())).unwrap().into_rgb8();
        let x = x.get(13).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
        let mut apart = 0;
        for (i, (&x, &byte)) in x.iter().zip(cut.as_raw()).enumerate() {
            let (mean, std) = ([0.43216, 0.394666, 0.37645][i % 3], [0.22803, 0.22145, 0.216989][i % 3]);
            let levels = (f64::from(x) * std + mean) * 255.0;
            apart += usize::from((levels - f64::from(byte)).abs() > 1e-3);
        }
        assert_eq!(apart, 0, "{}: numbers that are another byte's", case["id"]);
        let normalised = &preset["normalised"];
        for (at, rgb) in std::iter::zip(
            normalised["sample_points_yx"].as_array().unwrap(),
            normalised["rgb"].as_array().unwrap(),
        ) {
            let at: [usize; 2] = serde_json::from_value(at.clone()).unwrap();
            let rgb: [f64; 3] = serde_json::from_value(rgb.clone()).unwrap();
            for (c, expected) in rgb.into_iter().enumerate() {
                let actual = f64::from(x[(at[0] * 224 + at[1]) * 3 + c]);
                assert!((actual - expected).abs() < 2e-6, "{at:?}: {actual} for {expected}");
            }
        }
    }
}

#[test]
fn milnce_sees_the_square_in_the_middle_in_zero_to_one() {
    let encoder = Home::shared().store().video_encoder("s3d-milnce", &Device::Cpu, DType::F32).unwrap();
    assert_eq!(encoder.sampling().to_string(), "uniform:32");
    assert_eq!((encoder.dim(), encoder.identity().preprocessing.as_str()), (512, "s3d-milnce/1"));
    // White in the middle square of 448 rows and columns, black on either side.
    let (w, h) = (640, 448);
    let rgb: Vec<u8> =
        (0..w * h).flat_map(|i| [if (96..544).contains(&(i % w)) { 255 } else { 0 }; 3]).collect();
    let frames = vec![Frame::new(w, h, rgb).unwrap(); 2];
    let x = encoder.preprocess(&Clip::new(frames, vec![0.0, 0.1]).unwrap()).unwrap();
    assert_eq!(x.dims(), [2, 224, 224, 3]);
    let row = x.get(1).unwrap().get(100).unwrap().to_vec2::<f32>().unwrap();
    assert!(row[2..222].iter().flatten().all(|&v| (v - 1.0).abs() < 1e-6));
    let embedding = encoder.embed(&x.unsqueeze(0).unwrap()).unwrap();
    assert_eq!(embedding.dims(), [1, 512]);
}
