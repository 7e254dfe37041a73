//! Against 60-digit arithmetic: `tests/golden/vmf`, whose files say how their rows were made.
#![expect(clippy::print_stdout, reason = "the worst errors are figures to report")]

use std::fs;

use serde_json::Value;
use squbed_vmf::{Estimator, VonMisesFisher, fit, group_statistics, kappa};

fn rows(file: &str) -> Vec<Value> {
    let path = format!("{}/../../tests/golden/vmf/{file}", env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{path}: {e}"));
    let file: Value = serde_json::from_str(&text).unwrap();
    let rows = file["rows"].as_array().unwrap().clone();
    assert!(rows.len() >= 20, "{path} has {} rows", rows.len());
    rows
}

/// A number, or a string of 40 digits rounded to f64.
fn f(value: &Value) -> f64 {
    match value {
        Value::String(text) => text.parse().unwrap(),
        other => other.as_f64().unwrap(),
    }
}

fn numbers<T>(value: &Value, read: impl Fn(&Value) -> T) -> Vec<T> {
    value.as_array().unwrap().iter().map(read).collect()
}

fn relative(got: f64, want: f64) -> f64 {
    if got == want { 0.0 } else { (got - want).abs() / want.abs() }
}

fn mixed(got: f64, want: f64) -> f64 {
    if got == want { 0.0 } else { (got - want).abs() / want.abs().max(1.0) }
}

/// The worst error of each named quantity, against a bound.
struct Worst(Vec<(&'static str, f64, f64, String)>);

impl Worst {
    fn new(bounds: &[(&'static str, f64)]) -> Self {
        Self(bounds.iter().map(|&(name, bound)| (name, bound, 0.0, String::new())).collect())
    }

    fn see(&mut self, name: &str, error: f64, at: &str) {
        let worst = self.0.iter_mut().find(|w| w.0 == name).unwrap();
        if error > worst.2 || error.is_nan() {
            (worst.2, worst.3) = (error, at.to_owned());
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
fn special_functions() {
    let mut worst = Worst::new(&[
        ("log_c", 2e-14),
        ("entropy", 1e-14),
        ("a", 2e-15),
        ("one_minus_a", 1e-14),
        ("a_prime", 5e-14),
        ("kl_uniform", 8e-15),
    ]);
    for row in rows("bessel.public.json") {
        let (dim, k) = (row["n"].as_u64().unwrap() as usize, f(&row["kappa"]));
        let vmf = VonMisesFisher::new(dim, k).unwrap();
        let at = format!("n = {dim}, kappa = {k:e}");
        worst.see("log_c", mixed(vmf.log_c(), f(&row["log_c"])), &at);
        worst.see("entropy", mixed(vmf.entropy(), f(&row["entropy"])), &at);
        worst.see("a", relative(vmf.a(), f(&row["a"])), &at);
        worst.see("one_minus_a", relative(vmf.one_minus_a(), f(&row["one_minus_a"])), &at);
        worst.see("a_prime", relative(vmf.a_prime(), f(&row["a_prime"])), &at);
        worst.see("kl_uniform", relative(vmf.kl_uniform(), f(&row["kl_uniform"])), &at);
    }
    worst.check();
}

#[test]
fn concentration_from_mean_resultant_length() {
    let named = [
        ("kappa_mle", Estimator::Exact),
        ("kappa_banerjee", Estimator::Banerjee),
        ("kappa_sra2", Estimator::Sra),
        ("kappa_song2", Estimator::Song),
        ("kappa_tanabe", Estimator::Tanabe),
    ];
    let mut worst = Worst::new(&named.map(|(name, _)| (name, 5e-15)));
    for row in rows("inverse.public.json") {
        let (dim, rbar) = (row["n"].as_u64().unwrap() as usize, f(&row["rbar"]));
        for (name, estimator) in named {
            let got = kappa(dim, rbar, f(&row["one_minus_rbar"]), estimator).unwrap();
            worst.see(name, relative(got, f(&row[name])), &format!("n = {dim}, rbar = {rbar}"));
        }
    }
    worst.check();
}

#[test]
fn fits_of_samples() {
    let mut worst = Worst::new(&[
        ("rbar", 1e-15),
        ("one_minus_rbar", 1e-15),
        ("kappa", 5e-15),
        ("banerjee", 1e-15),
        ("entropy", 1e-14),
        ("direction", 1e-15),
    ]);
    for row in rows("fit.public.json") {
        let name = row["name"].as_str().unwrap();
        let samples: Vec<Vec<f64>> = numbers(&row["samples"], |s| numbers(s, f));
        let samples: Vec<&[f64]> = samples.iter().map(Vec::as_slice).collect();
        let (statistics, direction) = group_statistics(&samples).unwrap();
        let got = fit(&statistics, Estimator::Exact).unwrap();
        let status = row["status"].as_str().unwrap();
        assert_eq!(got.point_mass, status.contains("point mass"), "{name}: {got:?}");
        assert_eq!(got.uniform, status.contains("uniform"), "{name}: {got:?}");
        worst.see("rbar", relative(statistics.rbar, f(&row["rbar"])), name);
        worst.see("one_minus_rbar", relative(statistics.one_minus_rbar, f(&row["one_minus_rbar"])), name);
        worst.see("kappa", relative(got.kappa, f(&row["kappa_mle"])), name);
        let start = fit(&statistics, Estimator::Banerjee).unwrap().kappa;
        worst.see("banerjee", relative(start, f(&row["kappa_banerjee"])), name);
        worst.see("entropy", mixed(got.entropy, f(&row["entropy"])), name);
        match direction {
            Some(direction) => {
                for (d, want) in direction.iter().zip(numbers(&row["mean_direction"], f)) {
                    worst.see("direction", (d - want).abs(), name);
                }
            }
            None => assert!(row["mean_direction"].is_null(), "{name}"),
        }
    }
    worst.check();
}
