//! A permutation test of τ-b.

use crate::{
    Alternative, check,
    error::Error,
    kendall::balance_and_tau,
    random::{below, random},
    rank::dense_ranks,
};

/// τ-b and how often a random pairing of the columns gives one as far from 0.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PermutationTest {
    /// Pairs.
    pub n: usize,
    /// τ-b; NaN where a column is constant.
    pub tau: f64,
    /// p-value; NaN where a column is constant.
    pub p: f64,
    /// Pairings looked at.
    pub pairings: usize,
    /// Whether these are all there are; p is no estimate then.
    pub exact: bool,
    /// What p speaks against.
    pub alternative: Alternative,
}

/// The permutation test of τ-b, valid with ties at any n. Where there are at most `pairings` pairings, n!, all are
/// looked at and p is their share; else as many random ones, and p = (1 + hits)/(1 + pairings) (Phipson and Smyth
/// 2010, doi:10.2202/1544-6115.1585), which is never 0. Two-sided p counts pairings with |τ| at least as large.
///
/// Nothing is rounded: pairings are compared by their concordant less discordant pairs, whole numbers whose
/// ratio to τ no pairing changes.
///
/// # Errors
///
/// Columns of different length, fewer than two pairs, NaN, no pairing.
pub fn permutation_kendall(
    x: &[f64],
    y: &[f64],
    alternative: Alternative,
    pairings: usize,
    seed: u64,
) -> Result<PermutationTest, Error> {
    check(x, y)?;
    if pairings == 0 {
        return Err(Error::NoPairing);
    }
    let n = x.len();
    let (x, mut y) = (dense_ranks(x), dense_ranks(y));
    let (observed, tau) = balance_and_tau(&x, &y);
    let pairs = Pairs::of(&x);
    let hit = |y: &[u32]| {
        let balance = pairs.balance(y);
        usize::from(match alternative {
            Alternative::TwoSided => balance.abs() >= observed.abs(),
            Alternative::Greater => balance >= observed,
            Alternative::Less => balance <= observed,
        })
    };
    let all = (1..=n).try_fold(1_usize, |product, i| product.checked_mul(i)).filter(|&all| all <= pairings);
    let (p, pairings) = if tau.is_nan() {
        (f64::NAN, 0)
    } else if let Some(all) = all {
        let mut hits = 0;
        each_permutation(&mut y, &mut |y| hits += hit(y));
        (hits as f64 / all as f64, all)
    } else {
        let mut hits = 0;
        for pairing in 0..pairings as u64 {
            for i in (1..n).rev() {
                y.swap(i, below(random(seed, pairing, i as u64), i + 1));
            }
            hits += hit(&y);
        }
        ((1 + hits) as f64 / (1 + pairings) as f64, pairings)
    };
    Ok(PermutationTest { n, tau, p, pairings, exact: all.is_some() && !tau.is_nan(), alternative })
}

/// Most rows of which every pair is looked at, which is faster than to sort them.
const MOST_IN_PAIRS: usize = 128;

/// The pairs of rows that x orders.
struct Pairs {
    x: Vec<u32>,
    /// Rows in ascending order of x, each with the place of the first row that is above it; none of many rows.
    ascending: Option<Vec<(usize, usize)>>,
}

impl Pairs {
    fn of(x: &[u32]) -> Self {
        let ascending = (x.len() <= MOST_IN_PAIRS).then(|| {
            let mut rows: Vec<usize> = (0..x.len()).collect();
            rows.sort_by_key(|&i| x[i]);
            let above = |at: usize| rows.partition_point(|&i| x[i] <= x[rows[at]]);
            (0..rows.len()).map(|at| (rows[at], above(at))).collect()
        });
        Self { x: x.to_vec(), ascending }
    }

    /// Concordant less discordant pairs with y.
    fn balance(&self, y: &[u32]) -> f64 {
        let Some(ascending) = &self.ascending else { return balance_and_tau(&self.x, y).0 };
        let mut sorted = [0; MOST_IN_PAIRS];
        ascending.iter().zip(&mut sorted).for_each(|(&(i, _), at)| *at = y[i]);
        let sorted = &sorted[..y.len()];
        let with_those_above = |(&own, &(_, above)): (&u32, &(usize, usize))| {
            sorted[above..].iter().map(|&other| i32::from(other > own) - i32::from(other < own)).sum::<i32>()
        };
        f64::from(sorted.iter().zip(ascending).map(with_those_above).sum::<i32>())
    }
}

/// Every order of the values, each item taken as different (Heap 1963, doi:10.1093/comjnl/6.3.293).
pub(crate) fn each_permutation(values: &mut [u32], see: &mut dyn FnMut(&[u32])) {
    let mut counters = vec![0; values.len()];
    see(values);
    let mut i = 1;
    while i < values.len() {
        if counters[i] < i {
            values.swap(i, if i % 2 == 0 { 0 } else { counters[i] });
            see(values);
            counters[i] += 1;
            i = 1;
        } else {
            counters[i] = 0;
            i += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn pairs_by_the_eye_and_by_sorting_are_the_same() {
        let value = |i: usize, salt: u64, of: usize| below(random(salt, 1, i as u64), of) as u32;
        for n in [2, 7, 33, MOST_IN_PAIRS] {
            for ties in [2, n / 2 + 1, 10 * n] {
                let column =
                    |salt| dense_ranks(&(0..n).map(|i| f64::from(value(i, salt, ties))).collect::<Vec<_>>());
                let (x, y) = (column(1), column(2));
                assert_eq!(Pairs::of(&x).balance(&y), balance_and_tau(&x, &y).0, "{n} {ties}");
            }
        }
    }

    #[test]
    fn every_order_comes_once() {
        for n in 1..=6 {
            let mut seen = Vec::new();
            each_permutation(&mut (0..n).collect::<Vec<u32>>(), &mut |order| seen.push(order.to_vec()));
            let different: BTreeSet<_> = seen.iter().collect();
            assert_eq!((seen.len(), different.len()), ((1..=n as usize).product(), seen.len()));
        }
    }
}
