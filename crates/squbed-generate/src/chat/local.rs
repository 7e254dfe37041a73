//! A language model on this machine.

use squbed_core::BoxError;
use squbed_models::llm::{AnswerOptions, LanguageModel, Message};

use super::{ChatAnswer, ChatModel, ChatRequest};

/// A GGUF model, run by Candle.
pub struct LocalChat {
    name: String,
    model: LanguageModel,
}

impl LocalChat {
    /// A model with the name that records give it.
    pub fn new(name: &str, model: LanguageModel) -> Self {
        Self { name: name.to_owned(), model }
    }
}

impl ChatModel for LocalChat {
    fn describe(&self) -> String {
        format!("{} ({} weights)", self.name, self.model.weight_form())
    }

    fn answers(&self, request: &ChatRequest<'_>) -> Result<Vec<ChatAnswer>, BoxError> {
        let options = AnswerOptions {
            n: request.n,
            max_tokens: request.max_tokens,
            sampling: request.sampling.clone(),
            seed: request.seed,
        };
        let answers = self.model.answer(request.messages, &options)?;
        Ok(answers.into_iter().map(|answer| ChatAnswer { cut: !answer.ended, text: answer.text }).collect())
    }

    fn says_yes(&self, questions: &[Vec<Message>]) -> Result<Vec<Option<bool>>, BoxError> {
        let first = |word: &str| Ok::<_, BoxError>(self.model.token_ids(word)?.first().copied());
        let (yes, no) = ([first("Yes")?, first("yes")?], [first("No")?, first("no")?]);
        let weigh = |logits: &[f32], words: &[Option<u32>]| {
            words.iter().flatten().map(|&id| logits[id as usize]).fold(f32::NEG_INFINITY, f32::max)
        };
        let logits = self.model.next_token(questions)?;
        Ok(logits.iter().map(|logits| Some(weigh(logits, &yes) > weigh(logits, &no))).collect())
    }
}
