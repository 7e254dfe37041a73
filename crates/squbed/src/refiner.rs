//! What refines prompts: one description for an experiment's `[refine]` and for the flags of `squbed refine`.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
    time::Duration,
};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use squbed_core::{LatentPrompt, PromptRefiner, Task};
use squbed_generate::{
    chat::{ChatModel, LocalChat, ServerChat, ServerOptions},
    http::{HttpOptions, Service},
    refine::{ChatRefiner, Instruction, PromptFile, RefineOptions},
};
use squbed_models::{ModelStore, llm::TokenSampling};
use squbed_sim::GrammarRefiner;
use squbed_tensor::{DType, Device};

use crate::{
    choice::{ChoiceError, check_key_env, key, missing, refuse_superfluous},
    error::{Error, Result},
    progress::Progress,
    results,
    steps::{self, RefinedTask},
};

/// What was rejected on the way, a row a task; it grows as tasks are refined.
pub const REFINEMENT: &str = "refinement.jsonl";
/// What refined.
pub const REFINER: &str = "refiner.json";

/// A kind of refiner.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RefinerKind {
    /// The closed world's grammar, for its own prompts.
    #[default]
    ClosedWorld,
    /// A language model on this machine.
    Llm,
    /// A language model behind an OpenAI-compatible server.
    Server,
    /// A file of JSON lines `{"prompt": …, "latents": [ … ]}`.
    File,
}

impl RefinerKind {
    fn name(self) -> &'static str {
        match self {
            Self::ClosedWorld => "closed-world",
            Self::Llm => "llm",
            Self::Server => "server",
            Self::File => "file",
        }
    }
}

/// Refinement of prompts. What is not given has the default that its text names; what the chosen refiner does not read
/// must not be given.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Refine {
    /// What refines: `closed-world`, `llm`, `server` or `file`.
    #[serde(default)]
    pub refiner: RefinerKind,
    /// Latent prompts a task.
    #[serde(default = "ten")]
    pub latents: usize,
    /// The language model, `smollm2-135m`: its name in `squbed models list`, or the server's name for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub llm: Option<String>,
    /// Base address of the server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
    /// Environment variable with the server's key, [`KEY_ENV`](crate::choice::KEY_ENV).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_env: Option<String>,
    /// Requests at once, 4.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<usize>,
    /// Seconds that one request may take, 120.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<u64>,
    /// Tokens that the server may be paid for in one call of the program, prompts included; no bound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_cap: Option<u64>,
    /// The file of latent prompts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<PathBuf>,
    /// A file with the instruction, in the place of the program's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instruction: Option<PathBuf>,
    /// Randomness of tokens, 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f64>,
    /// The likeliest tokens of this probability together are kept, 0.95.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub top_p: Option<f64>,
    /// Tokens of less than this share of the likeliest one's probability are dropped, 0.05. A server is not told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_p: Option<f64>,
    /// Makes tokens that an answer has already less likely, 1. A server is not told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repetition_penalty: Option<f64>,
    /// Longest answer, in tokens, 64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<usize>,
    /// Times that answers which are no refinements are drawn again, 8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redraws: Option<usize>,
    /// Encoder that measures similarity where the language model cannot judge entailment, `all-MiniLM-L6-v2`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub similarity_model: Option<String>,
}

fn ten() -> usize {
    10
}

impl Default for Refine {
    fn default() -> Self {
        Self {
            refiner: RefinerKind::default(),
            latents: ten(),
            llm: None,
            server: None,
            key_env: None,
            concurrency: None,
            timeout: None,
            token_cap: None,
            file: None,
            instruction: None,
            temperature: None,
            top_p: None,
            min_p: None,
            repetition_penalty: None,
            max_tokens: None,
            redraws: None,
            similarity_model: None,
        }
    }
}

/// An open refiner with what is to be written down of it.
pub struct Opened {
    /// The refiner.
    pub refiner: Box<dyn PromptRefiner>,
    /// Its record; no key is in it.
    pub record: Value,
}

impl Refine {
    fn chosen(&self) -> String {
        format!("the refiner {}", self.refiner.name())
    }

    /// Checks what can be checked without files, models or keys.
    ///
    /// # Errors
    ///
    /// An option that the refiner does not read; one that it needs and that is not given; one out of its range.
    pub fn check(&self) -> Result<()> {
        let server = self.refiner == RefinerKind::Server;
        let chat = server || self.refiner == RefinerKind::Llm;
        let file = self.refiner == RefinerKind::File;
        refuse_superfluous(
            &self.chosen(),
            &[
                ("llm", self.llm.is_some(), chat),
                ("server", self.server.is_some(), server),
                ("key_env", self.key_env.is_some(), server),
                ("concurrency", self.concurrency.is_some(), server),
                ("timeout", self.timeout.is_some(), server),
                ("token_cap", self.token_cap.is_some(), server),
                ("file", self.file.is_some(), file),
                ("instruction", self.instruction.is_some(), chat),
                ("temperature", self.temperature.is_some(), chat),
                ("top_p", self.top_p.is_some(), chat),
                ("min_p", self.min_p.is_some(), chat),
                ("repetition_penalty", self.repetition_penalty.is_some(), chat),
                ("max_tokens", self.max_tokens.is_some(), chat),
                ("redraws", self.redraws.is_some(), chat),
                ("similarity_model", self.similarity_model.is_some(), chat),
            ],
        )?;
        if file {
            self.file()?;
        }
        if server {
            check_key_env(self.key_env.as_deref())?;
            // Before an address is written down: one that holds a password is refused.
            self.service(None)?;
            let concurrency = self.concurrency();
            if !(1..=64).contains(&concurrency) {
                let (name, value) = ("concurrency", concurrency as f64);
                return Err(Error::OutOfRange { name, value, least: 1.0, most: 64.0 });
            }
        }
        self.options().sampling.check().map_err(unusable)
    }

    fn file(&self) -> Result<&Path> {
        let what = "the file of latent prompts, JSON lines {\"prompt\": …, \"latents\": [ … ]}";
        self.file.as_deref().ok_or_else(|| missing("file", self.chosen(), what))
    }

    fn llm(&self) -> &str {
        self.llm.as_deref().unwrap_or("smollm2-135m")
    }

    fn concurrency(&self) -> usize {
        self.concurrency.unwrap_or(4)
    }

    fn similarity_model(&self) -> &str {
        self.similarity_model.as_deref().unwrap_or("all-MiniLM-L6-v2")
    }

    fn options(&self) -> RefineOptions {
        let default = RefineOptions::default();
        RefineOptions {
            sampling: TokenSampling {
                temperature: self.temperature.unwrap_or(default.sampling.temperature),
                top_p: self.top_p.unwrap_or(default.sampling.top_p),
                min_p: self.min_p.unwrap_or(default.sampling.min_p),
                repetition_penalty: self.repetition_penalty.unwrap_or(default.sampling.repetition_penalty),
            },
            max_tokens: self.max_tokens.unwrap_or(default.max_tokens),
            redraws: self.redraws.unwrap_or(default.redraws),
        }
    }

    /// What the language model is told.
    ///
    /// # Errors
    ///
    /// A file that is no instruction.
    pub fn instruction(&self) -> Result<Instruction> {
        match &self.instruction {
            Some(path) => Instruction::read(path).map_err(unusable),
            None => Ok(Instruction::own()),
        }
    }

    fn service(&self, key: Option<String>) -> Result<Service> {
        let what = "the server's address, such as http://localhost:8000/v1";
        let address = self.server.as_deref().ok_or_else(|| missing("server", self.chosen(), what))?;
        let deadline = Duration::from_secs(self.timeout.unwrap_or(120));
        let options = HttpOptions { deadline, ..HttpOptions::default() };
        Service::new(address, key, options).map_err(unusable)
    }

    /// A language model on this machine.
    ///
    /// # Errors
    ///
    /// A model that there is not, or that is not here whole.
    pub fn local(&self, models: &ModelStore, device: &Device) -> Result<LocalChat> {
        Ok(LocalChat::new(self.llm(), models.language_model(self.llm(), device)?))
    }

    /// A language model behind a server.
    ///
    /// # Errors
    ///
    /// No address, or one that is none; a variable without a key.
    pub fn server(&self) -> Result<ServerChat> {
        let service = self.service(key(self.key_env.as_deref())?)?;
        let model = self.llm().to_owned();
        let options = ServerOptions { model, concurrency: self.concurrency(), token_cap: self.token_cap };
        ServerChat::new(service, options).map_err(unusable)
    }

    /// The refiner, ready.
    ///
    /// # Errors
    ///
    /// As [`check`](Self::check), [`local`](Self::local) and [`server`](Self::server); files that cannot be read.
    pub fn open(&self, models: &ModelStore, device: &Device, dtype: DType) -> Result<Opened> {
        self.check()?;
        let mut digest = None;
        let model: Box<dyn ChatModel> = match self.refiner {
            RefinerKind::ClosedWorld => {
                let record = json!({ "refiner": GrammarRefiner.describe() });
                return Ok(Opened { refiner: Box::new(GrammarRefiner), record });
            }
            RefinerKind::File => {
                let path = self.file()?;
                let refiner = PromptFile::read(path).map_err(unusable)?;
                let digest = squbed_store::digest_file(path)?;
                let record = json!({ "refiner": format!("{}, BLAKE3 {digest}", refiner.describe()) });
                return Ok(Opened { refiner: Box::new(refiner), record });
            }
            RefinerKind::Llm => {
                let model = self.local(models, device)?;
                let files = &models.manifest(self.llm())?.files;
                let weights = files.iter().find(|file| file.path.ends_with(".gguf"));
                digest = weights.map(|file| file.sha256.to_string());
                Box::new(model)
            }
            RefinerKind::Server => Box::new(self.server()?),
        };
        let encoder = models.text_encoder(self.similarity_model(), device, dtype)?;
        let refiner =
            ChatRefiner::new(model, self.instruction()?, self.options(), Some(encoder)).map_err(unusable)?;
        let mut record = serde_json::to_value(refiner.record()).map_err(not_encoded)?;
        let digest = digest.map_or(String::new(), |digest| format!(", SHA-256 {digest}"));
        record["refiner"] = json!(format!("{}{digest}", refiner.describe()));
        Ok(Opened { refiner: Box::new(refiner), record })
    }

    /// What decides the latent prompts, those of files by their content: where it is the same, so are they. No model is
    /// opened for it.
    ///
    /// # Errors
    ///
    /// A file that cannot be read.
    pub fn digest(&self, seed: u64) -> Result<String> {
        let of_kind = match self.refiner {
            RefinerKind::ClosedWorld => Value::Null,
            RefinerKind::File => json!(squbed_store::digest_file(self.file()?)?),
            RefinerKind::Llm | RefinerKind::Server => json!({
                "llm": self.llm(),
                "server": self.server,
                "instruction": self.instruction()?,
                "options": self.options(),
                "similarity_model": self.similarity_model(),
            }),
        };
        let all = json!([self.refiner, self.latents, seed, of_kind]);
        Ok(squbed_store::digest_text(&all.to_string()))
    }

    /// Paths as `place` has them.
    pub(crate) fn place_paths(&mut self, place: impl Fn(&Path) -> PathBuf) {
        for path in [&mut self.file, &mut self.instruction].into_iter().flatten() {
            *path = place(path);
        }
    }

    /// The options that decide the latent prompts, by name, defaults filled in.
    pub(crate) fn deciding(&self) -> Vec<(&'static str, String)> {
        let path =
            |path: &Option<PathBuf>| path.as_ref().map_or("none".to_owned(), |p| p.display().to_string());
        let RefineOptions { sampling, max_tokens, redraws } = self.options();
        let mut options = vec![
            ("refine.refiner", self.refiner.name().to_owned()),
            ("refine.latents", self.latents.to_string()),
            ("refine.file", path(&self.file)),
        ];
        if matches!(self.refiner, RefinerKind::Llm | RefinerKind::Server) {
            options.extend([
                ("refine.llm", self.llm().to_owned()),
                ("refine.server", self.server.clone().unwrap_or_else(|| "none".to_owned())),
                ("refine.instruction", path(&self.instruction)),
                ("refine.temperature", sampling.temperature.to_string()),
                ("refine.top_p", sampling.top_p.to_string()),
                ("refine.min_p", sampling.min_p.to_string()),
                ("refine.repetition_penalty", sampling.repetition_penalty.to_string()),
                ("refine.max_tokens", max_tokens.to_string()),
                ("refine.redraws", redraws.to_string()),
                ("refine.similarity_model", self.similarity_model().to_owned()),
            ]);
        }
        options
    }
}

/// What cannot be made ready.
fn unusable(error: impl Into<squbed_core::BoxError>) -> Error {
    ChoiceError::Refiner { source: error.into() }.into()
}

fn not_encoded(source: serde_json::Error) -> Error {
    Error::Encode { what: "the refiner's record", source: Box::new(source) }
}

/// What [`refine_into`] did.
#[derive(Clone, Debug)]
pub struct Refining {
    /// The tasks that were refined, now or by an interrupted call, in their order.
    pub tasks: Vec<RefinedTask>,
    /// Of them, those that stood in the folder.
    pub reused: usize,
    /// What `refiner.json` holds.
    pub record: Value,
}

/// Gives each task that has no latent prompts its own, as [`steps::refine`] does, and writes each into
/// `folder/refinement.jsonl` as it is refined, so that an interrupted call goes on and pays for nothing twice. `open`
/// is called where something is left to refine.
///
/// # Errors
///
/// As `open` and [`steps::refine`]; files that cannot be read or written. Where the folder has latent prompts of other
/// options, `keep` refuses them; without it they are replaced.
pub fn refine_into(
    tasks: &mut [Task],
    spec: &Refine,
    seed: u64,
    folder: &Path,
    keep: bool,
    open: impl FnOnce() -> Result<Opened>,
    progress: &dyn Progress,
) -> Result<Refining> {
    let (rows_path, record_path) = (folder.join(REFINEMENT), folder.join(REFINER));
    let digest = spec.digest(seed)?;
    let there: Option<Value> =
        if record_path.is_file() { Some(results::read_json(&record_path)?) } else { None };
    let same = there.as_ref().is_some_and(|record| record["options_digest"] == json!(digest));
    if keep && !same && there.is_some() && !read_rows(&rows_path)?.is_empty() {
        let difference = "refinement, a file of it included, is another now".to_owned();
        return Err(Error::OtherExperiment { path: folder.to_owned(), difference });
    }
    let mut known = if same { read_rows(&rows_path)? } else { BTreeMap::new() };
    known.retain(|_, row| row.refinement.prompts.len() == spec.latents);
    let order: Vec<String> = tasks.iter().filter(|t| t.latents.is_empty()).map(|t| t.id.clone()).collect();
    let mut done: BTreeMap<String, RefinedTask> = BTreeMap::new();
    for task in tasks.iter_mut().filter(|t| t.latents.is_empty()) {
        if let Some(row) = known.remove(&task.id).filter(|row| row.prompt == task.prompt) {
            let latent = |prompt: &String| LatentPrompt { prompt: prompt.clone(), videos: Vec::new() };
            task.latents = row.refinement.prompts.iter().map(latent).collect();
            task.check()?;
            done.insert(task.id.clone(), row);
        }
    }
    let reused = done.len();
    let rows = |done: &BTreeMap<String, RefinedTask>| -> Vec<RefinedTask> {
        order.iter().filter_map(|id| done.get(id).cloned()).collect()
    };
    let record = match there.filter(|_| same && reused == order.len()) {
        Some(record) => record,
        None => {
            let opened = open()?;
            let mut record = opened.record;
            record["n"] = json!(spec.latents);
            record["seed"] = json!(seed);
            record["options_digest"] = json!(digest);
            results::make_folder(folder)?;
            // In this order: rows of other options never stand beside the new record.
            squbed_store::write_json_lines(&rows_path, &rows(&done))?;
            results::write_json(&record_path, &record)?;
            let unwritten = |source| Error::Write { path: rows_path.clone(), source };
            let mut file = File::options().append(true).open(&rows_path).map_err(unwritten)?;
            let mut keep_row = |row: &RefinedTask| {
                let mut line = serde_json::to_vec(row).map_err(not_encoded)?;
                line.push(b'\n');
                file.write_all(&line).and_then(|()| file.sync_data()).map_err(unwritten)
            };
            let now = steps::refine(tasks, &*opened.refiner, spec.latents, seed, &mut keep_row, progress)?;
            done.extend(now.into_iter().map(|row| (row.id.clone(), row)));
            record
        }
    };
    let tasks = rows(&done);
    squbed_store::write_json_lines(&rows_path, &tasks)?;
    Ok(Refining { tasks, reused, record })
}

/// The rows that are whole, by task; a killed process leaves its last one unfinished.
fn read_rows(path: &Path) -> Result<BTreeMap<String, RefinedTask>> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
        Err(source) => return Err(Error::Read { path: path.to_owned(), source }),
    };
    let rows =
        bytes.split(|&b| b == b'\n').map_while(|line| serde_json::from_slice::<RefinedTask>(line).ok());
    Ok(rows.map(|row| (row.id.clone(), row)).collect())
}
