//! Ranks and standard scores.

/// Average ranks from 1: tied values share the mean of their places.
pub fn ranks(x: &[f64]) -> Vec<f64> {
    let order = order(x);
    let mut ranks = vec![0.0; x.len()];
    let mut start = 0;
    while start < order.len() {
        let end = start + order[start..].iter().take_while(|&&i| x[i] == x[order[start]]).count().max(1);
        // Places start+1 ..= end have this mean.
        let mean = (start + 1 + end) as f64 / 2.0;
        order[start..end].iter().for_each(|&i| ranks[i] = mean);
        start = end;
    }
    ranks
}

/// (x − mean) / standard deviation (divisor n); zeros for a constant column. Infinite values give NaN.
pub fn z_scores(x: &[f64]) -> Vec<f64> {
    // Rounding of the mean would give a constant column some deviation.
    if x.iter().all(|v| *v == x[0]) {
        return vec![0.0; x.len()];
    }
    let n = x.len() as f64;
    let mean = x.iter().sum::<f64>() / n;
    let deviation = (x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n).sqrt();
    x.iter().map(|x| (x - mean) / deviation).collect()
}

/// Equal values, −0 and 0 included, get equal numbers, in ascending order of value from 0.
pub(crate) fn dense_ranks(x: &[f64]) -> Vec<u32> {
    let order = order(x);
    let mut dense = vec![0; x.len()];
    for pair in order.windows(2) {
        dense[pair[1]] = dense[pair[0]] + u32::from(x[pair[1]] != x[pair[0]]);
    }
    dense
}

/// Positions in ascending order of value. −0 and 0 are the same.
pub(crate) fn order(x: &[f64]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..x.len()).collect();
    // Adding 0.0 turns −0 into 0, which total_cmp would tell apart.
    order.sort_by(|&i, &j| (x[i] + 0.0).total_cmp(&(x[j] + 0.0)));
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ties_share_their_mean_place() {
        assert_eq!(ranks(&[10.0, -1.0, 10.0, 0.0, -0.0]), [4.5, 1.0, 4.5, 2.5, 2.5]);
        assert_eq!(ranks(&[f64::INFINITY, 1.0, f64::NEG_INFINITY]), [3.0, 2.0, 1.0]);
        assert!(ranks(&[]).is_empty());
    }

    #[test]
    fn z_scores_have_mean_0_and_deviation_1() {
        assert_eq!(z_scores(&[1.0, 3.0]), [-1.0, 1.0]);
        assert_eq!(z_scores(&[0.1; 3]), [0.0; 3]);
        assert!(z_scores(&[]).is_empty());
    }
}
