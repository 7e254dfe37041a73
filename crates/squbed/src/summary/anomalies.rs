//! The most surprising videos, for the report.

use std::path::Path;

use rayon::prelude::*;

use super::{Folder, tasks::thumbnail};
use crate::{
    anomaly::VideoAnomaly,
    error::Result,
    results::{ANOMALIES, estimate_names},
};

/// Videos that the report shows.
const MOST_SHOWN: usize = 12;

/// The most surprising videos of each estimate's file, in its order; none where it has no such file, as older folders.
pub(super) fn read(out: &Path) -> Result<Vec<(String, Vec<VideoAnomaly>)>> {
    let mut all = Vec::new();
    for name in estimate_names(out)? {
        let mut rows: Vec<VideoAnomaly> =
            super::read_rows(&out.join(&name).join(ANOMALIES), "run `squbed estimate` again")?;
        rows.retain(|row| !row.surprise.is_nan());
        rows.truncate(MOST_SHOWN);
        for row in &mut rows {
            // A path that is absolute stays as it is.
            row.video = out.join(&row.video);
        }
        all.push((name, rows));
    }
    Ok(all)
}

impl Folder {
    /// Those of the leading estimate.
    pub(super) fn anomalies(&self) -> Vec<squbed_report::VideoAnomaly> {
        let leading = self.leading();
        let rows = self.anomalies.iter().find(|(name, _)| Some(name.as_str()) == leading);
        let show = |row: &VideoAnomaly| {
            let task = self.tasks.iter().find(|task| task.id == row.id);
            let prompt = task.and_then(|task| task.latents.get(row.latent)).map(|z| z.prompt.clone());
            squbed_report::VideoAnomaly {
                task: row.id.clone(),
                prompt: prompt.unwrap_or_default(),
                video: row.video.strip_prefix(&self.out).unwrap_or(&row.video).display().to_string(),
                videos: row.videos,
                surprise: row.surprise,
                log_density: row.log_density,
                frame: thumbnail(&row.video, "first frame of the video"),
            }
        };
        rows.map(|(_, rows)| rows.par_iter().map(show).collect()).unwrap_or_default()
    }
}
