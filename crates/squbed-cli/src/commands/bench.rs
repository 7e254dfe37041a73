//! `squbed bench`: how fast this machine works.

use std::{fs, io::Write, path::PathBuf};

use anyhow::Context;
use clap::{Args, Subcommand};
use squbed::decode_speed::DecodeSpeed;

use crate::{Common, Done, output::Records};

#[derive(Subcommand)]
pub(crate) enum Bench {
    /// Videos decoded, resized and cropped, one thread a video and --threads videos at a time.
    Decode(Decode),
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
}

impl Bench {
    pub(crate) fn run(self, common: &Common) -> anyhow::Result<Done> {
        let Self::Decode(decode) = self;
        let all = || std::thread::available_parallelism().map_or(1, usize::from);
        let speed = DecodeSpeed {
            files: decode.files,
            frames: decode.frames as usize,
            side: decode.side as usize,
            threads: common.threads.unwrap_or_else(all),
        };
        let (result, clips) = speed.run().map_err(squbed::Error::from)?;
        if let Some(path) = decode.pictures {
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
