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
    /// That of a partial τ is by permutation of few tasks, by the normal approximation of many.
    #[serde(with = "float")]
    pub p: f64,
    /// How: `exact`, `exact, all 5040 pairings`, `permutation, 9999 random pairings`, `asymptotic`; of a partial τ
    /// `residuals permuted, …` or `normal approximation`; `none` where τ is undefined.
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

/// Fewest rows that are resampled for a partial τ. With fewer, what is held fixed orders many a resample as one of the
/// sides does, so that it has no partial τ, and the percentiles of the others are those of a part: of three independent
/// columns 40 % of the resamples of 5 rows are undefined and nominal 95 % intervals miss 0 in 48 %; 23 % and 24 % of 6 rows;
/// 5 % and 6 % of 8 (`squbed-stats/tests/claims.rs`).
pub const LEAST_RESAMPLED_PARTIAL: usize = 8;

/// Largest share of resamples on which τ is undefined that an interval is made in spite of.
const MOST_UNDEFINED: f64 = 0.05;

/// Most rows that are resampled. The percentiles of more are those of the normal distribution, whose width the jackknife
/// finds in O(n log n): at 10,000 tasks in milliseconds instead of seconds for each τ.
pub const MOST_RESAMPLED: usize = 1000;

/// The percentile-bootstrap interval of τ-b over rows, of more than [`MOST_RESAMPLED`] the jackknife's, and how it was made; both ends are NaN, and the
/// reason stands in its place, where there are fewer than [`LEAST_RESAMPLED`] rows, a column is constant, or more than one
/// resample in twenty has no τ.
pub fn interval(x: &[f64], y: &[f64], resampling: Resampling) -> Result<Ends> {
    if x.len() < LEAST_RESAMPLED {
        return Ok(too_few_to_resample(x.len(), LEAST_RESAMPLED));
    }
    if squbed_stats::tau_b(x, y).is_nan() {
        return Ok(no_interval(CONSTANT));
    }
    let i = if x.len() > MOST_RESAMPLED {
        squbed_stats::jackknife_kendall(x, y, LEVEL)?
    } else {
        squbed_stats::bootstrap_kendall(x, y, LEVEL, resampling.resamples, resampling.seed)?
    };
    Ok(ends(&i, resampling.resamples))
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
        let test = squbed_stats::permutation_kendall(x, y, side, most_pairings(x.len()).0, seed)?;
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
    Ok(test_given(x, y, z, resampling)?.0)
}

/// [`correlate_given`], and the one-sided p against a negative and against a positive partial τ.
pub(super) fn test_given(
    x: &[f64],
    y: &[f64],
    z: &[f64],
    resampling: Resampling,
) -> Result<(Correlation, [f64; 2])> {
    let n = x.len();
    let none = |why: String| Ok((Correlation::undefined(n, why), [f64::NAN; 2]));
    if n < 3 {
        return none(format!("{n} task(s) are too few for a partial τ, at least 3 are needed"));
    }
    let partial = squbed_stats::partial_kendall(x, y, z, Alternative::TwoSided)?;
    if partial.tau.is_nan() {
        let why =
            "all values of one side are the same, or what is held fixed ranks the tasks as one side does";
        return none(why.to_owned());
    }
    let (ci_low, ci_high, ci_method) = if n > MOST_RESAMPLED {
        ends(&squbed_stats::jackknife_partial_kendall(x, y, z, LEVEL)?, n)
    } else if n < LEAST_RESAMPLED_PARTIAL {
        too_few_to_resample(n, LEAST_RESAMPLED_PARTIAL)
    } else {
        let Resampling { resamples, seed } = resampling;
        ends(&squbed_stats::bootstrap_partial_kendall(x, y, z, LEVEL, resamples, seed)?, resamples)
    };
    let [p, less, greater] = partial_p(x, y, z, resampling.seed)?;
    let p_method = match n {
        ..4 => "none".to_owned(),
        4..=squbed_stats::MOST_EXACT => {
            let (most, exact) = most_pairings(n);
            let all = if exact { "all" } else { "random" };
            format!("residuals permuted, {all} {most} pairings")
        }
        _ => "normal approximation".to_owned(),
    };
    let tau = partial.tau;
    let correlation = Correlation { n, tau, p, p_method, ci_low, ci_high, ci_method, undefined: None };
    Ok((correlation, [less, greater]))
}

/// p of partial τ: two-sided, against a negative and against a positive one; NaN where there is none.
fn partial_p(x: &[f64], y: &[f64], z: &[f64], seed: u64) -> Result<[f64; 3]> {
    let n = x.len();
    if n <= squbed_stats::MOST_EXACT {
        let test = squbed_stats::permutation_partial_kendall(x, y, z, most_pairings(n).0, seed)?;
        return Ok([test.p_two_sided, test.p_less, test.p_greater]);
    }
    let p = |side| Ok::<_, crate::Error>(squbed_stats::partial_kendall(x, y, z, side)?.p);
    Ok([p(Alternative::TwoSided)?, p(Alternative::Less)?, p(Alternative::Greater)?])
}

/// Pairings that a permutation test of n tasks looks at, and whether these are all.
fn most_pairings(n: usize) -> (usize, bool) {
    let exact = n <= MOST_ENUMERATED;
    (if exact { (1..=n).product() } else { RANDOM_PAIRINGS }, exact)
}

/// The one-sided p of τ-b, made as the two-sided one: against a negative and against a positive correlation; NaN where τ is undefined.
pub(super) fn one_sided(x: &[f64], y: &[f64], seed: u64) -> Result<(f64, f64)> {
    if x.len() < 2 {
        return Ok((f64::NAN, f64::NAN));
    }
    let p = |side| Ok::<_, crate::Error>(Tested::of(x, y, side, seed)?.p);
    Ok((p(Alternative::Less)?, p(Alternative::Greater)?))
}

/// Both ends and how they were made, or why there are none.
type Ends = (f64, f64, String);

fn no_interval(why: &str) -> Ends {
    (f64::NAN, f64::NAN, format!("none: {why}"))
}

fn too_few_to_resample(rows: usize, least: usize) -> Ends {
    no_interval(&format!("{rows} rows are too few to resample, at least {least} are needed"))
}

/// The ends of an interval of so many resamples. Those that are constant in a column have no τ, nor has a partial τ those
/// that are ordered by what is held fixed: without them an interval speaks of a part of what could have been drawn.
fn ends(interval: &squbed_stats::Interval, resamples: usize) -> Ends {
    let level = interval.level * 100.0;
    let undefined = resamples.saturating_sub(interval.resamples);
    if interval.method != "jackknife" && undefined as f64 > MOST_UNDEFINED * resamples as f64 {
        return no_interval(&format!(
            "τ is undefined on {undefined} of {resamples} resamples, too many to leave out; at most one in twenty may be"
        ));
    }
    // As for a perfect τ, which every resample repeats.
    if interval.high - interval.low < 1e-9 {
        return no_interval("all resamples have the same τ, so that they show no spread");
    }
    let how = match interval.method {
        "jackknife" => format!("jackknife over tasks, {level} %"),
        method if undefined > 0 => {
            format!("{method}, {resamples} resamples, {undefined} of them without τ left out, {level} %")
        }
        method => format!("{method}, {resamples} resamples, {level} %"),
    };
    (interval.low, interval.high, how)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partial_tau_has_an_interval_where_its_resamples_have_one() {
        // Of five tasks most resamples are ordered by what is held fixed: an interval of the others would leave 0 out
        // beside a p that finds nothing.
        let x = [2.0, 5.0, 1.0, 4.0, 3.0, 7.0, 6.0];
        let y = [4.0, 1.0, 7.0, 3.0, 6.0, 2.0, 5.0];
        let z = [1.0, 4.0, 6.0, 2.0, 7.0, 3.0, 5.0];
        let resampling = Resampling::default();
        for n in [5, 6, 7] {
            let c = correlate_given(&x[..n], &y[..n], &z[..n], resampling).unwrap();
            assert!(!c.tau.is_nan() && c.ci_low.is_nan() && c.ci_high.is_nan(), "{c:?}");
            assert_eq!(c.ci_method, format!("none: {n} rows are too few to resample, at least 8 are needed"));
            let pairings: usize = (1..=n).product();
            assert_eq!(c.p_method, format!("residuals permuted, all {pairings} pairings"));
            assert!(c.p > 0.0 && c.p <= 1.0, "{c:?}");
        }
        let column = |step: i32| (0..24).map(|i| f64::from(i * step % 24)).collect::<Vec<f64>>();
        let c = correlate_given(&column(5), &column(7), &column(11), resampling).unwrap();
        assert!(c.ci_low < c.tau && c.tau < c.ci_high && c.ci_method.starts_with("percentile"), "{c:?}");
        assert_eq!(c.p_method, "residuals permuted, random 9999 pairings");
        // Enough tasks, but z orders all of them but two as x does: too many resamples are without those two.
        let x: Vec<f64> = (0..10).map(f64::from).collect();
        let z = [&[1.0, 0.0], &x[2..]].concat();
        let y: Vec<f64> = (0..10).map(|i| f64::from(i * 3 % 10)).collect();
        let c = correlate_given(&x, &y, &z, resampling).unwrap();
        assert!(c.ci_low.is_nan() && !c.p.is_nan(), "{c:?}");
        assert!(c.ci_method.starts_with("none: τ is undefined on 1"), "{}", c.ci_method);
        assert!(c.ci_method.contains("of 2000 resamples, too many"), "{}", c.ci_method);
        // Few that are undefined are left out and counted.
        let y = [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 2.0, 3.0, 4.0, 5.0];
        let c = correlate(&x, &y, resampling).unwrap();
        assert!(!c.ci_low.is_nan() && c.ci_method.contains("of them without τ left out"), "{}", c.ci_method);
    }
}
