//! A group by the distances of its pairs: all that resampling and leaving out need.

use crate::{
    GroupStatistics,
    error::{Error, check_dim},
    mixture::half_square,
};

/// 1 − cos of every pair of a group's rows, from which any part of the group is fitted in O(m²), whatever the
/// dimension of its rows.
#[derive(Clone, Debug, PartialEq)]
pub struct PairDistances {
    m: usize,
    dim: usize,
    /// `[m, m]`, symmetric, zeros on the diagonal.
    distances: Vec<f64>,
}

/// Steps of the power iteration; two components that are as large as each other to a thousandth need so many.
const MOST_STEPS: usize = 2000;

impl PairDistances {
    /// Distances of rows `[m][n]`, each as half the squared length of the difference of the two unit vectors, which
    /// keeps the digits of a tight group that 1 − cos would lose.
    ///
    /// # Errors
    ///
    /// No row, n below 2, rows of different lengths, a row of length zero, infinite or NaN.
    pub fn of<T: Copy + Into<f64>>(rows: &[&[T]]) -> Result<Self, Error> {
        let (m, dim) = (rows.len(), rows.first().ok_or(Error::Empty)?.len());
        check_dim(dim)?;
        let mut units = Vec::with_capacity(m * dim);
        for (row, x) in rows.iter().enumerate() {
            if x.len() != dim {
                return Err(Error::Ragged { row, expected: dim, got: x.len() });
            }
            let norm = x.iter().map(|&x| x.into() * x.into()).sum::<f64>().sqrt();
            if !(norm.is_finite() && norm > 0.0) {
                return Err(Error::NoDirection { row, reason: "its length is zero, infinite or NaN" });
            }
            units.extend(x.iter().map(|&x| x.into() / norm));
        }
        let mut distances = vec![0.0; m * m];
        for i in 0..m {
            for j in 0..i {
                let distance = half_square(&units[i * dim..][..dim], &units[j * dim..][..dim]);
                (distances[i * m + j], distances[j * m + i]) = (distance, distance);
            }
        }
        Ok(Self { m, dim, distances })
    }

    /// Rows m.
    pub fn count(&self) -> usize {
        self.m
    }

    /// The group without one row; `None` where fewer than two are left.
    pub fn without(&self, row: usize) -> Option<GroupStatistics> {
        let (mut sum, mut pairs) = (0.0, 0.0);
        for i in (0..self.m).filter(|&i| i != row) {
            for j in (0..i).filter(|&j| j != row) {
                sum += self.distances[i * self.m + j];
                pairs += 1.0;
            }
        }
        (self.m > 2).then(|| GroupStatistics::of_mean_distance(self.m - 1, self.dim, sum / pairs))
    }

    /// A group of m rows whose pairs are as far apart as the pairs of *different* rows among those drawn; `None` where
    /// all drawn are one row.
    ///
    /// Rows drawn twice are at distance 0 from themselves. In a bootstrap these pairs, one in m, would make every
    /// resample tighter than the group is and its κ larger; without them the mean cosine stays unbiased.
    pub fn drawn(&self, rows: &[usize]) -> Option<GroupStatistics> {
        let mut times = vec![0.0; self.m];
        rows.iter().for_each(|&row| times[row] += 1.0);
        let (mut sum, mut pairs) = (0.0, 0.0);
        for i in (0..self.m).filter(|&i| times[i] > 0.0) {
            for j in 0..i {
                let weight = times[i] * times[j];
                sum += weight * self.distances[i * self.m + j];
                pairs += weight;
            }
        }
        (pairs > 0.0).then(|| GroupStatistics::of_mean_distance(self.m, self.dim, sum / pairs))
    }

    /// The rows' scores on their first principal component, of sum 0 and length 1, up to their sign: the leading eigenvector
    /// of the doubly centred distances (Gower 1966, doi:10.1093/biomet/53.3-4.325). None where all rows are the same.
    pub fn leading_scores(&self) -> Option<Vec<f64>> {
        let m = self.m;
        let means: Vec<f64> =
            self.distances.chunks_exact(m).map(|row| row.iter().sum::<f64>() / m as f64).collect();
        let mean = means.iter().sum::<f64>() / m as f64;
        if mean == 0.0 {
            return None;
        }
        // Half the squared distances: the products of the centred rows.
        let product = |i: usize, j: usize| means[i] + means[j] - mean - self.distances[i * m + j];
        let products: Vec<f64> = (0..m * m).map(|at| product(at / m, at % m)).collect();
        // The largest of its rows is no far start, and has a part in the leading direction of its own.
        let start = (0..m).max_by(|&i, &j| products[i * m + i].total_cmp(&products[j * m + j]))?;
        let mut scores = products[start * m..][..m].to_vec();
        for _ in 0..MOST_STEPS {
            let length = scores.iter().map(|x| x * x).sum::<f64>().sqrt();
            if length == 0.0 {
                return None;
            }
            scores.iter_mut().for_each(|x| *x /= length);
            let next: Vec<f64> = products
                .chunks_exact(m)
                .map(|row| row.iter().zip(&scores).map(|(a, b)| a * b).sum::<f64>())
                .collect();
            let length = next.iter().map(|x| x * x).sum::<f64>().sqrt();
            let moved: f64 = next.iter().zip(&scores).map(|(a, b)| (a / length - b).powi(2)).sum();
            scores = next;
            if moved < 1e-20 {
                break;
            }
        }
        let length = scores.iter().map(|x| x * x).sum::<f64>().sqrt();
        scores.iter_mut().for_each(|x| *x /= length);
        Some(scores)
    }

    /// 1 − the cosine of a row with the mean direction of the others; `None` where there is no other, or where the
    /// others have no direction.
    pub fn from_others(&self, row: usize) -> Option<f64> {
        let others = if self.m == 2 {
            GroupStatistics { m: 1, dim: self.dim, rbar: 1.0, one_minus_rbar: 0.0 }
        } else {
            self.without(row)?
        };
        // μᵀx = (1 − mean distance to the others)/r̄.
        let mean = self.distances[row * self.m..][..self.m].iter().sum::<f64>() / others.m as f64;
        (others.rbar > 0.0).then(|| ((mean - others.one_minus_rbar) / others.rbar).clamp(0.0, 2.0))
    }
}
