use std::{io, path::PathBuf};

/// Why a report could not be made or written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Two methods or baselines share a key.
    #[error("two methods of the report are called `{key}`; give each a key of its own")]
    DuplicateMethod {
        /// The key.
        key: String,
    },
    /// An estimate, floor or table names a method that the report does not have.
    #[error("{what} names the method `{key}`, which the report does not describe (it has: {known})")]
    UnknownMethod {
        /// Where it is named.
        what: String,
        /// What is named.
        key: String,
        /// The keys there are.
        known: String,
    },
    /// A list does not fit the list that it runs along.
    #[error("{what} has {got} values where {expected} are expected")]
    Length {
        /// What list.
        what: String,
        /// Its length.
        got: usize,
        /// The length of the other.
        expected: usize,
    },
    /// A correlation names an accuracy that the report does not describe.
    #[error("a correlation names accuracy {index}, but the report describes {known}")]
    UnknownAccuracy {
        /// Its position.
        index: usize,
        /// How many there are.
        known: usize,
    },
    /// A picture in a format that browsers do not show.
    #[error("a picture of task `{task}` is neither PNG, JPEG nor WebP")]
    Image {
        /// The task.
        task: String,
    },
    /// The page's template failed.
    #[error("the report's template could not be filled in")]
    Template(#[from] minijinja::Error),
    /// A plot's SVG could not be read back.
    #[error("plot `{plot}` could not be drawn as PNG")]
    Svg {
        /// The plot.
        plot: String,
        /// Why.
        source: resvg::usvg::Error,
    },
    /// A plot is too large for memory, or its PNG could not be packed.
    #[error("plot `{plot}` could not be drawn as PNG at {width}x{height} pixels")]
    Raster {
        /// The plot.
        plot: String,
        /// Pixels in a row.
        width: u32,
        /// Rows.
        height: u32,
    },
    /// A file could not be written; no part of it is left.
    #[error("cannot write {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}
