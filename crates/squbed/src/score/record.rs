//! What scoring leaves on disk beside `accuracy.jsonl`.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use squbed_core::float;

use crate::{
    error::{Error, Result},
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

impl NotRun {
    /// Of a metric whose model is not on this machine; any other error stays one.
    pub(super) fn missing(metric: &str, error: Error) -> Result<Self> {
        match error.missing_model() {
            Some(why) => Ok(Self { metric: metric.to_owned(), why }),
            None => Err(error),
        }
    }
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

/// The values of a scoring that has not ended, a row each.
const JOURNAL: &str = "accuracy_videos.open.jsonl";

/// What an earlier scoring left, ended or not.
pub(super) fn read_videos(out: &Path) -> Result<Vec<VideoScore>> {
    let mut rows: BTreeMap<ValueKey, VideoScore> = BTreeMap::new();
    let path = out.join(VIDEO_SCORES);
    if path.is_file() {
        let ended = squbed_store::read_json_lines(&path, "remove it, and it is made again")?;
        rows.extend(ended.into_iter().map(|(_, row): (usize, VideoScore)| (value_key(&row), row)));
    }
    let open: Vec<VideoScore> = squbed_store::read_journal(&out.join(JOURNAL))?;
    rows.extend(open.into_iter().map(|row| (value_key(&row), row)));
    Ok(rows.into_values().collect())
}

/// All that tells one row from another.
type ValueKey = (String, String, String, (String, usize, usize));

fn value_key(row: &VideoScore) -> ValueKey {
    (row.by.clone(), row.video.clone(), row.with.clone(), (row.id.clone(), row.latent, row.sample))
}

/// Keeps the values of each task as soon as they are there: a scoring that is killed goes on where it was.
#[derive(Debug)]
pub(super) struct Journal(PathBuf);

impl Journal {
    pub(super) fn of(out: &Path) -> Self {
        Self(out.join(JOURNAL))
    }

    /// Adds a task's rows; they are on the disk when this returns.
    pub(super) fn append(&mut self, rows: &[VideoScore]) -> Result<()> {
        if rows.is_empty() { Ok(()) } else { Ok(squbed_store::append_journal(&self.0, rows)?) }
    }

    /// Takes the journal away once its rows stand in [`VIDEO_SCORES`].
    pub(super) fn end(self) -> Result<()> {
        match std::fs::remove_file(&self.0) {
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                Err(Error::Write { path: self.0, source })
            }
            _ => Ok(()),
        }
    }
}

/// Writes the rows of now, and those of before that are of other metrics of the same videos: they are not computed again
/// when they are asked for again.
pub(super) fn write_videos(out: &Path, before: &[VideoScore], now: &[VideoScore]) -> Result<()> {
    let new: BTreeSet<_> = now.iter().map(|row| (&row.by, &row.video, &row.with)).collect();
    let placed: BTreeSet<_> = now.iter().map(|row| (&row.id, row.latent, row.sample, &row.metric)).collect();
    let videos: BTreeSet<&str> = now.iter().map(|row| row.video.as_str()).collect();
    let kept = before.iter().filter(|row| {
        videos.contains(row.video.as_str())
            && !new.contains(&(&row.by, &row.video, &row.with))
            && !placed.contains(&(&row.id, row.latent, row.sample, &row.metric))
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
