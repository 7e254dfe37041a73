//! Files that appear whole or not at all.

use std::{
    fs::{self, File},
    io::{self, BufWriter, Write},
    path::Path,
};

use tempfile::{Builder, NamedTempFile};

use crate::error::{Error, Result};

/// Start of the name of a file that is being written. What a killed process leaves behind has it and
/// may be deleted; nothing ever reads it.
const TEMPORARY: &str = ".squbed-";

/// Writes `bytes` to `path`, which appears whole or not at all, also when the power fails.
///
/// Missing folders are made; a file of that name is replaced. On an error nothing stays behind.
pub fn write_atomic(path: &Path, bytes: impl AsRef<[u8]>) -> Result<()> {
    write_atomic_with(path, |writer| writer.write_all(bytes.as_ref()))
}

/// [`write_atomic`] for what is written piece by piece; `write` gets a buffered writer.
pub fn write_atomic_with(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>,
) -> Result<()> {
    let folder = folder_of(path);
    fs::create_dir_all(folder).map_err(Error::io("make the folder", folder))?;
    let temporary = temporary_in(folder).map_err(Error::io("make a temporary file in", folder))?;
    let (file, name) = temporary.into_parts();
    let mut writer = BufWriter::with_capacity(1 << 16, file);
    write(&mut writer)
        .and_then(|()| writer.into_inner().map_err(io::IntoInnerError::into_error))
        .and_then(|file| file.sync_all())
        .map_err(Error::io("write", path))?;
    name.persist(path).map_err(|e| e.error).map_err(Error::io("write", path))?;
    sync_folder(folder).map_err(Error::io("flush the folder", folder))
}

/// The folder that `path` lies in.
pub(crate) fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if folder.as_os_str().is_empty() => Path::new("."),
        Some(folder) => folder,
        None => Path::new("/"),
    }
}

fn temporary_in(folder: &Path) -> io::Result<NamedTempFile> {
    let mut builder = Builder::new();
    builder.prefix(TEMPORARY).suffix(".tmp");
    #[cfg(unix)]
    {
        // As any other new file; the default, 0600, would lock colleagues out of a shared cache.
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(fs::Permissions::from_mode(0o666));
    }
    builder.tempfile_in(folder)
}

/// Makes a rename within `folder` durable.
#[cfg(unix)]
fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Elsewhere a folder cannot be opened as a file, and renames are journalled.
#[cfg(not(unix))]
fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn a_file_is_written_and_replaced_whole() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("deep/er/x.txt");
        write_atomic(&path, "one").unwrap();
        write_atomic(&path, "two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(names(path.parent().unwrap()), ["x.txt"]);
    }

    #[test]
    fn an_error_midway_leaves_the_old_file_and_nothing_else() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("x.txt");
        write_atomic(&path, "old").unwrap();
        let error = write_atomic_with(&path, |w| {
            w.write_all(&[7; 1 << 20])?;
            Err(io::Error::other("no more"))
        })
        .unwrap_err();
        assert_eq!(error.to_string(), format!("cannot write `{}`", path.display()));
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(names(home.path()), ["x.txt"]);
    }

    #[test]
    fn a_full_disk_is_named_with_file_and_remedy() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("x.txt");
        let error =
            write_atomic_with(&path, |_| Err(io::Error::from(io::ErrorKind::StorageFull))).unwrap_err();
        assert!(matches!(error, Error::Full { .. }));
        assert_eq!(
            error.to_string(),
            format!(
                "no space left to write `{}`; free some or choose a folder on another disk",
                path.display()
            )
        );
        assert!(names(home.path()).is_empty());
    }

    #[test]
    fn a_folder_in_the_way_is_an_error() {
        let home = tempfile::tempdir().unwrap();
        fs::create_dir_all(home.path().join("x/y")).unwrap();
        assert!(matches!(write_atomic(&home.path().join("x"), ""), Err(Error::Io { .. })));
        assert_eq!(names(home.path()), ["x"]);
    }

    #[cfg(unix)]
    #[test]
    fn others_may_read_it_as_far_as_the_umask_allows() {
        use std::os::unix::fs::PermissionsExt;
        let home = tempfile::tempdir().unwrap();
        let plain = home.path().join("plain");
        let atomic = home.path().join("atomic");
        fs::write(&plain, "").unwrap();
        write_atomic(&atomic, "").unwrap();
        let mode = |p| fs::metadata(p).unwrap().permissions().mode();
        assert_eq!(mode(atomic), mode(plain));
    }
}
