//! How quantities are called.

use crate::{AccuracyMetric, Quantity, ReportData, format};

/// What distinguishes the marked tasks.
pub(crate) const CONFIDENTLY_WRONG: &str = "confidently wrong";

/// The name of the plot of all correlations.
pub(crate) const FOREST: &str = "correlations";

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
}

/// Part of a file name.
fn slug(quantity: Quantity) -> String {
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

/// The name of a scatter plot; `place` is that of its method, which keeps names apart whose slugs are the
/// same or empty.
pub(crate) fn scatter_name(place: usize, method: &str, x: Quantity, y: Quantity) -> String {
    format!("{}-{}-{}-{}", place + 1, format::slug(method), slug(x), slug(y)).replace("--", "-")
}

/// The name of a plot of the claim's curves; `place` keeps names apart whose slugs are the same or empty.
pub(crate) fn curves_name(place: usize, title: &str, subtitle: &str) -> String {
    format!("{CURVES}{}-{}-{}", place + 1, format::slug(title), format::slug(subtitle)).replace("--", "-")
}

/// The name of a scatter plot of a figure of the paper.
pub(crate) fn figure_name(place: usize, figure: u8, title: &str) -> String {
    format!("{FIGURES}{}-{figure}-{}", place + 1, format::slug(title)).trim_end_matches('-').to_owned()
}

/// Begins the name of a scatter plot of the claim: the plot's place and its figure come next.
const FIGURES: &str = "figure-";

/// Begins the name of a plot of the claim's curves.
const CURVES: &str = "claim-";

/// Whether a plot of some report has this name: its forest's, or one that [`scatter_name`], [`figure_name`] or
/// [`curves_name`] gives.
pub(crate) fn is_plot_name(name: &str) -> bool {
    use Quantity::{Aleatoric, Epistemic, TotalRankSum, TotalSum, TotalZSum, TrueAleatoric, TrueEpistemic};
    if let Some(rest) = name.strip_prefix(CURVES).or_else(|| name.strip_prefix(FIGURES)) {
        return rest.split_once('-').is_some_and(|(place, _)| place.parse::<usize>().is_ok());
    }
    let Some((place, rest)) = name.split_once('-') else { return name == FOREST };
    // An accuracy's number is the only part that is not known.
    let (rest, to_accuracy) = match rest.rsplit_once("-accuracy-") {
        Some((rest, number)) if number.parse::<usize>().is_ok() => (rest, true),
        _ => (rest, false),
    };
    let ends = |rest: &str, x: Quantity| rest == slug(x) || rest.ends_with(&format!("-{}", slug(x)));
    let estimated = |rest: &str| {
        [Aleatoric, Epistemic, TotalRankSum, TotalSum, TotalZSum, TrueAleatoric]
            .iter()
            .any(|&x| ends(rest, x))
    };
    let to_truth = || {
        let before = |y: Quantity| rest.strip_suffix(&format!("-{}", slug(y)));
        [TrueAleatoric, TrueEpistemic].into_iter().filter_map(before).any(estimated)
    };
    place.parse::<usize>().is_ok() && if to_accuracy { estimated(rest) } else { to_truth() }
}

/// With a capital at its beginning, unless it begins with the name of an accuracy, which has its own.
fn capital(first: Quantity, text: &str) -> String {
    if matches!(first, Quantity::Accuracy(_)) {
        return text.to_owned();
    }
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}
