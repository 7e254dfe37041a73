//! Encoders of sentences: tokenizer, network, pooling.
//!
//! Reimers and Gurevych, *Sentence-BERT* (EMNLP 2019, arXiv 1908.10084). Which pooling, whether the result
//! is normalised, and where a sentence is cut is read from the module files of the sentence-transformers
//! library that the model comes with.

mod batches;
mod modules;
mod words;

pub use words::{WordEncoder, WordListError};

use std::path::PathBuf;

use candle_core::{D, DType, Device, Tensor};
use squbed_core::EncoderIdentity;
use squbed_tensor::{EncodeError, TextEncoder};
use tokenizers::{Encoding, Tokenizer, TruncationParams};

use crate::{
    arch::bert::{Bert, BertConfig, masked_mean},
    bare::Head,
    error::{Error, encode_error},
    manifest::{Input, Modality},
    prepared::Tokens,
    store::Opened,
    weights::Weights,
};
use modules::{Modules, Pooling};

/// A sentence encoder after Sentence-BERT.
pub struct SentenceEncoder {
    identity: EncoderIdentity,
    tokenizer: Tokenizer,
    tokenizer_file: PathBuf,
    bert: Bert,
    modules: Modules,
}

impl SentenceEncoder {
    pub(crate) fn load(model: &Opened<'_>, device: &Device, dtype: DType) -> Result<Self, Error> {
        let Input::Text { preprocessing, max_tokens } = &model.manifest.input else {
            let name = model.manifest.name.clone();
            return Err(Error::Modality { name, takes: Modality::Video, wanted: Modality::Text });
        };
        let modules = Modules::read(model)?;
        let config = model.read("config.json")?;
        let bert_config = BertConfig::parse(&config.path, &config.bytes)?;
        let refuse = |field, value: usize, expected| {
            let value = value.to_string();
            Err(Error::Config { file: config.path.clone(), field, value, expected })
        };
        if modules.max_tokens != *max_tokens || bert_config.max_position_embeddings < *max_tokens {
            return refuse("max_seq_length", modules.max_tokens, "the manifest's `max_tokens` is another");
        }
        if bert_config.hidden_size != model.manifest.embedding.width {
            return refuse(
                "hidden_size",
                bert_config.hidden_size,
                "the manifest's `embedding.width` is another",
            );
        }

        let tokenizer_content = model.read("tokenizer.json")?;
        let tokenizer_file = tokenizer_content.path;
        let tokenizer = tokenizer(&tokenizer_content.bytes, *max_tokens)
            .map_err(|source| Error::Tokenizer { file: tokenizer_file.clone(), source })?;

        let weights = Weights::new(model.read("model.safetensors")?)?;
        let identity = EncoderIdentity {
            name: model.manifest.name.clone(),
            weights_sha256: weights.sha256().to_owned(),
            preprocessing: preprocessing.clone(),
            sampling: String::new(),
            head: "embedding".to_owned(),
            dtype: dtype.as_str().to_owned(),
            dim: bert_config.hidden_size,
        };
        let bert = weights.all_of(|| Bert::load(&weights, &bert_config, device, dtype))?;
        Ok(Self { identity, tokenizer, tokenizer_file, bert, modules })
    }

    /// Embeddings `[b, d]` in f32 of the sentences, in their order.
    ///
    /// Sentences of similar length share a batch, so that little of it is padding.
    pub fn encode(&self, texts: &[&str]) -> Result<Tensor, Error> {
        let encodings = self.tokenize(texts)?;
        let lengths: Vec<usize> = encodings.iter().map(Encoding::len).collect();
        let mut rows: Vec<Option<Tensor>> = vec![None; texts.len()];
        for batch in batches::similar(&lengths) {
            let embedded = self.encode_batch(batch.iter().map(|&i| &encodings[i]))?;
            for (row, &i) in batch.iter().enumerate() {
                rows[i] = Some(embedded.narrow(0, row, 1)?);
            }
        }
        // Every sentence was in one batch.
        let rows: Vec<Tensor> = rows.into_iter().flatten().collect();
        if rows.is_empty() {
            return Ok(Tensor::zeros((0, self.identity.dim), DType::F32, &Device::Cpu)?);
        }
        Ok(Tensor::cat(&rows, 0)?)
    }

    /// Token ids of a sentence, special tokens included, cut at the model's limit.
    pub fn token_ids(&self, text: &str) -> Result<Vec<u32>, Error> {
        Ok(self.tokenize(&[text])?.iter().flat_map(|encoding| encoding.get_ids().to_vec()).collect())
    }

    fn tokenize(&self, texts: &[&str]) -> Result<Vec<Encoding>, Error> {
        self.tokenizer
            .encode_batch(texts.to_vec(), true)
            .map_err(|source| Error::Tokenizer { file: self.tokenizer_file.clone(), source })
    }

    fn encode_batch<'e>(
        &self,
        encodings: impl ExactSizeIterator<Item = &'e Encoding> + Clone,
    ) -> Result<Tensor, Error> {
        let rows = encodings.len();
        let longest = encodings.clone().map(Encoding::len).max().unwrap_or(0);
        let padded = encodings.clone().any(|e| e.len() < longest);
        let (mut ids, mut mask) = (vec![0u32; rows * longest], vec![0u8; rows * longest]);
        for (row, encoding) in encodings.enumerate() {
            let at = row * longest..row * longest + encoding.len();
            ids[at.clone()].copy_from_slice(encoding.get_ids());
            mask[at].fill(1);
        }
        let ids = Tensor::from_vec(ids, (rows, longest), &Device::Cpu)?;
        let mask = padded.then(|| Tensor::from_vec(mask, (rows, longest), &Device::Cpu)).transpose()?;
        self.normalised(self.pooled(&ids, mask.as_ref())?)
    }

    /// Embeddings `[b, d]` in f32 of token ids, as the module files say; without the normalisation that they may
    /// end with where `head` is [`Head::Features`].
    pub(crate) fn encode_tokens(&self, tokens: &Tokens, head: Head) -> Result<Tensor, Error> {
        let pooled = self.pooled(tokens.ids(), tokens.mask())?;
        if head == Head::Features { Ok(pooled) } else { self.normalised(pooled) }
    }

    fn pooled(&self, ids: &Tensor, mask: Option<&Tensor>) -> Result<Tensor, Error> {
        let hidden = self.bert.forward(ids, mask)?;
        match self.modules.pooling {
            Pooling::Mean => masked_mean(&hidden, mask),
            Pooling::Cls => Ok(hidden.narrow(1, 0, 1)?.squeeze(1)?.to_dtype(DType::F32)?),
        }
    }

    fn normalised(&self, pooled: Tensor) -> Result<Tensor, Error> {
        if !self.modules.normalize {
            return Ok(pooled);
        }
        let norm = pooled.sqr()?.sum_keepdim(D::Minus1)?.sqrt()?;
        Ok(pooled.broadcast_div(&norm)?)
    }
}

/// The tokenizer without the padding and with the truncation of its own that its file may carry.
fn tokenizer(bytes: &[u8], max_tokens: usize) -> tokenizers::Result<Tokenizer> {
    let mut tokenizer = Tokenizer::from_bytes(bytes)?;
    tokenizer.with_padding(None);
    tokenizer.with_truncation(Some(TruncationParams { max_length: max_tokens, ..Default::default() }))?;
    Ok(tokenizer)
}

impl TextEncoder for SentenceEncoder {
    fn identity(&self) -> &EncoderIdentity {
        &self.identity
    }

    fn embed(&self, texts: &[&str]) -> Result<Tensor, EncodeError> {
        self.encode(texts).map_err(|error| encode_error(&self.identity, error))
    }
}
