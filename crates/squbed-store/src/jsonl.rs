//! JSON Lines: one value a line, blank lines skipped.

use std::{
    fs::File,
    io::{BufRead, BufReader, Write},
    path::Path,
};

use serde::{Serialize, de::DeserializeOwned};

use crate::{
    atomic::write_atomic_with,
    error::{Error, Result},
};

/// Reads the values of a JSON Lines file, each with its line from 1.
///
/// `remedy` ends the message about a line that is not a `T`, and says what belongs there.
pub fn read_json_lines<T: DeserializeOwned>(path: &Path, remedy: &'static str) -> Result<Vec<(usize, T)>> {
    let file = File::open(path).map_err(Error::io("open", path))?;
    let mut rows = Vec::new();
    let mut text = Vec::new();
    let mut reader = BufReader::new(file);
    for line in 1.. {
        text.clear();
        if reader.read_until(b'\n', &mut text).map_err(Error::io("read", path))? == 0 {
            break;
        }
        if !text.trim_ascii().is_empty() {
            rows.push((line, parse(path, line, &text, remedy)?));
        }
    }
    Ok(rows)
}

/// Parses one line.
pub(crate) fn parse<T: DeserializeOwned>(
    path: &Path,
    line: usize,
    text: &[u8],
    remedy: &'static str,
) -> Result<T> {
    // Some editors of tables begin a file with a byte-order mark.
    let text = if line == 1 { text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text) } else { text };
    serde_json::from_slice(text).map_err(|error| {
        let whole = error.to_string();
        let position = format!(" at line {} column {}", error.line(), error.column());
        let problem = whole.strip_suffix(&position).unwrap_or(&whole);
        let (problem, column) = if error.is_eof() {
            (format!("the row ends too early ({problem}); it may be cut short"), text.len())
        } else {
            (problem.to_owned(), error.column())
        };
        Error::Json { path: path.to_owned(), line, column, problem, remedy }
    })
}

/// Writes `rows`, one a line; the file appears whole or not at all.
pub fn write_json_lines<T: Serialize>(path: &Path, rows: &[T]) -> Result<()> {
    let lines = rows
        .iter()
        .enumerate()
        .map(|(i, row)| {
            serde_json::to_string(row).map_err(|source| Error::ToJson {
                path: path.to_owned(),
                row: i + 1,
                source,
            })
        })
        .collect::<Result<Vec<_>>>()?;
    write_atomic_with(path, |writer| lines.iter().try_for_each(|line| writeln!(writer, "{line}")))
}
