//! Several groups taken as one.

use crate::{
    Estimator, GroupStatistics,
    error::{Error, check_dim},
};

/// Groups of one space, reduced to what a fit of all their samples together needs, or of all but one group's.
#[derive(Clone, Debug, PartialEq)]
pub struct Mixture {
    dim: usize,
    /// Samples mᵢ of each group.
    sizes: Vec<f64>,
    /// Scatter 1 − r̄ᵢ² of each group.
    scatters: Vec<f64>,
    /// `[groups, groups]`: half the squared distance of the groups' means.
    between: Vec<f64>,
}

impl Mixture {
    /// Groups of rows, `[groups][mᵢ][n]`.
    ///
    /// # Errors
    ///
    /// No group, an empty one, n below 2, rows of different lengths, a row of length zero, infinite or NaN.
    pub fn of<T: Copy + Into<f64>>(groups: &[Vec<&[T]>]) -> Result<Self, Error> {
        let dim = groups.first().and_then(|g| g.first()).ok_or(Error::Empty)?.len();
        check_dim(dim)?;
        let (mut means, mut scatters) = (Vec::with_capacity(groups.len()), Vec::with_capacity(groups.len()));
        for rows in groups {
            if rows.is_empty() {
                return Err(Error::Empty);
            }
            let mut units = Vec::with_capacity(rows.len() * dim);
            for (row, x) in rows.iter().enumerate() {
                if x.len() != dim {
                    return Err(Error::Ragged { row, expected: dim, got: x.len() });
                }
                let start = units.len();
                units.extend(x.iter().map(|&x| x.into()));
                if !normalise(&mut units[start..]) {
                    return Err(Error::NoDirection { row, reason: "its length is zero, infinite or NaN" });
                }
            }
            let (mean, scatter) = mean_and_scatter(&units, dim);
            means.push(mean);
            scatters.push(scatter);
        }
        let k = groups.len();
        let mut between = vec![0.0; k * k];
        for i in 0..k {
            for j in 0..i {
                let distance = half_square(&means[i], &means[j]);
                (between[i * k + j], between[j * k + i]) = (distance, distance);
            }
        }
        let sizes = groups.iter().map(|rows| rows.len() as f64).collect();
        Ok(Self { dim, sizes, scatters, between })
    }

    /// The statistics of all samples together, or of all but those of one group, for an estimator.
    ///
    /// [`Estimator::U`] is given samples whose pairs are as far apart as the pairs of *different* groups: the groups
    /// are themselves a sample of all that there could be, and of pairs from two of those hardly any would share one.
    /// Pairs within a group, one in as many as there are groups, would make the whole look tighter. The other
    /// estimators take the samples as they are.
    pub fn statistics(&self, estimator: Estimator, without: Option<usize>) -> GroupStatistics {
        let k = self.sizes.len();
        let kept = || (0..k).filter(|&i| Some(i) != without);
        let all: f64 = kept().map(|i| self.sizes[i]).sum();
        let (mut distances, mut pairs) = (0.0, 0.0);
        for i in kept() {
            for j in kept().filter(|&j| j < i) {
                // 1 − ȳᵢ·ȳⱼ, the mean of 1 − cos over these pairs, in terms none of which cancels.
                let mean = self.between[i * k + j] + (self.scatters[i] + self.scatters[j]) / 2.0;
                let weight = self.sizes[i] * self.sizes[j];
                distances += weight * mean;
                pairs += weight;
            }
        }
        if estimator == Estimator::U && pairs > 0.0 {
            return GroupStatistics::of_mean_distance(all as usize, self.dim, distances / pairs);
        }
        let within: f64 = kept().map(|i| self.sizes[i].powi(2) * self.scatters[i]).sum();
        GroupStatistics::of_scatter(all as usize, self.dim, (2.0 * distances + within) / (all * all))
    }
}

/// Scales a row to length 1; whether it has a direction.
fn normalise(x: &mut [f64]) -> bool {
    let norm = x.iter().map(|x| x * x).sum::<f64>().sqrt();
    x.iter_mut().for_each(|x| *x /= norm);
    norm.is_finite() && norm > 0.0
}

/// The mean of unit vectors and 1 − its squared length, from distances to the first one.
fn mean_and_scatter(units: &[f64], dim: usize) -> (Vec<f64>, f64) {
    let m = (units.len() / dim) as f64;
    let mut mean = vec![0.0; dim];
    for unit in units.chunks_exact(dim) {
        mean.iter_mut().zip(unit).zip(&units[..dim]).for_each(|((sum, x), first)| *sum += (x - first) / m);
    }
    mean.iter_mut().zip(units).for_each(|(mean, first)| *mean += first);
    let scatter = units.chunks_exact(dim).map(|unit| 2.0 * half_square(unit, &mean)).sum::<f64>() / m;
    (mean, scatter)
}

/// ‖x − y‖²/2, in eight partial sums, which a processor adds at once.
pub(crate) fn half_square(x: &[f64], y: &[f64]) -> f64 {
    let ((x, x_rest), (y, y_rest)) = (x.as_chunks::<8>(), y.as_chunks::<8>());
    let mut sums = [0.0; 8];
    for (x, y) in x.iter().zip(y) {
        for ((sum, x), y) in sums.iter_mut().zip(x).zip(y) {
            *sum += (x - y) * (x - y);
        }
    }
    let rest: f64 = x_rest.iter().zip(y_rest).map(|(x, y)| (x - y) * (x - y)).sum();
    (sums.iter().sum::<f64>() + rest) / 2.0
}
