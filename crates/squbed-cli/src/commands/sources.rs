//! `squbed refine` and `squbed generate`: where latent prompts and videos come from.

use std::path::PathBuf;

use anyhow::bail;
use clap::Args;
use squbed::{
    results::{carry_truth, folder_of},
    sim::{World, WorldSpec},
    steps,
    store::{read_tasks, write_tasks},
};

use crate::{Common, Done, progress::Bars};

#[derive(Args)]
pub(crate) struct Refine {
    /// Task manifest (JSON Lines, Parquet, or a folder tree).
    tasks: PathBuf,
    /// What refines: closed-world.
    #[arg(long, default_value = "closed-world")]
    refiner: String,
    /// Latent prompts a task.
    #[arg(long, short, default_value_t = 10)]
    n: usize,
    /// Seed of what is drawn.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Manifest with the latent prompts.
    #[arg(long)]
    out: PathBuf,
}

#[derive(Args)]
pub(crate) struct Generate {
    /// Task manifest with latent prompts.
    tasks: PathBuf,
    /// What generates: closed-world.
    #[arg(long, default_value = "closed-world")]
    generator: String,
    /// What the closed world's knowledge is a property of: realm or value.
    #[arg(long, default_value = "realm")]
    world: String,
    /// Videos a latent prompt.
    #[arg(long, short, default_value_t = 10)]
    m: usize,
    /// Seed of what is drawn.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Folder of the videos; `videos` beside the manifest where not given.
    #[arg(long)]
    videos: Option<PathBuf>,
    /// Manifest with the videos.
    #[arg(long)]
    out: PathBuf,
}

fn closed_world(name: &str, kind: &str) -> anyhow::Result<World> {
    if name != "closed-world" {
        bail!("`{name}` is not known here; this version has: closed-world");
    }
    let spec = WorldSpec { kind: kind.parse().map_err(squbed::Error::from)?, ..WorldSpec::default() };
    Ok(World::new(spec).map_err(squbed::Error::from)?)
}

fn at_least_two(name: &str, value: usize) -> anyhow::Result<()> {
    if value < 2 {
        bail!("{name} is {value}; a spread needs at least 2");
    }
    Ok(())
}

impl Refine {
    pub(crate) fn run(self, common: &Common) -> anyhow::Result<Done> {
        at_least_two("-n", self.n)?;
        let mut tasks = read_tasks(&self.tasks).map_err(squbed::Error::from)?;
        let refiner = closed_world(&self.refiner, "realm")?.refiner();
        steps::refine(&mut tasks, &refiner, self.n, self.seed, &Bars::new(common.quiet))?;
        write_tasks(&self.out, &tasks).map_err(squbed::Error::from)?;
        carry_truth(&self.tasks, &tasks, folder_of(&self.out))?;
        Ok(Done::Whole)
    }
}

impl Generate {
    pub(crate) fn run(self, common: &Common) -> anyhow::Result<Done> {
        at_least_two("-m", self.m)?;
        let mut tasks = read_tasks(&self.tasks).map_err(squbed::Error::from)?;
        if let Some(task) = tasks.iter().find(|t| t.latents.is_empty()) {
            bail!("task `{}` has no latent prompts; run `squbed refine` first", task.id);
        }
        let beside = folder_of(&self.out).join("videos");
        let folder = self.videos.unwrap_or(beside);
        let generator = closed_world(&self.generator, &self.world)?.generator();
        let bars = Bars::new(common.quiet);
        let made = steps::generate(&mut tasks, &generator, self.m, self.seed, &folder, &bars)?;
        if made.reused > 0 {
            bars.note(&format!("{} of {} videos reused", made.reused, made.reused + made.made));
        }
        write_tasks(&self.out, &tasks).map_err(squbed::Error::from)?;
        let folder = folder_of(&self.out);
        carry_truth(&self.tasks, &tasks, folder)?;
        super::record_failures(folder, &["generate"], &[], &made.failures, &bars)
    }
}
