//! What a number of items can show, before any is looked at.

use std::f64::consts::PI;

use crate::{
    Alternative,
    error::Error,
    kendall::{MOST_EXACT, inversions_at_most},
    student::{normal_quantile, normal_upper_tail},
};

/// What Kendall's τ of n items without ties can show at a level.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct KendallPower {
    /// Items.
    pub n: usize,
    /// Level α of the test.
    pub alpha: f64,
    /// What p speaks against.
    pub alternative: Alternative,
    /// The smallest p there is, that of a perfect order: 1/n! one-sided, 2/n! two-sided.
    pub smallest_p: f64,
    /// The smallest |τ| whose p is at most α; NaN where even a perfect order has a larger one.
    pub critical_tau: f64,
    /// Chance that is wanted of finding it.
    pub power: f64,
    /// The smallest true |τ| that is found with that chance; NaN where there is none.
    pub detectable_tau: f64,
}

/// The smallest attainable p, the critical |τ| and the |τ| that is found with probability `power`.
///
/// The critical value is exact for n up to 33, as p is there, and normal beyond. The sampling distribution of a true τ
/// is that of normal columns: Fisher's z of τ is normal with variance 0.437/(n − 4) (Fieller, Hartley and Pearson
/// 1957, doi:10.1093/biomet/44.3-4.470), the critical value taken half a step of τ lower since τ is discrete. Simulated
/// power lies within 0.05 of the wanted one from n = 10 up; below n = 10 the result is a rough guide, and below 5 there
/// is none.
///
/// # Errors
///
/// n below 2, a level or a power outside (0, 1).
pub fn kendall_power(
    n: usize,
    alpha: f64,
    power: f64,
    alternative: Alternative,
) -> Result<KendallPower, Error> {
    if n < 2 {
        return Err(Error::TooFew { n });
    }
    for (what, value) in [("level", alpha), ("power", power)] {
        if !(value > 0.0 && value < 1.0) {
            return Err(Error::Share { what, value });
        }
    }
    let sides = if alternative == Alternative::TwoSided { 2.0 } else { 1.0 };
    let smallest_p = (1..=n).fold(sides, |p, i| p / i as f64).min(1.0);
    let pairs = n as f64 * (n as f64 - 1.0) / 2.0;
    let critical_tau = match critical_discordant(n, alpha / sides) {
        Some(discordant) if smallest_p <= alpha => 1.0 - 2.0 * discordant as f64 / pairs,
        _ => f64::NAN,
    };
    let detectable_tau = if n > 4 && critical_tau > 0.0 {
        let z = (critical_tau - 1.0 / pairs).clamp(0.0, 1.0 - 1e-12).atanh();
        let deviation = (0.437 / (n as f64 - 4.0)).sqrt();
        // P(Z ≥ quantile) = power: above one half the quantile is negative.
        let quantile = if power > 0.5 { normal_quantile(1.0 - power) } else { -normal_quantile(power) };
        (z + quantile * deviation).tanh()
    } else {
        f64::NAN
    };
    Ok(KendallPower { n, alpha, alternative, smallest_p, critical_tau, power, detectable_tau })
}

/// The largest number of discordant pairs whose one-sided p is at most `alpha`; none where not even 0 is.
fn critical_discordant(n: usize, alpha: f64) -> Option<u64> {
    let pairs = (n as u64) * (n as u64 - 1) / 2;
    let p = |discordant: u64| {
        if n <= MOST_EXACT {
            inversions_at_most(n, discordant as usize)
        } else {
            let n = n as f64;
            let tau = 1.0 - 2.0 * discordant as f64 / pairs as f64;
            normal_upper_tail(tau / (2.0 * (2.0 * n + 5.0) / (9.0 * n * (n - 1.0))).sqrt())
        }
    };
    if p(0) > alpha {
        return None;
    }
    // p rises with the discordant pairs, and is one half and more from half of all on.
    let (mut low, mut high) = (0, pairs / 2 + 1);
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        if p(middle) <= alpha {
            low = middle;
        } else {
            high = middle;
        }
    }
    Some(low)
}

/// The expected Kendall's τ of normal columns whose correlation is `r` (Greiner's relation), (2/π) asin r.
pub fn tau_of_normal(r: f64) -> f64 {
    2.0 / PI * r.clamp(-1.0, 1.0).asin()
}
