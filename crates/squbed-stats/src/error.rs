//! Errors.

/// Columns that cannot be correlated.
#[derive(Clone, Debug, thiserror::Error, PartialEq)]
#[non_exhaustive]
pub enum Error {
    /// A pair needs both values.
    #[error("the columns have {x} and {y} values")]
    Lengths {
        /// Values of x.
        x: usize,
        /// Values of y.
        y: usize,
    },
    /// A correlation needs two pairs.
    #[error("{n} pair(s) are too few to correlate; at least 2 are needed")]
    TooFew {
        /// Pairs.
        n: usize,
    },
    /// An undefined value has no rank.
    #[error("column {column}, row {row}, is NaN")]
    Nan {
        /// `x` or `y`.
        column: &'static str,
        /// From 0.
        row: usize,
    },
    /// The exact distribution is that of columns without ties.
    #[error("the exact p-value needs columns without ties; use the asymptotic one")]
    Ties,
    /// The exact distribution takes too long.
    #[error("the exact p-value of {n} pairs takes too long; use the asymptotic one")]
    TooMany {
        /// Pairs.
        n: usize,
    },
    /// A third column of another length.
    #[error("the columns x and y have {x} values, z has {z}")]
    LengthOfZ {
        /// Values of x and of y.
        x: usize,
        /// Values of z.
        z: usize,
    },
    /// A value that has no mean.
    #[error("column {column}, row {row}, is infinite")]
    Infinite {
        /// The column.
        column: &'static str,
        /// From 0.
        row: usize,
    },
    /// A p-value lies between 0 and 1.
    #[error("p-value {row} is {value}; it must lie between 0 and 1")]
    Probability {
        /// From 0.
        row: usize,
        /// Given.
        value: f64,
    },
    /// A permutation test looks at pairings.
    #[error("a permutation test needs at least 1 pairing")]
    NoPairing,
    /// A level is between 0 and 1, and there is at least one resample.
    #[error(
        "an interval of level {level} from {resamples} resamples makes no sense: 0 < level < 1, resamples >= 1"
    )]
    Interval {
        /// Level.
        level: f64,
        /// Resamples.
        resamples: usize,
    },
    /// A share lies strictly between 0 and 1.
    #[error("the {what} is {value}; it must lie between 0 and 1")]
    Share {
        /// What it is.
        what: &'static str,
        /// Given.
        value: f64,
    },
    /// A wanted accuracy is a number.
    #[error("the wanted accuracy is {value}; it must be a finite number")]
    Target {
        /// Given.
        value: f64,
    },
    /// A guarantee that so few items cannot give.
    #[error("{n} items give no guarantee at the level {alpha}; at least {least} are needed")]
    TooFewForLevel {
        /// Items.
        n: usize,
        /// Level.
        alpha: f64,
        /// Least number of items.
        least: usize,
    },
    /// A word that names nothing here.
    #[error("unknown {what} `{name}`; it is one of: {known}")]
    Name {
        /// What it should name.
        what: &'static str,
        /// The word.
        name: String,
        /// What there is.
        known: &'static str,
    },
}
