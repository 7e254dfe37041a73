//! `squbed refine`: where latent prompts come from.

use std::path::PathBuf;

use anyhow::bail;
use clap::{Args, ValueEnum};
use serde_json::Value;
use squbed::{
    core::PromptRefiner,
    generate::chat::{LocalChat, ServerChat},
    models::ModelStore,
    refiner::{Opened, Refine as Spec, RefinerKind, refine_into},
    results::{carry_truth, check_file, folder_of},
    store::{read_tasks, write_tasks},
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

impl From<Kind> for RefinerKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Llm => Self::Llm,
            Kind::Server => Self::Server,
            Kind::Grammar => Self::ClosedWorld,
            Kind::File => Self::File,
        }
    }
}

/// Flags of every command that asks a language model.
#[derive(Args)]
pub(crate) struct ChatArgs {
    /// The language model: its name in `squbed models list`, or with a server the server's name for it [default:
    /// smollm2-135m].
    #[arg(long, value_name = "NAME")]
    llm: Option<String>,
    /// Base address of the server, such as http://localhost:8000/v1.
    #[arg(long, value_name = "URL")]
    server: Option<String>,
    /// Environment variable with the server's key [default: OPENAI_API_KEY].
    #[arg(long, value_name = "VARIABLE")]
    key_env: Option<String>,
    /// Requests at once [default: 4].
    #[arg(long)]
    concurrency: Option<usize>,
    /// Seconds that one request may take [default: 120].
    #[arg(long)]
    timeout: Option<u64>,
    /// Tokens that the server may be paid for in all, prompts included.
    #[arg(long, value_name = "TOKENS")]
    token_cap: Option<u64>,
}

impl ChatArgs {
    fn spec(&self, refiner: RefinerKind) -> Spec {
        Spec {
            refiner,
            llm: self.llm.clone(),
            server: self.server.clone(),
            key_env: self.key_env.clone(),
            concurrency: self.concurrency,
            timeout: self.timeout,
            token_cap: self.token_cap,
            ..Spec::default()
        }
    }

    /// A language model on this machine.
    pub(super) fn local(&self, common: &Common) -> anyhow::Result<LocalChat> {
        let (device, _) = super::place(common)?;
        let spec = self.spec(RefinerKind::Llm);
        spec.check()?;
        Ok(spec.local(&ModelStore::new(None).map_err(squbed::Error::from)?, &device)?)
    }

    /// A language model behind a server.
    pub(super) fn server(&self) -> anyhow::Result<ServerChat> {
        let spec = self.spec(RefinerKind::Server);
        spec.check()?;
        Ok(spec.server()?)
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
    /// Randomness of tokens; 0 takes the likeliest [default: 1].
    #[arg(long)]
    temperature: Option<f64>,
    /// Keep the likeliest tokens of this probability together [default: 0.95].
    #[arg(long)]
    top_p: Option<f64>,
    /// Drop tokens of less than this share of the likeliest one's probability [default: 0.05]. A server is not told.
    #[arg(long)]
    min_p: Option<f64>,
    /// Make tokens that the answer has already less likely; 1 does not [default: 1]. A server is not told.
    #[arg(long)]
    repetition_penalty: Option<f64>,
    /// Longest answer, in tokens [default: 64].
    #[arg(long)]
    max_tokens: Option<usize>,
    /// Times that answers which are no refinements are drawn again [default: 8].
    #[arg(long)]
    redraws: Option<usize>,
    /// Encoder that measures similarity where the language model cannot judge entailment [default: all-MiniLM-L6-v2].
    #[arg(long, value_name = "NAME")]
    similarity_model: Option<String>,
}

impl RefinerArgs {
    /// What the flags say, for `latents` latent prompts a task.
    fn spec(&self, latents: usize) -> Spec {
        Spec {
            latents,
            file: self.latents.clone(),
            instruction: self.instruction.clone(),
            temperature: self.temperature,
            top_p: self.top_p,
            min_p: self.min_p,
            repetition_penalty: self.repetition_penalty,
            max_tokens: self.max_tokens,
            redraws: self.redraws,
            similarity_model: self.similarity_model.clone(),
            ..self.chat.spec(self.refiner.into())
        }
    }

    /// The refiner with what is to be written down of it.
    pub(crate) fn open(
        &self,
        common: &Common,
        bars: &Bars,
    ) -> anyhow::Result<(Box<dyn PromptRefiner>, Value)> {
        let Opened { refiner, record } = open(&self.spec(2), common, bars)?;
        Ok((refiner, record))
    }
}

fn open(spec: &Spec, common: &Common, bars: &Bars) -> squbed::Result<Opened> {
    let (device, dtype) = super::place(common)?;
    let opened = spec.open(&ModelStore::new(None)?, &device, dtype)?;
    if let Some(judge) = opened.record["judge"].as_str() {
        bars.note(&format!("refiner: {}; judge: {judge}", opened.refiner.describe()));
    }
    Ok(opened)
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
    /// refined. An interrupted call goes on when it is given again: tasks that stand in `refinement.jsonl` of the same
    /// options are not refined again.
    #[arg(long, required_unless_present = "show_instruction")]
    out: Option<PathBuf>,
    /// Print the instruction in force and do nothing else.
    #[arg(long)]
    show_instruction: bool,
}

impl Refine {
    pub(crate) fn run(self, common: &Common) -> anyhow::Result<Done> {
        if self.show_instruction {
            let instruction = self.refiner.spec(self.n).instruction()?;
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
        let (spec, folder) = (self.refiner.spec(self.n), folder_of(out));
        spec.check()?;
        let open = || open(&spec, common, &bars);
        let refined = refine_into(&mut tasks, &spec, self.seed, folder, false, open, &bars)?;
        if refined.reused > 0 {
            bars.note(&format!("{} of {} refined tasks reused", refined.reused, refined.tasks.len()));
        }
        write_tasks(out, &tasks).map_err(squbed::Error::from)?;
        carry_truth(tasks_path, &tasks, folder)?;
        let (drawn, rejected) = refined
            .tasks
            .iter()
            .fold((0, 0), |(d, r), task| (d + task.refinement.drawn, r + task.refinement.rejected.len()));
        if rejected > 0 {
            bars.note(&format!("{rejected} of {drawn} answers rejected; see refinement.jsonl"));
        }
        Ok(Done::Whole)
    }
}
