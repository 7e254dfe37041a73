//! A report's parts fit each other, or it is not made.

use std::collections::BTreeSet;

use crate::{Error, Quantity, ReportData, figures::all_methods};

/// Every method that is named is described; every list is as long as what it runs along.
pub(crate) fn check(data: &ReportData) -> Result<(), Error> {
    let mut keys = BTreeSet::new();
    for method in all_methods(data) {
        if !keys.insert(method.key.as_str()) {
            return Err(Error::DuplicateMethod { key: method.key.clone() });
        }
    }
    let known = |key: &str, what: String| {
        if keys.contains(key) {
            return Ok(());
        }
        let known = keys.iter().copied().collect::<Vec<_>>().join(", ");
        Err(Error::UnknownMethod { what, key: key.to_owned(), known })
    };
    let length = |what: String, got: usize, expected: usize| {
        if got == expected { Ok(()) } else { Err(Error::Length { what, got, expected }) }
    };
    let quantity = |q: Quantity| match q {
        Quantity::Accuracy(index) if index >= data.accuracies.len() => {
            Err(Error::UnknownAccuracy { index, known: data.accuracies.len() })
        }
        _ => Ok(()),
    };

    for c in all_methods(data).flat_map(|m| &m.correlations) {
        quantity(c.x)?;
        quantity(c.y)?;
    }
    for floor in &data.floors {
        known(&floor.method, "a floor".to_owned())?;
        quantity(floor.x)?;
        quantity(floor.y)?;
    }
    for table in &data.seeds {
        known(&table.method, "a table of seeds".to_owned())?;
        let width = table.columns.len();
        length(format!("the median over seeds of `{}`", table.method), table.median.len(), width)?;
        for (x, y) in &table.columns {
            quantity(*x)?;
            quantity(*y)?;
        }
        for row in &table.rows {
            length(format!("seed {} of `{}`", row.seed, table.method), row.taus.len(), width)?;
        }
    }
    for task in &data.tasks {
        let id = &task.id;
        for estimate in &task.estimates {
            known(&estimate.method, format!("an estimate of task `{id}`"))?;
        }
        length(
            format!("the list of accuracies of task `{id}`"),
            task.accuracies.len(),
            data.accuracies.len(),
        )?;
        for (i, latent) in task.latents.iter().enumerate() {
            let what = format!("the list of entropies of task `{id}`, latent prompt {i},");
            length(what, latent.entropies.len(), data.methods.len())?;
        }
    }
    Ok(())
}
