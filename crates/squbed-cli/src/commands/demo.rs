//! `squbed demo`: the method on the closed world.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use squbed::{
    core::float,
    demo::{self, Bound, Floor},
    models::ModelStore,
    progress::Progress,
    run::Encoders,
    summary::Context,
};

use super::run::tell;
use crate::{Common, Done, output::Records, progress::Bars};

#[derive(Args)]
pub(crate) struct Demo {
    /// Folder of the results.
    #[arg(long, default_value = "demo-out")]
    out: PathBuf,
    /// Tasks.
    #[arg(long, default_value_t = 24)]
    tasks: usize,
    /// Latent prompts a task.
    #[arg(long, default_value_t = 4)]
    latents: usize,
    /// Videos a latent prompt.
    #[arg(long, default_value_t = 4)]
    videos: usize,
    /// Seed of the world.
    #[arg(long, default_value_t = 1, conflicts_with = "all_seeds")]
    seed: u64,
    /// Run the seeds 1 to 5, over whose median the floors are defined.
    #[arg(long)]
    all_seeds: bool,
    /// What the world's knowledge is a property of: realm or value.
    #[arg(long, default_value = "realm")]
    world: String,
}

#[derive(Serialize)]
struct FloorRow {
    correlation: String,
    #[serde(with = "float")]
    least: f64,
    #[serde(with = "float")]
    value: f64,
    #[serde(with = "float")]
    most: f64,
    holds: bool,
}

impl Demo {
    pub(crate) fn run(self, common: &Common) -> anyhow::Result<Done> {
        squbed::results::check_folder(&self.out)?;
        let bars = Bars::new(common.quiet);
        let seeds = if self.all_seeds { demo::SEEDS.to_vec() } else { vec![self.seed] };
        let demo = demo::Demo {
            out: self.out,
            tasks: self.tasks,
            latents: self.latents,
            videos: self.videos,
            world: self.world,
            device: common.device.clone(),
            dtype: common.dtype.clone(),
        };
        let several = seeds.len() > 1;
        let first = demo.experiment(seeds[0], several);
        first.check()?;
        let encoders = Encoders::load(&first, ModelStore::new(None)?)?;
        let mut outcomes = Vec::new();
        for &seed in &seeds {
            bars.note(&format!("seed {seed}: {} tasks of {} × {}", demo.tasks, demo.latents, demo.videos));
            let outcome =
                squbed::run::run(&demo.experiment(seed, several), &encoders, &super::command_line(), &bars)?;
            tell(&outcome, &bars);
            outcomes.push(outcome);
        }
        let calibrations: Vec<_> = outcomes.iter().map(|o| o.calibration.clone()).collect();
        let file = demo::demo_file(&demo, &seeds, &calibrations);
        let floors = &file.floors;
        squbed::results::write_json(&demo.out.join("calibration.json"), &file)?;
        let context = Context { floors, seeds: &file.seeds };
        let report = squbed::summary::report(&outcomes[0].out, &demo.out, context, &bars)?;
        let rows: Vec<FloorRow> = floors
            .iter()
            .map(|Floor { name, value, bound: Bound { least, most }, holds }| FloorRow {
                correlation: name.clone(),
                least: *least,
                value: *value,
                most: *most,
                holds: *holds,
            })
            .collect();
        Records::list(&rows)?.print(common.format)?;
        let missed = floors.iter().filter(|f| !f.holds).count();
        let of = match seeds.as_slice() {
            [seed] => format!("seed {seed} alone"),
            _ => "the median over the seeds".to_owned(),
        };
        match (floors.len(), missed) {
            (0, _) => bars.note("no floor binds this demonstration"),
            (all, 0) => bars.note(&format!("all {all} floors hold for {of}")),
            (all, missed) => {
                bars.warn(&format!("{missed} of {all} floors missed by {of}; the report says which"))
            }
        }
        bars.made("report", &report);
        let whole = missed == 0 && outcomes.iter().all(|o| o.failures.is_empty());
        Ok(if whole { Done::Whole } else { Done::WithFailures })
    }
}
