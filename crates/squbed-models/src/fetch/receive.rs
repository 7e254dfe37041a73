//! Receives files, checked against what the manifest promises.

use std::{
    fs::{self, File},
    io::{Read, Write},
    path::Path,
};

use super::{Progress, SourceError};
use crate::digest::{Digest, sha256, sha256_file};

/// What the manifest promises of a file.
#[derive(Clone, Copy)]
pub(super) struct Expected<'a> {
    pub(super) file: &'a str,
    pub(super) digest: &'a Digest,
    pub(super) size: Option<u64>,
}

impl Expected<'_> {
    pub(super) fn check_bytes(&self, bytes: &[u8]) -> Result<(), SourceError> {
        self.check_size(bytes.len() as u64)?;
        self.check_digest(&sha256(bytes))
    }

    pub(super) fn check_file(&self, path: &Path) -> Result<(), SourceError> {
        let size = fs::metadata(path).map_err(SourceError::io("read", path))?.len();
        self.check_size(size)?;
        self.check_digest(&sha256_file(path).map_err(SourceError::io("read", path))?)
    }

    pub(super) fn check_size(&self, actual: u64) -> Result<(), SourceError> {
        match self.size {
            Some(expected) if expected != actual => {
                Err(SourceError::Size { file: self.file.to_owned(), expected, actual })
            }
            _ => Ok(()),
        }
    }

    fn check_digest(&self, actual: &str) -> Result<(), SourceError> {
        if self.digest.admits(actual) {
            return Ok(());
        }
        Err(SourceError::Digest {
            file: self.file.to_owned(),
            expected: self.digest.to_string(),
            actual: actual.to_owned(),
        })
    }

    /// Copies all of `reader` to `path`, synced, and checks it. At most one byte beyond the promised size
    /// is written, so that an archive cannot swell on unpacking, and nothing stays of what fails.
    pub(super) fn receive(
        &self,
        reader: impl Read,
        path: &Path,
        progress: &mut dyn FnMut(Progress<'_>),
    ) -> Result<(), SourceError> {
        self.copy(reader, path, progress).and_then(|()| self.check_file(path)).inspect_err(|_| {
            let _ = fs::remove_file(path);
        })
    }

    fn copy(
        &self,
        reader: impl Read,
        path: &Path,
        progress: &mut dyn FnMut(Progress<'_>),
    ) -> Result<(), SourceError> {
        let promised = self.size.unwrap_or(u64::MAX);
        let limit = promised.saturating_add(1);
        let mut reader = reader.take(limit);
        let mut out = File::create(path).map_err(SourceError::io("create", path))?;
        let mut buffer = vec![0; 1 << 20];
        let mut done = 0;
        loop {
            let n = reader.read(&mut buffer).map_err(SourceError::io("read what becomes", path))?;
            if n == 0 {
                break;
            }
            out.write_all(&buffer[..n]).map_err(SourceError::io("write", path))?;
            done += n as u64;
            if done > promised {
                return Err(SourceError::TooLong { file: self.file.to_owned(), expected: promised });
            }
            progress(Progress::Bytes { file: self.file, done, total: self.size });
        }
        out.sync_all().map_err(SourceError::io("write", path))
    }
}

/// Writes a file and waits until it is on the disk.
pub(super) fn write_synced(path: &Path, bytes: &[u8]) -> Result<(), SourceError> {
    let mut file = File::create(path).map_err(SourceError::io("create", path))?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(SourceError::io("write", path))
}

/// Makes a rename in a folder last; only Unix can.
pub(super) fn sync_folder(path: &Path) -> Result<(), SourceError> {
    if cfg!(unix) {
        File::open(path).and_then(|folder| folder.sync_all()).map_err(SourceError::io("write", path))?;
    }
    Ok(())
}
