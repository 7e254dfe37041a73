//! Which plots a report has.

use std::collections::BTreeMap;

use crate::{
    ClaimCurves, ClaimScatter, Correlation, Curves, Forest, ForestBar, ForestGroup, Method, Plot, Point,
    Quantity, ReportData, Scatter, TaskReport,
    format::{interval, tau},
    names::{CONFIDENTLY_WRONG, FOREST, Names, curves_name, figure_name, scatter_name},
};

/// Every plot of a report: the forest of all correlations first, if there is one, the curves of the claim, then the
/// scatter plots of each method and each baseline in their order, then those of the claim.
pub fn plots(data: &ReportData) -> Vec<Plot> {
    forest(data)
        .map(Plot::Forest)
        .into_iter()
        .chain(claim_curves(data).into_iter().map(Plot::Curves))
        .chain(
            (0..data.methods.len() + data.baselines.len()).flat_map(|i| scatters(data, i)).map(Plot::Scatter),
        )
        .chain(claim_scatters(data).into_iter().map(Plot::Scatter))
        .collect()
}

/// The scatter plots of the claim, named.
pub(crate) fn claim_scatters(data: &ReportData) -> Vec<Scatter> {
    let named = |(i, of): (usize, &ClaimScatter)| Scatter {
        name: figure_name(i, of.figure, &of.scatter.title),
        ..of.scatter.clone()
    };
    data.claim.scatters.iter().enumerate().map(named).collect()
}

/// The curves of the claim, named.
pub(crate) fn claim_curves(data: &ReportData) -> Vec<Curves> {
    let named = |(i, of): (usize, &ClaimCurves)| Curves {
        name: curves_name(i, &of.curves.title, &of.curves.subtitle),
        ..of.curves.clone()
    };
    data.claim.curves.iter().enumerate().map(named).collect()
}

/// Presets, then baselines.
pub(crate) fn all_methods(data: &ReportData) -> impl Iterator<Item = &Method> {
    data.methods.iter().chain(&data.baselines)
}

/// The correlations that have a plot: the first of each pair.
pub(crate) fn plotted(method: &Method) -> Vec<&Correlation> {
    let mut seen = std::collections::BTreeSet::new();
    method.correlations.iter().filter(|c| seen.insert((c.x, c.y))).collect()
}

/// τ with its interval, or why there is none.
pub(crate) fn tau_line(c: &Correlation) -> String {
    if c.tau.is_nan() {
        return format!(
            "τ undefined{}",
            c.undefined.as_ref().map_or(String::new(), |why| format!(": {why}"))
        );
    }
    format!("τ = {} {}", tau(c.tau), interval(c.ci_low, c.ci_high)).trim_end().to_owned()
}

/// All correlations of all methods in one picture; none where nothing was correlated.
pub(crate) fn forest(data: &ReportData) -> Option<Forest> {
    let names = Names::new(data);
    let mut groups: Vec<((Quantity, Quantity), ForestGroup)> = Vec::new();
    for (series, method) in all_methods(data).enumerate() {
        for c in plotted(method) {
            let at = groups.iter().position(|(pair, _)| *pair == (c.x, c.y)).unwrap_or_else(|| {
                let group = ForestGroup { label: names.pair(c.x, c.y), bars: Vec::new() };
                groups.push(((c.x, c.y), group));
                groups.len() - 1
            });
            let floor = data.floors.iter().find(|f| f.method == method.key && (f.x, f.y) == (c.x, c.y));
            groups[at].1.bars.push(ForestBar {
                method: method.key.clone(),
                series,
                tau: c.tau,
                low: c.ci_low,
                high: c.ci_high,
                band: floor.map(|f| f.bound.range()),
            });
        }
    }
    if groups.is_empty() {
        return None;
    }
    let bound = groups.iter().any(|(_, g)| g.bars.iter().any(|b| b.band.is_some()));
    Some(Forest {
        name: FOREST.to_owned(),
        title: "Rank correlations, each with its interval".to_owned(),
        band_note: if bound {
            "where τ has to lie by the floor named before the run".to_owned()
        } else {
            String::new()
        },
        groups: groups.into_iter().map(|(_, group)| group).collect(),
    })
}

/// The scatter plots of the method at this place of [`all_methods`], in the order of [`plotted`].
pub(crate) fn scatters(data: &ReportData, place: usize) -> Vec<Scatter> {
    let names = Names::new(data);
    let Some(method) = all_methods(data).nth(place) else { return Vec::new() };
    plotted(method)
        .into_iter()
        .map(|c| Scatter {
            name: scatter_name(place, &method.key, c.x, c.y),
            title: names.short_pair(c.x, c.y),
            method: method.key.clone(),
            subtitle: tau_line(c),
            x: names.axis(c.x, &method.unit),
            y: names.axis(c.y, &method.unit),
            points: data.tasks.iter().map(|task| point(task, method, c)).collect(),
            marked: CONFIDENTLY_WRONG.to_owned(),
        })
        .collect()
}

fn point(task: &TaskReport, method: &Method, c: &Correlation) -> Point {
    Point {
        label: task.id.clone(),
        x: value(task, &method.key, c.x),
        y: value(task, &method.key, c.y),
        marked: task.confidently_wrong.is_some(),
    }
}

/// What a method measured of a task; NaN where it did not.
pub(crate) fn value(task: &TaskReport, method: &str, quantity: Quantity) -> f64 {
    let estimate = task.estimates.iter().find(|e| e.method == method);
    let of_estimate = |f: fn(&crate::Estimate) -> f64| estimate.map_or(f64::NAN, f);
    match quantity {
        Quantity::Aleatoric => of_estimate(|e| e.aleatoric),
        Quantity::Epistemic => of_estimate(|e| e.epistemic),
        Quantity::TotalSum => of_estimate(|e| e.total_sum),
        Quantity::TotalRankSum => of_estimate(|e| e.total_rank_sum),
        Quantity::TotalZSum => of_estimate(|e| e.total_z_sum),
        Quantity::TrueAleatoric => task.truth.map_or(f64::NAN, |t| t.aleatoric),
        Quantity::TrueEpistemic => task.truth.map_or(f64::NAN, |t| t.epistemic),
        Quantity::Accuracy(i) => task.accuracies.get(i).copied().unwrap_or(f64::NAN),
    }
}

/// How many tasks a plot draws, and how.
pub(crate) fn drawn(scatter: &Scatter) -> String {
    let mut counts = BTreeMap::new();
    for p in &scatter.points {
        let kind = if p.x.is_nan() || p.y.is_nan() {
            "without a number"
        } else if p.x.is_infinite() || p.y.is_infinite() {
            "infinite, hollow on the edge"
        } else {
            continue;
        };
        *counts.entry(kind).or_insert(0usize) += 1;
    }
    counts.iter().map(|(kind, n)| format!("{n} {kind}")).collect::<Vec<_>>().join("; ")
}
