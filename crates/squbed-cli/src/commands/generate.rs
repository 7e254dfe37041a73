//! `squbed generate`: where videos come from.

use std::path::{Path, PathBuf};

use anyhow::bail;
use clap::{Args, ValueEnum};
use squbed::{
    adaptive::{BUDGET, Stopping},
    generator::{Generate as Spec, GeneratorKind},
    models::ModelStore,
    results::{carry_truth, check_file, check_folder, folder_of},
    sim::{World, WorldSpec},
    store::{read_tasks, write_tasks},
    tensor::VideoEncoder,
    video::Limits,
    vmf::Estimator,
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
    /// Videos at once [default: 1].
    #[arg(long)]
    parallel: Option<usize>,
    /// Seconds that one video may take [default: 3600].
    #[arg(long)]
    timeout: Option<u64>,
    /// Further tries, with another seed, of a video that fails or is bad [default: 2].
    #[arg(long)]
    retries: Option<u32>,
    /// Price of an hour of one video's making, written down as cost.
    #[arg(long, value_name = "PRICE")]
    price_per_hour: Option<f64>,
    /// Base address of the server, such as https://api.example.org/v1.
    #[arg(long, value_name = "URL", required_if_eq("generator", "server"))]
    server: Option<String>,
    /// The server's name of the model.
    #[arg(long, value_name = "NAME", required_if_eq("generator", "server"))]
    video_model: Option<String>,
    /// Environment variable with the server's key [default: OPENAI_API_KEY].
    #[arg(long, value_name = "VARIABLE")]
    key_env: Option<String>,
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
    /// Make videos in rounds, of 4 a latent prompt and then 2 more each, and give a task no more once the 95 % interval of
    /// its epistemic uncertainty over other videos of its latent prompts is narrower than so many nats; -m is the most.
    #[arg(long, value_name = "NATS")]
    stop_when_interval_below: Option<f64>,
    /// Encoder of the videos between rounds; estimate with the same one.
    #[arg(long, default_value = "i3d-kinetics-400", requires = "stop_when_interval_below")]
    encoder: String,
    /// Embedding cache of the rounds, for the estimate after them; `cache` beside the manifest where not given.
    #[arg(long, requires = "stop_when_interval_below")]
    cache: Option<PathBuf>,
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
        if let Some(folder) =
            self.videos.as_deref().filter(|v| v.to_str().is_some_and(|v| v.parse::<u64>().is_ok()))
        {
            let number = folder.display();
            bail!(
                "--videos {number} names a folder; the number of videos is -m {number} (or write --videos ./{number})"
            );
        }
        check_file(&self.out)?;
        check_folder(&self.folder())?;
        let mut tasks = read_tasks(&self.tasks).map_err(squbed::Error::from)?;
        if let Some(task) = tasks.iter().find(|t| t.latents.is_empty()) {
            bail!("task `{}` has no latent prompts; run `squbed refine` first", task.id);
        }
        let bars = Bars::new(common.quiet);
        let kind = self.world.parse().map_err(squbed::Error::from)?;
        let world = World::new(WorldSpec { kind, ..WorldSpec::default() }).map_err(squbed::Error::from)?;
        let cache = self.cache.clone().unwrap_or_else(|| folder_of(&self.out).join("cache"));
        let limits = Limits::default();
        let encoder =
            self.stop_when_interval_below.map(|width| self.encoder(common, &cache).map(|e| (width, e)));
        let encoder = encoder.transpose()?;
        let stopping = encoder.as_ref().map(|(width, encoder)| Stopping {
            width: *width,
            encoder: &**encoder,
            estimator: Estimator::U,
            cache: &cache,
            batch: 4,
            limits: &limits,
        });
        let (how, rounds) =
            self.spec().make(&mut tasks, &world, self.seed, &self.folder(), stopping.as_ref(), &bars)?;
        if stopping.is_some() {
            bars.note(&format!("videos of {how}; {}", self.folder().join(BUDGET).display()));
        }
        let made = rounds.generated;
        if made.reused > 0 {
            bars.note(&format!("{} of {} videos reused", made.reused, made.reused + made.made));
        }
        let folder = folder_of(&self.out);
        let done = super::record_failures(folder, &["generate"], &[], &made.failures, &bars)?;
        if made.made + made.reused == 0 && !made.failures.is_empty() {
            return Ok(super::nothing("no video was made", &made.failures, folder));
        }
        write_tasks(&self.out, &tasks).map_err(squbed::Error::from)?;
        carry_truth(&self.tasks, &tasks, folder)?;
        Ok(done)
    }

    /// The encoder between rounds, whose embeddings go to `cache`.
    fn encoder(&self, common: &Common, cache: &Path) -> squbed::Result<Box<dyn VideoEncoder>> {
        self.spec().check()?;
        check_folder(cache)?;
        let (device, dtype) = super::place(common)?;
        Ok(ModelStore::new(None)?.video_encoder(&self.encoder, &device, dtype)?)
    }

    /// Where the videos go.
    fn folder(&self) -> PathBuf {
        self.videos.clone().unwrap_or_else(|| folder_of(&self.out).join("videos"))
    }

    /// What the flags say.
    fn spec(&self) -> Spec {
        Spec {
            generator: match self.generator {
                Kind::Command => GeneratorKind::Command,
                Kind::Server => GeneratorKind::Server,
                Kind::Folder => GeneratorKind::Folder,
                Kind::ClosedWorld => GeneratorKind::ClosedWorld,
            },
            videos: self.m,
            stop_when_interval_below: self.stop_when_interval_below,
            command: self.command.clone(),
            negative: self.negative.clone(),
            frames: self.frames,
            fps: self.fps,
            parallel: self.parallel,
            timeout: self.timeout,
            retries: self.retries,
            price_per_hour: self.price_per_hour,
            server: self.server.clone(),
            video_model: self.video_model.clone(),
            size: self.size.clone(),
            seconds: self.seconds.clone(),
            key_env: self.key_env.clone(),
            from: self.from.clone(),
        }
    }
}
