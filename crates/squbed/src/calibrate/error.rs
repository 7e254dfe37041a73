//! Results that cannot be calibrated as they are.

use std::path::PathBuf;

use squbed_core::BoxError;

/// What is wrong with the numbers of a results' folder, or with the ranking that is given beside them.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CalibrateError {
    /// A number that a correlation cannot take.
    #[error("estimate `{estimate}`, task `{task}`: its {column} uncertainty is not a number")]
    Undefined {
        /// The estimate.
        estimate: String,
        /// The task.
        task: String,
        /// Which number.
        column: &'static str,
    },
    /// Entropies that do not share a scale.
    #[error(
        "estimate `{estimate}` mixes dimensions: the {of} of task `{task}` are fitted in {got}, those of others in \
         {expected}; their entropies do not share a scale"
    )]
    Dimensions {
        /// The estimate.
        estimate: String,
        /// Latent prompts or videos.
        of: &'static str,
        /// The task.
        task: String,
        /// Dimension of the first task.
        expected: usize,
        /// Dimension of this one.
        got: usize,
    },
    /// Numbers and options that do not belong together.
    #[error(
        "estimate `{estimate}` mixes two estimates: its uncertainty.parquet was made with {rows}, its method.json says {options}"
    )]
    Mixed {
        /// The estimate.
        estimate: String,
        /// The options that the uncertainties name.
        rows: String,
        /// The options beside them.
        options: String,
    },
    /// Uncertainties and accuracies of different videos of one task.
    #[error(
        "{estimate} and the accuracy `{metric}` are of different videos of {} task(s): {}", tasks.len(), tasks.join(", ")
    )]
    OtherVideos {
        /// The estimate, the baseline or the variant, in words.
        estimate: String,
        /// The accuracy.
        metric: String,
        /// The tasks.
        tasks: Vec<String>,
        /// What to do.
        mend: String,
    },
    /// One task twice.
    #[error("estimate `{estimate}` has task `{task}` twice")]
    TaskTwice {
        /// The estimate.
        estimate: String,
        /// The task.
        task: String,
    },
    /// One accuracy twice.
    #[error("accuracy.jsonl has `{metric}` of task `{task}` twice")]
    AccuracyTwice {
        /// The metric.
        metric: String,
        /// The task.
        task: String,
    },
    /// An accuracy that there is not.
    #[error("accuracy.jsonl has no `{name}`; it has: {known}")]
    Metric {
        /// Asked for.
        name: String,
        /// What there is.
        known: String,
    },
    /// A ranking that cannot be read.
    #[error("cannot read the human ranking {}", path.display())]
    RankingFile {
        /// The file.
        path: PathBuf,
        /// Why.
        source: BoxError,
    },
    /// A row of a ranking that says no rank.
    #[error("{}, line {line}: {what}", path.display())]
    RankingRow {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: u64,
        /// What is wrong with it.
        what: String,
    },
    /// A ranking of other tasks.
    #[error("none of the {rows} id(s) of {} is a task with an accuracy; the first are: {first}", path.display())]
    RankingMatches {
        /// The file.
        path: PathBuf,
        /// Rows there are.
        rows: usize,
        /// A few of their ids.
        first: String,
    },
    /// A subset that is none.
    #[error("a subset of {what} is none: {allowed}")]
    Subset {
        /// Asked for.
        what: String,
        /// What may be asked for.
        allowed: String,
    },
}

impl CalibrateError {
    /// What the user can do about it, where the message does not say.
    pub fn hint(&self) -> Option<String> {
        let text = match self {
            Self::OtherVideos { mend, .. } => mend,
            Self::Undefined { .. }
            | Self::Dimensions { .. }
            | Self::TaskTwice { .. }
            | Self::Mixed { .. } => {
                "run `squbed estimate` for all tasks at once, with one set of options, into a folder of its own"
            }
            Self::AccuracyTwice { .. } => "run `squbed score` again, or take the row out that does not hold",
            Self::Metric { .. } => "name one of them, or run `squbed score` with that metric",
            Self::RankingFile { .. } | Self::RankingRow { .. } => {
                "a ranking is a CSV file with the header `id,rank` and one row a task; rank 1 is the best"
            }
            Self::RankingMatches { .. } => "the ids must be those of tasks.jsonl",
            Self::Subset { .. } => return None,
        };
        Some(text.to_owned())
    }
}
