//! One or several accuracies of each task, as `accuracy.jsonl` has them.

use std::collections::BTreeMap;

use squbed_core::AccuracyScore;

use super::CalibrateError;

/// Accuracies by metric. Higher is better in all of them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Accuracies {
    /// In the order of the file.
    metrics: Vec<String>,
    by_metric: BTreeMap<String, BTreeMap<String, f64>>,
    /// The videos of each, where its row says it: by metric and task.
    videos: BTreeMap<String, BTreeMap<String, String>>,
    /// Tasks whose value is no number, by metric.
    undefined: BTreeMap<String, Vec<String>>,
}

impl Accuracies {
    /// Groups the rows of a file. A value that is no number counts as none, and is listed; an infinite one, such as the
    /// PSNR of identical frames, has its place in a ranking.
    ///
    /// # Errors
    ///
    /// Two rows of one task and one metric.
    pub fn of(rows: &[AccuracyScore]) -> Result<Self, CalibrateError> {
        let mut accuracies = Self::default();
        for AccuracyScore { id, metric, value, videos_digest, .. } in rows {
            if !accuracies.by_metric.contains_key(metric) {
                accuracies.metrics.push(metric.clone());
            }
            if let Some(digest) = videos_digest {
                accuracies.videos.entry(metric.clone()).or_default().insert(id.clone(), digest.clone());
            }
            let of_metric = accuracies.by_metric.entry(metric.clone()).or_default();
            if of_metric.insert(id.clone(), *value).is_some() {
                return Err(CalibrateError::AccuracyTwice { metric: metric.clone(), task: id.clone() });
            }
        }
        for (metric, values) in &mut accuracies.by_metric {
            let ids: Vec<String> =
                values.iter().filter(|(_, value)| value.is_nan()).map(|(id, _)| id.clone()).collect();
            values.retain(|_, value| !value.is_nan());
            accuracies.undefined.insert(metric.clone(), ids);
        }
        Ok(accuracies)
    }

    /// The metrics, in the order of the file.
    pub fn metrics(&self) -> &[String] {
        &self.metrics
    }

    /// The metric that stands for the others: the one that is named, else the first; empty where there is none.
    ///
    /// # Errors
    ///
    /// A name that is not among the metrics.
    pub fn primary(&self, named: Option<&str>) -> Result<String, CalibrateError> {
        let Some(name) = named else { return Ok(self.metrics.first().cloned().unwrap_or_default()) };
        self.metrics.iter().find(|metric| *metric == name).cloned().ok_or_else(|| CalibrateError::Metric {
            name: name.to_owned(),
            known: if self.metrics.is_empty() { "nothing".to_owned() } else { self.metrics.join(", ") },
        })
    }

    /// The values of one metric by task; empty where there is none.
    pub fn of_metric(&self, metric: &str) -> BTreeMap<String, f64> {
        self.by_metric.get(metric).cloned().unwrap_or_default()
    }

    /// One metric of one task.
    pub fn value(&self, metric: &str, task: &str) -> Option<f64> {
        self.by_metric.get(metric)?.get(task).copied()
    }

    /// The tasks that this metric has a value of.
    pub fn tasks(&self, metric: &str) -> impl Iterator<Item = &str> {
        self.by_metric.get(metric).into_iter().flat_map(|values| values.keys().map(String::as_str))
    }

    /// Which videos this metric of this task is of, see [`crate::sources::videos_digest`]; none where its row does not say.
    pub fn videos_digest(&self, metric: &str, task: &str) -> Option<&str> {
        self.videos.get(metric)?.get(task).map(String::as_str)
    }

    /// Tasks whose value of this metric is no number.
    pub fn undefined(&self, metric: &str) -> &[String] {
        self.undefined.get(metric).map_or(&[], Vec::as_slice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(id: &str, metric: &str, value: f64) -> AccuracyScore {
        AccuracyScore { id: id.to_owned(), metric: metric.to_owned(), value, videos: 4, videos_digest: None }
    }

    #[test]
    fn metrics_keep_their_order_and_values_that_are_none_are_listed() {
        let rows = [
            row("a", "ssim", 0.5),
            row("a", "psnr", f64::INFINITY),
            row("b", "ssim", f64::NAN),
            row("b", "psnr", f64::NEG_INFINITY),
        ];
        let accuracies = Accuracies::of(&rows).unwrap();
        assert_eq!(accuracies.metrics(), ["ssim", "psnr"]);
        assert_eq!(accuracies.primary(None).unwrap(), "ssim");
        assert_eq!(accuracies.primary(Some("psnr")).unwrap(), "psnr");
        assert_eq!(accuracies.of_metric("ssim").len(), 1);
        assert_eq!(
            (accuracies.undefined("ssim"), accuracies.undefined("psnr").len()),
            (&["b".to_owned()][..], 0)
        );
        assert_eq!(accuracies.of_metric("psnr")["b"], f64::NEG_INFINITY);
        let error = accuracies.primary(Some("lpips")).unwrap_err();
        assert_eq!(error.to_string(), "accuracy.jsonl has no `lpips`; it has: ssim, psnr");
        let twice = Accuracies::of(&[rows[0].clone(), row("a", "ssim", 0.7)]).unwrap_err();
        assert_eq!(twice.to_string(), "accuracy.jsonl has `ssim` of task `a` twice");
        assert_eq!(Accuracies::default().primary(None).unwrap(), "");
    }
}
