//! Encoders of sentences: tokenizer, network, pooling.
//!
//! Reimers and Gurevych, *Sentence-BERT* (EMNLP 2019, arXiv 1908.10084). Which pooling, whether a linear map and a
//! normalisation follow, what a sentence begins with, and where it is cut is read from the module files of the
//! sentence-transformers library that the model comes with.

mod batches;
mod modules;
mod tokenizer;
mod words;

pub use words::{WordEncoder, WordListError};

use candle_core::{DType, Device, Tensor};
use squbed_core::EncoderIdentity;
use squbed_tensor::{EncodeError, TextEncoder};

use crate::{
    arch::bert::{Bert, BertConfig, Family},
    bare::Head,
    error::{Error, encode_error},
    manifest::{Input, Modality},
    prepared::Tokens,
    store::Opened,
    weights::Weights,
};
pub(crate) use batches::each as each_batch;
use modules::Modules;
pub(crate) use tokenizer::{ModelTokenizer, padded};

/// A sentence encoder after Sentence-BERT.
pub struct SentenceEncoder {
    identity: EncoderIdentity,
    tokenizer: ModelTokenizer,
    bert: Bert,
    modules: Modules,
    /// What every sentence begins with; may be empty.
    prompt: String,
}

impl SentenceEncoder {
    pub(crate) fn load(
        model: &Opened<'_>,
        family: Family,
        device: &Device,
        dtype: DType,
    ) -> Result<Self, Error> {
        let Input::Text { preprocessing, max_tokens, prompt } = &model.manifest.input else {
            return Err(Error::modality(model.manifest, Modality::Text));
        };
        let config = model.read("config.json")?;
        let bert_config = BertConfig::parse(family, &config.path, &config.bytes)?;
        let modules = Modules::read(model, bert_config.hidden_size, device)?;
        let refuse = |field, value: usize, expected| {
            let value = value.to_string();
            Err(Error::Config { file: config.path.clone(), field, value, expected })
        };
        if let Some(tokens) = modules.max_tokens.filter(|tokens| tokens != max_tokens) {
            return refuse("max_seq_length", tokens, "the manifest's `max_tokens` is another");
        }
        if bert_config.longest(family) < *max_tokens {
            let given = bert_config.max_position_embeddings;
            return refuse("max_position_embeddings", given, "the manifest's `max_tokens` is more");
        }
        if modules.width != model.manifest.embedding.width {
            return refuse("hidden_size", modules.width, "the manifest's `embedding.width` is another");
        }
        let mut tokenizer = ModelTokenizer::load(model, *max_tokens, bert_config.vocab_size)?;
        if modules.lower_case {
            tokenizer.lower_case()?;
        }
        let weights = Weights::new(model.read("model.safetensors")?)?;
        let identity = EncoderIdentity {
            name: model.manifest.name.clone(),
            weights_sha256: weights.sha256().to_owned(),
            preprocessing: preprocessing.clone(),
            sampling: String::new(),
            head: "embedding".to_owned(),
            dtype: dtype.as_str().to_owned(),
            dim: modules.width,
        };
        let bert = weights.all_of(|| Bert::load(family, &weights, &bert_config, device, dtype))?;
        let prompt = prompt.clone().or_else(|| modules.prompt.clone()).unwrap_or_default();
        Ok(Self { identity, tokenizer, bert, modules, prompt })
    }

    /// Embeddings `[b, d]` in f32 of the sentences, in their order.
    ///
    /// Sentences of similar length share a batch, so that little of it is padding.
    pub fn encode(&self, texts: &[&str]) -> Result<Tensor, Error> {
        let ids = self.tokenize(texts)?;
        let padding = self.bert.padding();
        each_batch(&ids, self.identity.dim, |rows| {
            let (ids, mask) = padded(rows, padding)?;
            self.encode_ids(&ids, mask.as_ref())
        })
    }

    /// Token ids of a sentence, the prompt and special tokens included, cut at the model's limit.
    pub fn token_ids(&self, text: &str) -> Result<Vec<u32>, Error> {
        Ok(self.tokenize(&[text])?.concat())
    }

    fn tokenize(&self, texts: &[&str]) -> Result<Vec<Vec<u32>>, Error> {
        self.prompted(texts, |texts| self.tokenizer.encode(texts))
    }

    /// With the model's own prompt before each text.
    fn prompted<T>(&self, texts: &[&str], of: impl FnOnce(&[&str]) -> T) -> T {
        if self.prompt.is_empty() {
            return of(texts);
        }
        let texts: Vec<String> = texts.iter().map(|text| format!("{}{text}", self.prompt)).collect();
        of(&texts.iter().map(String::as_str).collect::<Vec<_>>())
    }

    /// Embeddings `[b, d]` in f32 of token ids `[b, l]` with an optional mask `[b, l]`, 1 for a token.
    pub fn encode_ids(&self, ids: &Tensor, mask: Option<&Tensor>) -> Result<Tensor, Error> {
        self.modules.embed(&self.bert.forward(ids, mask)?, mask, Head::Embedding)
    }

    /// The network before its pooling.
    pub fn network(&self) -> &Bert {
        &self.bert
    }

    /// Embeddings `[b, d]` in f32 of token ids, as the module files say; without the normalisation that they may
    /// end with where `head` is [`Head::Features`].
    pub(crate) fn encode_tokens(&self, tokens: &Tokens, head: Head) -> Result<Tensor, Error> {
        self.modules.embed(&self.bert.forward(tokens.ids(), tokens.mask())?, tokens.mask(), head)
    }
}

impl TextEncoder for SentenceEncoder {
    fn identity(&self) -> &EncoderIdentity {
        &self.identity
    }

    fn embed(&self, texts: &[&str]) -> Result<Tensor, EncodeError> {
        self.encode(texts).map_err(|error| encode_error(&self.identity, error))
    }

    fn characters_cut(&self, texts: &[&str]) -> Result<Vec<usize>, EncodeError> {
        let cut = self.prompted(texts, |texts| self.tokenizer.cut(texts));
        cut.map_err(|error| encode_error(&self.identity, error))
    }
}
