//! Files that have an end when they are read, and appear whole or not at all when they are written, also when the process is killed or the power fails.
//!
//! A file is written under a temporary name in the folder of its own, brought to the disk and renamed. Its
//! writer holds a lock on it; what nobody holds is the leftover of a killed process and is removed by the next one
//! that writes into that folder. Errors are the system's; the caller, who knows what the file is, names it.

use std::{
    collections::HashSet,
    fs::{self, File},
    io::{self, BufWriter, Read, Write},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use tempfile::{Builder, NamedTempFile};

/// Start and end of the name of a file that is being written; nothing ever reads one.
const PREFIX: &str = ".squbed-";
const SUFFIX: &str = ".tmp";

/// Opens a file to be read to its end. A pipe, a device or a folder, whose end may never come, is refused.
///
/// # Errors
///
/// What the system answers; what is no regular file.
pub fn open(path: &Path) -> io::Result<File> {
    // Before it is opened: to open a pipe is to wait for its writer.
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file"));
    }
    File::open(path)
}

/// A path with its first `~` as a shell would have it: `~` alone and what begins with `~/` lie in the user's folder, where the
/// system names one. Others, such as `~name/`, stay as they are.
pub fn expand_home(path: &Path) -> PathBuf {
    match (path.strip_prefix("~"), std::env::home_dir()) {
        (Ok(rest), Some(home)) if !home.as_os_str().is_empty() => home.join(rest),
        _ => path.to_owned(),
    }
}

/// The bytes of a file that [`open`] takes.
///
/// # Errors
///
/// As [`open`].
pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open(path)?.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Writes `bytes` to `path`. Missing folders are made; a file of that name is replaced. On an error nothing
/// stays behind, and an older file stands as it was.
///
/// # Errors
///
/// What the system answers.
pub fn write(path: &Path, bytes: impl AsRef<[u8]>) -> io::Result<()> {
    write_with(path, |writer| writer.write_all(bytes.as_ref()))
}

/// [`write()`] for what is written piece by piece; `pieces` gets a buffered writer.
///
/// # Errors
///
/// What the system or `pieces` answers.
pub fn write_with(
    path: &Path,
    pieces: impl FnOnce(&mut BufWriter<&File>) -> io::Result<()>,
) -> io::Result<()> {
    let partial = Partial::beside(path)?;
    let mut writer = BufWriter::with_capacity(1 << 16, partial.file.as_file());
    pieces(&mut writer)?;
    writer.flush()?;
    drop(writer);
    partial.commit()
}

/// A file under its temporary name; removed where it is dropped before [`commit`](Self::commit).
#[derive(Debug)]
pub struct Partial {
    file: NamedTempFile,
    target: PathBuf,
}

impl Partial {
    /// An empty file in the folder of `target`, which is made where it is missing.
    ///
    /// # Errors
    ///
    /// What the system answers; a `target` that is no file's name.
    pub fn beside(target: &Path) -> io::Result<Self> {
        if target.file_name().is_none() {
            return Err(io::ErrorKind::InvalidFilename.into());
        }
        let folder = folder_of(target);
        fs::create_dir_all(folder)?;
        sweep_once(folder);
        loop {
            let file = temporary_in(folder)?;
            // Where a system has no locks, nothing is held, and nothing is swept.
            let _ = file.as_file().try_lock();
            // Between its making and its lock another process may have swept it.
            if fs::exists(file.path())? {
                return Ok(Self { file, target: target.to_owned() });
            }
        }
    }

    /// The temporary name, for a writer that opens its file itself.
    pub fn path(&self) -> &Path {
        self.file.path()
    }

    /// Brings the file to the disk and gives it its name.
    ///
    /// # Errors
    ///
    /// What the system answers; the file is removed then.
    pub fn commit(self) -> io::Result<()> {
        self.file.as_file().sync_all()?;
        self.file.persist(&self.target).map_err(|refused| refused.error)?;
        sync_folder(folder_of(&self.target))
    }
}

/// Finds out whether files can be written into `folder`, which need not be there yet, before the work whose results go
/// there. Nothing is made that stays, missing folders neither.
///
/// # Errors
///
/// What the system answers; a file in the place of the folder, or of one that it lies in.
pub fn check_folder(folder: &Path) -> io::Result<()> {
    // An empty path stands for the current folder.
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    for place in folder.ancestors() {
        let place = if place.as_os_str().is_empty() { Path::new(".") } else { place };
        match fs::metadata(place) {
            Ok(found) if found.is_dir() => return tempfile::tempfile_in(place).map(drop),
            Ok(_) => {
                let why = format!("`{}` is a file where a folder is needed", place.display());
                return Err(io::Error::new(io::ErrorKind::NotADirectory, why));
            }
            // Below a file there is nothing either; the next one up says so.
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::ErrorKind::NotFound.into())
}

/// [`check_folder`] for the folder of a file, whose own place no folder may have.
///
/// # Errors
///
/// As [`check_folder`]; a folder of that name.
pub fn check_file(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        let why = format!("`{}` is a folder where a file is needed", path.display());
        return Err(io::Error::new(io::ErrorKind::IsADirectory, why));
    }
    check_folder(folder_of(path))
}

/// The folder that a file lies in.
pub fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if folder.as_os_str().is_empty() => Path::new("."),
        Some(folder) => folder,
        None => Path::new("/"),
    }
}

fn temporary_in(folder: &Path) -> io::Result<NamedTempFile> {
    let mut builder = Builder::new();
    builder.prefix(PREFIX).suffix(SUFFIX);
    #[cfg(unix)]
    {
        // As any other new file; the default, 0600, would lock colleagues out of a shared cache.
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(fs::Permissions::from_mode(0o666));
    }
    builder.tempfile_in(folder)
}

/// [`sweep`], once a process and folder.
fn sweep_once(folder: &Path) {
    static SWEPT: Mutex<Option<HashSet<PathBuf>>> = Mutex::new(None);
    let mut swept = SWEPT.lock().unwrap_or_else(PoisonError::into_inner);
    if swept.get_or_insert_default().insert(folder.to_owned()) {
        sweep(folder);
    }
}

/// Removes what killed processes left in a folder. A leftover that cannot be removed harms nobody, so that no error
/// is told.
fn sweep(folder: &Path) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let ours = name.to_str().is_some_and(|name| name.starts_with(PREFIX) && name.ends_with(SUFFIX));
        if ours && let Ok(file) = File::open(entry.path()) {
            // Its writer, alive, would hold it.
            if file.try_lock().is_ok() {
                let _ = fs::remove_file(entry.path());
            }
        }
    }
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
        write(&path, "one").unwrap();
        write(&path, "two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(names(path.parent().unwrap()), ["x.txt"]);
    }

    #[test]
    fn an_error_midway_leaves_the_old_file_and_nothing_else() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("x.txt");
        write(&path, "old").unwrap();
        let error = write_with(&path, |w| {
            w.write_all(&[7; 1 << 20])?;
            Err(io::Error::other("no more"))
        })
        .unwrap_err();
        assert_eq!(error.to_string(), "no more");
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(names(home.path()), ["x.txt"]);
    }

    #[test]
    fn a_folder_in_the_way_and_a_name_that_is_none_are_errors() {
        let home = tempfile::tempdir().unwrap();
        fs::create_dir_all(home.path().join("x/y")).unwrap();
        assert!(write(&home.path().join("x"), "").is_err());
        assert_eq!(names(home.path()), ["x"]);
        let error = write(&home.path().join(".."), "").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidFilename);
    }

    #[test]
    fn what_cannot_be_written_is_known_before_and_nothing_is_left_by_asking() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("file");
        fs::write(&file, "").unwrap();
        check_folder(home.path()).unwrap();
        check_folder(&home.path().join("not/yet")).unwrap();
        check_file(&home.path().join("not/yet.txt")).unwrap();
        check_file(&file).unwrap();
        check_folder(Path::new("")).unwrap();
        check_file(Path::new("x")).unwrap();
        for below in [file.clone(), file.join("deep"), file.join("deep/er")] {
            let error = check_folder(&below).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::NotADirectory, "{error}");
            assert!(error.to_string().contains(file.to_str().unwrap()), "{error}");
        }
        assert_eq!(check_file(home.path()).unwrap_err().kind(), io::ErrorKind::IsADirectory);
        assert_eq!(names(home.path()), ["file"]);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_folder_that_takes_no_files_is_known_before() {
        // Not even root writes there.
        assert!(check_folder(Path::new("/sys/squbed")).is_err());
    }

    #[cfg(unix)]
    #[test]
    fn others_may_read_it_as_far_as_the_umask_allows() {
        use std::os::unix::fs::PermissionsExt;
        let home = tempfile::tempdir().unwrap();
        let plain = home.path().join("plain");
        let whole = home.path().join("whole");
        fs::write(&plain, "").unwrap();
        write(&whole, "").unwrap();
        let mode = |p| fs::metadata(p).unwrap().permissions().mode();
        assert_eq!(mode(whole), mode(plain));
    }

    #[test]
    fn leftovers_of_the_dead_are_swept_and_the_files_of_the_living_stay() {
        let home = tempfile::tempdir().unwrap();
        let dead = home.path().join(".squbed-dead.tmp");
        let stranger = home.path().join(".other-dead.tmp");
        for path in [&dead, &stranger] {
            fs::write(path, "half").unwrap();
        }
        // Opened on its own, as by another process: a lock belongs to what was opened.
        let alive = home.path().join(".squbed-alive.tmp");
        let held = File::create(&alive).unwrap();
        held.lock().unwrap();
        write(&home.path().join("x"), "").unwrap();
        assert!(!dead.exists() && alive.exists() && stranger.exists());
        drop(held);
        sweep(home.path());
        assert!(!alive.exists());
    }

    #[cfg(unix)]
    #[test]
    fn what_may_have_no_end_is_not_read() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("x");
        fs::write(&path, "abc").unwrap();
        assert_eq!(read(&path).unwrap(), b"abc");
        for endless in [Path::new("/dev/zero"), home.path()] {
            assert_eq!(read(endless).unwrap_err().to_string(), "it is no regular file");
        }
        assert_eq!(read(&home.path().join("y")).unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn a_writer_holds_its_file() {
        let home = tempfile::tempdir().unwrap();
        let partial = Partial::beside(&home.path().join("x")).unwrap();
        sweep(home.path());
        assert!(partial.path().exists());
        // As a library does that opens the name itself.
        fs::write(partial.path(), "frames").unwrap();
        partial.commit().unwrap();
        assert_eq!(fs::read(home.path().join("x")).unwrap(), b"frames");
        assert_eq!(names(home.path()), ["x"]);
    }
}
