//! Rust itself, and the crates of the lock file.

use super::already;
use crate::{
    exec::{Exec, Failure},
    steps::Outcome,
    workspace::{Version, Workspace},
};

/// Compares the compiler with the workspace's `rust-version`; adds missing `components` through rustup.
pub(super) fn check(workspace: &Workspace, components: &[&str]) -> Result<Outcome, Failure> {
    let needed = workspace.rust_version()?;
    let update = format!(
        "install Rust {needed} or newer: `rustup update stable`, or https://rustup.rs where there is no rustup \
         (the system's own cargo package is usually older)"
    );
    for program in ["rustc", "cargo"] {
        let line = Exec::new(program)
            .arg("--version")
            .capture()
            .map_err(|error| Failure::new(error, update.as_str()))?;
        match Version::in_words(&line) {
            Some(version) if version >= needed => {}
            _ => {
                return Err(Failure::new(
                    format!("{program} is too old: {line}; squbed needs {needed}"),
                    update,
                ));
            }
        }
    }
    for component in components {
        let command = component.trim_start_matches("rust");
        if Exec::new("cargo").args([command, "--version"]).succeeds() {
            continue;
        }
        Exec::new("rustup").args(["component", "add", component]).run().map_err(|error| {
            Failure::new(
                format!("`cargo {command}` is missing and could not be added: {error}"),
                format!("with network: `rustup component add {component}`; then run again"),
            )
        })?;
    }
    already(format!(
        "{}; at least {needed} is needed",
        Exec::words("rustc --version").output().unwrap_or_default()
    ))
}

/// Downloads what the lock file names, so that nothing after it needs a registry. Other platforms' crates are
/// few and come along: cargo-deny looks at them too.
pub(super) fn fetch_crates(workspace: &Workspace) -> Result<Outcome, Failure> {
    let fetch = workspace.cargo("fetch --locked --quiet");
    if fetch.clone().arg("--offline").succeeds() {
        return already("every crate of Cargo.lock is on this machine");
    }
    fetch.run().map_err(|error| {
        Failure::new(
            error,
            "network: cargo needs crates.io once, or a mirror named in ~/.cargo/config.toml;\n\
             if cargo says that the lock file needs to be updated, Cargo.toml and Cargo.lock do not belong together: \
             restore Cargo.lock",
        )
    })?;
    Ok(Outcome::Done("crates of Cargo.lock downloaded".to_owned()))
}
