//! Against SciPy, statsmodels and plain enumeration: `tests/golden/stats/families.json`, which
//! `scripts/golden_stats.py` makes.

use std::fs;

use serde_json::Value;
use squbed_stats::{Alternative, holm, partial_kendall, permutation_kendall, risk_coverage};

fn golden(part: &str) -> Vec<Value> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/stats/families.json");
    let file: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    file[part].as_array().unwrap().clone()
}

fn column(row: &Value, name: &str) -> Vec<f64> {
    row[name].as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
}

fn near(got: f64, want: &Value, tolerance: f64) {
    let want = want.as_f64().unwrap();
    assert!((got - want).abs() <= tolerance * want.abs().max(1e-300), "{got:e} for {want:e}");
}

const SIDES: [(&str, Alternative); 3] =
    [("two_sided", Alternative::TwoSided), ("less", Alternative::Less), ("greater", Alternative::Greater)];

#[test]
fn all_pairings_are_counted() {
    let cases = golden("permutation");
    for case in &cases {
        let (x, y) = (column(case, "x"), column(case, "y"));
        for (name, side) in SIDES {
            let test = permutation_kendall(&x, &y, side, 5040, 0).unwrap();
            near(test.tau, &case["tau"], 1e-12);
            near(test.p, &case[name], 1e-12);
            let all: usize = (1..=x.len()).product();
            assert_eq!((test.exact, test.pairings), (true, all));
        }
    }
    assert_eq!(cases.len(), 5);
}

#[test]
fn random_pairings_estimate_what_all_of_them_give() {
    for case in &golden("permutation")[3..] {
        let (x, y) = (column(case, "x"), column(case, "y"));
        for (name, side) in SIDES {
            // One less than all there are.
            let pairings = (1..=x.len()).product::<usize>() - 1;
            let test = permutation_kendall(&x, &y, side, pairings, 3).unwrap();
            let want = case[name].as_f64().unwrap();
            // Five standard errors.
            let off = 5.0 * (want * (1.0 - want) / pairings as f64).sqrt() + 1.0 / pairings as f64;
            assert!(!test.exact && (test.p - want).abs() <= off, "{name}: {} for {want}", test.p);
            assert_eq!(permutation_kendall(&x, &y, side, pairings, 3).unwrap(), test);
        }
    }
}

#[test]
fn partial_tau_and_its_p() {
    for case in golden("partial") {
        let [x, y, z] = ["x", "y", "z"].map(|name| column(&case, name));
        for (name, side) in SIDES {
            let got = partial_kendall(&x, &y, &z, side).unwrap();
            near(got.tau, &case["tau"], 1e-12);
            near(got.p, &case[name], 1e-10);
        }
    }
}

#[test]
fn holm_equals_statsmodels() {
    for case in golden("holm") {
        let got = holm(&column(&case, "p")).unwrap();
        for (got, want) in got.into_iter().zip(case["holm"].as_array().unwrap()) {
            near(got, want, 1e-14);
        }
    }
}

#[test]
fn risk_and_coverage_are_the_mean_over_all_orders() {
    for case in golden("risk_coverage") {
        let (uncertainty, risk) = (column(&case, "uncertainty"), column(&case, "risk"));
        let got = risk_coverage(&uncertainty, &risk).unwrap();
        let n = risk.len();
        for (i, (point, want)) in got.curve.iter().zip(column(&case, "curve")).enumerate() {
            assert_eq!(point.coverage, (i + 1) as f64 / n as f64);
            assert!((point.risk - want).abs() < 1e-13, "{} for {want}", point.risk);
        }
        for (got, key) in [(got.area, "area"), (got.optimal, "optimal"), (got.random, "random")] {
            assert!((got - case[key].as_f64().unwrap()).abs() < 1e-13, "{key}: {got}");
        }
    }
}
