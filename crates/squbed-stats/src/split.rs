//! Do scores fall in two parts?

use crate::{error::Error, student::log_correlation_tail};

/// The best parting of scores in two.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Split {
    /// Share of the scores' variance that lies between the parts, in \[0, 1\]; NaN where all scores are the same, or fewer
    /// than four.
    pub share: f64,
    /// Scores in the lower part, two at least and two less than all at most.
    pub lower: usize,
    /// How often scores of one normal distribution part so well; NaN where `share` is.
    pub p: f64,
}

/// Parts scores in two, each part of at least two, so that the share of their variance between the parts is largest, and
/// tests whether it is larger than one normal distribution gives.
///
/// Under it the scores, centred and brought to length 1, are evenly spread over a sphere of dimension n − 2, and a given
/// parting has a share of at least S as often as two normal columns of n rows have a correlation of at least √S in size.
/// Of the 2ⁿ⁻¹ − n − 1 partings one has such a share at most so many times as often (Bonferroni), for small p hardly
/// less, so that p is an upper bound. One score that lies apart is no part: leaving it out makes the test deaf to outliers.
///
/// The same holds of the scores of many-dimensional rows on their first principal component, whatever the covariance of
/// their normal distribution: rotating the rows' numbers does not change their distribution, hence not that of scores whose
/// direction depends on the rows' scatter alone (Läuter, Glimm and Kropf 1998, doi:10.1214/aos/1024691473). Rows that lie
/// along one line are therefore not taken for two clusters, while in many dimensions, where the noise of different rows is
/// nearly orthogonal, clusters stand out from as few as four rows. It is a test of normal scores: of scores that fill an
/// interval evenly 2 % have p ≤ .01 at n = 5, 5 % at 10 and 12 % at 20.
///
/// # Errors
///
/// A score that is NaN or infinite.
pub fn split_in_two(scores: &[f64]) -> Result<Split, Error> {
    if let Some(row) = scores.iter().position(|x| x.is_nan()) {
        return Err(Error::Nan { column: "scores", row });
    }
    if let Some(row) = scores.iter().position(|x| x.is_infinite()) {
        return Err(Error::Infinite { column: "scores", row });
    }
    let n = scores.len();
    let mut sorted = scores.to_vec();
    sorted.sort_by(f64::total_cmp);
    let none = Split { share: f64::NAN, lower: 0, p: f64::NAN };
    if n < 4 || sorted[0] == sorted[n - 1] {
        return Ok(none);
    }
    let count = n as f64;
    let mean = sorted.iter().sum::<f64>() / count;
    let total: f64 = sorted.iter().map(|x| (x - mean).powi(2)).sum();
    let (mut best, mut lower, mut sum) = (f64::NEG_INFINITY, 0, sorted[0] - mean);
    for cut in 2..=n - 2 {
        sum += sorted[cut - 1] - mean;
        let (below, above) = (cut as f64, count - cut as f64);
        let between = sum * sum * (1.0 / below + 1.0 / above);
        if between > best {
            (best, lower) = (between, cut);
        }
    }
    // What lies within the parts, summed: 1 − share of two tight parts would keep no digit.
    let within: f64 = [&sorted[..lower], &sorted[lower..]].map(scatter).iter().sum();
    if total == 0.0 {
        return Ok(none);
    }
    let rest = (within / total).clamp(0.0, 1.0);
    let partings = (count - 1.0) * std::f64::consts::LN_2 + (-(count + 1.0) * (1.0 - count).exp2()).ln_1p();
    let p = (partings + log_correlation_tail(n - 2, rest)).exp().min(1.0);
    Ok(Split { share: 1.0 - rest, lower, p })
}

fn scatter(x: &[f64]) -> f64 {
    let mean = x.iter().sum::<f64>() / x.len() as f64;
    x.iter().map(|x| (x - mean).powi(2)).sum()
}
