//! Kendall's partial τ.

use crate::{
    Alternative, check, check_third,
    error::Error,
    kendall::{self, tau_b},
    permutation::each_permutation,
    random::{below, random},
    rank::ranks,
    student::normal_upper_tail,
};

/// The rank correlation of two columns with a third one held fixed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PartialKendall {
    /// Rows.
    pub n: usize,
    /// Partial τ in \[−1, 1\]; NaN where a column is constant or z orders the rows as x or y does.
    pub tau: f64,
    /// p-value by the normal approximation; NaN where τ is, or with fewer than four rows.
    pub p: f64,
    /// What p speaks against.
    pub alternative: Alternative,
}

/// Kendall's partial τ of x and y given z, (τ_xy − τ_xz τ_yz)/√((1 − τ_xz²)(1 − τ_yz²)) (Kendall 1942,
/// doi:10.1093/biomet/32.3-4.277), each τ a τ-b.
///
/// Its exact distribution under independence is not known. p is the approximation that the R package `ppcor` uses
/// (Kim 2015, doi:10.5351/CSAM.2015.22.6.665), τ over √(2(2m + 5)/(9m(m − 1))) with m = n − 1. It knows no ties and is
/// none of few rows: there take [`permutation_partial_kendall`].
///
/// # Errors
///
/// Columns of different length, fewer than two rows, NaN.
pub fn partial_kendall(
    x: &[f64],
    y: &[f64],
    z: &[f64],
    alternative: Alternative,
) -> Result<PartialKendall, Error> {
    check(x, y)?;
    check_third(x, z)?;
    let n = x.len();
    let (xy, xz, yz) = (tau_b(x, y), tau_b(x, z), tau_b(y, z));
    let tau = partial_tau(xy, xz, yz);
    let m = n as f64 - 1.0;
    let score = tau / (2.0 * (2.0 * m + 5.0) / (9.0 * m * (m - 1.0))).sqrt();
    let p = if n < 4 || score.is_nan() {
        f64::NAN
    } else {
        match alternative {
            Alternative::TwoSided => 2.0 * normal_upper_tail(score.abs()),
            Alternative::Greater => normal_upper_tail(score),
            Alternative::Less => normal_upper_tail(-score),
        }
    };
    Ok(PartialKendall { n, tau, p, alternative })
}

/// Partial τ and how often it is as far from 0 where x and y have nothing in common but z.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PartialPermutation {
    /// Rows.
    pub n: usize,
    /// Partial τ; NaN where it is undefined, as are the p then.
    pub tau: f64,
    /// p against a correlation of either sign.
    pub p_two_sided: f64,
    /// p against a negative one.
    pub p_less: f64,
    /// p against a positive one.
    pub p_greater: f64,
    /// Pairings looked at.
    pub pairings: usize,
    /// Whether these are all there are.
    pub exact: bool,
}

/// The permutation test of partial τ, valid with ties: the ranks of y are regressed on those of z, the residuals are
/// permuted among the rows and added to the fitted values again, and partial τ is taken of x and these, given z (Freedman and
/// Lane 1983, doi:10.1080/07350015.1983.10509354; of the ways to permute for a partial correlation the one nearest to the
/// exact test, Anderson and Robinson 2001, doi:10.1111/1467-842X.00156). What y has of z stays in every pairing, which
/// permuting y itself would destroy.
///
/// Where there are at most `pairings` pairings, n!, all are looked at and p is the share of hits; else as many random ones,
/// and p = (1 + hits)/(1 + pairings), which is never 0. A pairing on which partial τ is undefined is a hit. All p are NaN
/// with fewer than four rows: of three, two parameters of the regression leave one residual. O(n²) a pairing.
///
/// It tests that x and y are independent given z. With a strong z that is not quite the same as a partial τ of 0: of normal
/// columns that share nothing but a z of correlation .7 with each, partial τ is .11.
///
/// # Errors
///
/// Columns of different length, fewer than two rows, NaN, no pairing.
pub fn permutation_partial_kendall(
    x: &[f64],
    y: &[f64],
    z: &[f64],
    pairings: usize,
    seed: u64,
) -> Result<PartialPermutation, Error> {
    check(x, y)?;
    check_third(x, z)?;
    if pairings == 0 {
        return Err(Error::NoPairing);
    }
    let n = x.len();
    let (xy, xz, yz) = (tau_b(x, y), tau_b(x, z), tau_b(y, z));
    let tau = partial_tau(xy, xz, yz);
    if tau.is_nan() || n < 4 {
        let p = f64::NAN;
        return Ok(PartialPermutation {
            n,
            tau,
            p_two_sided: p,
            p_less: p,
            p_greater: p,
            pairings: 0,
            exact: false,
        });
    }
    let (fitted, residuals) = regressed(&ranks(y), &ranks(z));
    let (x, z) = (Signs::of(&ranks(x)), Signs::of(&ranks(z)));
    let mut hits = [0_usize; 3];
    let mut permuted = vec![0.0; n];
    let mut see = |order: &[u32]| {
        for ((y, fit), &i) in permuted.iter_mut().zip(&fitted).zip(order) {
            *y = fit + residuals[i as usize];
        }
        let (xy, yz) = taus_with(&permuted, &x, &z);
        let permuted = partial_tau(xy, xz, yz);
        let far =
            [permuted.abs() >= tau.abs() - ROUNDING, permuted <= tau + ROUNDING, permuted >= tau - ROUNDING];
        hits.iter_mut().zip(far).for_each(|(hits, far)| *hits += usize::from(far || permuted.is_nan()));
    };
    let mut order: Vec<u32> = (0..n as u32).collect();
    let all = (1..=n).try_fold(1_usize, |product, i| product.checked_mul(i)).filter(|&all| all <= pairings);
    if all.is_some() {
        each_permutation(&mut order, &mut see);
    } else {
        for pairing in 0..pairings as u64 {
            for i in (1..n).rev() {
                order.swap(i, below(random(seed, pairing, i as u64), i + 1));
            }
            see(&order);
        }
    }
    let [p_two_sided, p_less, p_greater] = hits.map(|hits| match all {
        Some(all) => hits as f64 / all as f64,
        None => (1 + hits) as f64 / (1 + pairings) as f64,
    });
    Ok(PartialPermutation {
        n,
        tau,
        p_two_sided,
        p_less,
        p_greater,
        pairings: all.unwrap_or(pairings),
        exact: all.is_some(),
    })
}

/// What rounding leaves between partial τ's, and between sums of fitted ranks and residuals, that are the same.
const ROUNDING: f64 = 1e-9;

/// Least squares of y on z: fitted values and residuals. z is not constant.
fn regressed(y: &[f64], z: &[f64]) -> (Vec<f64>, Vec<f64>) {
    let mean = |v: &[f64]| v.iter().sum::<f64>() / v.len() as f64;
    let (mean_y, mean_z) = (mean(y), mean(z));
    let products: f64 = y.iter().zip(z).map(|(y, z)| (y - mean_y) * (z - mean_z)).sum();
    let slope = products / z.iter().map(|z| (z - mean_z).powi(2)).sum::<f64>();
    let fitted: Vec<f64> = z.iter().map(|z| mean_y + slope * (z - mean_z)).collect();
    let residuals = y.iter().zip(&fitted).map(|(y, fit)| y - fit).collect();
    (fitted, residuals)
}

/// How a column orders each pair of rows: −1, 0 or 1.
struct Signs {
    signs: Vec<i8>,
    untied: u64,
}

impl Signs {
    fn of(v: &[f64]) -> Self {
        let mut signs = Vec::with_capacity(v.len() * v.len().saturating_sub(1) / 2);
        for (i, a) in v.iter().enumerate() {
            signs.extend(v[..i].iter().map(|b| i8::from(a - b > ROUNDING) - i8::from(b - a > ROUNDING)));
        }
        let untied = signs.iter().map(|&sign| u64::from(sign.unsigned_abs())).sum();
        Self { signs, untied }
    }
}

/// τ-b of a column with each of two others.
fn taus_with(v: &[f64], first: &Signs, second: &Signs) -> (f64, f64) {
    let (mut with_first, mut with_second, mut untied) = (0_i32, 0_i32, 0_i32);
    let mut others = first.signs.iter().zip(&second.signs);
    for (i, a) in v.iter().enumerate() {
        for (b, (&first, &second)) in v[..i].iter().zip(others.by_ref()) {
            let sign = i32::from(a - b > ROUNDING) - i32::from(b - a > ROUNDING);
            with_first += sign * i32::from(first);
            with_second += sign * i32::from(second);
            untied += sign * sign;
        }
    }
    let tau = |balance: i32, untied_other| kendall::tau(f64::from(balance), untied as u64, untied_other);
    (tau(with_first, first.untied), tau(with_second, second.untied))
}

/// Partial τ from the three τ's; NaN where nothing of x or y is free of z.
pub(crate) fn partial_tau(xy: f64, xz: f64, yz: f64) -> f64 {
    let free = ((1.0 - xz * xz) * (1.0 - yz * yz)).sqrt();
    if free > 0.0 { ((xy - xz * yz) / free).clamp(-1.0, 1.0) } else { f64::NAN }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_of_a_perfect_order_by_rounding_is_no_correlation() {
        // z orders the rows as x does, at every length: nothing of x is free of z.
        for n in 4..100 {
            let x: Vec<f64> = (0..n).map(f64::from).collect();
            let y: Vec<f64> = (0..n).map(|i| f64::from(i * 7 % n)).collect();
            assert_eq!(tau_b(&x, &x), 1.0, "{n}");
            let partial = partial_kendall(&x, &y, &x, Alternative::TwoSided).unwrap();
            assert!(partial.tau.is_nan() && partial.p.is_nan(), "{n}: {partial:?}");
        }
    }
}
