//! Tasks as a table of numbers and as cards with pictures.

use std::collections::BTreeSet;

use serde::Serialize;
use squbed_core::Flag;

use super::{
    Number,
    panels::{Panel, labels, panels},
};
use crate::{
    Error, Image, LatentReport, Quantity, Range, ReportData, TaskReport,
    figures::{all_methods, value},
    format::{decimals, fixed, rank_decimals, slug},
    image::data_uri,
    names::Names,
};

/// All tasks.
#[derive(Serialize)]
pub(super) struct Tasks<'a> {
    groups: Vec<ColumnGroup<'a>>,
    rows: Vec<Row<'a>>,
    wrong: Vec<Card<'a>>,
    /// Some of low, middle and high uncertainty, side by side.
    panels: Vec<Panel<'a>>,
    cards: Vec<Card<'a>>,
    flags: Vec<(&'static str, &'static str)>,
    /// What the rows are sorted by.
    order: Option<String>,
}

/// Neighbouring columns under one head.
#[derive(Serialize)]
struct ColumnGroup<'a> {
    head: &'a str,
    columns: Vec<Column<'a>>,
}

#[derive(Serialize)]
struct Column<'a> {
    symbol: &'a str,
    about: String,
    sorted: bool,
    #[serde(skip)]
    quantity: Quantity,
    #[serde(skip)]
    method: &'a str,
    #[serde(skip)]
    decimals: usize,
    #[serde(skip)]
    range: (f64, f64),
}

#[derive(Serialize)]
struct Row<'a> {
    id: &'a str,
    anchor: String,
    category: &'a str,
    wrong: bool,
    cells: Vec<Cell>,
    flags: Vec<String>,
}

#[derive(Serialize)]
struct Cell {
    number: Number,
    /// Place in the column's range, 0 to 1.
    heat: Option<String>,
    accuracy: bool,
}

/// A task with its pictures.
#[derive(Serialize)]
struct Card<'a> {
    id: &'a str,
    anchor: String,
    prompt: &'a str,
    category: &'a str,
    /// E.g. “low uncertainty”, the same for tasks that are as uncertain as each other; empty where it is not known.
    badge: &'static str,
    wrong: Option<&'a str>,
    flags: Vec<String>,
    numbers: Vec<CardRow<'a>>,
    outcome: Vec<(String, Number)>,
    ground_truth: Option<Picture<'a>>,
    latents: Vec<Latent<'a>>,
}

/// What one method says of the task.
#[derive(Serialize)]
struct CardRow<'a> {
    method: &'a str,
    cells: Vec<CardCell>,
}

#[derive(Serialize)]
struct CardCell {
    number: Number,
    interval: String,
}

#[derive(Serialize)]
struct Latent<'a> {
    prompt: &'a str,
    entropies: Vec<(&'a str, Number)>,
    flags: Vec<&'static str>,
    frames: Vec<Picture<'a>>,
}

#[derive(Serialize)]
pub(super) struct Picture<'a> {
    uri: String,
    alt: &'a str,
}

/// A picture of a task.
pub(super) fn picture<'a>(image: &'a Image, task: &str) -> Result<Picture<'a>, Error> {
    Ok(Picture { uri: data_uri(image, task)?, alt: &image.alt })
}

/// The interval of a card's column; empty where there is none.
fn interval(task: &TaskReport, method: &str, column: usize, decimals: usize) -> String {
    let estimate = task.estimates.iter().find(|e| e.method == method);
    let range = estimate.and_then(|e| e.intervals).and_then(|all| all.get(column).copied());
    match range {
        Some(Range { low, high }) if !low.is_nan() && !high.is_nan() => {
            format!("[{}, {}]", fixed(low, decimals), fixed(high, decimals))
        }
        _ => String::new(),
    }
}

/// What a method says of a task, in the order of a card's columns.
const ESTIMATES: [Quantity; 4] =
    [Quantity::Aleatoric, Quantity::Epistemic, Quantity::TotalSum, Quantity::TotalRankSum];

pub(super) fn tasks<'a>(data: &'a ReportData, anchors: &'a [String]) -> Result<Tasks<'a>, Error> {
    let (order, lead) = order(data);
    let groups = groups(data, lead);
    let rows = order.iter().map(|&i| row(&data.tasks[i], anchors[i].clone(), &groups)).collect();

    let right: Vec<usize> =
        order.iter().copied().filter(|&i| data.tasks[i].confidently_wrong.is_none()).collect();
    let total = |&i: &usize| lead.map_or(f64::NAN, |(method, q)| value(&data.tasks[i], method, q));
    let labels = labels(&right.iter().map(total).collect::<Vec<_>>());
    let panels = panels(data, &right, &labels, lead, anchors)?;
    let of_task = Cards::new(data, anchors);
    let cards =
        right.iter().zip(&labels).map(|(&i, label)| of_task.card(i, label)).collect::<Result<_, _>>()?;
    let wrong = order
        .iter()
        .filter(|&&i| data.tasks[i].confidently_wrong.is_some())
        .map(|&i| of_task.card(i, ""))
        .collect::<Result<_, _>>()?;

    let used: BTreeSet<Flag> = data
        .tasks
        .iter()
        .flat_map(|t| t.flags.iter().chain(t.latents.iter().flat_map(|z| &z.flags)))
        .copied()
        .collect();
    Ok(Tasks {
        groups,
        rows,
        wrong,
        panels,
        cards,
        flags: used.into_iter().map(flag).collect(),
        order: lead.map(|(method, q)| format!("{} ({method})", Names::new(data).name(q))),
    })
}

/// Positions of the tasks by the leading method's total, and which total that is. Ties and tasks without
/// a total keep their order, the latter at the end.
fn order(data: &ReportData) -> (Vec<usize>, Option<(&str, Quantity)>) {
    let mut order: Vec<usize> = (0..data.tasks.len()).collect();
    let lead = data.methods.first().and_then(|method| {
        let key = method.key.as_str();
        [Quantity::TotalRankSum, Quantity::TotalSum]
            .into_iter()
            .find(|q| data.tasks.iter().any(|t| !value(t, key, *q).is_nan()))
            .map(|q| (key, q))
    });
    if let Some((key, quantity)) = lead {
        let by = |i: &usize| value(&data.tasks[*i], key, quantity);
        order.sort_by(|a, b| {
            let (a, b) = (by(a), by(b));
            a.is_nan().cmp(&b.is_nan()).then(a.partial_cmp(&b).unwrap_or(std::cmp::Ordering::Equal))
        });
    }
    (order, lead)
}

/// One anchor a task, unique: the number keeps ids apart that look alike in ASCII.
pub(crate) fn anchors(data: &ReportData) -> Vec<String> {
    data.tasks.iter().enumerate().map(|(i, task)| format!("task-{}-{}", i + 1, slug(&task.id))).collect()
}

fn groups<'a>(data: &'a ReportData, lead: Option<(&str, Quantity)>) -> Vec<ColumnGroup<'a>> {
    let names = Names::new(data);
    let column = |method: &'a str, quantity: Quantity| {
        let values = || data.tasks.iter().map(|t| value(t, method, quantity));
        if !values().any(|x| !x.is_nan()) {
            return None;
        }
        let decimals = match quantity {
            Quantity::TotalRankSum => rank_decimals(values()),
            _ => decimals(values()),
        };
        let finite = || values().filter(|x| x.is_finite());
        Some(Column {
            symbol: match quantity {
                Quantity::TotalSum => "sum",
                Quantity::TotalRankSum => "rank sum",
                q => names.symbol(q),
            },
            about: names
                .axis(quantity, data.methods.iter().find(|m| m.key == method).map_or("", |m| &m.unit)),
            sorted: lead == Some((method, quantity)),
            quantity,
            method,
            decimals,
            range: (finite().fold(f64::INFINITY, f64::min), finite().fold(f64::NEG_INFINITY, f64::max)),
        })
    };
    let group = |head: &'a str, columns: Vec<Option<Column<'a>>>| ColumnGroup {
        head,
        columns: columns.into_iter().flatten().collect(),
    };
    data.methods
        .iter()
        .map(|m| group(&m.key, ESTIMATES.map(|q| column(&m.key, q)).into()))
        .chain([
            group("truth", [Quantity::TrueAleatoric, Quantity::TrueEpistemic].map(|q| column("", q)).into()),
            group(
                "accuracy",
                (0..data.accuracies.len()).map(|i| column("", Quantity::Accuracy(i))).collect(),
            ),
        ])
        .filter(|group| !group.columns.is_empty())
        .collect()
}

fn row<'a>(task: &'a TaskReport, anchor: String, groups: &[ColumnGroup<'_>]) -> Row<'a> {
    Row {
        id: &task.id,
        anchor,
        category: task.category.as_deref().unwrap_or_default(),
        wrong: task.confidently_wrong.is_some(),
        cells: groups.iter().flat_map(|g| &g.columns).map(|c| cell(task, c)).collect(),
        flags: task_flags(task),
    }
}

fn cell(task: &TaskReport, column: &Column<'_>) -> Cell {
    let x = value(task, column.method, column.quantity);
    let (low, high) = column.range;
    let heat = match x {
        x if x.is_nan() => None,
        f64::NEG_INFINITY => Some(0.0),
        f64::INFINITY => Some(1.0),
        x if high > low => Some((x - low) / (high - low)),
        _ => None,
    };
    Cell {
        number: Number::fixed(x, column.decimals),
        heat: heat.map(|q: f64| format!("{q:.2}")),
        accuracy: matches!(column.quantity, Quantity::Accuracy(_)),
    }
}

/// Remarks on a task in brief: on its prompts, and on how many of its groups of videos.
fn task_flags(task: &TaskReport) -> Vec<String> {
    let on_prompts = task.flags.iter().map(|f| format!("prompts: {}", flag(*f).0));
    let videos: BTreeSet<Flag> = task.latents.iter().flat_map(|z| z.flags.iter().copied()).collect();
    let on_videos = videos.into_iter().map(|f| {
        let count = task.latents.iter().filter(|z| z.flags.contains(&f)).count();
        format!("videos: {} {count}/{}", flag(f).0, task.latents.len())
    });
    on_prompts.chain(on_videos).collect()
}

/// A remark's name.
pub(crate) fn flag_name(of: Flag) -> &'static str {
    flag(of).0
}

/// A remark's name and meaning.
fn flag(flag: Flag) -> (&'static str, &'static str) {
    match flag {
        Flag::PointMass => ("point mass", "all samples are the same, so κ = ∞ and h = −∞"),
        Flag::Uniform => {
            ("uniform", "the mean direction vanishes, so κ = 0 and h is that of the whole sphere")
        }
        Flag::Clipped => ("clipped", "the corrected mean resultant length would be negative and counts as 0"),
        Flag::Saturated => ("saturated", "the spread is below what f32 embeddings resolve"),
        Flag::NearUniform => {
            ("near uniform", "Rayleigh's test does not tell it from a uniform group (p > 0.05)")
        }
        Flag::Bimodal => (
            "bimodal",
            "it falls in two clusters (p ≤ 0.001), which one von Mises–Fisher distribution does not describe: h is an upper bound",
        ),
    }
}

/// What cards need of the whole report.
struct Cards<'a, 'b> {
    data: &'a ReportData,
    anchors: &'b [String],
    /// Decimals of each method's columns, in the order of [`ESTIMATES`].
    decimals: Vec<[usize; 4]>,
    truth: usize,
    latents: Vec<usize>,
}

impl<'a, 'b> Cards<'a, 'b> {
    fn new(data: &'a ReportData, anchors: &'b [String]) -> Self {
        let of = |method: &str, q| decimals(data.tasks.iter().map(|t| value(t, method, q)));
        Self {
            data,
            anchors,
            decimals: all_methods(data)
                .map(|m| {
                    ESTIMATES.map(|q| match q {
                        Quantity::TotalRankSum => {
                            rank_decimals(data.tasks.iter().map(|t| value(t, &m.key, q)))
                        }
                        q => of(&m.key, q),
                    })
                })
                .collect(),
            truth: of("", Quantity::TrueAleatoric).max(of("", Quantity::TrueEpistemic)),
            latents: (0..data.methods.len())
                .map(|i| decimals(data.tasks.iter().flat_map(|t| &t.latents).map(|z| z.entropies[i])))
                .collect(),
        }
    }

    fn card(&self, position: usize, badge: &'static str) -> Result<Card<'a>, Error> {
        let task = &self.data.tasks[position];
        let names = Names::new(self.data);
        let picture = |image: &'a Image| picture(image, &task.id);
        let latent = |latent: &'a LatentReport| {
            Ok(Latent {
                prompt: &latent.prompt,
                entropies: self
                    .data
                    .methods
                    .iter()
                    .zip(&self.latents)
                    .zip(&latent.entropies)
                    .map(|((method, decimals), h)| (method.key.as_str(), Number::fixed(*h, *decimals)))
                    .collect(),
                flags: latent.flags.iter().map(|f| flag(*f).0).collect(),
                frames: latent.frames.iter().map(picture).collect::<Result<_, Error>>()?,
            })
        };
        let truth = task.truth.iter().flat_map(|t| {
            [("true aleatoric A, nats", t.aleatoric), ("true epistemic E, nats", t.epistemic)]
                .map(|(label, x)| (label.to_owned(), Number::fixed(x, self.truth)))
        });
        let accuracies = task.accuracies.iter().enumerate().map(|(i, x)| {
            let quantity = Quantity::Accuracy(i);
            (
                names.axis(quantity, ""),
                Number::fixed(*x, decimals(self.data.tasks.iter().map(|t| value(t, "", quantity)))),
            )
        });
        Ok(Card {
            id: &task.id,
            anchor: self.anchors[position].clone(),
            prompt: &task.prompt,
            category: task.category.as_deref().unwrap_or_default(),
            badge,
            wrong: task.confidently_wrong.as_deref(),
            flags: task_flags(task),
            numbers: all_methods(self.data)
                .zip(&self.decimals)
                .filter(|(method, _)| task.estimates.iter().any(|e| e.method == method.key))
                .map(|(method, decimals)| CardRow {
                    method: &method.key,
                    cells: ESTIMATES
                        .iter()
                        .zip(decimals)
                        .enumerate()
                        .map(|(i, (q, d))| CardCell {
                            number: Number::fixed(value(task, &method.key, *q), *d),
                            interval: interval(task, &method.key, i, *d),
                        })
                        .collect(),
                })
                .collect(),
            outcome: truth.chain(accuracies).collect(),
            ground_truth: task.ground_truth.as_ref().map(picture).transpose()?,
            latents: task.latents.iter().map(latent).collect::<Result<_, Error>>()?,
        })
    }
}
