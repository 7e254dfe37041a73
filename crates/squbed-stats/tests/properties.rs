//! What holds for all columns, against definitions in O(n²).

use proptest::prelude::*;
use squbed_stats::{
    Alternative, Error, KendallMethod, bootstrap, bootstrap_kendall, holm, jackknife_kendall, kendall,
    partial_kendall, permutation_kendall, risk_coverage, tau_b,
};

/// τ-b by its definition: every pair of rows.
fn naive_tau(x: &[f64], y: &[f64]) -> f64 {
    let sign = |a: f64, b: f64| f64::from(i8::from(a > b) - i8::from(a < b));
    let (mut balance, mut untied_x, mut untied_y) = (0.0, 0.0, 0.0);
    for i in 0..x.len() {
        for j in 0..i {
            let (dx, dy) = (sign(x[i], x[j]), sign(y[i], y[j]));
            balance += dx * dy;
            untied_x += dx.abs();
            untied_y += dy.abs();
        }
    }
    balance / (untied_x * untied_y).sqrt()
}

/// Both NaN, or as near as rounding allows.
fn same(a: f64, b: f64) -> bool {
    a.is_nan() && b.is_nan() || (a - b).abs() < 1e-12
}

/// Two columns of one length with few or many ties, infinities and both zeros among their values.
fn pairs(least: usize, most: usize) -> impl Strategy<Value = (Vec<f64>, Vec<f64>)> {
    let value = || {
        prop_oneof![
            4 => (-3i8..4).prop_map(f64::from),
            2 => -1e6f64..1e6,
            1 => prop_oneof![Just(-0.0), Just(f64::INFINITY), Just(f64::NEG_INFINITY)],
        ]
    };
    prop::collection::vec((value(), value()), least..=most).prop_map(|rows| rows.into_iter().unzip())
}

/// Values without ties, in any order.
fn distinct(n: usize) -> impl Strategy<Value = Vec<f64>> {
    Just((0..n).map(|i| i as f64 * 1.5 - 4.0).collect::<Vec<f64>>()).prop_shuffle()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

    #[test]
    fn tau_is_its_definition((x, y) in pairs(2, 130)) {
        let got = tau_b(&x, &y);
        prop_assert!(same(got, naive_tau(&x, &y)), "{got} for {}", naive_tau(&x, &y));
        let test = kendall(&x, &y, Alternative::TwoSided, KendallMethod::Auto).unwrap();
        prop_assert!(same(test.tau, got));
        prop_assert_eq!(test.p.is_nan(), got.is_nan());
        prop_assert!(got.is_nan() || (0.0..=1.0).contains(&test.p));
    }

    #[test]
    fn tau_sees_order_alone((x, y) in pairs(2, 40)) {
        let tau = tau_b(&x, &y);
        prop_assert!(same(tau_b(&y, &x), tau));
        let negative: Vec<f64> = y.iter().map(|v| -v).collect();
        prop_assert!(same(tau_b(&x, &negative), -tau));
        // Doubling keeps every order and every tie of f64.
        let doubled: Vec<f64> = x.iter().map(|v| v * 2.0).collect();
        prop_assert!(same(tau_b(&doubled, &y), tau));
        let sides = [Alternative::Greater, Alternative::Less];
        let there = sides.map(|side| kendall(&x, &y, side, KendallMethod::Auto).unwrap().p);
        let back = sides.map(|side| kendall(&x, &negative, side, KendallMethod::Auto).unwrap().p);
        prop_assert!(same(there[0], back[1]) && same(there[1], back[0]));
    }

    #[test]
    fn the_jackknife_is_its_definition((x, y) in pairs(4, 30)) {
        let interval = jackknife_kendall(&x, &y, 0.9).unwrap();
        let z = |tau: f64| tau.clamp(-1.0 + 1e-9, 1.0 - 1e-9).atanh();
        let n = x.len();
        let without = |v: &[f64], i: usize| [&v[..i], &v[i + 1..]].concat();
        let whole = z(naive_tau(&x, &y));
        let pseudo: Vec<f64> = (0..n)
            .map(|i| n as f64 * whole - (n as f64 - 1.0) * z(naive_tau(&without(&x, i), &without(&y, i))))
            .collect();
        let mean = pseudo.iter().sum::<f64>() / n as f64;
        let error = (pseudo.iter().map(|p| (p - mean).powi(2)).sum::<f64>() / (n * (n - 1)) as f64).sqrt();
        // The normal distribution's 95 % quantile.
        let half = 1.644_853_626_951_472_2 * error;
        for (got, want) in [(interval.low, (whole - half).tanh()), (interval.high, (whole + half).tanh())] {
            prop_assert!(got.is_nan() && want.is_nan() || (got - want).abs() < 1e-6, "{got} for {want}");
        }
    }

    #[test]
    fn without_ties_all_pairings_give_the_exact_p(y in (2usize..7).prop_flat_map(distinct)) {
        let x: Vec<f64> = (0..y.len()).map(|i| i as f64).collect();
        for side in [Alternative::TwoSided, Alternative::Less, Alternative::Greater] {
            let all = permutation_kendall(&x, &y, side, 720, 0).unwrap();
            let exact = kendall(&x, &y, side, KendallMethod::Exact).unwrap();
            prop_assert!(all.exact && same(all.p, exact.p), "{side}: {} for {}", all.p, exact.p);
        }
    }

    #[test]
    fn holm_lies_between_the_value_and_bonferroni(p in prop::collection::vec(0.0f64..=1.0, 1..20)) {
        let adjusted = holm(&p).unwrap();
        for (i, a) in adjusted.iter().enumerate() {
            prop_assert!(*a >= p[i] && *a <= (p[i] * p.len() as f64).min(1.0) + 1e-15);
            // The order of the values stays.
            prop_assert!(p.iter().zip(&adjusted).all(|(q, b)| (*q < p[i]) <= (b <= a)));
        }
        let least = p.iter().copied().fold(1.0, f64::min);
        prop_assert!(adjusted.contains(&(least * p.len() as f64).min(1.0)));
    }

    #[test]
    fn no_order_beats_the_optimal_and_ties_have_none(
        rows in prop::collection::vec(((0u8..5).prop_map(f64::from), -10.0f64..10.0), 2..40),
        turn in 0usize..40,
    ) {
        let (uncertainty, risk): (Vec<f64>, Vec<f64>) = rows.iter().copied().unzip();
        let curve = risk_coverage(&uncertainty, &risk).unwrap();
        prop_assert!(curve.optimal <= curve.area + 1e-12);
        prop_assert!((curve.random - risk.iter().sum::<f64>() / risk.len() as f64).abs() < 1e-12);
        let opposite: Vec<f64> = risk.iter().map(|v| -v).collect();
        prop_assert!(risk_coverage(&opposite, &risk).unwrap().area >= curve.area - 1e-12);
        let mut turned = rows.clone();
        turned.rotate_left(turn % rows.len());
        let (uncertainty, risk): (Vec<f64>, Vec<f64>) = turned.into_iter().unzip();
        let again = risk_coverage(&uncertainty, &risk).unwrap();
        prop_assert!((again.area - curve.area).abs() < 1e-12);
        // One uncertainty for all says nothing.
        let flat = risk_coverage(&vec![1.0; risk.len()], &risk).unwrap();
        prop_assert!((flat.area - flat.random).abs() < 1e-12);
    }

    #[test]
    fn holding_an_unrelated_column_fixed_changes_nothing(y in distinct(8)) {
        // z is uncorrelated with x: each of its values stands as often before as behind the others.
        let x: Vec<f64> = [1, 2, 3, 4, 4, 3, 2, 1].map(f64::from).to_vec();
        let z: Vec<f64> = (0..8).map(f64::from).collect();
        prop_assert!(tau_b(&x, &z).abs() < 1e-15);
        let partial = partial_kendall(&x, &y, &z, Alternative::TwoSided).unwrap();
        let yz = tau_b(&y, &z);
        if yz.abs() < 1.0 {
            prop_assert!((partial.tau - tau_b(&x, &y) / (1.0 - yz * yz).sqrt()).abs() < 1e-12);
        } else {
            prop_assert!(partial.tau.is_nan() && partial.p.is_nan());
        }
    }
}

#[test]
fn a_bootstrap_takes_any_statistic() {
    let x = [1.0, 5.0, 2.0, 8.0, 3.0, 9.0];
    let y = [2.0, 4.0, 1.0, 9.0, 5.0, 7.0];
    let by_rows = bootstrap(6, 0.9, 500, 7, |drawn| {
        let take = |v: &[f64]| drawn.iter().map(|&i| v[i]).collect::<Vec<f64>>();
        tau_b(&take(&x), &take(&y))
    });
    assert_eq!(by_rows, bootstrap_kendall(&x, &y, 0.9, 500, 7));
    let constant = bootstrap(3, 0.95, 10, 0, |_| 2.5).unwrap();
    assert_eq!((constant.low, constant.high, constant.resamples), (2.5, 2.5, 10));
    let undefined = bootstrap(3, 0.95, 10, 0, |_| f64::NAN).unwrap();
    assert!(undefined.low.is_nan() && undefined.high.is_nan() && undefined.resamples == 0);
    assert_eq!(bootstrap(0, 0.95, 10, 0, |_| 0.0).unwrap_err(), Error::TooFew { n: 0 });
}

#[test]
fn a_constant_column_has_no_correlation_and_no_gain() {
    let (x, flat) = ([1.0, 2.0, 3.0, 4.0], [5.0; 4]);
    let test = permutation_kendall(&x, &flat, Alternative::TwoSided, 100, 0).unwrap();
    assert!(test.tau.is_nan() && test.p.is_nan() && test.pairings == 0);
    assert!(partial_kendall(&x, &x, &flat, Alternative::TwoSided).unwrap().tau.is_nan());
    assert!(jackknife_kendall(&x, &flat, 0.95).unwrap().low.is_nan());
    // The mean of three times 0.1 is not 0.1 in f64.
    assert!(risk_coverage(&x, &[0.1; 4]).unwrap().gain.is_nan());
    let gain = |uncertainty: [f64; 4]| risk_coverage(&uncertainty, &x).unwrap().gain;
    assert!((gain([1.0, 2.0, 3.0, 4.0]) - 1.0).abs() < 1e-15 && gain(flat).abs() < 1e-15);
    assert!(gain([4.0, 3.0, 2.0, 1.0]) < -0.9);
}

#[test]
fn columns_that_do_not_fit_are_refused() {
    let x = [1.0, 2.0, 3.0];
    let two = Alternative::TwoSided;
    assert_eq!(
        partial_kendall(&x, &x, &[1.0], two).unwrap_err().to_string(),
        "the columns x and y have 3 values, z has 1"
    );
    assert_eq!(
        partial_kendall(&x, &x, &[1.0, f64::NAN, 2.0], two).unwrap_err(),
        Error::Nan { column: "z", row: 1 }
    );
    assert_eq!(
        risk_coverage(&x, &[0.0, 1.0, f64::INFINITY]).unwrap_err().to_string(),
        "column risk, row 2, is infinite"
    );
    assert_eq!(permutation_kendall(&x, &x, two, 0, 0).unwrap_err(), Error::NoPairing);
    assert_eq!(holm(&[0.5, -0.1]).unwrap_err().to_string(), "p-value 1 is -0.1; it must lie between 0 and 1");
}
