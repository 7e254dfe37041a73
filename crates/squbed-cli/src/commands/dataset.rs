//! `squbed dataset`: tasks into categories, and a sample of them.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use squbed::{
    dataset::{self, Category, PAPER_CATEGORIES},
    models::ModelStore,
    progress::Progress,
    results::{carry_truth, check_file, folder_of, write_json},
    store::{read_tasks, write_json_lines, write_tasks},
};

use crate::{Common, Done, output::Records, progress::Bars};

#[derive(Subcommand)]
pub(crate) enum Dataset {
    /// Give each task a category by its prompt, with a confidence: the nearest description among sentence embeddings.
    Classify(Classify),
    /// Take so many tasks of each category; what one lacks is filled from the others.
    Sample(Sample),
}

#[derive(Args)]
pub(crate) struct Classify {
    /// Task manifest.
    tasks: PathBuf,
    /// Encoder of the prompts.
    #[arg(long, default_value = "all-MiniLM-L6-v2")]
    text_model: String,
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
            Self::Classify(classify) => classify.run(common),
            Self::Sample(sample) => sample.run(common),
        }
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
        let (device, dtype) = super::place(common)?;
        let store = ModelStore::new(None).map_err(squbed::Error::from)?;
        let encoder = store.text_encoder(&self.text_model, &device, dtype).map_err(squbed::Error::from)?;
        let rows = dataset::classify(&mut tasks, &categories, &*encoder, &Bars::new(common.quiet))?;
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
