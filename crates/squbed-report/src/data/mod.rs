//! What a report shows, as plain data. Every number is given; none is computed here.
//!
//! Numbers that do not exist are NaN and shown as “–”; infinities are shown as “∞”.

mod anomaly;
mod claim;
mod method;
mod quantity;
mod run;
mod task;

use serde::Serialize;

pub use anomaly::VideoAnomaly;
pub use claim::{Claim, ClaimCurves, ClaimScatter, ClaimTest, Contribution, NotRun, RiskCoverage};
pub use method::{Correlation, Method, MethodOption, Origin, SeedRow, SeedTable};
pub use quantity::{Bound, Quantity};
pub use run::{Failure, Run, Step};
pub use task::{Estimate, Image, LatentReport, Range, TaskReport, Truth};

/// Everything that a report shows.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ReportData {
    /// Heading, e.g. “squbed demo: the closed world, realm knowledge”.
    pub title: String,
    /// One paragraph under the heading: what was done, on what.
    pub summary: String,
    /// What came of it, in words.
    pub verdict: Verdict,
    /// The floors of the demo, each with its outcome; empty where none bind.
    pub floors: Vec<Floor>,
    /// The command, the machine, the steps.
    pub run: Run,
    /// The accuracies, in the order of [`TaskReport::accuracies`].
    pub accuracies: Vec<AccuracyMetric>,
    /// The paper's claim, that uncertainty predicts accuracy.
    pub claim: Claim,
    /// The method under each preset. The first is the leading one: tables sort by its rank-sum total.
    pub methods: Vec<Method>,
    /// What the method is compared with, in the same form.
    pub baselines: Vec<Method>,
    /// The correlations of several seeds, one table a method.
    pub seeds: Vec<SeedTable>,
    /// Where an estimate does not follow its truth and which part is at fault; limits of the evidence.
    pub notes: Vec<Note>,
    /// Paragraphs on the tasks that are marked [`TaskReport::confidently_wrong`].
    pub confidently_wrong: Vec<String>,
    /// The tasks.
    pub tasks: Vec<TaskReport>,
    /// The videos that are most unlike the others of their latent prompt, the most surprising first.
    pub anomalies: Vec<VideoAnomaly>,
    /// What failed while the run went on.
    pub failures: Vec<Failure>,
    /// What a reader should know of the input, one line each.
    pub warnings: Vec<String>,
    /// What was done, with every option, model and version, in paragraphs that can stand in a paper.
    pub methods_text: Vec<String>,
    /// Works to cite, one each, plain text.
    pub citations: Vec<String>,
}

/// What came of a run, in words.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Verdict {
    /// Whether the claim held.
    pub outcome: Outcome,
    /// One sentence.
    pub headline: String,
    /// Sentences that carry it, with their figures.
    pub evidence: Vec<String>,
}

/// Whether what was claimed held.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Every floor held.
    Held,
    /// A floor was missed.
    Missed,
    /// Nothing was claimed beforehand.
    #[default]
    Unclaimed,
}

/// A bound that was named before the run, and what became of it.
#[derive(Clone, Debug, Serialize)]
pub struct Floor {
    /// The [`Method::key`] that it binds.
    pub method: String,
    /// One side of the correlation.
    pub x: Quantity,
    /// The other side.
    pub y: Quantity,
    /// Where the value has to lie.
    pub bound: Bound,
    /// The value held against it.
    #[serde(with = "squbed_core::float")]
    pub value: f64,
    /// What the value is, e.g. “median of seeds 1 to 5” or “this run”.
    pub basis: String,
    /// Whether it lies there.
    pub held: bool,
}

/// An accuracy of generated videos against a ground truth.
#[derive(Clone, Debug, Serialize)]
pub struct AccuracyMetric {
    /// What computed it, e.g. “I3D cosine”.
    pub name: String,
    /// Its unit, e.g. “dB”; empty for none.
    pub unit: String,
    /// How it is computed, one sentence.
    pub about: String,
}

/// A paragraph or several under a heading.
#[derive(Clone, Debug, Serialize)]
pub struct Note {
    /// The heading, a statement rather than a topic.
    pub title: String,
    /// Plain text.
    pub paragraphs: Vec<String>,
}
