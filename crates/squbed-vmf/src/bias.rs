//! What few samples do to the plug-in entropy.

/// About how many nats the plug-in entropy, that of the κ of r̄ itself, lies below the true one on average: of m samples
/// in n dimensions
///
/// ((n − 1)/2) [ln(m(n − 1)/2) − ψ((m − 1)(n − 1)/2)],
///
/// from the normal approximation, in which 2κm(1 − r̄) is χ² with (m − 1)(n − 1) degrees of freedom; it hardly depends
/// on κ. None for m below 2 or n below 2. [`Estimator::U`](crate::Estimator::U) is free of nearly all of it.
pub fn plug_in_shortfall(dim: usize, m: usize) -> Option<f64> {
    if m < 2 || dim < 2 {
        return None;
    }
    let (n, m) = ((dim - 1) as f64, m as f64);
    Some(n / 2.0 * ((m * n / 2.0).ln() - digamma((m - 1.0) * n / 2.0)))
}

/// ψ(x) for x > 0: the recurrence (DLMF 5.5.2) up to 10, from there on the asymptotic series (DLMF 5.11.2), whose error is
/// then below 1e-10.
fn digamma(mut x: f64) -> f64 {
    let mut below = 0.0;
    while x < 10.0 {
        below += x.recip();
        x += 1.0;
    }
    let square = (x * x).recip();
    let series = square * (1.0 / 12.0 - square * (1.0 / 120.0 - square * (1.0 / 252.0 - square / 240.0)));
    x.ln() - 0.5 / x - series - below
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Estimator, Sampler, fit, group_statistics};

    #[test]
    fn digamma_is_that_of_the_tables() {
        // −γ, −γ − 2 ln 2 and ψ(10) (DLMF 5.4.12, 5.4.13, 5.4.14).
        const GAMMA: f64 = 0.577_215_664_901_532_9;
        let harmonic: f64 = (1..10).map(|k| 1.0 / f64::from(k)).sum();
        for (x, want) in
            [(1.0, -GAMMA), (0.5, -GAMMA - 2.0 * std::f64::consts::LN_2), (10.0, harmonic - GAMMA)]
        {
            assert!((digamma(x) - want).abs() < 1e-10, "ψ({x}) = {}", digamma(x));
        }
    }

    #[test]
    fn the_shortfall_grows_with_the_width_and_shrinks_with_the_samples() {
        for (dim, m, want) in
            [(8, 10, 0.43), (32, 10, 1.69), (128, 10, 6.75), (512, 10, 27.0), (1024, 10, 53.9)]
        {
            let got = plug_in_shortfall(dim, m).unwrap();
            assert!((got / want - 1.0_f64).abs() < 0.02, "n = {dim}: {got}");
        }
        assert!(plug_in_shortfall(512, 5) > plug_in_shortfall(512, 10));
        assert_eq!((plug_in_shortfall(512, 1), plug_in_shortfall(1, 10)), (None, None));
    }

    #[test]
    fn it_is_what_samples_of_a_known_entropy_show() {
        let (dim, kappa, m) = (64, 2000.0, 5);
        let truth = crate::VonMisesFisher::new(dim, kappa).unwrap().entropy();
        let sampler = Sampler::new(dim, kappa, None).unwrap();
        let groups = 400;
        let mean: f64 = (0..groups)
            .map(|seed| {
                let rows = sampler.rows(m, seed).unwrap();
                let rows: Vec<&[f64]> = rows.chunks(dim).collect();
                let (statistics, _) = group_statistics(&rows).unwrap();
                fit(&statistics, Estimator::Exact).unwrap().entropy / groups as f64
            })
            .sum();
        let want = plug_in_shortfall(dim, m).unwrap();
        assert!((truth - mean - want).abs() < 0.05 * want, "{} for {want}", truth - mean);
    }
}
