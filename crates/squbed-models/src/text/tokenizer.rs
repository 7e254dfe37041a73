//! Texts to token ids.

use std::{collections::HashMap, io::Read, path::PathBuf};

use candle_core::{Device, Tensor};
use flate2::read::GzDecoder;
use tokenizers::{
    Encoding, Tokenizer, TruncationParams,
    models::bpe::{BPE, Merges, Vocab},
    normalizers::{Lowercase, NFC, Replace, Sequence, replace::ReplacePattern},
    pre_tokenizers::{
        byte_level::ByteLevel,
        sequence::Sequence as PreTokenizers,
        split::{Split, SplitPattern},
    },
    processors::template::TemplateProcessing,
    tokenizer::{AddedToken, SplitDelimiterBehavior},
};

use crate::{
    error::Error,
    store::{Content, Opened},
};

/// A table of tokens may be filled up to a multiple of 128, for the processor's sake; more rows than that without a
/// token belong to another model.
const FILLED: usize = 128;

/// A model's tokenizer, which cuts at the model's limit and pads nothing.
pub(crate) struct ModelTokenizer {
    tokenizer: Tokenizer,
    file: PathBuf,
}

impl ModelTokenizer {
    /// From `tokenizer.json`; without one from CLIP's byte-pair vocabulary, `vocab.json` with `merges.txt` or
    /// `bpe_simple_vocab_16e6.txt.gz`.
    ///
    /// # Errors
    ///
    /// None of these files in the manifest, a file that cannot be read, or a vocabulary that is not that of a
    /// table of `rows` tokens.
    pub(crate) fn load(model: &Opened<'_>, max_tokens: usize, rows: usize) -> Result<Self, Error> {
        let listed = |path| model.manifest.file(path).is_some();
        let (content, tokenizer) = if !listed("tokenizer.json") && listed("vocab.json") {
            let (vocab, merges) = (model.read("vocab.json")?, model.read("merges.txt")?);
            let tokenizer = from_vocabulary(&vocab, &merges)?;
            (vocab, tokenizer)
        } else if !listed("tokenizer.json") && listed("bpe_simple_vocab_16e6.txt.gz") {
            let merges = model.read("bpe_simple_vocab_16e6.txt.gz")?;
            let tokenizer = from_merges(&merges)?;
            (merges, tokenizer)
        } else {
            let content = model.read("tokenizer.json")?;
            let tokenizer = Tokenizer::from_bytes(&content.bytes).map_err(failed(&content))?;
            (content, tokenizer)
        };
        Self::new(content, tokenizer, max_tokens, rows)
    }

    fn new(
        content: Content,
        mut tokenizer: Tokenizer,
        max_tokens: usize,
        rows: usize,
    ) -> Result<Self, Error> {
        // The file may carry padding and truncation of its own.
        tokenizer.with_padding(None);
        tokenizer
            .with_truncation(Some(TruncationParams { max_length: max_tokens, ..Default::default() }))
            .map_err(failed(&content))?;
        let largest = tokenizer.get_vocab(true).into_values().max();
        let tokens = largest.map_or(0, |id| id as usize + 1);
        if tokens > rows || tokens + FILLED <= rows {
            return Err(Error::Vocabulary { file: content.path, tokens, rows });
        }
        Ok(Self { tokenizer, file: content.path })
    }

    /// Brings every text to lower case first.
    pub(super) fn lower_case(&mut self) -> Result<(), Error> {
        let mut steps = vec![Lowercase.into()];
        steps.extend(self.tokenizer.get_normalizer().cloned());
        let set = self.tokenizer.with_normalizer(Some(Sequence::new(steps))).map(|_| ());
        set.map_err(|source| Error::Tokenizer { file: self.file.clone(), source })
    }

    /// Token ids of each text, special tokens included.
    pub(crate) fn encode(&self, texts: &[&str]) -> Result<Vec<Vec<u32>>, Error> {
        Ok(self.encodings(texts)?.iter().map(|encoding| encoding.get_ids().to_vec()).collect())
    }

    /// Characters at each text's end of which no token is left.
    pub(crate) fn cut(&self, texts: &[&str]) -> Result<Vec<usize>, Error> {
        let seen =
            |encoding: &Encoding| encoding.get_offsets().iter().map(|(_, end)| *end).max().unwrap_or(0);
        let cut = |(text, encoding): (&&str, &Encoding)| {
            // Offsets count bytes.
            let behind = text.get(seen(encoding)..).unwrap_or_default();
            if encoding.get_overflowing().is_empty() { 0 } else { behind.chars().count() }
        };
        Ok(texts.iter().zip(&self.encodings(texts)?).map(cut).collect())
    }

    fn encodings(&self, texts: &[&str]) -> Result<Vec<Encoding>, Error> {
        let encodings = self.tokenizer.encode_batch(texts.to_vec(), true);
        encodings.map_err(|source| Error::Tokenizer { file: self.file.clone(), source })
    }
}

/// Ids `[b, l]` of rows filled up to the longest, and a mask `[b, l]` where any of them was.
pub(crate) fn padded(rows: &[&[u32]], padding: u32) -> Result<(Tensor, Option<Tensor>), Error> {
    let longest = rows.iter().map(|row| row.len()).max().unwrap_or(0);
    let (mut ids, mut mask) = (vec![padding; rows.len() * longest], vec![0u8; rows.len() * longest]);
    for (i, row) in rows.iter().enumerate() {
        let at = i * longest..i * longest + row.len();
        ids[at.clone()].copy_from_slice(row);
        mask[at].fill(1);
    }
    let shape = (rows.len(), longest);
    let uneven = rows.iter().any(|row| row.len() < longest);
    let mask = uneven.then(|| Tensor::from_vec(mask, shape, &Device::Cpu)).transpose()?;
    Ok((Tensor::from_vec(ids, shape, &Device::Cpu)?, mask))
}

fn failed(content: &Content) -> impl Fn(tokenizers::Error) -> Error {
    let file = content.path.clone();
    move |source| Error::Tokenizer { file: file.clone(), source }
}

/// Marks the end of a word.
const END_OF_WORD: &str = "</w>";
const START: &str = "<|startoftext|>";
const END: &str = "<|endoftext|>";
/// Words of CLIP: contractions, runs of letters, single digits, runs of anything else.
const WORDS: &str = r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+";
/// Merges of CLIP: its 49,152 tokens less 256 bytes, alone and at the end of a word, and less the two marks.
const MERGES: usize = 49_152 - 256 - 2;

/// The vocabulary as the transformers library keeps it.
fn from_vocabulary(vocab: &Content, merges: &Content) -> Result<Tokenizer, Error> {
    let tokens: HashMap<String, u32> = serde_json::from_slice(&vocab.bytes)
        .map_err(|source| Error::Json { file: vocab.path.clone(), source })?;
    let merges = pairs(merges, &merges.bytes, usize::MAX)?;
    clip(tokens.into_iter().collect(), merges).map_err(failed(vocab))
}

/// The vocabulary as OpenAI published it: merges alone, whose order gives the ids.
fn from_merges(content: &Content) -> Result<Tokenizer, Error> {
    /// The published file has 3.4 MB.
    const LONGEST: u64 = 64 << 20;
    let mut text = Vec::new();
    GzDecoder::new(content.bytes.as_slice())
        .take(LONGEST)
        .read_to_end(&mut text)
        .map_err(Error::io("unpack", &content.path))?;
    let merges = pairs(content, &text, MERGES)?;
    // Bytes in the order of their code points, those that print first.
    let mut bytes: Vec<char> = ByteLevel::alphabet().into_iter().collect();
    bytes.sort_unstable();
    let bytes: Vec<String> = bytes.into_iter().map(String::from).collect();
    let ends = bytes.iter().map(|byte| format!("{byte}{END_OF_WORD}")).collect::<Vec<_>>();
    let merged = merges.iter().map(|(a, b)| format!("{a}{b}"));
    let marks = [START, END].map(str::to_owned);
    let tokens = bytes.iter().cloned().chain(ends).chain(merged).chain(marks);
    let tokens: Vocab = tokens.zip(0..).collect();
    clip(tokens, merges).map_err(failed(content))
}

/// Pairs of tokens, one a line, behind a line that names the version.
fn pairs(content: &Content, text: &[u8], at_most: usize) -> Result<Merges, Error> {
    let refuse = |source: tokenizers::Error| Error::Tokenizer { file: content.path.clone(), source };
    let text = std::str::from_utf8(text).map_err(|error| refuse(error.into()))?;
    let lines = text.lines().enumerate().skip(1).take(at_most).filter(|(_, line)| !line.trim().is_empty());
    lines
        .map(|(i, line)| match line.split_whitespace().collect::<Vec<_>>().as_slice() {
            [a, b] => Ok(((*a).to_owned(), (*b).to_owned())),
            _ => Err(refuse(format!("line {}: a merge is two tokens", i + 1).into())),
        })
        .collect()
}

/// CLIP's tokenizer around its vocabulary.
fn clip(tokens: Vocab, merges: Merges) -> tokenizers::Result<Tokenizer> {
    let mark =
        |name: &str| tokens.get(name).copied().ok_or_else(|| format!("the vocabulary has no token {name}"));
    let (start, end) = (mark(START)?, mark(END)?);
    let model = BPE::builder()
        .vocab_and_merges(tokens, merges)
        .unk_token(END.to_owned())
        .end_of_word_suffix(END_OF_WORD.to_owned())
        .build()?;
    let mut tokenizer = Tokenizer::new(model);
    let space = Replace::new(ReplacePattern::Regex(r"\s+".to_owned()), " ")?;
    tokenizer.with_normalizer(Some(Sequence::new(vec![NFC.into(), space.into(), Lowercase.into()])))?;
    let words = Split::new(SplitPattern::Regex(WORDS.to_owned()), SplitDelimiterBehavior::Removed, true)?;
    tokenizer.with_pre_tokenizer(Some(PreTokenizers::new(vec![
        words.into(),
        ByteLevel::new(false, true, false).into(),
    ])));
    let template = TemplateProcessing::builder()
        .try_single(format!("{START} $A {END}"))?
        .special_tokens(vec![(START, start), (END, end)])
        .build()
        .map_err(|error| error.to_string())?;
    tokenizer.with_post_processor(Some(template));
    tokenizer.add_special_tokens([AddedToken::from(START, true), AddedToken::from(END, true)])?;
    Ok(tokenizer)
}
