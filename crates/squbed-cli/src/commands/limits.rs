//! What a video may cost that is decoded.

use std::time::Duration;

use clap::Args;
use squbed::video::Limits;

/// Bounds on one video, shared by the commands that decode.
#[derive(Args)]
#[command(next_help_heading = "Limits of a video")]
pub(crate) struct DecodeLimits {
    /// Pixels of a frame, beyond which a file is refused.
    #[arg(long, value_name = "PIXELS", default_value_t = Limits::default().pixels)]
    max_pixels: usize,
    /// Frames of a file.
    #[arg(long, value_name = "FRAMES", default_value_t = Limits::default().frames)]
    max_frames: usize,
    /// Seconds that a file lasts.
    #[arg(long, value_name = "SECONDS", default_value_t = Limits::default().duration_seconds, value_parser = seconds)]
    max_duration: f64,
    /// Seconds that the work on a file may take.
    #[arg(long, value_name = "SECONDS", default_value_t = Limits::default().time.as_secs_f64(), value_parser = seconds)]
    max_time: f64,
}

/// The century that is no limit any more.
const MOST_SECONDS: f64 = 100.0 * 365.0 * 24.0 * 3600.0;

fn seconds(text: &str) -> Result<f64, String> {
    let seconds = text.parse().ok().filter(|seconds| (0.001..=MOST_SECONDS).contains(seconds));
    seconds.ok_or_else(|| format!("give a number of seconds from 0.001 to {MOST_SECONDS}"))
}

impl DecodeLimits {
    pub(crate) fn get(&self) -> Limits {
        Limits {
            pixels: self.max_pixels,
            frames: self.max_frames,
            duration_seconds: self.max_duration,
            time: Duration::from_secs_f64(self.max_time),
            ..Limits::default()
        }
    }
}
