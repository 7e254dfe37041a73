//! Special functions of the von Mises–Fisher distribution, one scheme for every dimension and κ.
//!
//! I_v itself, which overflows, is never formed. With v = n/2 − 1 and
//! L = log ₀F₁(n/2; κ²/4) = log[I_v(κ) Γ(v+1) (2/κ)^v], everything follows from L, M = L − κ,
//! A = I_{v+1}/I_v, 1 − A and A′, each computed directly. The uniform asymptotic expansion (DLMF 10.41) in
//! log form gives them at an order V ≥ 16, the downward recurrence, which is stable, at v.

use crate::debye::{D, Q};

/// Least order at which the expansion is used.
const LEAST_ORDER: f64 = 16.0;

/// Terms of the expansion.
const TERMS: usize = 12;

/// L, M, A, 1 − A and A′ of one (n, κ).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Special {
    pub(crate) l: f64,
    pub(crate) m: f64,
    pub(crate) a: f64,
    pub(crate) one_minus_a: f64,
    pub(crate) a_prime: f64,
}

/// n ≥ 2 and finite κ > 0.
pub(crate) fn special(dim: usize, kappa: f64) -> Special {
    let v = dim as f64 / 2.0 - 1.0;
    let steps = (LEAST_ORDER - v).ceil().max(0.0) as usize;
    let mut special = expansion(v + steps as f64, kappa);
    for step in (0..steps).rev() {
        special = lower_order(special, 2.0 * (v + step as f64 + 1.0), kappa);
    }
    special
}

/// The expansion at order V.
fn expansion(order: f64, kappa: f64) -> Special {
    let z = kappa / order;
    let s = z.hypot(1.0);
    let p = 1.0 / s;
    // w = s − 1 and i = s − z without cancellation.
    let w = z * (z / (1.0 + s));
    let i = 1.0 / (s + z);
    let p2 = p * p;
    let inverse = 1.0 / order;

    // Σ (D_k(p) − D_k(1))/V^k, with the factor 1 − p = w/s taken out.
    let mut q_sum = 0.0;
    // E = Σ D_k′(p)/V^{k+1} and its derivative in p.
    let (mut e, mut e_prime) = (0.0, 0.0);
    for k in (0..TERMS).rev() {
        let (_, first, second) = polynomial(D[k], p);
        q_sum = (q_sum + polynomial(Q[k], p).0) * inverse;
        e = (e + first * inverse) * inverse;
        e_prime = (e_prime + second * inverse) * inverse;
    }
    let sum = -w / s * q_sum;
    let common = -0.5 * w.ln_1p() + sum;
    let correction = p2 * inverse / 2.0 + p2 * p * e;
    // 1 − p², which is z²p², without cancellation.
    let q2 = (z * p) * (z * p);
    let derivative = p / (1.0 + s) - p2 * inverse / 2.0 + q2 * p2 * inverse - p2 * p * e
        + 3.0 * q2 * p2 * p * e
        + q2 * p2 * p2 * e_prime;
    Special {
        l: order * (w - (w / 2.0).ln_1p()) + common,
        m: order * (i - 1.0 - (w / 2.0).ln_1p()) + common,
        a: z * (1.0 / (1.0 + s) - correction),
        one_minus_a: (1.0 + i) / (1.0 + s) + z * correction,
        a_prime: derivative * inverse,
    }
}

/// From order v + 1 to v, where b = 2(v + 1).
fn lower_order(above: Special, b: f64, x: f64) -> Special {
    let r = above.a;
    let d = b + x * r;
    let gain = (x * r / b).ln_1p();
    Special {
        l: above.l + gain,
        m: above.m + gain,
        a: x / d,
        one_minus_a: (b - x * above.one_minus_a) / d,
        // b − x²r′ and d² are divided apart: x² overflows first.
        a_prime: (b / d - x * (x * above.a_prime / d)) / d,
    }
}

/// A polynomial, low to high powers, with its first and second derivative.
fn polynomial(coefficients: &[f64], x: f64) -> (f64, f64, f64) {
    let (mut value, mut first, mut second) = (0.0, 0.0, 0.0);
    for &c in coefficients.iter().rev() {
        second = second * x + 2.0 * first;
        first = first * x + value;
        value = value * x + c;
    }
    (value, first, second)
}

/// log|S|, the area of the unit sphere in Rⁿ: ln 2 + (n/2) ln π − ln Γ(n/2).
pub(crate) fn log_sphere_area(dim: usize) -> f64 {
    let half = dim as f64 / 2.0;
    std::f64::consts::LN_2 + half * LN_PI - libm::lgamma(half)
}

/// ln π.
const LN_PI: f64 = 1.144_729_885_849_400_2;
