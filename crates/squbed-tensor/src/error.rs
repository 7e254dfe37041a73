//! Errors.

use std::{fmt, path::PathBuf};

/// Result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can go wrong with tensors.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// From Candle: what a caller could get wrong is checked before, so that this is the program's own fault.
    #[error("{0}")]
    Candle(CandleError),
    /// A device that is no device.
    #[error("unknown device `{spec}`; write auto, cpu, cuda, cuda:N or metal")]
    DeviceSpec {
        /// Given.
        spec: String,
    },
    /// A device that this program was built without.
    #[error("device {device} is not in this build; build with `--features {feature}`, or use --device cpu")]
    NotBuilt {
        /// The device.
        device: String,
        /// The feature that brings it.
        feature: &'static str,
    },
    /// A device that does not answer.
    #[error("device {device} cannot be used; `squbed devices` shows what can")]
    Device {
        /// The device.
        device: String,
        /// Why.
        source: CandleError,
    },
    /// A dtype that is none, or not on this device.
    #[error("dtype `{spec}` cannot be used: {reason}")]
    Dtype {
        /// Given.
        spec: String,
        /// Why.
        reason: &'static str,
    },
    /// The number of threads can be set once, before any work.
    #[error("the number of threads cannot be set to {threads}: {reason}")]
    Threads {
        /// Asked for.
        threads: usize,
        /// Why.
        reason: String,
    },
    /// A tensor of the wrong shape.
    #[error("{operation} takes {expected}, got {actual:?}")]
    Shape {
        /// The operation.
        operation: &'static str,
        /// What it takes.
        expected: &'static str,
        /// What it got.
        actual: Vec<usize>,
    },
    /// A row that has no direction.
    #[error("group {group}, row {row}, has no direction: its length is {norm}")]
    NoDirection {
        /// Group, from 0.
        group: usize,
        /// Row in the group, from 0.
        row: usize,
        /// Its length: zero, infinite or NaN.
        norm: f64,
    },
    /// From the host's statistics.
    #[error("group {group}")]
    Statistics {
        /// Group, from 0.
        group: usize,
        /// Why.
        source: squbed_vmf::Error,
    },
    /// More components than the data have.
    #[error("{wanted} components are asked for, but {rows} rows of {width} numbers have rank {rank}")]
    Rank {
        /// Components asked for.
        wanted: usize,
        /// Rank of the (centred) data.
        rank: usize,
        /// Rows.
        rows: usize,
        /// Numbers a row.
        width: usize,
    },
    /// A basis that cannot be read from or written to its file.
    #[error("cannot {operation} the basis {}", path.display())]
    BasisFile {
        /// `read` or `write`.
        operation: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Data that have no spread, or are not finite.
    #[error("no basis can be found: {reason}")]
    NoBasis {
        /// Why.
        reason: &'static str,
    },
}

impl From<candle_core::Error> for Error {
    fn from(error: candle_core::Error) -> Self {
        Self::Candle(CandleError(error))
    }
}

/// An error of Candle's in one line. Where RUST_BACKTRACE is set, Candle appends a backtrace to its message; that is
/// nothing for a user to read, so neither `Display` nor `source()` gives it.
#[derive(Debug)]
pub struct CandleError(candle_core::Error);

impl From<candle_core::Error> for CandleError {
    fn from(error: candle_core::Error) -> Self {
        Self(error)
    }
}

impl fmt::Display for CandleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.to_string().lines().next().unwrap_or_default())
    }
}

impl std::error::Error for CandleError {}

#[cfg(test)]
mod tests {
    use std::{backtrace::Backtrace, error::Error as _};

    use super::*;

    #[test]
    fn a_backtrace_of_candle_s_is_not_told() {
        let inner = Box::new(candle_core::Error::Msg("shapes do not fit".to_owned()));
        let backtrace = Box::new(Backtrace::force_capture());
        let error = Error::from(candle_core::Error::WithBacktrace { inner, backtrace });
        assert_eq!(error.to_string(), "shapes do not fit");
        assert!(error.source().is_none());
    }
}
