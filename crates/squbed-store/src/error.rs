//! What can go wrong on disk.

use std::{
    fmt, io,
    path::{Path, PathBuf},
};

use parquet::errors::ParquetError;
use squbed_core::TaskError;

use crate::{cache::RowProblem, columns::WRITE_AGAIN, npy::NpyError};

/// This crate's results.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Where something stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// In a text file.
    Line {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
    },
    /// In a table.
    Row {
        /// The file.
        path: PathBuf,
        /// Row, from 1.
        row: usize,
    },
    /// In a folder tree.
    Folder {
        /// The folder.
        path: PathBuf,
    },
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line { path, line } => write!(f, "`{}`, line {line}", path.display()),
            Self::Row { path, row } => write!(f, "`{}`, row {row}", path.display()),
            Self::Folder { path } => write!(f, "`{}`", path.display()),
        }
    }
}

/// An error of the store. Each prints its own layer; `source()` has the rest.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The operating system refused.
    #[error("cannot {operation} `{}`", path.display())]
    Io {
        /// What was tried, e.g. `read`.
        operation: &'static str,
        /// On what.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// An ending that no table of embeddings has.
    #[error(
        "`{}` does not say in which form to write embeddings; end its name with .npy, .safetensors, .parquet, .json or .jsonl",
        path.display()
    )]
    EmbeddingFormat {
        /// The file.
        path: PathBuf,
    },
    /// Keys that do not fit into the header of a safetensors file.
    #[error(
        "the {keys} keys of `{}` take {bytes} bytes, more than the {most} of a safetensors header; write .parquet",
        path.display()
    )]
    Keys {
        /// The file.
        path: PathBuf,
        /// Their number.
        keys: usize,
        /// Bytes that they take.
        bytes: usize,
        /// Bytes that may be.
        most: usize,
    },
    /// A line of JSON Lines is not what it should be.
    #[error("`{}`, line {line}, column {column}: {problem}; {remedy}", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// Byte in the line, from 1.
        column: usize,
        /// What is wrong, with the field and the value.
        problem: String,
        /// What belongs there.
        remedy: &'static str,
    },
    /// A list of tasks in another form.
    #[error("`{}` is {form}, where tasks are wanted as JSON Lines, one object a line, or as Parquet; {remedy}", path.display())]
    NotJsonLines {
        /// The file.
        path: PathBuf,
        /// What it is.
        form: &'static str,
        /// How to make of it what is wanted.
        remedy: &'static str,
    },
    /// A value has no form in JSON.
    #[error("cannot write row {row} of `{}` as JSON", path.display())]
    ToJson {
        /// The file.
        path: PathBuf,
        /// Row, from 1.
        row: usize,
        /// Why.
        source: serde_json::Error,
    },
    /// A task cannot be used.
    #[error("{place}: not a usable task; correct it or take it out")]
    Task {
        /// Where it stands.
        place: Place,
        /// What is wrong with it.
        source: TaskError,
    },
    /// Two tasks share an id.
    #[error("task id `{id}` is given twice, in {first} and in {second}; give each task its own")]
    DuplicateId {
        /// The id.
        id: String,
        /// Where it stands first.
        first: Place,
        /// Where it stands again.
        second: Place,
    },
    /// A list of tasks without a task.
    #[error("`{}` holds no task; give JSON Lines or Parquet with one task a row, or a folder with one folder a task", path.display())]
    NoTasks {
        /// The file or folder.
        path: PathBuf,
    },
    /// A folder of a folder tree has no prompt.
    #[error("`{}` has no prompt.txt; write its prompt there, or move the folder away if it holds no task", path.display())]
    NoPrompt {
        /// The folder.
        path: PathBuf,
    },
    /// A closed world whose videos are not all drawn yet, so that it has no list of tasks.
    #[error(
        "the closed world in `{0}` is not finished, it has no tasks.jsonl; finish it by the same \
         `squbed sim world … --out {0}`", path.display()
    )]
    UnfinishedWorld {
        /// The folder.
        path: PathBuf,
    },
    /// A task folder with more than one true video.
    #[error("`{}` and `{}` are both the ground truth of one task; keep one", first.display(), second.display())]
    TwoGroundTruths {
        /// One of them.
        first: PathBuf,
        /// The other.
        second: PathBuf,
    },
    /// A path that is no UTF-8 cannot be written into a text file.
    #[error("the path `{}` is not valid UTF-8; rename it", path.display())]
    NotUtf8 {
        /// The path, as far as it can be shown.
        path: PathBuf,
    },
    /// A file is no Parquet, or a damaged one.
    #[error("cannot read `{}` as Parquet; it may be cut short, or hold something else", path.display())]
    Parquet {
        /// The file.
        path: PathBuf,
        /// Why.
        source: ParquetError,
    },
    /// A Parquet file is compressed in a way that this program does not read.
    #[error("`{}` is compressed with {codec}, {WRITE_AGAIN}", path.display())]
    Codec {
        /// The file.
        path: PathBuf,
        /// The compression.
        codec: String,
    },
    /// A column of a table is absent or of another type.
    #[error("`{}`: column `{column}` should be {expected}, found {found}", path.display())]
    Column {
        /// The file.
        path: PathBuf,
        /// The column, with its parents before dots.
        column: String,
        /// The type it should have.
        expected: &'static str,
        /// The type it has, or `nothing`.
        found: String,
    },
    /// A cell that must not be empty is.
    #[error("{place}: column `{column}` is null; fill it")]
    Null {
        /// Where.
        place: Place,
        /// The column, with its parents before dots.
        column: String,
    },
    /// A row that the cache does not take.
    #[error("the embedding of `{item}` cannot be cached")]
    CacheRow {
        /// Its `source`.
        item: String,
        /// Why.
        source: RowProblem,
    },
    /// A `.npy` file that cannot be read.
    #[error("cannot read the array in `{}`", path.display())]
    Npy {
        /// The file.
        path: PathBuf,
        /// Why.
        source: NpyError,
    },
    /// A damaged safetensors file.
    #[error("cannot read `{}` as safetensors; fetch or write it again", path.display())]
    Safetensors {
        /// The file.
        path: PathBuf,
        /// Why.
        source: ::safetensors::SafeTensorError,
    },
    /// The tensor asked for is not in the file, or none was named where there are several.
    #[error("`{}` has {}; {}", path.display(), match names.len() {
        0 => "no tensor".to_owned(),
        _ => format!("the tensors {}", names.join(", ")),
    }, match wanted {
        Some(wanted) => format!("there is no `{wanted}`"),
        None if names.is_empty() => "write it again with its embeddings".to_owned(),
        None => "keep one, or name one".to_owned(),
    })]
    TensorName {
        /// The file.
        path: PathBuf,
        /// The tensor asked for.
        wanted: Option<String>,
        /// The tensors in the file, in order.
        names: Vec<String>,
    },
    /// A tensor of a type that is not read.
    #[error("`{}`: tensor `{name}` has the type {dtype}; give F32, F64 or I64", path.display())]
    TensorType {
        /// The file.
        path: PathBuf,
        /// The tensor.
        name: String,
        /// Its type.
        dtype: String,
    },
}

impl Error {
    /// An I/O error.
    pub(crate) fn io(operation: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { operation, path, source }
    }

    /// An error while reading Parquet; what the system refused stays an I/O error.
    pub(crate) fn parquet(path: &Path) -> impl FnOnce(ParquetError) -> Self {
        let path = path.to_owned();
        move |source| match source {
            ParquetError::External(inner) => match inner.downcast::<io::Error>() {
                Ok(source) => Self::Io { operation: "read", path, source: *source },
                Err(inner) => Self::Parquet { path, source: ParquetError::External(inner) },
            },
            source => Self::Parquet { path, source },
        }
    }
}

/// A Parquet writer's error as the I/O error that it mostly is.
pub(crate) fn writing(error: ParquetError) -> io::Error {
    match error {
        ParquetError::External(inner) => match inner.downcast::<io::Error>() {
            Ok(error) => *error,
            Err(inner) => io::Error::other(inner),
        },
        error => io::Error::other(error),
    }
}
