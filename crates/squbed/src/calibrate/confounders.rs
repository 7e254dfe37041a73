//! What else may stand behind a correlation of uncertainty with accuracy: the prompt's length, and the category.
//!
//! A long prompt leaves less open and may be harder to draw; a category may be both vague and hard. What holds is left
//! with the length held fixed, and within the categories. These are no tests of the claim and part of no family.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use squbed_core::{Task, TaskUncertainty};

use super::{
    Correlation, LEAST_RESAMPLED, Resampling,
    claim::Scored,
    correlate, correlate_given,
    parts::{Total, totals},
};
use crate::error::Result;

/// Correlations of one estimate with one accuracy, seen past the prompts.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Confounders {
    /// With the number of the prompt's words held fixed (partial τ), by total and by part.
    #[serde(default)]
    pub given_prompt_length: BTreeMap<String, Correlation>,
    /// By category, then by total; the totals' ranks and z-scores are those among the category's tasks.
    #[serde(default)]
    pub within_category: BTreeMap<String, BTreeMap<String, Correlation>>,
    /// Why something is not there, by its name.
    #[serde(default)]
    pub not_computed: BTreeMap<String, String>,
}

/// Words of a prompt, as white space parts them.
fn words(task: &Task) -> f64 {
    task.prompt.split_whitespace().count() as f64
}

pub(super) fn confounders(
    scored: &Scored<'_>,
    tasks: &BTreeMap<String, Task>,
    resampling: Resampling,
) -> Result<Confounders> {
    let mut found = Confounders::default();
    let known: Vec<Option<&Task>> = scored.rows.iter().map(|row| tasks.get(&row.id)).collect();
    let Some(known) = known.into_iter().collect::<Option<Vec<&Task>>>() else {
        let why = "tasks.jsonl of the folder does not have every task".to_owned();
        found.not_computed.insert("all".to_owned(), why);
        return Ok(found);
    };
    let length: Vec<f64> = known.iter().map(|task| words(task)).collect();
    for (name, values) in quantities(&scored.rows) {
        let given = correlate_given(&values, &scored.accuracy, &length, resampling)?;
        found.given_prompt_length.insert(name, given);
    }

    let mut members: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (i, task) in known.iter().enumerate() {
        if let Some(category) = &task.category {
            members.entry(category).or_default().push(i);
        }
    }
    if members.len() < 2 {
        let why = format!("the tasks name {} categories, at least 2 are needed", members.len());
        found.not_computed.insert("within_category".to_owned(), why);
        return Ok(found);
    }
    for (category, members) in members {
        if members.len() < LEAST_RESAMPLED {
            let why = format!("{} task(s) are too few, at least {LEAST_RESAMPLED} are needed", members.len());
            found.not_computed.insert(format!("category {category}"), why);
            continue;
        }
        let rows: Vec<&TaskUncertainty> = members.iter().map(|&i| scored.rows[i]).collect();
        let accuracy: Vec<f64> = members.iter().map(|&i| scored.accuracy[i]).collect();
        let of_category = found.within_category.entry(category.to_owned()).or_default();
        for (name, total) in totals(&rows) {
            if let Ok(Total { values, .. }) = total {
                let of_total = correlate(&values, &accuracy, resampling)?;
                of_category.insert(format!("total_{name}"), of_total);
            }
        }
    }
    Ok(found)
}

/// Totals and parts, as the tests name them.
fn quantities(rows: &[&TaskUncertainty]) -> Vec<(String, Vec<f64>)> {
    let column = |f: fn(&TaskUncertainty) -> f64| rows.iter().map(|row| f(row)).collect();
    let parts = [
        ("aleatoric".to_owned(), column(|row| row.aleatoric)),
        ("epistemic".to_owned(), column(|row| row.epistemic)),
    ];
    let totals = totals(rows).into_iter();
    let totals = totals.filter_map(|(name, total)| Some((format!("total_{name}"), total.ok()?.values)));
    parts.into_iter().chain(totals).collect()
}
