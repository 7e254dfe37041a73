//! A language model behind an OpenAI-compatible server.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use rayon::prelude::*;
use serde::Deserialize;
use serde_json::{Value, json};
use squbed_core::BoxError;
use squbed_models::llm::{Message, TokenSampling};

use super::{ChatAnswer, ChatModel, ChatRequest};
use crate::http::{HttpError, Service};

/// What is asked of a server.
#[derive(Clone, Debug)]
pub struct ServerOptions {
    /// The model's name there.
    pub model: String,
    /// Requests at once.
    pub concurrency: usize,
    /// Tokens that a run may take in all, prompts included; then it ends.
    pub token_cap: Option<u64>,
}

/// Chat completions of a server (`POST /chat/completions` below its base address).
pub struct ServerChat {
    service: Service,
    options: ServerOptions,
    pool: rayon::ThreadPool,
    /// Whether the server refused a schema for its answers; it is then asked without one.
    plain: AtomicBool,
    tokens: AtomicU64,
}

/// What went wrong with a server's answer.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The request itself failed.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// An answer that is no chat completion.
    #[error("{url} gave no chat completion: {what}")]
    Completion {
        /// Where it came from.
        url: String,
        /// What is wrong with it.
        what: String,
    },
    /// The cap is reached.
    #[error("the run has taken {used} tokens, and its cap is {cap}; raise it to go on")]
    TokenCap {
        /// Tokens taken.
        used: u64,
        /// The cap.
        cap: u64,
    },
    /// No threads for the requests.
    #[error("cannot start {threads} threads for requests")]
    Threads {
        /// Threads wanted.
        threads: usize,
        /// What the system says.
        source: rayon::ThreadPoolBuildError,
    },
}

#[derive(Deserialize)]
struct Completion {
    choices: Vec<Choice>,
    #[serde(default)]
    usage: Option<Usage>,
}

#[derive(Deserialize)]
struct Choice {
    message: Content,
    #[serde(default)]
    finish_reason: Option<String>,
}

#[derive(Deserialize)]
struct Content {
    #[serde(default)]
    content: Option<String>,
}

#[derive(Deserialize)]
struct Usage {
    #[serde(default)]
    total_tokens: u64,
}

impl ServerChat {
    /// A model of a server.
    ///
    /// # Errors
    ///
    /// No threads for so many requests at once.
    pub fn new(service: Service, options: ServerOptions) -> Result<Self, ServerError> {
        let threads = options.concurrency.max(1);
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        let pool = pool.map_err(|source| ServerError::Threads { threads, source })?;
        Ok(Self { service, options, pool, plain: AtomicBool::new(false), tokens: AtomicU64::new(0) })
    }

    /// Tokens taken so far: what the server reports, or a quarter of the bytes where it reports nothing.
    pub fn tokens(&self) -> u64 {
        self.tokens.load(Ordering::Relaxed)
    }

    fn one(
        &self,
        messages: &[Message],
        max_tokens: usize,
        sampling: &TokenSampling,
        seed: u64,
        schema: bool,
    ) -> Result<ChatAnswer, ServerError> {
        if let Some(cap) = self.options.token_cap {
            let used = self.tokens();
            if used >= cap {
                return Err(ServerError::TokenCap { used, cap });
            }
        }
        let mut body = json!({
            "model": self.options.model,
            "messages": messages,
            "max_tokens": max_tokens,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            // The largest that every server takes.
            "seed": seed & 0x7fff_ffff,
        });
        let asked = schema && !self.plain.load(Ordering::Relaxed);
        if asked {
            body["response_format"] = json!({
                "type": "json_schema",
                "json_schema": { "name": "refinement", "strict": true, "schema": {
                    "type": "object", "properties": { "description": { "type": "string" } },
                    "required": ["description"], "additionalProperties": false,
                }},
            });
        }
        let bytes = match self.service.post("chat/completions", &body) {
            Err(HttpError::Status { status: 400 | 404 | 422 | 501, .. }) if asked => {
                self.plain.store(true, Ordering::Relaxed);
                return self.one(messages, max_tokens, sampling, seed, false);
            }
            other => other?,
        };
        let wrong = |what: String| ServerError::Completion { url: self.service.base(), what };
        let completion: Completion = serde_json::from_slice(&bytes)
            .map_err(|error| wrong(self.service.without_key(&error.to_string())))?;
        let sent: usize = messages.iter().map(|m| m.content.len()).sum();
        let reported = completion.usage.map(|usage| usage.total_tokens).filter(|&n| n > 0);
        self.tokens.fetch_add(reported.unwrap_or(((sent + bytes.len()) / 4) as u64), Ordering::Relaxed);
        let choice =
            completion.choices.into_iter().next().ok_or_else(|| wrong("it has no choices".to_owned()))?;
        let text = choice.message.content.ok_or_else(|| wrong("its message has no content".to_owned()))?;
        if self.service.has_key(&text) {
            return Err(wrong("the answer repeats the key".to_owned()));
        }
        // A server may pass over the schema without a word; then the answer is plain text.
        let structured: Option<Value> = asked.then(|| serde_json::from_str(&text).ok()).flatten();
        let described = structured.as_ref().and_then(|value| value.get("description")?.as_str());
        Ok(ChatAnswer {
            text: described.map_or_else(|| text.clone(), str::to_owned),
            cut: choice.finish_reason.as_deref() == Some("length"),
        })
    }
}

impl ChatModel for ServerChat {
    fn describe(&self) -> String {
        format!("{} at {}", self.options.model, self.service.base())
    }

    fn answers(&self, request: &ChatRequest<'_>) -> Result<Vec<ChatAnswer>, BoxError> {
        let ChatRequest { messages, n, max_tokens, sampling, seed } = *request;
        let one = |i: u64| self.one(messages, max_tokens, sampling, seed.wrapping_add(i), true);
        let answers: Result<_, ServerError> =
            self.pool.install(|| (0..n as u64).into_par_iter().map(one).collect());
        Ok(answers?)
    }

    fn says_yes(&self, questions: &[Vec<Message>]) -> Result<Vec<Option<bool>>, BoxError> {
        let one = |messages: &Vec<Message>| {
            let answer = self.one(messages, 8, &TokenSampling::greedy(), 0, false)?.text;
            let word: String = answer.trim().chars().take_while(|c| c.is_alphabetic()).collect();
            Ok(match word.to_lowercase().as_str() {
                "yes" => Some(true),
                "no" => Some(false),
                _ => None,
            })
        };
        let answers: Result<_, ServerError> = self.pool.install(|| questions.par_iter().map(one).collect());
        Ok(answers?)
    }
}
