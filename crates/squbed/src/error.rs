//! What can go wrong in a run.

use std::{
    error::Error as StdError,
    io,
    path::{Path, PathBuf},
};

use squbed_core::TaskError;

use crate::remedy::remedy;

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
    /// A number is not in its range.
    #[error("{name} is {value}; it must be at least {least} and at most {most}")]
    OutOfRange {
        /// The option.
        name: &'static str,
        /// What was given.
        value: f64,
        /// Its least value.
        least: f64,
        /// Its greatest value.
        most: f64,
    },
    /// An experiment without an estimate.
    #[error("presets is empty, so that nothing is estimated")]
    NoPreset,
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
    #[error("{} holds the results of another experiment: its {difference}", path.display())]
    OtherExperiment {
        /// The folder.
        path: PathBuf,
        /// The first option that differs, and how.
        difference: String,
    },
    /// The record that says whose results a folder holds is damaged.
    #[error("cannot tell whose results {} holds: its record {} cannot be read",
        path.parent().unwrap_or(Path::new("")).display(), path.display())]
    Record {
        /// The record.
        path: PathBuf,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A step is run whose forerunner was not.
    #[error("{} is not there", path.display())]
    NoStep {
        /// What the forerunner would have written.
        path: PathBuf,
        /// The forerunner, a command of the program.
        step: &'static str,
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
    /// A measure of accuracy that there is not.
    #[error("there is no metric `{name}`; known are {known}")]
    UnknownMeasure {
        /// Given.
        name: String,
        /// Those that there are.
        known: String,
    },
    /// A frame that cannot be brought to the size of comparison.
    #[error("a frame of {} cannot be compared", path.display())]
    Compare {
        /// The video.
        path: PathBuf,
        /// Why.
        source: squbed_frame::Error,
    },
    /// A video that lasts no time.
    #[error("{} has no duration, so that no times of it can be compared", path.display())]
    NoDuration {
        /// The video.
        path: PathBuf,
    },
    /// An estimate that stands where one of other encoders is to go.
    #[error("{} holds an estimate by {there}, not by {here}", path.display())]
    OtherEncoders {
        /// Its folder.
        path: PathBuf,
        /// The encoders that made it.
        there: String,
        /// Those that are to make it now.
        here: String,
    },
    /// A basis of each prompt's own, centred, takes away what is to be measured.
    #[error(
        "a centred basis for each prompt is refused: taking a prompt's own mean away leaves r̄ ≈ 0 for every prompt, \
         whatever its spread, so that the entropy would measure nothing; use none, corpus or corpus-uncentred"
    )]
    PromptCentred,
    /// A basis of each prompt's own.
    #[error(
        "a basis for each prompt is refused: entropies in subspaces of their own are not comparable, and with as many \
         components as the rank it is no projection at all; use none, corpus or corpus-uncentred"
    )]
    PromptBasis,
    /// Components of no basis.
    #[error("{components} components are asked for, but no projection; name corpus or corpus-uncentred")]
    ComponentsOfNone {
        /// Asked for.
        components: usize,
    },
    /// A stored basis that cannot be read.
    #[error("{} is no stored basis; `squbed estimate` writes basis.safetensors with its results", path.display())]
    Basis {
        /// The file.
        path: PathBuf,
        /// Why.
        source: Box<squbed_tensor::Error>,
    },
    /// A stored basis for other embeddings.
    #[error("the basis {} is for embeddings of {basis} numbers, these have {got}", path.display())]
    BasisWidth {
        /// The file.
        path: PathBuf,
        /// Numbers that it takes.
        basis: usize,
        /// Numbers there are.
        got: usize,
    },
    /// A stored basis of another encoder.
    #[error("the basis {} is of {basis}, the prompts are embedded by {here}", path.display())]
    BasisEncoder {
        /// The file.
        path: PathBuf,
        /// The encoder of its corpus.
        basis: String,
        /// The encoder in use.
        here: String,
    },
    /// Two embeddings have different widths.
    #[error("group {group}, embedding {row}, has {got} numbers where others have {expected}")]
    Width {
        /// Group of the embedding, from 0.
        group: usize,
        /// Its place in the group, from 0.
        row: usize,
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
    /// An embedding that has no direction.
    #[error("{of}: embedding {row} has no direction, its length is {norm}")]
    NoDirection {
        /// Its group, in words.
        of: String,
        /// Position of the group among those that were fitted.
        group: usize,
        /// Position in the group, from 0.
        row: usize,
        /// Its length: zero, infinite or NaN.
        norm: f64,
    },
    /// Principal components of one task's prompts say nothing about their spread.
    #[error(
        "a centred basis of the prompts of {tasks} task(s) says nothing: taking the only task's mean away leaves r̄ = 0, whatever its spread"
    )]
    OneTaskBasis {
        /// Tasks given.
        tasks: usize,
    },
    /// A direction needs two components.
    #[error("the basis of the prompts has {got} component(s); a direction needs at least 2")]
    Components {
        /// Components there are.
        got: usize,
    },
    /// No task has what an estimate needs.
    #[error("none of the {tasks} task(s) can be estimated; {} says why of each", failures.display())]
    NoUsableTask {
        /// Tasks there are.
        tasks: usize,
        /// The rows of what failed.
        failures: PathBuf,
    },
    /// A pilot that says too little to plan by.
    #[error("of the pilot's {tasks} task(s) {usable} have standard errors to plan by; {least} are needed")]
    Pilot {
        /// Tasks whose standard errors are all known.
        usable: usize,
        /// Tasks there are.
        tasks: usize,
        /// Tasks needed.
        least: usize,
    },
    /// A task of the closed world without its truth.
    #[error("task `{task}` has no row in truth.jsonl")]
    NoTruth {
        /// The task.
        task: String,
    },
    /// An encoder gave an embedding that has no direction.
    #[error("the {encoder} embedding of {item} has no direction: {why}")]
    Useless {
        /// The encoder.
        encoder: String,
        /// The video or the prompt.
        item: String,
        /// What is wrong with it.
        why: String,
    },
    /// An embedding is wanted that there is not.
    #[error("there is no {encoder} embedding of {item}")]
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
    /// From the choice of what refines or generates.
    #[error(transparent)]
    Choice(#[from] crate::choice::ChoiceError),
    /// A video model, or its ledger, failed.
    #[error(transparent)]
    Produce(#[from] squbed_generate::video::ProduceError),
    /// A file of categories that cannot be used.
    #[error(
        "{path} holds no categories to choose from: write at least two categories, each with a name and a description",
        path = path.display()
    )]
    Categories {
        /// The file.
        path: PathBuf,
    },
    /// A folder of clips lacks some.
    #[error("{latent}: {got} of {wanted} readable videos lie below {root}", root = root.display())]
    TooFewClips {
        /// The latent prompt.
        latent: String,
        /// Asked for.
        wanted: usize,
        /// There.
        got: usize,
        /// The folder.
        root: PathBuf,
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
    Task(#[from] TaskError),
    /// From the von Mises–Fisher fits.
    #[error(transparent)]
    Vmf(#[from] squbed_vmf::Error),
    /// From the rank statistics.
    #[error(transparent)]
    Stats(#[from] squbed_stats::Error),
    /// From tensors.
    #[error(transparent)]
    Tensor(#[from] squbed_tensor::Error),
    /// The program for CUDA devices cannot be used.
    #[error(transparent)]
    CudaProgram(#[from] crate::cuda_program::CudaProgramError),
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
    /// From measuring the speed of decoding.
    #[error(transparent)]
    DecodeSpeed(#[from] crate::decode_speed::DecodeSpeedError),
    /// From measuring the speed of an encoder.
    #[error(transparent)]
    EncodeSpeed(#[from] crate::encode_speed::EncodeSpeedError),
    /// From calibrating.
    #[error(transparent)]
    Calibrate(#[from] crate::calibrate::CalibrateError),
    /// A language model that sorts tasks failed.
    #[error("{model} could not sort task `{task}` into a category")]
    Classifier {
        /// The model.
        model: String,
        /// The task.
        task: String,
        /// Why.
        source: squbed_core::BoxError,
    },
    /// From data sets of other programs.
    #[error(transparent)]
    Dataset(#[from] crate::dataset::DatasetError),
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
        let text = match self {
            Self::OtherExperiment { .. } => {
                "choose another `out`, or restore that setting to continue the run"
            }
            Self::CudaProgram(error) => return Some(error.hint()),
            Self::Dataset(error) => return error.hint().map(str::to_owned).or_else(|| remedy(self)),
            Self::Calibrate(error) => return error.hint().or_else(|| remedy(self)),
            Self::OtherEncoders { .. } => "choose another `--out`, or remove that folder",
            Self::OtherVideos { .. } => "choose another folder for the videos, or remove this one",
            Self::Record { .. } => {
                "restore it; or remove it, if the folder's results are this experiment's; or choose another `out`"
            }
            Self::NoPreset => {
                "write presets = [\"default\", \"paper\"], or one of them, or leave the line out for both"
            }
            Self::NoStep { step, .. } => return Some(format!("run `squbed {step}` into this folder first")),
            Self::Json { .. } => "run the command that writes it again",
            Self::TooFewSamples { .. } => {
                "generate more, or take the task out; if videos failed, failures.jsonl says why"
            }
            Self::Task(TaskError::TooFewLatents { .. }) => {
                "give the task further latent prompts (`squbed refine` where it has none), or take it out"
            }
            Self::Task(TaskError::TooFewVideos { .. }) => {
                "give the latent prompt further videos (`squbed generate` where it has none), or take the task out"
            }
            Self::Task(_) => "correct the task, or take it out",
            Self::OneTaskBasis { .. } | Self::Components { .. } => {
                "give further tasks, or no projection: `--components 0`, or the default preset"
            }
            Self::NoDirection { .. } => {
                "embed that item again with an empty cache; where it stays so, take it out of the tasks"
            }
            Self::Tensor(squbed_tensor::Error::Rank { .. }) => {
                "ask for as many components as the rank at most, or leave --components away"
            }
            Self::Tensor(squbed_tensor::Error::NotBuilt { feature: "cudnn", .. }) => {
                "`cargo xtask build-cuda` makes `squbed-cuda`; beside this program, it does what is asked of CUDA devices"
            }
            Self::Tensor(squbed_tensor::Error::NoBasis { .. }) => "use no projection: `--components 0`",
            Self::Models(error)
                if matches!(
                    **error,
                    squbed_models::Error::Safetensors { .. } | squbed_models::Error::Convert { .. }
                ) =>
            {
                "the file is cut short or of another kind; copy or fetch it again"
            }
            Self::Models(error) if matches!(**error, squbed_models::Error::Modality { .. }) => {
                "name another model, as `squbed models list` has them, or give it what it takes"
            }
            Self::Experiment { .. } => {
                "correct that line; `squbed run --example` prints every key with what it is"
            }
            Self::NoUsableTask { .. } => "mend or remake what failed, and run the same command again",
            Self::Pilot { .. } => {
                "a pilot is `squbed estimate` of five tasks or more, each with three latent prompts of three videos"
            }
            Self::NoTruth { .. } => {
                "put truth.jsonl of these tasks in its place, or remove it to go on without the truth"
            }
            Self::Useless { .. } => {
                "look at the input; with f16 or bf16 try `--dtype f32`; where it stays so, take it out of the tasks"
            }
            Self::NotEmbedded { .. } => {
                "run the same command again: what the cache lacks is embedded then, and failures.jsonl says what cannot be"
            }
            _ => return remedy(self),
        };
        Some(text.to_owned())
    }

    /// Where a model's files are not on this machine: what is missing and the command that brings it, without the
    /// paths of this machine, so that it can stand in a report.
    pub fn missing_model(&self) -> Option<String> {
        let (Self::Models(error) | Self::Metrics(squbed_metrics::Error::Models(error))) = self else {
            return None;
        };
        let squbed_models::Error::Missing { model, file } = &**error else { return None };
        let name = file.file_name().unwrap_or(file.as_os_str()).to_string_lossy();
        let remedy = squbed_models::fetch_remedy(&[model]);
        Some(format!("{name} of the model `{model}` is not on this machine; {remedy}"))
    }

    /// Whose fault it is. What a user may get wrong with a tensor is checked before Candle sees it, so that an
    /// operation of Candle's that fails is the program's fault, however deep it lies.
    pub fn fault(&self) -> Fault {
        let of_candle = |error: &squbed_tensor::Error| matches!(error, squbed_tensor::Error::Candle(_));
        // Transparent variants give the cause of what they hold, not what they hold.
        let own = matches!(self, Self::Encode { .. }) || matches!(self, Self::Tensor(e) if of_candle(e));
        let mut causes = std::iter::successors(StdError::source(self), |&error| error.source());
        if own || causes.any(|error| error.downcast_ref().is_some_and(of_candle)) {
            Fault::Program
        } else {
            Fault::Input
        }
    }
}

#[cfg(test)]
mod tests {
    use squbed_tensor::EncodeError;

    use super::*;

    #[test]
    fn a_failed_operation_of_candle_s_is_the_program_s_fault_at_any_depth() {
        let candle = || candle_core::Error::Msg("shapes do not fit".to_owned());
        let models = || squbed_models::Error::from(candle());
        let encoder = EncodeError { encoder: "i3d".to_owned(), source: Box::new(models()) };
        let faults: Vec<Error> =
            vec![squbed_tensor::Error::from(candle()).into(), models().into(), encoder.into()];
        for error in &faults {
            assert_eq!(error.fault(), Fault::Program, "{error}");
            let told = squbed_core::causes(error);
            assert_eq!(told.last().map(String::as_str), Some("shapes do not fit"), "{told:?}");
        }
        let device = squbed_tensor::device::select_device("gpu").unwrap_err();
        assert_eq!(Error::from(device).fault(), Fault::Input);
    }

    #[test]
    fn a_full_disk_is_told_with_path_and_remedy_wherever_it_happens() {
        let full = || io::Error::from(io::ErrorKind::StorageFull);
        let path = || PathBuf::from("out/file");
        for error in [
            Error::Write { path: path(), source: full() },
            Error::Store(squbed_store::Error::Io { operation: "flush", path: path(), source: full() }),
            Error::Report(squbed_report::Error::Write { path: path(), source: full() }),
            Error::Tensor(squbed_tensor::Error::BasisFile {
                operation: "write",
                path: path(),
                source: full(),
            }),
            Error::World(squbed_sim::Error::Video {
                path: path(),
                source: squbed_video::Error::Unwritable { path: path(), source: full() },
            }),
            Error::Video(squbed_video::Error::Libav {
                operation: "encode",
                path: path(),
                source: squbed_video::LibavError { code: -28, text: "No space left on device".to_owned() },
            }),
        ] {
            assert!(error.to_string().contains("out/file"), "{error}");
            assert!(error.hint().unwrap().starts_with("no space is left"), "{error}");
        }
    }

    #[test]
    fn what_a_user_can_mend_has_a_remedy() {
        let task = |error| Error::Task(error).hint().unwrap();
        assert!(task(TaskError::TooFewLatents { id: "t".into(), n: 1 }).contains("squbed refine"));
        assert!(
            task(TaskError::TooFewVideos { id: "t".into(), latent: 0, m: 1 }).contains("squbed generate")
        );
        let step = Error::NoStep { path: "r/accuracy.jsonl".into(), step: "score" };
        assert_eq!(step.to_string(), "r/accuracy.jsonl is not there");
        assert_eq!(step.hint().unwrap(), "run `squbed score` into this folder first");
    }
}
