//! What a video may cost that is decoded.

use std::time::Duration;

use clap::Args;
use squbed::{experiment::MOST_SECONDS, video::Limits};

/// Bounds on one video, shared by the commands that decode.
#[derive(Args)]
#[command(next_help_heading = "Limits of a video")]
pub(crate) struct DecodeLimits {
    #[arg(long, value_name = "PIXELS", help = about_pixels("frame"))]
    max_pixels: Option<usize>,
    #[arg(long, value_name = "FRAMES", help = format!("Frames of a file [default: {}]", Limits::default().frames))]
    max_frames: Option<usize>,
    #[arg(long, value_name = "SECONDS", value_parser = seconds,
        help = format!("Seconds that a file lasts [default: {}]", Limits::default().duration_seconds))]
    max_duration: Option<f64>,
    #[arg(long, value_name = "SECONDS", value_parser = seconds,
        help = format!("Seconds that the work on a file may take [default: {}]", Limits::default().time.as_secs()))]
    max_time: Option<f64>,
}

/// The bound on a picture.
#[derive(Args)]
pub(crate) struct PictureLimits {
    #[arg(long, value_name = "PIXELS", help = about_pixels("picture"))]
    max_pixels: Option<usize>,
}

fn about_pixels(what: &str) -> String {
    format!("Pixels of a {what}, beyond which a file is refused [default: {}]", Limits::default().pixels)
}

fn seconds(text: &str) -> Result<f64, String> {
    let seconds = text.parse().ok().filter(|seconds| (0.001..=MOST_SECONDS).contains(seconds));
    seconds.ok_or_else(|| format!("give a number of seconds from 0.001 to {MOST_SECONDS}"))
}

impl DecodeLimits {
    /// The defaults, and in their place what is given.
    pub(crate) fn get(&self) -> Limits {
        self.or(&Limits::default())
    }

    /// What is given, and where nothing is, that of `otherwise`.
    pub(crate) fn or(&self, otherwise: &Limits) -> Limits {
        Limits {
            pixels: self.max_pixels.unwrap_or(otherwise.pixels),
            frames: self.max_frames.unwrap_or(otherwise.frames),
            duration_seconds: self.max_duration.unwrap_or(otherwise.duration_seconds),
            time: self.max_time.map_or(otherwise.time, Duration::from_secs_f64),
            kept_bytes: otherwise.kept_bytes,
        }
    }
}

impl PictureLimits {
    pub(crate) fn get(&self) -> Limits {
        let limits = Limits::default();
        Limits { pixels: self.max_pixels.unwrap_or(limits.pixels), ..limits }
    }
}
