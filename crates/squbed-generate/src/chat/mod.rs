//! Language models that refine prompts and judge refinements.

mod local;
mod server;

pub use local::LocalChat;
pub use server::{ServerChat, ServerError, ServerOptions};
use squbed_core::BoxError;
use squbed_models::llm::{Message, TokenSampling};

/// What a model is asked.
#[derive(Clone, Debug)]
pub struct ChatRequest<'a> {
    /// The conversation.
    pub messages: &'a [Message],
    /// Answers, drawn independently.
    pub n: usize,
    /// Longest answer, in tokens.
    pub max_tokens: usize,
    /// How tokens are drawn.
    pub sampling: &'a TokenSampling,
    /// Same request, same seed: same answers, as far as the model keeps to it.
    pub seed: u64,
}

/// One answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChatAnswer {
    /// Its text.
    pub text: String,
    /// Whether it was cut at the longest length.
    pub cut: bool,
}

/// A language model.
pub trait ChatModel: Send + Sync {
    /// What it is, for the record; no key is in it.
    fn describe(&self) -> String;

    /// `request.n` answers.
    fn answers(&self, request: &ChatRequest<'_>) -> Result<Vec<ChatAnswer>, BoxError>;

    /// Whether it says yes to each question; nothing where it says neither yes nor no.
    fn says_yes(&self, questions: &[Vec<Message>]) -> Result<Vec<Option<bool>>, BoxError>;
}
