//! Where formulas end: degenerate groups, the ends of the range, input that is refused.

use squbed_vmf::{
    Error, Estimator, GroupStatistics, VonMisesFisher, fit, group_statistics, kappa, log_sphere_area,
};

const ESTIMATORS: [Estimator; 6] =
    [Estimator::Exact, Estimator::U, Estimator::Banerjee, Estimator::Sra, Estimator::Tanabe, Estimator::Song];

fn at(m: usize, rbar: f64, one_minus_rbar: f64) -> GroupStatistics {
    GroupStatistics { m, dim: 5, rbar, one_minus_rbar }
}

fn statistics(rows: &[&[f64]]) -> (GroupStatistics, Option<Vec<f64>>) {
    group_statistics(rows).unwrap()
}

#[test]
fn point_masses_and_single_samples_have_infinite_kappa() {
    for estimator in ESTIMATORS {
        for statistics in [at(1, 1.0, 0.0), at(7, 1.0, 0.0)] {
            let got = fit(&statistics, estimator).unwrap();
            assert_eq!((got.kappa, got.entropy), (f64::INFINITY, f64::NEG_INFINITY));
            assert!(got.point_mass && !got.uniform && !got.clipped);
        }
    }
    let vmf = VonMisesFisher::new(5, f64::INFINITY).unwrap();
    assert_eq!((vmf.a(), vmf.one_minus_a(), vmf.log_c()), (1.0, 0.0, f64::NEG_INFINITY));
}

#[test]
fn a_mean_of_zero_is_uniform() {
    for estimator in ESTIMATORS {
        let got = fit(&at(2, 0.0, 1.0), estimator).unwrap();
        assert_eq!((got.kappa, got.entropy), (0.0, log_sphere_area(5).unwrap()));
        assert!(got.uniform && !got.point_mass && got.clipped == (estimator == Estimator::U));
    }
}

#[test]
fn the_u_correction_clips_at_zero_and_says_so() {
    let got = fit(&at(4, 0.3, 0.7), Estimator::U).unwrap();
    assert_eq!((got.kappa, got.entropy, got.clipped), (0.0, log_sphere_area(5).unwrap(), true));
    assert!(!fit(&at(4, 0.6, 0.4), Estimator::U).unwrap().clipped);
    assert_eq!(kappa(5, 0.3, 0.7, Estimator::U).unwrap_err(), Error::SamplesNeeded);
}

/// Rounding must not pass for spread, nor for a direction.
#[test]
fn rows_of_one_direction_are_a_point_mass() {
    let row: Vec<f64> = (1..=384).map(|i| f64::from(i).sin()).collect();
    let multiples: Vec<Vec<f64>> =
        [1.0, 2.0, 0.125, 2.0_f64.powi(600)].iter().map(|s| row.iter().map(|x| x * s).collect()).collect();
    let rows: Vec<&[f64]> = multiples.iter().map(Vec::as_slice).collect();
    assert_eq!(statistics(&rows).0.one_minus_rbar, 0.0);
    let whole: [&[f64]; 3] = [&[1.0, 2.0, 5.0], &[3.0, 6.0, 15.0], &[7.0, 14.0, 35.0]];
    assert_eq!(statistics(&whole).0.one_minus_rbar, 0.0);
    let opposed: [&[f64]; 2] = [&[1.0, 2.0, 5.0], &[-3.0, -6.0, -15.0]];
    let (statistics, direction) = statistics(&opposed);
    assert_eq!((statistics.rbar, statistics.one_minus_rbar, direction), (0.0, 1.0, None));
}

#[test]
fn the_least_spread_is_seen() {
    // Two vectors at an angle of 1e-25: 1 − r̄ = (5e-26)²/2.
    let (statistics, _) = statistics(&[&[1.0, 0.0], &[1.0, 1e-25]]);
    assert!((statistics.one_minus_rbar / 1.25e-51 - 1.0).abs() < 1e-14, "{statistics:?}");
    assert!(fit(&statistics, Estimator::Exact).unwrap().entropy.is_finite());
}

#[test]
fn numbers_of_any_size_have_a_direction() {
    let (want, _) = statistics(&[&[3.0, 4.0], &[4.0, 3.0]]);
    for scale in [5e-324, 1e-310, 1e-200, 1e200, 4e307] {
        let (got, _) = statistics(&[&[3.0 * scale, 4.0 * scale], &[4.0, 3.0]]);
        assert!((got.rbar / want.rbar - 1.0).abs() < 1e-12, "{scale:e}: {got:?}");
    }
}

#[test]
fn the_whole_range_of_kappa_is_finite_and_in_order() {
    for dim in [2, 3, 50, 4096, 1_000_000] {
        let mut last = f64::INFINITY;
        for exponent in -320..=308 {
            let vmf = VonMisesFisher::new(dim, 10.0_f64.powi(exponent)).unwrap();
            let h = vmf.entropy();
            let all = [vmf.a(), vmf.one_minus_a(), vmf.a_prime(), vmf.log_c(), vmf.kl_uniform(), h];
            assert!(all.iter().all(|x| x.is_finite()), "n = {dim}, kappa = 1e{exponent}: {all:?}");
            let inside = |x: f64| (0.0..=1.0).contains(&x);
            assert!(
                h <= last && inside(vmf.a()) && inside(vmf.one_minus_a()),
                "{dim} 1e{exponent} {last}: {all:?}"
            );
            last = h;
        }
    }
}

#[test]
fn the_whole_range_of_mean_lengths_has_a_kappa() {
    for dim in [2, 3, 50, 4096, 1_000_000] {
        for exponent in 1..=300 {
            let small = 10.0_f64.powi(-exponent);
            for estimator in ESTIMATORS.into_iter().filter(|e| *e != Estimator::U) {
                let low = kappa(dim, small, 1.0 - small, estimator).unwrap();
                let high = kappa(dim, 1.0 - small, small, estimator).unwrap();
                assert!(
                    low > 0.0 && high > low && high.is_finite(),
                    "{dim} 1e-{exponent} {estimator}: {low} {high}"
                );
            }
        }
    }
}

#[test]
fn input_outside_the_domain_is_refused() {
    for (rbar, one_minus_rbar) in [(1.2, -0.2), (-0.1, 1.1), (f64::NAN, 0.5), (0.5, f64::NAN), (0.5, 0.6)] {
        for estimator in ESTIMATORS {
            let error = fit(&at(4, rbar, one_minus_rbar), estimator).unwrap_err();
            assert!(matches!(error, Error::Rbar { .. }), "{error}");
        }
    }
    assert_eq!(fit(&at(0, 0.5, 0.5), Estimator::Exact).unwrap_err(), Error::Empty);
    assert_eq!(VonMisesFisher::new(1, 1.0).unwrap_err(), Error::Dim { dim: 1 });
    assert_eq!(log_sphere_area(0).unwrap_err(), Error::Dim { dim: 0 });
    assert_eq!(kappa(1, 0.5, 0.5, Estimator::Sra).unwrap_err(), Error::Dim { dim: 1 });
    for kappa in [-1.0, f64::NAN, f64::NEG_INFINITY] {
        assert!(matches!(VonMisesFisher::new(2, kappa), Err(Error::Kappa { .. })), "{kappa}");
    }
    let refused = |rows: &[&[f64]]| group_statistics(rows).unwrap_err();
    assert_eq!(refused(&[]), Error::Empty);
    assert_eq!(refused(&[&[1.0]]), Error::Dim { dim: 1 });
    assert_eq!(refused(&[&[1.0, 0.0], &[1.0]]), Error::Ragged { row: 1, expected: 2, got: 1 });
    assert!(matches!(refused(&[&[1.0, 0.0], &[0.0, 0.0]]), Error::NoDirection { row: 1, .. }));
    assert!(matches!(refused(&[&[1.0, f64::NAN]]), Error::NoDirection { row: 0, .. }));
    assert!(matches!(refused(&[&[f64::INFINITY, 1.0]]), Error::NoDirection { row: 0, .. }));
}

#[test]
fn estimators_have_names() {
    for estimator in ESTIMATORS {
        assert_eq!(estimator.to_string().parse::<Estimator>().unwrap(), estimator);
    }
    let error = "newton".parse::<Estimator>().unwrap_err();
    assert_eq!(error.to_string(), "unknown estimator `newton`: exact, u, banerjee, sra, tanabe or song");
}
