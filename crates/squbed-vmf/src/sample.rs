//! Samples of the distribution.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha12Rng;
use rand_distr::{Distribution, Exp1, Gamma, StandardNormal};

use crate::{
    error::{Error, check_dim, check_kappa},
    statistics::unit,
};

/// Draws unit vectors of the von Mises–Fisher distribution with mean direction μ and concentration κ.
///
/// Rejection with the envelope of Ulrich (1984, doi:10.2307/2347441) in the form of Wood (1994,
/// doi:10.1080/03610919408813161): with Z from Beta((n−1)/2, (n−1)/2), Y = 1 − Z and
/// b = (n−1)/(2κ + √(4κ² + (n−1)²)), the cosine t = μᵀx is (Y − bZ)/(Y + bZ). The direction in the tangent space of
/// μ is uniform. What is computed is 1 − t = 2bZ/(Y + bZ) and the sine, neither from t, so that samples keep their
/// distribution however close to μ they lie: for every n from 2 and every κ in \[0, ∞\].
#[derive(Clone, Debug)]
pub struct Sampler {
    dim: usize,
    b: f64,
    gamma: Gamma<f64>,
    /// Householder's w = e₁ ± μ, and the sign of ±; `None` where μ is the first axis.
    reflection: Option<(Vec<f64>, f64)>,
}

/// Where on the circle through μ a sample lies.
struct Angle {
    cos: f64,
    sin: f64,
}

impl Sampler {
    /// Dimension n ≥ 2, κ in \[0, ∞\], and μ: any vector of n numbers that has a direction, or the first axis.
    ///
    /// # Errors
    ///
    /// n below 2; κ negative or NaN; μ of another dimension, zero or not finite.
    pub fn new(dim: usize, kappa: f64, mean: Option<&[f64]>) -> Result<Self, Error> {
        check_dim(dim)?;
        check_kappa(kappa)?;
        let tangent = dim as f64 - 1.0;
        let b = tangent / (2.0 * kappa + (2.0 * kappa).hypot(tangent));
        let gamma = Gamma::new(tangent / 2.0, 1.0).map_err(|_| Error::Dim { dim })?;
        let reflection = mean.map(|mean| householder(dim, mean)).transpose()?;
        Ok(Self { dim, b, gamma, reflection })
    }

    /// `count` samples, rows `[count, n]` one after another. A seed always gives the same ones, and the first rows
    /// do not depend on how many follow.
    ///
    /// # Errors
    ///
    /// More numbers than memory holds.
    pub fn rows(&self, count: usize, seed: u64) -> Result<Vec<f64>, Error> {
        let mut rows = Vec::new();
        let numbers = count.checked_mul(self.dim).filter(|&n| rows.try_reserve_exact(n).is_ok());
        rows.resize(numbers.ok_or(Error::Memory { count, dim: self.dim })?, 0.0);
        let mut rng = ChaCha12Rng::seed_from_u64(seed);
        rows.chunks_exact_mut(self.dim).for_each(|row| self.draw(&mut rng, row));
        Ok(rows)
    }

    /// One sample.
    fn draw(&self, rng: &mut ChaCha12Rng, x: &mut [f64]) {
        let Angle { cos, sin } = self.angle(rng);
        let [first, tangent @ ..] = x else { return };
        let norm = loop {
            tangent.iter_mut().for_each(|v| *v = rng.sample(StandardNormal));
            let norm = tangent.iter().map(|v| v * v).sum::<f64>().sqrt();
            if norm > 0.0 {
                break norm;
            }
        };
        *first = cos;
        tangent.iter_mut().for_each(|v| *v *= sin / norm);
        if let Some((w, sign)) = &self.reflection {
            // ±(I − 2wwᵀ/wᵀw), which takes e₁ to μ; wᵀw = 2|w₁|.
            let along = x.iter().zip(w).map(|(x, w)| x * w).sum::<f64>() / w[0].abs();
            x.iter_mut().zip(w).for_each(|(x, w)| *x = sign * (along * w - *x));
        }
    }

    /// The angle of a sample with μ.
    fn angle(&self, rng: &mut ChaCha12Rng) -> Angle {
        let tangent = self.dim as f64 - 1.0;
        loop {
            // Z and 1 − Z, each to full precision.
            let (z, y) = (self.gamma.sample(rng), self.gamma.sample(rng));
            let (z, y) = (z / (z + y), y / (z + y));
            let d = y + self.b * z;
            // Wood's test κt + (n−1) ln(1 − x₀t) − c ≥ ln U, x₀ = (1−b)/(1+b), in which κ cancels:
            // (n−1)(1 − 1/g − ln g) ≥ ln U, where g = 2d/(1+b).
            let g = 2.0 * d / (1.0 + self.b);
            let exponential: f64 = rng.sample(Exp1);
            if tangent * (1.0 - 1.0 / g - g.ln()) >= -exponential {
                let one_minus_cos = 2.0 * self.b * z / d;
                return Angle { cos: 1.0 - one_minus_cos, sin: 2.0 * (self.b * z * y).sqrt() / d };
            }
        }
    }
}

/// w and the sign with which its reflection takes e₁ to μ; the sign is chosen so that w₁ does not cancel.
fn householder(dim: usize, mean: &[f64]) -> Result<(Vec<f64>, f64), Error> {
    if mean.len() != dim {
        return Err(Error::MeanWidth { dim, got: mean.len() });
    }
    let mut w: Vec<f64> =
        unit(mean).map_err(|reason| Error::MeanDirection { reason })?.iter().map(|x| x.high).collect();
    let sign = if w[0] < 0.0 { -1.0 } else { 1.0 };
    w[0] += sign;
    Ok((w, sign))
}
