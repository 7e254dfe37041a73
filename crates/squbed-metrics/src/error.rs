//! What can go wrong with metrics.

/// Result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Pixels are compared one by one.
    #[error(
        "the images differ in size, {}x{} and {}x{} pixels; bring them to one size first",
        a[0], a[1], b[0], b[1]
    )]
    Sizes {
        /// Width and height of the first.
        a: [usize; 2],
        /// Width and height of the second.
        b: [usize; 2],
    },
    /// Grey is not compared with colour, nor one scale with another.
    #[error(
        "the images differ in kind: {} channel(s) with values up to {}, and {} with values up to {}",
        a.0, a.1, b.0, b.1
    )]
    Kinds {
        /// Channels and data range of the first.
        a: (usize, f64),
        /// Channels and data range of the second.
        b: (usize, f64),
    },
    /// An image that the metric cannot take.
    #[error("{metric} takes images of at least {least}x{least} pixels, not {width}x{height}")]
    TooSmall {
        /// The metric.
        metric: &'static str,
        /// The least width and height.
        least: usize,
        /// Given.
        width: usize,
        /// Given.
        height: usize,
    },
    /// Values that form no image.
    #[error(
        "{got} values up to {range} form no {width}x{height} image of {channels} channel(s): as many finite \
         values as it has samples are needed, and a positive range"
    )]
    Image {
        /// Pixels in a row.
        width: usize,
        /// Rows.
        height: usize,
        /// Values a pixel.
        channels: usize,
        /// Values given.
        got: usize,
        /// Data range given.
        range: f64,
    },
    /// Frames are compared in pairs.
    #[error("{a} and {b} frames cannot be paired")]
    Frames {
        /// Frames of the first clip.
        a: usize,
        /// Frames of the second.
        b: usize,
    },
    /// A covariance of so few samples has no full rank, and the distance would measure that.
    #[error(
        "the Fréchet distance in {dim} dimensions needs at least {least} clips in each set, not {a} and {b}"
    )]
    TooFew {
        /// Numbers a clip.
        dim: usize,
        /// The least number of clips, `dim + 1`.
        least: usize,
        /// Clips of the first set.
        a: usize,
        /// Clips of the second.
        b: usize,
    },
    /// Features of another kind.
    #[error("{what} are rows of {expected} finite numbers; got {got}")]
    Features {
        /// What they should be.
        what: &'static str,
        /// Numbers a row.
        expected: String,
        /// What was given.
        got: String,
    },
    /// No metric has this name.
    #[error("unknown metric `{name}`; it is one of: {known}", known = crate::Metric::names())]
    Name {
        /// Given.
        name: String,
    },
    /// The decomposition of a covariance did not converge.
    #[error("the covariance of the features cannot be decomposed")]
    Decomposition,
    /// From the networks and their weights.
    #[error(transparent)]
    Models(Box<squbed_models::Error>),
    /// From Candle.
    #[error("a tensor operation failed")]
    Candle(#[from] candle_core::Error),
}

impl From<squbed_models::Error> for Error {
    fn from(error: squbed_models::Error) -> Self {
        Self::Models(Box::new(error))
    }
}
