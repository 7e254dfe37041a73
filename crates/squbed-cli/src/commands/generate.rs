//! `squbed generate`: where videos come from.

use std::{path::PathBuf, time::Duration};

use anyhow::{Context, bail};
use clap::{Args, ValueEnum};
use squbed::{
    core::{Task, VideoGenerator},
    generate::{
        http::{HttpOptions, Service},
        video::{CommandModel, CommandOptions, ProduceOptions, VideoServer, VideoServerOptions},
    },
    results::{carry_truth, check_file, check_folder, folder_of},
    sim::{World, WorldSpec},
    steps::{self, Generated},
    store::{read_tasks, write_tasks},
};

use crate::{Common, Done, progress::Bars};

/// What generates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// A program that is run once for each video.
    Command,
    /// A server with OpenAI's video API.
    Server,
    /// Videos that are there already.
    Folder,
    /// The closed world's model, for its own prompts.
    ClosedWorld,
}

#[derive(Args)]
pub(crate) struct Generate {
    /// Task manifest with latent prompts.
    tasks: PathBuf,
    /// What generates.
    #[arg(long, value_enum, default_value = "closed-world")]
    generator: Kind,
    /// The program with its arguments, in which {prompt}, {seed}, {out} and, where given, {negative}, {frames} and {fps}
    /// are filled in. No shell is used: each word is one argument. Write --prompt={prompt} in one word, so that a prompt
    /// that begins with a dash is no option. Keys belong into the environment, since the command is written down.
    #[arg(long, value_name = "TEMPLATE", required_if_eq("generator", "command"))]
    command: Option<String>,
    /// What videos must not show.
    #[arg(long)]
    negative: Option<String>,
    /// Frames of a video.
    #[arg(long)]
    frames: Option<u32>,
    /// Frames a second.
    #[arg(long)]
    fps: Option<f64>,
    /// Videos at once.
    #[arg(long, default_value_t = 1)]
    parallel: usize,
    /// Seconds that one video may take.
    #[arg(long, default_value_t = 3600)]
    timeout: u64,
    /// Further tries, with another seed, of a video that fails or is bad.
    #[arg(long, default_value_t = 2)]
    retries: u32,
    /// Price of an hour of one video's making, written down as cost.
    #[arg(long, value_name = "PRICE")]
    price_per_hour: Option<f64>,
    /// Base address of the server, such as https://api.example.org/v1.
    #[arg(long, value_name = "URL", required_if_eq("generator", "server"))]
    server: Option<String>,
    /// The server's name of the model.
    #[arg(long, value_name = "NAME", required_if_eq("generator", "server"))]
    video_model: Option<String>,
    /// Environment variable with the server's key.
    #[arg(long, value_name = "VARIABLE", default_value = "OPENAI_API_KEY")]
    key_env: String,
    /// Width and height that the server is asked for, e.g. 1280x720.
    #[arg(long)]
    size: Option<String>,
    /// Seconds of a video that the server is asked for.
    #[arg(long)]
    seconds: Option<String>,
    /// Folder of existing videos, <task>/latent_<i>/videos/*.mp4, for `--generator folder`.
    #[arg(long, value_name = "FOLDER", required_if_eq("generator", "folder"))]
    from: Option<PathBuf>,
    /// What the closed world's knowledge is a property of: realm or value.
    #[arg(long, default_value = "realm")]
    world: String,
    /// Videos a latent prompt.
    #[arg(long, short, default_value_t = 10)]
    m: usize,
    /// Seed of what is drawn.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Folder of the videos, with their ledger; `videos` beside the manifest where not given.
    #[arg(long)]
    videos: Option<PathBuf>,
    /// Manifest with the videos.
    #[arg(long)]
    out: PathBuf,
}

pub(super) fn at_least_two(name: &str, value: usize) -> anyhow::Result<()> {
    if value < 2 {
        bail!("{name} is {value}; a spread needs at least 2");
    }
    Ok(())
}

impl Generate {
    pub(crate) fn run(self, common: &Common) -> anyhow::Result<Done> {
        at_least_two("-m", self.m)?;
        check_file(&self.out)?;
        check_folder(&self.folder())?;
        let mut tasks = read_tasks(&self.tasks).map_err(squbed::Error::from)?;
        if let Some(task) = tasks.iter().find(|t| t.latents.is_empty()) {
            bail!("task `{}` has no latent prompts; run `squbed refine` first", task.id);
        }
        let bars = Bars::new(common.quiet);
        let made = self.make(&mut tasks, &bars)?;
        if made.reused > 0 {
            bars.note(&format!("{} of {} videos reused", made.reused, made.reused + made.made));
        }
        write_tasks(&self.out, &tasks).map_err(squbed::Error::from)?;
        let folder = folder_of(&self.out);
        carry_truth(&self.tasks, &tasks, folder)?;
        super::record_failures(folder, &["generate"], &[], &made.failures, &bars)
    }

    /// Where the videos go.
    fn folder(&self) -> PathBuf {
        self.videos.clone().unwrap_or_else(|| folder_of(&self.out).join("videos"))
    }

    fn make(&self, tasks: &mut [Task], bars: &Bars) -> anyhow::Result<Generated> {
        let folder = self.folder();
        let model: Box<dyn VideoGenerator> = match self.generator {
            Kind::ClosedWorld => {
                let kind = self.world.parse().map_err(squbed::Error::from)?;
                let spec = WorldSpec { kind, ..WorldSpec::default() };
                let generator = World::new(spec).map_err(squbed::Error::from)?.generator();
                return Ok(steps::generate(tasks, &generator, self.m, self.seed, &folder, bars)?);
            }
            Kind::Folder => {
                let from = self.from.as_deref().context("name the folder with --from")?;
                return Ok(steps::take_clips(tasks, self.m, from, bars)?);
            }
            Kind::Command => {
                let template = self.command.as_deref().context("name the program with --command")?;
                let options = CommandOptions {
                    negative: self.negative.clone(),
                    frames: self.frames,
                    fps: self.fps,
                    timeout: Some(Duration::from_secs(self.timeout)),
                };
                Box::new(CommandModel::new(template, options)?)
            }
            Kind::Server => Box::new(self.server()?),
        };
        if !(1..=256).contains(&self.parallel) {
            bail!("--parallel is {}; it is from 1 to 256", self.parallel);
        }
        let options = ProduceOptions {
            parallel: self.parallel,
            retries: self.retries,
            price_per_hour: self.price_per_hour,
        };
        Ok(steps::generate_with_ledger(tasks, &*model, self.m, self.seed, &folder, &options, bars)?)
    }

    fn server(&self) -> anyhow::Result<VideoServer> {
        let address = self.server.as_deref().context("name the server with --server")?;
        let service = Service::new(address, std::env::var(&self.key_env).ok(), HttpOptions::default())?;
        let options = VideoServerOptions {
            model: self.video_model.clone().context("name the model with --video-model")?,
            size: self.size.clone(),
            seconds: self.seconds.clone(),
            poll: Duration::from_secs(5),
            timeout: Duration::from_secs(self.timeout),
            max_bytes: 4 << 30,
        };
        Ok(VideoServer::new(service, options))
    }
}
