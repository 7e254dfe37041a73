//! One correlation over tasks: τ, p and interval, or why there is none.

use serde::{Deserialize, Serialize};
use squbed_core::float;
use squbed_stats::{Alternative, KendallMethod};

use crate::error::Result;

/// A rank correlation over tasks with its p-value and interval.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Correlation {
    /// Tasks.
    pub n: usize,
    /// Kendall's τ-b; NaN (`null`) where it is undefined.
    #[serde(with = "float")]
    pub tau: f64,
    /// Two-sided p: of few tasks exact, or with ties by permutation, which holds with ties as well; asymptotic of many.
    #[serde(with = "float")]
    pub p: f64,
    /// How: `exact`, `exact, all 5040 pairings`, `permutation, 9999 random pairings`, `asymptotic`; `none` where τ is
    /// undefined.
    pub p_method: String,
    /// Lower end of the 95 % interval; NaN (`null`) where there is none.
    #[serde(with = "float")]
    pub ci_low: f64,
    /// Upper end.
    #[serde(with = "float")]
    pub ci_high: f64,
    /// How the interval was made, or why there is none.
    pub ci_method: String,
    /// Why τ is undefined, where it is.
    #[serde(default)]
    pub undefined: Option<String>,
}

impl Correlation {
    /// A place for one that is not made yet.
    pub(super) fn none() -> Self {
        Self::undefined(0, String::new())
    }

    /// Of n tasks on which τ is undefined.
    fn undefined(n: usize, why: String) -> Self {
        Self {
            n,
            tau: f64::NAN,
            p: f64::NAN,
            p_method: "none".to_owned(),
            ci_low: f64::NAN,
            ci_high: f64::NAN,
            ci_method: format!("none: {why}"),
            undefined: Some(why),
        }
    }
}

/// How intervals are made.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Resampling {
    /// Bootstrap samples of the tasks.
    pub resamples: usize,
    /// Seed of the resampling.
    pub seed: u64,
}

impl Default for Resampling {
    fn default() -> Self {
        Self { resamples: 2000, seed: 0 }
    }
}

/// Level of every interval.
pub const LEVEL: f64 = 0.95;

/// Fewest rows that are resampled: of fewer, a few orders are all that can be drawn, and the percentiles
/// of their τ's are no interval.
pub const LEAST_RESAMPLED: usize = 5;

/// Most rows that are resampled. The percentiles of more are those of the normal distribution, whose width the jackknife
/// finds in O(n log n): at 10,000 tasks in milliseconds instead of seconds for each τ.
pub const MOST_RESAMPLED: usize = 1000;

/// The percentile-bootstrap interval of τ-b over rows, of more than [`MOST_RESAMPLED`] the jackknife's, and how it was made; both ends are NaN, and the
/// reason stands in its place, where there are fewer than [`LEAST_RESAMPLED`] rows or a column is constant.
pub fn interval(x: &[f64], y: &[f64], resampling: Resampling) -> Result<(f64, f64, String)> {
    let none = |why: String| Ok((f64::NAN, f64::NAN, format!("none: {why}")));
    if x.len() < LEAST_RESAMPLED {
        return Ok((f64::NAN, f64::NAN, too_few_to_resample(x.len())));
    }
    if squbed_stats::tau_b(x, y).is_nan() {
        return none(CONSTANT.to_owned());
    }
    let i = if x.len() > MOST_RESAMPLED {
        squbed_stats::jackknife_kendall(x, y, LEVEL)?
    } else {
        squbed_stats::bootstrap_kendall(x, y, LEVEL, resampling.resamples, resampling.seed)?
    };
    // As for a perfect τ, which every resample repeats.
    if i.high - i.low < 1e-9 {
        return none("all resamples have the same τ, so that they show no spread".to_owned());
    }
    Ok((i.low, i.high, resampled(&i, resampling.resamples)))
}

const CONSTANT: &str = "all values of one side are the same";

/// τ-b of two columns, two-sided, with its [`interval`]. Fewer than two rows, and a constant column, give an
/// undefined τ with its reason.
pub fn correlate(x: &[f64], y: &[f64], resampling: Resampling) -> Result<Correlation> {
    let n = x.len();
    if n < 2 {
        let why = format!("{n} task(s) are too few to correlate, at least 2 are needed");
        return Ok(Correlation::undefined(n, why));
    }
    let tested = Tested::of(x, y, Alternative::TwoSided, resampling.seed)?;
    if tested.tau.is_nan() {
        return Ok(Correlation::undefined(n, CONSTANT.to_owned()));
    }
    let (ci_low, ci_high, ci_method) = interval(x, y, resampling)?;
    Ok(Correlation {
        n,
        tau: tested.tau,
        p: tested.p,
        p_method: tested.method,
        ci_low,
        ci_high,
        ci_method,
        undefined: None,
    })
}

/// Most tasks of which all pairings are looked at: 8! are 40,320.
const MOST_ENUMERATED: usize = 8;

/// Pairings of a permutation test of more tasks; its least p is 1/10,000.
const RANDOM_PAIRINGS: usize = 9_999;

/// τ-b with one p.
struct Tested {
    tau: f64,
    p: f64,
    method: String,
}

impl Tested {
    /// The exact distribution knows no ties, and of few tasks the asymptotic one is none: there the permutation test is
    /// made, valid with ties.
    fn of(x: &[f64], y: &[f64], side: Alternative, seed: u64) -> Result<Self> {
        let kendall = squbed_stats::kendall(x, y, side, KendallMethod::Auto)?;
        let tau = kendall.tau;
        let tied_and_few = kendall.method == KendallMethod::Asymptotic && x.len() <= squbed_stats::MOST_EXACT;
        if tau.is_nan() || !tied_and_few {
            return Ok(Self { tau, p: kendall.p, method: kendall.method.to_string() });
        }
        let most = if x.len() <= MOST_ENUMERATED { (1..=x.len()).product() } else { RANDOM_PAIRINGS };
        let test = squbed_stats::permutation_kendall(x, y, side, most, seed)?;
        let method = if test.exact {
            format!("exact, all {} pairings", test.pairings)
        } else {
            format!("permutation, {} random pairings", test.pairings)
        };
        Ok(Self { tau, p: test.p, method })
    }
}

/// Kendall's partial τ of x and y given z, two-sided, with its interval; as [`correlate`] else.
pub fn correlate_given(x: &[f64], y: &[f64], z: &[f64], resampling: Resampling) -> Result<Correlation> {
    let n = x.len();
    if n < 3 {
        return Ok(Correlation::undefined(
            n,
            format!("{n} task(s) are too few for a partial τ, at least 3 are needed"),
        ));
    }
    let partial = squbed_stats::partial_kendall(x, y, z, Alternative::TwoSided)?;
    if partial.tau.is_nan() {
        let why =
            "all values of one side are the same, or what is held fixed ranks the tasks as one side does";
        return Ok(Correlation::undefined(n, why.to_owned()));
    }
    let (ci_low, ci_high, ci_method) = if n > MOST_RESAMPLED {
        let interval = squbed_stats::jackknife_partial_kendall(x, y, z, LEVEL)?;
        (interval.low, interval.high, resampled(&interval, n))
    } else if n < LEAST_RESAMPLED {
        (f64::NAN, f64::NAN, too_few_to_resample(n))
    } else {
        let Resampling { resamples, seed } = resampling;
        let interval = squbed_stats::bootstrap_partial_kendall(x, y, z, LEVEL, resamples, seed)?;
        (interval.low, interval.high, resampled(&interval, resamples))
    };
    let p_method = if partial.p.is_nan() { "none" } else { "normal approximation" }.to_owned();
    Ok(Correlation {
        n,
        tau: partial.tau,
        p: partial.p,
        p_method,
        ci_low,
        ci_high,
        ci_method,
        undefined: None,
    })
}

/// The one-sided p of τ-b, made as the two-sided one: against a negative and against a positive correlation; NaN where τ is undefined.
pub(super) fn one_sided(x: &[f64], y: &[f64], seed: u64) -> Result<(f64, f64)> {
    if x.len() < 2 {
        return Ok((f64::NAN, f64::NAN));
    }
    let p = |side| Ok::<_, crate::Error>(Tested::of(x, y, side, seed)?.p);
    Ok((p(Alternative::Less)?, p(Alternative::Greater)?))
}

/// As [`one_sided`], of partial τ given z.
pub(super) fn one_sided_given(x: &[f64], y: &[f64], z: &[f64]) -> Result<(f64, f64)> {
    if x.len() < 2 {
        return Ok((f64::NAN, f64::NAN));
    }
    let p = |side| Ok::<_, crate::Error>(squbed_stats::partial_kendall(x, y, z, side)?.p);
    Ok((p(Alternative::Less)?, p(Alternative::Greater)?))
}

fn too_few_to_resample(rows: usize) -> String {
    format!("none: {rows} rows are too few to resample, at least {LEAST_RESAMPLED} are needed")
}

// Resamples that are constant in a column have no τ and are left out; their number differs from pair to pair.
fn resampled(interval: &squbed_stats::Interval, resamples: usize) -> String {
    let level = interval.level * 100.0;
    if interval.method == "jackknife" {
        return format!("jackknife over tasks, {level} %");
    }
    format!("{}, {resamples} resamples, {level} %", interval.method)
}
