//! The Python whose pip fetches from PyPI.

use std::path::Path;

use crate::{
    exec::{Exec, Failure},
    workspace::{Version, Workspace},
};

/// The least Python asked for: the oldest that both systems of the set-up bring is newer.
const LEAST: Version = Version([3, 8, 0]);

/// `$PYTHON`, else `python3`, where it is recent enough.
pub(super) fn interpreter() -> Option<String> {
    let named = std::env::var("PYTHON").ok().filter(|name| !name.is_empty());
    let name = named.unwrap_or_else(|| "python3".to_owned());
    let version = Exec::new(&name).arg("--version").output()?;
    (Version::in_words(&version)? >= LEAST).then_some(name)
}

/// Whether pip is there, or the modules that make a virtual environment with one.
pub(super) fn can_have_pip() -> bool {
    interpreter().is_some_and(|python| has_pip(&python) || succeeds(&python, "import ensurepip, venv"))
}

/// A Python with pip. Where the machine's own has none, a virtual environment under the home is made once.
pub(crate) fn with_pip(workspace: &Workspace) -> Result<String, Failure> {
    let python = interpreter().ok_or_else(|| {
        Failure::new(
            format!("there is no Python {LEAST} or newer"),
            "install python3 with pip, or name an interpreter in PYTHON",
        )
    })?;
    if has_pip(&python) {
        return Ok(python);
    }
    let folder = workspace.home.join("python");
    let inside = folder.join("bin/python3").to_string_lossy().into_owned();
    if !has_pip(&inside) {
        Exec::new(&python).args(["-m", "venv", "--clear"]).arg(&folder).run().map_err(|error| {
            Failure::new(
                error,
                "install pip or venv: on Debian and Ubuntu, as root, `apt-get install python3-pip`",
            )
        })?;
    }
    Ok(inside)
}

/// `python -m pip download` of one exact requirement, its own files alone. Being managed by the system
/// (PEP 668) does not stop a download.
pub(super) fn download(python: &str, requirement: &str, folder: &Path) -> Result<(), Failure> {
    Exec::new(python)
        .args(["-m", "pip", "--disable-pip-version-check", "download", "--quiet", "--no-deps"])
        .args(["--only-binary=:all:", "--dest"])
        .arg(folder)
        .arg(requirement)
        .run()
        .map_err(|error| {
            Failure::new(
                error,
                "network: pip needs PyPI once, or a mirror (PIP_INDEX_URL, or index-url in pip's configuration);\n\
                 for a machine without network copy SQUBED_HOME from one that has run `cargo xtask setup`",
            )
        })
}

fn has_pip(python: &str) -> bool {
    Exec::new(python).args(["-m", "pip", "--version"]).succeeds()
}

fn succeeds(python: &str, program: &str) -> bool {
    Exec::new(python).args(["-c", program]).succeeds()
}
