//! What scoring leaves on disk beside `accuracy.jsonl`.

use std::{collections::BTreeSet, path::Path};

use serde::{Deserialize, Serialize};
use squbed_core::float;

use crate::{
    error::Result,
    results::{read_json, write_json},
};

/// One row a video and metric.
pub const VIDEO_SCORES: &str = "accuracy_videos.jsonl";
/// What each metric is, and what could not be run.
pub const METRICS: &str = "metrics.json";

/// One metric of one generated video.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VideoScore {
    /// The task.
    pub id: String,
    /// Place of the latent prompt in its task.
    pub latent: usize,
    /// Place of the video in its latent prompt.
    pub sample: usize,
    /// The metric, as `accuracy.jsonl` calls it.
    pub metric: String,
    /// Its value; higher is better.
    #[serde(with = "float")]
    pub value: f64,
    /// Version of the metric and digest of its weights; a value is used again where all of this is the same.
    pub by: String,
    /// Digest of the video's content.
    pub video: String,
    /// Digest of what it is compared with: the ground truth's content, or the prompt's text.
    pub with: String,
}

/// What `metrics.json` holds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct MetricsFile {
    /// Metrics that were computed, in their order.
    pub metrics: Vec<MetricRecord>,
    /// Metrics that were asked for and not computed.
    #[serde(default)]
    pub not_run: Vec<NotRun>,
    /// The Fréchet video distance, where it was asked for and could be computed.
    #[serde(default)]
    pub frechet: Option<Frechet>,
}

/// A metric that was computed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MetricRecord {
    /// As `accuracy.jsonl` calls it.
    pub name: String,
    /// Version and digest of the weights.
    pub by: String,
    /// What it is, in a sentence.
    pub about: String,
}

/// A metric that was not computed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NotRun {
    /// As it was asked for.
    pub metric: String,
    /// Why, with what to do.
    pub why: String,
}

/// A Fréchet video distance.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Frechet {
    /// Which features and which preprocessing: distances of different variants do not compare.
    pub variant: String,
    /// The squared distance.
    #[serde(with = "float")]
    pub value: f64,
    /// Generated and true videos.
    pub clips: [usize; 2],
}

/// The rows that an earlier scoring left; none where there are none.
pub(super) fn read_videos(out: &Path) -> Result<Vec<VideoScore>> {
    let path = out.join(VIDEO_SCORES);
    if !path.is_file() {
        return Ok(Vec::new());
    }
    let rows = squbed_store::read_json_lines(&path, "remove it, and it is made again")?;
    Ok(rows.into_iter().map(|(_, row)| row).collect())
}

/// Writes the rows of now, and those of before that are of other metrics of the same videos: they are not computed again
/// when they are asked for again.
pub(super) fn write_videos(out: &Path, before: &[VideoScore], now: &[VideoScore]) -> Result<()> {
    let key = |row: &VideoScore| (row.by.clone(), row.video.clone(), row.with.clone());
    let new: BTreeSet<_> = now.iter().map(key).collect();
    let place = |row: &VideoScore| (row.id.clone(), row.latent, row.sample, row.metric.clone());
    let placed: BTreeSet<_> = now.iter().map(place).collect();
    let videos: BTreeSet<&str> = now.iter().map(|row| row.video.as_str()).collect();
    let kept = before.iter().filter(|row| {
        videos.contains(row.video.as_str()) && !new.contains(&key(row)) && !placed.contains(&place(row))
    });
    let rows: Vec<VideoScore> = now.iter().chain(kept).cloned().collect();
    Ok(squbed_store::write_json_lines(&out.join(VIDEO_SCORES), &rows)?)
}

impl MetricsFile {
    /// Writes `metrics.json` into a folder.
    ///
    /// # Errors
    ///
    /// A file that cannot be written.
    pub fn write(&self, out: &Path) -> Result<()> {
        write_json(&out.join(METRICS), self)
    }

    /// Reads a folder's `metrics.json`; empty where there is none, as in older folders.
    ///
    /// # Errors
    ///
    /// A file that cannot be read.
    pub fn read(out: &Path) -> Result<Self> {
        let path = out.join(METRICS);
        if path.is_file() { read_json(&path) } else { Ok(Self::default()) }
    }
}
