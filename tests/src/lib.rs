//! What tests of the whole workspace share: where it lies, what cargo says of it, the files in it.

pub mod parity;

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use serde::Deserialize;

/// Root of the checkout.
pub fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_owned()
}

/// A file of the checkout as text.
///
/// # Panics
///
/// Where the file is not there or not UTF-8, with its path.
pub fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// What `cargo metadata` says, as far as tests ask.
#[derive(Debug, Deserialize)]
pub struct Metadata {
    /// Members of the workspace; all packages where dependencies were asked for.
    pub packages: Vec<Package>,
}

/// A package.
#[derive(Debug, Deserialize)]
pub struct Package {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The registry it comes from; none for members.
    pub source: Option<String>,
    /// The least Rust it states.
    pub rust_version: Option<String>,
    /// One or two lines about it.
    pub description: Option<String>,
    /// All of them: normal, build and dev, optional ones and those of other platforms too.
    pub dependencies: Vec<Dependency>,
}

/// A dependency as its package states it.
#[derive(Debug, Deserialize)]
pub struct Dependency {
    /// Name of the package depended on.
    pub name: String,
    /// Where it lies, if it is a member of the workspace.
    pub path: Option<PathBuf>,
}

/// `cargo metadata` with these further arguments, without network.
///
/// # Panics
///
/// Where cargo fails, with its message.
pub fn metadata(args: &[&str]) -> Metadata {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--offline", "--locked"])
        .args(args)
        .current_dir(root())
        .output()
        .unwrap_or_else(|error| panic!("cargo metadata: {error}"));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "cargo metadata: {stderr}\nhint: run `cargo xtask setup`");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("cargo metadata: {error}"))
}

/// Paths, relative to the root and sorted, of the files that are the project's own text: no build output,
/// no expectations of tests, no folder that git ignores.
pub fn sources() -> Vec<PathBuf> {
    let root = root();
    let mut files = Vec::new();
    let mut folders: Vec<PathBuf> = ["crates", "tests", "benches", "models", "scripts", ".ci", ".cargo"]
        .iter()
        .map(|name| root.join(name))
        .collect();
    files.extend(entries(&root).into_iter().filter(|path| path.is_file()));
    while let Some(folder) = folders.pop() {
        for path in entries(&folder) {
            if !path.is_dir() {
                files.push(path);
            } else if !path.ends_with("tests/golden")
                && !path.ends_with("__pycache__")
                && !path.ends_with("target")
            {
                folders.push(path);
            }
        }
    }
    let text = ["rs", "md", "toml", "py", "html", "css", "js", "run"];
    let mut files: Vec<PathBuf> = files
        .into_iter()
        .filter(|path| {
            text.iter().any(|end| path.extension().map_or(path.ends_with(end), |found| found == *end))
        })
        .filter_map(|path| path.strip_prefix(&root).map(Path::to_owned).ok())
        .collect();
    files.sort();
    files
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    std::fs::read_dir(folder)
        .map(|found| found.flatten().map(|entry| entry.path()).collect())
        .unwrap_or_default()
}
