//! Against SciPy 1.17: `tests/golden/stats/kendall.public.json`; and the paper's exact small-n rows.
#![expect(clippy::print_stdout, reason = "the worst errors and the coverage are figures to report")]

use std::fs;

use serde_json::Value;
use squbed_stats::{
    Alternative, Error, KendallMethod, bootstrap_kendall, jackknife_kendall, kendall, pearson, spearman,
};

fn column(row: &Value, name: &str) -> Vec<f64> {
    row[name].as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
}

/// The worst error of each named quantity, against a bound.
struct Worst(Vec<(&'static str, f64, f64, String)>);

impl Worst {
    fn new(bounds: &[(&'static str, f64)]) -> Self {
        Self(bounds.iter().map(|&(name, bound)| (name, bound, 0.0, String::new())).collect())
    }

    /// Both undefined, or no further apart than before; relative, absolute for a τ or r of 0.
    fn see(&mut self, name: &str, got: f64, want: &Value, absolute: bool, at: &str) {
        let error = match want.as_f64() {
            None => f64::from(u8::from(!got.is_nan())),
            Some(want) if got == want => 0.0,
            Some(want) => (got - want).abs() / if absolute { 1.0 } else { want.abs().max(1e-300) },
        };
        let worst = self.0.iter_mut().find(|w| w.0 == name).unwrap();
        if error > worst.2 || error.is_nan() {
            (worst.2, worst.3) = (error, format!("{at}: {got:e} for {want}"));
        }
    }

    fn check(&self) {
        for (name, bound, error, at) in &self.0 {
            println!("{name}: worst {error:.1e} of {bound:.0e} at {at}");
        }
        for (name, bound, error, at) in &self.0 {
            assert!(error <= bound, "{name}: {error:e} exceeds {bound:e} at {at}");
        }
    }
}

#[test]
fn equals_scipy() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/stats/kendall.public.json");
    let file: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    let rows = file["rows"].as_array().unwrap();
    assert!(rows.len() > 50);
    // SciPy's own r carries an error of 1e-16, and 1 − r² that error over 1 − r²: 1e-10 of p is as far as it goes.
    let mut worst = Worst::new(&[
        ("tau", 1e-12),
        ("p auto", 1e-10),
        ("p asymptotic", 1e-10),
        ("p exact", 1e-10),
        ("rho", 1e-12),
        ("p of rho", 1e-10),
        ("r", 1e-12),
        ("p of r", 1e-10),
    ]);
    for row in rows {
        let name = row["name"].as_str().unwrap();
        let (x, y) = (column(row, "x"), column(row, "y"));
        for (side, alternative) in [
            ("two_sided", Alternative::TwoSided),
            ("less", Alternative::Less),
            ("greater", Alternative::Greater),
        ] {
            let at = format!("{name}, {side}");
            for (what, key, method) in [
                ("p auto", "p_auto", KendallMethod::Auto),
                ("p asymptotic", "p_asymptotic", KendallMethod::Asymptotic),
                ("p exact", "p_exact", KendallMethod::Exact),
            ] {
                let want = &row[format!("{key}_{side}")];
                match kendall(&x, &y, alternative, method) {
                    Ok(got) => {
                        worst.see("tau", got.tau, &row["tau_b"], true, &at);
                        worst.see(what, got.p, want, false, &at);
                    }
                    Err(error) => {
                        assert_eq!((error, method), (Error::Ties, KendallMethod::Exact), "{at}");
                        assert!(want.is_null(), "{at}");
                    }
                }
            }
            let (rho, r) = (spearman(&x, &y, alternative).unwrap(), pearson(&x, &y, alternative).unwrap());
            worst.see("rho", rho.r, &row["spearman_rho"], true, &at);
            worst.see("p of rho", rho.p, &row[format!("spearman_p_{side}")], false, &at);
            worst.see("r", r.r, &row["pearson_r"], true, &at);
            worst.see("p of r", r.p, &row[format!("pearson_p_{side}")], false, &at);
        }
    }
    worst.check();
}

/// Columns of n different values with so many discordant pairs.
fn columns(n: u64, mut discordant: u64) -> (Vec<f64>, Vec<f64>) {
    let mut y = Vec::new();
    for i in 0..n {
        let back = discordant.min(i);
        discordant -= back;
        y.insert((i - back) as usize, i as f64);
    }
    ((0..n).map(|i| i as f64).collect(), y)
}

/// The paper's figures 3 and 5: n, S (concordant less discordant pairs), and the two-sided p and τ that they
/// show.
#[test]
fn the_paper_s_exact_rows() {
    for (n, s, p, tau) in [
        (10, -11, 0.381, -0.244),
        (10, 1, 1.000, 0.022),
        (10, -7, 0.601, -0.156),
        (10, -29, 0.009, -0.644),
        (6, -11, 0.056, -0.733),
        (6, -13, 0.017, -0.867),
        (17, -44, 0.076, -0.3235),
        (4, -6, 0.083, -1.0),
    ] {
        let (x, y) = columns(n, (n as i64 * (n as i64 - 1) / 2 - s) as u64 / 2);
        let got = kendall(&x, &y, Alternative::TwoSided, KendallMethod::Auto).unwrap();
        assert_eq!(got.method, KendallMethod::Exact);
        assert!((got.tau - tau).abs() < 5.001e-4, "n = {n}, S = {s}: tau {} for {tau}", got.tau);
        assert!((got.p - p).abs() < 5.001e-4, "n = {n}, S = {s}: p {} for {p}", got.p);
    }
}

/// One-sided tails from integer arithmetic: permutations of n with at most k inversions, over n!.
#[test]
fn exact_tails_keep_their_digits() {
    for n in 3..=33_u64 {
        let mut permutations = vec![1_u128];
        for i in 2..=n as usize {
            let mut next = vec![0; permutations.len() + i - 1];
            for (k, count) in permutations.iter().enumerate() {
                next[k..k + i].iter_mut().for_each(|sum| *sum += count);
            }
            permutations = next;
        }
        let total: u128 = permutations.iter().sum();
        let mut at_most = 0;
        for (k, count) in permutations.iter().enumerate() {
            at_most += count;
            let want = at_most as f64 / total as f64;
            let (x, y) = columns(n, k as u64);
            let got = kendall(&x, &y, Alternative::Greater, KendallMethod::Exact).unwrap().p;
            assert!((got / want - 1.0).abs() < 1e-13, "n = {n}, {k} discordant: {got:e} for {want:e}");
            let reversed: Vec<f64> = y.iter().map(|y| -y).collect();
            assert_eq!(kendall(&x, &reversed, Alternative::Less, KendallMethod::Exact).unwrap().p, got);
        }
    }
}

/// 2/n! where all pairs agree; beyond n = 170 it is no longer a number of f64.
#[test]
fn perfect_order_is_exact_at_any_length() {
    let p = |n| {
        let (x, y) = columns(n, 0);
        let got = kendall(&x, &y, Alternative::TwoSided, KendallMethod::Auto).unwrap();
        assert_eq!((got.tau > 1.0 - 1e-15, got.method), (true, KendallMethod::Exact));
        got.p
    };
    let factorial = |n: u32| (1..=n).map(f64::from).product::<f64>();
    for n in [2, 3, 10, 34, 60, 170] {
        let want = (2.0 / factorial(n)).min(1.0);
        assert!((p(u64::from(n)) / want - 1.0).abs() < 1e-13, "{n}");
    }
    assert_eq!(p(1000), 0.0);
}

#[test]
fn infinities_are_ranks_and_nan_is_refused() {
    let x = [f64::NEG_INFINITY, -2.0, 5.0, f64::INFINITY];
    let y = [1.0, 2.0, 3.0, 4.0];
    assert_eq!(kendall(&x, &y, Alternative::TwoSided, KendallMethod::Auto).unwrap().tau, 1.0);
    let error = kendall(&x, &[1.0, f64::NAN, 2.0, 3.0], Alternative::TwoSided, KendallMethod::Auto);
    assert_eq!(error.unwrap_err(), Error::Nan { column: "y", row: 1 });
    assert!(kendall(&x, &y[..2], Alternative::TwoSided, KendallMethod::Auto).is_err());
    assert!(kendall(&x[..1], &y[..1], Alternative::TwoSided, KendallMethod::Auto).is_err());
    let long: Vec<f64> = (0..30_000).map(f64::from).collect();
    let mixed: Vec<f64> = long.iter().map(|x| (x * 7919.0) % 30_011.0).collect();
    let exact = kendall(&long, &mixed, Alternative::TwoSided, KendallMethod::Exact);
    assert_eq!(exact.unwrap_err(), Error::TooMany { n: 30_000 });
}

/// Pairs of a given true τ: both columns see one common normal variable.
fn sample(seed: u64, n: u64) -> (Vec<f64>, Vec<f64>) {
    let uniform = |i: u64| {
        let mut z = (seed * 1_000_003 + i).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / 2.0_f64.powi(53)
    };
    let normal = |i: u64| (0..12).map(|j| uniform(i * 12 + j)).sum::<f64>() - 6.0;
    let x: Vec<f64> = (0..n).map(|i| normal(2 * i)).collect();
    let y = (0..n).map(|i| x[i as usize] + normal(2 * i + 1)).collect();
    (x, y)
}

#[test]
fn intervals_cover_as_they_promise() {
    // A correlation of 1/√2 has τ = (2/π) asin(1/√2) = ½.
    let (mut bootstrap, mut jackknife, runs) = (0, 0, 200);
    for seed in 0..runs {
        let (x, y) = sample(seed, 40);
        let covers = |low: f64, high: f64| u32::from(low <= 0.5 && 0.5 <= high);
        let b = bootstrap_kendall(&x, &y, 0.95, 400, seed).unwrap();
        let j = jackknife_kendall(&x, &y, 0.95).unwrap();
        bootstrap += covers(b.low, b.high);
        jackknife += covers(j.low, j.high);
    }
    println!("coverage of 0.95: bootstrap {bootstrap}/{runs}, jackknife {jackknife}/{runs}");
    assert!((180..=198).contains(&bootstrap) && (180..=199).contains(&jackknife));
}

#[test]
fn a_seed_fixes_the_interval() {
    let (x, y) = sample(1, 24);
    let draw = |seed| bootstrap_kendall(&x, &y, 0.95, 2000, seed).unwrap();
    assert_eq!(draw(1), draw(1));
    assert_ne!(draw(1), draw(2));
    assert!(draw(1).low < draw(1).high && draw(1).resamples == 2000);
    assert!(
        bootstrap_kendall(&x, &y, 1.0, 2000, 0).is_err() && bootstrap_kendall(&x, &y, 0.9, 0, 0).is_err()
    );
}
