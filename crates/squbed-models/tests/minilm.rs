//! The sentence encoder against the reference library, with the real weights.

mod common;

use candle_core::{DType, Device, Tensor};
use common::{golden, golden_json, largest_difference, rows, store};
use squbed_models::{Architecture, Head, Prepared, SentenceEncoder, Tokens, load_arch};
use squbed_tensor::TextEncoder;

const NAME: &str = "all-MiniLM-L6-v2";
/// Two runs of the reference differ by 2.2e-7; tanh instead of erf in the GELU gives 2.7e-4.
const TOLERANCE: f64 = 1e-5;

fn encoder() -> Box<dyn TextEncoder> {
    store(NAME).text_encoder(NAME, &Device::Cpu, DType::F32).unwrap()
}

fn sentences() -> Vec<String> {
    let sentences = golden_json("minilm.json")["sentences"].clone();
    serde_json::from_value(sentences).unwrap()
}

#[expect(clippy::print_stdout, reason = "the worst error is for people to read")]
fn check(actual: &[Vec<f32>], expected: &Tensor) {
    let expected = rows(expected);
    let worst = largest_difference(actual, &expected);
    println!("largest difference {worst:e}");
    assert!(worst <= TOLERANCE, "{worst:e}");
    for (a, e) in actual.iter().zip(&expected) {
        let dot =
            |x: &[f32], y: &[f32]| x.iter().zip(y).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum::<f64>();
        let norm = dot(a, a).sqrt();
        assert!((norm - 1.0).abs() < 1e-6, "{norm}");
        assert!(dot(a, e) / (norm * dot(e, e).sqrt()) > 1.0 - 1e-9);
    }
}

#[test]
fn token_ids_are_the_references() {
    let golden = golden_json("minilm.json");
    let expected: Vec<Vec<u32>> = serde_json::from_value(golden["token_ids"].clone()).unwrap();
    let encoder: SentenceEncoder = store(NAME).sentence_encoder(NAME, &Device::Cpu, DType::F32).unwrap();
    for (sentence, expected) in sentences().iter().zip(&expected) {
        assert_eq!(&encoder.token_ids(sentence).unwrap(), expected, "{sentence:?}");
    }
    assert_eq!(expected.iter().map(Vec::len).max(), Some(256));
}

#[test]
fn a_batch_is_the_references() {
    let sentences = sentences();
    let texts: Vec<&str> = sentences.iter().map(String::as_str).collect();
    check(&rows(&encoder().embed(&texts).unwrap()), &golden("minilm.safetensors", "embeddings"));
}

#[test]
fn single_sentences_are_the_references_and_equal_the_batch() {
    let (encoder, sentences) = (encoder(), sentences());
    let texts: Vec<&str> = sentences.iter().map(String::as_str).collect();
    let single: Vec<Vec<f32>> =
        texts.iter().flat_map(|text| rows(&encoder.embed(&[text]).unwrap())).collect();
    check(&single, &golden("minilm.safetensors", "embeddings_single"));
    let batched = rows(&encoder.embed(&texts).unwrap());
    assert!(largest_difference(&single, &batched) <= 1e-6);
    // The order of a batch is that of its sentences.
    let backwards: Vec<&str> = texts.iter().rev().copied().collect();
    let mut again = rows(&encoder.embed(&backwards).unwrap());
    again.reverse();
    assert!(largest_difference(&again, &batched) <= 1e-6);
}

#[test]
fn no_sentence_gives_no_row() {
    assert_eq!(encoder().embed(&[]).unwrap().dims(), [0, 384]);
}

#[test]
fn the_identity_names_weights_and_preprocessing() {
    let identity = encoder().identity().clone();
    let golden = golden_json("minilm.json");
    assert_eq!(identity.weights_sha256, golden["model_safetensors_sha256"].as_str().unwrap());
    assert_eq!((identity.name.as_str(), identity.preprocessing.as_str()), (NAME, "sentence/1"));
    assert_eq!((identity.sampling.as_str(), identity.dtype.as_str(), identity.dim), ("", "f32", 384));
}

#[test]
fn the_bare_network_takes_ids_and_a_mask() {
    let folder = store(NAME).folder(NAME);
    let weights = folder.join("model.safetensors");
    let config = folder.join("config.json");
    let bert = load_arch("bert".parse().unwrap(), &weights, Some(&config), &Device::Cpu, DType::F32).unwrap();
    let golden = golden_json("minilm.json");
    let ids: Vec<Vec<i64>> = serde_json::from_value(golden["token_ids"].clone()).unwrap();
    let pick = [0, 1, 6];
    let longest = pick.iter().map(|&i| ids[i].len()).max().unwrap();
    let padded = |fill: fn(&[i64]) -> Vec<i64>| {
        let mut all = Vec::new();
        for i in pick {
            let mut row = fill(&ids[i]);
            row.resize(longest, 0);
            all.extend(row);
        }
        Tensor::from_vec(all, (pick.len(), longest), &Device::Cpu).unwrap()
    };
    let (x, mask) = (padded(|ids| ids.to_vec()), padded(|ids| vec![1; ids.len()]));
    let tokens = Prepared::Tokens(Tokens::new(&x).unwrap().with_mask(&mask).unwrap());
    let mean = rows(&bert.forward_tensor(&tokens, Head::Embedding).unwrap());
    let expected = rows(&common::golden("minilm.safetensors", "embeddings"));
    for (row, i) in mean.iter().zip(pick) {
        let norm = row.iter().map(|x| x * x).sum::<f32>().sqrt();
        assert!(norm > 1.5, "not normalised");
        let unit: Vec<f32> = row.iter().map(|x| x / norm).collect();
        assert!(largest_difference(&[unit], &[expected[i].clone()]) <= TOLERANCE);
    }
    assert_eq!(rows(&bert.forward_tensor(&tokens, Head::Features).unwrap()), mean);
    // The model's own embedding ends with a normalisation, and its features are without.
    let of_model =
        |head| rows(&store(NAME).embed_tensor(NAME, &tokens, head, &Device::Cpu, DType::F32).unwrap());
    assert_eq!(of_model(Head::Features), mean);
    let picked: Vec<Vec<f32>> = pick.iter().map(|&i| expected[i].clone()).collect();
    assert!(largest_difference(&of_model(Head::Embedding), &picked) <= TOLERANCE);

    let message = |ids: &Tensor, head| {
        let tokens = Prepared::Tokens(Tokens::new(ids).unwrap());
        bert.forward_tensor(&tokens, head).unwrap_err().to_string()
    };
    assert_eq!(message(&x, Head::Logits), "bert has no output `logits`; it has embedding, features");
    assert_eq!(
        Architecture::Bert.head("mixed_5c").unwrap_err().to_string(),
        "bert has no output `mixed_5c`; it has embedding, features"
    );
    let beyond = Tensor::new(&[[101i64, 30521, 30522, -1]], &Device::Cpu).unwrap();
    assert_eq!(
        message(&beyond, Head::Embedding),
        "token id 30522 in row 0, column 2, is not in the vocabulary of 30522"
    );
    let long = Tensor::zeros((1, 513), DType::I64, &Device::Cpu).unwrap();
    assert!(message(&long, Head::Embedding).ends_with("not [1, 513]"));
}

#[test]
fn half_precision_stays_near() {
    let text = ["A man is riding a bicycle down the street.", "x"];
    let full = rows(&encoder().embed(&text).unwrap());
    for (dtype, tolerance) in [(DType::F16, 2e-3), (DType::BF16, 2e-2)] {
        let encoder = store(NAME).text_encoder(NAME, &Device::Cpu, dtype).unwrap();
        let half = rows(&encoder.embed(&text).unwrap());
        let worst = largest_difference(&half, &full);
        assert!(worst <= tolerance, "{dtype:?}: {worst:e}");
        assert!(worst > 1e-6, "{dtype:?} was not used");
    }
}
