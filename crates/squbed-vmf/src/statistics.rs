//! Sufficient statistics of a group.

use crate::{
    double::{Double, split_product, two_sum},
    error::Error,
};

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

impl GroupStatistics {
    /// The statistics of m samples whose pairs have this mean of 1 − cos: 1 − r̄² = (m − 1)/m times that.
    pub fn of_mean_distance(m: usize, dim: usize, mean: f64) -> Self {
        Self::of_scatter(m, dim, (m as f64 - 1.0) / m as f64 * mean)
    }

    /// The statistics of m samples with this scatter q = 1 − r̄².
    pub fn of_scatter(m: usize, dim: usize, scatter: f64) -> Self {
        let scatter = scatter.clamp(0.0, 1.0);
        let rbar = (1.0 - scatter).sqrt();
        Self { m, dim, rbar, one_minus_rbar: scatter / (1.0 + rbar) }
    }
}

/// Normalises rows `[m][n]` and reduces them; also gives the mean direction, `None` where r̄ = 0.
///
/// Directions and their mean carry about 31 digits (double-double), so that groups that are tight to 1e-9 or
/// that cancel almost wholly keep all of κ's. Rows of one direction in exact arithmetic, such as \[1, 2\] and
/// \[3, 6\], give 1 − r̄ = 0; rows that cancel exactly give r̄ = 0.
///
/// # Errors
///
/// No row, n below 2, rows of different dimension, and rows that are zero or not finite.
pub fn group_statistics(rows: &[&[f64]]) -> Result<(GroupStatistics, Option<Vec<f64>>), Error> {
    let first = rows.first().ok_or(Error::Empty)?;
    let dim = first.len();
    crate::error::check_dim(dim)?;
    let m = rows.len();
    let mut units = Vec::with_capacity(m);
    for (row, &x) in rows.iter().enumerate() {
        if x.len() != dim {
            return Err(Error::Ragged { row, expected: dim, got: x.len() });
        }
        units.push(unit(x).map_err(|reason| Error::NoDirection { row, reason })?);
    }

    // What rounding alone leaves of a sum that should vanish, relative to its largest term.
    let noise = m as f64 * 2.0_f64.powi(-98);
    let mut mean = vec![Double::default(); dim];
    let mut largest = vec![0.0_f64; dim];
    for y in &units {
        for ((sum, largest), y) in mean.iter_mut().zip(&mut largest).zip(y) {
            let (high, error) = two_sum(sum.high, y.high);
            *sum = Double { high, low: sum.low + (error + y.low) };
            *largest = largest.max(y.high.abs());
        }
    }
    for (mean, largest) in mean.iter_mut().zip(&largest) {
        *mean = Double::new(mean.high, mean.low).over(m as f64);
        if mean.high.abs() <= noise * largest {
            *mean = Double::default();
        }
    }

    let mut scatter = vec![0.0; dim];
    for y in &units {
        for (((sum, mean), largest), y) in scatter.iter_mut().zip(&mean).zip(&largest).zip(y) {
            let (high, error) = two_sum(y.high, -mean.high);
            let d = high + (error + (y.low - mean.low));
            *sum += if d.abs() <= noise * largest { 0.0 } else { d * d };
        }
    }
    let q = scatter.iter().sum::<f64>() / m as f64;
    let rbar = mean.iter().map(|y| y.high * y.high).sum::<f64>().sqrt().min(1.0);
    let one_minus_rbar = (q / (1.0 + rbar)).min(1.0);
    let direction = (rbar > 0.0).then(|| mean.iter().map(|y| y.high / rbar).collect());
    Ok((GroupStatistics { m, dim, rbar, one_minus_rbar }, direction))
}

/// x/‖x‖, or why x has no direction.
pub(crate) fn unit(x: &[f64]) -> Result<Vec<Double>, &'static str> {
    if x.iter().any(|x| !x.is_finite()) {
        return Err("it has a NaN or an infinity");
    }
    let largest = x.iter().fold(0.0_f64, |largest, x| largest.max(x.abs()));
    if largest == 0.0 {
        return Err("all its numbers are zero");
    }
    // A power of two, so that scaling is exact and squares neither overflow nor vanish; in two halves, since
    // that of a subnormal number is itself out of range.
    let exponent = -libm::ilogb(largest);
    let (first, second) = (libm::scalbn(1.0, exponent / 2), libm::scalbn(1.0, exponent - exponent / 2));
    let scaled: Vec<f64> = x.iter().map(|x| x * first * second).collect();
    let inverse = Double::sum_of_squares(&scaled).inverse_square_root();
    Ok(scaled
        .into_iter()
        .map(|x| {
            let (high, error) = split_product(x, inverse.high);
            Double { high, low: error + x * inverse.low }
        })
        .collect())
}
