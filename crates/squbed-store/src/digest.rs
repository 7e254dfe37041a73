//! Content digests: BLAKE3, lower-case hex, 64 characters.

use std::path::Path;

use crate::error::{Error, Result};

/// The digest of a file's bytes, read piece by piece; a renamed or copied file keeps it.
pub fn digest_file(path: &Path) -> Result<String> {
    let file = squbed_files::open(path).map_err(Error::io("open", path))?;
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(file).map_err(Error::io("read", path))?;
    Ok(hasher.finalize().to_hex().to_string())
}

/// The digest of a text's UTF-8 bytes.
pub fn digest_text(text: &str) -> String {
    blake3::hash(text.as_bytes()).to_hex().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    // Test vectors of the BLAKE3 authors: no input, and 0, 1, …, 250, 0, 1, … for 102400 bytes.
    #[test]
    fn digests_follow_the_published_vectors() {
        assert_eq!(digest_text(""), "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262");
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("x");
        std::fs::write(&path, (0..102_400).map(|i| (i % 251) as u8).collect::<Vec<_>>()).unwrap();
        assert_eq!(
            digest_file(&path).unwrap(),
            "bc3e3d41a1146b069abffad3c0d44860cf664390afce4d9661f7902e7943e085"
        );
    }

    #[test]
    fn a_missing_file_is_named() {
        let error = digest_file(Path::new("no/such/clip.mp4")).unwrap_err();
        assert_eq!(error.to_string(), "cannot open `no/such/clip.mp4`");
    }
}
