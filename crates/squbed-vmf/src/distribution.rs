//! The distribution of given parameters.

use crate::{
    error::{Error, check_dim, check_kappa},
    special::{Special, log_sphere_area, special},
};

/// A von Mises–Fisher distribution; its mean direction, on which nothing here depends, is left out.
#[derive(Clone, Copy, Debug)]
pub struct VonMisesFisher {
    dim: usize,
    kappa: f64,
    special: Special,
}

impl VonMisesFisher {
    /// Dimension n ≥ 2, concentration κ in \[0, ∞\]. κ = 0 is the uniform distribution, κ = ∞ a point mass.
    ///
    /// # Errors
    ///
    /// n below 2; κ negative or NaN.
    pub fn new(dim: usize, kappa: f64) -> Result<Self, Error> {
        check_dim(dim)?;
        check_kappa(kappa)?;
        let n = dim as f64;
        let special = if kappa == 0.0 {
            Special { l: 0.0, m: 0.0, a: 0.0, one_minus_a: 1.0, a_prime: 1.0 / n }
        } else if kappa == f64::INFINITY {
            Special { l: kappa, m: -kappa, a: 1.0, one_minus_a: 0.0, a_prime: 0.0 }
        } else {
            special(dim, kappa)
        };
        Ok(Self { dim, kappa, special })
    }

    /// Dimension n.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// Concentration κ.
    pub fn kappa(&self) -> f64 {
        self.kappa
    }

    /// A_n(κ) = I_{n/2}(κ) / I_{n/2−1}(κ), the length of the mean E\[Z\] (paper, below Eq. 8).
    pub fn a(&self) -> f64 {
        self.special.a
    }

    /// 1 − A_n(κ), without cancellation.
    pub fn one_minus_a(&self) -> f64 {
        self.special.one_minus_a
    }

    /// dA/dκ.
    pub fn a_prime(&self) -> f64 {
        self.special.a_prime
    }

    /// log C_n(κ), the normalising constant (paper, Eq. 7).
    pub fn log_c(&self) -> f64 {
        -(log_sphere_area(self.dim) + self.special.l)
    }

    /// The log-density, in nats, of a direction with this 1 − cosine to the mean direction (paper, Eq. 6), which is
    /// given in the place of the cosine because near the mean it carries all the information.
    pub fn log_density(&self, one_minus_cosine: f64) -> f64 {
        if self.kappa == f64::INFINITY {
            return if one_minus_cosine > 0.0 { f64::NEG_INFINITY } else { f64::INFINITY };
        }
        // log C + κ cos, with the κ of log C taken out of it: M = L − κ.
        -log_sphere_area(self.dim) - self.special.m - self.kappa * one_minus_cosine
    }

    /// Divergence from the uniform density, κA − L, in nats; not negative.
    pub fn kl_uniform(&self) -> f64 {
        if self.kappa == f64::INFINITY {
            f64::INFINITY
        } else if self.kappa >= self.dim as f64 {
            // κA − L = −κ(1 − A) − M: in the first form both terms grow with κ and cancel.
            -self.kappa * self.special.one_minus_a - self.special.m
        } else {
            self.kappa * self.special.a - self.special.l
        }
    }

    /// Differential entropy h = −log C_n(κ) − κ A_n(κ) in nats (paper, Eq. 8 and 10, where the fraction
    /// stands for the inner product κ μᵀE\[Z\]). Often negative; −∞ for a point mass.
    pub fn entropy(&self) -> f64 {
        log_sphere_area(self.dim) - self.kl_uniform()
    }
}
