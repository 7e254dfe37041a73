//! Intervals over items, for τ-b above all.

use crate::{
    check, check_third, error::Error, kendall::tau_of_sorted, partial::partial_tau, random::draw,
    rank::dense_ranks,
};

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
    /// Resamples on which the statistic is defined; the others, constant in a column, are left out.
    pub resamples: usize,
}

/// The percentile-bootstrap interval of any statistic of `n` items: `statistic` is given the numbers of the items
/// drawn, with replacement and as many as there are, and may say NaN where it is undefined on them. The same seed
/// gives the same interval on every machine.
///
/// Both ends are NaN where the statistic is undefined on every resample.
///
/// # Errors
///
/// A level outside (0, 1), no resample, no item.
pub fn bootstrap(
    n: usize,
    level: f64,
    resamples: usize,
    seed: u64,
    mut statistic: impl FnMut(&[usize]) -> f64,
) -> Result<Interval, Error> {
    if !(level > 0.0 && level < 1.0) || resamples == 0 {
        return Err(Error::Interval { level, resamples });
    }
    if n == 0 {
        return Err(Error::TooFew { n });
    }
    let mut drawn = vec![0; n];
    let mut values = Vec::with_capacity(resamples);
    for resample in 0..resamples as u64 {
        for (i, drawn) in drawn.iter_mut().enumerate() {
            *drawn = draw(seed, resample, i as u64, n);
        }
        values.push(statistic(&drawn));
    }
    values.retain(|value| !value.is_nan());
    values.sort_by(f64::total_cmp);
    let tail = (1.0 - level) / 2.0;
    Ok(Interval {
        low: quantile(&values, tail),
        high: quantile(&values, 1.0 - tail),
        level,
        method: "percentile bootstrap",
        resamples: values.len(),
    })
}

/// The percentile-bootstrap interval of τ-b: [`bootstrap`] over pairs.
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
    let mut resampled = Resampled::new(x, y);
    bootstrap(x.len(), level, resamples, seed, |drawn| resampled.tau(drawn))
}

/// The percentile-bootstrap interval of partial τ ([`partial_kendall`](crate::partial_kendall)): [`bootstrap`] over
/// rows, by the same random numbers as [`bootstrap_kendall`].
///
/// # Errors
///
/// Columns of different length, fewer than two rows, NaN, a level outside (0, 1), no resample.
pub fn bootstrap_partial_kendall(
    x: &[f64],
    y: &[f64],
    z: &[f64],
    level: f64,
    resamples: usize,
    seed: u64,
) -> Result<Interval, Error> {
    check(x, y)?;
    check_third(x, z)?;
    let [mut xy, mut xz, mut yz] = [(x, y), (x, z), (y, z)].map(|(x, y)| Resampled::new(x, y));
    bootstrap(x.len(), level, resamples, seed, |drawn| {
        partial_tau(xy.tau(drawn), xz.tau(drawn), yz.tau(drawn))
    })
}

/// Two columns whose τ-b is wanted on many resamples.
struct Resampled {
    /// Rows in the order in which τ wants them, so that no resample has to be sorted again.
    rows: Vec<(u32, u32)>,
    /// Where each item stands among them.
    places: Vec<usize>,
    times: Vec<usize>,
    drawn: Vec<(u32, u32)>,
}

impl Resampled {
    fn new(x: &[f64], y: &[f64]) -> Self {
        let n = x.len();
        let rows: Vec<(u32, u32)> = dense_ranks(x).into_iter().zip(dense_ranks(y)).collect();
        let mut order: Vec<usize> = (0..n).collect();
        order.sort_unstable_by_key(|&i| rows[i]);
        let mut places = vec![0; n];
        order.iter().enumerate().for_each(|(place, &i)| places[i] = place);
        let rows = order.into_iter().map(|i| rows[i]).collect();
        Self { rows, places, times: vec![0; n], drawn: Vec::with_capacity(n) }
    }

    fn tau(&mut self, drawn: &[usize]) -> f64 {
        self.times.fill(0);
        drawn.iter().for_each(|&i| self.times[self.places[i]] += 1);
        self.drawn.clear();
        for (&row, &times) in self.rows.iter().zip(&self.times) {
            self.drawn.extend(std::iter::repeat_n(row, times));
        }
        tau_of_sorted(&self.drawn)
    }
}

/// The q-quantile of ascending values, by linear interpolation between order statistics; NaN of none.
pub fn quantile(sorted: &[f64], q: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else { return f64::NAN };
    let at = q * last as f64;
    let (low, high) = (sorted[at.floor() as usize], sorted[at.ceil() as usize]);
    // Of two infinite neighbours there is no difference.
    if low == high { low } else { low + (at - at.floor()) * (high - low) }
}
