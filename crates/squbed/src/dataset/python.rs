//! Python's literals, in which tables written by pandas keep lists.

use serde_json::{Number, Value};

/// Lists in lists beyond this are refused.
const DEPTH: usize = 16;

/// Reads a literal of lists, tuples, texts, numbers, `True`, `False` and `None`.
///
/// # Errors
///
/// What is wrong, and at which byte.
pub(super) fn literal(text: &str) -> Result<Value, String> {
    let mut reader = Reader { text, at: 0 };
    let value = reader.value(DEPTH)?;
    reader.blanks();
    if reader.at < text.len() { Err(reader.wrong("something stands after the end")) } else { Ok(value) }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl Reader<'_> {
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn blanks(&mut self) {
        self.at = self.text.len() - self.rest().trim_start().len();
    }

    fn next(&mut self) -> Option<char> {
        let c = self.rest().chars().next()?;
        self.at += c.len_utf8();
        Some(c)
    }

    fn wrong(&self, what: &str) -> String {
        format!("{what} (at byte {})", self.at)
    }

    fn value(&mut self, depth: usize) -> Result<Value, String> {
        self.blanks();
        match self.rest().chars().next() {
            Some('[') => self.list(']', depth),
            Some('(') => self.list(')', depth),
            Some(quote @ ('\'' | '"')) => self.string(quote).map(Value::String),
            Some(_) => self.word(),
            None => Err(self.wrong("a value is missing")),
        }
    }

    fn list(&mut self, close: char, depth: usize) -> Result<Value, String> {
        if depth == 0 {
            return Err(self.wrong("lists are nested too deep"));
        }
        self.at += 1;
        let mut items = Vec::new();
        loop {
            self.blanks();
            if self.rest().starts_with(close) {
                self.at += 1;
                return Ok(Value::Array(items));
            }
            items.push(self.value(depth - 1)?);
            self.blanks();
            match self.next() {
                Some(',') => {}
                Some(c) if c == close => return Ok(Value::Array(items)),
                _ => return Err(self.wrong("a list has no end")),
            }
        }
    }

    fn string(&mut self, quote: char) -> Result<String, String> {
        self.at += 1;
        let mut text = String::new();
        loop {
            match self.next().ok_or_else(|| self.wrong("a text has no end"))? {
                c if c == quote => return Ok(text),
                '\\' => match self.next() {
                    Some('n') => text.push('\n'),
                    Some('t') => text.push('\t'),
                    Some('r') => text.push('\r'),
                    Some('x') => text.push(self.code(2)?),
                    Some('u') => text.push(self.code(4)?),
                    Some('U') => text.push(self.code(8)?),
                    Some('\n') => {}
                    Some(c @ ('\\' | '\'' | '"')) => text.push(c),
                    // As Python does, which keeps both.
                    Some(c) => text.extend(['\\', c]),
                    None => return Err(self.wrong("a text has no end")),
                },
                c => text.push(c),
            }
        }
    }

    fn code(&mut self, digits: usize) -> Result<char, String> {
        let hex = self.text.get(self.at..self.at + digits);
        let read = hex.and_then(|hex| u32::from_str_radix(hex, 16).ok()).and_then(char::from_u32);
        let c = read.ok_or_else(|| self.wrong("an escaped character is none"))?;
        self.at += digits;
        Ok(c)
    }

    fn word(&mut self) -> Result<Value, String> {
        let end = self.rest().find([',', ']', ')', ' ', '\n']).unwrap_or(self.rest().len());
        let word = &self.rest()[..end];
        let number = |word: &str| {
            let whole = word.parse::<i64>().ok().map(Number::from);
            whole.or_else(|| word.parse().ok().and_then(Number::from_f64))
        };
        let value = match word {
            "True" => Value::Bool(true),
            "False" => Value::Bool(false),
            "None" | "nan" => Value::Null,
            _ => match number(word) {
                Some(number) => Value::Number(number),
                None => return Err(self.wrong(&format!("`{word}` is no literal"))),
            },
        };
        self.at += end;
        Ok(value)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    // Each printed by Python's repr.
    #[test]
    fn literals_are_read_as_python_writes_them() {
        for (text, value) in [
            (
                "[['0:00:02.560', '0:00:05.520'], ['0:00:06', '0:00:10.040']]",
                json!([["0:00:02.560", "0:00:05.520"], ["0:00:06", "0:00:10.040"]]),
            ),
            (
                r#"["A man's hat.", 'He says "no".', 'it\'s "both"']"#,
                json!(["A man's hat.", "He says \"no\".", "it's \"both\""]),
            ),
            (
                r"['a\\b', 'tab\there', 'nul\x00', 'é', '\u200b', '\U0001f431', '\d']",
                json!(["a\\b", "tab\there", "nul\0", "é", "\u{200b}", "🐱", "\\d"]),
            ),
            ("[0.4369140625, 1, -2e-05, True, None]", json!([0.436_914_062_5, 1, -2e-5, true, null])),
            ("('a',)", json!(["a"])),
            ("[]", json!([])),
        ] {
            assert_eq!(literal(text), Ok(value), "{text}");
        }
    }

    #[test]
    fn what_is_none_is_told_with_its_place() {
        for text in ["", "[", "['a", "['a' 'b']", "[1] 2", "[__import__('os')]", r"['\u12']", r"['\xé']"] {
            assert!(literal(text).unwrap_err().contains("at byte"), "{text}");
        }
        assert!(literal(&"[".repeat(100_000)).unwrap_err().contains("nested"));
    }
}
