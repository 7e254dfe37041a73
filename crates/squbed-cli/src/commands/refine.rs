//! `squbed refine`: where latent prompts come from.

use std::{path::PathBuf, time::Duration};

use anyhow::{Context, anyhow, bail};
use clap::{Args, ValueEnum};
use serde_json::{Value, json};
use squbed::{
    core::PromptRefiner,
    generate::{
        chat::{ChatModel, LocalChat, ServerChat, ServerOptions},
        http::{HttpOptions, Service},
        refine::{ChatRefiner, Instruction, PromptFile, RefineOptions},
    },
    models::{ModelStore, llm::TokenSampling},
    results::{carry_truth, check_file, folder_of, write_json},
    sim::GrammarRefiner,
    steps,
    store::{read_tasks, write_json_lines, write_tasks},
};

use super::generate::at_least_two;
use crate::{Common, Done, progress::Bars};

/// What refines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    /// A language model on this machine.
    Llm,
    /// A language model behind an OpenAI-compatible server.
    Server,
    /// The closed world's grammar, for its own prompts.
    #[value(alias = "closed-world")]
    Grammar,
    /// A file of JSON lines {"prompt": …, "latents": [ … ]}.
    File,
}

/// Flags of every command that asks a language model.
#[derive(Args)]
pub(crate) struct ChatArgs {
    /// The language model: its name in `squbed models list`, or with a server the server's name for it.
    #[arg(long, value_name = "NAME", default_value = "smollm2-135m")]
    llm: String,
    /// Base address of the server, such as http://localhost:8000/v1.
    #[arg(long, value_name = "URL")]
    server: Option<String>,
    /// Environment variable with the server's key.
    #[arg(long, value_name = "VARIABLE", default_value = "OPENAI_API_KEY")]
    key_env: String,
    /// Requests at once.
    #[arg(long, default_value_t = 4)]
    concurrency: usize,
    /// Seconds that one request may take.
    #[arg(long, default_value_t = 120)]
    timeout: u64,
    /// Tokens that the server may be paid for in all, prompts included.
    #[arg(long, value_name = "TOKENS")]
    token_cap: Option<u64>,
}

impl ChatArgs {
    /// A language model on this machine.
    pub(super) fn local(&self, common: &Common) -> anyhow::Result<LocalChat> {
        let (device, _) = super::place(common)?;
        let store = ModelStore::new(None).map_err(squbed::Error::from)?;
        let model = store.language_model(&self.llm, &device).map_err(squbed::Error::from)?;
        Ok(LocalChat::new(&self.llm, model))
    }

    /// A language model behind a server.
    pub(super) fn server(&self) -> anyhow::Result<ServerChat> {
        let address = self.server.as_deref().context("name the server with --server")?;
        let key = std::env::var(&self.key_env).ok();
        let options = HttpOptions { deadline: Duration::from_secs(self.timeout), ..HttpOptions::default() };
        let model = self.llm.clone();
        let (concurrency, token_cap) = (self.concurrency, self.token_cap);
        if !(1..=64).contains(&concurrency) {
            bail!("--concurrency is {concurrency}; it is from 1 to 64");
        }
        let service = Service::new(address, key, options)?;
        Ok(ServerChat::new(service, ServerOptions { model, concurrency, token_cap })?)
    }
}

/// Flags of every command that refines.
#[derive(Args)]
pub(crate) struct RefinerArgs {
    /// What refines.
    #[arg(long, value_enum, default_value = "llm")]
    refiner: Kind,
    #[command(flatten)]
    chat: ChatArgs,
    /// File of latent prompts, for `--refiner file`.
    #[arg(long, value_name = "FILE", required_if_eq("refiner", "file"))]
    latents: Option<PathBuf>,
    /// Instruction in the place of the program's own: TOML with `version`, `system` and `[[examples]]`.
    #[arg(long, value_name = "FILE")]
    instruction: Option<PathBuf>,
    /// Randomness of tokens; 0 takes the likeliest.
    #[arg(long, default_value_t = 1.0)]
    temperature: f64,
    /// Keep the likeliest tokens of this probability together.
    #[arg(long, default_value_t = 0.95)]
    top_p: f64,
    /// Drop tokens of less than this share of the likeliest one's probability. A server is not told.
    #[arg(long, default_value_t = 0.05)]
    min_p: f64,
    /// Make tokens that the answer has already less likely; 1 does not. A server is not told.
    #[arg(long, default_value_t = 1.0)]
    repetition_penalty: f64,
    /// Longest answer, in tokens.
    #[arg(long, default_value_t = 64)]
    max_tokens: usize,
    /// Times that answers which are no refinements are drawn again.
    #[arg(long, default_value_t = 8)]
    redraws: usize,
    /// Encoder that measures similarity where the language model cannot judge entailment.
    #[arg(long, value_name = "NAME", default_value = "all-MiniLM-L6-v2")]
    similarity_model: String,
}

impl RefinerArgs {
    /// The refiner with what is to be written down of it.
    pub(crate) fn open(
        &self,
        common: &Common,
        bars: &Bars,
    ) -> anyhow::Result<(Box<dyn PromptRefiner>, Value)> {
        let simple = |refiner: Box<dyn PromptRefiner>| {
            let record = json!({ "refiner": refiner.describe() });
            (refiner, record)
        };
        let model: Box<dyn ChatModel> = match self.refiner {
            Kind::Grammar => return Ok(simple(Box::new(GrammarRefiner))),
            Kind::File => {
                let path = self.latents.as_deref().context("name the file with --latents")?;
                return Ok(simple(Box::new(PromptFile::read(path)?)));
            }
            Kind::Llm => Box::new(self.chat.local(common)?),
            Kind::Server => Box::new(self.chat.server()?),
        };
        let instruction = match &self.instruction {
            Some(path) => Instruction::read(path)?,
            None => Instruction::own(),
        };
        let sampling = TokenSampling {
            temperature: self.temperature,
            top_p: self.top_p,
            min_p: self.min_p,
            repetition_penalty: self.repetition_penalty,
        };
        let options = RefineOptions { sampling, max_tokens: self.max_tokens, redraws: self.redraws };
        let (device, dtype) = super::place(common)?;
        let store = ModelStore::new(None).map_err(squbed::Error::from)?;
        let encoder =
            store.text_encoder(&self.similarity_model, &device, dtype).map_err(squbed::Error::from)?;
        let refiner =
            ChatRefiner::new(model, instruction, options, Some(encoder)).map_err(|error| anyhow!(error))?;
        let record = serde_json::to_value(refiner.record())?;
        bars.note(&format!(
            "refiner: {}; judge: {}",
            refiner.describe(),
            record["judge"].as_str().unwrap_or("")
        ));
        Ok((Box::new(refiner), record))
    }
}

#[derive(Args)]
pub(crate) struct Refine {
    /// Task manifest (JSON Lines, Parquet, or a folder tree).
    #[arg(required_unless_present = "show_instruction")]
    tasks: Option<PathBuf>,
    #[command(flatten)]
    refiner: RefinerArgs,
    /// Latent prompts a task.
    #[arg(long, short, default_value_t = 10)]
    n: usize,
    /// Seed of what is drawn.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Manifest with the latent prompts; beside it `refinement.jsonl` says what was rejected and `refiner.json` what
    /// refined.
    #[arg(long, required_unless_present = "show_instruction")]
    out: Option<PathBuf>,
    /// Print the instruction in force and do nothing else.
    #[arg(long)]
    show_instruction: bool,
}

impl Refine {
    pub(crate) fn run(self, common: &Common) -> anyhow::Result<Done> {
        if self.show_instruction {
            let instruction = match &self.refiner.instruction {
                Some(path) => Instruction::read(path)?,
                None => Instruction::own(),
            };
            crate::output::Records::one(&instruction)?.print(common.format)?;
            return Ok(Done::Whole);
        }
        let (Some(tasks_path), Some(out)) = (&self.tasks, &self.out) else {
            bail!("name the tasks and --out")
        };
        at_least_two("-n", self.n)?;
        check_file(out)?;
        let mut tasks = read_tasks(tasks_path).map_err(squbed::Error::from)?;
        let bars = Bars::new(common.quiet);
        let (refiner, mut record) = self.refiner.open(common, &bars)?;
        let refined = steps::refine(&mut tasks, &*refiner, self.n, self.seed, &bars)?;
        let folder = folder_of(out);
        record["n"] = json!(self.n);
        record["seed"] = json!(self.seed);
        write_tasks(out, &tasks).map_err(squbed::Error::from)?;
        write_json_lines(&folder.join("refinement.jsonl"), &refined).map_err(squbed::Error::from)?;
        write_json(&folder.join("refiner.json"), &record)?;
        carry_truth(tasks_path, &tasks, folder)?;
        let (drawn, rejected) = refined
            .iter()
            .fold((0, 0), |(d, r), task| (d + task.refinement.drawn, r + task.refinement.rejected.len()));
        if rejected > 0 {
            bars.note(&format!("{rejected} of {drawn} answers rejected; see refinement.jsonl"));
        }
        Ok(Done::Whole)
    }
}
