//! The tables of a report as CSV, with every digit.

use squbed_core::Flag;

use crate::{ClaimTest, Curves, ReportData, figures::all_methods, names::Names, view::flag_name};

/// A table for other programs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// File name without extension.
    pub name: &'static str,
    /// Names of the columns.
    pub head: Vec<&'static str>,
    /// A cell a column.
    pub rows: Vec<Vec<String>>,
}

/// The names that a table of some report can have.
pub(crate) const TABLES: [&str; 15] = [
    "tests",
    "past_the_prompts",
    "correlations",
    "contributions",
    "risk_coverage",
    "curves",
    "tasks",
    "accuracies",
    "latents",
    "anomalies",
    "options",
    "floors",
    "seeds",
    "steps",
    "failures",
];

impl Table {
    /// Comma-separated values with a header; a cell with a comma, a quote or a line break is quoted (RFC 4180).
    pub fn csv(&self) -> String {
        let line = |cells: &mut dyn Iterator<Item = &str>| {
            let mut line = cells.map(quoted).collect::<Vec<_>>().join(",");
            line.push('\n');
            line
        };
        let mut text = line(&mut self.head.iter().copied());
        self.rows.iter().for_each(|row| text.push_str(&line(&mut row.iter().map(String::as_str))));
        text
    }
}

fn quoted(cell: &str) -> String {
    if cell.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", cell.replace('"', "\"\""))
    } else {
        cell.to_owned()
    }
}

/// The shortest digits that give the number back; empty where there is none, `inf` and `-inf`.
fn number(x: f64) -> String {
    if x.is_nan() { String::new() } else { x.to_string() }
}

fn flags(flags: &[Flag]) -> String {
    flags.iter().map(|flag| flag_name(*flag)).collect::<Vec<_>>().join("; ")
}

/// Every table of a report that has a row.
pub fn tables(data: &ReportData) -> Vec<Table> {
    let claim = &data.claim;
    let tests = |name, tests: &[ClaimTest]| Table {
        name,
        head: vec![
            "figure",
            "estimate",
            "accuracy",
            "x",
            "y",
            "scope",
            "n",
            "tau",
            "ci_low",
            "ci_high",
            "p",
            "p_method",
            "p_permutation",
            "p_less",
            "p_holm",
            "undefined",
        ],
        rows: tests.iter().map(test).collect(),
    };
    let tables = vec![
        tests("tests", &claim.tests),
        tests("past_the_prompts", &claim.past_the_prompts),
        correlations(data),
        Table {
            name: "contributions",
            head: vec![
                "estimate",
                "total",
                "tau_aleatoric",
                "tau_epistemic",
                "share_aleatoric",
                "share_epistemic",
            ],
            rows: claim
                .contributions
                .iter()
                .map(|c| {
                    let numbers = [c.tau_aleatoric, c.tau_epistemic, c.share_aleatoric, c.share_epistemic];
                    with([&c.estimate, &c.total], numbers)
                })
                .collect(),
        },
        Table {
            name: "risk_coverage",
            head: vec!["estimate", "accuracy", "total", "area", "optimal", "random", "gain"],
            rows: claim
                .risk_coverage
                .iter()
                .map(|r| with([&r.estimate, &r.metric, &r.total], [r.area, r.optimal, r.random, r.gain]))
                .collect(),
        },
        Table {
            name: "curves",
            head: vec!["curves", "of", "line", "x_is", "y_is", "x", "y"],
            rows: claim.curves.iter().flat_map(|of| curves(&of.curves)).collect(),
        },
        tasks(data),
        accuracies(data),
        latents(data),
        Table {
            name: "anomalies",
            head: vec!["id", "latent_prompt", "video", "surprise", "log_density", "videos"],
            rows: data
                .anomalies
                .iter()
                .map(|a| with([&a.task, &a.prompt, &a.video], [a.surprise, a.log_density, a.videos as f64]))
                .collect(),
        },
        Table {
            name: "options",
            head: vec!["method", "option", "value", "reason"],
            rows: all_methods(data)
                .flat_map(|m| m.options.iter().map(|o| with([&m.key, &o.name, &o.value, &o.reason], [])))
                .collect(),
        },
        floors(data),
        seeds(data),
        Table {
            name: "steps",
            head: vec!["step", "unit", "seconds", "items", "reused"],
            rows: data
                .run
                .steps
                .iter()
                .map(|s| with([&s.name, &s.unit], [s.seconds, s.items as f64, s.reused as f64]))
                .collect(),
        },
        Table {
            name: "failures",
            head: vec!["item", "step", "error", "hint"],
            rows: data.failures.iter().map(|f| with([&f.item, &f.step, &f.error, &f.hint], [])).collect(),
        },
    ];
    tables.into_iter().filter(|table| !table.rows.is_empty()).collect()
}

fn with<const T: usize, const N: usize>(texts: [&str; T], numbers: [f64; N]) -> Vec<String> {
    texts.into_iter().map(str::to_owned).chain(numbers.into_iter().map(number)).collect()
}

fn test(t: &ClaimTest) -> Vec<String> {
    let mut row = vec![if t.figure == 0 { String::new() } else { t.figure.to_string() }];
    row.extend(with([&t.estimate, &t.metric, &t.x, &t.y, &t.scope], []));
    row.push(t.n.to_string());
    row.extend([t.tau, t.ci_low, t.ci_high, t.p].map(number));
    row.push(t.p_method.clone());
    row.extend([t.p_permutation, t.p_less, t.p_holm].map(number));
    row.push(t.undefined.clone().unwrap_or_default());
    row
}

fn curves(of: &Curves) -> Vec<Vec<String>> {
    let points = of.lines.iter().flat_map(|line| line.points.iter().map(move |point| (line, point)));
    points.map(|(line, p)| with([&of.title, &of.subtitle, &line.label, &of.x, &of.y], [p.x, p.y])).collect()
}

fn correlations(data: &ReportData) -> Table {
    let names = Names::new(data);
    let all = all_methods(data).flat_map(|m| m.correlations.iter().map(move |c| (m, c)));
    Table {
        name: "correlations",
        head: vec![
            "method",
            "x",
            "y",
            "scope",
            "p_method",
            "ci_method",
            "undefined",
            "n",
            "tau",
            "ci_low",
            "ci_high",
            "p",
        ],
        rows: all
            .map(|(m, c)| {
                let undefined = c.undefined.as_deref().unwrap_or_default();
                let texts = [
                    &m.key,
                    names.name(c.x),
                    names.name(c.y),
                    &c.scope,
                    &c.p_method,
                    &c.ci_method,
                    undefined,
                ];
                with(texts, [c.n as f64, c.tau, c.ci_low, c.ci_high, c.p])
            })
            .collect(),
    }
}

/// A row a task and method.
fn tasks(data: &ReportData) -> Table {
    let all = data.tasks.iter().flat_map(|task| task.estimates.iter().map(move |e| (task, e)));
    Table {
        name: "tasks",
        head: vec![
            "id",
            "prompt",
            "category",
            "flags",
            "confidently_wrong",
            "method",
            "aleatoric",
            "epistemic",
            "total_sum",
            "total_rank_sum",
            "total_z_sum",
            "aleatoric_low",
            "aleatoric_high",
            "epistemic_low",
            "epistemic_high",
            "total_low",
            "total_high",
            "true_aleatoric",
            "true_epistemic",
        ],
        rows: all
            .map(|(task, e)| {
                let wrong = if task.confidently_wrong.is_some() { "true" } else { "false" };
                let category = task.category.as_deref().unwrap_or_default();
                let mut row =
                    with([&task.id, &task.prompt, category, &flags(&task.flags), wrong, &e.method], []);
                row.extend(
                    [e.aleatoric, e.epistemic, e.total_sum, e.total_rank_sum, e.total_z_sum].map(number),
                );
                let ends = e.intervals.map(|of| of.map(|range| [range.low, range.high]).concat());
                row.extend(ends.unwrap_or_else(|| vec![f64::NAN; 6]).into_iter().map(number));
                let truth = task.truth.map_or([f64::NAN; 2], |t| [t.aleatoric, t.epistemic]);
                row.extend(truth.map(number));
                row
            })
            .collect(),
    }
}

/// A row a task and accuracy that it has.
fn accuracies(data: &ReportData) -> Table {
    let of = |task: &crate::TaskReport| {
        let known = data.accuracies.iter().zip(&task.accuracies).filter(|(_, value)| !value.is_nan());
        known
            .map(|(metric, value)| with([&task.id, &metric.name, &metric.unit], [*value]))
            .collect::<Vec<_>>()
    };
    Table {
        name: "accuracies",
        head: vec!["id", "accuracy", "unit", "value"],
        rows: data.tasks.iter().flat_map(of).collect(),
    }
}

/// A row a latent prompt and estimate.
fn latents(data: &ReportData) -> Table {
    let mut rows = Vec::new();
    for task in &data.tasks {
        for (place, latent) in task.latents.iter().enumerate() {
            for (method, entropy) in data.methods.iter().zip(&latent.entropies) {
                let (place, flags) = (place.to_string(), flags(&latent.flags));
                rows.push(with([&task.id, &place, &latent.prompt, &flags, &method.key], [*entropy]));
            }
        }
    }
    Table { name: "latents", head: vec!["id", "latent", "prompt", "flags", "method", "entropy"], rows }
}

fn floors(data: &ReportData) -> Table {
    let names = Names::new(data);
    Table {
        name: "floors",
        head: vec!["method", "x", "y", "basis", "held", "least", "most", "value"],
        rows: data
            .floors
            .iter()
            .map(|f| {
                let held = if f.held { "true" } else { "false" };
                let (least, most) = f.bound.range();
                with([&f.method, names.name(f.x), names.name(f.y), &f.basis, held], [least, most, f.value])
            })
            .collect(),
    }
}

/// A row a seed and pair.
fn seeds(data: &ReportData) -> Table {
    let names = Names::new(data);
    let mut rows = Vec::new();
    for table in &data.seeds {
        let medians = (String::from("median"), &table.median);
        let seeds = table.rows.iter().map(|row| (row.seed.to_string(), &row.taus));
        for (seed, taus) in seeds.chain([medians]) {
            for ((x, y), tau) in table.columns.iter().zip(taus) {
                rows.push(with([&table.method, &seed, names.name(*x), names.name(*y)], [*tau]));
            }
        }
    }
    Table { name: "seeds", head: vec!["method", "seed", "x", "y", "tau"], rows }
}
