//! Intervals of uncertainties: what another draw of latent prompts and videos would have given.
//!
//! The sample is hierarchical: n latent prompts are drawn, and for each m videos. Repeating the task draws new ones of
//! both, so that a unit of resampling is a latent prompt *with all its videos*: the spread between such units holds that
//! of the videos already, and drawing videos again within them counts it twice (Davison and Hinkley 1997, *Bootstrap
//! Methods and their Application*, 3.8). [`Spread::jackknife`] takes one unit away at a time and gives the estimate ±
//! its standard error times Student's t; [`Spread::bootstrap`] draws latent prompts and then videos within each, and gives
//! percentiles. Both work on the distances of pairs, O(m²) a resample, and leave out the pairs of a sample with itself, which
//! would make every resample tighter than its group ([`PairDistances::drawn`]).
//!
//! Share of intervals at the nominal 95 % that hold the true value, of groups drawn from von Mises–Fisher distributions in
//! 64 dimensions (`tests/interval.rs`): the jackknife's .91 to .98 at n = m = 10, at 4 and at n = 3, m = 2; the bootstrap's
//! .89 to .97 at 10, .86 to .96 at 4 and .61 to .82 at n = 3. The jackknife is therefore the default.
//!
//! An interval is of its estimator: those of the plug-in estimators hold its bias at that n and m, not the true entropy.

use candle_core::Device;
use rayon::prelude::*;
use squbed_core::{GroupFit, Interval, Intervals, TaskUncertainty};
use squbed_stats::{draw, quantile, student_quantile};
use squbed_tensor::pca::Pca;
use squbed_vmf::{Estimator, GroupStatistics, Mixture, PairDistances};

use crate::{
    calibrate::LEVEL,
    error::Result,
    fit::{self, Group},
    method::{self, Estimate, TaskEmbeddings},
};

/// A task's embeddings, reduced to what fits of its parts need.
#[derive(Clone, Debug)]
pub struct Spread {
    prompts: PairDistances,
    videos: Vec<PairDistances>,
    mixture: Mixture,
    estimator: Estimator,
}

/// Distances of a task's prompts, projected on `basis` where there is one.
fn distances(prompts: &Group<'_>, basis: Option<&Pca>, device: &Device) -> Result<PairDistances> {
    let Some(basis) = basis else { return Ok(PairDistances::of(prompts)?) };
    let projected = basis.project(&fit::to_tensor(&[prompts], device)?)?;
    let rows = projected.squeeze(0).map_err(squbed_tensor::Error::from)?;
    let rows = crate::embed::to_rows(&rows)?;
    Ok(PairDistances::of(&rows.iter().map(Vec::as_slice).collect::<Vec<_>>())?)
}

/// The interval of an estimated h(Z | ℓ) alone, by leaving out one latent prompt at a time; Student's t with n − 1 degrees
/// of freedom, undefined for two prompts.
///
/// # Errors
///
/// As [`Spread::of`].
pub fn jackknife_of_prompts(
    prompts: &Group<'_>,
    basis: Option<&Pca>,
    estimator: Estimator,
    device: &Device,
    estimate: f64,
) -> Result<Interval> {
    let distances = distances(prompts, basis, device)?;
    let left: Vec<f64> = (0..prompts.len())
        .map(|i| distances.without(i).map_or(Ok(f64::NAN), |s| Ok(squbed_vmf::fit(&s, estimator)?.entropy)))
        .collect::<Result<_>>()?;
    let error = jackknife_error(&left);
    let t = student_quantile(prompts.len().saturating_sub(1), (1.0 - LEVEL) / 2.0);
    Ok(Interval { low: estimate - t * error, high: estimate + t * error, standard_error: error })
}

/// Why most intervals of a task are undefined.
const TWO_LATENTS: &str = "without one of two latent prompts a single one is left, whose spread is unknown, so that the epistemic part alone \
                           has an interval: three latent prompts or more give all of them";

/// What a reader of an estimate has to know of the intervals that are not there, one sentence each.
pub fn missing(tasks: &[TaskUncertainty]) -> Vec<String> {
    let count = |f: &dyn Fn(&TaskUncertainty) -> bool| tasks.iter().filter(|task| f(task)).count();
    let two = count(&|task| task.videos.len() == 2);
    let two_videos = count(&|task| task.videos.iter().all(|fit| fit.m == 2));
    let infinite = count(&|task| {
        task.videos.len() > 2 && task.interval.as_ref().is_some_and(|of| of.total.low.is_nan())
    });
    let of = tasks.len();
    let said = [
        (
            two,
            format!(
                "{two} of {of} task(s) have two latent prompts and no interval of the total: {TWO_LATENTS}"
            ),
        ),
        (
            two_videos,
            format!(
                "{two_videos} of {of} task(s) have two videos a latent prompt: how much of an interval's width is due to \
                 their number is unknown; three or more tell"
            ),
        ),
        (
            infinite,
            format!(
                "{infinite} of {of} task(s) have no interval of the total, since samples that are all the same make it −∞"
            ),
        ),
    ];
    said.into_iter().filter(|(count, _)| *count > 0).map(|(_, sentence)| sentence).collect()
}

/// The five uncertainties in the order of [`Intervals`].
type Five = [f64; 5];

impl Spread {
    /// Of one task, its prompts projected on `basis` where there is one.
    ///
    /// # Errors
    ///
    /// Embeddings without direction or of different widths, which the fits refuse before.
    pub fn of(
        task: &TaskEmbeddings<'_>,
        basis: Option<&Pca>,
        estimator: Estimator,
        device: &Device,
    ) -> Result<Self> {
        let prompts = distances(&task.prompts, basis, device)?;
        let videos = task.videos.iter().map(|rows: &Group<'_>| PairDistances::of(rows));
        Ok(Self {
            prompts,
            videos: videos.collect::<Result<_, _>>()?,
            mixture: Mixture::of(&task.videos)?,
            estimator,
        })
    }

    /// The fit of the mixture of the task's videos over latent prompts, whose entropy is h(V | ℓ): under
    /// [`Estimator::U`] from pairs of videos of different latent prompts, see [`Mixture::statistics`], else of all the
    /// videos at once. Rayleigh's test is of a mean of independent directions, which the former is not: it has no p.
    ///
    /// A von Mises–Fisher distribution has the largest entropy of all with its mean, so that of a mixture with several
    /// modes this is an upper bound.
    pub fn pooled(&self) -> Result<GroupFit> {
        let statistics = self.mixture.statistics(self.estimator, None);
        let fit = fit::fit_one(&statistics, self.estimator, f32::EPSILON.into())?;
        Ok(match self.estimator {
            Estimator::U => GroupFit { rayleigh_p: f64::NAN, ..fit },
            _ => fit::remark_near_uniform(fit),
        })
    }

    /// Flags the fits of the task's prompts, and of the videos of each latent prompt, whose samples fall in two clusters.
    pub fn remark_bimodal(&self, task: &mut TaskUncertainty) -> Result<()> {
        fit::remark_bimodal(&mut task.prompts, &self.prompts)?;
        task.videos.iter_mut().zip(&self.videos).try_for_each(|(fit, rows)| fit::remark_bimodal(fit, rows))
    }

    fn entropy_or_none(&self, statistics: Option<GroupStatistics>) -> Result<f64> {
        entropy_or_none(statistics, self.estimator)
    }

    /// Intervals by leaving out one latent prompt with its videos at a time.
    pub fn jackknife(&self, task: &TaskUncertainty) -> Result<Intervals> {
        let n = self.videos.len();
        let entropies: Vec<f64> = task.videos.iter().map(|fit| fit.entropy).collect();
        let mut left: Vec<Five> = Vec::with_capacity(n);
        for i in 0..n {
            let aleatoric = self.entropy_or_none(self.prompts.without(i))?;
            let others: Vec<f64> = entropies.iter().enumerate().filter(|e| e.0 != i).map(|e| *e.1).collect();
            let epistemic = method::mean_entropy(&others).0;
            let pooled = if n > 2 {
                self.entropy_or_none(Some(self.mixture.statistics(self.estimator, Some(i))))?
            } else {
                f64::NAN
            };
            left.push([aleatoric, epistemic, aleatoric + epistemic, pooled, pooled - epistemic]);
        }
        let t = student_quantile(n - 1, (1.0 - LEVEL) / 2.0);
        let [aleatoric, epistemic, total, pooled, mutual_information] = std::array::from_fn(|part| {
            let left: Vec<f64> = left.iter().map(|all| all[part]).collect();
            let error = jackknife_error(&left);
            let estimate = self.estimates(task)[part];
            Interval { low: estimate - t * error, high: estimate + t * error, standard_error: error }
        });
        let freedom = n - 1;
        let mut method = format!(
            "jackknife: each of {n} latent prompts is left out in turn, with its videos; Student's t with {freedom} degree(s) \
             of freedom"
        );
        if n == 2 {
            method.push_str(&format!("; {TWO_LATENTS}"));
        }
        let epistemic_error_of_videos = error_of_videos(&self.videos, &entropies, self.estimator)?;
        Ok(Intervals {
            level: LEVEL,
            method,
            aleatoric,
            epistemic,
            total,
            pooled,
            mutual_information,
            epistemic_error_of_videos,
        })
    }

    fn estimates(&self, task: &TaskUncertainty) -> Five {
        let pooled = task.pooled.as_ref().map_or(f64::NAN, |fit| fit.entropy);
        [task.aleatoric, task.epistemic, task.total, pooled, task.mutual_information]
    }

    /// Percentile intervals of resamples of the latent prompts, and of the videos within each that is drawn. Of the
    /// pooled entropy and the mutual information there are none, since they are no functions of these distances.
    pub fn bootstrap(&self, task: &TaskUncertainty, resamples: usize, seed: u64) -> Result<Intervals> {
        let n = self.videos.len();
        let mut values: [Vec<f64>; 3] = Default::default();
        for run in 0..resamples as u64 {
            let mut drawn_so_far = 0;
            let mut next = |count: usize, of: usize| -> Vec<usize> {
                let drawn = (0..count as u64).map(|i| draw(seed, run, drawn_so_far + i, of)).collect();
                drawn_so_far += count as u64;
                drawn
            };
            let latents = next(n, n);
            let aleatoric = self.entropy_or_none(self.prompts.drawn(&latents))?;
            let mut entropies = Vec::with_capacity(n);
            for &latent in latents.iter().filter(|&&latent| task.videos[latent].entropy.is_finite()) {
                let videos = &self.videos[latent];
                let drawn = next(videos.count(), videos.count());
                entropies.push(self.entropy_or_none(videos.drawn(&drawn))?);
            }
            // A group of which one video alone was drawn says nothing of its spread.
            entropies.retain(|h| h.is_finite());
            let epistemic = method::mean_entropy(&entropies).0;
            for (values, value) in values.iter_mut().zip([aleatoric, epistemic, aleatoric + epistemic]) {
                if value.is_finite() {
                    values.push(value);
                }
            }
        }
        let none = Interval { low: f64::NAN, high: f64::NAN, standard_error: f64::NAN };
        let of = |mut values: Vec<f64>| {
            values.sort_by(f64::total_cmp);
            let tail = (1.0 - LEVEL) / 2.0;
            let mean = values.iter().sum::<f64>() / values.len() as f64;
            let square = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>();
            let standard_error = (square / (values.len() as f64 - 1.0)).sqrt();
            Interval { low: quantile(&values, tail), high: quantile(&values, 1.0 - tail), standard_error }
        };
        let [aleatoric, epistemic, total] = values.map(of);
        let entropies: Vec<f64> = task.videos.iter().map(|fit| fit.entropy).collect();
        Ok(Intervals {
            level: LEVEL,
            method: format!(
                "hierarchical percentile bootstrap, {resamples} resamples of {n} latent prompts and of the videos of each"
            ),
            aleatoric,
            epistemic,
            total,
            pooled: none,
            mutual_information: none,
            epistemic_error_of_videos: error_of_videos(&self.videos, &entropies, self.estimator)?,
        })
    }
}

/// Replaces the intervals of an estimate by those of the bootstrap.
///
/// # Errors
///
/// No resample; tasks that are not those of the estimate, in their order.
pub fn bootstrap(
    estimate: &mut Estimate,
    tasks: &[TaskEmbeddings<'_>],
    estimator: Estimator,
    resamples: usize,
    seed: u64,
    device: &Device,
) -> Result<()> {
    if resamples == 0 {
        return Err(crate::Error::TooSmall { name: "bootstrap", value: 0, least: 1 });
    }
    let basis = estimate.basis.as_ref();
    estimate.tasks.par_iter_mut().zip(tasks).try_for_each(|(row, task)| {
        row.interval = Some(Spread::of(task, basis, estimator, device)?.bootstrap(row, resamples, seed)?);
        Ok(())
    })
}

/// An entropy; NaN where there are no statistics.
fn entropy_or_none(statistics: Option<GroupStatistics>, estimator: Estimator) -> Result<f64> {
    statistics.map_or(Ok(f64::NAN), |s| Ok(squbed_vmf::fit(&s, estimator)?.entropy))
}

/// The standard error of the mean entropy of these very latent prompts, by leaving out one video at a time.
fn error_of_videos(groups: &[PairDistances], entropies: &[f64], estimator: Estimator) -> Result<f64> {
    let (mut variance, mut count) = (0.0, 0.0);
    for (videos, _) in groups.iter().zip(entropies).filter(|(_, h)| h.is_finite()) {
        let left: Vec<f64> = (0..videos.count())
            .map(|video| entropy_or_none(videos.without(video), estimator))
            .collect::<Result<_>>()?;
        variance += jackknife_error(&left).powi(2);
        count += 1.0;
    }
    Ok(if count > 0.0 { variance.sqrt() / count } else { f64::NAN })
}

/// Width of the 95 % interval of a task's epistemic uncertainty over other videos of the same latent prompts, whose
/// embeddings are `groups`, nats: what further videos of each can narrow. NaN where a group has fewer than three, or where
/// all are the same.
///
/// # Errors
///
/// As [`Spread::of`].
pub fn width_over_videos(groups: &[Group<'_>], estimator: Estimator) -> Result<f64> {
    if groups.iter().any(|videos| videos.len() < 3) {
        return Ok(f64::NAN);
    }
    let groups: Vec<PairDistances> =
        groups.iter().map(|rows| PairDistances::of(rows)).collect::<Result<_, _>>()?;
    let all = |videos: &PairDistances| (0..videos.count()).collect::<Vec<_>>();
    let entropies: Vec<f64> = groups
        .iter()
        .map(|videos| entropy_or_none(videos.drawn(&all(videos)), estimator))
        .collect::<Result<_>>()?;
    let freedom = groups.iter().map(|videos| videos.count() - 1).sum();
    Ok(2.0
        * student_quantile(freedom, (1.0 - LEVEL) / 2.0)
        * error_of_videos(&groups, &entropies, estimator)?)
}

/// The jackknife's standard error from the estimates without each unit; NaN where one of them is not finite, or where
/// there is one alone.
fn jackknife_error(left: &[f64]) -> f64 {
    let n = left.len() as f64;
    if left.len() < 2 || left.iter().any(|v| !v.is_finite()) {
        return f64::NAN;
    }
    let mean = left.iter().sum::<f64>() / n;
    ((n - 1.0) / n * left.iter().map(|v| (v - mean).powi(2)).sum::<f64>()).sqrt()
}
