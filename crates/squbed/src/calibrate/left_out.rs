//! Tasks that take no part in the correlations with an accuracy, and why.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use serde::{Deserialize, Serialize};
use squbed_core::{Task, TaskUncertainty};

use super::{Accuracies, Truth};
use crate::{error::Result, results::FAILURES};

/// Tasks that a sentence names for one reason.
const NAMED: usize = 10;

/// Who takes part in the correlations of the leading estimate with one accuracy.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Participation {
    /// Tasks there are: in the list, with an estimate or with an accuracy.
    pub tasks: usize,
    /// Those that have both an estimate and this accuracy, and are not kept apart.
    pub taking_part: usize,
    /// The others by reason.
    pub left_out: BTreeMap<String, Vec<String>>,
}

/// The reason of tasks that the closed world keeps apart, which is no defect of theirs.
const APART: &str = "the model is confidently wrong on them";

impl Participation {
    /// “5 of 6 tasks take part in the correlations with …”, with who does not and why; none where all do.
    pub fn sentence(&self, accuracy: &str) -> Option<String> {
        if self.left_out.is_empty() {
            return None;
        }
        let of_reason = |(why, ids): (&String, &Vec<String>)| {
            let more = if ids.len() > NAMED { ", …" } else { "" };
            format!("{}{more} ({why})", ids[..ids.len().min(NAMED)].join(", "))
        };
        let left_out: Vec<String> = self.left_out.iter().map(of_reason).collect();
        Some(format!(
            "{} of {} tasks take part in the correlations with {accuracy}; {} left out: {}",
            self.taking_part,
            self.tasks,
            self.tasks - self.taking_part,
            left_out.join("; ")
        ))
    }

    /// Whether all that are left out are so on purpose.
    pub fn as_meant(&self) -> bool {
        self.left_out.keys().all(|why| why == APART)
    }
}

/// [`Participation`] by metric.
pub(super) fn participation(
    out: &Path,
    tasks: &BTreeMap<String, Task>,
    rows: &[TaskUncertainty],
    accuracies: &Accuracies,
    truth: Option<&BTreeMap<String, Truth>>,
) -> Result<BTreeMap<String, Participation>> {
    let failures = squbed_store::read_failures(&out.join(FAILURES))?;
    let estimated: BTreeSet<&str> = rows.iter().map(|row| row.id.as_str()).collect();
    let all = all_tasks(tasks, rows, accuracies);
    let no_estimate = |id: &str| {
        let failure = failures.iter().find(|row| row.step == "estimate" && row.item == id);
        failure.map_or_else(|| "no estimate".to_owned(), |row| format!("no estimate: {}", row.error))
    };
    let no_accuracy = |id: &str| match tasks.get(id) {
        Some(task) if task.ground_truth.is_none() => "no accuracy: no ground truth",
        _ => "no accuracy",
    };
    let of_metric = |metric: &String| {
        let mut of = Participation { tasks: all.len(), ..Participation::default() };
        for &id in &all {
            let accuracy = accuracies.value(metric, id).is_some();
            let undefined = accuracies.undefined(metric).iter().any(|other| other == id);
            let apart = truth.and_then(|truth| truth.get(id)).is_some_and(|truth| truth.confidently_wrong);
            let why = match (estimated.contains(id), accuracy) {
                (true, true) if apart => APART.to_owned(),
                (true, true) => {
                    of.taking_part += 1;
                    continue;
                }
                (true, false) if undefined => "its accuracy is no number".to_owned(),
                (true, false) => no_accuracy(id).to_owned(),
                (false, true) => no_estimate(id),
                (false, false) => format!("{}; {}", no_estimate(id), no_accuracy(id)),
            };
            of.left_out.entry(why).or_default().push(id.to_owned());
        }
        (metric.clone(), of)
    };
    Ok(accuracies.metrics().iter().map(of_metric).collect())
}

/// The tasks of the list, and those that have an estimate or an accuracy.
pub(super) fn all_tasks<'a>(
    tasks: &'a BTreeMap<String, Task>,
    rows: &'a [TaskUncertainty],
    accuracies: &'a Accuracies,
) -> BTreeSet<&'a str> {
    let scored = accuracies.metrics().iter().flat_map(|metric| accuracies.tasks(metric));
    let estimated = rows.iter().map(|row| row.id.as_str());
    tasks.keys().map(String::as_str).chain(estimated).chain(scored).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_numbers_are_said_with_who_and_why() {
        let mut of = Participation { tasks: 6, taking_part: 6, left_out: BTreeMap::new() };
        assert_eq!(of.sentence("ssim"), None);
        of.taking_part = 4;
        of.left_out.insert("no accuracy".to_owned(), vec!["b".to_owned()]);
        of.left_out.insert("no estimate".to_owned(), vec!["a".to_owned()]);
        assert_eq!(
            of.sentence("ssim").unwrap(),
            "4 of 6 tasks take part in the correlations with ssim; 2 left out: b (no accuracy); a (no estimate)"
        );
        assert!(!of.as_meant());
    }
}
