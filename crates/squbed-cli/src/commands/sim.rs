//! `squbed sim world`: a data set whose truth is known.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use squbed::{progress::Progress, sim::WorldSpec};

use crate::{Common, Done, progress::Bars};

#[derive(Subcommand)]
pub(crate) enum Sim {
    /// Write tasks, their truth, ground truths, latent prompts and videos.
    World(WorldArgs),
}

#[derive(Args)]
pub(crate) struct WorldArgs {
    /// Tasks.
    #[arg(long)]
    tasks: usize,
    /// Latent prompts a task.
    #[arg(long)]
    latents: usize,
    /// Videos a latent prompt.
    #[arg(long)]
    videos: usize,
    /// Seed of everything that is drawn.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// What knowledge is a property of: realm or value.
    #[arg(long, default_value = "realm")]
    world: String,
    /// Share of the tasks whose scenes the model shows wrongly, always in the same way; a twelfth where not given.
    #[arg(long, value_name = "SHARE")]
    confidently_wrong: Option<f64>,
    /// Folder of the data set.
    #[arg(long)]
    out: PathBuf,
}

impl Sim {
    pub(crate) fn run(self, common: &Common) -> anyhow::Result<Done> {
        let Self::World(w) = self;
        squbed::results::check_folder(&w.out)?;
        let spec = WorldSpec {
            confidently_wrong: w.confidently_wrong.unwrap_or(WorldSpec::default().confidently_wrong),
            kind: w.world.parse().map_err(squbed::Error::from)?,
            tasks: w.tasks,
            latents: w.latents,
            videos: w.videos,
            seed: w.seed,
        };
        let bars = Bars::new(common.quiet);
        // Numbers out of bounds are refused below.
        let clips = w.latents.saturating_mul(w.videos).saturating_add(1).saturating_mul(w.tasks);
        bars.begin("write world", clips as u64, "clips");
        let world =
            squbed::sim::write_world(&spec, &w.out, &|_| bars.advance(1)).map_err(squbed::Error::from)?;
        bars.end();
        if world.kept > 0 {
            bars.note(&format!("{} of {clips} videos were there before", world.kept));
        }
        bars.note(&format!("tasks: {}", world.tasks.display()));
        Ok(Done::Whole)
    }
}
