//! The tokenizer that a GGUF file carries.
//!
//! Candle builds one as well, but it knows Llama 3's and SmolLM's pre-tokenizers under no name that their files use, and its
//! default puts a space before a text; so the pieces are put together here, as the `tokenizer.json` of each family has them.

use tokenizers::{
    AddedToken, Tokenizer,
    decoders::byte_level::ByteLevel as ByteDecoder,
    models::bpe::{BPE, Merges, Vocab},
    normalizers::NFC,
    pre_tokenizers::{
        PreTokenizerWrapper,
        byte_level::ByteLevel,
        digits::Digits,
        sequence::Sequence,
        split::{Split, SplitPattern},
    },
    tokenizer::SplitDelimiterBehavior,
};

use candle_core::quantized::gguf_file::Value;

use super::{
    error::LlmError,
    gguf::{Gguf, whole},
};

/// Llama 3's words: `tokenizer.json` of meta-llama/Meta-Llama-3-8B.
const LLAMA3: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
/// Qwen 2's and 3's words: `tokenizer.json` of Qwen/Qwen3-0.6B.
const QWEN2: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

/// Kinds of tokens in `tokenizer.ggml.token_type` that stand for themselves in a text.
const CONTROL: usize = 3;
const USER_DEFINED: usize = 4;

/// Texts to token ids and back.
pub(super) struct ChatTokenizer {
    tokenizer: Tokenizer,
    /// The text of the token that begins a text, for templates.
    pub(super) bos: String,
    /// The text of the token that ends one.
    pub(super) eos: String,
    /// The tokens at which an answer ends.
    pub(super) ends: Vec<u32>,
    pub(super) vocabulary: usize,
}

impl ChatTokenizer {
    pub(super) fn load(gguf: &Gguf) -> Result<Self, LlmError> {
        let failed = |source| LlmError::Tokenizer { file: gguf.path.clone(), source };
        let model = gguf.text("tokenizer.ggml.model")?;
        if model != "gpt2" {
            let expected = "tokenizers of the kind `gpt2` are read, which Llama 3, Qwen and SmolLM have";
            return Err(gguf.unsupported("tokenizer.ggml.model", model, expected));
        }
        let tokens = texts(gguf, "tokenizer.ggml.tokens")?;
        let vocab: Vocab = (0..).zip(&tokens).map(|(id, token)| (token.clone(), id)).collect();
        let merges: Merges = texts(gguf, "tokenizer.ggml.merges")?
            .iter()
            .map(|merge| merge.split_once(' ').map(|(a, b)| (a.to_owned(), b.to_owned())))
            .collect::<Option<_>>()
            .ok_or_else(|| metadata(gguf, "tokenizer.ggml.merges"))?;
        // Llama 3 takes a word that is one token as it is, whatever the merges say.
        let words = gguf.text("tokenizer.ggml.pre").unwrap_or("default");
        let llama3 = matches!(words, "llama-bpe" | "llama3" | "llama-v3");
        let bpe =
            BPE::builder().vocab_and_merges(vocab, merges).ignore_merges(llama3).build().map_err(failed)?;
        let mut tokenizer = Tokenizer::new(bpe);
        if words == "qwen2" {
            tokenizer.with_normalizer(Some(NFC)).map_err(failed)?;
        }
        tokenizer.with_pre_tokenizer(Some(pre_tokenizer(gguf, words)?));
        tokenizer.with_decoder(Some(ByteDecoder::new(false, false, false)));
        let kinds = gguf.array("tokenizer.ggml.token_type")?;
        let kind = |id: usize| kinds.get(id).and_then(whole);
        let own = |wanted| {
            let tokens = tokens.iter().enumerate().filter(move |(id, _)| kind(*id) == Some(wanted));
            tokens.map(|(_, token)| token.clone())
        };
        let control: Vec<AddedToken> =
            own(CONTROL).map(|token| AddedToken::from(token, true).normalized(false)).collect();
        let defined: Vec<AddedToken> =
            own(USER_DEFINED).map(|token| AddedToken::from(token, false).normalized(false)).collect();
        tokenizer.add_special_tokens(control).map_err(failed)?;
        tokenizer.add_tokens(defined).map_err(failed)?;

        let special = |key: &str| {
            let id = gguf.optional_number(&format!("tokenizer.ggml.{key}_token_id"))?;
            tokens.get(id).map(|token| (id as u32, token.clone()))
        };
        let (bos, eos) = (special("bos"), special("eos"));
        let mut ends: Vec<u32> =
            ["eos", "eot", "eom"].into_iter().filter_map(|k| Some(special(k)?.0)).collect();
        // The ends of a turn that chat templates write, where the file does not name them.
        for turn in ["<|im_end|>", "<|eot_id|>", "<|endoftext|>", "<|end_of_text|>"] {
            ends.extend(tokenizer.token_to_id(turn).filter(|&id| kind(id as usize) == Some(CONTROL)));
        }
        ends.sort_unstable();
        ends.dedup();
        if ends.is_empty() {
            return Err(metadata(gguf, "tokenizer.ggml.eos_token_id"));
        }
        let text = |token: Option<(u32, String)>| token.map(|(_, text)| text).unwrap_or_default();
        Ok(Self { tokenizer, bos: text(bos), eos: text(eos), ends, vocabulary: tokens.len() })
    }

    /// Token ids of a text in which the names of special tokens are those tokens.
    pub(super) fn encode(&self, text: &str) -> Result<Vec<u32>, tokenizers::Error> {
        Ok(self.tokenizer.encode_fast(text, false)?.get_ids().to_vec())
    }

    /// The text of tokens, without special ones.
    pub(super) fn decode(&self, ids: &[u32]) -> Result<String, tokenizers::Error> {
        self.tokenizer.decode(ids, true)
    }
}

/// How texts are cut before pairs are merged, by the name that the file gives.
fn pre_tokenizer(gguf: &Gguf, words: &str) -> Result<PreTokenizerWrapper, LlmError> {
    let failed = |source| LlmError::Tokenizer { file: gguf.path.clone(), source };
    let bytes = |regex| ByteLevel::new(false, true, regex);
    let split = |pattern: &str| {
        let split =
            Split::new(SplitPattern::Regex(pattern.to_owned()), SplitDelimiterBehavior::Isolated, false);
        let split = split.map_err(failed)?;
        Ok(Sequence::new(vec![split.into(), bytes(false).into()]).into())
    };
    match words {
        "llama-bpe" | "llama3" | "llama-v3" => split(LLAMA3),
        "qwen2" => split(QWEN2),
        "smollm" => Ok(Sequence::new(vec![Digits::new(true).into(), bytes(true).into()]).into()),
        "default" | "gpt-2" => Ok(bytes(true).into()),
        other => {
            let expected = "known are llama-bpe, qwen2, smollm and gpt-2";
            Err(gguf.unsupported("tokenizer.ggml.pre", other, expected))
        }
    }
}

fn texts(gguf: &Gguf, key: &str) -> Result<Vec<String>, LlmError> {
    let text = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        _ => None,
    };
    gguf.array(key)?.iter().map(text).collect::<Option<_>>().ok_or_else(|| metadata(gguf, key))
}

fn metadata(gguf: &Gguf, key: &str) -> LlmError {
    LlmError::Metadata { file: gguf.path.clone(), key: key.to_owned() }
}
