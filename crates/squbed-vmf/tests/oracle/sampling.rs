//! Samples against an independent distribution function, and against the fits.

use squbed_vmf::{Error, Estimator, Sampler, VonMisesFisher, fit, group_statistics};

use crate::quadrature::Angles;

/// Kolmogorov's statistic exceeds this once in 10,000 samplings.
const CRITICAL: f64 = 2.23;

const CASES: [(usize, usize); 9] = [
    (2, 20_000),
    (3, 20_000),
    (4, 20_000),
    (5, 20_000),
    (8, 20_000),
    (34, 10_000),
    (128, 5000),
    (384, 3000),
    (4096, 600),
];

/// κ for each dimension: 0 to 1e9, and where samples leave the hemisphere of μ.
fn kappas(dim: usize) -> [f64; 9] {
    let n = dim as f64;
    [0.0, 1e-3, 0.5, 0.3 * n, n, 10.0 * n, 1e4, 1e6, 1e9]
}

/// A mean direction without symmetry.
fn mean(dim: usize, seed: usize) -> Vec<f64> {
    let raw: Vec<f64> = (0..dim).map(|i| ((i + 7 * seed + 1) as f64 * 12.9898).sin()).collect();
    let norm = raw.iter().map(|x| x * x).sum::<f64>().sqrt();
    raw.into_iter().map(|x| x / norm).collect()
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// 1 − μᵀx = ‖x − μ‖²/2 of each row.
fn one_minus_cosines(rows: &[f64], mean: &[f64]) -> Vec<f64> {
    rows.chunks_exact(mean.len())
        .map(|x| x.iter().zip(mean).map(|(x, m)| (x - m).powi(2)).sum::<f64>() / 2.0)
        .collect()
}

#[test]
fn cosines_follow_the_distribution_function() {
    let (mut worst, mut at) = (0.0, String::new());
    for (dim, count) in CASES {
        for (seed, kappa) in kappas(dim).into_iter().enumerate() {
            let mu = mean(dim, seed);
            let rows = Sampler::new(dim, kappa, Some(&mu)).unwrap().rows(count, seed as u64).unwrap();
            let mut samples = one_minus_cosines(&rows, &mu);
            let deviation = Angles::new(dim, kappa).kolmogorov(&mut samples);
            if deviation > worst {
                (worst, at) = (deviation, format!("n = {dim}, kappa = {kappa:e}"));
            }
            // The test is able to tell: of another κ they are not.
            if kappa >= dim as f64 {
                let other = Angles::new(dim, 1.2 * kappa).kolmogorov(&mut samples);
                assert!(other > CRITICAL, "n = {dim}, kappa = {kappa:e} passes for 1.2 of it: {other}");
            }
        }
    }
    println!(
        "Kolmogorov's statistic: worst {worst:.2} of {CRITICAL} at {at}, of {} samplings",
        9 * CASES.len()
    );
    assert!(worst < CRITICAL, "{worst} at {at}");
}

#[test]
fn cosines_have_mean_and_variance() {
    let mut worst = [0.0_f64; 2];
    for (dim, count) in CASES {
        for (seed, kappa) in kappas(dim).into_iter().enumerate() {
            let mut mu = vec![0.0; dim];
            mu[0] = 1.0;
            let rows = Sampler::new(dim, kappa, None).unwrap().rows(count, 100 + seed as u64).unwrap();
            let samples = one_minus_cosines(&rows, &mu);
            let mean = samples.iter().sum::<f64>() / count as f64;
            let angles = Angles::new(dim, kappa);
            let centre = angles.mean(|s| s);
            let [variance, fourth] = [2, 4].map(|k| angles.mean(|s| (s - centre).powi(k)));
            let square = samples.iter().map(|s| (s - centre).powi(2)).sum::<f64>() / count as f64;
            // In units of their standard errors.
            let off = [
                (mean - centre) / (variance / count as f64).sqrt(),
                (square - variance) / ((fourth - variance * variance) / count as f64).sqrt(),
            ];
            for (worst, off) in worst.iter_mut().zip(off) {
                assert!(off.abs() < 4.5, "n = {dim}, kappa = {kappa:e}: {off}");
                *worst = worst.max(off.abs());
            }
        }
    }
    println!("mean off by at most {:.1}, variance by {:.1} standard errors", worst[0], worst[1]);
}

#[test]
fn tangents_are_uniform_and_independent_of_the_cosine() {
    for (dim, count) in [(3, 20_000), (4, 20_000), (17, 10_000), (384, 2000)] {
        let kappa = 3.0 * dim as f64;
        let mu = mean(dim, 3);
        let rows = Sampler::new(dim, kappa, Some(&mu)).unwrap().rows(count, 9).unwrap();
        for axis in [0, 1, dim - 1] {
            // A unit vector of the tangent space: an axis without its part along μ.
            let mut e: Vec<f64> = mu.iter().map(|m| -mu[axis] * m).collect();
            e[axis] += 1.0;
            let length = dot(&e, &e).sqrt();
            let along: Vec<f64> = rows
                .chunks_exact(dim)
                .map(|x| {
                    let t = dot(x, &mu);
                    dot(x, &e) / length / (1.0 - t * t).sqrt()
                })
                .collect();
            let mut samples: Vec<f64> = along.iter().map(|v| 1.0 - v).collect();
            let deviation = Angles::new(dim - 1, 0.0).kolmogorov(&mut samples);
            assert!(deviation < CRITICAL, "n = {dim}, axis {axis}: {deviation}");
            let cosines = one_minus_cosines(&rows, &mu);
            let centre = cosines.iter().sum::<f64>() / count as f64;
            let covariance: f64 = cosines.iter().zip(&along).map(|(c, v)| (c - centre) * v).sum();
            let spread: f64 = cosines.iter().map(|c| (c - centre).powi(2)).sum();
            let correlation = covariance / (spread * along.iter().map(|v| v * v).sum::<f64>()).sqrt();
            assert!(correlation.abs() < 4.0 / (count as f64).sqrt(), "n = {dim}, axis {axis}: {correlation}");
        }
    }
    // In two dimensions the tangent is one of two.
    let rows = Sampler::new(2, 5.0, Some(&[0.6, -0.8])).unwrap().rows(10_000, 4).unwrap();
    let left = rows.chunks_exact(2).filter(|x| 0.6 * x[1] + 0.8 * x[0] > 0.0).count();
    assert!((left as f64 - 5000.0).abs() < 4.0 * 50.0, "{left}");
}

#[test]
fn a_fit_finds_the_concentration_again() {
    for (dim, count) in CASES {
        for (seed, kappa) in kappas(dim).into_iter().enumerate().skip(3) {
            let mu = mean(dim, 40 + seed);
            let rows = Sampler::new(dim, kappa, Some(&mu)).unwrap().rows(count, 7 * seed as u64).unwrap();
            let rows: Vec<&[f64]> = rows.chunks_exact(dim).collect();
            let (statistics, direction) = group_statistics(&rows).unwrap();
            // The U correction takes away what the mean direction, fitted too, adds to κ.
            let got = fit(&statistics, Estimator::U).unwrap().kappa;
            let error = 1.0 / (count as f64 * VonMisesFisher::new(dim, kappa).unwrap().a_prime()).sqrt();
            assert!((got - kappa).abs() < 4.5 * error, "n = {dim}, kappa = {kappa:e}: {got:e}, {error:e}");
            if kappa >= dim as f64 {
                assert!(dot(&direction.unwrap(), &mu) > 0.9, "n = {dim}, kappa = {kappa:e}");
            }
        }
    }
}

#[test]
fn a_seed_gives_the_same_rows_and_fewer_are_the_first() {
    let sampler = Sampler::new(5, 12.0, Some(&mean(5, 1))).unwrap();
    let rows = sampler.rows(50, 3).unwrap();
    assert_eq!(rows, sampler.rows(50, 3).unwrap());
    assert_eq!(rows[..20 * 5], sampler.rows(20, 3).unwrap());
    assert_ne!(rows, sampler.rows(50, 4).unwrap());
    assert_eq!(sampler.rows(0, 3).unwrap(), []);
}

#[test]
fn rows_are_unit_vectors_at_any_concentration() {
    for dim in [2, 3, 384] {
        for kappa in [0.0, 1e-300, 1.0, 1e9, 1e30, 1e308, f64::INFINITY] {
            for mean in [None, Some(mean(dim, 2)), Some(mean(dim, 2).iter().map(|x| -1e-200 * x).collect())] {
                let rows = Sampler::new(dim, kappa, mean.as_deref()).unwrap().rows(200, 1).unwrap();
                for x in rows.chunks_exact(dim) {
                    assert!((dot(x, x) - 1.0).abs() < 1e-14, "n = {dim}, kappa = {kappa:e}: {}", dot(x, x));
                }
            }
        }
    }
    let point = Sampler::new(3, f64::INFINITY, Some(&[0.0, -2.0, 0.0])).unwrap().rows(2, 0).unwrap();
    assert_eq!(point, [0.0, -1.0, 0.0, 0.0, -1.0, 0.0]);
}

#[test]
fn what_cannot_be_sampled_is_refused() {
    let refused = |dim, kappa, mean: Option<&[f64]>| Sampler::new(dim, kappa, mean).unwrap_err();
    assert_eq!(refused(1, 1.0, None), Error::Dim { dim: 1 });
    assert_eq!(refused(3, -1.0, None), Error::Kappa { kappa: -1.0 });
    assert!(matches!(refused(3, f64::NAN, None), Error::Kappa { .. }));
    assert_eq!(refused(3, 1.0, Some(&[1.0, 0.0])), Error::MeanWidth { dim: 3, got: 2 });
    assert!(matches!(refused(2, 1.0, Some(&[0.0, 0.0])), Error::MeanDirection { .. }));
    assert!(matches!(refused(2, 1.0, Some(&[1.0, f64::NAN])), Error::MeanDirection { .. }));
    let sampler = Sampler::new(3, 1.0, None).unwrap();
    assert_eq!(sampler.rows(usize::MAX, 1).unwrap_err(), Error::Memory { count: usize::MAX, dim: 3 });
    assert!(matches!(sampler.rows(usize::MAX / 4, 1), Err(Error::Memory { .. })));
}
