//! Uncertainties and accuracies that are of the same videos, and those that are not.

use std::path::Path;

use squbed_core::TaskUncertainty;

use super::{Accuracies, CalibrateError, Parts};
use crate::{error::Result, results};

/// Refuses an estimate, a baseline or a variant beside accuracies of other videos of the same task. Returns a sentence
/// where that cannot be told of the estimates: files of an older version or of another program do not say what they are
/// of.
///
/// # Errors
///
/// [`CalibrateError::OtherVideos`], with the tasks.
pub(crate) fn check_pairs<'a>(
    out: &Path,
    estimates: impl IntoIterator<Item = (&'a str, &'a [TaskUncertainty])>,
    others: impl IntoIterator<Item = (&'a String, &'a Vec<Parts>)>,
    accuracies: &Accuracies,
) -> Result<Option<String>> {
    let mut silent: Vec<String> = Vec::new();
    for (name, rows) in estimates {
        let of = |row: &'a TaskUncertainty| (row.id.as_str(), row.videos_digest.as_deref());
        let paired = paired(rows.iter().map(of), accuracies);
        refuse(&paired, || {
            let steps = [format!("estimate {name}"), "score".to_owned()];
            let mend = results::older_command(out, &steps).ok().flatten();
            let mend = mend.map(|command| {
                format!("run the older of both again, on the list of the present videos: `{command}`")
            });
            (format!("the estimate `{name}`"), mend.unwrap_or_else(|| MEND_STEPS.to_owned()))
        })?;
        if paired.iter().any(|pair| pair.estimate.is_none()) {
            silent.push(format!("{name}/uncertainty.jsonl"));
        }
        if paired.iter().any(|pair| pair.accuracy.is_none()) {
            silent.push("accuracy.jsonl".to_owned());
        }
    }
    for (name, parts) in others {
        let of = |part: &'a Parts| (part.id.as_str(), part.videos_digest.as_deref());
        refuse(&paired(parts.iter().map(of), accuracies), || (format!("`{name}`"), MEND_RUN.to_owned()))?;
    }
    silent.sort();
    silent.dedup();
    Ok((!silent.is_empty()).then(|| {
        format!(
            "it cannot be checked that uncertainties and accuracies are of the same videos: {} of an older version or \
             another program do(es) not say; where in doubt run `squbed estimate` and `squbed score` again",
            silent.join(", ")
        )
    }))
}

/// Where the commands are not known.
const MEND_STEPS: &str =
    "run `squbed estimate` and `squbed score` again, both on the list of the present videos";
const MEND_RUN: &str = "run the experiment again by `squbed run`, or remove baselines.jsonl and variants.jsonl, which a \
                        run made of earlier videos";

/// What both sides of a pair say they are of.
struct Pair<'a> {
    task: &'a str,
    metric: &'a str,
    estimate: Option<&'a str>,
    accuracy: Option<&'a str>,
}

fn paired<'a>(
    rows: impl Iterator<Item = (&'a str, Option<&'a str>)>,
    accuracies: &'a Accuracies,
) -> Vec<Pair<'a>> {
    let of_row = |(task, estimate): (&'a str, Option<&'a str>)| {
        let scored =
            accuracies.metrics().iter().filter(move |metric| accuracies.value(metric, task).is_some());
        scored.map(move |metric| Pair {
            task,
            metric,
            estimate,
            accuracy: accuracies.videos_digest(metric, task),
        })
    };
    rows.flat_map(of_row).collect()
}

fn refuse(pairs: &[Pair<'_>], what: impl FnOnce() -> (String, String)) -> Result<(), CalibrateError> {
    let differ = |pair: &&Pair<'_>| pair.estimate.zip(pair.accuracy).is_some_and(|(a, b)| a != b);
    let wrong: Vec<&Pair<'_>> = pairs.iter().filter(differ).collect();
    let Some(first) = wrong.first() else { return Ok(()) };
    let of_metric = wrong.iter().filter(|pair| pair.metric == first.metric);
    let tasks = of_metric.map(|pair| pair.task.to_owned()).collect();
    let (estimate, mend) = what();
    Err(CalibrateError::OtherVideos { estimate, metric: first.metric.to_owned(), tasks, mend })
}
