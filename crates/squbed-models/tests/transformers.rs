//! The transformers against their reference libraries, with weights by formula. Outputs of all but the CLIPs of full size
//! are compared in `tests/parity` of the workspace, on the CPU as on any device.

mod common;
#[path = "common/formula.rs"]
mod formula;

use std::{fs, path::PathBuf};

use candle_core::{DType, Device, Tensor};
use common::{Place, golden, golden_json, largest_difference, rows};
use serde_json::{Value, json};
use squbed_models::{Clips, Error, Head, Images, Network, Prepared, Tokens, Weights, arch::bert, load_arch};

/// CLIP embeddings: the same code in f64 differs by 2.2e-7; QuickGELU for GELU moves those of B/32 by 1.6e-3.
const CLIP: f64 = 1e-5;
/// Hidden states: their mean in f64 differs by 1.0e-6.
const HIDDEN: f64 = 2e-5;

struct Case {
    place: Place,
    architecture: &'static str,
}

impl Case {
    fn new(architecture: &'static str, config: &Value, shapes: &str, seed: u64) -> Self {
        let place = Place::new();
        let shapes = golden_json(&format!("shapes/{shapes}"));
        formula::write(&formula::tensors(&shapes, seed), &place.path("model.safetensors"));
        fs::write(place.path("config.json"), config.to_string()).unwrap();
        Self { place, architecture }
    }

    /// A case of `{name}.json`.
    fn bert(architecture: &'static str, name: &str) -> Self {
        let case = golden_json(&format!("{name}.json"));
        Self::new(
            architecture,
            &case["config"],
            &format!("{name}.json"),
            case["weights_seed"].as_u64().unwrap(),
        )
    }

    fn clip(name: &str) -> Self {
        let case = golden_json(&format!("{name}.json"));
        let shapes = case["shapes"].as_str().unwrap();
        let sizes = golden_json(&format!("shapes/{shapes}"))["config"].clone();
        let seed = case["weights_seed"].as_u64().unwrap();
        let (architecture, config) = formula::clip_config(&case, &sizes);
        Self::new(architecture, &config, shapes, seed)
    }

    fn path(&self, file: &str) -> PathBuf {
        self.place.path(file)
    }

    fn network_in(&self, dtype: DType) -> Result<Network, squbed_models::Error> {
        let (weights, config) = (self.path("model.safetensors"), self.path("config.json"));
        load_arch(self.architecture.parse().unwrap(), &weights, Some(&config), &Device::Cpu, dtype)
    }

    fn network(&self) -> Network {
        self.network_in(DType::F32).unwrap()
    }
}

#[expect(clippy::print_stdout, reason = "the worst error is for people to read")]
fn check(what: &str, actual: &Tensor, expected: &Tensor, tolerance: f64) {
    let worst = largest_difference(&rows(actual), &rows(expected));
    println!("{what}: largest difference {worst:e}");
    assert!(worst <= tolerance, "{what}: {worst:e}");
}

fn images(name: &str) -> Tensor {
    let input = &golden_json(&format!("{name}.json"))["image_input"];
    let number = |field: &str| input[field].as_u64().unwrap();
    formula::image(number("seed"), number("B") as usize, number("size") as usize)
}

/// Token ids and mask; open_clip's cases have no mask.
fn texts(name: &str) -> (Tensor, Option<Tensor>) {
    let file = format!("{name}.safetensors");
    let mask = (!name.starts_with("openclip")).then(|| golden(&file, "attention_mask"));
    (golden(&file, "input_ids"), mask)
}

fn clip_is_the_reference(name: &str) {
    let (case, file) = (Case::clip(name), format!("{name}.safetensors"));
    let network = case.network();
    let ((ids, mask), images) = (texts(name), images(name));
    for (head, text, image) in [
        (Head::Embedding, "text_embeds", "image_embeds"),
        // Not normalised: numbers up to some twenty times those of the embeddings; 5e-6 at most was seen.
        (Head::Features, "text_features", "image_features"),
    ] {
        let tolerance = if head == Head::Embedding { CLIP } else { 3.0 * CLIP };
        let actual = forward(&network, &ids, mask.as_ref(), head).unwrap();
        check(&format!("{name} {text}"), &actual, &golden(&file, text), tolerance);
        // What is hidden follows the end, so that the mask changes nothing.
        let actual = forward(&network, &ids, None, head).unwrap();
        check(&format!("{name} {text}, no mask"), &actual, &golden(&file, text), tolerance);
        let actual = forward(&network, &images, None, head).unwrap();
        check(&format!("{name} {image}"), &actual, &golden(&file, image), tolerance);
    }
}

/// The network's output for ids `[b, l]`, images `[b, 3, h, w]` or clips `[b, 3, t, h, w]`.
fn forward(network: &Network, x: &Tensor, mask: Option<&Tensor>, head: Head) -> Result<Tensor, Error> {
    let input = match (x.rank(), mask) {
        (2, None) => Prepared::Tokens(Tokens::new(x)?),
        (2, Some(mask)) => Prepared::Tokens(Tokens::new(x)?.with_mask(mask)?),
        (4, _) => Prepared::Images(Images::new(x)?),
        _ => Prepared::Clips(Clips::new(x)?),
    };
    network.forward_tensor(&input, head)
}

/// One after the other: each takes some 2 GB.
#[test]
fn clips_of_full_size_are_the_references() {
    for name in ["clip_vit_b32", "clip_vit_b16", "openclip_vit_b32"] {
        clip_is_the_reference(name);
    }
}

#[test]
fn small_clips_follow_their_configuration() {
    // With the other non-linearity, or the other rule for the end, the outputs are far from the reference's.
    let name = "clip_tiny_legacy_eos2";
    let case = Case::clip(name);
    let file = format!("{name}.safetensors");
    let ((ids, mask), expected) = (texts(name), rows(&golden(&file, "text_embeds")));
    let config: Value = serde_json::from_slice(&fs::read(case.path("config.json")).unwrap()).unwrap();
    // 226 is the sixth token of the first text.
    for (field, value) in [("hidden_act", json!("gelu")), ("eos_token_id", json!(226))] {
        let mut changed = config.clone();
        changed["text_config"][field] = value;
        fs::write(case.path("config.json"), changed.to_string()).unwrap();
        let ids = ids.narrow(0, 0, 1).unwrap();
        let mask = mask.as_ref().map(|mask| mask.narrow(0, 0, 1).unwrap());
        let actual = rows(&forward(&case.network(), &ids, mask.as_ref(), Head::Embedding).unwrap());
        assert!(largest_difference(&actual, &expected[..1]) > 1e-4, "{field}");
    }
}

#[test]
fn hidden_states_of_mpnet_and_xlm_roberta_are_the_references() {
    for (architecture, name, family) in
        [("mpnet", "mpnet_tiny", bert::Family::Mpnet), ("xlm-roberta", "xlmr_tiny", bert::Family::XlmRoberta)]
    {
        let (case, file) = (Case::bert(architecture, name), format!("{name}.safetensors"));
        let (ids, mask) = texts(name);
        // Hidden states of tokens; those of padding are nobody's.
        let config_file = case.path("config.json");
        let config = bert::BertConfig::parse(family, &config_file, &fs::read(&config_file).unwrap()).unwrap();
        let weights = Weights::open(case.path("model.safetensors")).unwrap();
        let network = bert::Bert::load(family, &weights, &config, &Device::Cpu, DType::F32).unwrap();
        let kept = |hidden: &Tensor| {
            let mask = mask.as_ref().unwrap().to_dtype(DType::F32).unwrap().unsqueeze(2).unwrap();
            hidden.broadcast_mul(&mask).unwrap().flatten(0, 1).unwrap()
        };
        let hidden = network.forward(&ids, mask.as_ref()).unwrap();
        let expected = golden(&file, "last_hidden_state");
        check(&format!("{name} last_hidden_state"), &kept(&hidden), &kept(&expected), HIDDEN);
    }
}

#[test]
fn a_batch_equals_its_rows_and_padding_changes_nothing() {
    for (architecture, name) in [("mpnet", "mpnet_tiny"), ("xlm-roberta", "xlmr_tiny")] {
        let network = Case::bert(architecture, name).network();
        let (ids, mask) = texts(name);
        let mask = mask.unwrap();
        let together = rows(&forward(&network, &ids, Some(&mask), Head::Embedding).unwrap());
        for (row, expected) in together.iter().enumerate() {
            let length = mask.get(row).unwrap().sum_all().unwrap().to_scalar::<i64>().unwrap() as usize;
            let alone = ids.narrow(0, row, 1).unwrap().narrow(1, 0, length).unwrap();
            let alone = rows(&forward(&network, &alone, None, Head::Embedding).unwrap());
            assert!(largest_difference(&alone, std::slice::from_ref(expected)) <= 2e-6, "{name} row {row}");
        }
    }
    for name in ["clip_tiny_gelu", "openclip_tiny"] {
        let network = Case::clip(name).network();
        let (ids, images) = (texts(name).0, images(name));
        let eos = ids.max_all().unwrap().to_scalar::<i64>().unwrap();
        let embed = |x: &Tensor| rows(&forward(&network, x, None, Head::Embedding).unwrap());
        let (texts_together, images_together) = (embed(&ids), embed(&images));
        for (row, expected) in images_together.iter().enumerate() {
            let alone = embed(&images.narrow(0, row, 1).unwrap());
            assert!(largest_difference(&alone, std::slice::from_ref(expected)) <= 1e-6, "{name} image {row}");
        }
        for (row, expected) in texts_together.iter().enumerate() {
            let tokens = ids.get(row).unwrap().to_vec1::<i64>().unwrap();
            let length = tokens.iter().position(|&id| id == eos).unwrap() + 1;
            let alone = embed(&ids.narrow(0, row, 1).unwrap().narrow(1, 0, length).unwrap());
            assert!(largest_difference(&alone, std::slice::from_ref(expected)) <= 1e-6, "{name} text {row}");
        }
    }
}

#[test]
fn a_clip_is_the_normalised_mean_of_its_frames() {
    let network = Case::clip("clip_tiny_gelu").network();
    let frames = images("clip_tiny_gelu");
    let clip = frames.permute((1, 0, 2, 3)).unwrap().unsqueeze(0).unwrap().contiguous().unwrap();
    let each = rows(&forward(&network, &frames, None, Head::Embedding).unwrap());
    let sum: Vec<f32> = each[0].iter().zip(&each[1]).map(|(a, b)| a + b).collect();
    let norm = sum.iter().map(|x| x * x).sum::<f32>().sqrt();
    let mean: Vec<f32> = sum.iter().map(|x| x / norm).collect();
    let actual = rows(&forward(&network, &clip, None, Head::Embedding).unwrap());
    assert!(largest_difference(&actual, &[mean]) <= 1e-6);
}

/// 10 bits of fraction in f16 and 7 in bf16, and some ten roundings deep.
#[test]
fn masks_stay_finite_in_half_precision() {
    for (dtype, tolerance) in [(DType::F16, 5e-3), (DType::BF16, 5e-2)] {
        for (case, name) in [
            (Case::bert("mpnet", "mpnet_tiny"), "mpnet_tiny"),
            (Case::bert("xlm-roberta", "xlmr_tiny"), "xlmr_tiny"),
            (Case::clip("clip_tiny_gelu"), "clip_tiny_gelu"),
        ] {
            let (ids, mask) = texts(name);
            let embed = |dtype| {
                let network = case.network_in(dtype).unwrap();
                rows(&forward(&network, &ids, mask.as_ref(), Head::Embedding).unwrap())
            };
            let (half, full) = (embed(dtype), embed(DType::F32));
            let unit = |rows: &[Vec<f32>]| -> Vec<Vec<f32>> {
                let norm = |row: &[f32]| row.iter().map(|x| x * x).sum::<f32>().sqrt();
                rows.iter().map(|row| row.iter().map(|x| x / norm(row)).collect()).collect()
            };
            let worst = largest_difference(&unit(&half), &unit(&full));
            assert!(worst <= tolerance && worst > 1e-6, "{name} {dtype:?}: {worst:e}");
        }
    }
}

fn message<T>(result: Result<T, squbed_models::Error>) -> String {
    result.err().expect("an error").to_string()
}

#[test]
fn weights_and_configuration_of_another_architecture_are_refused() {
    let (mpnet, clip, open_clip) =
        (Case::bert("mpnet", "mpnet_tiny"), Case::clip("clip_tiny_gelu"), Case::clip("openclip_tiny"));
    let load = |architecture: &str, weights: &Case, config: &Case| {
        let (weights, config) = (weights.path("model.safetensors"), config.path("config.json"));
        message(load_arch(architecture.parse().unwrap(), &weights, Some(&config), &Device::Cpu, DType::F32))
    };
    assert!(load("bert", &mpnet, &mpnet).ends_with("the checkpoint is of another architecture"));
    assert!(load("xlm-roberta", &mpnet, &mpnet).contains("`model_type` is mpnet"));
    assert!(load("clip", &mpnet, &mpnet).ends_with("config.json cannot be read"));
    assert!(load("open-clip", &clip, &clip).ends_with("config.json cannot be read"));
    assert!(load("clip", &open_clip, &clip).contains("missing: `text_model.embeddings.token_embedding"));
    assert!(load("open-clip", &clip, &open_clip).contains("missing: `token_embedding.weight`"));
    assert!(load("mpnet", &clip, &mpnet).contains("missing: `embeddings.position_embeddings.weight`"));
    let none =
        load_arch("clip".parse().unwrap(), &clip.path("model.safetensors"), None, &Device::Cpu, DType::F32);
    assert_eq!(message(none), "architecture clip needs the checkpoint's config.json; name it with --config");
}

#[test]
fn damaged_weights_are_refused() {
    let case = Case::clip("clip_tiny_gelu");
    let whole = fs::read(case.path("model.safetensors")).unwrap();
    fs::write(case.path("model.safetensors"), &whole[..whole.len() - 1]).unwrap();
    assert!(message(case.network_in(DType::F32)).contains("is not whole"));
    let mut damaged = whole.clone();
    let last = damaged.len() - 4;
    damaged[last..].copy_from_slice(&f32::NAN.to_le_bytes());
    fs::write(case.path("model.safetensors"), damaged).unwrap();
    let text = message(case.network_in(DType::F32));
    assert!(text.contains("tensor `visual_projection.weight` holds numbers that are not finite"), "{text}");
}

#[test]
fn inputs_that_do_not_fit_are_refused() {
    let network = Case::clip("clip_tiny_gelu").network();
    let refused = |x: &Tensor, head| message(forward(&network, x, None, head));
    let zeros = |shape: &[usize], dtype| Tensor::zeros(shape, dtype, &Device::Cpu).unwrap();
    assert_eq!(
        refused(&zeros(&[1, 3, 32, 64], DType::F32), Head::Embedding),
        "clip takes images [b, 64, 64, 3] of these weights, not [1, 32, 64, 3]"
    );
    assert!(refused(&zeros(&[1, 4, 64, 64], DType::F32), Head::Embedding).contains("not [1, 4, 64, 64]"));
    assert!(refused(&zeros(&[1, 33], DType::I64), Head::Embedding).ends_with("not [1, 33]"));
    assert_eq!(
        refused(&zeros(&[2, 5], DType::I64), Head::Embedding),
        "clip: the token ids in row 0 lack the end of the text, id 999"
    );
    let beyond = (zeros(&[1, 5], DType::I64) + 1000.0).unwrap();
    assert_eq!(
        refused(&beyond, Head::Embedding),
        "token id 1000 in row 0, column 0, is not in the vocabulary of 1000"
    );
    assert_eq!(
        refused(&zeros(&[1, 5], DType::I64), Head::Logits),
        "clip has no output `logits`; it has embedding, features"
    );
    let mpnet = Case::bert("mpnet", "mpnet_tiny").network();
    let long = zeros(&[1, 79], DType::I64);
    assert!(message(forward(&mpnet, &long, None, Head::Embedding)).ends_with("not [1, 79]"));
    assert!(forward(&mpnet, &long.narrow(1, 0, 78).unwrap(), None, Head::Embedding).is_ok());
}
