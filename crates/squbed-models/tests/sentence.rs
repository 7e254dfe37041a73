//! What a sentence-transformers repository says around its network: a small MPNet with weights by formula and a
//! tokenizer of whole words.

mod common;
#[path = "common/formula.rs"]
mod formula;

use candle_core::{DType, Device, Tensor};
use common::{Place, golden_json, largest_difference, rows, write};
use serde_json::{Value, json};
use squbed_models::{Error, Head, ModelStore, Prepared, SentenceEncoder, Tokens, load_arch};
use squbed_tensor::TextEncoder;

const CPU: &Device = &Device::Cpu;
const WORDS: [&str; 5] = ["Cat", "cat", "dog", "query:", "the"];

struct Tiny {
    place: Place,
    files: Vec<String>,
    width: usize,
    prompt: &'static str,
}

impl Tiny {
    /// Mean pooling and nothing else.
    fn new() -> Self {
        let case = golden_json("mpnet_tiny.json");
        let mut tiny = Self { place: Place::new(), files: Vec::new(), width: 64, prompt: "" };
        let weights = tiny.place.model().join("model.safetensors");
        formula::write(&formula::tensors(&golden_json("shapes/mpnet_tiny.json"), 3001), &weights);
        tiny.files.push("model.safetensors".to_owned());
        tiny.file("config.json", &case["config"]);
        tiny.file("tokenizer.json", &tokenizer(1000));
        tiny.file("sentence_bert_config.json", &json!({ "max_seq_length": 16, "do_lower_case": false }));
        tiny.modules(&["Transformer", "Pooling"]);
        tiny.file("1_Pooling/config.json", &json!({ "pooling_mode_mean_tokens": true }));
        tiny
    }

    fn file(&mut self, name: &str, content: &Value) {
        write(&self.place.model().join(name), content.to_string().as_bytes());
        if !self.files.iter().any(|file| file == name) {
            self.files.push(name.to_owned());
        }
    }

    fn modules(&mut self, kinds: &[&str]) {
        let module = |(i, kind): (usize, &&str)| {
            let path = if i == 0 { String::new() } else { format!("{i}_{kind}") };
            json!({ "idx": i, "path": path, "type": format!("sentence_transformers.models.{kind}") })
        };
        self.file("modules.json", &kinds.iter().enumerate().map(module).collect());
    }

    fn store(&self) -> ModelStore {
        let entry = |path: &String| format!("[[files]]\npath = \"{path}\"\nsha256 = \"unverified\"\n");
        let files: String = self.files.iter().map(entry).collect();
        let text = format!(
            r#"
            manifest = 1
            name = "tiny"
            architecture = "mpnet"
            licence = "MIT"
            citation = {{ text = "nobody" }}
            embedding = {{ width = {}, what = "nothing" }}
            [input]
            kind = "text"
            preprocessing = "tiny/1"
            max_tokens = 16
            {}
            {files}
            "#,
            self.width, self.prompt
        );
        write(&self.place.path("manifests/tiny/model.toml"), text.as_bytes());
        ModelStore::with_manifests(self.place.path("home"), &[self.place.path("manifests")]).unwrap()
    }

    fn encoder(&self) -> Result<SentenceEncoder, Error> {
        self.store().sentence_encoder("tiny", CPU, DType::F32)
    }

    fn embed(&self, texts: &[&str]) -> Vec<Vec<f32>> {
        rows(&self.encoder().unwrap().embed(texts).unwrap())
    }

    fn message(&self) -> String {
        self.encoder().err().expect("an error").to_string()
    }
}

/// Words from id 5 on, the rest of the vocabulary filled with names of its own.
fn tokenizer(size: usize) -> Value {
    let mut vocab = json!({ "<s>": 0, "<pad>": 1, "</s>": 2, "<unk>": 3, "<mask>": 4 });
    for id in 5..size {
        let name = WORDS.get(id - 5).map_or_else(|| format!("w{id}"), |word| (*word).to_owned());
        vocab[name] = id.into();
    }
    let special = |token: &str| json!({ "SpecialToken": { "id": token, "type_id": 0 } });
    json!({
        "version": "1.0",
        "added_tokens": [],
        // As published files have it: to be ignored.
        "truncation": { "direction": "Right", "max_length": 4, "strategy": "LongestFirst", "stride": 0 },
        "padding": { "strategy": { "Fixed": 12 }, "direction": "Right", "pad_to_multiple_of": null,
                     "pad_id": 1, "pad_type_id": 0, "pad_token": "<pad>" },
        "pre_tokenizer": { "type": "WhitespaceSplit" },
        "post_processor": { "type": "TemplateProcessing",
            "single": [special("<s>"), { "Sequence": { "id": "A", "type_id": 0 } }, special("</s>")],
            "pair": [special("<s>"), { "Sequence": { "id": "A", "type_id": 0 } }, special("</s>"),
                     { "Sequence": { "id": "B", "type_id": 0 } }, special("</s>")],
            "special_tokens": {
                "<s>": { "id": "<s>", "ids": [0], "tokens": ["<s>"] },
                "</s>": { "id": "</s>", "ids": [2], "tokens": ["</s>"] } } },
        "model": { "type": "WordLevel", "vocab": vocab, "unk_token": "<unk>" }
    })
}

fn unit(row: &[f32]) -> Vec<f32> {
    let norm = row.iter().map(|x| x * x).sum::<f32>().sqrt();
    row.iter().map(|x| x / norm).collect()
}

#[test]
fn without_more_it_is_the_networks_mean() {
    let tiny = Tiny::new();
    let encoder = tiny.encoder().unwrap();
    assert_eq!(encoder.token_ids("the cat bird").unwrap(), [0, 9, 6, 3, 2]);
    let (weights, config) =
        (tiny.place.model().join("model.safetensors"), tiny.place.model().join("config.json"));
    let network = load_arch("mpnet".parse().unwrap(), &weights, Some(&config), CPU, DType::F32).unwrap();
    let ids = Tensor::new(&[[0i64, 9, 6, 3, 2]], CPU).unwrap();
    let expected = rows(
        &network.forward_tensor(&Prepared::Tokens(Tokens::new(&ids).unwrap()), Head::Embedding).unwrap(),
    );
    // Beside a longer sentence it is padded.
    let together = tiny.embed(&["the dog the dog the", "the cat bird"]);
    assert!(largest_difference(&together[1..], &expected) <= 2e-6);
    assert!(largest_difference(&tiny.embed(&["the cat bird"]), &expected) <= 2e-6);
}

#[test]
fn dense_and_normalisation_follow_in_their_order() {
    let mean = Tiny::new().embed(&["the cat"])[0].clone();
    let (weight, bias) = (formula::values("d", 3 * 64, 1, 0.3, 0.0), formula::values("b", 3, 1, 0.3, 0.0));
    let linear: Vec<f32> = weight
        .chunks(64)
        .zip(&bias)
        .map(|(row, bias)| row.iter().zip(&mean).map(|(w, x)| w * x).sum::<f32>() + bias)
        .collect();
    for (name, activation) in
        [("Identity", (|x| x) as fn(f32) -> f32), ("Tanh", f32::tanh), ("ReLU", |x| x.max(0.0))]
    {
        let mut tiny = Tiny::new();
        tiny.width = 3;
        tiny.modules(&["Transformer", "Pooling", "Dense", "Normalize"]);
        let name = format!("torch.nn.modules.activation.{name}");
        let config =
            json!({ "in_features": 64, "out_features": 3, "bias": true, "activation_function": name });
        tiny.file("2_Dense/config.json", &config);
        let tensors = std::collections::HashMap::from([
            ("linear.weight".to_owned(), Tensor::from_vec(weight.clone(), (3, 64), CPU).unwrap()),
            ("linear.bias".to_owned(), Tensor::from_vec(bias.clone(), 3, CPU).unwrap()),
        ]);
        candle_core::safetensors::save(&tensors, tiny.place.model().join("2_Dense/model.safetensors"))
            .unwrap();
        tiny.files.push("2_Dense/model.safetensors".to_owned());
        let expected = unit(&linear.iter().map(|&x| activation(x)).collect::<Vec<_>>());
        assert!(largest_difference(&tiny.embed(&["the cat"]), &[expected]) <= 1e-5, "{name}");
        assert_eq!(tiny.encoder().unwrap().identity().dim, 3);

        tiny.width = 64;
        assert!(tiny.message().ends_with("`hidden_size` is 3; the manifest's `embedding.width` is another"));
        tiny.file(
            "2_Dense/config.json",
            &json!({ "in_features": 9, "out_features": 3, "activation_function": "torch.nn.Tanh" }),
        );
        assert!(tiny.message().contains("`in_features` is 9"), "{}", tiny.message());
    }
}

#[test]
fn poolings_stand_side_by_side() {
    let mut tiny = Tiny::new();
    let mean = tiny.embed(&["the cat"]);
    tiny.width = 128;
    tiny.file("1_Pooling/config.json", &json!({ "pooling_mode": ["cls", "mean"] }));
    let both = tiny.embed(&["the cat"]);
    assert!(largest_difference(&[both[0][64..].to_vec()], &mean) <= 1e-6);
    tiny.width = 64;
    tiny.file("1_Pooling/config.json", &json!({ "pooling_mode_cls_token": true }));
    assert!(largest_difference(&tiny.embed(&["the cat"]), &[both[0][..64].to_vec()]) <= 1e-6);
}

#[test]
fn prompts_come_from_the_repository_or_the_manifest() {
    let expected = Tiny::new().embed(&["query: cat"]);
    let mut tiny = Tiny::new();
    let prompts =
        |name| json!({ "prompts": { "query": "query: ", "other": "the " }, "default_prompt_name": name });
    tiny.file("config_sentence_transformers.json", &prompts(Value::Null));
    assert_eq!(tiny.encoder().unwrap().token_ids("cat").unwrap(), [0, 6, 2]);
    tiny.file("config_sentence_transformers.json", &prompts("query".into()));
    assert_eq!(tiny.encoder().unwrap().token_ids("cat").unwrap(), [0, 8, 6, 2]);
    assert!(largest_difference(&tiny.embed(&["cat"]), &expected) <= 1e-6);
    tiny.file("config_sentence_transformers.json", &prompts("none".into()));
    assert!(tiny.message().contains("`default_prompt_name` is none"), "{}", tiny.message());

    let mut tiny = Tiny::new();
    tiny.prompt = "prompt = \"query: \"";
    assert!(largest_difference(&tiny.embed(&["cat"]), &expected) <= 1e-6);
}

#[test]
fn lower_case_is_the_repositorys_choice() {
    let mut tiny = Tiny::new();
    assert_eq!(tiny.encoder().unwrap().token_ids("Cat").unwrap(), [0, 5, 2]);
    tiny.file("sentence_bert_config.json", &json!({ "max_seq_length": 16, "do_lower_case": true }));
    assert_eq!(tiny.encoder().unwrap().token_ids("Cat").unwrap(), [0, 6, 2]);
}

#[test]
fn a_text_of_ten_thousand_tokens_is_cut() {
    let tiny = Tiny::new();
    let encoder = tiny.encoder().unwrap();
    let long = "dog ".repeat(10_000);
    let ids = encoder.token_ids(&long).unwrap();
    assert_eq!((ids.len(), ids[0], ids[15]), (16, 0, 2));
    assert_eq!(tiny.embed(&[&long]), tiny.embed(&[&"dog ".repeat(14)]));
    // And how much is cut is told: 14 tokens stand between the two special ones.
    let (full, more) = ("dog ".repeat(14), "dog ".repeat(17));
    let cut = encoder.characters_cut(&[&long, "dog", &full, more.trim()]).unwrap();
    assert_eq!(cut, [4 * 10_000 - 4 * 14 + 1, 0, 0, " dog dog dog".len()]);
}

#[test]
fn what_does_not_fit_together_is_refused() {
    let mut tiny = Tiny::new();
    tiny.file("tokenizer.json", &tokenizer(1001));
    assert!(
        tiny.message()
            .ends_with("tokenizer.json has 1001 tokens, the network 1000; they are of different models")
    );
    tiny.file("tokenizer.json", &tokenizer(800));
    assert!(tiny.message().contains("has 800 tokens, the network 1000"), "{}", tiny.message());

    let mut tiny = Tiny::new();
    tiny.file("sentence_bert_config.json", &json!({ "max_seq_length": 77 }));
    assert!(tiny.message().ends_with("`max_seq_length` is 77; the manifest's `max_tokens` is another"));

    let mut tiny = Tiny::new();
    tiny.files.retain(|file| file != "tokenizer.json");
    assert_eq!(tiny.message(), "the manifest of `tiny` names no `tokenizer.json`, which mpnet needs");

    let tiny = Tiny::new();
    std::fs::remove_file(tiny.place.model().join("tokenizer.json")).unwrap();
    assert!(tiny.message().ends_with("tokenizer.json is missing; run `squbed models fetch tiny`"));

    let mut tiny = Tiny::new();
    let mut config = golden_json("mpnet_tiny.json")["config"].clone();
    config["model_type"] = "bert".into();
    tiny.file("config.json", &config);
    assert!(tiny.message().ends_with("the checkpoint is of another architecture"));
}
