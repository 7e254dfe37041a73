//! Pearson's correlation, and Spearman's, which is Pearson's of ranks.

use crate::{Alternative, check, error::Error, ranks, student::two_sided};

/// A correlation and its p-value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LinearCorrelation {
    /// Pairs.
    pub n: usize,
    /// r in \[−1, 1\]; NaN where a column is constant.
    pub r: f64,
    /// p-value by Student's t with n − 2 degrees of freedom.
    pub p: f64,
}

/// Pearson's r with its p-value under normality.
///
/// # Errors
///
/// Columns of different length, fewer than two pairs, NaN.
pub fn pearson(x: &[f64], y: &[f64], alternative: Alternative) -> Result<LinearCorrelation, Error> {
    check(x, y)?;
    let n = x.len();
    let (Some(x), Some(y)) = (direction(x), direction(y)) else {
        return Ok(LinearCorrelation { n, r: f64::NAN, p: f64::NAN });
    };
    let r = x.iter().zip(&y).map(|(x, y)| x * y).sum::<f64>().clamp(-1.0, 1.0);
    if n == 2 {
        // Two points always lie on a line.
        return Ok(LinearCorrelation { n, r: r.signum(), p: 1.0 });
    }
    // 1 − |r| without cancellation: half the squared distance of the two directions.
    let sign = if r < 0.0 { -1.0 } else { 1.0 };
    let one_minus = x.iter().zip(&y).map(|(x, y)| (x - sign * y).powi(2)).sum::<f64>() / 2.0;
    Ok(LinearCorrelation { n, r, p: p_value(n, r, one_minus * (1.0 + r.abs()), alternative) })
}

/// Spearman's ρ with its p-value, which is undefined (NaN) for two pairs.
///
/// # Errors
///
/// As [`pearson`].
pub fn spearman(x: &[f64], y: &[f64], alternative: Alternative) -> Result<LinearCorrelation, Error> {
    check(x, y)?;
    let mut result = pearson(&ranks(x), &ranks(y), alternative)?;
    if result.n == 2 {
        result.p = f64::NAN;
    }
    Ok(result)
}

/// The centred column at length 1; `None` where it is constant.
fn direction(x: &[f64]) -> Option<Vec<f64>> {
    let mean = x.iter().sum::<f64>() / x.len() as f64;
    let centred: Vec<f64> = x.iter().map(|x| x - mean).collect();
    let norm = centred.iter().map(|x| x * x).sum::<f64>().sqrt();
    let constant = x.iter().all(|v| *v == x[0]);
    (!constant && norm > 0.0).then(|| centred.into_iter().map(|x| x / norm).collect())
}

fn p_value(n: usize, r: f64, one_minus_square: f64, alternative: Alternative) -> f64 {
    // Rounding leaves a perfect correlation a few units in the last place away from 1.
    let rest = if one_minus_square < 1e-30 { 0.0 } else { one_minus_square };
    let two_sided = two_sided(n - 2, r * r, rest);
    match alternative {
        Alternative::TwoSided => two_sided,
        Alternative::Greater if r >= 0.0 => two_sided / 2.0,
        Alternative::Less if r <= 0.0 => two_sided / 2.0,
        _ => 1.0 - two_sided / 2.0,
    }
}
