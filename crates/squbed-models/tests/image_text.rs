//! CLIP from its files: tokenizer, preprocessing, images, texts and clips. A small network with weights by formula.

mod common;
#[path = "common/formula.rs"]
mod formula;

use std::{collections::BTreeMap, fs, io::Write};

use candle_core::{DType, Device, Tensor};
use common::{Place, golden_json, golden_path, largest_difference, rows, write};
use serde_json::Value;
use squbed_core::{Clip, Frame};
use squbed_models::{ClipImages, ClipText, FrameMean, ModelStore};
use squbed_tensor::{ImageEncoder, TextEncoder, VideoEncoder};

const CPU: &Device = &Device::Cpu;

/// A model `tiny` of images of 224×224 and texts of 77 tokens, with these files of a tokenizer.
struct Tiny {
    place: Place,
}

impl Tiny {
    fn new(vocabulary: usize, tokenizer: &[(&str, Vec<u8>)]) -> Self {
        let place = Place::new();
        let (weights, config) = formula::tiny_clip(golden_json("shapes/clip_tiny_gelu.json"), vocabulary);
        formula::write(&weights, &place.model().join("model.safetensors"));
        write(&place.model().join("config.json"), config.to_string().as_bytes());
        for (name, bytes) in tokenizer {
            write(&place.model().join(name), bytes);
        }
        Self { place }
    }

    /// With the part of CLIP's vocabulary that the golden texts meet.
    fn with_vocabulary() -> Self {
        let read = |name| fs::read(golden_path(name)).unwrap();
        Self::new(49_408, &[("vocab.json", read("clip_vocab.json")), ("merges.txt", read("clip_merges.txt"))])
    }

    fn store(&self, crop_rule: &str) -> ModelStore {
        let files = fs::read_dir(self.place.model()).unwrap();
        let files = files.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let text = formula::tiny_clip_manifest(crop_rule, files);
        write(&self.place.path("manifests/tiny/model.toml"), text.as_bytes());
        ModelStore::with_manifests(self.place.path("home"), &[self.place.path("manifests")]).unwrap()
    }

    fn text(&self) -> Result<ClipText, squbed_models::Error> {
        self.store("floor").clip_text("tiny", CPU, DType::F32)
    }

    fn images(&self, crop_rule: &str) -> ClipImages {
        self.store(crop_rule).clip_images("tiny", CPU, DType::F32).unwrap()
    }
}

/// Texts and their ids without padding.
fn cases() -> Vec<(String, Vec<u32>)> {
    let cases = golden_json("clip_tokenizer.json")["cases"].clone();
    let case = |case: &Value| {
        let ids = serde_json::from_value(case["open_clip_ids_77"].clone()).unwrap();
        (case["text"].as_str().unwrap().to_owned(), ids)
    };
    cases.as_array().unwrap().iter().map(case).collect()
}

#[test]
fn token_ids_from_vocabulary_and_merges_are_the_references() {
    let encoder = Tiny::with_vocabulary().text().unwrap();
    for (text, ids) in cases() {
        assert_eq!(encoder.token_ids(&text).unwrap(), ids, "{text:?}");
    }
    assert_eq!(cases().iter().map(|(_, ids)| ids.len()).max(), Some(77), "one is cut");
}

#[test]
fn token_ids_from_merges_alone_follow_their_order() {
    let vocab: BTreeMap<String, u32> =
        serde_json::from_slice(&fs::read(golden_path("clip_vocab.json")).unwrap()).unwrap();
    let mut ids: Vec<u32> = vocab.into_values().collect();
    ids.sort_unstable();
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gz.write_all(&fs::read(golden_path("clip_merges.txt")).unwrap()).unwrap();
    let files = [("bpe_simple_vocab_16e6.txt.gz", gz.finish().unwrap())];
    let encoder = Tiny::new(ids.len(), &files).text().unwrap();
    for (text, expected) in cases() {
        let rank = |id: &u32| ids.binary_search(id).unwrap() as u32;
        let expected: Vec<u32> = expected.iter().map(rank).collect();
        assert_eq!(encoder.token_ids(&text).unwrap(), expected, "{text:?}");
    }
}

#[test]
fn a_missing_or_foreign_tokenizer_is_named() {
    let message = |tiny: Tiny| tiny.text().err().expect("an error").to_string();
    assert_eq!(
        message(Tiny::new(1000, &[])),
        "the manifest of `tiny` names no `tokenizer.json`, which clip needs"
    );
    let vocab = fs::read(golden_path("clip_vocab.json")).unwrap();
    let merges = fs::read(golden_path("clip_merges.txt")).unwrap();
    for rows in [1000, 60_000] {
        let files = [("vocab.json", vocab.clone()), ("merges.txt", merges.clone())];
        let text = message(Tiny::new(rows, &files));
        let end = format!("vocab.json has 49408 tokens, the network {rows}; they are of different models");
        assert!(text.ends_with(&end), "{text}");
    }
    let text = message(Tiny::new(1000, &[("tokenizer.json", b"{}".to_vec())]));
    assert!(text.contains("tokenizer.json failed"), "{text}");
    let text =
        message(Tiny::new(1000, &[("vocab.json", b"{}".to_vec()), ("merges.txt", b"#\na b c".to_vec())]));
    assert!(text.contains("merges.txt failed"), "{text}");
}

#[test]
fn texts_have_length_one_and_do_not_see_their_neighbours() {
    let encoder = Tiny::with_vocabulary().text().unwrap();
    let texts = ["a photo of a cat", "", "the quick brown fox jumps over the lazy dog"];
    let together = rows(&encoder.embed(&texts).unwrap());
    for (text, row) in texts.iter().zip(&together) {
        assert!((row.iter().map(|x| x * x).sum::<f32>() - 1.0).abs() < 1e-5);
        let alone = rows(&encoder.embed(&[text]).unwrap());
        assert!(largest_difference(&alone, std::slice::from_ref(row)) <= 1e-6, "{text}");
    }
    assert!(largest_difference(&together[..1], &together[2..]) > 1e-2);
    assert_eq!(encoder.embed(&[]).unwrap().dims(), [0, 40]);
}

#[test]
fn a_text_of_ten_thousand_tokens_is_cut() {
    let encoder = Tiny::with_vocabulary().text().unwrap();
    let long = "the lazy dog ".repeat(3334);
    let ids = encoder.token_ids(&long).unwrap();
    assert_eq!((ids.len(), ids[0], ids[76]), (77, 49_406, 49_407));
    let cut = "the lazy dog ".repeat(25);
    assert_eq!(rows(&encoder.embed(&[&long]).unwrap()), rows(&encoder.embed(&[&cut]).unwrap()));
}

fn frame(name: &str) -> Frame {
    let image = image::open(golden_path(name)).unwrap().into_rgb8();
    Frame::new(image.width() as usize, image.height() as usize, image.into_raw()).unwrap()
}

#[test]
fn images_are_prepared_as_the_references_under_both_crop_rules() {
    let tiny = Tiny::with_vocabulary();
    for (rule, reference) in [("floor", "clip_hf_crop"), ("round-half-even", "clip_torchvision_crop")] {
        let encoder = tiny.images(rule);
        for case in golden_json("preprocess.json")["cases"].as_array().unwrap() {
            let prepared = encoder.preprocess(&frame(case["src_png"].as_str().unwrap())).unwrap();
            assert_eq!(prepared.dims(), [224, 224, 3]);
            let expected = &case[reference]["normalised"];
            let points = expected["sample_points_yx"].as_array().unwrap();
            for (point, rgb) in points.iter().zip(expected["rgb"].as_array().unwrap()) {
                let at = |i: usize| point[i].as_u64().unwrap() as usize;
                let pixel = prepared.get(at(0)).unwrap().get(at(1)).unwrap().to_vec1::<f32>().unwrap();
                for (actual, expected) in pixel.iter().zip(rgb.as_array().unwrap()) {
                    let expected = expected.as_f64().unwrap();
                    assert!((f64::from(*actual) - expected).abs() < 1e-6, "{rule} {case}: {actual}");
                }
            }
            let mean = prepared.mean_all().unwrap().to_scalar::<f32>().unwrap();
            assert!((f64::from(mean) - expected["mean"].as_f64().unwrap()).abs() < 1e-5, "{rule}: {mean}");
        }
    }
}

#[test]
fn a_clip_is_the_normalised_mean_of_its_frames() {
    let tiny = Tiny::with_vocabulary();
    let images = tiny.images("floor");
    let frames = [frame("pre_bikes10.src.png"), frame("pre_carphone5.src.png")];
    let prepared: Vec<Tensor> = frames.iter().map(|frame| images.preprocess(frame).unwrap()).collect();
    let each = rows(&images.embed(&Tensor::stack(&prepared, 0).unwrap()).unwrap());
    for (prepared, row) in prepared.iter().zip(&each) {
        let alone = rows(&images.embed(&prepared.unsqueeze(0).unwrap()).unwrap());
        assert!(largest_difference(&alone, std::slice::from_ref(row)) <= 1e-6);
    }

    let encoder = FrameMean::new(tiny.images("floor"), "uniform:2".parse().unwrap());
    let clip = Clip::new(frames.to_vec(), vec![0.0, 0.1]).unwrap();
    let input = encoder.preprocess(&clip).unwrap().unsqueeze(0).unwrap();
    let by_frame = rows(&encoder.frames(&input).unwrap().squeeze(0).unwrap());
    assert!(largest_difference(&by_frame, &each) <= 1e-6);
    let sum: Vec<f32> = each[0].iter().zip(&each[1]).map(|(a, b)| a + b).collect();
    let norm = sum.iter().map(|x| x * x).sum::<f32>().sqrt();
    let mean: Vec<f32> = sum.iter().map(|x| x / norm).collect();
    assert!(largest_difference(&rows(&encoder.embed(&input).unwrap()), &[mean]) <= 1e-6);

    // What decides an embedding's value tells the three kinds apart.
    let identity = VideoEncoder::identity(&encoder);
    assert_eq!((identity.sampling.as_str(), identity.head.as_str()), ("uniform:2/3", "mean of image"));
    assert_eq!(ImageEncoder::identity(&images).head, "image");
    assert_eq!(TextEncoder::identity(&tiny.text().unwrap()).head, "text");
    let video = tiny.store("floor").video_encoder("tiny", CPU, DType::F32).unwrap();
    assert_eq!(video.identity(), identity);
}

/// More pictures than pass through the network at once.
#[test]
fn one_picture_equals_its_row_of_the_batch() {
    let images = Tiny::with_vocabulary().images("floor");
    let (bikes, carphone) = (frame("pre_bikes10.src.png"), frame("pre_carphone5.src.png"));
    let prepared: Vec<Tensor> = [&bikes, &carphone].map(|frame| images.preprocess(frame).unwrap()).to_vec();
    let batch: Vec<Tensor> = (0..19).map(|i| prepared[usize::from(i % 3 == 0)].clone()).collect();
    let together = rows(&images.embed(&Tensor::stack(&batch, 0).unwrap()).unwrap());
    let alone: Vec<_> = prepared
        .iter()
        .map(|one| rows(&images.embed(&one.unsqueeze(0).unwrap()).unwrap()).remove(0))
        .collect();
    assert!(largest_difference(&alone[..1], &alone[1..]) > 1e-3);
    for (i, row) in together.iter().enumerate() {
        let alone = &alone[usize::from(i % 3 == 0)];
        assert!(largest_difference(std::slice::from_ref(alone), std::slice::from_ref(row)) <= 1e-6, "{i}");
    }
}

#[test]
fn a_picture_smaller_than_the_crop_is_enlarged() {
    let images = Tiny::with_vocabulary().images("floor");
    // The left half black, the right half white.
    let rgb: Vec<u8> = (0..30 * 40 * 3).map(|i| if i / 3 % 40 < 20 { 0 } else { 255 }).collect();
    let prepared = images.prepare(&Frame::new(40, 30, rgb).unwrap()).unwrap();
    assert_eq!(prepared.dims(), [224, 224, 3]);
    let row = prepared.get(100).unwrap().get_on_dim(1, 0).unwrap().to_vec1::<f32>().unwrap();
    let value = |byte: f32| (byte / 255.0 - 0.481_454_66) / 0.268_629_54;
    // 40×30 becomes 298×224; the edge lies at 149, which is 112 within the crop. Bicubic overshoots near it.
    for x in (0..90).chain(134..224) {
        let expected = value(if x < 112 { 0.0 } else { 255.0 });
        assert!((row[x] - expected).abs() < 1e-6, "{x}: {}", row[x]);
    }
    assert!(row[111] < value(128.0) && row[112] > value(127.0), "{:?}", &row[108..116]);
}

#[test]
fn the_smallest_image_has_an_embedding() {
    let images = Tiny::with_vocabulary().images("round-half-even");
    for (width, height) in [(1, 1), (1, 7), (500, 3)] {
        let frame = Frame::new(width, height, vec![200; width * height * 3]).unwrap();
        let input = images.preprocess(&frame).unwrap().unsqueeze(0).unwrap();
        let row = rows(&images.embed(&input).unwrap());
        assert!(row[0].iter().all(|x| x.is_finite()), "{width}x{height}");
    }
}
