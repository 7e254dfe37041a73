//! Pictures inside the page.

use crate::{Error, Image};

/// The picture as a `data:` address; `task` is named in the error.
pub(crate) fn data_uri(image: &Image, task: &str) -> Result<String, Error> {
    let kind = match image.bytes.as_slice() {
        [0x89, b'P', b'N', b'G', 0x0D, 0x0A, 0x1A, 0x0A, ..] => "png",
        [0xFF, 0xD8, 0xFF, ..] => "jpeg",
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => "webp",
        _ => return Err(Error::Image { task: task.to_owned() }),
    };
    Ok(format!("data:image/{kind};base64,{}", base64(&image.bytes)))
}

/// Base 64 with padding (RFC 4648, section 4).
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let word = (0..3).fold(0usize, |word, i| word << 8 | usize::from(*chunk.get(i).unwrap_or(&0)));
        for i in 0..4 {
            // A chunk of k bytes has k + 1 digits.
            let digit = if i <= chunk.len() { DIGITS[word >> (18 - 6 * i) & 63] } else { b'=' };
            out.push(char::from(digit));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_as_in_the_standard() {
        for (bytes, text) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")]
        {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
        assert_eq!(base64(&[0xFB, 0xFF, 0xFE]), "+//+");
    }

    #[test]
    fn only_pictures_become_pictures() {
        let image = |bytes: &[u8]| Image { bytes: bytes.to_vec(), alt: String::new() };
        let uri = data_uri(&image(b"\x89PNG\r\n\x1a\n"), "t").unwrap();
        assert_eq!(uri, "data:image/png;base64,iVBORw0KGgo=");
        assert!(
            matches!(data_uri(&image(b"<svg onload='x()'/>"), "t"), Err(Error::Image { task }) if task == "t")
        );
    }
}
