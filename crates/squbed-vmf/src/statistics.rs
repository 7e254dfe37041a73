//! Sufficient statistics of a group.

use crate::error::Error;

/// All that a fit needs of a group of unit vectors.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GroupStatistics {
    /// Samples m.
    pub m: usize,
    /// Dimension n.
    pub dim: usize,
    /// r̄, the length of the mean of the unit vectors.
    pub rbar: f64,
    /// 1 − r̄, from the centred scatter q = Σ‖yᵢ − ȳ‖²/m = 1 − r̄² as q/(1 + r̄): the difference 1 − ‖ȳ‖
    /// loses all digits of a tight group.
    pub one_minus_rbar: f64,
}

/// Normalises rows `[m][n]` and reduces them; also gives the mean direction, `None` where r̄ = 0.
///
/// Sums carry their rounding errors along (double-double), so that groups that are tight to 1e-9 or cancel
/// almost wholly keep their digits.
///
/// # Errors
///
/// No row, n below 2, rows of different dimension, and rows that are zero or not finite.
pub fn group_statistics(rows: &[&[f64]]) -> Result<(GroupStatistics, Option<Vec<f64>>), Error> {
    let first = rows.first().ok_or(Error::Empty)?;
    let dim = first.len();
    crate::error::check_dim(dim)?;
    let m = rows.len();
    let mut units: Vec<Vec<Double>> = Vec::with_capacity(m);
    for (row, &x) in rows.iter().enumerate() {
        if x.len() != dim {
            return Err(Error::Ragged { row, expected: dim, got: x.len() });
        }
        units.push(unit(row, x)?);
    }
    let count = m as f64;
    let mean: Vec<Double> = (0..dim)
        .map(|j| units.iter().fold(Double::default(), |sum, y| sum.plus(y[j])).over(count))
        .collect();
    let square = mean.iter().fold(Double::default(), |sum, &y| sum.plus(y.times(y)));
    let mut scatter = Double::default();
    for y in &units {
        for (&y, &mean) in y.iter().zip(&mean) {
            let d = y.plus(mean.negated());
            scatter = scatter.plus(d.times(d));
        }
    }
    let rbar = square.high.max(0.0).sqrt().min(1.0);
    let q = scatter.over(count).high;
    let one_minus_rbar = (q / (1.0 + rbar)).clamp(0.0, 1.0);
    let direction = (rbar > 0.0).then(|| mean.iter().map(|y| y.high / rbar).collect());
    Ok((GroupStatistics { m, dim, rbar, one_minus_rbar }, direction))
}

/// x/‖x‖, to about 30 digits.
fn unit(row: usize, x: &[f64]) -> Result<Vec<Double>, Error> {
    let fail = |reason| Err(Error::NoDirection { row, reason });
    if x.iter().any(|x| !x.is_finite()) {
        return fail("it has a NaN or an infinity");
    }
    let largest = x.iter().fold(0.0_f64, |largest, x| largest.max(x.abs()));
    if largest == 0.0 {
        return fail("all its numbers are zero");
    }
    // A power of two, so that scaling is exact and squares neither overflow nor vanish.
    let scale = libm::scalbn(1.0, -libm::ilogb(largest));
    let scaled: Vec<Double> = x.iter().map(|&x| Double { high: x * scale, low: 0.0 }).collect();
    let square = scaled.iter().fold(Double::default(), |sum, &x| sum.plus(x.times(x)));
    // One Newton step on the reciprocal square root: y(3 − s y²)/2.
    let y = Double { high: 1.0 / square.high.sqrt(), low: 0.0 };
    let three = Double { high: 3.0, low: 0.0 };
    let inverse = three.plus(square.times(y.times(y)).negated()).times(y).over(2.0);
    Ok(scaled.into_iter().map(|x| x.times(inverse)).collect())
}

/// A number as the unevaluated sum of two f64 (Dekker 1971, doi:10.1007/BF01397083).
#[derive(Clone, Copy, Debug, Default)]
struct Double {
    high: f64,
    low: f64,
}

impl Double {
    fn plus(self, other: Self) -> Self {
        let high = self.high + other.high;
        let part = high - self.high;
        let error = (self.high - (high - part)) + (other.high - part);
        Self::renormal(high, error + self.low + other.low)
    }

    fn times(self, other: Self) -> Self {
        let high = self.high * other.high;
        let error = self.high.mul_add(other.high, -high);
        Self::renormal(high, error + self.high * other.low + self.low * other.high)
    }

    fn over(self, divisor: f64) -> Self {
        let high = self.high / divisor;
        let rest = (-high).mul_add(divisor, self.high) + self.low;
        Self::renormal(high, rest / divisor)
    }

    fn negated(self) -> Self {
        Self { high: -self.high, low: -self.low }
    }

    fn renormal(high: f64, low: f64) -> Self {
        let sum = high + low;
        Self { high: sum, low: low - (sum - high) }
    }
}
