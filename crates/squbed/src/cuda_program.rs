//! The program `squbed-cuda` beside `squbed`.
//!
//! A program that is linked with CUDA's libraries does not start where they are not. So the one that everybody has is built
//! without them, and hands commands for a CUDA device over to a second one, `squbed-cuda`, that `cargo xtask build-cuda`
//! makes: only who asks for such a device needs the libraries, and is told which one is missing.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use serde::Serialize;

/// Its name, beside this program.
pub const NAME: &str = "squbed-cuda";

/// Why it cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CudaProgramError {
    /// The loader misses a library.
    #[error("{} does not start: the library {library} is not found", program.display())]
    Library {
        /// The program.
        program: PathBuf,
        /// The library's file name.
        library: String,
    },
    /// It does not run, or does not say its version.
    #[error("{} does not start: {why}", program.display())]
    Start {
        /// The program.
        program: PathBuf,
        /// What it or the system said.
        why: String,
    },
    /// It was built from other sources.
    #[error("{} is of version {found}, and this program of {}", program.display(), env!("CARGO_PKG_VERSION"))]
    Version {
        /// The program.
        program: PathBuf,
        /// What it says.
        found: String,
    },
}

impl CudaProgramError {
    /// What to do about it.
    pub fn hint(&self) -> String {
        match self {
            Self::Library { library, .. } if library.starts_with("libcuda.") => {
                format!(
                    "{library} comes with NVIDIA's driver, version 580 or newer: install it, or use --device cpu"
                )
            }
            Self::Library { library, .. } => {
                let package = if library.starts_with("libcudnn") { "cuDNN 9" } else { "CUDA 13" };
                format!(
                    "{library} is a part of {package}: install it, or name its folder in LD_LIBRARY_PATH \
                     (pip's packages have it in site-packages/nvidia/*/lib); or use --device cpu"
                )
            }
            Self::Start { .. } | Self::Version { .. } => {
                "`cargo xtask build-cuda` makes it anew; or use --device cpu".to_owned()
            }
        }
    }
}

/// What `squbed devices` says of it.
#[derive(Clone, Debug, Serialize)]
pub struct CudaProgramReport {
    /// Where it lies, or would lie.
    pub path: Option<PathBuf>,
    /// Whether commands for CUDA devices are handed over to it.
    pub usable: bool,
    /// Why not.
    pub note: Option<String>,
}

/// The program that does commands for CUDA devices in the place of this one; none where this one does them itself, or
/// where there is none beside it.
///
/// # Errors
///
/// It is there and does not start, or is of another version.
pub fn find() -> Result<Option<PathBuf>, CudaProgramError> {
    match place() {
        Some((own, program)) if !cfg!(feature = "cuda") && is_another(&own, &program) => {
            check(&program)?;
            Ok(Some(program))
        }
        _ => Ok(None),
    }
}

/// What there is to say of it.
pub fn report() -> CudaProgramReport {
    let path = place().map(|(_, program)| program);
    let told = |usable, note| CudaProgramReport { path: path.clone(), usable, note };
    match find() {
        Ok(Some(_)) => told(true, None),
        Ok(None) if cfg!(feature = "cuda") => told(false, Some("not needed: CUDA is built in".to_owned())),
        Ok(None) => told(false, Some("not there; `cargo xtask build-cuda` makes it".to_owned())),
        Err(error) => told(false, Some(format!("{error}; {}", error.hint()))),
    }
}

/// This program, and the other one beside it.
fn place() -> Option<(PathBuf, PathBuf)> {
    let own = fs::canonicalize(env::current_exe().ok()?).ok()?;
    let program = own.with_file_name(format!("{NAME}{}", env::consts::EXE_SUFFIX));
    Some((own, program))
}

/// Whether `program` is there and is not `own` under another name, which would start itself for ever.
fn is_another(own: &Path, program: &Path) -> bool {
    fs::canonicalize(program).is_ok_and(|program| program != own)
}

/// Starts it to have it say its version.
fn check(program: &Path) -> Result<(), CudaProgramError> {
    let failed = |why: String| CudaProgramError::Start { program: program.to_owned(), why };
    let output = Command::new(program)
        .arg("--version")
        // The loader's words, in English.
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .output()
        .map_err(|error| failed(error.to_string()))?;
    let errors = String::from_utf8_lossy(&output.stderr);
    if let Some(library) = missing_library(&errors) {
        return Err(CudaProgramError::Library { program: program.to_owned(), library });
    }
    if !output.status.success() {
        return Err(failed(
            format!("{}; {}", output.status, errors.trim()).trim_end_matches("; ").to_owned(),
        ));
    }
    let said = String::from_utf8_lossy(&output.stdout);
    match said.split_whitespace().nth(1) {
        Some(env!("CARGO_PKG_VERSION")) => Ok(()),
        other => {
            let found = other.unwrap_or("no number").to_owned();
            Err(CudaProgramError::Version { program: program.to_owned(), found })
        }
    }
}

/// The library that the loader of glibc, or that of musl, does not find.
fn missing_library(errors: &str) -> Option<String> {
    let name = |rest: &str| rest.split([':', ' ']).next().map(str::to_owned);
    errors.lines().find_map(|line| {
        let glibc = line.split_once("error while loading shared libraries: ");
        let musl = line.split_once("Error loading shared library ");
        glibc.or(musl).and_then(|(_, rest)| name(rest))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loaders_words_name_the_library() {
        let glibc = "squbed-cuda: error while loading shared libraries: libcublas.so.13: cannot open shared object file: No such file or directory";
        assert_eq!(missing_library(glibc).as_deref(), Some("libcublas.so.13"));
        let musl =
            "Error loading shared library libcuda.so.1: No such file or directory (needed by squbed-cuda)";
        assert_eq!(missing_library(musl).as_deref(), Some("libcuda.so.1"));
        assert_eq!(missing_library("error: no such option"), None);
    }

    #[test]
    fn a_missing_library_says_where_it_comes_from() {
        let hint = |library: &str| {
            CudaProgramError::Library { program: NAME.into(), library: library.to_owned() }.hint()
        };
        assert!(hint("libcuda.so.1").contains("driver"));
        assert!(hint("libcudnn.so.9").contains("cuDNN 9") && hint("libcublas.so.13").contains("CUDA 13"));
    }
}
