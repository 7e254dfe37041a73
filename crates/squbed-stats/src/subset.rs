//! τ on the items that a third column ranks lowest, at every threshold.

use crate::{
    Alternative, Kendall, KendallMethod, check,
    error::Error,
    kendall::Counts,
    rank::{dense_ranks, order},
};

/// τ of the items up to one threshold.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SubsetPoint {
    /// The largest value of the third column among them.
    pub threshold: f64,
    /// τ-b and its p on them.
    pub kendall: Kendall,
}

/// τ-b of x and y, and its p, on the items whose `by` is at most a threshold, for every threshold that leaves two
/// items or more, the lowest first. Items of equal `by` come in together. The last point is τ on all.
///
/// A threshold chosen after a look at this curve makes its p worthless; the curve is there to be shown whole.
/// O(n²) for all of it, since each item is compared once with each before it.
///
/// # Errors
///
/// Columns of different length, fewer than two items, NaN.
pub fn kendall_by_subset(
    x: &[f64],
    y: &[f64],
    by: &[f64],
    alternative: Alternative,
) -> Result<Vec<SubsetPoint>, Error> {
    check(x, y)?;
    crate::check_third(x, by)?;
    let order = order(by);
    let (x, y) = (dense_ranks(x), dense_ranks(y));
    let (x, y): (Vec<u32>, Vec<u32>) = order.iter().map(|&i| (x[i], y[i])).unzip();
    let (mut of_x, mut of_y) = (vec![0; x.len()], vec![0; x.len()]);
    let mut counts = Counts::default();
    let mut points = Vec::new();
    for end in 0..x.len() {
        let (mut discordant, mut both) = (0, 0);
        for (&a, &b) in x[..end].iter().zip(&y[..end]) {
            discordant += u64::from((a < x[end] && b > y[end]) || (a > x[end] && b < y[end]));
            both += u64::from(a == x[end] && b == y[end]);
        }
        counts.pairs += end as u64;
        counts.discordant += discordant;
        counts.both += both;
        counts.x.grow(of_x[x[end] as usize]);
        counts.y.grow(of_y[y[end] as usize]);
        of_x[x[end] as usize] += 1;
        of_y[y[end] as usize] += 1;
        let threshold = by[order[end]];
        if end > 0 && order.get(end + 1).is_none_or(|&next| by[next] != threshold) {
            let kendall = counts.test(end + 1, alternative, KendallMethod::Auto)?;
            points.push(SubsetPoint { threshold, kendall });
        }
    }
    Ok(points)
}
