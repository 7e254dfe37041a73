//! `squbed bench`: how fast this machine works.

use std::{fs, io::Write, path::PathBuf};

use anyhow::{Context, bail};
use clap::{Args, Subcommand, ValueEnum};
use squbed::{
    decode_speed::DecodeSpeed,
    encode_speed::{EncodeSpeed, Subject},
    fit_speed::FitSpeed,
    models::Modality,
};

use super::limits::DecodeLimits;
use crate::{Common, Done, output::Records, progress::Bars};

#[derive(Subcommand)]
pub(crate) enum Bench {
    /// Videos decoded, resized and cropped, one thread a video and --threads videos at a time.
    Decode(Decode),
    /// An encoder's network, items a second and operations a second beside the machine's peak; without preprocessing.
    Encode(Encode),
    /// Batched von Mises–Fisher fits of embeddings on the device, beside the rate at which it copies memory.
    Fit(Fit),
}

#[derive(Args)]
pub(crate) struct Fit {
    /// Groups in the batch.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..))]
    groups: u32,
    /// Embeddings of a group.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
    size: u32,
    /// Numbers of an embedding.
    #[arg(long, default_value_t = 384, value_parser = clap::value_parser!(u32).range(2..))]
    width: u32,
}

#[derive(Args)]
pub(crate) struct Decode {
    /// The videos; each is decoded once.
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Frames of each video, at the centres of as many equal segments.
    #[arg(long, default_value_t = 12, value_parser = clap::value_parser!(u32).range(1..))]
    frames: u32,
    /// Pixels of the shorter side, and of the square cut out of the middle.
    #[arg(long, default_value_t = 224, value_parser = clap::value_parser!(u32).range(1..=65535))]
    side: u32,
    /// Write the pictures to this file: bytes, [videos, frames, side, side, 3].
    #[arg(long)]
    pictures: Option<PathBuf>,
    #[command(flatten)]
    limits: DecodeLimits,
}

#[derive(Args)]
pub(crate) struct Encode {
    /// A model that `squbed models list` names and that is here.
    #[arg(long, required_unless_present = "arch", conflicts_with = "arch")]
    model: Option<String>,
    /// An architecture instead: bert, mpnet, xlm-roberta, clip, open-clip, i3d, s3d-milnce or s3d-kinetics.
    #[arg(long, requires = "random_weights")]
    arch: Option<String>,
    /// Weights of --arch by chance, made in memory.
    #[arg(long, requires = "arch")]
    random_weights: bool,
    /// The sizes of --arch, a config.json (open_clip's for open-clip); else those of a known model.
    #[arg(long, requires = "arch")]
    config: Option<PathBuf>,
    /// Which tower, where there are several: of clip and open-clip that of images, of s3d-milnce that of clips where not
    /// given.
    #[arg(long, value_enum)]
    tower: Option<Tower>,
    /// Items at a time.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=65536))]
    batch: u32,
    /// Tokens of each text, none of them padding; 32 where not given.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=65536))]
    tokens: Option<u32>,
    /// Frames of each clip; where not given as many as the model samples, 16 with --arch.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=65536))]
    frames: Option<u32>,
    /// Seconds of steady work that are timed, after a tenth of them for warming up.
    #[arg(long, default_value = "5", value_parser = seconds)]
    seconds: f64,
}

#[derive(Clone, Copy, ValueEnum)]
enum Tower {
    Text,
    Image,
}

fn seconds(text: &str) -> Result<f64, String> {
    let seconds = text.parse().ok().filter(|seconds| (0.001..=86400.0).contains(seconds));
    seconds.ok_or_else(|| "give a number of seconds from 0.001 to 86400".to_owned())
}

impl Bench {
    pub(crate) fn run(self, common: &Common) -> anyhow::Result<Done> {
        match self {
            Self::Decode(decode) => decode.run(common),
            Self::Encode(encode) => encode.run(common),
            Self::Fit(fit) => fit.run(common),
        }
    }
}

impl Encode {
    fn run(self, common: &Common) -> anyhow::Result<Done> {
        let subject = match (self.model, self.arch) {
            (Some(model), _) => Subject::Model(model),
            (None, Some(arch)) => {
                let architecture = arch.parse().map_err(squbed::Error::from)?;
                Subject::Random { architecture, config: self.config }
            }
            // clap demands one of the two.
            (None, None) => bail!("give --model, or --arch with --random-weights"),
        };
        let (device, dtype) = super::place(common)?;
        let speed = EncodeSpeed {
            subject,
            input: self.tower.map(|tower| match tower {
                Tower::Text => Modality::Text,
                Tower::Image => Modality::Image,
            }),
            batch: self.batch as usize,
            tokens: self.tokens.map(|n| n as usize),
            frames: self.frames.map(|n| n as usize),
            seconds: self.seconds,
        };
        let result = speed.run(&device, dtype)?;
        let placed = if result.item.starts_with("text") { "ids on the host" } else { "input on the device" };
        Bars::new(common.quiet).note(&format!("{}, {placed}; weights {}", result.item, result.weights));
        Records::one(&result)?.print(common.format)?;
        Ok(Done::Whole)
    }
}

impl Fit {
    fn run(self, common: &Common) -> anyhow::Result<Done> {
        let (device, _) = super::place(common)?;
        let [groups, size, width] = [self.groups, self.size, self.width].map(|n| n as usize);
        Records::one(&FitSpeed { groups, size, width }.run(&device)?)?.print(common.format)?;
        Ok(Done::Whole)
    }
}

impl Decode {
    fn run(self, common: &Common) -> anyhow::Result<Done> {
        let all = || std::thread::available_parallelism().map_or(1, usize::from);
        let speed = DecodeSpeed {
            files: self.files,
            frames: self.frames as usize,
            side: self.side as usize,
            threads: common.threads.unwrap_or_else(all),
            limits: self.limits.get(),
        };
        let (result, clips) = speed.run().map_err(squbed::Error::from)?;
        if let Some(path) = self.pictures {
            let write = || {
                let mut file = fs::File::create(&path)?;
                clips.iter().flatten().try_for_each(|frame| file.write_all(frame.rgb()))
            };
            write().with_context(|| format!("cannot write {}", path.display()))?;
        }
        Records::one(&result)?.print(common.format)?;
        Ok(Done::Whole)
    }
}
