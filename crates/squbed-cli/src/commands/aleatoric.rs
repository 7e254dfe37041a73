//! `squbed aleatoric`: one prompt's ambiguity, no video needed.

use std::{
    io::{self, Write},
    path::PathBuf,
};

use anyhow::{Context, anyhow};
use clap::Args;
use serde::Serialize;
use squbed::{
    aleatoric,
    core::{Flag, RefineRequest, float},
    models::ModelStore,
    progress::Progress,
    sim::refine_seed,
    vmf::Estimator,
};

use super::{generate::at_least_two, refine::RefinerArgs};
use crate::{
    Common, Done,
    output::{Format, Records},
    progress::Bars,
};

#[derive(Args)]
pub(crate) struct Aleatoric {
    /// The prompts, each of which is measured.
    #[arg(required = true)]
    prompts: Vec<String>,
    #[command(flatten)]
    refiner: RefinerArgs,
    /// Latent prompts.
    #[arg(long, short, default_value_t = 10)]
    n: usize,
    /// Seed of what is drawn.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Encoder of the latent prompts.
    #[arg(long, default_value = "all-MiniLM-L6-v2")]
    text_model: String,
    /// Estimator of κ: u, exact, banerjee, sra, song or tanabe.
    #[arg(long, default_value = "u")]
    estimator: Estimator,
    /// Project on the basis that an earlier estimate stored, its basis.safetensors; without one nothing is projected.
    #[arg(long)]
    basis: Option<PathBuf>,
}

#[derive(Serialize)]
struct Row<'a> {
    prompt: &'a str,
    /// h(Z | ℓ), nats.
    #[serde(with = "float")]
    h: f64,
    #[serde(with = "float")]
    low: f64,
    #[serde(with = "float")]
    high: f64,
    #[serde(with = "float")]
    kappa: f64,
    #[serde(with = "float")]
    rbar: f64,
    n: usize,
    dim: usize,
    estimator: String,
    projection: &'a str,
    flags: Vec<Flag>,
    #[serde(skip_serializing_if = "Option::is_none")]
    how: Option<How<'a>>,
}

/// What JSON has beyond the numbers.
#[derive(Serialize)]
struct How<'a> {
    text_model: &'a str,
    seed: u64,
    refiner: &'a serde_json::Value,
    drawn: usize,
    rejected: &'a [squbed::core::Rejection],
    latents: &'a [String],
}

impl Aleatoric {
    pub(crate) fn run(self, common: &Common) -> anyhow::Result<Done> {
        at_least_two("-n", self.n)?;
        let bars = Bars::new(common.quiet);
        let (device, dtype) = super::place(common)?;
        let (refiner, record) = self.refiner.open(common, &bars)?;
        let store = ModelStore::new(None).map_err(squbed::Error::from)?;
        let encoder = store.text_encoder(&self.text_model, &device, dtype).map_err(squbed::Error::from)?;
        let (mut refined, mut measured) = (Vec::new(), Vec::new());
        bars.begin("refine prompts", self.prompts.len() as u64, "prompts");
        for prompt in &self.prompts {
            // The prompt takes the place of a task's id, so that it is refined alike wherever it stands.
            let request = RefineRequest { prompt, n: self.n, seed: refine_seed(self.seed, prompt) };
            let account = refiner
                .refine_with_account(&request)
                .map_err(|error| anyhow!(error))
                .with_context(|| format!("refining “{prompt}” failed"))?;
            refined.push(account);
            bars.advance(1);
        }
        bars.end();
        let basis = self.basis.as_deref();
        for account in &refined {
            let (latents, encoder) = (&account.prompts, &*encoder);
            measured.push(aleatoric::of_latents(latents, encoder, self.estimator, basis, &device, &bars)?);
        }
        let table = common.format == Format::Table;
        let how = |i: usize| How {
            text_model: &self.text_model,
            seed: self.seed,
            refiner: &record,
            drawn: refined[i].drawn,
            rejected: &refined[i].rejected,
            latents: &refined[i].prompts,
        };
        let rows: Vec<Row<'_>> = self
            .prompts
            .iter()
            .zip(&measured)
            .enumerate()
            .map(|(i, (prompt, of))| Row {
                prompt,
                h: of.fit.entropy,
                low: of.interval.low,
                high: of.interval.high,
                kappa: of.fit.kappa,
                rbar: of.fit.rbar,
                n: of.fit.m,
                dim: of.fit.dim,
                estimator: self.estimator.to_string(),
                projection: if basis.is_some() { "stored basis" } else { "none" },
                flags: of.fit.flags.clone(),
                // Columns for people; the latent prompts stand below them.
                how: (!table && common.format != Format::Csv).then(|| how(i)),
            })
            .collect();
        let records = match rows.as_slice() {
            [row] => Records::one(row)?,
            rows => Records::list(rows)?,
        };
        records.print(common.format)?;
        if table {
            let mut out = io::stdout().lock();
            for (prompt, account) in self.prompts.iter().zip(&refined) {
                writeln!(out, "\nlatent prompts of “{prompt}”:")?;
                for latent in &account.prompts {
                    writeln!(out, "  {latent}")?;
                }
            }
        }
        Ok(Done::Whole)
    }
}
