//! The page as the template wants it: every number already text.

mod anomalies;
mod claim;
mod panels;
mod results;
mod tasks;

use serde::Serialize;

pub(crate) use tasks::{anchors, flag_name};

use crate::{
    Error, Outcome, Plot, ReportData, Run,
    figures::{all_methods, forest, plots},
    format::{self, duration, exact, fixed, rate, sortable, tau},
    names::Names,
    plot_svg,
};

/// A number as it is shown, in full, and as it is sorted.
#[derive(Clone, Serialize)]
pub(crate) struct Number {
    text: String,
    exact: String,
    sort: String,
}

impl Number {
    fn new(x: f64, text: String) -> Self {
        Self { text, exact: exact(x), sort: sortable(x) }
    }

    fn fixed(x: f64, decimals: usize) -> Self {
        Self::new(x, fixed(x, decimals))
    }

    fn tau(x: f64) -> Self {
        Self::new(x, tau(x))
    }

    fn p(x: f64) -> Self {
        Self::new(x, format::p(x))
    }
}

/// What the template fills in.
#[derive(Serialize)]
pub(crate) struct Page<'a> {
    title: &'a str,
    summary: &'a str,
    facts: Vec<(&'static str, String)>,
    verdict: VerdictView<'a>,
    floors: Vec<FloorView<'a>>,
    forest: Option<String>,
    comparison: Option<results::Comparison<'a>>,
    claim: Option<claim::ClaimView<'a>>,
    methods: Vec<results::MethodView<'a>>,
    baselines: Vec<results::MethodView<'a>>,
    accuracies: &'a [crate::AccuracyMetric],
    seeds: Vec<results::SeedView<'a>>,
    notes: &'a [crate::Note],
    confidently_wrong: &'a [String],
    tasks: tasks::Tasks<'a>,
    anomalies: Vec<anomalies::Anomaly<'a>>,
    steps: Vec<StepView<'a>>,
    run: &'a Run,
    failures: &'a [crate::Failure],
    warnings: &'a [String],
    methods_text: &'a [String],
    citations: &'a [String],
    plots: Vec<String>,
    tables: Vec<&'static str>,
}

#[derive(Serialize)]
struct VerdictView<'a> {
    class: &'static str,
    word: &'static str,
    headline: &'a str,
    evidence: &'a [String],
}

#[derive(Serialize)]
struct FloorView<'a> {
    method: &'a str,
    label: String,
    bound: String,
    value: Number,
    basis: &'a str,
    held: bool,
}

#[derive(Serialize)]
struct StepView<'a> {
    name: &'a str,
    duration: String,
    items: String,
    rate: String,
    reused: String,
}

/// The page of a report whose parts fit each other; `anchors` are those of its tasks ([`anchors`]).
pub(crate) fn page<'a>(data: &'a ReportData, anchors: &'a [String]) -> Result<Page<'a>, Error> {
    let names = Names::new(data);
    Ok(Page {
        title: &data.title,
        summary: &data.summary,
        facts: facts(&data.run),
        verdict: verdict(data),
        floors: data
            .floors
            .iter()
            .map(|f| FloorView {
                method: &f.method,
                label: names.pair(f.x, f.y),
                bound: results::bound(f.bound),
                value: Number::tau(f.value),
                basis: &f.basis,
                held: f.held,
            })
            .collect(),
        forest: forest(data).map(|f| plot_svg(&Plot::Forest(f))),
        comparison: results::comparison(data),
        claim: claim::claim(data),
        methods: (0..data.methods.len()).map(|i| results::method(data, i)).collect(),
        baselines: (data.methods.len()..all_methods(data).count())
            .map(|i| results::method(data, i))
            .collect(),
        accuracies: &data.accuracies,
        seeds: data.seeds.iter().map(|table| results::seeds(names, table)).collect(),
        notes: &data.notes,
        confidently_wrong: &data.confidently_wrong,
        tasks: tasks::tasks(data, anchors)?,
        anomalies: anomalies::anomalies(data, anchors)?,
        steps: data.run.steps.iter().map(step).collect(),
        run: &data.run,
        failures: &data.failures,
        warnings: &data.warnings,
        methods_text: &data.methods_text,
        citations: &data.citations,
        plots: plots(data).iter().map(|p| p.name().to_owned()).collect(),
        tables: crate::tables::tables(data).iter().map(|table| table.name).collect(),
    })
}

fn verdict(data: &ReportData) -> VerdictView<'_> {
    let (class, word) = match data.verdict.outcome {
        Outcome::Held => ("held", "✓ held"),
        Outcome::Missed => ("missed", "✗ missed"),
        Outcome::Unclaimed => ("unclaimed", "no claim"),
    };
    VerdictView { class, word, headline: &data.verdict.headline, evidence: &data.verdict.evidence }
}

/// The line of facts under the heading; what is not known is left out.
fn facts(run: &Run) -> Vec<(&'static str, String)> {
    let seconds: f64 = run.steps.iter().map(|s| s.seconds).sum();
    let size = match (run.tasks, run.latents, run.videos) {
        (0, ..) => String::new(),
        (tasks, n, m) => format!("{tasks} tasks, n = {n} latent prompts, m = {m} videos each"),
    };
    let facts = [
        ("Data", run.world.clone()),
        ("Size", size),
        ("Device", run.device.clone()),
        ("Machine", run.machine.clone()),
        ("Duration", if run.steps.is_empty() { String::new() } else { duration(seconds) }),
        ("squbed", run.version.clone()),
        ("Made", run.made.clone()),
    ];
    facts.into_iter().filter(|(_, value)| !value.is_empty()).collect()
}

fn step(step: &crate::Step) -> StepView<'_> {
    let fresh = step.items.saturating_sub(step.reused);
    let counted = !step.unit.is_empty();
    StepView {
        name: &step.name,
        duration: duration(step.seconds),
        items: if counted { format!("{} {}", step.items, step.unit) } else { String::new() },
        rate: if counted && fresh > 0 {
            format!("{}/s", rate(fresh as f64 / step.seconds))
        } else {
            String::new()
        },
        reused: match (counted, step.reused) {
            (false, _) => String::new(),
            (true, 0) => "none".to_owned(),
            (true, n) => format!("reused {n} of {}", step.items),
        },
    }
}
