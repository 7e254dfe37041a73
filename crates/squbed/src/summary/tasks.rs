//! A report's tasks: numbers and first frames.

use std::{collections::BTreeMap, io::Cursor, path::Path};

use rayon::prelude::*;
use squbed_core::{Sampling, Task, TaskUncertainty};
use squbed_report::{Estimate, Image, LatentReport, Range, TaskReport};

use super::Folder;
use crate::{
    calibrate::{self, Parts},
    progress::Progress,
};

/// First frames in one report.
const MOST_THUMBNAILS: usize = 1500;

/// Pixels of a thumbnail's shorter side.
const THUMBNAIL: usize = 96;

/// The first frame, small. A video that cannot be read has none: its failure is reported elsewhere.
pub(super) fn thumbnail(path: &Path, alt: &str) -> Option<Image> {
    let mut decoded = squbed_video::decode(path, &[Sampling::Indices(vec![0])], &Default::default()).ok()?;
    let clip = decoded.clips.pop()?;
    let small =
        squbed_frame::resize_shorter_side(clip.frames().first()?, THUMBNAIL, squbed_frame::Filter::Bilinear)
            .ok()?;
    let (width, height) = (small.width() as u32, small.height() as u32);
    let picture = image::RgbImage::from_raw(width, height, small.into_rgb())?;
    let mut bytes = Cursor::new(Vec::new());
    picture.write_to(&mut bytes, image::ImageFormat::Jpeg).ok()?;
    Some(Image { bytes: bytes.into_inner(), alt: alt.to_owned() })
}

impl Folder {
    /// Every method's and baseline's numbers by task.
    fn estimates(&self) -> BTreeMap<String, Vec<Estimate>> {
        let mut by_task: BTreeMap<String, Vec<Estimate>> = BTreeMap::new();
        let mut intervals: BTreeMap<(&str, &str), [Range; 3]> = BTreeMap::new();
        for (name, (_, rows)) in &self.uncertainty {
            for row in rows {
                if let Some(of) = &row.interval {
                    let ranges =
                        [of.aleatoric, of.epistemic, of.total].map(|i| Range { low: i.low, high: i.high });
                    intervals.insert((name, &row.id), ranges);
                }
            }
        }
        let presets = self
            .uncertainty
            .iter()
            .map(|(name, (_, rows))| (name.clone(), rows.iter().map(Parts::from).collect()));
        let all = presets.chain(self.baselines.iter().map(|(name, parts)| (name.clone(), parts.clone())));
        for (method, parts) in all {
            let parts: Vec<Parts> = parts;
            let (a, e): (Vec<f64>, Vec<f64>) = parts.iter().map(|p| (p.aleatoric, p.epistemic)).unzip();
            let (ranks, zs) = (calibrate::rank_sum(&a, &e), calibrate::zscore_sum(&a, &e));
            for (i, part) in parts.into_iter().enumerate() {
                let intervals = intervals.get(&(method.as_str(), part.id.as_str())).copied();
                by_task.entry(part.id).or_default().push(Estimate {
                    method: method.clone(),
                    aleatoric: a[i],
                    epistemic: e[i],
                    total_sum: a[i] + e[i],
                    total_rank_sum: ranks[i],
                    total_z_sum: zs[i],
                    intervals,
                });
            }
        }
        by_task
    }

    pub(super) fn task_reports(&self, progress: &dyn Progress) -> Vec<TaskReport> {
        let mut estimates = self.estimates();
        let latents: usize = self.tasks.iter().map(|t| t.latents.len()).sum();
        let frames_a_latent = (MOST_THUMBNAILS / latents.max(1)).clamp(0, 3);
        let fits: Vec<BTreeMap<&str, &TaskUncertainty>> = self
            .uncertainty
            .values()
            .map(|(_, rows)| rows.iter().map(|r| (r.id.as_str(), r)).collect())
            .collect();
        progress.begin("read first frames", self.tasks.len() as u64, "tasks");
        let mut reports: Vec<TaskReport> = self
            .tasks
            .par_iter()
            .map(|task| {
                let of_task: Vec<Option<&TaskUncertainty>> =
                    fits.iter().map(|f| f.get(task.id.as_str()).copied()).collect();
                let report = self.task_report(task, &of_task, frames_a_latent);
                progress.advance(1);
                report
            })
            .collect();
        progress.end();
        for report in &mut reports {
            report.estimates = estimates.remove(&report.id).unwrap_or_default();
        }
        reports
    }

    fn task_report(
        &self,
        task: &Task,
        fits: &[Option<&TaskUncertainty>],
        frames_a_latent: usize,
    ) -> TaskReport {
        let first = fits.first().copied().flatten();
        let truth = self.truth.get(&task.id);
        TaskReport {
            id: task.id.clone(),
            prompt: task.prompt.clone(),
            category: task.category.clone(),
            truth: truth.map(|t| squbed_report::Truth { aleatoric: t.aleatoric, epistemic: t.epistemic }),
            estimates: Vec::new(),
            accuracies: self
                .metric_names()
                .into_iter()
                .map(|name| self.accuracies.value(name, &task.id).unwrap_or(f64::NAN))
                .collect(),
            flags: first.map(|f| f.prompts.flags.clone()).unwrap_or_default(),
            confidently_wrong: truth
                .filter(|t| t.confidently_wrong)
                .map(|_| "the model always draws the same wrong value".to_owned()),
            ground_truth: task
                .ground_truth
                .as_deref()
                .and_then(|p| thumbnail(p, "first frame of the true video")),
            latents: task
                .latents
                .iter()
                .enumerate()
                .map(|(i, latent)| LatentReport {
                    prompt: latent.prompt.clone(),
                    entropies: fits
                        .iter()
                        .map(|f| f.and_then(|f| f.videos.get(i)).map_or(f64::NAN, |v| v.entropy))
                        .collect(),
                    flags: first.and_then(|f| f.videos.get(i)).map(|v| v.flags.clone()).unwrap_or_default(),
                    frames: latent
                        .videos
                        .iter()
                        .take(frames_a_latent)
                        .filter_map(|p| thumbnail(p, &latent.prompt))
                        .collect(),
                })
                .collect(),
        }
    }
}
