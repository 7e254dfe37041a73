//! Pickles of protocols 0 and 1, which begin without a word on what they are. They are refused, and told by what they
//! are and the first name that they hold; nothing of them is run.

use super::PickleError;

/// Why `bytes` are refused, where they are such a pickle from their first byte to their last.
pub(crate) fn refuse_old(bytes: &[u8]) -> Option<PickleError> {
    let (mut at, mut binary, mut named) = (0, false, None);
    loop {
        let begin = at;
        let opcode = *bytes.get(at)?;
        at += 1;
        match opcode {
            b'.' if at == bytes.len() => break,
            // A global, and an instance of one.
            b'c' | b'i' => {
                let (module, name) = (line(bytes, &mut at)?, line(bytes, &mut at)?);
                named.get_or_insert(PickleError::Global { at: begin, module, name });
            }
            b'F' | b'I' | b'L' | b'P' | b'S' | b'V' | b'g' | b'p' => drop(line(bytes, &mut at)?),
            b'(' | b'0' | b'1' | b'2' | b'N' | b'R' | b'a' | b'b' | b'd' | b'l' | b's' | b't' => {}
            b')' | b']' | b'e' | b'o' | b'u' | b'}' | b'Q' => binary = true,
            b'K' | b'h' | b'q' => (at, binary) = (at + 1, true),
            b'M' => (at, binary) = (at + 2, true),
            b'J' | b'j' | b'r' => (at, binary) = (at + 4, true),
            b'G' => (at, binary) = (at + 8, true),
            b'U' => (at, binary) = (at + 1 + usize::from(*bytes.get(at)?), true),
            b'T' | b'X' => {
                let size = bytes.get(at..at + 4)?.try_into().ok().map(u32::from_le_bytes)?;
                (at, binary) = (at.checked_add(4)?.checked_add(size as usize)?, true);
            }
            _ => return None,
        }
    }
    Some(named.unwrap_or(PickleError::Protocol { protocol: binary.into() }))
}

/// The text up to the next end of line, which is passed.
fn line(bytes: &[u8], at: &mut usize) -> Option<String> {
    let rest = bytes.get(*at..)?;
    let end = rest.iter().position(|&byte| byte == b'\n')?;
    *at += end + 1;
    Some(String::from_utf8_lossy(&rest[..end]).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_pickle_is_told_by_its_first_name_or_its_protocol() {
        let named = |at, module: &str, name: &str| {
            Some(PickleError::Global { at, module: module.to_owned(), name: name.to_owned() })
        };
        // pickle.dumps(…, protocol=0): an object whose __reduce__ is os.system, alone and in a dict.
        assert_eq!(refuse_old(b"cposix\nsystem\np0\n(Vid\np1\ntp2\nRp3\n."), named(0, "posix", "system"));
        let dict = b"(dp0\nVa\np1\ncposix\nsystem\np2\n(Vid\np3\ntp4\nRp5\ns.";
        assert_eq!(refuse_old(dict), named(11, "posix", "system"));
        // {'a': 1, 'b': [2.5, None]} in protocols 0 and 1.
        let zero = b"(dp0\nVa\np1\nI1\nsVb\np2\n(lp3\nF2.5\naNas.";
        assert_eq!(refuse_old(zero), Some(PickleError::Protocol { protocol: 0 }));
        let one = b"}q\x00(X\x01\x00\x00\x00aq\x01K\x01X\x01\x00\x00\x00bq\x02]q\x03(G@\x04\x00\x00\x00\x00\x00\x00Neu.";
        assert_eq!(refuse_old(one), Some(PickleError::Protocol { protocol: 1 }));
        // Cut short, followed by more, of a later protocol, or none.
        for other in [
            &one[..one.len() - 1],
            b"N.N",
            b"\x80\x02N.",
            b"",
            b"a text.",
            b"cos\nsystem",
            b"X\xff\xff\xff\xff.",
        ] {
            assert_eq!(refuse_old(other), None, "{other:?}");
        }
    }
}
