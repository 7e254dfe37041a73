//! A method with its options and what came of it.

use serde::Serialize;
use squbed_core::float;

use super::Quantity;

/// One way to estimate uncertainty: a preset of the method, or a baseline.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Method {
    /// Short name, unique, e.g. `default`, `paper`, `colour histogram`.
    pub key: String,
    /// One sentence: what it is.
    pub about: String,
    /// Unit of its aleatoric, epistemic and plain total, e.g. `nats`; empty for none.
    pub unit: String,
    /// What decided its numbers.
    pub options: Vec<MethodOption>,
    /// What its estimates go along with. The first one of a pair (x, y) has its scatter plot drawn.
    pub correlations: Vec<Correlation>,
}

/// An option in force.
#[derive(Clone, Debug, Serialize)]
pub struct MethodOption {
    /// E.g. “κ estimator”.
    pub name: String,
    /// E.g. “u (exact κ of the corrected r̄²)”.
    pub value: String,
    /// Whose choice it is.
    pub origin: Origin,
    /// Why it is so.
    pub reason: String,
}

/// Whose choice an option is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// The paper states it.
    Paper,
    /// The paper leaves it open, or we depart from it.
    Ours,
}

/// A rank correlation (Kendall's τ-b) over tasks.
#[derive(Clone, Debug, Serialize)]
pub struct Correlation {
    /// One side.
    pub x: Quantity,
    /// The other side.
    pub y: Quantity,
    /// Which tasks, e.g. “without the 4 confidently wrong tasks”; empty for all.
    pub scope: String,
    /// Tasks that took part.
    pub n: usize,
    /// τ in [−1, 1]; NaN where undefined.
    #[serde(with = "float")]
    pub tau: f64,
    /// p-value.
    #[serde(with = "float")]
    pub p: f64,
    /// How p was computed, e.g. “exact, two-sided”.
    pub p_method: String,
    /// Lower end of the interval.
    #[serde(with = "float")]
    pub ci_low: f64,
    /// Upper end of the interval.
    #[serde(with = "float")]
    pub ci_high: f64,
    /// How the interval was computed, e.g. “95 % percentile bootstrap over tasks, 2000 resamples”.
    pub ci_method: String,
    /// Why τ is undefined, e.g. “all accuracies are equal”; `None` where it is defined.
    pub undefined: Option<String>,
}

/// Correlations of the same experiment under several seeds.
#[derive(Clone, Debug, Serialize)]
pub struct SeedTable {
    /// The [`Method::key`].
    pub method: String,
    /// What was correlated, one pair a column.
    pub columns: Vec<(Quantity, Quantity)>,
    /// One row a seed.
    pub rows: Vec<SeedRow>,
    /// Medians over the rows, one a column.
    #[serde(serialize_with = "super::task::floats")]
    pub median: Vec<f64>,
}

/// One seed's correlations.
#[derive(Clone, Debug, Serialize)]
pub struct SeedRow {
    /// The seed.
    pub seed: u64,
    /// τ, one a column.
    #[serde(serialize_with = "super::task::floats")]
    pub taus: Vec<f64>,
}
