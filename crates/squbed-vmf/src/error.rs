//! Errors.

/// A parameter outside its domain.
#[derive(Clone, Debug, thiserror::Error, PartialEq)]
#[non_exhaustive]
pub enum Error {
    /// The sphere needs at least two dimensions.
    #[error("dimension {dim} is out of range: at least 2")]
    Dim {
        /// Given.
        dim: usize,
    },
    /// Concentration is not negative and not NaN.
    #[error("kappa {kappa} is out of range: 0 to infinity")]
    Kappa {
        /// Given.
        kappa: f64,
    },
    /// A mean resultant length lies between 0 and 1.
    #[error("rbar {rbar} with 1 - rbar {one_minus_rbar} is out of range: both 0 to 1, their sum 1")]
    Rbar {
        /// r̄ as given.
        rbar: f64,
        /// 1 − r̄ as given.
        one_minus_rbar: f64,
    },
    /// A group has at least one sample.
    #[error("a group has no sample")]
    Empty,
    /// The U correction divides by m − 1 and needs the samples' number.
    #[error("the U estimator needs the number of samples; fit a group instead")]
    SamplesNeeded,
    /// All samples have one dimension.
    #[error("sample {row} has dimension {got}, the first one {expected}")]
    Ragged {
        /// Which sample, from 0.
        row: usize,
        /// Dimension of the first.
        expected: usize,
        /// Its own.
        got: usize,
    },
    /// A direction needs a finite length above 0.
    #[error("sample {row} has no direction: {reason}")]
    NoDirection {
        /// Which sample, from 0.
        row: usize,
        /// Why.
        reason: &'static str,
    },
    /// A mean direction lies in the space of the samples.
    #[error("the mean direction has {got} numbers, the dimension is {dim}")]
    MeanWidth {
        /// Dimension n.
        dim: usize,
        /// Its own.
        got: usize,
    },
    /// A mean direction needs a finite length above 0.
    #[error("the mean direction is none: {reason}")]
    MeanDirection {
        /// Why.
        reason: &'static str,
    },
    /// More samples than memory holds.
    #[error("{count} samples of dimension {dim} do not fit into memory; draw fewer at a time")]
    Memory {
        /// Samples asked for.
        count: usize,
        /// Dimension n.
        dim: usize,
    },
    /// No estimator has this name.
    #[error("unknown estimator `{name}`: exact, u, banerjee, sra, tanabe or song")]
    Estimator {
        /// Given.
        name: String,
    },
}

pub(crate) fn check_dim(dim: usize) -> Result<(), Error> {
    if dim < 2 { Err(Error::Dim { dim }) } else { Ok(()) }
}

pub(crate) fn check_kappa(kappa: f64) -> Result<(), Error> {
    if kappa >= 0.0 { Ok(()) } else { Err(Error::Kappa { kappa }) }
}
