//! Statistics over tasks: the rank correlations of Kendall (plain, partial, by permutation, on subsets), Spearman and
//! Pearson; intervals that resample tasks; Holm's correction; power before any data; the risk–coverage curve and a
//! conformal threshold; whether scores fall in two parts.
//!
//! Correlations equal SciPy 1.17's. Infinities are ordinary values where only order counts; NaN is an error; a
//! constant column gives NaN.

mod bootstrap;
mod conformal;
mod error;
mod holm;
mod jackknife;
mod kendall;
mod linear;
mod partial;
mod permutation;
mod power;
mod random;
mod rank;
mod risk_coverage;
mod share;
mod split;
mod student;
mod subset;

pub use bootstrap::{Interval, bootstrap, bootstrap_kendall, bootstrap_partial_kendall, quantile};
pub use conformal::{ConformalThreshold, conformal_threshold};
pub use error::Error;
pub use holm::holm;
pub use jackknife::{jackknife_kendall, jackknife_partial_kendall};
pub use kendall::{Kendall, KendallMethod, MOST_EXACT, kendall, tau_b};
pub use linear::{LinearCorrelation, pearson, spearman};
pub use partial::{PartialKendall, PartialPermutation, partial_kendall, permutation_partial_kendall};
pub use permutation::{PermutationTest, permutation_kendall};
pub use power::{KendallPower, kendall_power, tau_of_normal};
pub use random::draw;
pub use rank::{ranks, z_scores};
pub use risk_coverage::{CoveragePoint, RiskCoverage, risk_coverage};
pub use share::{RankShares, rank_shares};
pub use split::{Split, split_in_two};
pub use student::student_quantile;
pub use subset::{SubsetPoint, kendall_by_subset};

use std::{fmt, str::FromStr};

/// Which deviation from independence counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alternative {
    /// Either.
    TwoSided,
    /// A negative correlation.
    Less,
    /// A positive correlation.
    Greater,
}

impl fmt::Display for Alternative {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TwoSided => "two-sided",
            Self::Less => "less",
            Self::Greater => "greater",
        })
    }
}

impl FromStr for Alternative {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        match name {
            "two-sided" => Ok(Self::TwoSided),
            "less" => Ok(Self::Less),
            "greater" => Ok(Self::Greater),
            _ => Err(Error::Name {
                what: "alternative",
                name: name.to_owned(),
                known: "two-sided, less, greater",
            }),
        }
    }
}

/// Checks that two columns can be correlated.
fn check(x: &[f64], y: &[f64]) -> Result<(), Error> {
    if x.len() != y.len() {
        return Err(Error::Lengths { x: x.len(), y: y.len() });
    }
    if x.len() < 2 {
        return Err(Error::TooFew { n: x.len() });
    }
    match x.iter().chain(y).position(|v| v.is_nan()) {
        Some(i) => Err(Error::Nan { column: if i < x.len() { "x" } else { "y" }, row: i % x.len() }),
        None => Ok(()),
    }
}

/// Checks a third column against one that is checked.
fn check_third(x: &[f64], z: &[f64]) -> Result<(), Error> {
    check(x, z).map_err(|error| match error {
        Error::Nan { row, .. } => Error::Nan { column: "z", row },
        Error::Lengths { x, y: z } => Error::LengthOfZ { x, z },
        other => other,
    })
}
