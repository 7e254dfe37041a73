//! `squbed plan`: what a study can show, before it is paid for.

use std::{io::Write, path::PathBuf};

use clap::Args;
use serde::Serialize;
use squbed::{
    plan::{self, Power, Settling},
    results,
    stats::Alternative,
};

use crate::{
    Common, Done,
    output::{Format, Records},
};

#[derive(Args)]
pub(crate) struct Plan {
    /// Tasks of the study.
    #[arg(long)]
    tasks: usize,
    /// two-sided, less or greater.
    #[arg(long, default_value = "two-sided")]
    alternative: Alternative,
    /// Level of the test.
    #[arg(long, default_value_t = 0.05)]
    alpha: f64,
    /// Tests that share the level, as in Holm's correction.
    #[arg(long, default_value_t = 1)]
    tests: usize,
    /// Chance that a true correlation should have of being found.
    #[arg(long, default_value_t = 0.8)]
    power: f64,
    /// Results of a pilot: shows how intervals and ranking settle with more latent prompts and videos.
    #[arg(long)]
    pilot: Option<PathBuf>,
    /// Estimate of the pilot.
    #[arg(long, default_value = "default", requires = "pilot")]
    estimate: String,
    /// Numbers of latent prompts to look at.
    #[arg(long, value_delimiter = ',', default_value = "3,5,10,20", requires = "pilot")]
    latents: Vec<usize>,
    /// Numbers of videos to look at.
    #[arg(long, value_delimiter = ',', default_value = "3,5,10,20", requires = "pilot")]
    videos: Vec<usize>,
}

/// Both as one JSON document.
#[derive(Serialize)]
struct WithPilot<'a> {
    #[serde(flatten)]
    power: &'a Power,
    settling: &'a [Settling],
}

impl Plan {
    pub(crate) fn run(self, common: &Common) -> anyhow::Result<Done> {
        let power = plan::power(self.tasks, self.alpha, self.power, self.alternative, self.tests)?;
        let Some(pilot) = self.pilot else {
            Records::one(&power)?.print(common.format)?;
            return Ok(Done::Whole);
        };
        let rows =
            results::read_uncertainty(&pilot, &self.estimate)?.ok_or_else(|| squbed::Error::NoStep {
                path: pilot.join(&self.estimate).join("uncertainty.jsonl"),
                step: "estimate",
            })?;
        let settling = plan::settling(&rows, self.tasks, &self.latents, &self.videos)?;
        match common.format {
            Format::Json => {
                Records::one(&WithPilot { power: &power, settling: &settling })?.print(Format::Json)?
            }
            Format::Table => {
                Records::one(&power)?.print(Format::Table)?;
                writeln!(std::io::stdout())?;
                Records::list(&settling)?.print(Format::Table)?;
            }
            rows => Records::list(&settling)?.print(rows)?,
        }
        Ok(Done::Whole)
    }
}
