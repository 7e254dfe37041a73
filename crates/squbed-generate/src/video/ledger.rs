//! What was generated, by whom, with which seed, when, at what cost.

use std::{
    collections::BTreeMap,
    fs::{File, OpenOptions, TryLockError},
    io::{self, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    sync::Mutex,
};

use serde::{Deserialize, Serialize};

/// One try at one clip.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LedgerRow {
    /// The clip's path, relative to the ledger's folder, with `/`.
    pub video: String,
    /// The latent prompt.
    pub prompt: String,
    /// What generated it.
    pub model: String,
    /// Its seed.
    pub seed: u64,
    /// Which try, from 0.
    pub attempt: u32,
    /// When it ended, UTC.
    pub at: String,
    /// How long it took.
    pub seconds: f64,
    /// What it cost, where a price was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<f64>,
    /// How it ended.
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// How a try ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// A good clip.
    Made {
        /// BLAKE3 of its content.
        digest: String,
        /// Bytes.
        bytes: u64,
        /// Frames.
        frames: usize,
    },
    /// No clip.
    Failed {
        /// Why.
        error: String,
    },
}

/// A file of JSON lines, each on the disk before its clip gets its name. A line that a killed process left unfinished is
/// cut off when the file is opened next. One process at a time holds it.
#[derive(Debug)]
pub struct Ledger {
    path: PathBuf,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    file: File,
    /// The last row of a good clip, by its path.
    made: BTreeMap<String, LedgerRow>,
}

/// What is wrong with a ledger.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// It cannot be read or written.
    #[error("cannot {operation} the ledger {path}", path = path.display())]
    Io {
        /// What was tried.
        operation: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A line is none of its kind.
    #[error("{path}, line {line}, is no row of a ledger; restore it, or choose another folder", path = path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// Another process holds it.
    #[error("another squbed generates into {path}'s folder; wait for it, or choose another folder", path = path.display())]
    Held {
        /// The file.
        path: PathBuf,
    },
}

fn rows_of(path: &Path, bytes: &[u8]) -> Result<Vec<LedgerRow>, LedgerError> {
    let lines = bytes.split(|&b| b == b'\n').enumerate().filter(|(_, line)| !line.is_empty());
    lines
        .map(|(i, line)| {
            serde_json::from_slice(line).map_err(|source| LedgerError::Line {
                path: path.to_owned(),
                line: i + 1,
                source,
            })
        })
        .collect()
}

impl Ledger {
    /// The rows of a folder's ledger, without holding it; none where there is no ledger. A line that is being written is
    /// left out.
    ///
    /// # Errors
    ///
    /// A ledger that cannot be read, or is none.
    pub fn read(folder: &Path) -> Result<Vec<LedgerRow>, LedgerError> {
        let path = folder.join("ledger.jsonl");
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(source) => return Err(LedgerError::Io { operation: "read", path, source }),
        };
        let whole = bytes.iter().rposition(|&b| b == b'\n').map_or(0, |last| last + 1);
        rows_of(&path, &bytes[..whole])
    }

    /// Opens `ledger.jsonl` of a folder, which is made where it is missing.
    ///
    /// # Errors
    ///
    /// A ledger that cannot be read, is none, or is another process's at the moment.
    pub fn open(folder: &Path) -> Result<Self, LedgerError> {
        let path = folder.join("ledger.jsonl");
        let io = |operation| {
            let path = path.clone();
            move |source| LedgerError::Io { operation, path, source }
        };
        std::fs::create_dir_all(folder).map_err(io("make the folder of"))?;
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(io("open"))?;
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => return Err(LedgerError::Held { path }),
            // A file system without locks holds nothing.
            Ok(()) | Err(TryLockError::Error(_)) => {}
        }
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(io("read"))?;
        let whole = bytes.iter().rposition(|&b| b == b'\n').map_or(0, |last| last + 1);
        if whole < bytes.len() {
            file.set_len(whole as u64).map_err(io("mend"))?;
        }
        file.seek(SeekFrom::Start(whole as u64)).map_err(io("read"))?;
        let mut made = BTreeMap::new();
        for row in rows_of(&path, &bytes[..whole])? {
            if let Outcome::Made { .. } = row.outcome {
                made.insert(row.video.clone(), row);
            }
        }
        Ok(Self { path, inner: Mutex::new(Inner { file, made }) })
    }

    /// The name that rows give a clip.
    pub fn name_of(&self, video: &Path) -> String {
        let folder = self.path.parent().unwrap_or(Path::new(""));
        let relative = video.strip_prefix(folder).unwrap_or(video);
        relative.iter().map(|part| part.to_string_lossy()).collect::<Vec<_>>().join("/")
    }

    /// The last row of a good clip.
    pub fn made(&self, video: &Path) -> Option<LedgerRow> {
        let inner = self.inner.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        inner.made.get(&self.name_of(video)).cloned()
    }

    /// Writes a row and waits until it is on the disk.
    ///
    /// # Errors
    ///
    /// What the system answers.
    pub fn append(&self, row: LedgerRow) -> Result<(), LedgerError> {
        let io = |source| LedgerError::Io { operation: "write", path: self.path.clone(), source };
        let mut line = serde_json::to_vec(&row).map_err(|error| io(error.into()))?;
        line.push(b'\n');
        let mut inner = self.inner.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        inner.file.write_all(&line).map_err(io)?;
        inner.file.sync_data().map_err(io)?;
        if let Outcome::Made { .. } = row.outcome {
            inner.made.insert(row.video.clone(), row);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(video: &str, seed: u64) -> LedgerRow {
        LedgerRow {
            video: video.to_owned(),
            prompt: "a cat\nat night".to_owned(),
            model: "m".to_owned(),
            seed,
            attempt: 0,
            at: "2026-01-01T00:00:00Z".to_owned(),
            seconds: 1.5,
            cost: None,
            outcome: Outcome::Made { digest: "d".to_owned(), bytes: 3, frames: 9 },
        }
    }

    #[test]
    fn a_ledger_cut_at_any_byte_keeps_its_whole_rows() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger.jsonl");
        let ledger = Ledger::open(folder.path()).unwrap();
        let (a, b) = (folder.path().join("x/a.mp4"), folder.path().join("x/b.mp4"));
        ledger.append(row(&ledger.name_of(&a), 1)).unwrap();
        let first = std::fs::metadata(&path).unwrap().len() as usize;
        ledger.append(row("x/b.mp4", 2)).unwrap();
        drop(ledger);
        let whole = std::fs::read(&path).unwrap();
        for end in 0..=whole.len() {
            std::fs::write(&path, &whole[..end]).unwrap();
            let ledger = Ledger::open(folder.path()).unwrap();
            assert_eq!(ledger.made(&a).is_some(), end >= first, "{end}");
            assert_eq!(ledger.made(&b).is_some(), end == whole.len(), "{end}");
            // What is written next begins a line of its own.
            ledger.append(row("x/c.mp4", 3)).unwrap();
            drop(ledger);
            let again = Ledger::open(folder.path()).unwrap();
            assert_eq!(again.made(&folder.path().join("x/c.mp4")).unwrap().seed, 3, "{end}");
        }
        std::fs::write(&path, "no row\n").unwrap();
        let error = Ledger::open(folder.path()).unwrap_err().to_string();
        assert!(error.contains("line 1"), "{error}");
    }

    #[test]
    fn two_processes_do_not_share_one() {
        let folder = tempfile::tempdir().unwrap();
        let _held = Ledger::open(folder.path()).unwrap();
        assert!(matches!(Ledger::open(folder.path()), Err(LedgerError::Held { .. })));
    }
}
