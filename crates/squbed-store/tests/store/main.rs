//! The store as its users see it.

mod cache;
mod cache_damage;
mod embeddings;
mod npy;
mod results;
mod safetensors;
mod tasks;

use std::path::PathBuf;

/// A file made by other programs, see `tests/golden/store/README.md`.
fn golden(name: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/store")).join(name)
}

/// An error with its causes, the folder of the test left out.
fn told(error: &dyn std::error::Error, folder: &std::path::Path) -> String {
    let causes: Vec<String> =
        std::iter::successors(Some(error), |&e| e.source()).map(ToString::to_string).collect();
    causes.join(": ").replace(&format!("{}/", folder.display()), "")
}
