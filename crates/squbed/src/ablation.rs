//! Which part is at fault where an estimate does not follow its truth: the same embeddings with one
//! choice changed at a time.

use candle_core::Device;
use squbed_vmf::Estimator;

use crate::{
    baseline,
    calibrate::Parts,
    error::Result,
    fit::{self, Group},
    method::{self, MethodOptions, Preset, Projection, TaskEmbeddings},
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
/// a control that must fail: each prompt's embeddings centred on their own mean.
///
/// `histograms` are the same tasks with colour histograms in the place of video embeddings. A variant that
/// needs more than the data gives (a smaller sample of two, say) is left out.
pub fn variants(
    tasks: &[TaskEmbeddings<'_>],
    histograms: &[TaskEmbeddings<'_>],
    device: &Device,
) -> Result<Vec<Variant>> {
    let default = MethodOptions::from(Preset::Default);
    let with = |tasks: &[TaskEmbeddings<'_>], options: MethodOptions| -> Result<Vec<Parts>> {
        Ok(method::estimate(tasks, &options, device)?.tasks.iter().map(Parts::from).collect())
    };
    let projected =
        |centred| MethodOptions { projection: Projection::Corpus { dims: None, centred }, ..default.clone() };
    let mut variants = Vec::new();
    let mut add = |name: &str, parts: Vec<Parts>| variants.push(Variant { name: name.to_owned(), parts });
    for estimator in [Estimator::Exact, Estimator::Sra] {
        let parts = with(tasks, MethodOptions { estimator, ..default.clone() })?;
        add(&format!("estimator: {estimator} in place of u"), parts);
    }
    add("projection: corpus-wide basis, centred", with(tasks, projected(true))?);
    add("projection: corpus-wide basis, not centred", with(tasks, projected(false))?);
    add(
        &format!("video encoder: {} in the same fit", baseline::HISTOGRAM),
        with(histograms, default.clone())?,
    );
    if let Some(half) = halve(tasks) {
        add("sample size: half of the latent prompts and of the videos", with(&half, default)?);
    }
    add("control that must fail: each prompt centred on its own mean", self_centred(tasks, device)?);
    Ok(variants)
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
            let videos = entropy(&task.videos)?;
            let epistemic = videos.iter().sum::<f64>() / videos.len() as f64;
            Ok(Parts { id: task.id.to_owned(), aleatoric, epistemic })
        })
        .collect()
}

fn centre(group: &Group<'_>) -> Vec<Vec<f32>> {
    let unit = |row: &[f32]| {
        let norm = row.iter().map(|x| x * x).sum::<f32>().sqrt();
        row.iter().map(|x| x / norm).collect::<Vec<f32>>()
    };
    let units: Vec<Vec<f32>> = group.iter().map(|row| unit(row)).collect();
    let d = units.first().map_or(0, Vec::len);
    let mean: Vec<f32> =
        (0..d).map(|j| units.iter().map(|row| row[j]).sum::<f32>() / units.len() as f32).collect();
    units.iter().map(|row| row.iter().zip(&mean).map(|(x, m)| x - m).collect()).collect()
}
