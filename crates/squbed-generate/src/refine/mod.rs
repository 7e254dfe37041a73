//! Latent prompts from a language model or a file.
//!
//! A refinement owes three things (paper, §4.1): it entails the prompt, it is more specific, and the n of a prompt differ.
//! Each answer is one independent draw; what fails is drawn again up to a bound, and the account says what and why.

mod answer;
mod file;
mod instruction;
mod judge;

pub use file::{FileError, PromptFile};
pub use instruction::{Example, Instruction, InstructionError};
pub use judge::{Judge, SIMILARITY};
use serde::Serialize;
use squbed_core::{BoxError, PromptRefiner, RefineRequest, Refinement, Rejection};
use squbed_models::llm::TokenSampling;
use squbed_tensor::TextEncoder;

use crate::chat::{ChatModel, ChatRequest};

/// How prompts are refined.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RefineOptions {
    /// How tokens are drawn.
    pub sampling: TokenSampling,
    /// Longest answer, in tokens.
    pub max_tokens: usize,
    /// Times that missing answers are drawn again.
    pub redraws: usize,
}

impl Default for RefineOptions {
    fn default() -> Self {
        Self { sampling: TokenSampling::default(), max_tokens: 64, redraws: 8 }
    }
}

/// What is written down beside the latent prompts.
#[derive(Clone, Debug, Serialize)]
pub struct RefinerRecord<'a> {
    /// The model.
    pub model: String,
    /// What it is told.
    pub instruction: &'a Instruction,
    /// How it draws.
    #[serde(flatten)]
    pub options: &'a RefineOptions,
    /// What judges entailment.
    pub judge: String,
}

/// Too few of a model's answers are refinements.
#[derive(Debug, thiserror::Error)]
#[error(
    "{model} gave {kept} of {wanted} latent prompts for “{prompt}” in {drawn} answers; most often: {reason}. \
     Ask for fewer, allow more redraws, raise the temperature, or use a larger model"
)]
pub struct TooFew {
    model: String,
    prompt: String,
    wanted: usize,
    kept: usize,
    drawn: usize,
    reason: String,
}

/// Refines with a language model.
pub struct ChatRefiner {
    model: Box<dyn ChatModel>,
    instruction: Instruction,
    options: RefineOptions,
    judge: Judge,
}

impl ChatRefiner {
    /// The model is first asked questions of known answer; if it knows them it judges entailment itself, else `encoder`
    /// measures similarity, which is no entailment and is not called so.
    ///
    /// # Errors
    ///
    /// The model's own.
    pub fn new(
        model: Box<dyn ChatModel>,
        instruction: Instruction,
        options: RefineOptions,
        encoder: Option<Box<dyn TextEncoder>>,
    ) -> Result<Self, BoxError> {
        options.sampling.check()?;
        let judge = Judge::choose(&*model, encoder)?;
        Ok(Self { model, instruction, options, judge })
    }

    /// What is written down.
    pub fn record(&self) -> RefinerRecord<'_> {
        RefinerRecord {
            model: self.model.describe(),
            instruction: &self.instruction,
            options: &self.options,
            judge: self.judge.to_string(),
        }
    }
}

impl PromptRefiner for ChatRefiner {
    fn describe(&self) -> String {
        format!("{}, instruction {}", self.model.describe(), self.instruction.version)
    }

    fn refine(&self, request: &RefineRequest<'_>) -> Result<Vec<String>, BoxError> {
        Ok(self.refine_with_account(request)?.prompts)
    }

    fn refine_with_account(&self, request: &RefineRequest<'_>) -> Result<Refinement, BoxError> {
        let RefineRequest { prompt, n, seed } = *request;
        let messages = self.instruction.messages(prompt);
        let mut kept: Vec<String> = Vec::new();
        // Answers that are refinements but say what another says, with their place among the rejected.
        let mut near: Vec<(String, usize)> = Vec::new();
        let mut account = Refinement { judge: Some(self.judge.to_string()), ..Refinement::default() };
        for round in 0..=self.options.redraws as u64 {
            let missing = n - kept.len();
            if missing == 0 {
                break;
            }
            let answers = self.model.answers(&ChatRequest {
                messages: &messages,
                n: missing,
                max_tokens: self.options.max_tokens,
                sampling: &self.options.sampling,
                // Far enough apart for a server that counts seeds up within a round.
                seed: seed.wrapping_add(round.wrapping_mul(0x1_0001)),
            })?;
            account.drawn += answers.len();
            let mut formed = Vec::new();
            for given in answers {
                match answer::sentence(&given, prompt) {
                    Ok(text) => formed.push(text),
                    Err(reason) => {
                        account.rejected.push(Rejection { text: given.text, reason: reason.to_owned() })
                    }
                }
            }
            for (text, verdict) in formed.iter().zip(self.judge.verdicts(&*self.model, prompt, &formed)?) {
                let text = text.clone();
                if let Err(reason) = verdict {
                    account.rejected.push(Rejection { text, reason });
                } else if kept.contains(&text) {
                    account.rejected.push(Rejection { text, reason: "is a duplicate".to_owned() });
                } else if let Some(other) = kept.iter().find(|other| answer::near(other, &text)) {
                    let reason = format!("says nearly the same as “{other}”");
                    if !near.iter().any(|(known, _)| *known == text) {
                        near.push((text.clone(), account.rejected.len()));
                    }
                    account.rejected.push(Rejection { text, reason });
                } else {
                    kept.push(text);
                }
            }
        }
        // A prompt that leaves little open has few refinements that differ much; near ones then stand for themselves.
        for (text, at) in near.into_iter().take(n - kept.len()) {
            account.rejected[at].reason.push_str("; taken in the end, since no other was found");
            kept.push(text);
        }
        if kept.len() < n {
            let (model, drawn) = (self.model.describe(), account.drawn);
            let reason = most_frequent(&account.rejected);
            let (wanted, prompt) = (n, prompt.to_owned());
            return Err(TooFew { model, prompt, wanted, kept: kept.len(), drawn, reason }.into());
        }
        account.prompts = kept;
        Ok(account)
    }
}

/// The reason, without what it quotes, that most rejections have.
fn most_frequent(rejected: &[Rejection]) -> String {
    let reasons: Vec<&str> =
        rejected.iter().map(|r| r.reason.split([':', '“']).next().unwrap_or("").trim()).collect();
    let count = |reason: &str| reasons.iter().filter(|other| **other == reason).count();
    reasons.iter().max_by_key(|reason| count(reason)).map_or("nothing came", |reason| reason).to_owned()
}
