//! What generates videos: one description for an experiment's `[generate]` and for the flags of `squbed generate`.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use serde::{Deserialize, Serialize};
use squbed_core::{Task, VideoGenerator};
use squbed_generate::{
    http::{HttpOptions, Service},
    video::{CommandModel, CommandOptions, ProduceOptions, VideoServer, VideoServerOptions},
};
use squbed_sim::World;

use crate::{
    adaptive::{self, BUDGET, Rounds, Stopping},
    choice::{ChoiceError, check_key_env, key, missing, refuse_superfluous},
    error::{Error, Result},
    progress::Progress,
    steps::{self, Generated},
};

/// A kind of video model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GeneratorKind {
    /// The closed world's model, for its own prompts.
    #[default]
    ClosedWorld,
    /// A program that is run once for each video.
    Command,
    /// A server with OpenAI's video API.
    Server,
    /// Videos that are there already.
    Folder,
}

impl GeneratorKind {
    fn name(self) -> &'static str {
        match self {
            Self::ClosedWorld => "closed-world",
            Self::Command => "command",
            Self::Server => "server",
            Self::Folder => "folder",
        }
    }
}

/// Generation of videos. What is not given has the default that its text names; what the chosen generator does not read
/// must not be given.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Generate {
    /// What generates: `closed-world`, `command`, `server` or `folder`.
    #[serde(default)]
    pub generator: GeneratorKind,
    /// Videos a latent prompt.
    #[serde(default = "ten")]
    pub videos: usize,
    /// Where given, videos are made in rounds, and a task gets no more once the 95 % interval of its epistemic uncertainty
    /// over other videos of its latent prompts is narrower than so many nats.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop_when_interval_below: Option<f64>,
    /// The program with its arguments, see [`CommandModel::new`]. It is written down, so no key may stand in it; its
    /// words are taken as they are, so a relative path in it starts where squbed runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    /// What videos must not show.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub negative: Option<String>,
    /// Frames of a video.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frames: Option<u32>,
    /// Frames a second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fps: Option<f64>,
    /// Videos at once, 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parallel: Option<usize>,
    /// Seconds that one video may take, 3600.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<u64>,
    /// Further tries, with another seed, of a video that fails or is bad, 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retries: Option<u32>,
    /// Price of an hour of one video's making, written down as cost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price_per_hour: Option<f64>,
    /// Base address of the server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
    /// The server's name of the model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub video_model: Option<String>,
    /// Width and height that the server is asked for, e.g. `1280x720`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<String>,
    /// Seconds of a video that the server is asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds: Option<String>,
    /// Environment variable with the server's key, [`KEY_ENV`](crate::choice::KEY_ENV).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_env: Option<String>,
    /// Folder of existing videos, `<task>/latent_<i>/videos/*.mp4`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<PathBuf>,
}

fn ten() -> usize {
    10
}

impl Default for Generate {
    fn default() -> Self {
        Self {
            generator: GeneratorKind::default(),
            videos: ten(),
            stop_when_interval_below: None,
            command: None,
            negative: None,
            frames: None,
            fps: None,
            parallel: None,
            timeout: None,
            retries: None,
            price_per_hour: None,
            server: None,
            video_model: None,
            size: None,
            seconds: None,
            key_env: None,
            from: None,
        }
    }
}

/// What cannot be made ready.
fn unusable(error: impl Into<squbed_core::BoxError>) -> Error {
    ChoiceError::Generator { source: error.into() }.into()
}

impl Generate {
    fn chosen(&self) -> String {
        format!("the generator {}", self.generator.name())
    }

    /// Checks what can be checked without files and keys.
    ///
    /// # Errors
    ///
    /// An option that the generator does not read; one that it needs and that is not given; one out of its range.
    pub fn check(&self) -> Result<()> {
        let command = self.generator == GeneratorKind::Command;
        let server = self.generator == GeneratorKind::Server;
        let paid = command || server;
        refuse_superfluous(
            &self.chosen(),
            &[
                ("command", self.command.is_some(), command),
                ("negative", self.negative.is_some(), command),
                ("frames", self.frames.is_some(), command),
                ("fps", self.fps.is_some(), command),
                ("parallel", self.parallel.is_some(), paid),
                ("timeout", self.timeout.is_some(), paid),
                ("retries", self.retries.is_some(), paid),
                ("price_per_hour", self.price_per_hour.is_some(), paid),
                ("server", self.server.is_some(), server),
                ("video_model", self.video_model.is_some(), server),
                ("size", self.size.is_some(), server),
                ("seconds", self.seconds.is_some(), server),
                ("key_env", self.key_env.is_some(), server),
                ("from", self.from.is_some(), self.generator == GeneratorKind::Folder),
            ],
        )?;
        check_key_env(self.key_env.as_deref())?;
        if let Some(value) = self.stop_when_interval_below.filter(|width| !(1e-9..=1e9).contains(width)) {
            return Err(Error::OutOfRange {
                name: "stop_when_interval_below",
                value,
                least: 1e-9,
                most: 1e9,
            });
        }
        let parallel = self.produce().parallel;
        if !(1..=256).contains(&parallel) {
            let value = parallel as f64;
            return Err(Error::OutOfRange { name: "parallel", value, least: 1.0, most: 256.0 });
        }
        match self.generator {
            GeneratorKind::ClosedWorld => {}
            GeneratorKind::Command => drop(self.program()?),
            // Before an address is written down: one that holds a password is refused.
            GeneratorKind::Server => drop(self.server(None)?),
            GeneratorKind::Folder => drop(self.from()?),
        }
        Ok(())
    }

    fn from(&self) -> Result<&Path> {
        let what = "the folder of existing videos, <task>/latent_<i>/videos/*.mp4";
        self.from.as_deref().ok_or_else(|| missing("from", self.chosen(), what))
    }

    fn limit(&self) -> Duration {
        Duration::from_secs(self.timeout.unwrap_or(3600))
    }

    fn produce(&self) -> ProduceOptions {
        ProduceOptions {
            parallel: self.parallel.unwrap_or(1),
            retries: self.retries.unwrap_or(2),
            price_per_hour: self.price_per_hour,
        }
    }

    fn program(&self) -> Result<CommandModel> {
        let what = "the program with {prompt}, {seed} and {out} among its arguments";
        let template = self.command.as_deref().ok_or_else(|| missing("command", self.chosen(), what))?;
        let options = CommandOptions {
            negative: self.negative.clone(),
            frames: self.frames,
            fps: self.fps,
            timeout: Some(self.limit()),
        };
        CommandModel::new(template, options).map_err(unusable)
    }

    fn server(&self, key: Option<String>) -> Result<VideoServer> {
        let what = "the server's address, such as https://api.example.org/v1";
        let address = self.server.as_deref().ok_or_else(|| missing("server", self.chosen(), what))?;
        let what = "the server's name of the model";
        let model = self.video_model.clone().ok_or_else(|| missing("video_model", self.chosen(), what))?;
        let service = Service::new(address, key, HttpOptions::default()).map_err(unusable)?;
        let options = VideoServerOptions {
            model,
            size: self.size.clone(),
            seconds: self.seconds.clone(),
            poll: Duration::from_secs(5),
            timeout: self.limit(),
            max_bytes: 4 << 30,
        };
        Ok(VideoServer::new(service, options))
    }

    /// Gives each latent prompt that has no videos its own, below `folder` where they are made. Also says what made
    /// them, in words. `world` is the closed world whose model it is, where it is that. Where `stopping` is given, they are
    /// made in rounds, which `budget.jsonl` in the folder tells of.
    ///
    /// # Errors
    ///
    /// As [`check`](Self::check), [`steps::generate`], [`steps::generate_with_ledger`], [`steps::take_clips`] and
    /// [`adaptive::generate_in_rounds`].
    pub fn make(
        &self,
        tasks: &mut [Task],
        world: &World,
        seed: u64,
        folder: &Path,
        stopping: Option<&Stopping<'_>>,
        progress: &dyn Progress,
    ) -> Result<(String, Rounds)> {
        self.check()?;
        let mut made_by = String::new();
        let mut make = |tasks: &mut [Task], videos: usize| {
            let made;
            (made_by, made) = self.make_each(tasks, videos, world, seed, folder, progress)?;
            Ok(made)
        };
        let Some(stopping) = stopping else {
            let generated = make(tasks, self.videos)?;
            return Ok((made_by, Rounds { generated, ..Rounds::default() }));
        };
        let rounds = adaptive::generate_in_rounds(tasks, self.videos, stopping, &mut make, progress)?;
        squbed_store::write_json_lines(&folder.join(BUDGET), &rounds.budget)?;
        let how = rounds.describe(stopping.width, self.videos);
        Ok((format!("{made_by}, {how}"), rounds))
    }

    /// So many videos for each latent prompt.
    fn make_each(
        &self,
        tasks: &mut [Task],
        videos: usize,
        world: &World,
        seed: u64,
        folder: &Path,
        progress: &dyn Progress,
    ) -> Result<(String, Generated)> {
        let model: Box<dyn VideoGenerator> = match self.generator {
            GeneratorKind::ClosedWorld => {
                let model = world.generator();
                let made = steps::generate(tasks, &model, videos, seed, folder, progress)?;
                return Ok((model.describe(), made));
            }
            GeneratorKind::Folder => {
                let from = self.from()?;
                let made = steps::take_clips(tasks, videos, from, progress)?;
                return Ok((format!("existing videos of {}", from.display()), made));
            }
            GeneratorKind::Command => Box::new(self.program()?),
            GeneratorKind::Server => Box::new(self.server(key(self.key_env.as_deref())?)?),
        };
        let options = self.produce();
        let made = steps::generate_with_ledger(tasks, &*model, videos, seed, folder, &options, progress)?;
        Ok((model.describe(), made))
    }

    /// Paths as `place` has them.
    pub(crate) fn place_paths(&mut self, place: impl Fn(&Path) -> PathBuf) {
        if let Some(path) = &mut self.from {
            *path = place(path);
        }
    }

    /// The options that decide the videos, by name.
    pub(crate) fn deciding(&self) -> Vec<(&'static str, String)> {
        fn text<T: ToString>(value: Option<&T>) -> String {
            value.map_or("none".to_owned(), T::to_string)
        }
        vec![
            ("generate.generator", self.generator.name().to_owned()),
            ("generate.videos", self.videos.to_string()),
            ("generate.stop_when_interval_below", text(self.stop_when_interval_below.as_ref())),
            ("generate.command", text(self.command.as_ref())),
            ("generate.negative", text(self.negative.as_ref())),
            ("generate.frames", text(self.frames.as_ref())),
            ("generate.fps", text(self.fps.as_ref())),
            ("generate.server", text(self.server.as_ref())),
            ("generate.video_model", text(self.video_model.as_ref())),
            ("generate.size", text(self.size.as_ref())),
            ("generate.seconds", text(self.seconds.as_ref())),
            ("generate.from", text(self.from.as_ref().map(|path| path.display().to_string()).as_ref())),
        ]
    }
}
