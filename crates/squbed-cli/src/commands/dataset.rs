//! `squbed dataset`: data sets of other programs in and out, tasks looked over, sorted into categories, sampled.

use std::path::PathBuf;

use anyhow::{anyhow, bail};
use clap::{Args, Subcommand, ValueEnum};
use squbed::{
    dataset::{self, Category, DatasetForm, ExportForm, ExportOptions, ImportOptions, PAPER_CATEGORIES},
    generate::chat::ChatModel,
    models::ModelStore,
    progress::Progress,
    results::{self, carry_truth, check_file, check_folder, folder_of, write_json},
    store::{read_tasks, write_json_lines, write_tasks},
};

use crate::{Common, Done, output::Records, progress::Bars};

#[derive(Subcommand)]
pub(crate) enum Dataset {
    /// Make tasks of a data set: Panda-70M, VidGen-1M, WebDataset archives, a VideoFolder, or a list of prompts.
    Import(Import),
    /// Look at every task and every video, and say what is unfit for the method.
    Validate(Validate),
    /// Give each task a category by its prompt, with a confidence: the nearest description among sentence embeddings.
    Classify(Classify),
    /// Take so many tasks of each category; what one lacks is filled from the others.
    Sample(Sample),
    /// Give tasks and videos away as WebDataset archives or a VideoFolder, with a card.
    Export(Export),
}

#[derive(Args)]
pub(crate) struct Import {
    /// A file or folder of the data set.
    source: PathBuf,
    /// panda-70m, vidgen-1m, webdataset, video-folder or list; by its looks where not given.
    #[arg(long)]
    form: Option<DatasetForm>,
    /// Folder of the true videos, named after the tasks' ids (panda-70m: VIDEOID_00000.mp4, …; vidgen-1m: VID.mp4), in
    /// subfolders too. Of WebDataset archives, the folder that their videos are unpacked to; `videos` beside the
    /// manifest where not given.
    #[arg(long)]
    videos: Option<PathBuf>,
    /// The data set's name in the tasks.
    #[arg(long, value_name = "NAME")]
    dataset: Option<String>,
    /// Take the first so many tasks.
    #[arg(long, value_name = "TASKS")]
    limit: Option<usize>,
    /// Manifest of the tasks; beside it `import.json` says what was passed over.
    #[arg(long)]
    out: PathBuf,
}

#[derive(Args)]
pub(crate) struct Validate {
    /// Task manifest.
    tasks: PathBuf,
    #[command(flatten)]
    limits: super::limits::DecodeLimits,
}

#[derive(Args)]
pub(crate) struct Export {
    /// Task manifest with videos.
    tasks: PathBuf,
    /// webdataset (tar archives) or video-folder (videos in folders, with metadata.parquet).
    #[arg(long)]
    form: ExportForm,
    /// Name of the data set; the manifest's folder's where not given.
    #[arg(long)]
    name: Option<String>,
    /// Licence of prompts and videos, such as cc-by-4.0; it stands in the card.
    #[arg(long)]
    license: String,
    /// Clips of one archive.
    #[arg(long, default_value_t = 1000)]
    clips_per_shard: usize,
    /// A results' folder of these tasks; the card names its encoders with their digests.
    #[arg(long, value_name = "DIR")]
    results: Option<PathBuf>,
    /// A new or empty folder.
    #[arg(long)]
    out: PathBuf,
}

/// What sorts tasks into categories.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum By {
    /// The nearest description among sentence embeddings.
    Embeddings,
    /// A language model on this machine.
    Llm,
    /// A language model behind an OpenAI-compatible server.
    Server,
}

#[derive(Args)]
pub(crate) struct Classify {
    /// Task manifest.
    tasks: PathBuf,
    /// What sorts them.
    #[arg(long, value_enum, default_value = "embeddings")]
    by: By,
    /// Encoder of the prompts.
    #[arg(long, default_value = "all-MiniLM-L6-v2")]
    text_model: String,
    #[command(flatten)]
    chat: super::refine::ChatArgs,
    /// Seed of a language model's answers.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Categories in the place of the paper's animals, food, games, people and other: a JSON array of {"name",
    /// "descriptions": [ … ]}.
    #[arg(long, value_name = "FILE")]
    categories: Option<PathBuf>,
    /// Manifest with the categories; beside it `classification.jsonl` holds the confidences.
    #[arg(long)]
    out: PathBuf,
}

#[derive(Args)]
pub(crate) struct Sample {
    /// Task manifest with categories.
    tasks: PathBuf,
    /// Tasks of each category. The paper's 200 tasks can be read as a data set's (40 of each of five categories) or as a
    /// category's (200 of each).
    #[arg(long)]
    per_category: usize,
    /// Seed of the choice.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Manifest of the sample; beside it `sample.json` says how it was taken.
    #[arg(long)]
    out: PathBuf,
}

impl Dataset {
    pub(crate) fn run(self, common: &Common) -> anyhow::Result<Done> {
        match self {
            Self::Import(import) => import.run(common),
            Self::Validate(validate) => validate.run(common),
            Self::Classify(classify) => classify.run(common),
            Self::Sample(sample) => sample.run(common),
            Self::Export(export) => export.run(common),
        }
    }
}

impl Import {
    fn run(self, common: &Common) -> anyhow::Result<Done> {
        check_file(&self.out)?;
        let form = match self.form {
            Some(form) => form,
            None => DatasetForm::of(&self.source).map_err(squbed::Error::from)?,
        };
        let folder = folder_of(&self.out);
        let unpacked = (form == DatasetForm::WebDataset).then(|| folder.join("videos"));
        let options = ImportOptions {
            form,
            videos: self.videos.as_deref().or(unpacked.as_deref()),
            dataset: self.dataset.as_deref(),
            limit: self.limit,
        };
        let imported = dataset::import(&self.source, &options).map_err(squbed::Error::from)?;
        write_tasks(&self.out, &imported.tasks).map_err(squbed::Error::from)?;
        write_json(&folder.join("import.json"), &imported.record)?;
        let record = &imported.record;
        if let Some(first) = record.passed_over.first() {
            Bars::new(common.quiet).warn(&format!(
                "{} rows make no task; see {}. The first: {}: {}",
                record.passed_over.len(),
                folder.join("import.json").display(),
                first.place,
                first.reason
            ));
        }
        let summary = serde_json::json!({
            "form": record.form, "tasks": record.tasks, "ground_truths": record.ground_truths,
            "generated": record.generated, "passed_over": record.passed_over.len(),
        });
        Records::one(&summary)?.print(common.format)?;
        Ok(Done::Whole)
    }
}

impl Validate {
    fn run(self, common: &Common) -> anyhow::Result<Done> {
        let tasks = read_tasks(&self.tasks).map_err(squbed::Error::from)?;
        let bars = Bars::new(common.quiet);
        let found = dataset::validate(&tasks, &self.limits.get(), &bars);
        bars.note(&format!(
            "{} tasks, {} latent prompts, {} generated and {} true videos; {} problems",
            found.tasks,
            found.latents,
            found.videos,
            found.ground_truths,
            found.problems.len()
        ));
        if common.format == crate::output::Format::Json {
            Records::one(&found)?.print(common.format)?;
        } else {
            Records::list(&found.problems)?.print(common.format)?;
        }
        Ok(if found.problems.is_empty() { Done::Whole } else { Done::WithFailures })
    }
}

impl Export {
    fn run(self, common: &Common) -> anyhow::Result<Done> {
        let tasks = read_tasks(&self.tasks).map_err(squbed::Error::from)?;
        if self.clips_per_shard == 0 {
            bail!("--clips-per-shard is 0; an archive holds at least 1");
        }
        let mut methods = Vec::new();
        if let Some(results) = &self.results {
            for name in results::estimate_names(results)? {
                methods.push(results::read_method(results, &name)?);
            }
        }
        let folder = std::path::absolute(folder_of(&self.tasks))?;
        let named = folder.file_name().map(|name| name.to_string_lossy().into_owned());
        let name = self.name.clone().or(named).ok_or_else(|| anyhow!("name the data set with --name"))?;
        check_folder(&self.out)?;
        let options = ExportOptions {
            form: self.form,
            out: &self.out,
            name: &name,
            licence: &self.license,
            clips_per_shard: self.clips_per_shard,
            methods,
        };
        let exported = dataset::export(&tasks, &options, &Bars::new(common.quiet))?;
        Records::one(&exported)?.print(common.format)?;
        Ok(Done::Whole)
    }
}

impl Classify {
    fn run(self, common: &Common) -> anyhow::Result<Done> {
        check_file(&self.out)?;
        let mut tasks = read_tasks(&self.tasks).map_err(squbed::Error::from)?;
        let categories = match &self.categories {
            Some(path) => dataset::read_categories(path)?,
            None => PAPER_CATEGORIES
                .iter()
                .map(|(name, descriptions)| Category {
                    name: (*name).to_owned(),
                    descriptions: descriptions.iter().map(|d| (*d).to_owned()).collect(),
                })
                .collect(),
        };
        let bars = Bars::new(common.quiet);
        let by_model = |model: &dyn ChatModel, tasks: &mut [_]| {
            dataset::classify_by_model(tasks, &categories, model, self.seed, &bars)
        };
        let (rows, without) = match self.by {
            By::Embeddings => {
                let (device, dtype) = super::place(common)?;
                let store = ModelStore::new(None).map_err(squbed::Error::from)?;
                let encoder =
                    store.text_encoder(&self.text_model, &device, dtype).map_err(squbed::Error::from)?;
                (dataset::classify(&mut tasks, &categories, &*encoder, &bars)?, Vec::new())
            }
            By::Llm => by_model(&self.chat.local(common)?, &mut tasks)?,
            By::Server => by_model(&self.chat.server()?, &mut tasks)?,
        };
        if let Some(first) = without.first() {
            bars.warn(&format!(
                "{} of {} tasks have no category, since no answer named one; the first is `{first}`. Sort by \
                 --by embeddings, or ask a larger model",
                without.len(),
                tasks.len()
            ));
        }
        write_tasks(&self.out, &tasks).map_err(squbed::Error::from)?;
        let folder = folder_of(&self.out);
        write_json_lines(&folder.join("classification.jsonl"), &rows).map_err(squbed::Error::from)?;
        carry_truth(&self.tasks, &tasks, folder)?;
        Records::list(&rows)?.print(common.format)?;
        Ok(Done::Whole)
    }
}

impl Sample {
    fn run(self, common: &Common) -> anyhow::Result<Done> {
        check_file(&self.out)?;
        let tasks = read_tasks(&self.tasks).map_err(squbed::Error::from)?;
        let sampled = dataset::sample(&tasks, self.per_category, self.seed)?;
        write_tasks(&self.out, &sampled.tasks).map_err(squbed::Error::from)?;
        let folder = folder_of(&self.out);
        write_json(&folder.join("sample.json"), &sampled.record)?;
        carry_truth(&self.tasks, &sampled.tasks, folder)?;
        if sampled.record.missing > 0 {
            let bars = Bars::new(common.quiet);
            bars.warn(&format!("{} tasks are missing; every category is exhausted", sampled.record.missing));
        }
        Records::one(&sampled.record)?.print(common.format)?;
        Ok(Done::Whole)
    }
}
