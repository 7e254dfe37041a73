//! The jackknife for τ-b.

use crate::{
    Interval, check, check_third,
    error::Error,
    kendall::{tau, tau_of_ranks},
    partial::partial_tau,
    rank::dense_ranks,
    student::normal_quantile,
};

/// The jackknife interval of τ-b on Fisher's z scale, in O(n log n); wider than the bootstrap's at small n.
///
/// Both ends are NaN where τ is undefined, on all pairs or without one of them.
///
/// # Errors
///
/// Columns of different length, fewer than two pairs, NaN, a level outside (0, 1).
pub fn jackknife_kendall(x: &[f64], y: &[f64], level: f64) -> Result<Interval, Error> {
    check(x, y)?;
    if !(level > 0.0 && level < 1.0) {
        return Err(Error::Interval { level, resamples: x.len() });
    }
    let (x, y) = (dense_ranks(x), dense_ranks(y));
    Ok(interval(tau_of_ranks(&x, &y), taus_without_each(&x, &y).into_iter(), level))
}

/// The jackknife interval of partial τ ([`partial_kendall`](crate::partial_kendall)), made as that of
/// [`jackknife_kendall`].
///
/// # Errors
///
/// Columns of different length, fewer than two rows, NaN, a level outside (0, 1).
pub fn jackknife_partial_kendall(x: &[f64], y: &[f64], z: &[f64], level: f64) -> Result<Interval, Error> {
    check(x, y)?;
    check_third(x, z)?;
    if !(level > 0.0 && level < 1.0) {
        return Err(Error::Interval { level, resamples: x.len() });
    }
    let [x, y, z] = [x, y, z].map(dense_ranks);
    let pairs = [(&x, &y), (&x, &z), (&y, &z)];
    let [xy, xz, yz] = pairs.map(|(a, b)| tau_of_ranks(a, b));
    let [without_xy, without_xz, without_yz] = pairs.map(|(a, b)| taus_without_each(a, b));
    let without = without_xy.iter().zip(&without_xz).zip(&without_yz);
    Ok(interval(partial_tau(xy, xz, yz), without.map(|((&xy, &xz), &yz)| partial_tau(xy, xz, yz)), level))
}

/// The interval of a correlation by what it is without each row in turn.
fn interval(whole: f64, without: impl ExactSizeIterator<Item = f64>, level: f64) -> Interval {
    let rows = without.len();
    let n = rows as f64;
    // atanh of ±1 is infinite; the last representable step inside keeps the interval finite.
    let z = |tau: f64| tau.clamp(-1.0 + 1e-9, 1.0 - 1e-9).atanh();
    let whole = z(whole);
    let pseudo: Vec<f64> = without.map(|without| n * whole - (n - 1.0) * z(without)).collect();
    let mean = pseudo.iter().sum::<f64>() / n;
    let variance = pseudo.iter().map(|p| (p - mean).powi(2)).sum::<f64>() / (n * (n - 1.0));
    let half = normal_quantile((1.0 - level) / 2.0) * variance.sqrt();
    Interval {
        low: (whole - half).tanh(),
        high: (whole + half).tanh(),
        level,
        method: "jackknife",
        resamples: rows,
    }
}

/// τ-b without each of the pairs in turn.
fn taus_without_each(x: &[u32], y: &[u32]) -> Vec<f64> {
    let scores = scores(x, y);
    let (tied_x, tied_y) = (tied_with_each(x), tied_with_each(y));
    // Every pair of items is seen from both of its ends.
    let balance = scores.iter().sum::<i64>() / 2;
    let (all_tied_x, all_tied_y) = (tied_x.iter().sum::<u64>() / 2, tied_y.iter().sum::<u64>() / 2);
    let n = x.len() as u64;
    let pairs = (n - 1) * (n - 2) / 2;
    (0..x.len())
        .map(|i| {
            let untied_x = pairs - (all_tied_x - tied_x[i]);
            let untied_y = pairs - (all_tied_y - tied_y[i]);
            tau((balance - scores[i]) as f64, untied_x, untied_y)
        })
        .collect()
}

/// For each item, how many others it is in the same order with in both columns, less how many in opposite ones.
fn scores(x: &[u32], y: &[u32]) -> Vec<i64> {
    let mut order: Vec<usize> = (0..x.len()).collect();
    order.sort_unstable_by_key(|&i| x[i]);
    let mut scores = vec![0; x.len()];
    // First against the items of smaller x, then against those of larger x.
    for sign in [1, -1] {
        let mut seen = Tally::new(y.iter().max().map_or(0, |&largest| largest as usize + 1));
        for group in order.chunk_by(|&i, &j| x[i] == x[j]) {
            for &i in group {
                let (below, not_above) = (seen.below(y[i] as usize), seen.below(y[i] as usize + 1));
                scores[i] += sign * (below - (seen.count - not_above));
            }
            group.iter().for_each(|&i| seen.add(y[i] as usize));
        }
        order.reverse();
    }
    scores
}

/// For each item, how many others have its value; values are dense ranks.
fn tied_with_each(ranks: &[u32]) -> Vec<u64> {
    let mut counts = vec![0; ranks.len()];
    ranks.iter().for_each(|&rank| counts[rank as usize] += 1);
    ranks.iter().map(|&rank| counts[rank as usize] - 1).collect()
}

/// Counts of values with their partial sums, each in O(log n) (Fenwick 1994, doi:10.1002/spe.4380240306).
struct Tally {
    tree: Vec<i64>,
    count: i64,
}

impl Tally {
    fn new(values: usize) -> Self {
        Self { tree: vec![0; values + 1], count: 0 }
    }

    fn add(&mut self, value: usize) {
        self.count += 1;
        let mut i = value + 1;
        while i < self.tree.len() {
            self.tree[i] += 1;
            i += i & i.wrapping_neg();
        }
    }

    /// How many values are smaller.
    fn below(&self, value: usize) -> i64 {
        let (mut i, mut sum) = (value, 0);
        while i > 0 {
            sum += self.tree[i];
            i -= i & i.wrapping_neg();
        }
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn at_many_rows_the_jackknife_and_the_bootstrap_are_one() {
        let n = 3000;
        let noise =
            |salt: u64, i: u64| crate::random::below(crate::random::random(salt, 0, i), 1_000_000) as f64;
        let column = |salt: u64| (0..n).map(|i| noise(salt, i)).collect::<Vec<f64>>();
        let z = column(1);
        let add = |salt: u64| z.iter().zip(column(salt)).map(|(z, own)| z + own).collect::<Vec<f64>>();
        let (x, y) = (add(2), add(3));
        let bootstrap = crate::bootstrap_kendall(&x, &y, 0.95, 300, 5).unwrap();
        let jackknife = jackknife_kendall(&x, &y, 0.95).unwrap();
        let partial_bootstrap = crate::bootstrap_partial_kendall(&x, &y, &z, 0.95, 300, 5).unwrap();
        let partial = jackknife_partial_kendall(&x, &y, &z, 0.95).unwrap();
        for (a, b) in [(bootstrap, jackknife), (partial_bootstrap, partial)] {
            // Of 300 resamples the ends lie within about a tenth of the width.
            let tolerance = 0.15 * (a.high - a.low);
            assert!((a.low - b.low).abs() < tolerance && (a.high - b.high).abs() < tolerance, "{a:?} {b:?}");
        }
        let tau = crate::partial_kendall(&x, &y, &z, crate::Alternative::TwoSided).unwrap().tau;
        assert!(partial.low < tau && tau < partial.high);
    }

    #[test]
    fn leaving_one_out_is_leaving_it_out() {
        let draw = |seed: u64, i: u64, values: usize| {
            crate::random::below(crate::random::random(seed, 0, i), values) as f64
        };
        for seed in 0..200_u64 {
            let (n, values) = (2 + seed as usize % 17, 1 + seed as usize % 9);
            let column =
                |salt: u64| -> Vec<f64> { (0..n as u64).map(|i| draw(seed * 2 + salt, i, values)).collect() };
            let (x, y) = (column(0), column(1));
            let got = taus_without_each(&dense_ranks(&x), &dense_ranks(&y));
            for (i, got) in got.into_iter().enumerate() {
                let without = |v: &[f64]| [&v[..i], &v[i + 1..]].concat();
                let want = tau_of_ranks(&dense_ranks(&without(&x)), &dense_ranks(&without(&y)));
                assert!(got == want || got.is_nan() && want.is_nan(), "{seed}, {i}: {got} for {want}");
            }
        }
    }
}
