//! What can be wrong with a data set of another program.

use std::{io, path::PathBuf};

/// A data set that cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum DatasetError {
    /// No form is known by its looks.
    #[error("{} is of no known form", path.display())]
    UnknownForm {
        /// What was given.
        path: PathBuf,
    },
    /// A file that is not of the form.
    #[error("{} is no {form}: {problem}", path.display())]
    NotOfForm {
        /// The file.
        path: PathBuf,
        /// The form.
        form: &'static str,
        /// What is wrong.
        problem: String,
    },
    /// A row that is not of the form.
    #[error("{}, {place}: {problem}", path.display())]
    Row {
        /// The file.
        path: PathBuf,
        /// Line, row or member.
        place: String,
        /// What is wrong.
        problem: String,
    },
    /// A file cannot be handled.
    #[error("cannot {operation} {}", path.display())]
    Io {
        /// What was tried.
        operation: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Two videos for one row.
    #[error("both {} and {} are named after `{key}`", first.display(), second.display())]
    TwoVideos {
        /// The row's id.
        key: String,
        /// One.
        first: PathBuf,
        /// The other.
        second: PathBuf,
    },
    /// Archives without a folder to unpack their videos to.
    #[error("the videos of {} have no folder to be unpacked to", path.display())]
    Nowhere {
        /// The archives.
        path: PathBuf,
    },
    /// Nothing to import.
    #[error("{} holds no task", path.display())]
    Empty {
        /// The source.
        path: PathBuf,
    },
    /// A folder of an export that holds something.
    #[error("{} is not empty", path.display())]
    NotEmpty {
        /// The folder.
        path: PathBuf,
    },
    /// An export without videos.
    #[error("none of the tasks has a video")]
    NoVideos,
}

impl DatasetError {
    /// What to do next, where the message does not say so itself.
    pub(crate) fn hint(&self) -> Option<&'static str> {
        Some(match self {
            Self::UnknownForm { .. } => {
                "name it with --form: panda-70m (CSV), vidgen-1m (JSON), webdataset (a .tar or a folder of them), \
                 video-folder (a folder with metadata.csv, .jsonl or .parquet), list (.txt, a prompt a line; or CSV \
                 with a column `prompt`)"
            }
            Self::NotOfForm { .. } => "name the right form with --form, or mend the file",
            Self::Row { .. } => "correct or remove it",
            Self::TwoVideos { .. } => "remove or rename one of them",
            Self::Nowhere { .. } => "name one with --videos",
            Self::Empty { .. } => "look whether it is the right file",
            Self::NotEmpty { .. } => "choose a new folder for the export",
            Self::NoVideos => "generate some first (`squbed generate`), or export later",
            Self::Io { .. } => return None,
        })
    }
}
