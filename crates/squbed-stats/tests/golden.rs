//! Against SciPy 1.17: `tests/golden/stats/kendall.public.json`; and the paper's exact small-n rows.

use std::fs;

use serde_json::Value;
use squbed_stats::{
    Alternative, Error, KendallMethod, bootstrap_kendall, jackknife_kendall, kendall, pearson, spearman,
};

fn column(row: &Value, name: &str) -> Vec<f64> {
    row[name].as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
}

/// Same number, or both undefined.
fn close(got: f64, want: &Value, tolerance: f64, at: &str) {
    match want.as_f64() {
        None => assert!(got.is_nan(), "{at}: {got} where SciPy has NaN"),
        Some(want) => {
            let error = if got == want { 0.0 } else { (got - want).abs() / want.abs().max(1e-300) };
            assert!(
                error <= tolerance || (got - want).abs() <= 1e-300,
                "{at}: {got:e} for {want:e}, off by {error:e}"
            );
        }
    }
}

#[test]
fn equals_scipy() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/stats/kendall.public.json");
    let file: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    let rows = file["rows"].as_array().unwrap();
    assert!(rows.len() > 50);
    for row in rows {
        let name = row["name"].as_str().unwrap();
        let (x, y) = (column(row, "x"), column(row, "y"));
        let tau = kendall(&x, &y, Alternative::TwoSided, KendallMethod::Auto).unwrap().tau;
        match row["tau_b"].as_f64() {
            None => assert!(tau.is_nan(), "{name}"),
            Some(want) => assert!((tau - want).abs() <= 1e-12, "{name}: tau {tau} for {want}"),
        }
        for (side, alternative) in [
            ("two_sided", Alternative::TwoSided),
            ("less", Alternative::Less),
            ("greater", Alternative::Greater),
        ] {
            let p = |method| kendall(&x, &y, alternative, method).map(|k| k.p);
            let at = |what: &str| format!("{name}, {what}, {side}");
            close(p(KendallMethod::Auto).unwrap(), &row[format!("p_auto_{side}")], 1e-10, &at("auto"));
            close(
                p(KendallMethod::Asymptotic).unwrap(),
                &row[format!("p_asymptotic_{side}")],
                1e-10,
                &at("asymptotic"),
            );
            match p(KendallMethod::Exact) {
                Ok(p) => close(p, &row[format!("p_exact_{side}")], 1e-10, &at("exact")),
                Err(error) => {
                    assert_eq!(error, Error::Ties, "{name}");
                    assert!(row[format!("p_exact_{side}")].is_null(), "{name}");
                }
            }
            let rho = spearman(&x, &y, alternative).unwrap();
            let r = pearson(&x, &y, alternative).unwrap();
            close(rho.p, &row[format!("spearman_p_{side}")], 1e-10, &at("spearman"));
            close(r.p, &row[format!("pearson_p_{side}")], 1e-9, &at("pearson"));
            for (got, key) in [(rho.r, "spearman_rho"), (r.r, "pearson_r")] {
                match row[key].as_f64() {
                    None => assert!(got.is_nan(), "{name} {key}"),
                    Some(want) => assert!((got - want).abs() <= 1e-12, "{name} {key}: {got} for {want}"),
                }
            }
        }
    }
}

/// The paper's figures 3 and 5: n, S (concordant less discordant pairs) and the two-sided p that they show.
#[test]
fn the_paper_s_exact_rows() {
    for (n, s, shown) in [
        (10, -11, 0.381),
        (10, 1, 1.000),
        (10, -7, 0.601),
        (10, -29, 0.009),
        (6, -11, 0.056),
        (6, -13, 0.017),
        (17, -44, 0.076),
        (4, -6, 0.083),
    ] {
        // A permutation with the right number of inversions: move elements to the front one by one.
        let mut inversions = (n * (n - 1) / 2 - s) / 2;
        let mut y: Vec<f64> = Vec::new();
        for i in 0..n {
            let back = inversions.min(i);
            inversions -= back;
            y.insert((i - back) as usize, f64::from(i));
        }
        let x: Vec<f64> = (0..n).map(f64::from).collect();
        let got = kendall(&x, &y, Alternative::TwoSided, KendallMethod::Auto).unwrap();
        assert_eq!(got.method, KendallMethod::Exact);
        assert!((got.tau - f64::from(2 * s) / f64::from(n * (n - 1))).abs() < 1e-15);
        assert!((got.p - shown).abs() < 5.001e-4, "n = {n}, S = {s}: {} for {shown}", got.p);
    }
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
    let (mut bootstrap, mut jackknife, runs) = (0, 0, 300);
    for seed in 0..runs {
        let (x, y) = sample(seed, 40);
        let covers = |low: f64, high: f64| u32::from(low <= 0.5 && 0.5 <= high);
        let b = bootstrap_kendall(&x, &y, 0.95, 400, seed).unwrap();
        let j = jackknife_kendall(&x, &y, 0.95).unwrap();
        bootstrap += covers(b.low, b.high);
        jackknife += covers(j.low, j.high);
    }
    println!("coverage of 0.95: bootstrap {bootstrap}/{runs}, jackknife {jackknife}/{runs}");
    assert!((270..=297).contains(&bootstrap) && (270..=299).contains(&jackknife));
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
