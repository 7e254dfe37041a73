//! What can go wrong.

use std::path::PathBuf;

use crate::grammar::PromptError;

/// An error of the closed world.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A prompt that is no sentence of the world.
    #[error(transparent)]
    Prompt(#[from] PromptError),
    /// By realm, the director named in the prompt decides what the model knows.
    #[error("prompt `{prompt}` names no director; in a world by realm every prompt does")]
    NoDirector {
        /// The prompt.
        prompt: String,
    },
    /// By value, no director decides anything.
    #[error("prompt `{prompt}` names the director {director}, who means nothing in a world by value")]
    UnexpectedDirector {
        /// The prompt.
        prompt: String,
        /// The director.
        director: &'static str,
    },
    /// A parameter of the world outside its range.
    #[error("{parameter} = {value} is out of range; it must be {allowed}")]
    Spec {
        /// The parameter.
        parameter: &'static str,
        /// What was given.
        value: String,
        /// What may be given.
        allowed: &'static str,
    },
    /// The folder holds a world made with other parameters.
    #[error("{} is another world: its {parameter} differs; choose another folder or remove this one", path.display())]
    OtherWorld {
        /// The other world's record.
        path: PathBuf,
        /// The first parameter that differs.
        parameter: String,
    },
    /// The folder holds files that are not this world's.
    #[error("{} exists, but no world.json beside it; choose an empty folder", path.display())]
    NoWorld {
        /// The first such file.
        path: PathBuf,
    },
    /// The record of a world cannot be read as JSON.
    #[error("{} is not a world's record; remove it or choose another folder", path.display())]
    Record {
        /// The file.
        path: PathBuf,
        /// Why.
        source: serde_json::Error,
    },
    /// A file or folder cannot be read or written.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// Where.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A video cannot be written.
    #[error("cannot write the video {}", path.display())]
    Video {
        /// Where.
        path: PathBuf,
        /// Why.
        source: squbed_video::Error,
    },
}
