//! Concentration from data.

use std::{fmt, str::FromStr};

use crate::{
    GroupStatistics, VonMisesFisher,
    error::{Error, check_dim},
    special::special,
};

/// How κ is estimated from r̄.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Estimator {
    /// Maximum likelihood: the root of A_n(κ) = r̄.
    Exact,
    /// The root of A_n(κ) = √max(0, (m r̄² − 1)/(m − 1)). The right side squared is the mean cosine over all
    /// pairs, which does not grow as m shrinks; r̄ does, and biases the plug-in entropy by many nats.
    U,
    /// κ₀ = r̄(n − r̄²)/(1 − r̄²) (Banerjee et al. 2005).
    Banerjee,
    /// κ₀ and two Newton steps (Sra 2012, doi:10.1007/s00180-011-0232-x).
    Sra,
    /// One secant step between r̄(n − 2)/(1 − r̄²) and r̄n/(1 − r̄²) (Tanabe et al. 2007).
    Tanabe,
    /// κ₀ and two Halley steps (Song et al. 2012).
    Song,
}

impl fmt::Display for Estimator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Exact => "exact",
            Self::U => "u",
            Self::Banerjee => "banerjee",
            Self::Sra => "sra",
            Self::Tanabe => "tanabe",
            Self::Song => "song",
        })
    }
}

impl FromStr for Estimator {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        Ok(match name {
            "exact" => Self::Exact,
            "u" => Self::U,
            "banerjee" => Self::Banerjee,
            "sra" => Self::Sra,
            "tanabe" => Self::Tanabe,
            "song" => Self::Song,
            _ => return Err(Error::Estimator { name: name.to_owned() }),
        })
    }
}

/// A fitted concentration and what follows from it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fit {
    /// Concentration κ.
    pub kappa: f64,
    /// Differential entropy h in nats.
    pub entropy: f64,
    /// Divergence from uniform in nats.
    pub kl_uniform: f64,
    /// All samples are the same, or there is one only: κ = ∞, h = −∞.
    pub point_mass: bool,
    /// r̄ = 0: κ = 0, h = log|S|.
    pub uniform: bool,
    /// The U correction was negative and was set to 0.
    pub clipped: bool,
}

/// Fits a group from its sufficient statistics.
///
/// # Errors
///
/// n below 2, no sample, r̄ outside \[0, 1\].
pub fn fit(statistics: &GroupStatistics, estimator: Estimator) -> Result<Fit, Error> {
    let &GroupStatistics { m, dim, rbar, one_minus_rbar } = statistics;
    if m == 0 {
        return Err(Error::Empty);
    }
    check(dim, rbar, one_minus_rbar)?;
    let mut clipped = false;
    let kappa = if m == 1 || one_minus_rbar == 0.0 {
        f64::INFINITY
    } else if estimator == Estimator::U {
        let (m, spread) = (m as f64, one_minus_rbar * (1.0 + rbar));
        // ρ² = (m r̄² − 1)/(m − 1) and 1 − ρ² = m(1 − r̄²)/(m − 1), without cancellation.
        let one_minus_square = m / (m - 1.0) * spread;
        let square = (m * rbar * rbar - 1.0) / (m - 1.0);
        clipped = square < 0.0;
        let rho = square.max(0.0).sqrt();
        // Below one half the direct form of 1 − ρ is the better one.
        let one_minus_rho = if rho < 0.5 { 1.0 - rho } else { one_minus_square / (1.0 + rho) };
        root(dim, rho, one_minus_rho)
    } else {
        self::kappa(dim, rbar, one_minus_rbar, estimator)?
    };
    let vmf = VonMisesFisher::new(dim, kappa)?;
    let point_mass = kappa == f64::INFINITY;
    Ok(Fit {
        kappa,
        entropy: vmf.entropy(),
        kl_uniform: vmf.kl_uniform(),
        point_mass,
        uniform: !point_mass && rbar == 0.0,
        clipped,
    })
}

/// κ from r̄ and 1 − r̄, which is given apart because near 1 it carries all the information.
///
/// # Errors
///
/// n below 2, r̄ outside \[0, 1\] or not one with 1 − r̄, and [`Estimator::U`], which needs m.
pub fn kappa(dim: usize, rbar: f64, one_minus_rbar: f64, estimator: Estimator) -> Result<f64, Error> {
    check(dim, rbar, one_minus_rbar)?;
    if estimator == Estimator::U {
        return Err(Error::SamplesNeeded);
    }
    if rbar == 0.0 {
        return Ok(0.0);
    }
    if one_minus_rbar == 0.0 {
        return Ok(f64::INFINITY);
    }
    let start = banerjee(dim, rbar, one_minus_rbar);
    Ok(match estimator {
        Estimator::Exact | Estimator::U => root(dim, rbar, one_minus_rbar),
        Estimator::Tanabe => tanabe(dim, rbar, one_minus_rbar),
        Estimator::Banerjee => start,
        Estimator::Sra | Estimator::Song if start >= NO_STEP => start,
        Estimator::Sra => (0..2).fold(start, |k, _| newton(dim, k, rbar, one_minus_rbar)),
        Estimator::Song => (0..2).fold(start, |k, _| halley(dim, k, rbar, one_minus_rbar)),
    })
}

/// From here on Banerjee's start is the root to the last digit: as r̄ → 1 it exceeds it by ½. Further out,
/// A′ leaves the range of f64 and a step would be undefined.
const NO_STEP: f64 = 1e20;

fn check(dim: usize, rbar: f64, one_minus_rbar: f64) -> Result<(), Error> {
    check_dim(dim)?;
    let inside = |x: f64| (0.0..=1.0).contains(&x);
    if inside(rbar) && inside(one_minus_rbar) && (rbar + one_minus_rbar - 1.0).abs() < 1e-6 {
        Ok(())
    } else {
        Err(Error::Rbar { rbar, one_minus_rbar })
    }
}

fn banerjee(dim: usize, rbar: f64, one_minus_rbar: f64) -> f64 {
    rbar * (dim as f64 - rbar * rbar) / (one_minus_rbar * (1.0 + rbar))
}

/// A(κ) − r̄, from the side on which it does not cancel, and the functions at κ.
fn residual(dim: usize, kappa: f64, rbar: f64, one_minus_rbar: f64) -> (f64, f64, f64) {
    let s = special(dim, kappa);
    let f = if rbar < 0.5 { s.a - rbar } else { one_minus_rbar - s.one_minus_a };
    // A″ = −2AA′ − (n − 1)(A′ − A/κ)/κ.
    let second = -2.0 * s.a * s.a_prime - (dim as f64 - 1.0) * (s.a_prime - s.a / kappa) / kappa;
    (f, s.a_prime, second)
}

fn newton(dim: usize, kappa: f64, rbar: f64, one_minus_rbar: f64) -> f64 {
    let (f, first, _) = residual(dim, kappa, rbar, one_minus_rbar);
    kappa - f / first
}

fn halley(dim: usize, kappa: f64, rbar: f64, one_minus_rbar: f64) -> f64 {
    let (f, first, second) = residual(dim, kappa, rbar, one_minus_rbar);
    kappa - f / (first - f * second / (2.0 * first))
}

/// The root of A_n(κ) = r̄: Banerjee's start, which is within 7 %, and Halley steps until they no longer
/// matter: two, at n = 2 and 3 also three.
fn root(dim: usize, rbar: f64, one_minus_rbar: f64) -> f64 {
    if rbar == 0.0 {
        return 0.0;
    }
    let mut kappa = banerjee(dim, rbar, one_minus_rbar);
    if kappa >= NO_STEP {
        return kappa;
    }
    for _ in 0..4 {
        let next = halley(dim, kappa, rbar, one_minus_rbar);
        let done = (next - kappa).abs() <= 1e-6 * kappa;
        kappa = next;
        // Cubic convergence: a step below 1e-6 leaves an error below 1e-18.
        if done {
            break;
        }
    }
    kappa
}

fn tanabe(dim: usize, rbar: f64, one_minus_rbar: f64) -> f64 {
    let n = dim as f64;
    let spread = one_minus_rbar * (1.0 + rbar);
    let (low, high) = (rbar * (n - 2.0) / spread, rbar * n / spread);
    // The secant step to the fixed point of Φ(κ) = κ r̄ / A(κ), written so that no two large terms cancel:
    // with g = κ/A, n at κ = 0, and differences of A taken from the side on which they keep their digits.
    let (a_low, one_minus_a_low, g) = if low == 0.0 {
        (0.0, 1.0, n)
    } else {
        let s = special(dim, low);
        (s.a, s.one_minus_a, low / s.a)
    };
    let s = special(dim, high);
    let near_one = rbar >= 0.5;
    let below = |a: f64, one_minus_a: f64| if near_one { one_minus_a - one_minus_rbar } else { rbar - a };
    let rise = if near_one { one_minus_a_low - s.one_minus_a } else { s.a - a_low };
    let relative = |a: f64, one_minus_a: f64| below(a, one_minus_a) / rbar;
    let slope = g * relative(a_low, one_minus_a_low) * s.a - high * relative(s.a, s.one_minus_a);
    high * (rise * g / slope)
}
