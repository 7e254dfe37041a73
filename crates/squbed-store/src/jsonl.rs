//! JSON Lines: one value a line, blank lines skipped.

use std::{
    fs::File,
    io::{BufRead, BufReader, Read, Seek, SeekFrom, Write},
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

/// Adds `rows` to the end of a journal, which is made where it is missing; they are on the disk when this returns. A row
/// that a killed process left in part is taken away first.
pub fn append_journal<T: Serialize>(path: &Path, rows: &[T]) -> Result<()> {
    let mut text = String::new();
    for (i, row) in rows.iter().enumerate() {
        let to_json = |source| Error::ToJson { path: path.to_owned(), row: i + 1, source };
        text.push_str(&serde_json::to_string(row).map_err(to_json)?);
        text.push('\n');
    }
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(Error::io("make", folder))?;
    }
    let append = || {
        let mut file = File::options().read(true).write(true).create(true).truncate(false).open(path)?;
        let whole = whole_rows(&mut file)?.len() as u64;
        file.set_len(whole)?;
        file.seek(SeekFrom::Start(whole))?;
        file.write_all(text.as_bytes())?;
        file.sync_data()
    };
    append().map_err(Error::io("write", path))
}

/// The rows of a journal; none where there is none. A row that a killed process left in part is none, nor is one that is
/// not a `T`: what a journal holds can be made again.
pub fn read_journal<T: DeserializeOwned>(path: &Path) -> Result<Vec<T>> {
    let mut file = match File::open(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        file => file.map_err(Error::io("open", path))?,
    };
    let text = whole_rows(&mut file).map_err(Error::io("read", path))?;
    Ok(text.split(|&byte| byte == b'\n').filter_map(|row| serde_json::from_slice(row).ok()).collect())
}

/// What a file holds up to its last line end.
fn whole_rows(file: &mut File) -> std::io::Result<Vec<u8>> {
    let mut text = Vec::new();
    file.read_to_end(&mut text)?;
    text.truncate(text.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1));
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_journal_loses_no_more_than_the_row_that_was_being_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/open.jsonl");
        assert!(read_journal::<Vec<u32>>(&path).unwrap().is_empty());
        append_journal(&path, &[vec![1, 2], vec![3]]).unwrap();
        let mut text = std::fs::read_to_string(&path).unwrap();
        text.push_str("[4, 5");
        std::fs::write(&path, text).unwrap();
        assert_eq!(read_journal::<Vec<u32>>(&path).unwrap(), [vec![1, 2], vec![3]]);
        append_journal(&path, &[vec![6]]).unwrap();
        assert_eq!(read_journal::<Vec<u32>>(&path).unwrap(), [vec![1, 2], vec![3], vec![6]]);
    }
}
