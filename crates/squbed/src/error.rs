//! What can go wrong in a run.

use std::{io, path::PathBuf};

/// Result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Whose fault an error is; decides the exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The input's: exit code 1.
    Input,
    /// The program's own: exit code 2.
    Program,
}

/// An error of a run. Each prints its own layer; `source()` carries the rest.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An option has a value that it does not take.
    #[error("{name} is `{value}`; it is one of: {allowed}")]
    Option {
        /// The option.
        name: &'static str,
        /// What was given.
        value: String,
        /// What it may be.
        allowed: &'static str,
    },
    /// A number is below its least value.
    #[error("{name} is {value}; it must be at least {least}")]
    TooSmall {
        /// The option.
        name: &'static str,
        /// What was given.
        value: usize,
        /// Its least value.
        least: usize,
    },
    /// A file cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file or folder cannot be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// An experiment file that cannot be understood.
    #[error("{} is not a valid experiment", path.display())]
    Experiment {
        /// The file.
        path: PathBuf,
        /// Where and why.
        source: Box<toml::de::Error>,
    },
    /// A JSON file that is not what it should be.
    #[error("{} is not what this version of squbed writes", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// Where and why.
        source: serde_json::Error,
    },
    /// The results' folder belongs to another experiment.
    #[error("{} holds the results of another experiment: its {key} differ(s)", path.display())]
    OtherExperiment {
        /// The folder.
        path: PathBuf,
        /// The first setting that differs.
        key: String,
    },
    /// Videos that stand where others are to be made.
    #[error("{} holds videos of {there}, not of {here}", path.display())]
    OtherVideos {
        /// Their folder.
        path: PathBuf,
        /// What made them.
        there: String,
        /// What is to make them now.
        here: String,
    },
    /// Two embeddings of one group have different widths.
    #[error("an embedding has {got} numbers where others have {expected}")]
    Width {
        /// Width of the first.
        expected: usize,
        /// Width of this one.
        got: usize,
    },
    /// A spread needs two samples.
    #[error("task `{task}` has {n} latent prompts and as few as {m} videos for one; both need at least 2")]
    TooFewSamples {
        /// The task.
        task: String,
        /// Latent prompts.
        n: usize,
        /// Videos of the latent prompt with fewest.
        m: usize,
    },
    /// A correlation needs two tasks.
    #[error("{got} task(s) are left to correlate; at least 2 are needed")]
    TooFewTasks {
        /// Tasks left.
        got: usize,
    },
    /// A task of the closed world without its truth.
    #[error("task `{task}` has no row in the truth file")]
    NoTruth {
        /// The task.
        task: String,
    },
    /// An embedding is wanted that the cache does not hold.
    #[error("the cache holds no {encoder} embedding of {item}")]
    NotEmbedded {
        /// The encoder.
        encoder: String,
        /// The video or the prompt.
        item: String,
    },
    /// The refiner gave up on a task.
    #[error("refining task `{task}` failed")]
    Refine {
        /// The task.
        task: String,
        /// Why.
        source: squbed_core::BoxError,
    },
    /// The refiner gave another number of prompts than asked for.
    #[error("the refiner gave {got} latent prompts for task `{task}`, {wanted} were asked for")]
    RefineCount {
        /// The task.
        task: String,
        /// Asked for.
        wanted: usize,
        /// Given.
        got: usize,
    },
    /// Two pictures that a metric cannot compare.
    #[error("cannot compare {} with {}", a.display(), b.display())]
    Pair {
        /// The first.
        a: PathBuf,
        /// The second.
        b: PathBuf,
        /// Why.
        source: squbed_metrics::Error,
    },
    /// A result that cannot be put into JSON or TOML.
    #[error("cannot write {what} as text")]
    Encode {
        /// What was to be written.
        what: &'static str,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A task that is not fit for the method.
    #[error(transparent)]
    Task(#[from] squbed_core::TaskError),
    /// From the von Mises–Fisher fits.
    #[error(transparent)]
    Vmf(#[from] squbed_vmf::Error),
    /// From the rank statistics.
    #[error(transparent)]
    Stats(#[from] squbed_stats::Error),
    /// From tensors.
    #[error(transparent)]
    Tensor(#[from] squbed_tensor::Error),
    /// From an encoder.
    #[error(transparent)]
    Encoder(#[from] squbed_tensor::EncodeError),
    /// From models.
    #[error(transparent)]
    Models(Box<squbed_models::Error>),
    /// From metrics.
    #[error(transparent)]
    Metrics(#[from] squbed_metrics::Error),
    /// From stored files.
    #[error(transparent)]
    Store(#[from] squbed_store::Error),
    /// From videos.
    #[error(transparent)]
    Video(#[from] squbed_video::Error),
    /// From the closed world.
    #[error(transparent)]
    World(#[from] squbed_sim::Error),
    /// A kind of world that there is not.
    #[error(transparent)]
    WorldKind(#[from] squbed_sim::UnknownKnowledge),
    /// From the report.
    #[error(transparent)]
    Report(#[from] squbed_report::Error),
}

impl From<squbed_models::Error> for Error {
    fn from(error: squbed_models::Error) -> Self {
        Self::Models(Box::new(error))
    }
}

impl Error {
    /// What the user can do about it, where there is something to say beyond the message.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::OtherExperiment { .. } => {
                Some("choose another `out`, or restore that setting to continue the run".to_owned())
            }
            Self::OtherVideos { .. } => {
                Some("choose another folder for the videos, or remove this one".to_owned())
            }
            Self::Read { path, source } if source.kind() == io::ErrorKind::NotFound => {
                match path.file_name().and_then(|name| name.to_str()) {
                    Some("calibration.json") => {
                        Some("run `squbed calibrate` on this folder first".to_owned())
                    }
                    Some("method.json") => Some("run `squbed estimate` into this folder first".to_owned()),
                    _ => None,
                }
            }
            Self::TooFewSamples { .. } => Some(
                "generate more, or remove the task; if videos failed, failures.jsonl says why".to_owned(),
            ),
            Self::NotEmbedded { .. } => Some(
                "run `squbed embed text` and `squbed embed video` with the same --cache first".to_owned(),
            ),
            Self::Write { source, .. } if source.kind() == io::ErrorKind::StorageFull => Some(
                "the disk is full; free some room and run the same command again, finished work is kept"
                    .to_owned(),
            ),
            _ => None,
        }
    }

    /// Whose fault it is.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Encode { .. } => Fault::Program,
            _ => Fault::Input,
        }
    }
}
