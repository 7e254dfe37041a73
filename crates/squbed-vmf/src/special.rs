//! Special functions of the von Mises–Fisher distribution, one scheme for every dimension and κ.
//!
//! I_v itself, which overflows, is never formed. With v = n/2 − 1 and
//! L = log ₀F₁(n/2; κ²/4) = log[I_v(κ) Γ(v+1) (2/κ)^v], everything follows from L, M = L − κ,
//! A = I_{v+1}/I_v, 1 − A and A′, each computed directly. The uniform asymptotic expansion (DLMF 10.41) in
//! log form gives them at an order V ≥ 16, the downward recurrence, which is stable, at v.

use crate::debye::{AT_ONE, TERMS};

/// Least order at which the expansion is used.
const LEAST_ORDER: f64 = 16.0;

/// From this κ on the recurrence goes by [`Excess`].
const LARGE: f64 = 2.0 * LEAST_ORDER;

/// Terms of the expansion that an order needs: the first one left out is below 3e-16 of A and of the
/// divergence; of A′ it is below 5e-14 at order 16 and below 3e-16 from order 32.
fn terms(order: f64) -> usize {
    match order {
        512.0.. => 4,
        128.0.. => 6,
        64.0.. => 8,
        32.0.. => 12,
        _ => TERMS.len(),
    }
}

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
    let (mut special, mut excess) = expansion(v + steps as f64, kappa);
    let mut gain = LogProduct::default();
    for step in (0..steps).rev() {
        // From order v + 1 to v, where b = 2(v + 1).
        let b = 2.0 * (v + step as f64 + 1.0);
        gain.times_one_plus(kappa * special.a / b);
        if kappa < LARGE {
            special = lower_order(special, b, kappa);
        } else {
            excess = excess.lower_order(b, kappa);
            special = excess.complete(special, b, kappa);
        }
    }
    // Rounding may carry it one digit too far.
    special.a = special.a.min(1.0);
    let gain = gain.log();
    special.l += gain;
    special.m += gain;
    special
}

/// κ(1 − A) and κ²A′ of an order v, each less v + ½, to which they tend as κ grows. In the difference
/// b − κ(1 − A) of the recurrence v + ½ cancels; what is left is small, and so is its rounding.
#[derive(Clone, Copy, Debug)]
struct Excess {
    /// κ(1 − A) − (v + ½).
    one_minus_a: f64,
    /// κ²A′ − (v + ½).
    a_prime: f64,
}

impl Excess {
    /// From order v + 1 to v, where b = 2(v + 1), as [`lower_order`].
    fn lower_order(self, b: f64, x: f64) -> Self {
        let half = (b - 1.0) / 2.0;
        // κ(1 − A) is c − cy, where c = b − κ(1 − A) of the order above; κ²A′ likewise (b − κ²A′)(1 − y)².
        let c = half - self.one_minus_a;
        let y = c / (x + c);
        Self {
            one_minus_a: -self.one_minus_a - c * y,
            a_prime: -self.a_prime - (half - self.a_prime) * y * (2.0 - y),
        }
    }

    fn complete(self, special: Special, b: f64, x: f64) -> Special {
        let half = (b - 1.0) / 2.0;
        let one_minus_a = (half + self.one_minus_a) / x;
        Special { a: 1.0 - one_minus_a, one_minus_a, a_prime: (half + self.a_prime) / x / x, ..special }
    }
}

/// The expansion at order V.
fn expansion(order: f64, kappa: f64) -> (Special, Excess) {
    let z = kappa / order;
    let s = z.hypot(1.0);
    let p = 1.0 / s;
    // w = s − 1 and i = s − z without cancellation.
    let w = z * (z / (1.0 + s));
    let i = 1.0 / (s + z);
    // t = p², and 1 − t = z²p² without cancellation.
    let zp = z * p;
    let (t, one_minus_t) = (p * p, zp * zp);
    let inverse = 1.0 / order;

    let (mut r, mut f, mut g) = (0.0, 0.0, 0.0);
    for term in TERMS[..terms(order)].iter().rev() {
        let [r_k, f_k, g_k] = polynomials(term, t);
        r = (r + r_k) * (p * inverse);
        f = (f + f_k) * (p * inverse);
        g = (g + g_k) * (p * inverse);
    }
    // Σ D_k(1)(1 − p^k)/(1 − p)/V^k.
    let (mut at_one, mut geometric, mut power) = (0.0, 1.0, inverse);
    for c in AT_ONE {
        at_one += c * geometric * power;
        geometric = geometric * t + p + 1.0;
        power *= inverse * inverse;
    }
    // Σ (D_k(p) − D_k(1))/V^k, with D_k(p) − D_k(1) = −(1 − t)p^k R_k − (1 − p^k)D_k(1) and 1 − p = w/s.
    let sum = -(one_minus_t * r + w * p * at_one);
    let common = sum - 0.5 * w.ln_1p();
    let log_half = (w / 2.0).ln_1p();
    // z(p²/(2V) + p³E), where E = Σ D_k′(p)/V^{k+1}, so that p³E = p² Σ p^k F_k/V^{k+1}.
    let correction = zp * (p * inverse * (0.5 + f));
    let derivative =
        p / (1.0 + s) - t * inverse * (0.5 - one_minus_t - (3.0 * one_minus_t - 1.0) * f - one_minus_t * g);
    let special = Special {
        l: order * (w - log_half) + common,
        m: order * (i - 1.0 - log_half) + common,
        a: z / (1.0 + s) - correction,
        one_minus_a: (1.0 + i) / (1.0 + s) + correction,
        a_prime: derivative * inverse,
    };
    // The same with V + ½ taken away by hand: z(1 + i)/(1 + s) = 1 − (1 + i)²/(2 + 2s), z²p/(1 + s) = 1 − p.
    let excess = Excess {
        one_minus_a: one_minus_t * f - 0.5 * t - order * (1.0 + i) * (1.0 + i) / (2.0 * (1.0 + s)),
        a_prime: one_minus_t * ((3.0 * one_minus_t - 1.0) * f + one_minus_t * g) - t * (1.5 - t) - order * p,
    };
    (special, excess)
}

/// A, 1 − A and A′ from order v + 1 to v, where b = 2(v + 1).
fn lower_order(above: Special, b: f64, x: f64) -> Special {
    let d = b + x * above.a;
    Special {
        a: x / d,
        one_minus_a: (b - x * above.one_minus_a) / d,
        // b − x²r′ and d² are divided apart: x² overflows first.
        a_prime: (b / d - x * (x * above.a_prime / d)) / d,
        ..above
    }
}

/// Three polynomials at once, high to low powers.
fn polynomials(coefficients: &[[f64; 3]], x: f64) -> [f64; 3] {
    coefficients.iter().fold([0.0; 3], |[r, f, g], c| [r * x + c[0], f * x + c[1], g * x + c[2]])
}

/// log Π(1 + eᵢ) of positive e, small ones without loss; one logarithm for almost all.
#[derive(Default)]
struct LogProduct {
    /// Π − 1.
    excess: f64,
    log: f64,
}

impl LogProduct {
    fn times_one_plus(&mut self, e: f64) {
        // At most 17 factors: below this bound their product is finite.
        if e < 1e15 {
            self.excess += e + e * self.excess;
        } else {
            self.log += e.ln_1p();
        }
    }

    fn log(&self) -> f64 {
        self.log + self.excess.ln_1p()
    }
}

/// log|S|, the area of the unit sphere in Rⁿ: ln 2 + (n/2) ln π − ln Γ(n/2).
pub(crate) fn log_sphere_area(dim: usize) -> f64 {
    let half = dim as f64 / 2.0;
    std::f64::consts::LN_2 + half * LN_PI - libm::lgamma(half)
}

/// ln π.
const LN_PI: f64 = 1.144_729_885_849_400_2;

#[cfg(test)]
mod tests {
    use super::*;

    /// `golden/vmf/debye_log_coeffs.json` holds the D_k as exact rationals, low to high powers of p.
    #[test]
    fn coefficients_equal_the_exact_rationals() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/vmf/debye_log_coeffs.json");
        let file: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        // A sum of numbers is known to its largest.
        let equal = |got: f64, parts: &[f64], k: usize, j: usize| {
            let largest = parts.iter().fold(0.0_f64, |a, b| a.max(b.abs()));
            assert!((got - parts.iter().sum::<f64>()).abs() <= 1e-15 * largest, "k = {k}, t^{j}: {got}");
        };
        for k in 1..=12 {
            let d: Vec<f64> = file["D"][k.to_string()]
                .as_array()
                .unwrap()
                .iter()
                .map(|c| {
                    let text = c.as_str().unwrap();
                    let (over, under) = text.split_once('/').unwrap_or((text, "1"));
                    over.parse::<f64>().unwrap() / under.parse::<f64>().unwrap()
                })
                .collect();
            // D_k = p^k P(t).
            let p: Vec<f64> = d[k..].iter().step_by(2).copied().collect();
            assert_eq!((p.len(), TERMS[k - 1].len()), (k + 1, k + 1));
            for (j, [r, f, g]) in TERMS[k - 1].iter().rev().copied().enumerate() {
                let power = (k + 2 * j) as f64;
                // R = (P(t) − P(1))/(t − 1); F and G are of the first and the second derivative.
                equal(r, &p[j + 1..], k, j);
                equal(f, &[p[j] * power], k, j);
                equal(g, &[p[j] * power * (power - 1.0)], k, j);
            }
            if k % 2 == 1 {
                equal(AT_ONE[k / 2], &p, k, 0);
            }
        }
    }
}
