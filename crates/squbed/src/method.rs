//! The method: Algorithms 1 and 2 of the paper on embeddings.

use std::{fmt, path::PathBuf, str::FromStr};

use candle_core::Device;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use squbed_core::{GroupFit, TaskUncertainty};
use squbed_tensor::pca::Pca;
use squbed_vmf::Estimator;

use crate::{
    basis,
    error::{Error, Result},
    fit::{self, Group},
    interval::Spread,
};

/// The embeddings of one task.
#[derive(Clone, Debug)]
pub struct TaskEmbeddings<'a> {
    /// The task.
    pub id: &'a str,
    /// `[n, d_text]`: the latent prompts.
    pub prompts: Group<'a>,
    /// `n` groups of `[mᵢ, d_video]`: the videos of each latent prompt.
    pub videos: Vec<Group<'a>>,
}

/// A named bundle of options.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Preset {
    /// The paper's method where it is explicit, except where measurement shows that its choice
    /// misleads: exact κ, the U correction at every m, no projection.
    Default,
    /// The paper to the letter: PCA on the prompt embeddings, closed-form κ (Sra 2012).
    Paper,
}

impl Preset {
    /// `default` or `paper`, as it stands in JSON and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::Paper => "paper",
        }
    }
}

impl fmt::Display for Preset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Preset {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        match name {
            "default" => Ok(Self::Default),
            "paper" => Ok(Self::Paper),
            _ => Err(Error::Option { name: "preset", value: name.to_owned(), allowed: "default, paper" }),
        }
    }
}

/// What the prompt embeddings are projected on before the fit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "basis", deny_unknown_fields)]
pub enum Projection {
    /// Nothing: the fit sees the embeddings as they are.
    None,
    /// Principal components of all latent prompts of the corpus. One basis for each prompt, centred,
    /// would give r̄ ≈ 0 for every prompt and so measure nothing; it is not offered.
    Corpus {
        /// Components kept; `None` is 64 or the rank, whichever is less.
        dims: Option<usize>,
        /// Whether the corpus mean is taken away first, as PCA is by definition.
        centred: bool,
    },
    /// A basis that an earlier estimate stored: prompts of another corpus in the subspace of that one.
    Stored {
        /// Its file, `basis.safetensors` of that estimate's folder.
        file: PathBuf,
    },
}

impl Projection {
    /// A projection by its name, `none`, `corpus` (centred) or `corpus-uncentred`, with `dims` components.
    ///
    /// # Errors
    ///
    /// Another name; `prompt` and `prompt-centred` are refused with their reason; components without a basis.
    pub fn named(name: &str, dims: Option<usize>) -> Result<Self> {
        match (name, dims) {
            ("none", None | Some(0)) => Ok(Self::None),
            ("none", Some(components)) => Err(Error::ComponentsOfNone { components }),
            ("corpus", dims) => Ok(Self::Corpus { dims, centred: true }),
            ("corpus-uncentred", dims) => Ok(Self::Corpus { dims, centred: false }),
            ("prompt-centred", _) => Err(Error::PromptCentred),
            ("prompt", _) => Err(Error::PromptBasis),
            _ => Err(Error::Option {
                name: "projection",
                value: name.to_owned(),
                allowed: "none, corpus, corpus-uncentred",
            }),
        }
    }
}

/// Every option of the estimate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MethodOptions {
    /// How κ is estimated.
    #[serde(with = "estimator_name")]
    pub estimator: Estimator,
    /// Projection of the prompt embeddings (Algorithm 2 has none for videos).
    pub projection: Projection,
}

impl MethodOptions {
    /// The name of an estimate with these options: the preset's where they are its own, else with each
    /// changed option after it, e.g. `paper-exact-unprojected` or `default-components-16`. Folders and JSON
    /// use it, so that no estimate takes another's place.
    pub fn name(&self, preset: Preset) -> String {
        let own = Self::from(preset);
        let mut name = preset.to_string();
        if self.estimator != own.estimator {
            name.push_str(&format!("-{}", self.estimator));
        }
        if self.projection != own.projection {
            name.push_str(&match &self.projection {
                Projection::None => "-unprojected".to_owned(),
                Projection::Corpus { dims, centred } => {
                    let dims = dims.map_or("-projected".to_owned(), |k| format!("-components-{k}"));
                    if *centred { dims } else { format!("{dims}-uncentred") }
                }
                Projection::Stored { file } => {
                    let digest = squbed_store::digest_text(&file.to_string_lossy());
                    format!("-basis-{}", &digest[..8])
                }
            });
        }
        name
    }
}

mod estimator_name {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};
    use squbed_vmf::Estimator;

    pub(super) fn serialize<S: Serializer>(value: &Estimator, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(value)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Estimator, D::Error> {
        String::deserialize(d)?.parse().map_err(D::Error::custom)
    }
}

impl From<Preset> for MethodOptions {
    fn from(preset: Preset) -> Self {
        match preset {
            Preset::Default => Self { estimator: Estimator::U, projection: Projection::None },
            Preset::Paper => Self {
                estimator: Estimator::Sra,
                projection: Projection::Corpus { dims: None, centred: true },
            },
        }
    }
}

/// Components that the paper preset keeps where it may choose.
pub const DEFAULT_COMPONENTS: usize = 64;

/// The uncertainties of a set of tasks.
#[derive(Debug)]
pub struct Estimate {
    /// One a task, in their order.
    pub tasks: Vec<TaskUncertainty>,
    /// The basis that the prompts were projected on.
    pub basis: Option<Pca>,
}

/// Algorithm 1 for a batch of tasks: h(Z | ℓ), the spread of each task's latent prompts (Eq. 8), nats.
///
/// `prompts[i]` is `[nᵢ, d]`; `basis`, where there is one, projects them first.
pub fn aleatoric_uncertainty(
    prompts: &[Group<'_>],
    basis: Option<&Pca>,
    estimator: Estimator,
    device: &Device,
) -> Result<Vec<GroupFit>> {
    fit::fit_groups(prompts, basis, estimator, device)
}

/// Algorithm 2 for a batch of latent prompts: h(V | Z = z), the spread of the videos of each (Eq. 10),
/// nats. Their mean over a task's latent prompts is h(V | Z) (Eq. 9), which [`estimate`] forms.
pub fn epistemic_uncertainty(
    videos: &[Group<'_>],
    estimator: Estimator,
    device: &Device,
) -> Result<Vec<GroupFit>> {
    fit::fit_groups(videos, None, estimator, device)
}

/// Both algorithms and their sum for a set of tasks, each kind of fit in one batch; the entropy of each task's videos
/// taken together; and the intervals of all of these.
///
/// # Errors
///
/// A NaN or a zero embedding, with its task; groups of fewer than two, embeddings of different widths, more
/// components than the rank, or a centred basis of a single task.
pub fn estimate(tasks: &[TaskEmbeddings<'_>], options: &MethodOptions, device: &Device) -> Result<Estimate> {
    for task in tasks {
        let smallest = task.videos.iter().map(Vec::len).chain([task.prompts.len(), task.videos.len()]).min();
        if smallest.is_none_or(|m| m < 2) {
            return Err(Error::TooFewSamples {
                task: task.id.to_owned(),
                n: task.prompts.len(),
                m: task.videos.iter().map(Vec::len).min().unwrap_or(0),
            });
        }
    }
    let prompts: Vec<Group<'_>> = tasks.iter().map(|t| t.prompts.clone()).collect();
    let basis = match options.projection {
        Projection::None => None,
        Projection::Corpus { centred: true, .. } if tasks.len() < 2 => {
            return Err(Error::OneTaskBasis { tasks: tasks.len() });
        }
        Projection::Corpus { dims, centred } => Some(corpus_basis(&prompts, dims, centred, device)?),
        Projection::Stored { ref file } => Some(basis::load(file, &prompts, device)?),
    };
    if let Some(got) = basis.as_ref().map(Pca::components).filter(|k| *k < 2) {
        return Err(Error::Components { got });
    }
    let aleatoric = aleatoric_uncertainty(&prompts, basis.as_ref(), options.estimator, device)
        .map_err(|e| named(e, |i| format!("the latent prompts of task `{}`", tasks[i].id)))?;
    let videos: Vec<Group<'_>> = tasks.iter().flat_map(|t| t.videos.iter().cloned()).collect();
    let mut epistemic = epistemic_uncertainty(&videos, options.estimator, device)
        .map_err(|e| named(e, |i| name_of_videos(tasks, i)))?
        .into_iter();
    let mut rows: Vec<TaskUncertainty> = tasks
        .iter()
        .zip(aleatoric)
        .map(|(task, prompts)| {
            combine(task.id, prompts, epistemic.by_ref().take(task.videos.len()).collect())
        })
        .collect();
    rows.par_iter_mut().zip(tasks).try_for_each(|(row, task)| {
        let spread = Spread::of(task, basis.as_ref(), options.estimator, device)?;
        spread.remark_bimodal(row)?;
        let pooled = spread.pooled()?;
        row.mutual_information = pooled.entropy - row.epistemic;
        row.pooled = Some(pooled);
        row.interval = Some(spread.jackknife(row)?);
        Ok::<_, Error>(())
    })?;
    Ok(Estimate { tasks: rows, basis })
}

/// The error with the group that it speaks of in words.
fn named(error: Error, of: impl Fn(usize) -> String) -> Error {
    match error {
        Error::NoDirection { group, row, norm, .. } => Error::NoDirection { of: of(group), group, row, norm },
        other => other,
    }
}

/// The videos at this place among those of all tasks, in words.
fn name_of_videos(tasks: &[TaskEmbeddings<'_>], at: usize) -> String {
    let mut all = tasks.iter().flat_map(|t| (0..t.videos.len()).map(move |latent| (t.id, latent)));
    let (id, latent) = all.nth(at).unwrap_or_default();
    format!("the videos of task `{id}`, latent prompt {latent}")
}

/// One basis from all latent prompts of the corpus.
pub fn corpus_basis(
    prompts: &[Group<'_>],
    dims: Option<usize>,
    centred: bool,
    device: &Device,
) -> Result<Pca> {
    let rows: Group<'_> = prompts.iter().flatten().copied().collect();
    let corpus = fit::to_tensor(&[&rows], device)?.squeeze(0).map_err(squbed_tensor::Error::from)?;
    match dims {
        Some(k) => Ok(Pca::fit(&corpus, k, centred)?),
        None => Ok(Pca::fit_at_most(&corpus, DEFAULT_COMPONENTS, centred)?),
    }
}

/// Eq. 9 and 3: the mean over latent prompts, and the sum of both parts.
///
/// A latent prompt whose videos are all the same has h = −∞. It is left out of the mean, counted and
/// flagged, unless all are: then the mean is −∞ as well.
fn combine(id: &str, prompts: GroupFit, videos: Vec<GroupFit>) -> TaskUncertainty {
    let entropies: Vec<f64> = videos.iter().map(|v| v.entropy).collect();
    let (epistemic, latents_left_out) = mean_entropy(&entropies);
    let mut finite: Vec<f64> = entropies.into_iter().filter(|h| h.is_finite()).collect();
    finite.sort_by(f64::total_cmp);
    let epistemic_median = match finite.len() {
        0 => f64::NEG_INFINITY,
        k => (finite[(k - 1) / 2] + finite[k / 2]) / 2.0,
    };
    let worst_latent = (0..videos.len())
        .max_by(|&i, &j| videos[i].entropy.total_cmp(&videos[j].entropy).then(j.cmp(&i)))
        .unwrap_or(0);
    TaskUncertainty {
        id: id.to_owned(),
        aleatoric: prompts.entropy,
        epistemic,
        total: prompts.entropy + epistemic,
        epistemic_median,
        epistemic_max: videos.get(worst_latent).map_or(f64::NEG_INFINITY, |v| v.entropy),
        worst_latent,
        prompts,
        videos,
        latents_left_out,
        pooled: None,
        mutual_information: f64::NAN,
        interval: None,
        videos_digest: None,
        repeats: Vec::new(),
        cut: Vec::new(),
    }
}

/// Eq. 9: the mean of the entropies of a task's latent prompts, and how many were left out of it because
/// their videos are all the same (h = −∞); −∞ where all are.
pub(crate) fn mean_entropy(entropies: &[f64]) -> (f64, usize) {
    let finite: Vec<f64> = entropies.iter().copied().filter(|h| h.is_finite()).collect();
    let mean = match finite.len() {
        0 => f64::NEG_INFINITY,
        k => finite.iter().sum::<f64>() / k as f64,
    };
    (mean, entropies.len() - finite.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `m` unit vectors about the first axis in `d` dimensions, `spread` apart.
    fn group(m: usize, d: usize, spread: f32) -> Vec<Vec<f32>> {
        (0..m)
            .map(|i| {
                let mut row = vec![0.0; d];
                row[0] = 1.0;
                row[1 + i % (d - 1)] += spread;
                row
            })
            .collect()
    }

    fn rows(group: &[Vec<f32>]) -> Group<'_> {
        group.iter().map(Vec::as_slice).collect()
    }

    fn estimate_one(
        prompts: &[Vec<f32>],
        videos: &[Vec<Vec<f32>>],
        options: MethodOptions,
    ) -> Result<TaskUncertainty> {
        let task = TaskEmbeddings {
            id: "t",
            prompts: rows(prompts),
            videos: videos.iter().map(|v| rows(v)).collect(),
        };
        Ok(estimate(&[task], &options, &Device::Cpu)?.tasks.remove(0))
    }

    #[test]
    fn wider_groups_are_more_uncertain_and_the_total_is_the_sum() {
        let videos = vec![group(4, 8, 0.2), group(4, 8, 0.4)];
        let narrow = estimate_one(&group(4, 16, 0.1), &videos, Preset::Default.into()).unwrap();
        let wide = estimate_one(&group(4, 16, 0.5), &videos, Preset::Default.into()).unwrap();
        assert!(wide.aleatoric > narrow.aleatoric);
        assert_eq!(wide.epistemic, narrow.epistemic);
        assert_eq!(wide.total, wide.aleatoric + wide.epistemic);
        assert_eq!(wide.worst_latent, 1);
        let mean = (wide.videos[0].entropy + wide.videos[1].entropy) / 2.0;
        assert!((wide.epistemic - mean).abs() < 1e-12);
    }

    #[test]
    fn a_point_mass_is_left_out_and_counted() {
        let videos = vec![group(4, 8, 0.0), group(4, 8, 0.4)];
        let task = estimate_one(&group(4, 16, 0.1), &videos, Preset::Default.into()).unwrap();
        assert_eq!(task.latents_left_out, 1);
        assert_eq!(task.videos[0].entropy, f64::NEG_INFINITY);
        assert_eq!(task.epistemic, task.videos[1].entropy);
    }

    #[test]
    fn ragged_groups_fit_as_they_do_alone() {
        let videos = vec![group(3, 8, 0.3), group(5, 8, 0.3), group(3, 8, 0.1)];
        let task = estimate_one(&group(4, 16, 0.1), &videos, Preset::Default.into()).unwrap();
        for (i, v) in videos.iter().enumerate() {
            let alone = epistemic_uncertainty(&[rows(v)], Estimator::U, &Device::Cpu).unwrap();
            assert_eq!(alone[0], task.videos[i]);
        }
    }

    #[test]
    fn one_sample_is_refused() {
        let error =
            estimate_one(&group(2, 4, 0.1), &[group(2, 4, 0.1), group(1, 4, 0.1)], Preset::Default.into());
        assert!(matches!(error, Err(Error::TooFewSamples { m: 1, .. })), "{error:?}");
    }

    #[test]
    fn nan_is_refused() {
        let mut prompts = group(3, 4, 0.1);
        prompts[1][2] = f32::NAN;
        let videos = [group(2, 4, 0.1), group(2, 4, 0.1), group(2, 4, 0.1)];
        assert!(estimate_one(&prompts, &videos, Preset::Default.into()).is_err());
    }

    #[test]
    fn an_embedding_without_direction_is_named_by_its_task() {
        let prompts = group(3, 4, 0.1);
        let mut videos = vec![group(2, 4, 0.1), group(3, 4, 0.2), group(2, 4, 0.1)];
        videos[2][1] = vec![0.0; 4];
        let error = estimate_one(&prompts, &videos, Preset::Default.into()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the videos of task `t`, latent prompt 2: embedding 1 has no direction, its length is 0"
        );
        assert!(error.hint().is_some());
    }

    #[test]
    fn options_name_an_estimate() {
        let name = |preset: Preset, change: fn(&mut MethodOptions)| {
            let mut options = MethodOptions::from(preset);
            change(&mut options);
            options.name(preset)
        };
        assert_eq!(name(Preset::Default, |_| {}), "default");
        assert_eq!(name(Preset::Paper, |o| o.estimator = Estimator::Sra), "paper");
        let exact_unprojected = |o: &mut MethodOptions| {
            o.estimator = Estimator::Exact;
            o.projection = Projection::None;
        };
        assert_eq!(name(Preset::Paper, exact_unprojected), "paper-exact-unprojected");
        let sixteen = |o: &mut MethodOptions| {
            o.projection = Projection::Corpus { dims: Some(16), centred: true };
        };
        assert_eq!(name(Preset::Default, sixteen), "default-components-16");
    }

    #[test]
    fn one_task_has_no_centred_basis() {
        let videos = [group(2, 4, 0.1), group(2, 4, 0.1), group(2, 4, 0.1)];
        let prompts = group(3, 8, 0.4);
        let error = estimate_one(&prompts, &videos, Preset::Paper.into()).unwrap_err();
        assert!(matches!(error, Error::OneTaskBasis { tasks: 1 }) && error.hint().is_some(), "{error}");
        let options = MethodOptions {
            projection: Projection::Corpus { dims: None, centred: false },
            ..Preset::Paper.into()
        };
        assert!(estimate_one(&prompts, &videos, options).is_ok());
    }

    #[test]
    fn more_components_than_the_rank_are_refused() {
        let videos = [group(2, 4, 0.1), group(2, 4, 0.1), group(2, 4, 0.1)];
        let options = MethodOptions {
            estimator: Estimator::Sra,
            projection: Projection::Corpus { dims: Some(4), centred: true },
        };
        let prompts = [group(3, 8, 0.4), group(3, 8, 0.2)];
        let [a, b] = [0, 1].map(|i| TaskEmbeddings {
            id: "t",
            prompts: rows(&prompts[i]),
            videos: videos.iter().map(|v| rows(v)).collect(),
        });
        let tasks = [a, b];
        assert!(matches!(
            estimate(&tasks, &options, &Device::Cpu),
            Err(Error::Tensor(squbed_tensor::Error::Rank { wanted: 4, rank: 3, .. }))
        ));
        assert!(estimate(&tasks, &Preset::Paper.into(), &Device::Cpu).is_ok());
        let one =
            MethodOptions { projection: Projection::Corpus { dims: Some(1), centred: true }, ..options };
        let error = estimate(&tasks, &one, &Device::Cpu).unwrap_err();
        assert!(matches!(error, Error::Components { got: 1 }) && error.hint().is_some(), "{error}");
    }
}
