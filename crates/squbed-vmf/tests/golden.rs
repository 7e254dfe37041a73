//! Against 60-digit arithmetic: `tests/golden/vmf`, whose files say how their rows were made.

use std::fs;

use serde_json::Value;
use squbed_vmf::{Estimator, GroupStatistics, VonMisesFisher, fit, group_statistics, kappa, log_sphere_area};

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
        ("log_c", 1e-13),
        ("entropy", 1e-13),
        ("a", 1e-13),
        ("one_minus_a", 1e-13),
        ("a_prime", 1e-12),
        ("kl_uniform", 1e-13),
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
    let mut worst = Worst::new(&named.map(|(name, _)| (name, 1e-12)));
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
    let mut ordinary = Worst::new(&[("kappa", 2e-13), ("entropy", 1e-12), ("direction", 1e-12)]);
    for row in rows("fit.public.json") {
        let name = row["name"].as_str().unwrap();
        let samples: Vec<Vec<f64>> =
            row["samples"].as_array().unwrap().iter().map(|s| s.as_array().unwrap().iter().map(f).collect()).collect();
        let samples: Vec<&[f64]> = samples.iter().map(Vec::as_slice).collect();
        let (statistics, direction) = group_statistics(&samples).unwrap();
        let got = fit(&statistics, Estimator::Exact).unwrap();
        if row["mean_direction"].is_null() {
            assert!(direction.is_none() && got.uniform, "{name}: {got:?} {statistics:?}");
            continue;
        }
        println!("{name}: kappa {:.1e}", relative(got.kappa, f(&row["kappa_mle"])));
        // What is attainable where the samples themselves carry few digits of the spread.
        let hard = [("1e-07", 2e-11), ("1e-7", 2e-11), ("1e-9", 2e-9), ("1e-09", 2e-9), ("antipod", 6e-9)];
        match hard.iter().find(|(part, _)| name.contains(part)) {
            Some((_, bound)) => {
                let error = relative(got.kappa, f(&row["kappa_mle"]));
                assert!(error <= *bound, "{name}: kappa is off by {error:e}");
                assert!(mixed(got.entropy, f(&row["entropy"])) <= bound * 1e3, "{name}");
            }
            None => {
                ordinary.see("kappa", relative(got.kappa, f(&row["kappa_mle"])), name);
                ordinary.see("entropy", mixed(got.entropy, f(&row["entropy"])), name);
                for (d, want) in direction.unwrap().iter().zip(row["mean_direction"].as_array().unwrap()) {
                    ordinary.see("direction", (d - f(want)).abs(), name);
                }
            }
        }
    }
    ordinary.check();
}

/// Perron's continued fraction for A_n(κ) = I_{n/2}(κ)/I_{n/2−1}(κ), by Lentz's method: independent of the
/// expansion.
fn perron(dim: usize, x: f64) -> f64 {
    // I_{v+1}/I_v = x / (x + 2(v+1) − (2v+3)x/(x + 2v+3 + x − ...)) in Perron's form:
    // b0 = 2v + 2 + x, then −(2v + 2k + 1)x / (2v + 2 + k + 2x).
    let v = dim as f64 / 2.0 - 1.0;
    let tiny = 1e-300;
    let mut value = 2.0 * v + 2.0 + x;
    let (mut c, mut d) = (value, 0.0);
    for k in 1..200 {
        let k = f64::from(k);
        let (a, b) = (-(2.0 * v + 2.0 * k + 1.0) * x, 2.0 * v + 2.0 + k + 2.0 * x);
        d = b + a * d;
        d = 1.0 / if d == 0.0 { tiny } else { d };
        c = b + a / c;
        let delta = c * d;
        value *= delta;
        if (delta - 1.0).abs() < 1e-16 {
            break;
        }
    }
    x / value
}

#[test]
fn perrons_continued_fraction_agrees() {
    let mut worst = Worst::new(&[("a", 5e-14)]);
    for dim in [2, 3, 4, 5, 7, 8, 16, 31, 33, 34, 35, 64, 100, 384, 512, 768, 1000, 2047, 4096] {
        for step in -32..=36 {
            let k = 10.0_f64.powf(f64::from(step) / 4.0);
            let a = VonMisesFisher::new(dim, k).unwrap().a();
            worst.see("a", relative(a, perron(dim, k)), &format!("n = {dim}, kappa = {k:e}"));
        }
    }
    worst.check();
}

#[test]
fn conventions() {
    let at = |m, rbar: f64, one_minus_rbar| GroupStatistics { m, dim: 5, rbar, one_minus_rbar };
    for statistics in [at(1, 1.0, 0.0), at(7, 1.0, 0.0)] {
        let got = fit(&statistics, Estimator::U).unwrap();
        assert_eq!((got.kappa, got.entropy, got.point_mass), (f64::INFINITY, f64::NEG_INFINITY, true));
    }
    let got = fit(&at(2, 0.0, 1.0), Estimator::Exact).unwrap();
    assert_eq!((got.kappa, got.entropy, got.uniform), (0.0, log_sphere_area(5).unwrap(), true));
    let got = fit(&at(4, 0.3, 0.7), Estimator::U).unwrap();
    assert_eq!((got.kappa, got.clipped), (0.0, true));
    assert!(fit(&at(4, 1.2, -0.2), Estimator::Exact).is_err());
    assert!(fit(&at(4, f64::NAN, 0.5), Estimator::Exact).is_err());
    assert!(VonMisesFisher::new(1, 1.0).is_err() && VonMisesFisher::new(2, -1.0).is_err());
    assert!(group_statistics(&[&[1.0, f64::NAN]]).is_err() && group_statistics(&[&[0.0, 0.0]]).is_err());
    assert!(group_statistics(&[&[1.0, 0.0], &[1.0]]).is_err() && group_statistics(&[]).is_err());
}

#[test]
fn extremes_stay_finite() {
    for dim in [2, 3, 50, 4096, 1_000_000] {
        let mut last = f64::INFINITY;
        for k in [1e-300, 1e-20, 1e-3, 1.0, 1e5, 1e12, 1e100, 1e200] {
            let vmf = VonMisesFisher::new(dim, k).unwrap();
            let h = vmf.entropy();
            assert!(h.is_finite() && h <= last && vmf.a() >= 0.0 && vmf.a() <= 1.0, "n = {dim}, kappa = {k}: {h}");
            last = h;
        }
    }
}
