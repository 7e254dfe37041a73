//! Sentences as the words of a list, for the text tower of MIL-NCE.
//!
//! The reference lowers a sentence, takes runs of letters, digits, `_` and `'`, drops those that its list of
//! words (`s3d_dict.npy`) does not have, and keeps the first 16; 0 fills the rest.

use std::{collections::HashMap, sync::LazyLock};

use candle_core::{DType, Device, Tensor};
use regex::Regex;
use squbed_core::EncoderIdentity;
use squbed_tensor::{EncodeError, TextEncoder};

use crate::{
    arch::s3d_milnce::{EMBEDDING, WordTower},
    error::{Error, encode_error},
    npy::{Header, NpyError, header},
    store::Opened,
    weights::Weights,
};

/// Words of a sentence that count.
const MAX_WORDS: usize = 16;
/// Name and version of the steps before the network; part of an embedding's identity.
const PREPROCESSING: &str = "s3d-words/1";
/// What Python's `\w` matches, and the apostrophe.
const WORD: &str = r"[\p{L}\p{N}_']+";
/// Sentences that pass through the network at once.
const ROWS: usize = 64;

/// The text tower of MIL-NCE with its list of words.
pub struct WordEncoder {
    identity: EncoderIdentity,
    list: WordList,
    tower: WordTower,
}

impl WordEncoder {
    pub(crate) fn load(model: &Opened<'_>, device: &Device, dtype: DType) -> Result<Self, Error> {
        let words = model.read("s3d_dict.npy")?;
        let refused = |source| Error::WordList { file: words.path.clone(), source };
        let list = WordList::parse(&words.bytes).map_err(refused)?;
        let weights = Weights::new(model.read("model.safetensors")?)?;
        let tower = WordTower::load(&weights, device, dtype)?;
        // Row 0 stands for no word.
        if list.words >= tower.rows() {
            return Err(refused(WordListError::Foreign { words: list.words, rows: tower.rows() }));
        }
        let identity = EncoderIdentity {
            name: model.manifest.name.clone(),
            weights_sha256: weights.sha256().to_owned(),
            preprocessing: PREPROCESSING.to_owned(),
            sampling: String::new(),
            head: "embedding".to_owned(),
            dtype: dtype.as_str().to_owned(),
            dim: EMBEDDING,
        };
        Ok(Self { identity, list, tower })
    }

    /// Ids of a sentence's words, 0 where it has no more.
    pub fn word_ids(&self, text: &str) -> [u32; MAX_WORDS] {
        self.list.ids(text)
    }

    /// Embeddings `[b, 512]` in f32 of the sentences, in their order, as the network gives them.
    pub fn encode(&self, texts: &[&str]) -> Result<Tensor, Error> {
        let mut parts = Vec::new();
        for texts in texts.chunks(ROWS) {
            let ids: Vec<u32> = texts.iter().flat_map(|text| self.list.ids(text)).collect();
            parts.push(self.tower.forward(&Tensor::from_vec(
                ids,
                (texts.len(), MAX_WORDS),
                &Device::Cpu,
            )?)?);
        }
        if parts.is_empty() {
            return Ok(Tensor::zeros((0, EMBEDDING), DType::F32, &Device::Cpu)?);
        }
        Ok(Tensor::cat(&parts, 0)?)
    }
}

impl TextEncoder for WordEncoder {
    fn identity(&self) -> &EncoderIdentity {
        &self.identity
    }

    fn embed(&self, texts: &[&str]) -> Result<Tensor, EncodeError> {
        self.encode(texts).map_err(|error| encode_error(&self.identity, error))
    }

    fn characters_cut(&self, texts: &[&str]) -> Result<Vec<usize>, EncodeError> {
        Ok(texts.iter().map(|text| self.list.cut(text)).collect())
    }
}

/// What is wrong with a list of words.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum WordListError {
    /// It is no `.npy` file, or a damaged one.
    #[error(transparent)]
    Npy(#[from] NpyError),
    /// It holds no list.
    #[error("it has the shape {shape:?}, not that of a list")]
    Shape {
        /// The shape.
        shape: Vec<usize>,
    },
    /// It holds something else.
    #[error(
        "its type is `{descr}`, not text of one length such as `<U24`; save it with numpy.save of a list of str"
    )]
    Type {
        /// NumPy's name of the type.
        descr: String,
    },
    /// The data are cut, or more follow.
    #[error("{words} words of {width} characters are {expected} bytes, and it has {got}")]
    Length {
        /// Words.
        words: usize,
        /// Characters of each.
        width: usize,
        /// Bytes they need.
        expected: u128,
        /// Bytes there are.
        got: usize,
    },
    /// What is no text.
    #[error("word {index} is no text")]
    Text {
        /// The word, from 0.
        index: usize,
    },
    /// A list for other weights.
    #[error("it has {words} words, and the weights have {rows} rows, the one for no word among them")]
    Foreign {
        /// Words of the list.
        words: usize,
        /// Rows of the table.
        rows: usize,
    },
}

/// The words that the tower knows.
struct WordList {
    ids: HashMap<String, u32>,
    words: usize,
}

/// Runs of [`WORD`].
static PATTERN: LazyLock<Regex> = LazyLock::new(|| Regex::new(WORD).expect("a constant that parses"));

impl WordList {
    /// Reads a `.npy` file of a list of text; a word's id is its place, from 1. Of a word that stands twice the
    /// last place counts, as in the reference.
    fn parse(bytes: &[u8]) -> Result<Self, WordListError> {
        let Header { descr, shape, data, .. } = header(bytes)?;
        let width = descr.strip_prefix(['<', '>']).and_then(|d| d.strip_prefix('U'));
        let width: Option<usize> = width.and_then(|width| width.parse().ok());
        let width = width.ok_or_else(|| WordListError::Type { descr: descr.chars().take(20).collect() })?;
        let &[words] = shape.as_slice() else { return Err(WordListError::Shape { shape }) };
        let big_endian = descr.starts_with('>');
        let expected = words as u128 * width as u128 * 4;
        if expected != data.len() as u128 {
            return Err(WordListError::Length { words, width, expected, got: data.len() });
        }
        let mut ids = HashMap::with_capacity(words);
        for index in 0..words {
            let text: Option<String> = data[index * width * 4..(index + 1) * width * 4]
                .chunks_exact(4)
                .map(|c| match (<[u8; 4]>::try_from(c), big_endian) {
                    (Ok(c), true) => char::from_u32(u32::from_be_bytes(c)),
                    (Ok(c), false) => char::from_u32(u32::from_le_bytes(c)),
                    (Err(_), _) => None,
                })
                .collect();
            let text = text.ok_or(WordListError::Text { index })?;
            ids.insert(text.trim_end_matches('\0').to_owned(), index as u32 + 1);
        }
        Ok(Self { ids, words })
    }

    /// Characters from the first word on that is known and has no place any more.
    fn cut(&self, text: &str) -> usize {
        let lower = text.to_lowercase();
        let mut known = PATTERN.find_iter(&lower).filter(|word| self.ids.contains_key(word.as_str()));
        known.nth(MAX_WORDS).map_or(0, |word| lower[word.start()..].chars().count())
    }

    fn ids(&self, text: &str) -> [u32; MAX_WORDS] {
        let lower = text.to_lowercase();
        let known = PATTERN.find_iter(&lower).filter_map(|word| self.ids.get(word.as_str()));
        let mut ids = [0; MAX_WORDS];
        ids.iter_mut().zip(known).for_each(|(place, &id)| *place = id);
        ids
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As NumPy 2 writes a list of text.
    fn npy(order: char, words: &[&str]) -> Vec<u8> {
        let width = words.iter().map(|w| w.chars().count()).max().unwrap();
        let header =
            format!("{{'descr': '{order}U{width}', 'fortran_order': False, 'shape': ({},), }}", words.len());
        let mut bytes = b"\x93NUMPY\x01\0".to_vec();
        bytes.extend((118u16).to_le_bytes());
        bytes.extend(format!("{header:117}\n").bytes());
        for word in words {
            let chars = word.chars().map(u32::from).chain(std::iter::repeat(0)).take(width);
            for c in chars {
                bytes.extend(if order == '>' { c.to_be_bytes() } else { c.to_le_bytes() });
            }
        }
        bytes
    }

    fn refusal(bytes: &[u8]) -> WordListError {
        WordList::parse(bytes).err().expect("a list that is refused")
    }

    #[test]
    fn sentences_are_cut_into_words_as_python_does() {
        for order in ['<', '>'] {
            let list = WordList::parse(&npy(
                order,
                &["don't", "dog_house", "café", "42", "слово", "'s", "cut", "cut"],
            ))
            .unwrap();
            let ids = |text: &str| {
                let ids = list.ids(text);
                ids.iter().copied().take_while(|&id| id > 0).collect::<Vec<_>>()
            };
            assert_eq!(ids("Don't CUT, 42 café-слово!"), [1, 8, 4, 3, 5]);
            assert_eq!(ids("dog_house dog house"), [2]);
            // A mark is no letter to Python, though it is to many a regular expression.
            assert_eq!(ids("42\u{301}cut"), [4, 8]);
            assert_eq!(ids("tom 's tom's"), [6]);
            assert_eq!(list.ids(""), [0; 16]);
            let word = "42 ";
            assert_eq!(list.cut(&word.repeat(16)), 0);
            assert_eq!(list.cut(&format!("{}unknown 42 42", word.repeat(16))), "42 42".len());
            assert_eq!(list.ids(&"cut ".repeat(40)), [8; 16]);
        }
    }

    #[test]
    fn a_damaged_list_is_refused() {
        let good = npy('<', &["open", "door"]);
        assert_eq!(refusal(b"open\ndoor"), WordListError::Npy(NpyError::Magic));
        assert_eq!(refusal(&good[..60]), WordListError::Npy(NpyError::Truncated));
        assert_eq!(
            refusal(&good[..good.len() - 1]).to_string(),
            "2 words of 4 characters are 32 bytes, and it has 31"
        );
        let objects = String::from_utf8_lossy(&good).replace("<U4", "|O ").into_bytes();
        assert!(matches!(refusal(&objects), WordListError::Npy(_) | WordListError::Type { .. }));
        let mut surrogate = good.clone();
        let at = surrogate.len() - 16;
        surrogate[at..at + 4].copy_from_slice(&0xd800u32.to_le_bytes());
        assert_eq!(refusal(&surrogate), WordListError::Text { index: 1 });
        for end in 0..good.len() {
            refusal(&good[..end]);
        }
    }
}
