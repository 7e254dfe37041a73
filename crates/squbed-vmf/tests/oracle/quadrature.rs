//! The distribution of the angle θ between a sample and μ by quadrature: density ∝ exp(κ cos θ) sinⁿ⁻²θ on \[0, π\].
//! Shares nothing with the expansion, the estimators and the sampler.

/// The density on a grid over all of \[0, π\] that holds more than e⁻⁴⁵ of its peak.
pub(crate) struct Angles {
    theta: Vec<f64>,
    /// Relative to the peak.
    density: Vec<f64>,
    /// The logarithm of exp(κ cos θ − κ) sinⁿ⁻²θ at the peak.
    log_peak: f64,
}

const STEPS: usize = 20_000;

impl Angles {
    pub(crate) fn new(dim: usize, kappa: f64) -> Self {
        let power = dim as f64 - 2.0;
        let log_density = |theta: f64| {
            let half = (theta / 2.0).sin();
            // For n = 2 the sine, which may be 0, does not enter.
            -2.0 * kappa * half * half + if power > 0.0 { power * theta.sin().ln() } else { 0.0 }
        };
        // The peak solves κ sin²θ = (n − 2) cos θ: tan²(θ/2) follows from it without cancellation.
        let peak = if power == 0.0 {
            0.0
        } else {
            let ratio = kappa / power;
            let cos = 2.0 * ratio / (1.0 + (4.0 * ratio * ratio + 1.0).sqrt());
            let one_minus_cos = 2.0 / (1.0 + 2.0 * ratio + (4.0 * ratio * ratio + 1.0).sqrt());
            (one_minus_cos * (1.0 + cos)).sqrt().atan2(cos)
        };
        let log_peak = log_density(peak);
        let end = |far: f64| {
            let (mut near, mut far) = (peak, far);
            if log_density(far) >= log_peak - 45.0 {
                return far;
            }
            for _ in 0..200 {
                let middle = 0.5 * (near + far);
                if log_density(middle) < log_peak - 45.0 { far = middle } else { near = middle }
            }
            far
        };
        let (low, high) = (end(0.0), end(std::f64::consts::PI));
        let theta: Vec<f64> = (0..=STEPS).map(|i| low + (high - low) * i as f64 / STEPS as f64).collect();
        let density = theta.iter().map(|&t| (log_density(t) - log_peak).exp()).collect();
        Self { theta, density, log_peak }
    }

    fn step(&self) -> f64 {
        self.theta[1] - self.theta[0]
    }

    /// ∫ f(θ) density dθ by Simpson's rule, relative to the peak.
    fn integral(&self, f: impl Fn(f64) -> f64) -> f64 {
        let terms = self.theta.iter().zip(&self.density).enumerate().map(|(i, (&theta, density))| {
            let weight = if i == 0 || i == STEPS {
                1.0
            } else if i % 2 == 1 {
                4.0
            } else {
                2.0
            };
            weight * f(theta) * density
        });
        terms.sum::<f64>() * self.step() / 3.0
    }

    /// The mean of f(1 − cos θ).
    pub(crate) fn mean(&self, f: impl Fn(f64) -> f64) -> f64 {
        let one_minus_cos = |theta: f64| 2.0 * (theta / 2.0).sin().powi(2);
        self.integral(|theta| f(one_minus_cos(theta))) / self.integral(|_| 1.0)
    }

    /// log ∫ exp(κ cos θ − κ) sinⁿ⁻²θ dθ.
    pub(crate) fn log_integral(&self) -> f64 {
        self.log_peak + self.integral(|_| 1.0).ln()
    }

    /// Kolmogorov's √N·sup|F_N − F| of samples of 1 − cos θ, which it sorts.
    pub(crate) fn kolmogorov(&self, samples: &mut [f64]) -> f64 {
        samples.sort_by(f64::total_cmp);
        let count = samples.len() as f64;
        let total = self.integral(|_| 1.0);
        let (step, mut i, mut below) = (self.step(), 0, 0.0);
        let mut worst = 0.0_f64;
        for (rank, &sample) in samples.iter().enumerate() {
            let theta = 2.0 * (sample / 2.0).sqrt().min(1.0).asin();
            // Trapezia up to the grid's last point below θ, and a part of the next one.
            while i + 1 < STEPS && self.theta[i + 1] <= theta {
                below += 0.5 * step * (self.density[i] + self.density[i + 1]);
                i += 1;
            }
            let part = ((theta - self.theta[i]) / step).clamp(0.0, 1.0);
            let here = self.density[i] + part * (self.density[i + 1] - self.density[i]);
            let f = (below + 0.5 * part * step * (self.density[i] + here)) / total;
            worst = worst.max((f - rank as f64 / count).abs()).max((f - (rank as f64 + 1.0) / count).abs());
        }
        worst * count.sqrt()
    }
}
