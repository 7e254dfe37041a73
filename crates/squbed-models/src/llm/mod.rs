//! Language models of the Llama and Qwen families, from GGUF files: network, tokenizer and chat template are all the
//! file's own.
//!
//! A [`LanguageModel`] answers a conversation any number of times in one batch ([`answer`](LanguageModel::answer)) and
//! weighs given continuations ([`next_token`](LanguageModel::next_token)). What a set of prompts has in common is read
//! once.

mod chat;
mod decoder;
mod error;
mod gguf;
mod sampler;
mod tokenizer;

use std::{
    fmt,
    path::{Path, PathBuf},
};

use candle_core::{Device, Tensor};

use chat::ChatTemplate;
pub use chat::{Message, Role};
use decoder::{Cache, Decoder};
pub use error::LlmError;
use gguf::Gguf;
use sampler::Sampler;
pub use sampler::TokenSampling;
use tokenizer::ChatTokenizer;

/// What the weights of the linear maps are computed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WeightForm {
    /// Dequantised to f32: exact, and four bytes a weight.
    F32,
    /// As the file holds them; candle then quantises activations too, so logits move by some hundredths.
    Quantised,
}

impl fmt::Display for WeightForm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::F32 => "f32",
            Self::Quantised => "quantised",
        })
    }
}

/// What is asked of a model.
#[derive(Clone, Debug)]
pub struct AnswerOptions {
    /// Answers.
    pub n: usize,
    /// Longest answer, in tokens.
    pub max_tokens: usize,
    /// How tokens are drawn.
    pub sampling: TokenSampling,
    /// Answer i of a seed is the same whatever `n` is, up to the rounding of a batch's products.
    pub seed: u64,
}

/// One answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// Its text, without special tokens.
    pub text: String,
    /// Its tokens, the one that ended it included.
    pub tokens: Vec<u32>,
    /// Whether the model ended it; else it was cut at the longest length.
    pub ended: bool,
}

/// A model that chats.
pub struct LanguageModel {
    decoder: Decoder,
    tokenizer: ChatTokenizer,
    template: ChatTemplate,
    path: PathBuf,
    device: Device,
}

impl LanguageModel {
    /// Opens a GGUF file. Without a [`WeightForm`] small models are dequantised, since that is faster on a CPU.
    ///
    /// # Errors
    ///
    /// A file that is no GGUF, of another family, or without tokenizer or chat template.
    pub fn open(path: &Path, device: &Device, form: Option<WeightForm>) -> Result<Self, LlmError> {
        let gguf = Gguf::open(path)?;
        let tokenizer = ChatTokenizer::load(&gguf)?;
        let template = ChatTemplate::new(gguf.text("tokenizer.chat_template")?)
            .map_err(|source| LlmError::Template { file: path.to_owned(), source })?;
        let decoder = Decoder::load(&gguf, tokenizer.vocabulary, device, form)?;
        Ok(Self { decoder, tokenizer, template, path: path.to_owned(), device: device.clone() })
    }

    /// What the weights are computed with.
    pub fn weight_form(&self) -> WeightForm {
        self.decoder.form()
    }

    /// The prompt of a conversation, as the model's template writes it.
    ///
    /// # Errors
    ///
    /// A template that fails, such as one that knows no system messages.
    pub fn prompt(&self, messages: &[Message]) -> Result<String, LlmError> {
        self.template
            .render(messages, &self.tokenizer.bos, &self.tokenizer.eos)
            .map_err(|source| LlmError::Template { file: self.path.clone(), source })
    }

    /// Token ids of a text; the names of special tokens in it are those tokens.
    ///
    /// # Errors
    ///
    /// A tokenizer that fails.
    pub fn token_ids(&self, text: &str) -> Result<Vec<u32>, LlmError> {
        self.tokenizer.encode(text).map_err(|source| self.tokenizer_error(source))
    }

    /// Answers to a conversation, drawn independently, in one batch.
    ///
    /// # Errors
    ///
    /// A sampling out of range; a conversation that does not fit the model.
    pub fn answer(&self, messages: &[Message], options: &AnswerOptions) -> Result<Vec<Answer>, LlmError> {
        options.sampling.check()?;
        let prompt = self.token_ids(&self.prompt(messages)?)?;
        let drawn = self.draw(&prompt, options, &self.tokenizer.ends)?;
        let answer = |tokens: Vec<u32>| {
            let ended = tokens.last().is_some_and(|last| self.tokenizer.ends.contains(last));
            let text = self.tokenizer.decode(&tokens).map_err(|source| self.tokenizer_error(source))?;
            Ok(Answer { text, tokens, ended })
        };
        drawn.into_iter().map(answer).collect()
    }

    /// The likeliest `count` tokens after a prompt, one after the other, past the end of an answer.
    ///
    /// # Errors
    ///
    /// As [`answer`](Self::answer).
    pub fn greedy_tokens(&self, prompt: &[u32], count: usize) -> Result<Vec<u32>, LlmError> {
        let sampling = TokenSampling::greedy();
        let options = AnswerOptions { n: 1, max_tokens: count, sampling, seed: 0 };
        Ok(self.draw(prompt, &options, &[])?.concat())
    }

    /// Logits `[prompts][vocabulary]` of the token after each conversation.
    ///
    /// # Errors
    ///
    /// A conversation that does not fit the model.
    pub fn next_token(&self, conversations: &[Vec<Message>]) -> Result<Vec<Vec<f32>>, LlmError> {
        let prompts: Vec<Vec<u32>> = conversations
            .iter()
            .map(|messages| self.token_ids(&self.prompt(messages)?))
            .collect::<Result<_, LlmError>>()?;
        if prompts.is_empty() {
            return Ok(Vec::new());
        }
        let (states, _) = self.start(&prompts, 0)?;
        Ok(self.decoder.logits(&states)?.to_vec2()?)
    }

    fn draw(&self, prompt: &[u32], options: &AnswerOptions, ends: &[u32]) -> Result<Vec<Vec<u32>>, LlmError> {
        let AnswerOptions { n, max_tokens, ref sampling, seed } = *options;
        let mut answers = vec![Vec::new(); n];
        if n == 0 || max_tokens == 0 {
            return Ok(answers);
        }
        let mut samplers: Vec<Sampler<'_>> =
            (0..n as u64).map(|number| Sampler::new(sampling, seed, number)).collect();
        let (mut states, mut cache) = self.start(&vec![prompt.to_vec(); n], max_tokens)?;
        let mut last = vec![0; n];
        for _ in 0..max_tokens {
            let rows: Vec<Vec<f32>> = self.decoder.logits(&states)?.to_vec2()?;
            let mut open = false;
            for (i, mut logits) in rows.into_iter().enumerate() {
                // A row that has ended is read on with the others, and its answer stays as it is.
                if answers[i].last().is_some_and(|token| ends.contains(token)) {
                    continue;
                }
                last[i] = samplers[i].draw(&mut logits)?;
                answers[i].push(last[i]);
                open |= !ends.contains(&last[i]);
            }
            if !open || answers.iter().any(|answer| answer.len() == max_tokens) {
                break;
            }
            states = self.decoder.read(&Tensor::new(&last[..], &self.device)?.unsqueeze(1)?, &mut cache)?;
            states = states.squeeze(1)?;
        }
        Ok(answers)
    }

    /// Reads prompts, what they have in common once, and gives the state `[n, width]` at the end of each. The cache is
    /// of use for prompts of one length; it has room for `further` tokens.
    fn start(&self, prompts: &[Vec<u32>], further: usize) -> Result<(Tensor, Cache), LlmError> {
        let lengths = prompts.iter().map(Vec::len);
        let (shortest, longest) = (lengths.clone().min().unwrap_or(0), lengths.max().unwrap_or(0));
        if shortest == 0 {
            return Err(LlmError::Empty);
        }
        if longest + further > self.decoder.context() {
            let context = self.decoder.context();
            return Err(LlmError::TooLong { prompt: longest, answer: further, context });
        }
        let first = &prompts[0];
        let shared = (0..shortest - 1).take_while(|&i| prompts.iter().all(|p| p[i] == first[i])).count();
        let mut prefix = self.decoder.cache(1, shared)?;
        if shared > 0 {
            self.decoder.read(&Tensor::new(&first[..shared], &self.device)?.unsqueeze(0)?, &mut prefix)?;
        }
        let mut cache = prefix.spread(prompts.len(), longest + further)?;
        // Rows are filled up behind their end, where no token that counts looks.
        let rest = prompts.iter().flat_map(|prompt| {
            (shared..longest).map(|i| prompt.get(i).or(prompt.last()).copied().unwrap_or(0))
        });
        let rest = Tensor::from_iter(rest, &self.device)?.reshape((prompts.len(), longest - shared))?;
        let states = self.decoder.read(&rest, &mut cache)?;
        let last = |(row, prompt): (usize, &Vec<u32>)| states.get(row)?.get(prompt.len() - 1 - shared);
        let last = prompts.iter().enumerate().map(last).collect::<candle_core::Result<Vec<_>>>()?;
        Ok((Tensor::stack(&last, 0)?, cache))
    }

    fn tokenizer_error(&self, source: tokenizers::Error) -> LlmError {
        LlmError::Tokenizer { file: self.path.clone(), source }
    }
}
