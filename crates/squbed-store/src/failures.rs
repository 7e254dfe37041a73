//! `failures.jsonl`: the items that failed while the others went on.

use std::{
    error::Error as StdError,
    fs::{self, File, OpenOptions},
    io::{Read, Seek, SeekFrom, Write},
    path::Path,
};

use serde::{Deserialize, Serialize};

use crate::{
    error::{Error, Result},
    jsonl,
};

/// One item that failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The step that it failed in, e.g. `embed`.
    pub step: String,
    /// The item: a path or a task's id.
    pub item: String,
    /// What happened, with its causes.
    pub error: String,
    /// What to do about it; empty where the error says it.
    #[serde(default)]
    pub hint: String,
}

impl Failure {
    /// A failure from an error and all its causes.
    pub fn new(step: &str, item: &str, error: &(dyn StdError + 'static)) -> Self {
        let causes = std::iter::successors(Some(error), |&e| e.source()).map(ToString::to_string);
        Self {
            step: step.to_owned(),
            item: item.to_owned(),
            error: causes.collect::<Vec<_>>().join(": "),
            hint: String::new(),
        }
    }

    /// The same with a hint.
    #[must_use]
    pub fn with_hint(self, hint: impl Into<String>) -> Self {
        Self { hint: hint.into(), ..self }
    }
}

const REMEDY: &str = "a row is an object with step, item, error and hint";

/// Adds failures at the end of `path`, which is made if it does not exist.
///
/// A last row that a killed process left unfinished is taken away first.
pub fn append_failures(path: &Path, failures: &[Failure]) -> Result<()> {
    if failures.is_empty() {
        return Ok(());
    }
    let mut lines = Vec::new();
    for (i, failure) in failures.iter().enumerate() {
        serde_json::to_writer(&mut lines, failure).map_err(|source| Error::ToJson {
            path: path.to_owned(),
            row: i + 1,
            source,
        })?;
        lines.push(b'\n');
    }
    let folder = squbed_files::folder_of(path);
    fs::create_dir_all(folder).map_err(Error::io("make the folder", folder))?;
    let mut file = OpenOptions::new()
        .read(true)
        .append(true)
        .create(true)
        .open(path)
        .map_err(Error::io("open", path))?;
    let whole = end_of_last_row(&mut file).map_err(Error::io("read", path))?;
    file.set_len(whole)
        .and_then(|()| file.write_all(&lines))
        .and_then(|()| file.sync_all())
        .map_err(Error::io("write", path))
}

/// Bytes up to and with the last end of line.
fn end_of_last_row(file: &mut File) -> std::io::Result<u64> {
    const PIECE: u64 = 4096;
    let mut end = file.metadata()?.len();
    let mut piece = Vec::new();
    while end > 0 {
        let start = end.saturating_sub(PIECE);
        file.seek(SeekFrom::Start(start))?;
        piece.clear();
        file.take(end - start).read_to_end(&mut piece)?;
        if let Some(at) = piece.iter().rposition(|&b| b == b'\n') {
            return Ok(start + at as u64 + 1);
        }
        end = start;
    }
    Ok(0)
}

/// Reads the failures; none where the file does not exist. An unfinished last row is passed over.
pub fn read_failures(path: &Path) -> Result<Vec<Failure>> {
    let mut bytes = Vec::new();
    match File::open(path) {
        Ok(mut file) => file.read_to_end(&mut bytes).map_err(Error::io("read", path))?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(Error::io("open", path)(error)),
    };
    let whole = bytes.iter().rposition(|&b| b == b'\n').map_or(0, |at| at + 1);
    bytes[..whole]
        .split(|&b| b == b'\n')
        .enumerate()
        .filter(|(_, line)| !line.trim_ascii().is_empty())
        .map(|(i, line)| jsonl::parse(path, i + 1, line, REMEDY))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(item: &str) -> Failure {
        Failure {
            step: "embed".into(),
            item: item.into(),
            error: "no moov atom".into(),
            hint: "make it again".into(),
        }
    }

    #[test]
    fn failures_add_up() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("out/failures.jsonl");
        assert_eq!(read_failures(&path).unwrap(), []);
        append_failures(&path, &[]).unwrap();
        assert!(!path.exists());
        append_failures(&path, &[failure("a.mp4")]).unwrap();
        append_failures(&path, &[failure("b.mp4"), failure("c\n.mp4")]).unwrap();
        assert_eq!(read_failures(&path).unwrap(), [failure("a.mp4"), failure("b.mp4"), failure("c\n.mp4")]);
    }

    #[test]
    fn an_unfinished_row_is_passed_over_and_replaced() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("failures.jsonl");
        append_failures(&path, &[failure("a.mp4")]).unwrap();
        let torn = format!("{{\"step\":\"{}", "x".repeat(10_000));
        OpenOptions::new().append(true).open(&path).unwrap().write_all(torn.as_bytes()).unwrap();
        assert_eq!(read_failures(&path).unwrap(), [failure("a.mp4")]);
        append_failures(&path, &[failure("b.mp4")]).unwrap();
        assert_eq!(read_failures(&path).unwrap(), [failure("a.mp4"), failure("b.mp4")]);
    }

    #[test]
    fn a_wrong_row_is_named() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("failures.jsonl");
        fs::write(&path, "\n{\"step\":\"embed\"}\n").unwrap();
        let message = read_failures(&path).unwrap_err().to_string();
        assert!(message.contains("failures.jsonl`, line 2, column 16: missing field `item`"), "{message}");
    }

    #[test]
    fn an_error_is_told_with_its_causes() {
        let error = crate::digest_file(Path::new("no/such.mp4")).unwrap_err();
        let failure = Failure::new("embed", "no/such.mp4", &error).with_hint("look again");
        assert!(failure.error.starts_with("cannot open `no/such.mp4`: "), "{}", failure.error);
        assert_eq!(failure.hint, "look again");
    }
}
