//! What a study can show, before it is paid for: power from the number of tasks alone, and from a pilot how the
//! intervals and the ranking settle with more latent prompts and videos.

use serde::Serialize;
use squbed_core::{Interval, Intervals, TaskUncertainty, float};
use squbed_stats::{Alternative, kendall_power, quantile, student_quantile, tau_of_normal};

use crate::{
    calibrate::{LEAST_RESAMPLED, LEVEL},
    error::{Error, Result},
};

/// What Kendall's τ over so many tasks can show.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Power {
    /// Tasks.
    pub tasks: usize,
    /// `two-sided`, `less` or `greater`.
    pub alternative: String,
    /// Level of one test: what is asked for, over the number of tests.
    pub alpha: f64,
    /// The smallest p that these tasks can give.
    pub smallest_p: f64,
    /// The smallest |τ| whose p is at most the level; NaN where there is none.
    #[serde(with = "float")]
    pub critical_tau: f64,
    /// Chance that is wanted of finding it.
    pub power: f64,
    /// The smallest true |τ| that is found with that chance; NaN where there is none.
    #[serde(with = "float")]
    pub detectable_tau: f64,
}

/// [`kendall_power`] at the level that the first step of Holm's correction holds a test of several against.
///
/// # Errors
///
/// Fewer than two tasks, no test, a level or a power outside (0, 1).
pub fn power(tasks: usize, alpha: f64, power: f64, alternative: Alternative, tests: usize) -> Result<Power> {
    if tests == 0 {
        return Err(Error::TooSmall { name: "tests", value: tests, least: 1 });
    }
    let found = kendall_power(tasks, alpha / tests as f64, power, alternative)?;
    Ok(Power {
        tasks,
        alternative: alternative.to_string(),
        alpha: found.alpha,
        smallest_p: found.smallest_p,
        critical_tau: found.critical_tau,
        power,
        detectable_tau: found.detectable_tau,
    })
}

/// What a study of one size would give, as a pilot tells it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Settling {
    /// Latent prompts a task.
    pub latents: usize,
    /// Videos a latent prompt.
    pub videos: usize,
    /// Videos that the whole study takes.
    pub videos_in_all: usize,
    /// Median over the tasks of the 95 % interval's half-width, nats.
    #[serde(with = "float")]
    pub half_width_aleatoric: f64,
    /// The same of the epistemic part.
    #[serde(with = "float")]
    pub half_width_epistemic: f64,
    /// The same of the sum.
    #[serde(with = "float")]
    pub half_width_total: f64,
    /// Expected τ over the tasks of the estimate with what latent prompts and videos without end would give.
    #[serde(with = "float")]
    pub tau_aleatoric: f64,
    /// The same of the epistemic part.
    #[serde(with = "float")]
    pub tau_epistemic: f64,
    /// The same of the sum.
    #[serde(with = "float")]
    pub tau_total: f64,
}

/// Squared standard errors of one task in the pilot, parted by what they fall with.
struct Errors {
    n: f64,
    m: f64,
    aleatoric: f64,
    /// Of the epistemic part, what the choice of latent prompts makes.
    latents: f64,
    /// And what the number of videos makes.
    videos: f64,
    /// Twice the covariance of both parts.
    both: f64,
}

impl Errors {
    fn of(row: &TaskUncertainty) -> Option<Self> {
        let square = |interval: &Interval| interval.standard_error.powi(2);
        let i: &Intervals = row.interval.as_ref()?;
        let (aleatoric, epistemic, total) = (square(&i.aleatoric), square(&i.epistemic), square(&i.total));
        if !(total.is_finite() && i.epistemic_error_of_videos.is_finite()) {
            return None;
        }
        let videos = i.epistemic_error_of_videos.powi(2).min(epistemic);
        let m = row.videos.iter().map(|fit| fit.m as f64).sum::<f64>() / row.videos.len() as f64;
        Some(Self {
            n: row.videos.len() as f64,
            m,
            aleatoric,
            latents: epistemic - videos,
            videos,
            both: total - aleatoric - epistemic,
        })
    }

    /// Variances of aleatoric, epistemic and total with so many latent prompts and videos.
    fn at(&self, latents: f64, videos: f64) -> [f64; 3] {
        let aleatoric = self.aleatoric * self.n / latents;
        let epistemic = (self.latents + self.videos * self.m / videos) * self.n / latents;
        let total = aleatoric + epistemic + self.both * self.n / latents;
        [aleatoric, epistemic, total.max(0.0)]
    }
}

/// How intervals and ranking settle: every combination of `latents` and `videos`, the cheapest first, over `tasks` tasks
/// like those of a pilot.
///
/// A squared standard error is taken to fall as 1/n, and its part that is due to the videos as 1/(n m). The true values
/// are taken to vary between tasks as the pilot's estimates do, less their mean squared error; then the expected τ of
/// estimate and true value is (2/π) asin √reliability (Greiner), where the reliability is the share of the true values'
/// variance in the estimates'.
///
/// The jackknife's errors are somewhat too large where they come from few samples, so a small pilot thinks too little of
/// the ranking and too much of further videos: from a pilot of 5 × 5, studies of 5 × 5 to 12 × 12 were foretold with τ within .1
/// below and half-widths within 25 % of what was found (`tests/plan.rs`).
///
/// # Errors
///
/// Sizes below 2; a pilot of fewer than five tasks whose standard errors are known, which takes three latent prompts of
/// three videos each.
pub fn settling(
    pilot: &[TaskUncertainty],
    tasks: usize,
    latents: &[usize],
    videos: &[usize],
) -> Result<Vec<Settling>> {
    for (name, sizes) in [("latents", latents), ("videos", videos)] {
        if let Some(&value) = sizes.iter().find(|&&size| size < 2) {
            return Err(Error::TooSmall { name, value, least: 2 });
        }
    }
    let known: Vec<(&TaskUncertainty, Errors)> =
        pilot.iter().filter_map(|row| Some((row, Errors::of(row)?))).collect();
    if known.len() < LEAST_RESAMPLED {
        return Err(Error::Pilot { usable: known.len(), tasks: pilot.len(), least: LEAST_RESAMPLED });
    }
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let of_part = |part: usize, f: &dyn Fn(&Errors) -> [f64; 3]| -> Vec<f64> {
        known.iter().map(|(_, errors)| f(errors)[part]).collect()
    };
    let true_variance: [f64; 3] = std::array::from_fn(|part| {
        let value = |row: &TaskUncertainty| [row.aleatoric, row.epistemic, row.total][part];
        let values: Vec<f64> = known.iter().map(|(row, _)| value(row)).collect();
        let centre = mean(&values);
        let variance = values.iter().map(|v| (v - centre).powi(2)).sum::<f64>() / (values.len() as f64 - 1.0);
        (variance - mean(&of_part(part, &|e| e.at(e.n, e.m)))).max(0.0)
    });
    let mut rows = Vec::new();
    for &n in latents {
        for &m in videos {
            let t = student_quantile(n - 1, (1.0 - LEVEL) / 2.0);
            let of_size = |part: usize| of_part(part, &|e| e.at(n as f64, m as f64));
            let half_width = |part: usize| {
                let mut widths: Vec<f64> = of_size(part).iter().map(|v| t * v.sqrt()).collect();
                widths.sort_by(f64::total_cmp);
                quantile(&widths, 0.5)
            };
            let tau = |part: usize| {
                let truth = true_variance[part];
                tau_of_normal((truth / (truth + mean(&of_size(part)))).sqrt())
            };
            rows.push(Settling {
                latents: n,
                videos: m,
                videos_in_all: tasks * n * m,
                half_width_aleatoric: half_width(0),
                half_width_epistemic: half_width(1),
                half_width_total: half_width(2),
                tau_aleatoric: tau(0),
                tau_epistemic: tau(1),
                tau_total: tau(2),
            });
        }
    }
    rows.sort_by_key(|row| (row.videos_in_all, row.latents));
    Ok(rows)
}
