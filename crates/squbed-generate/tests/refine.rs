//! What a refiner owes, with models that a test writes.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
};

use candle_core::{Device, Tensor};
use squbed_core::{BoxError, EncoderIdentity, PromptRefiner, RefineRequest, Refinement};
use squbed_generate::{
    chat::{ChatAnswer, ChatModel, ChatRequest},
    refine::{ChatRefiner, Instruction, RefineOptions},
};
use squbed_models::llm::{Message, TokenSampling};
use squbed_tensor::{EncodeError, TextEncoder};

/// Gives these answers one after the other, then the last again and again.
struct Script {
    answers: Mutex<VecDeque<&'static str>>,
    /// Whether it can tell entailment: a description with the prompt's last word, as a human would for the controls.
    able: bool,
    seeds: Arc<Mutex<Vec<(usize, u64)>>>,
}

impl ChatModel for Script {
    fn describe(&self) -> String {
        "script".to_owned()
    }

    fn answers(&self, request: &ChatRequest<'_>) -> Result<Vec<ChatAnswer>, BoxError> {
        self.seeds.lock().unwrap().push((request.n, request.seed));
        let mut answers = self.answers.lock().unwrap();
        let mut next = || {
            let first = answers[0];
            if answers.len() > 1 {
                answers.pop_front();
            }
            ChatAnswer { text: first.to_owned(), cut: false }
        };
        Ok((0..request.n).map(|_| next()).collect())
    }

    fn says_yes(&self, questions: &[Vec<Message>]) -> Result<Vec<Option<bool>>, BoxError> {
        let known = ["sleeps on a red", "chop onions", "crosses a long", "waters tomatoes", "cat"];
        let yes = |messages: &Vec<Message>| {
            let text = messages.last().unwrap().content.split('\n').next().unwrap().to_owned();
            let control = text.contains("chases a moth across");
            self.able.then(|| !control && known.iter().any(|word| text.contains(word)))
        };
        Ok(questions.iter().map(yes).collect())
    }
}

/// Sentences with a cat point one way, all others another.
struct Cats(EncoderIdentity);

impl TextEncoder for Cats {
    fn identity(&self) -> &EncoderIdentity {
        &self.0
    }

    fn embed(&self, texts: &[&str]) -> Result<Tensor, EncodeError> {
        let row = |text: &&str| if text.contains("cat") { [1f32, 0.0] } else { [0.0, 1.0] };
        let rows: Vec<f32> = texts.iter().flat_map(row).collect();
        Ok(Tensor::from_vec(rows, (texts.len(), 2), &Device::Cpu).unwrap())
    }
}

fn cats() -> Box<dyn TextEncoder> {
    let identity = EncoderIdentity {
        name: "cats".to_owned(),
        weights_sha256: String::new(),
        preprocessing: "cats/1".to_owned(),
        sampling: String::new(),
        head: String::new(),
        dtype: "f32".to_owned(),
        dim: 2,
    };
    Box::new(Cats(identity))
}

struct Asked {
    result: Result<Refinement, String>,
    seeds: Vec<(usize, u64)>,
}

fn ask(answers: &[&'static str], able: bool, encoder: bool, n: usize, redraws: usize) -> Asked {
    let seeds = Arc::new(Mutex::new(Vec::new()));
    let model =
        Script { answers: Mutex::new(answers.iter().copied().collect()), able, seeds: Arc::clone(&seeds) };
    let options = RefineOptions { redraws, ..RefineOptions::default() };
    let refiner = ChatRefiner::new(Box::new(model), Instruction::own(), options, encoder.then(cats)).unwrap();
    let result = refiner.refine_with_account(&RefineRequest { prompt: "a cat doing something", n, seed: 5 });
    let seeds = seeds.lock().unwrap().clone();
    Asked { result: result.map_err(|error| error.to_string()), seeds }
}

const A: &str = "A grey cat chases a moth over the lawn.";
const B: &str = "Under a lamp a black cat washes its paws slowly.";
const DOG: &str = "A brown dog runs along the wide sandy beach.";

#[test]
fn duplicates_and_other_subjects_are_drawn_again_and_told() {
    let asked = ask(&[A, A, DOG, B], true, true, 2, 4);
    let account = asked.result.unwrap();
    assert_eq!(account.prompts, [A, B]);
    assert_eq!(account.drawn, 4);
    let reasons: Vec<(&str, &str)> =
        account.rejected.iter().map(|r| (r.text.as_str(), r.reason.as_str())).collect();
    assert_eq!(reasons, [(A, "is a duplicate"), (DOG, "does not entail the prompt, as the model judges")]);
    assert_eq!(account.judge.unwrap(), "entailment by the model itself (8 of 8 controls right)");
    // Two, then one, then one, each with a seed of its own.
    assert_eq!(asked.seeds.iter().map(|s| s.0).collect::<Vec<_>>(), [2, 1, 1]);
    assert_eq!(asked.seeds[0].1, 5);
    assert!(asked.seeds[1].1 > 5 + 2 && asked.seeds[2].1 > asked.seeds[1].1);
}

#[test]
fn a_model_that_cannot_judge_leaves_it_to_similarity_by_that_name() {
    let account = ask(&[A, DOG, B], false, true, 2, 4).result.unwrap();
    assert_eq!(account.prompts, [A, B]);
    assert_eq!(account.rejected[0].reason, "is too unlike the prompt: similarity 0.00");
    let judge = account.judge.unwrap();
    assert!(judge.starts_with("similarity, cosine of cats") && judge.contains("0 of 8 controls"), "{judge}");
    assert!(!judge.contains("entail"), "{judge}");
    let nothing = ask(&[A, DOG], false, false, 2, 4).result.unwrap();
    assert_eq!(nothing.prompts, [A, DOG]);
    assert!(nothing.judge.unwrap().starts_with("nothing"));
}

#[test]
fn near_duplicates_fill_up_at_the_bound_and_duplicates_never_do() {
    let near = "A grey cat chases a moth over the lawn quickly.";
    let account = ask(&[A, near, A], true, true, 2, 2).result.unwrap();
    assert_eq!(account.prompts, [A, near]);
    assert!(account.rejected[0].reason.contains("taken in the end"), "{account:?}");
    assert_eq!(account.drawn, 4);
    let error = ask(&[A], true, true, 2, 3).result.unwrap_err();
    assert!(error.contains("gave 1 of 2 latent prompts") && error.contains("in 5 answers"), "{error}");
    assert!(error.contains("most often: is a duplicate"), "{error}");
}

#[test]
fn a_sampling_that_is_none_is_refused_at_once() {
    let model = Script { answers: Mutex::default(), able: true, seeds: Arc::default() };
    let sampling = TokenSampling { top_p: 0.0, ..TokenSampling::default() };
    let options = RefineOptions { sampling, ..RefineOptions::default() };
    let error = ChatRefiner::new(Box::new(model), Instruction::own(), options, None).err().unwrap();
    assert!(error.to_string().contains("top_p is 0"), "{error}");
}
