//! Several tests at once.

use crate::error::Error;

/// Holm's adjusted p-values, in the order given (Holm 1979, *A simple sequentially rejective multiple test
/// procedure*): rejecting those at most α keeps the chance of any false rejection at α, whatever the tests'
/// dependence. A NaN, the p-value of a test that is undefined, stays NaN and is not counted.
///
/// # Errors
///
/// A value outside \[0, 1\].
pub fn holm(p: &[f64]) -> Result<Vec<f64>, Error> {
    if let Some(row) = p.iter().position(|p| *p < 0.0 || *p > 1.0) {
        return Err(Error::Probability { row, value: p[row] });
    }
    let mut order: Vec<usize> = (0..p.len()).filter(|&i| !p[i].is_nan()).collect();
    order.sort_by(|&i, &j| p[i].total_cmp(&p[j]));
    let mut adjusted = vec![f64::NAN; p.len()];
    let mut largest = 0.0_f64;
    for (rank, &i) in order.iter().enumerate() {
        largest = largest.max((order.len() - rank) as f64 * p[i]).min(1.0);
        adjusted[i] = largest;
    }
    Ok(adjusted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn undefined_tests_are_not_counted() {
        let adjusted = holm(&[0.02, f64::NAN, 0.01]).unwrap();
        assert_eq!((adjusted[0], adjusted[2]), (0.02, 0.02));
        assert!(adjusted[1].is_nan());
        assert!(holm(&[]).unwrap().is_empty());
        assert_eq!(holm(&[0.5, 1.5]).unwrap_err(), Error::Probability { row: 1, value: 1.5 });
    }
}
