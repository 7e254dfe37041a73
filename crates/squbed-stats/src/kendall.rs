//! Kendall's τ-b (Kendall 1938, doi:10.1093/biomet/30.1-2.81) in O(n log n) (Knight 1966).

use std::{fmt, str::FromStr};

use crate::{Alternative, check, error::Error, rank::dense_ranks, student::normal_upper_tail};

/// How p is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KendallMethod {
    /// Exact where there are no ties and either n ≤ 33 or at most one pair is out of order; else asymptotic.
    Auto,
    /// From the distribution of inversions of a random permutation.
    Exact,
    /// From the normal distribution, with the variance corrected for ties.
    Asymptotic,
}

impl fmt::Display for KendallMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::Exact => "exact",
            Self::Asymptotic => "asymptotic",
        })
    }
}

impl FromStr for KendallMethod {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        match name {
            "auto" => Ok(Self::Auto),
            "exact" => Ok(Self::Exact),
            "asymptotic" => Ok(Self::Asymptotic),
            _ => Err(Error::Name { what: "method", name: name.to_owned(), known: "auto, exact, asymptotic" }),
        }
    }
}

/// τ-b and its p-value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Kendall {
    /// Pairs.
    pub n: usize,
    /// τ-b in \[−1, 1\]; NaN where a column is constant.
    pub tau: f64,
    /// p-value; NaN where a column is constant.
    pub p: f64,
    /// How p was computed: exact or asymptotic.
    pub method: KendallMethod,
    /// What p speaks against.
    pub alternative: Alternative,
}

/// Kendall's τ-b of two columns with its p-value.
///
/// # Errors
///
/// Columns of different length, fewer than two pairs, NaN; the exact method with ties or for so many pairs
/// that it would take minutes.
pub fn kendall(
    x: &[f64],
    y: &[f64],
    alternative: Alternative,
    method: KendallMethod,
) -> Result<Kendall, Error> {
    check(x, y)?;
    Counts::of(&dense_ranks(x), &dense_ranks(y)).test(x.len(), alternative, method)
}

/// τ-b alone; NaN where a column is constant. The columns must be of one length and without NaN.
pub fn tau_b(x: &[f64], y: &[f64]) -> f64 {
    tau_of_ranks(&dense_ranks(x), &dense_ranks(y))
}

/// τ-b of columns that are ranks already, as resampling wants it.
pub(crate) fn tau_of_ranks(x: &[u32], y: &[u32]) -> f64 {
    Counts::of(x, y).tau()
}

/// The same of pairs in ascending order.
pub(crate) fn tau_of_sorted(pairs: &[(u32, u32)]) -> f64 {
    Counts::of_sorted(pairs).tau()
}

/// τ-b from concordant less discordant pairs, and the pairs that are not tied in x and in y.
pub(crate) fn tau(balance: f64, untied_x: u64, untied_y: u64) -> f64 {
    if untied_x == 0 || untied_y == 0 {
        return f64::NAN;
    }
    if untied_x == untied_y {
        // A perfect order is 1 exactly: what is left of 1 − τ² by rounding is no partial correlation.
        return balance / untied_x as f64;
    }
    (balance / (untied_x as f64).sqrt() / (untied_y as f64).sqrt()).clamp(-1.0, 1.0)
}

/// Concordant less discordant pairs of ranks, and their τ-b.
pub(crate) fn balance_and_tau(x: &[u32], y: &[u32]) -> (f64, f64) {
    let counts = Counts::of(x, y);
    (counts.balance(), counts.tau())
}

/// Sums over the sizes t of groups of tied values.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct TieSums {
    /// Σ t(t − 1)/2.
    pairs: u64,
    /// Σ t(t − 1)(t − 2).
    triples: f64,
    /// Σ t(t − 1)(2t + 5).
    variance: f64,
}

impl TieSums {
    fn add(&mut self, size: usize) {
        let t = size as f64;
        self.pairs += (size * size.saturating_sub(1) / 2) as u64;
        self.triples += t * (t - 1.0) * (t - 2.0);
        self.variance += t * (t - 1.0) * (2.0 * t + 5.0);
    }

    /// A group of `size` gains one more.
    pub(crate) fn grow(&mut self, size: usize) {
        let t = size as f64;
        self.pairs += size as u64;
        self.triples += 3.0 * t * (t - 1.0);
        self.variance += 6.0 * t * (t + 2.0);
    }
}

/// Pairs of rows by how both columns order them: all that τ-b and its p are made of.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) pairs: u64,
    pub(crate) discordant: u64,
    pub(crate) x: TieSums,
    pub(crate) y: TieSums,
    /// Pairs tied in both.
    pub(crate) both: u64,
}

impl Counts {
    fn of(x: &[u32], y: &[u32]) -> Self {
        let mut pairs: Vec<(u32, u32)> = x.iter().copied().zip(y.iter().copied()).collect();
        pairs.sort_unstable();
        Self::of_sorted(&pairs)
    }

    /// Of pairs in ascending order of x, and of y where x is the same.
    fn of_sorted(pairs: &[(u32, u32)]) -> Self {
        let n = pairs.len();
        let (mut x_ties, mut y_ties, mut both) = (TieSums::default(), TieSums::default(), 0);
        for group in pairs.chunk_by(|a, b| a.0 == b.0) {
            x_ties.add(group.len());
        }
        for group in pairs.chunk_by(|a, b| a == b) {
            both += (group.len() * (group.len() - 1) / 2) as u64;
        }
        let mut y: Vec<u32> = pairs.iter().map(|&(_, y)| y).collect();
        let discordant = sort_counting_inversions(&mut y);
        for group in y.chunk_by(|a, b| a == b) {
            y_ties.add(group.len());
        }
        Self { pairs: (n as u64) * (n as u64).saturating_sub(1) / 2, discordant, x: x_ties, y: y_ties, both }
    }

    fn ties(&self) -> bool {
        self.x.pairs > 0 || self.y.pairs > 0
    }

    /// Concordant less discordant pairs.
    fn balance(&self) -> f64 {
        (self.pairs + self.both) as f64 - (self.x.pairs + self.y.pairs + 2 * self.discordant) as f64
    }

    fn tau(&self) -> f64 {
        tau(self.balance(), self.pairs - self.x.pairs, self.pairs - self.y.pairs)
    }

    /// τ-b and p of n rows.
    pub(crate) fn test(
        &self,
        n: usize,
        alternative: Alternative,
        method: KendallMethod,
    ) -> Result<Kendall, Error> {
        let tau = self.tau();
        let few = |k: u64| n <= MOST_EXACT || k <= 1;
        let method = match method {
            KendallMethod::Auto if !self.ties() && few(self.discordant.min(self.pairs - self.discordant)) => {
                KendallMethod::Exact
            }
            KendallMethod::Auto => KendallMethod::Asymptotic,
            named => named,
        };
        let p = if tau.is_nan() {
            f64::NAN
        } else if method == KendallMethod::Exact {
            if self.ties() {
                return Err(Error::Ties);
            }
            exact_p(n, self.discordant, alternative)?
        } else {
            self.asymptotic_p(n, alternative)
        };
        Ok(Kendall { n, tau, p, method, alternative })
    }

    fn asymptotic_p(&self, n: usize, alternative: Alternative) -> f64 {
        let n = n as f64;
        let m = n * (n - 1.0);
        let variance = (m * (2.0 * n + 5.0) - self.x.variance - self.y.variance) / 18.0
            + 2.0 * self.x.pairs as f64 * self.y.pairs as f64 / m
            + if n > 2.0 { self.x.triples * self.y.triples / (9.0 * m * (n - 2.0)) } else { 0.0 };
        let z = self.balance() / variance.sqrt();
        match alternative {
            Alternative::TwoSided => 2.0 * normal_upper_tail(z.abs()),
            Alternative::Greater => normal_upper_tail(z),
            Alternative::Less => normal_upper_tail(-z),
        }
    }
}

/// Sorts, and counts the pairs that were out of order: insertion in short runs, merging of longer ones.
fn sort_counting_inversions(values: &mut [u32]) -> u64 {
    /// Where insertion is no slower than merging.
    const SHORT: usize = 8;
    let n = values.len();
    let mut inversions = 0;
    for run in values.chunks_mut(SHORT) {
        for end in 1..run.len() {
            let (value, mut at) = (run[end], end);
            while at > 0 && run[at - 1] > value {
                run[at] = run[at - 1];
                at -= 1;
            }
            run[at] = value;
            inversions += (end - at) as u64;
        }
    }
    let mut left = Vec::with_capacity(n);
    let mut width = SHORT;
    while width < n {
        for pair in values.chunks_mut(2 * width).filter(|pair| pair.len() > width) {
            inversions += merge_counting_inversions(pair, width, &mut left);
        }
        width *= 2;
    }
    inversions
}

/// Merges two sorted runs, the second of which begins at `middle`.
fn merge_counting_inversions(values: &mut [u32], middle: usize, left: &mut Vec<u32>) -> u64 {
    left.clear();
    left.extend_from_slice(&values[..middle]);
    let (mut i, mut j, mut inversions) = (0, middle, 0);
    while i < left.len() && j < values.len() {
        // Which run gives the next value is a coin toss, so it is added up and not branched on.
        let (a, b) = (left[i], values[j]);
        let from_left = usize::from(a <= b);
        values[i + j - middle] = a.min(b);
        inversions += (1 - from_left) * (left.len() - i);
        i += from_left;
        j += 1 - from_left;
    }
    let rest = i + j - middle;
    values[rest..rest + left.len() - i].copy_from_slice(&left[i..]);
    inversions as u64
}

/// Most rows whose p is exact at any number of discordant pairs, where there are no ties.
pub const MOST_EXACT: usize = 33;

/// Steps that the exact distribution may take; seconds.
const MOST_STEPS: u64 = 2_000_000_000;

/// p of `discordant` inversions in a random permutation of n.
fn exact_p(n: usize, discordant: u64, alternative: Alternative) -> Result<f64, Error> {
    let pairs = (n as u64) * (n as u64 - 1) / 2;
    let concordant = pairs - discordant;
    // P(inversions ≤ k) for k below the mean; the distribution is symmetric.
    let tail = |k: u64| {
        if (n as u64).saturating_mul(k + 1) > MOST_STEPS {
            Err(Error::TooMany { n })
        } else {
            Ok(inversions_at_most(n, k as usize))
        }
    };
    let one_sided = |at_most: u64| {
        if 2 * at_most < pairs {
            tail(at_most)
        } else if at_most >= pairs {
            Ok(1.0)
        } else {
            tail(pairs - at_most - 1).map(|rest| 1.0 - rest)
        }
    };
    match alternative {
        Alternative::Greater => one_sided(discordant),
        Alternative::Less => one_sided(concordant),
        Alternative::TwoSided if 2 * discordant == pairs => Ok(1.0),
        Alternative::TwoSided => Ok((2.0 * one_sided(discordant.min(concordant))?).min(1.0)),
    }
}

/// P(inversions ≤ k) of a random permutation of n, for k below half of all pairs.
///
/// The i-th element adds 0 to i − 1 inversions with equal probability, so each step averages over a window
/// of i. Below the mean the probabilities rise, so the window is no small part of the prefix sum that it is
/// cut from, and little cancels.
pub(crate) fn inversions_at_most(n: usize, k: usize) -> f64 {
    let mut probability = vec![0.0; k + 1];
    probability[0] = 1.0;
    for i in 2..=n {
        let mut sum = 0.0;
        let prefix: Vec<f64> = probability
            .iter()
            .map(|p| {
                sum += p;
                sum
            })
            .collect();
        for (j, p) in probability.iter_mut().enumerate() {
            let before = if j >= i { prefix[j - i] } else { 0.0 };
            *p = (prefix[j] - before) / i as f64;
        }
    }
    probability.iter().sum()
}
