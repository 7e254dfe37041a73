//! Intervals for τ-b.

use crate::{check, error::Error, kendall::tau_of_ranks, rank::dense_ranks, student::normal_quantile};

/// A confidence interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// Nominal coverage.
    pub level: f64,
    /// How it was made.
    pub method: &'static str,
    /// Resamples on which τ is defined; the others, constant in a column, are left out.
    pub resamples: usize,
}

/// The percentile-bootstrap interval of τ-b: pairs are drawn with replacement. The same seed gives the same
/// interval on every machine.
///
/// Both ends are NaN where τ is undefined on every resample.
///
/// # Errors
///
/// Columns of different length, fewer than two pairs, NaN, a level outside (0, 1), no resample.
pub fn bootstrap_kendall(
    x: &[f64],
    y: &[f64],
    level: f64,
    resamples: usize,
    seed: u64,
) -> Result<Interval, Error> {
    check(x, y)?;
    if !(level > 0.0 && level < 1.0) || resamples == 0 {
        return Err(Error::Interval { level, resamples });
    }
    let n = x.len();
    let (x, y) = (dense_ranks(x), dense_ranks(y));
    let (mut xs, mut ys) = (vec![0; n], vec![0; n]);
    let mut taus = Vec::with_capacity(resamples);
    for resample in 0..resamples as u64 {
        for i in 0..n as u64 {
            let drawn = below(random(seed, resample, i), n);
            (xs[i as usize], ys[i as usize]) = (x[drawn], y[drawn]);
        }
        taus.push(tau_of_ranks(&xs, &ys));
    }
    taus.retain(|tau| !tau.is_nan());
    taus.sort_by(f64::total_cmp);
    let tail = (1.0 - level) / 2.0;
    Ok(Interval {
        low: quantile(&taus, tail),
        high: quantile(&taus, 1.0 - tail),
        level,
        method: "percentile bootstrap",
        resamples: taus.len(),
    })
}

/// The jackknife interval of τ-b on Fisher's z scale; wider than the bootstrap's at small n.
///
/// # Errors
///
/// As [`bootstrap_kendall`].
pub fn jackknife_kendall(x: &[f64], y: &[f64], level: f64) -> Result<Interval, Error> {
    check(x, y)?;
    if !(level > 0.0 && level < 1.0) {
        return Err(Error::Interval { level, resamples: x.len() });
    }
    let n = x.len();
    let (x, y) = (dense_ranks(x), dense_ranks(y));
    let without = |v: &[u32], i: usize| [&v[..i], &v[i + 1..]].concat();
    // atanh of ±1 is infinite; the last representable step inside keeps the interval finite.
    let z = |tau: f64| tau.clamp(-1.0 + 1e-9, 1.0 - 1e-9).atanh();
    let whole = z(tau_of_ranks(&x, &y));
    let pseudo: Vec<f64> = (0..n)
        .map(|i| n as f64 * whole - (n as f64 - 1.0) * z(tau_of_ranks(&without(&x, i), &without(&y, i))))
        .collect();
    let mean = pseudo.iter().sum::<f64>() / n as f64;
    let variance = pseudo.iter().map(|p| (p - mean).powi(2)).sum::<f64>() / (n as f64 * (n as f64 - 1.0));
    let half = normal_quantile((1.0 - level) / 2.0) * variance.sqrt();
    Ok(Interval {
        low: (whole - half).tanh(),
        high: (whole + half).tanh(),
        level,
        method: "jackknife",
        resamples: n,
    })
}

/// Linear interpolation between order statistics.
fn quantile(sorted: &[f64], q: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else { return f64::NAN };
    let at = q * last as f64;
    let (low, high) = (at.floor() as usize, at.ceil() as usize);
    sorted[low] + (at - at.floor()) * (sorted[high] - sorted[low])
}

/// Draw number `i` of a resample: SplitMix64 (Steele et al. 2014, doi:10.1145/2714064.2660195) of a counter.
fn random(seed: u64, resample: u64, i: u64) -> u64 {
    mix(mix(mix(seed).wrapping_add(resample)).wrapping_add(i))
}

fn mix(x: u64) -> u64 {
    let z = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A number below n: the high half of a product, whose bias is n/2⁶⁴.
fn below(random: u64, n: usize) -> usize {
    ((u128::from(random) * n as u128) >> 64) as usize
}
