//! How quantities are called.

use crate::{AccuracyMetric, Quantity, ReportData};

/// What distinguishes the marked tasks.
pub(crate) const CONFIDENTLY_WRONG: &str = "confidently wrong";

/// Names of quantities in a report.
#[derive(Clone, Copy)]
pub(crate) struct Names<'a> {
    accuracies: &'a [AccuracyMetric],
}

impl<'a> Names<'a> {
    pub(crate) fn new(data: &'a ReportData) -> Self {
        Self { accuracies: &data.accuracies }
    }

    /// In a sentence, e.g. “estimated aleatoric Â”.
    pub(crate) fn name(self, quantity: Quantity) -> &'a str {
        match quantity {
            Quantity::Aleatoric => "estimated aleatoric Â",
            Quantity::Epistemic => "estimated epistemic Ê",
            Quantity::TotalRankSum => "total by rank sum",
            Quantity::TotalSum => "total by plain sum",
            Quantity::TotalZSum => "total by z-scores",
            Quantity::TrueAleatoric => "true aleatoric A",
            Quantity::TrueEpistemic => "true epistemic E",
            Quantity::Accuracy(i) => self.accuracies.get(i).map_or("accuracy", |a| a.name.as_str()),
        }
    }

    /// At the head of a column, e.g. “Â”.
    pub(crate) fn symbol(self, quantity: Quantity) -> &'a str {
        match quantity {
            Quantity::Aleatoric => "Â",
            Quantity::Epistemic => "Ê",
            Quantity::TotalRankSum => "rank-sum total",
            Quantity::TotalSum => "plain total",
            Quantity::TotalZSum => "z-score total",
            Quantity::TrueAleatoric => "A",
            Quantity::TrueEpistemic => "E",
            Quantity::Accuracy(_) => self.name(quantity),
        }
    }

    /// Two quantities, e.g. “Estimated aleatoric Â with true aleatoric A”.
    pub(crate) fn pair(self, x: Quantity, y: Quantity) -> String {
        capital(x, &format!("{} with {}", self.name(x), self.name(y)))
    }

    /// Two quantities in brief, e.g. “Â with A”.
    pub(crate) fn short_pair(self, x: Quantity, y: Quantity) -> String {
        capital(x, &format!("{} with {}", self.symbol(x), self.symbol(y)))
    }

    /// Beside an axis, e.g. “True aleatoric A (nats)”.
    pub(crate) fn axis(self, quantity: Quantity, method_unit: &str) -> String {
        let unit = match quantity {
            Quantity::Aleatoric | Quantity::Epistemic | Quantity::TotalSum => method_unit,
            Quantity::TrueAleatoric | Quantity::TrueEpistemic => "nats",
            Quantity::TotalRankSum => "ranks",
            Quantity::TotalZSum => "standard deviations",
            Quantity::Accuracy(i) => self.accuracies.get(i).map_or("", |a| a.unit.as_str()),
        };
        let name = capital(quantity, self.name(quantity));
        if unit.is_empty() { name } else { format!("{name} ({unit})") }
    }

    /// Part of a file name.
    pub(crate) fn slug(self, quantity: Quantity) -> String {
        match quantity {
            Quantity::Aleatoric => "aleatoric".to_owned(),
            Quantity::Epistemic => "epistemic".to_owned(),
            Quantity::TotalRankSum => "total-rank-sum".to_owned(),
            Quantity::TotalSum => "total-sum".to_owned(),
            Quantity::TotalZSum => "total-z-sum".to_owned(),
            Quantity::TrueAleatoric => "true-aleatoric".to_owned(),
            Quantity::TrueEpistemic => "true-epistemic".to_owned(),
            Quantity::Accuracy(i) => format!("accuracy-{}", i + 1),
        }
    }
}

/// With a capital at its beginning, unless it begins with the name of an accuracy, which has its own.
fn capital(first: Quantity, text: &str) -> String {
    if matches!(first, Quantity::Accuracy(_)) {
        return text.to_owned();
    }
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}
