//! `squbed run`: all steps of one experiment.

use std::path::PathBuf;

use clap::Args;
use squbed::{
    experiment::{EXAMPLE, Experiment},
    models::ModelStore,
    progress::Progress,
    results,
    run::{self, Encoders, Outcome, StepRecord},
};

use super::limits::DecodeLimits;
use crate::{
    Common, Done,
    output::{Records, print_text},
    progress::Bars,
};

#[derive(Args)]
pub(crate) struct Run {
    /// The experiment, a TOML file.
    #[arg(required_unless_present = "example")]
    experiment: Option<PathBuf>,
    /// Print an experiment with every key, what it is and its default, and do nothing else.
    #[arg(long, conflicts_with = "experiment")]
    example: bool,
    /// Demand that the results' folder already holds a run of this experiment. Finished work is always
    /// kept; this guards against a mistyped folder.
    #[arg(long)]
    resume: bool,
    /// In the place of the experiment's generate.stop_when_interval_below: make videos in rounds, and give a task no more
    /// once the 95 % interval of its epistemic uncertainty over other videos of its latent prompts is narrower than so
    /// many nats.
    #[arg(long, value_name = "NATS")]
    stop_when_interval_below: Option<f64>,
    // In the place of the experiment's own.
    #[command(flatten)]
    limits: DecodeLimits,
}

impl Run {
    pub(crate) fn run(self, common: &Common) -> anyhow::Result<Done> {
        let Some(path) = &self.experiment else {
            print_text(EXAMPLE)?;
            return Ok(Done::Whole);
        };
        let mut experiment = Experiment::read(path)?;
        if common.device != "auto" {
            experiment.device.clone_from(&common.device);
        }
        if common.dtype != "auto" {
            experiment.dtype.clone_from(&common.dtype);
        }
        if self.stop_when_interval_below.is_some() {
            experiment.generate.stop_when_interval_below = self.stop_when_interval_below;
        }
        experiment.limits = self.limits.or(&experiment.limits.get()).into();
        if self.resume && !experiment.out.join("experiment.toml").exists() {
            anyhow::bail!(
                "{} holds no run to resume; leave --resume away to start one",
                experiment.out.display()
            );
        }
        results::check_folder(&experiment.out)?;
        results::check_folder(&experiment.cache())?;
        let bars = Bars::new(common.quiet);
        let encoders = Encoders::load(&experiment, ModelStore::new(None)?)?;
        let mut outcome = run::run(&experiment, &encoders, &super::command_line(), &bars)?;
        let report = run::report(&mut outcome, &bars)?;
        tell(&outcome, &bars);
        Records::list(&outcome.record.steps)?.print(common.format)?;
        bars.made("report", &report);
        Ok(if outcome.failures.is_empty() { Done::Whole } else { Done::WithFailures })
    }
}

/// Says what was reused and what failed.
pub(crate) fn tell(outcome: &Outcome, bars: &Bars) {
    for StepRecord { step, unit, reused, done, .. } in &outcome.record.steps {
        if *reused > 0 {
            bars.note(&format!("{step}: {reused} of {} {unit} reused", reused + done));
        }
    }
    if !outcome.failures.is_empty() {
        bars.warn(&format!(
            "{} item(s) failed; see {}",
            outcome.failures.len(),
            outcome.out.join(squbed::results::FAILURES).display()
        ));
    }
    super::calibrate::tell_left_out(&outcome.calibration, bars);
    super::calibrate::tell_not_computed(&outcome.calibration, bars);
}
