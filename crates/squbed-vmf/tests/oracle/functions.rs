//! The special functions: a continued fraction, a power series, quadrature, closed forms.

use squbed_vmf::{Estimator, GroupStatistics, VonMisesFisher, fit, log_sphere_area};

use crate::quadrature::Angles;

/// Perron's continued fraction for A_n(κ) = I_{n/2}(κ)/I_{n/2−1}(κ), by Lentz's method:
/// κ/A = n + κ − (n+1)κ/(n + 1 + 2κ − (n+3)κ/(n + 2 + 2κ − …)).
fn perron(dim: usize, kappa: f64) -> f64 {
    let n = dim as f64;
    let mut value = n + kappa;
    let (mut c, mut d) = (value, 0.0);
    for k in 1..=40 {
        let k = f64::from(k);
        let (a, b) = (-(n + 2.0 * k - 1.0) * kappa, n + k + 2.0 * kappa);
        d = 1.0 / (b + a * d);
        c = b + a / c;
        value *= c * d;
        if (c * d - 1.0).abs() < 1e-16 {
            break;
        }
    }
    kappa / value
}

const DIMS: [usize; 24] =
    [2, 3, 4, 5, 7, 8, 16, 31, 33, 34, 35, 64, 65, 66, 100, 129, 130, 258, 384, 768, 1025, 1026, 2047, 4096];

/// κ from 1e-8 to 1e9.
fn kappas() -> impl Iterator<Item = f64> {
    (-64..=72).map(|step| 10.0_f64.powf(f64::from(step) / 8.0))
}

#[test]
fn perrons_continued_fraction_agrees() {
    let (mut worst, mut at) = (0.0, (0, 0.0));
    for dim in DIMS {
        for kappa in kappas() {
            let want = perron(dim, kappa);
            let error = (VonMisesFisher::new(dim, kappa).unwrap().a() - want).abs() / want;
            if error > worst {
                (worst, at) = (error, (dim, kappa));
            }
        }
    }
    println!("A: worst {worst:.1e} at n = {}, kappa = {:e}", at.0, at.1);
    // The fraction's own error.
    assert!(worst < 3e-14, "{worst:e} at {at:?}");
}

/// L = log ₀F₁(n/2; κ²/4) = log Σ (κ²/4)ʲ / (j! (n/2)ⱼ), all of whose terms are positive.
fn series(dim: usize, kappa: f64) -> f64 {
    let (half, x) = (dim as f64 / 2.0, kappa * kappa / 4.0);
    // Terms relative to 1, scaled down when they grow large; the first one apart, so that small sums keep it.
    let (mut term, mut rest, mut scale) = (1.0_f64, 0.0_f64, 0.0);
    for j in 0..100_000 {
        let j = f64::from(j);
        term *= x / ((j + 1.0) * (half + j));
        rest += term;
        if term > 1e250 {
            (term, rest, scale) = (term * 1e-250, rest * 1e-250, scale + 250.0 * std::f64::consts::LN_10);
        }
        if term < 1e-20 * rest {
            break;
        }
    }
    if scale == 0.0 { rest.ln_1p() } else { rest.ln() + scale }
}

#[test]
fn the_power_series_agrees() {
    let (mut worst, mut at) = (0.0, (0, 0.0));
    for dim in DIMS {
        for kappa in kappas().filter(|&k| k <= 1000.0) {
            let vmf = VonMisesFisher::new(dim, kappa).unwrap();
            let l = series(dim, kappa);
            let log_c = -log_sphere_area(dim).unwrap() - l;
            // κA − L cancels to about κ²/(2n) of terms of κ²/n, and to less where κ is large.
            let kl = kappa * vmf.a() - l;
            let log_c = (vmf.log_c() - log_c).abs() / log_c.abs().max(1.0);
            let kl = (vmf.kl_uniform() - kl).abs() / (kappa * vmf.a());
            let error = f64::max(log_c, kl);
            if error > worst {
                (worst, at) = (error, (dim, kappa));
            }
        }
    }
    println!("log C and KL: worst {worst:.1e} at n = {}, kappa = {:e}", at.0, at.1);
    assert!(worst < 1e-14, "{worst:e} at {at:?}");
}

/// 1/C = |S of one dimension less| ∫ exp(κ cos θ) sinⁿ⁻²θ dθ, and 1 − A is the mean of 1 − cos θ.
#[test]
fn quadrature_agrees() {
    let (mut worst, mut at) = ([0.0_f64; 2], [(0, 0.0); 2]);
    for dim in DIMS {
        for kappa in kappas().step_by(4) {
            let vmf = VonMisesFisher::new(dim, kappa).unwrap();
            let angles = Angles::new(dim, kappa);
            // The sphere in one dimension is two points.
            let area = if dim == 2 { 2.0_f64.ln() } else { log_sphere_area(dim - 1).unwrap() };
            let one_minus_a = angles.mean(|one_minus_cos| one_minus_cos);
            let h = area + angles.log_integral() + kappa * one_minus_a;
            let errors =
                [(vmf.one_minus_a() / one_minus_a - 1.0).abs(), (vmf.entropy() - h).abs() / h.abs().max(1.0)];
            for i in 0..2 {
                if errors[i] > worst[i] {
                    (worst[i], at[i]) = (errors[i], (dim, kappa));
                }
            }
        }
    }
    println!("1 - A: worst {:.1e} at {:?}; h: worst {:.1e} at {:?}", worst[0], at[0], worst[1], at[1]);
    // The ends of the grid lie at e⁻⁴⁵ of the peak.
    assert!(worst[0] < 1e-13 && worst[1] < 1e-13, "{worst:?} at {at:?}");
}

/// A_3(κ) = coth κ − 1/κ, C_3 = κ/(4π sinh κ).
#[test]
fn three_dimensions_have_a_closed_form() {
    for kappa in [0.5, 1.0, 3.0, 10.0, 100.0, 700.0_f64] {
        let vmf = VonMisesFisher::new(3, kappa).unwrap();
        let a = 1.0 / kappa.tanh() - 1.0 / kappa;
        let log_c = kappa.ln() - (4.0 * std::f64::consts::PI).ln() - kappa.sinh().ln();
        assert!((vmf.a() - a).abs() < 1e-14, "{kappa}");
        assert!((vmf.log_c() - log_c).abs() < 1e-13 * log_c.abs(), "{kappa}");
        assert!((vmf.entropy() - (kappa * a).mul_add(-1.0, -log_c)).abs() < 1e-12, "{kappa}");
    }
}

#[test]
fn the_quantities_belong_together() {
    for dim in DIMS {
        for kappa in kappas() {
            let vmf = VonMisesFisher::new(dim, kappa).unwrap();
            let at = format!("n = {dim}, kappa = {kappa:e}");
            assert!((vmf.a() + vmf.one_minus_a() - 1.0).abs() < 1e-13, "{at}");
            let h = log_sphere_area(dim).unwrap() - vmf.kl_uniform();
            assert_eq!(h, vmf.entropy(), "{at}");
            // A difference quotient, with A from the side on which it carries its digits.
            let step = 1e-4 * kappa;
            let [low, high] = [kappa - step, kappa + step].map(|k| VonMisesFisher::new(dim, k).unwrap());
            let rise =
                if vmf.a() < 0.5 { high.a() - low.a() } else { low.one_minus_a() - high.one_minus_a() };
            let slope = rise / (high.kappa() - low.kappa());
            assert!((vmf.a_prime() / slope - 1.0).abs() < 1e-7, "{at}: {} {slope}", vmf.a_prime());
        }
    }
}

/// A(κ)² is the mean cosine over all pairs, (m r̄² − 1)/(m − 1).
#[test]
fn the_u_correction_solves_its_equation() {
    for dim in DIMS {
        for m in [2, 3, 10, 1000] {
            for q in [1e-15, 1e-9, 1e-4, 0.01, 0.1, 0.29] {
                let statistics = GroupStatistics { m, dim, rbar: 1.0 - q, one_minus_rbar: q };
                let got = fit(&statistics, Estimator::U).unwrap();
                let exact = fit(&statistics, Estimator::Exact).unwrap();
                let vmf = VonMisesFisher::new(dim, got.kappa).unwrap();
                let want = m as f64 / (m as f64 - 1.0) * q * (2.0 - q);
                let error = vmf.one_minus_a() * (1.0 + vmf.a()) / want - 1.0;
                assert!(error.abs() < 1e-13, "n = {dim}, m = {m}, 1 - rbar = {q}: {error:e}");
                assert!(!got.clipped && got.kappa < exact.kappa && got.entropy > exact.entropy);
            }
        }
    }
}
