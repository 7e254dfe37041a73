//! What must be there before anything else works: a recent Rust, packages of the system, the crates, the
//! test videos and the models. Each part looks first and does only what is missing.

mod models;
mod packages;
mod platform;
pub(crate) mod python;
mod toolchain;
mod videos;

use std::{
    io,
    path::{Path, PathBuf},
    process::ExitCode,
};

use crate::{
    exec::Failure,
    steps::{Outcome, Steps, seconds},
    workspace::Workspace,
};

pub(crate) use models::{Profile, build};

/// Steps that [`run`] takes.
pub(crate) const STEPS: usize = BUILD_STEPS + 2;

/// Steps that [`to_build`] takes.
pub(crate) const BUILD_STEPS: usize = 3;

/// `cargo xtask setup`.
pub(crate) fn command(workspace: &Workspace) -> Result<ExitCode, Failure> {
    let mut steps = Steps::new(STEPS);
    run(workspace, &mut steps, Profile::Release, &[])?;
    eprintln!("\nset-up is complete after {}; next: cargo xtask demo", seconds(steps.elapsed()));
    Ok(ExitCode::SUCCESS)
}

/// The set-up as the first steps of a command that builds with `profile` and needs these `components` of
/// the toolchain. Every later step needs it, so the first failure ends the command.
pub(crate) fn run(
    workspace: &Workspace,
    steps: &mut Steps,
    profile: Profile,
    components: &[&str],
) -> Result<(), Failure> {
    let downloads = !videos::ready(workspace) || !models::ready(workspace);
    prepare(workspace, steps, components, downloads)?;
    steps.need("test videos", || Ok((videos::fetch(workspace)?, ())))?;
    steps.need("models", || Ok((models::fetch(workspace, profile)?, ())))
}

/// What a build needs, without test videos and models.
pub(crate) fn to_build(workspace: &Workspace, steps: &mut Steps, components: &[&str]) -> Result<(), Failure> {
    prepare(workspace, steps, components, true)
}

/// `downloads` says whether pip will be needed.
fn prepare(
    workspace: &Workspace,
    steps: &mut Steps,
    components: &[&str],
    downloads: bool,
) -> Result<(), Failure> {
    steps.need("Rust toolchain", || Ok((toolchain::check(workspace, components)?, ())))?;
    steps.need("packages of the system", || Ok((packages::install(downloads)?, ())))?;
    steps.need("crates", || Ok((toolchain::fetch_crates(workspace)?, ())))
}

/// One line a file below `dir`: path, size, time of change. Equal lists mean that nothing was touched.
fn listing(dir: &Path) -> io::Result<String> {
    let mut files = Vec::new();
    let mut folders = vec![PathBuf::from(dir)];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder)? {
            let path = entry?.path();
            // Follows links: what they point at is what will be read.
            let meta = std::fs::metadata(&path)?;
            if meta.is_dir() {
                folders.push(path);
            } else {
                let changed = meta.modified()?.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
                files.push(format!("{} {} {}", path.display(), meta.len(), changed.as_nanos()));
            }
        }
    }
    files.sort();
    Ok(files.join("\n"))
}

/// Whether the stamp `name` says that `dirs` are as they were when they were last found good.
fn unchanged(workspace: &Workspace, name: &str, dirs: &[PathBuf]) -> bool {
    match (std::fs::read_to_string(workspace.stamp(name)), listings(dirs)) {
        (Ok(noted), Ok(now)) => noted == now,
        _ => false,
    }
}

/// Notes that `dirs` are good as they are. Without the note they are only looked through again next time,
/// so a failure to write it is no failure of the set-up.
fn note(workspace: &Workspace, name: &str, dirs: &[PathBuf]) {
    let stamp = workspace.stamp(name);
    if let (Some(folder), Ok(now)) = (stamp.parent(), listings(dirs)) {
        let _ = std::fs::create_dir_all(folder).and_then(|()| std::fs::write(&stamp, now));
    }
}

fn listings(dirs: &[PathBuf]) -> io::Result<String> {
    Ok(dirs.iter().map(|dir| listing(dir)).collect::<io::Result<Vec<_>>>()?.join("\n"))
}

/// A step without work.
fn already(what: impl Into<String>) -> Result<Outcome, Failure> {
    Ok(Outcome::Already(what.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_holds_until_a_file_changes() {
        let root = std::env::temp_dir().join(format!("xtask-stamp-{}", std::process::id()));
        let dir = root.join("model/inner");
        std::fs::create_dir_all(&dir).unwrap();
        let workspace = Workspace { root: root.clone(), target: root.join("target"), home: root.clone() };
        let dirs = [root.join("model")];
        std::fs::write(dir.join("weights"), "one").unwrap();
        assert!(!unchanged(&workspace, "models", &dirs), "no stamp yet");
        note(&workspace, "models", &dirs);
        assert!(unchanged(&workspace, "models", &dirs));
        std::fs::write(dir.join("weights"), "three").unwrap();
        assert!(!unchanged(&workspace, "models", &dirs), "a file changed");
        note(&workspace, "models", &dirs);
        std::fs::remove_dir_all(root.join("model")).unwrap();
        assert!(!unchanged(&workspace, "models", &dirs), "the folder is gone");
        std::fs::remove_dir_all(&root).unwrap();
    }
}
