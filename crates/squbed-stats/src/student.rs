//! Tails of Student's t and of the normal distribution.

use std::f64::consts::{PI, SQRT_2};

/// P(|r| at least as large) for a correlation r of independent normal columns with ν = n − 2 degrees of
/// freedom: the regularised incomplete beta function I_{1−r²}(ν/2, ½) (DLMF 8.17), which is also the two-sided
/// tail of Student's t at r √(ν/(1 − r²)).
///
/// r² and 1 − r² come apart, so that neither end cancels. Relative error below 2e-13 for ν up to 1e5, in
/// tails as small as f64 has numbers.
pub(crate) fn two_sided(freedom: usize, r_square: f64, one_minus_r_square: f64) -> f64 {
    let (a, b) = (freedom as f64 / 2.0, 0.5);
    let (x, y) = (one_minus_r_square, r_square);
    if x <= 0.0 {
        return 0.0;
    }
    if y <= 0.0 {
        return 1.0;
    }
    let log_x = if y < 0.5 { (-y).ln_1p() } else { x.ln() };
    // x^a y^b / B(a, b), where B(a, ½) = Γ(a) √π / Γ(a + ½).
    let front = (a * log_x).exp() * y.sqrt() * gamma_ratio(a) / PI.sqrt();
    if x < (a + 1.0) / (a + b + 2.0) {
        front / a * continued_fraction(a, b, x)
    } else {
        1.0 - front / b * continued_fraction(b, a, y)
    }
}

/// An upper bound of the logarithm of [`two_sided`], from 1 − r²: ln I_x(a, ½) ≤ ln xᵃ/(a B(a, ½) √(1 − x)), since
/// (1 − t)^(−½) is at most (1 − x)^(−½) below x. It is too large by less than x in a tail, and in logarithms no tail is too
/// small for it.
pub(crate) fn log_correlation_tail(freedom: usize, one_minus_r_square: f64) -> f64 {
    let (a, x) = (freedom as f64 / 2.0, one_minus_r_square);
    let log = a * x.ln() - a.ln() - (-x).ln_1p() / 2.0 + gamma_ratio(a).ln() - PI.ln() / 2.0;
    log.min(0.0)
}

/// Γ(a + ½)/Γ(a): asymptotic from a = 20 (DLMF 5.11.13, in log form), from there down by recurrence.
fn gamma_ratio(a: f64) -> f64 {
    let (mut a, mut factor) = (a, 1.0);
    while a < 20.0 {
        factor *= a / (a + 0.5);
        a += 1.0;
    }
    let s = 1.0 / (a * a);
    let log = -(1.0 / 8.0
        - s * (1.0 / 192.0 - s * (1.0 / 640.0 - s * (17.0 / 14_336.0 - s * 31.0 / 18_432.0))))
        / a;
    factor * a.sqrt() * log.exp()
}

/// The continued fraction of the incomplete beta function (DLMF 8.17.22) by Lentz's method; it takes some
/// √max(a, b) steps on the side where it is used.
fn continued_fraction(a: f64, b: f64, x: f64) -> f64 {
    let (mut c, mut d) = (1.0, 1.0 / (1.0 - (a + b) * x / (a + 1.0)));
    let mut value = d;
    for m in 1..100_000 {
        let m = f64::from(m);
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        let mut change = 1.0;
        for step in [even, odd] {
            d = 1.0 / (1.0 + step * d);
            c = 1.0 + step / c;
            change = c * d;
            value *= change;
        }
        if (change - 1.0).abs() < f64::EPSILON {
            break;
        }
    }
    value
}

/// P(Z ≥ z) of a standard normal Z.
pub(crate) fn normal_upper_tail(z: f64) -> f64 {
    libm::erfc(z / SQRT_2) / 2.0
}

/// z ≥ 0 with P(Z ≥ z) = tail, for tails in (0, ½]: Newton's method from 0, which never overshoots, since the
/// tail is convex there.
pub(crate) fn normal_quantile(tail: f64) -> f64 {
    let mut z = 0.0_f64;
    for _ in 0..1000 {
        let density = (-z * z / 2.0).exp() / (2.0 * PI).sqrt();
        let step = (normal_upper_tail(z) - tail) / density;
        z += step;
        if step.abs() <= 1e-15 * z {
            break;
        }
    }
    z
}

/// t ≥ 0 with P(T ≥ t) = tail for Student's t with ν degrees of freedom, tail in (0, ½]: what an interval of an
/// estimate with a standard error of ν degrees of freedom takes in the place of the normal distribution's quantile.
///
/// By bisection of the tail to the last digit; ∞ where `freedom` is 0.
pub fn student_quantile(freedom: usize, tail: f64) -> f64 {
    if freedom == 0 {
        return f64::INFINITY;
    }
    let nu = freedom as f64;
    let upper_tail = |t: f64| {
        let square = t * t;
        two_sided(freedom, square / (nu + square), nu / (nu + square)) / 2.0
    };
    let (mut low, mut high) = (0.0, 1.0);
    while upper_tail(high) > tail {
        (low, high) = (high, 2.0 * high);
    }
    loop {
        let middle = low + (high - low) / 2.0;
        if middle <= low || middle >= high {
            return middle;
        }
        if upper_tail(middle) > tail {
            low = middle;
        } else {
            high = middle;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Relative difference.
    fn off(got: f64, want: f64) -> f64 {
        (got / want - 1.0).abs()
    }

    /// Closed forms: ν = 1 is the Cauchy distribution, (2/π) asin √(1 − r²); ν = 2 gives 1 − |r|.
    #[test]
    fn one_and_two_degrees_of_freedom() {
        for r in [1e-6, 0.01, 0.3, 0.7, 0.99, 1.0 - 1e-9_f64] {
            let (square, rest) = (r * r, (1.0 - r) * (1.0 + r));
            assert!(off(two_sided(1, square, rest), rest.sqrt().atan2(r) * 2.0 / PI) < 1e-14, "{r}");
            assert!(off(two_sided(2, square, rest), 1.0 - r) < 1e-14, "{r}");
        }
        assert_eq!((two_sided(5, 0.0, 1.0), two_sided(5, 1.0, 0.0)), (1.0, 0.0));
    }

    /// Values of 40-digit arithmetic (mpmath 1.4.1, `betainc(nu/2, 1/2, 0, 1 - r2, regularized=True)`).
    #[test]
    fn many_degrees_of_freedom() {
        for (freedom, r_square, want) in REFERENCE {
            let got = two_sided(freedom, r_square, 1.0 - r_square);
            assert!(off(got, want) < 2e-13, "{freedom} {r_square}: {got:e}, {want:e}");
        }
    }

    #[rustfmt::skip]
    const REFERENCE: [(usize, f64, f64); 22] = [
        (3, 0.0009765625, 0.9602177412072076),
        (3, 0.25, 0.39100221895577064),
        (3, 0.75, 0.057668885622437306),
        (3, 0.9999990463256836, 3.9526569005477694e-10),
        (7, 0.0009765625, 0.9363898082482961),
        (7, 0.25, 0.17047066078705383),
        (7, 0.75, 0.0025359960802581035),
        (7, 0.9999990463256836, 2.465088557979261e-22),
        (8, 0.0009765625, 0.9317073430956953),
        (8, 0.25, 0.14111328125),
        (8, 0.75, 0.0011953106743925372),
        (8, 0.9999990463256836, 2.2618228502668144e-25),
        (31, 0.0009765625, 0.862936272490884),
        (31, 0.25, 0.003047308974183753),
        (31, 0.75, 7.568486567904002e-11),
        (31, 0.9999990463256836, 6.814892116107605e-95),
        (198, 0.0009765625, 0.6604594308792279),
        (198, 0.25, 4.7738117806692454e-14),
        (198, 0.75, 1.6250565412704027e-61),
        (1_998, 0.0009765625, 0.16241057935410536),
        (1_998, 0.25, 5.4723149281146405e-127),
        (99_998, 0.0009765625, 4.864482860264813e-23),
    ];

    /// SciPy 1.17.1's `scipy.stats.t.isf`.
    #[test]
    fn student_s_quantiles() {
        for (freedom, tail, want) in [
            (1, 0.025, 12.706204736174705),
            (3, 0.025, 3.1824463052837086),
            (9, 0.025, 2.2621571627982053),
            (9, 0.005, 3.249835541592126),
            (39, 0.025, 2.022690920036761),
            (999, 0.05, 1.646380345427535),
        ] {
            let got = student_quantile(freedom, tail);
            assert!(off(got, want) < 1e-11, "{freedom} {tail}: {got}");
        }
        assert_eq!(student_quantile(0, 0.025), f64::INFINITY);
    }

    #[test]
    fn the_normal_quantile_inverts_the_tail() {
        for tail in [0.5, 0.4, 0.025, 0.005, 1e-6, 1e-15, 1e-100] {
            assert!(off(normal_upper_tail(normal_quantile(tail)), tail) < 1e-11, "{tail}");
        }
        assert!((normal_quantile(0.025) - 1.959_963_984_540_054).abs() < 1e-14);
    }
}
