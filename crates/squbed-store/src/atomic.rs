//! [`squbed_files`] with this crate's errors.

use std::{
    fs::File,
    io::{self, BufWriter, Write},
    path::Path,
};

use crate::error::{Error, Result};

/// Writes `bytes` to `path`, which appears whole or not at all, also when the power fails.
///
/// Missing folders are made; a file of that name is replaced. On an error nothing stays behind.
pub fn write_atomic(path: &Path, bytes: impl AsRef<[u8]>) -> Result<()> {
    write_atomic_with(path, |writer| writer.write_all(bytes.as_ref()))
}

/// [`write_atomic`] for what is written piece by piece; `pieces` gets a buffered writer.
pub fn write_atomic_with(
    path: &Path,
    pieces: impl FnOnce(&mut BufWriter<&File>) -> io::Result<()>,
) -> Result<()> {
    squbed_files::write_with(path, pieces).map_err(Error::io("write", path))
}
