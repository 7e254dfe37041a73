//! Which part is at fault where an estimate does not follow its truth: the same embeddings with one
//! choice changed at a time.

use candle_core::Device;
use squbed_vmf::Estimator;

use crate::{
    baseline,
    calibrate::Parts,
    embed,
    error::Result,
    fit::{self, Group},
    method::{self, MethodOptions, Preset, Projection, TaskEmbeddings},
    run::Skipped,
};

/// A variant of the default preset and its numbers.
#[derive(Clone, Debug)]
pub struct Variant {
    /// What was changed, e.g. `estimator: exact in place of u`.
    pub name: String,
    /// One a task.
    pub parts: Vec<Parts>,
}

/// The default preset with its estimator, projection, video encoder and sample size changed in turn, and
/// a control that must fail: each prompt's embeddings centred on their own mean. What cannot be computed
/// comes back with its reason.
///
/// `histograms` are the same tasks with colour histograms in the place of video embeddings. The smaller
/// sample is left out where half of it is fewer than two.
pub fn variants(
    tasks: &[TaskEmbeddings<'_>],
    histograms: &[TaskEmbeddings<'_>],
    device: &Device,
) -> (Vec<Variant>, Vec<Skipped>) {
    let default = MethodOptions::from(Preset::Default);
    let with = |tasks: &[TaskEmbeddings<'_>], options: MethodOptions| -> Result<Vec<Parts>> {
        Ok(method::estimate(tasks, &options, device)?.tasks.iter().map(Parts::from).collect())
    };
    let projected =
        |centred| MethodOptions { projection: Projection::Corpus { dims: None, centred }, ..default.clone() };
    let (mut variants, mut skipped) = (Vec::new(), Vec::new());
    let mut add = |name: String, parts: Result<Vec<Parts>>| match parts {
        Ok(parts) => variants.push(Variant { name, parts }),
        Err(error) => {
            let why = embed::failure("ablation", &name, &error).error;
            skipped.push(Skipped { name, preset: false, why });
        }
    };
    for estimator in [Estimator::Exact, Estimator::Sra] {
        let parts = with(tasks, MethodOptions { estimator, ..default.clone() });
        add(format!("estimator: {estimator} in place of u"), parts);
    }
    add("projection: corpus-wide basis, centred".to_owned(), with(tasks, projected(true)));
    add("projection: corpus-wide basis, not centred".to_owned(), with(tasks, projected(false)));
    add(format!("video encoder: {} in the same fit", baseline::HISTOGRAM), with(histograms, default.clone()));
    if let Some(half) = halve(tasks) {
        add("sample size: half of the latent prompts and of the videos".to_owned(), with(&half, default));
    }
    let control = "control that must fail: each prompt centred on its own mean".to_owned();
    add(control, self_centred(tasks, device));
    (variants, skipped)
}

/// The first half of each group; `None` where that leaves fewer than two.
fn halve<'a>(tasks: &[TaskEmbeddings<'a>]) -> Option<Vec<TaskEmbeddings<'a>>> {
    let half = |group: &Group<'a>| group.get(..group.len() / 2).filter(|g| g.len() >= 2).map(<[_]>::to_vec);
    tasks
        .iter()
        .map(|task| {
            let prompts = half(&task.prompts)?;
            let videos = task.videos[..prompts.len()].iter().map(half).collect::<Option<_>>()?;
            Some(TaskEmbeddings { id: task.id, prompts, videos })
        })
        .collect()
}

/// The default preset after each group's mean is taken away, and so the very thing that it measures.
fn self_centred(tasks: &[TaskEmbeddings<'_>], device: &Device) -> Result<Vec<Parts>> {
    let entropy = |groups: &[Group<'_>]| -> Result<Vec<f64>> {
        let centred: Vec<Vec<Vec<f32>>> = groups.iter().map(centre).collect();
        // A row that is the mean itself has no direction left; a group of such rows is a point mass.
        let rows: Vec<Group<'_>> = centred
            .iter()
            .map(|g| g.iter().map(Vec::as_slice).filter(|row| row.iter().any(|x| *x != 0.0)).collect())
            .collect();
        let spread: Vec<Group<'_>> = rows.iter().filter(|g| g.len() >= 2).cloned().collect();
        // The plain estimate: the U correction would clip every group of this control to the same value.
        let mut fits = fit::fit_groups(&spread, None, Estimator::Exact, device)?.into_iter();
        let entropy_of = |g: &Group<'_>| if g.len() < 2 { None } else { fits.next().map(|f| f.entropy) };
        Ok(rows.iter().map(entropy_of).map(|h| h.unwrap_or(f64::NEG_INFINITY)).collect())
    };
    let prompts: Vec<Group<'_>> = tasks.iter().map(|t| t.prompts.clone()).collect();
    let aleatoric = entropy(&prompts)?;
    tasks
        .iter()
        .zip(aleatoric)
        .map(|(task, aleatoric)| {
            let (epistemic, latents_left_out) = method::mean_entropy(&entropy(&task.videos)?);
            let id = task.id.to_owned();
            Ok(Parts { id, aleatoric, epistemic, latents_left_out, videos_digest: None })
        })
        .collect()
}

/// The unit vectors of a group less their mean. Sums in f64 are exact enough that two rows come out
/// opposite to the last bit: what rounding left of r̄ would follow the spread that was taken away.
fn centre(group: &Group<'_>) -> Vec<Vec<f32>> {
    let unit = |row: &[f32]| {
        let norm = row.iter().map(|x| x * x).sum::<f32>().sqrt();
        row.iter().map(|x| x / norm).collect::<Vec<f32>>()
    };
    let units: Vec<Vec<f32>> = group.iter().map(|row| unit(row)).collect();
    let d = units.first().map_or(0, Vec::len);
    let m = units.len() as f64;
    let mean: Vec<f64> = (0..d).map(|j| units.iter().map(|row| f64::from(row[j])).sum::<f64>() / m).collect();
    let centred = |row: &Vec<f32>| row.iter().zip(&mean).map(|(x, m)| (f64::from(*x) - m) as f32).collect();
    units.iter().map(centred).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two vectors that lie farther apart the larger `spread` is.
    fn pair(spread: f32) -> Vec<Vec<f32>> {
        vec![vec![0.3, 0.1, 0.7, 0.2], vec![0.3, 0.1 + spread, 0.7 - spread * spread, 0.2]]
    }

    fn same() -> Vec<Vec<f32>> {
        // A third is not exact in binary, so that the mean of three is not exactly the row.
        vec![vec![0.1, 0.2, 0.3, 0.7]; 3]
    }

    fn task<'a>(id: &'a str, prompts: &'a [Vec<f32>], videos: &'a [Vec<Vec<f32>>]) -> TaskEmbeddings<'a> {
        let rows = |g: &'a [Vec<f32>]| -> Group<'a> { g.iter().map(Vec::as_slice).collect() };
        TaskEmbeddings { id, prompts: rows(prompts), videos: videos.iter().map(|v| rows(v)).collect() }
    }

    #[test]
    fn centring_each_group_on_its_own_mean_leaves_nothing_of_its_spread() {
        let (narrow, wide) = (pair(0.1), pair(0.8));
        let (narrow_videos, wide_videos) = ([pair(0.1), pair(0.2)], [pair(0.7), pair(0.9)]);
        let tasks = [task("narrow", &narrow, &narrow_videos), task("wide", &wide, &wide_videos)];
        let parts = self_centred(&tasks, &Device::Cpu).unwrap();
        // Two centred vectors are opposite: r̄ = 0, the uniform distribution, whose entropy is log 2π² in 4-d.
        let uniform = (2.0 * std::f64::consts::PI.powi(2)).ln();
        for part in &parts {
            assert!((part.aleatoric - uniform).abs() < 1e-9 && (part.epistemic - uniform).abs() < 1e-9);
            // To the last bit: ranks would make a finding of what rounding leaves.
            assert_eq!((part.aleatoric, part.epistemic), (parts[0].aleatoric, parts[0].aleatoric));
        }
        let (variants, skipped) = variants(&tasks, &tasks, &Device::Cpu);
        assert!(skipped.is_empty(), "{skipped:?}");
        assert_eq!(variants.last().unwrap().parts, parts);
        assert!(variants[0].parts[0].aleatoric < variants[0].parts[1].aleatoric, "the others measure it");
    }

    #[test]
    fn point_masses_are_left_out_and_counted_and_end_nothing() {
        let (spread, point) = (pair(0.5), same());
        let (one, all) = ([same(), pair(0.3)], [same(), same()]);
        let tasks = [task("a", &spread, &one), task("b", &spread, &all), task("c", &point, &one)];
        let parts = self_centred(&tasks, &Device::Cpu).unwrap();
        assert!(parts[0].epistemic.is_finite());
        assert_eq!(parts.iter().map(|p| p.latents_left_out).collect::<Vec<_>>(), [1, 2, 1]);
        assert_eq!((parts[1].epistemic, parts[2].aleatoric), (f64::NEG_INFINITY, f64::NEG_INFINITY));
        // Every variant goes through, and each counts what it left out.
        let (variants, skipped) = variants(&tasks, &tasks, &Device::Cpu);
        assert!(skipped.is_empty(), "{skipped:?}");
        for variant in &variants {
            assert_eq!(variant.parts[0].latents_left_out, 1, "{}", variant.name);
            assert_eq!(variant.parts[1].epistemic, f64::NEG_INFINITY, "{}", variant.name);
        }
    }

    #[test]
    fn one_task_leaves_out_what_needs_more_and_says_why() {
        let (prompts, videos) = (pair(0.5), [pair(0.3), pair(0.4)]);
        let tasks = [task("only", &prompts, &videos)];
        let (variants, skipped) = variants(&tasks, &tasks, &Device::Cpu);
        assert!(variants.iter().any(|v| v.name.starts_with("estimator: exact")));
        let centred = skipped.iter().find(|s| s.name == "projection: corpus-wide basis, centred").unwrap();
        assert!(centred.why.contains("1 task(s)") && !centred.preset, "{centred:?}");
    }
}
