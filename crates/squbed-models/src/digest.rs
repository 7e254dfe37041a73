//! SHA-256 of files, and the digest a manifest promises.

use std::{
    fmt,
    fs::File,
    io::{self, Read},
    path::Path,
};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// What a manifest says of a file's content: a SHA-256, or the word `unverified`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Digest {
    /// SHA-256 as 64 lower-case hex digits.
    Sha256(String),
    /// The publisher gives none; the content is taken as it comes, and every listing says so.
    Unverified,
}

/// A digest that is neither 64 hex digits nor the word `unverified`.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{given}` is no SHA-256: write 64 lower-case hex digits, or \"unverified\"")]
pub struct DigestError {
    /// What was given.
    pub given: String,
}

impl TryFrom<String> for Digest {
    type Error = DigestError;

    fn try_from(given: String) -> Result<Self, DigestError> {
        let hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        match given.as_str() {
            "unverified" => Ok(Self::Unverified),
            s if s.len() == 64 && s.bytes().all(hex) => Ok(Self::Sha256(given)),
            _ => Err(DigestError { given }),
        }
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        digest.to_string()
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sha256(hex) => hex,
            Self::Unverified => "unverified",
        })
    }
}

impl Digest {
    /// Whether content of this SHA-256 is what was promised.
    pub fn admits(&self, sha256: &str) -> bool {
        match self {
            Self::Sha256(promised) => promised == sha256,
            Self::Unverified => true,
        }
    }
}

/// SHA-256 of bytes, as lower-case hex.
pub fn sha256(bytes: &[u8]) -> String {
    hex(Sha256::new_with_prefix(bytes))
}

/// SHA-256 of a file, as lower-case hex.
pub fn sha256_file(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hex(hasher)),
            n => hasher.update(&buffer[..n]),
        }
    }
}

fn hex(hasher: Sha256) -> String {
    use fmt::Write as _;
    hasher.finalize().iter().fold(String::with_capacity(64), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_digest() {
        // FIPS 180-2, appendix B.1.
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(sha256(b"abc"), abc);
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("abc");
        std::fs::write(&path, "abc").unwrap();
        assert_eq!(sha256_file(&path).unwrap(), abc);
    }

    #[test]
    fn a_promise_is_a_digest_or_the_word() {
        assert_eq!(Digest::try_from("unverified".to_owned()), Ok(Digest::Unverified));
        assert!(Digest::try_from("a".repeat(64)).is_ok_and(|d| !d.admits("b")));
        for bad in ["", "none", &"A".repeat(64), &"a".repeat(63)] {
            assert!(Digest::try_from(bad.to_owned()).is_err(), "{bad}");
        }
    }
}
