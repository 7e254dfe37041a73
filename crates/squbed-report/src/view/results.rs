//! Correlations as tables and figures.

use serde::Serialize;

use super::Number;
use crate::{
    Bound, Correlation, Method, Origin, Plot, Quantity, ReportData, SeedTable,
    figures::{all_methods, drawn, plotted, scatters, tau_line},
    format::{self, UNDEFINED, fixed, interval},
    names::Names,
    plot_svg,
};

/// A method with its options, correlations and plots.
#[derive(Serialize)]
pub(super) struct MethodView<'a> {
    key: &'a str,
    about: &'a str,
    options: Vec<OptionView<'a>>,
    correlations: Vec<CorrelationView<'a>>,
    footnotes: Vec<String>,
    figures: Vec<Figure>,
}

#[derive(Serialize)]
struct OptionView<'a> {
    name: &'a str,
    value: &'a str,
    origin: &'static str,
    reason: &'a str,
}

#[derive(Serialize)]
struct CorrelationView<'a> {
    label: String,
    scope: &'a str,
    n: usize,
    tau: Number,
    interval: String,
    p: Number,
    undefined: Option<&'a str>,
}

#[derive(Serialize)]
struct Figure {
    svg: String,
    caption: String,
}

/// The method at this place of [`all_methods`].
pub(super) fn method(data: &ReportData, place: usize) -> MethodView<'_> {
    let names = Names::new(data);
    let method = all_methods(data).nth(place).expect("the caller counts the methods");
    MethodView {
        key: &method.key,
        about: &method.about,
        options: method
            .options
            .iter()
            .map(|o| OptionView {
                name: &o.name,
                value: &o.value,
                origin: match o.origin {
                    Origin::Paper => "paper",
                    Origin::Ours => "ours",
                },
                reason: &o.reason,
            })
            .collect(),
        correlations: method
            .correlations
            .iter()
            .map(|c| CorrelationView {
                label: names.pair(c.x, c.y),
                scope: &c.scope,
                n: c.n,
                tau: Number::tau(c.tau),
                interval: interval(c.ci_low, c.ci_high),
                p: Number::p(c.p),
                undefined: c.undefined.as_deref(),
            })
            .collect(),
        footnotes: footnotes(method),
        figures: plotted(method)
            .into_iter()
            .zip(scatters(data, place))
            .map(|(c, scatter)| {
                let caption = caption(c, &drawn(&scatter));
                Figure { svg: plot_svg(&Plot::Scatter(scatter)), caption }
            })
            .collect(),
    }
}

/// How intervals and p-values were computed, each way once.
fn footnotes(method: &Method) -> Vec<String> {
    let mut notes = Vec::new();
    for c in &method.correlations {
        for (what, how) in [("Intervals", &c.ci_method), ("p", &c.p_method)] {
            let note = format!("{what}: {how}.");
            if !how.is_empty() && !notes.contains(&note) {
                notes.push(note);
            }
        }
    }
    notes
}

/// What stands under a scatter plot, whose second line has τ already; there is room here for why it has none.
fn caption(c: &Correlation, drawn: &str) -> String {
    let mut parts = Vec::new();
    if c.tau.is_nan() {
        parts.push(tau_line(c));
    }
    if !c.p.is_nan() {
        parts.push(format!(
            "p {}",
            if c.p < 0.001 { format::p(c.p) } else { format!("= {}", format::p(c.p)) }
        ));
    }
    parts.push(format!("n = {}", c.n));
    parts.extend([c.scope.as_str(), drawn].into_iter().filter(|s| !s.is_empty()).map(str::to_owned));
    parts.join("; ")
}

/// The same correlations of every method and baseline, side by side.
#[derive(Serialize)]
pub(super) struct Comparison<'a> {
    methods: Vec<&'a str>,
    rows: Vec<ComparisonRow>,
}

#[derive(Serialize)]
struct ComparisonRow {
    label: String,
    cells: Vec<Option<ComparisonCell>>,
}

#[derive(Serialize)]
struct ComparisonCell {
    tau: Number,
    interval: String,
}

/// None where there is nothing to compare.
pub(super) fn comparison(data: &ReportData) -> Option<Comparison<'_>> {
    let names = Names::new(data);
    let mut pairs: Vec<(Quantity, Quantity)> = Vec::new();
    for c in all_methods(data).flat_map(|m| &m.correlations) {
        if !pairs.contains(&(c.x, c.y)) {
            pairs.push((c.x, c.y));
        }
    }
    let rows = pairs
        .into_iter()
        .map(|(x, y)| ComparisonRow {
            label: names.pair(x, y),
            cells: all_methods(data)
                .map(|m| {
                    let c = m.correlations.iter().find(|c| (c.x, c.y) == (x, y))?;
                    Some(ComparisonCell { tau: Number::tau(c.tau), interval: interval(c.ci_low, c.ci_high) })
                })
                .collect(),
        })
        .collect::<Vec<_>>();
    (!rows.is_empty())
        .then(|| Comparison { methods: all_methods(data).map(|m| m.key.as_str()).collect(), rows })
}

/// Correlations by seed.
#[derive(Serialize)]
pub(super) struct SeedView<'a> {
    method: &'a str,
    columns: Vec<(String, String)>,
    rows: Vec<(u64, Vec<Number>)>,
    median: Vec<Number>,
}

pub(super) fn seeds<'a>(names: Names<'_>, table: &'a SeedTable) -> SeedView<'a> {
    let numbers = |taus: &[f64]| taus.iter().map(|x| Number::tau(*x)).collect();
    SeedView {
        method: &table.method,
        columns: table.columns.iter().map(|(x, y)| (names.short_pair(*x, *y), names.pair(*x, *y))).collect(),
        rows: table.rows.iter().map(|row| (row.seed, numbers(&row.taus))).collect(),
        median: numbers(&table.median),
    }
}

/// A bound in signs.
pub(super) fn bound(bound: Bound) -> String {
    match bound {
        Bound::AtLeast(x) => format!("≥ {}", fixed(x, 2)),
        Bound::AtMost(x) => format!("≤ {}", fixed(x, 2)),
        Bound::Within(x) if x.is_nan() => UNDEFINED.to_owned(),
        Bound::Within(x) => format!("within ± {}", fixed(x.abs(), 2)),
    }
}
