//! How fast video files become the pictures that an image encoder sees.
//!
//! Uses the video and frame crates alone, so that `squbed-video`'s example `decode_speed` can measure the same
//! code without building an encoder.

use std::{
    path::{Path, PathBuf},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Instant,
};

use cpu_time::ProcessTime;
use serde::Serialize;
use squbed_core::{Frame, Sampling};
use squbed_frame::{CropRule, Filter, resize_and_crop};
use squbed_video::{DecodeOptions, Limits, decode};

/// Why a measurement cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum DecodeSpeedError {
    /// No video was given.
    #[error("no video was given to decode")]
    NoFiles,
    /// A video cannot be decoded.
    #[error(transparent)]
    Video(#[from] squbed_video::Error),
    /// A frame cannot be resized.
    #[error("cannot resize a frame of {}", path.display())]
    Resize {
        /// The video.
        path: PathBuf,
        /// Why.
        source: squbed_frame::Error,
    },
}

/// What to decode, and into what.
#[derive(Clone, Debug)]
pub struct DecodeSpeed {
    /// The videos.
    pub files: Vec<PathBuf>,
    /// Frames of each, at the centres of as many equal segments.
    pub frames: usize,
    /// Sides in pixels of the square cut out of the middle, after the shorter side was brought to it
    /// (bicubic, as Pillow).
    pub side: usize,
    /// Videos decoded at a time, one thread each.
    pub threads: usize,
    /// What a file may cost.
    pub limits: Limits,
}

/// What it took.
#[derive(Clone, Debug, Serialize)]
pub struct DecodeSpeedResult {
    /// Videos decoded.
    pub clips: usize,
    /// Frames that were kept, of all videos together.
    pub frames: usize,
    /// Videos decoded at a time.
    pub threads: usize,
    /// Wall time.
    pub seconds: f64,
    /// Processor time of all threads together.
    pub cpu_s: f64,
    /// Videos a second of wall time.
    pub clips_per_s: f64,
    /// Kept frames a second of wall time.
    pub frames_per_s: f64,
}

impl DecodeSpeed {
    /// Decodes all files once; the pictures in the order of the files, `frames` each.
    ///
    /// # Errors
    ///
    /// Without a file, or the first file's that cannot be decoded or resized.
    pub fn run(&self) -> Result<(DecodeSpeedResult, Vec<Vec<Frame>>), DecodeSpeedError> {
        if self.files.is_empty() {
            return Err(DecodeSpeedError::NoFiles);
        }
        let (wall, cpu) = (Instant::now(), ProcessTime::now());
        let next = AtomicUsize::new(0);
        let done = Mutex::new(Vec::new());
        thread::scope(|scope| {
            for _ in 0..self.threads.max(1) {
                scope.spawn(|| {
                    loop {
                        let i = next.fetch_add(1, Ordering::Relaxed);
                        let Some(file) = self.files.get(i) else { break };
                        let pictures = self.pictures(file);
                        done.lock().unwrap_or_else(PoisonError::into_inner).push((i, pictures));
                    }
                });
            }
        });
        let (seconds, cpu_s) = (wall.elapsed().as_secs_f64(), cpu.elapsed().as_secs_f64());
        let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
        done.sort_by_key(|(i, _)| *i);
        let pictures = done.into_iter().map(|(_, pictures)| pictures).collect::<Result<Vec<_>, _>>()?;
        let (clips, frames) = (pictures.len(), pictures.iter().map(Vec::len).sum());
        let result = DecodeSpeedResult {
            clips,
            frames,
            threads: self.threads.max(1),
            seconds,
            cpu_s,
            clips_per_s: clips as f64 / seconds,
            frames_per_s: frames as f64 / seconds,
        };
        Ok((result, pictures))
    }

    fn pictures(&self, file: &Path) -> Result<Vec<Frame>, DecodeSpeedError> {
        let options = DecodeOptions { limits: self.limits.clone(), ..DecodeOptions::default() };
        let decoded = decode(file, &[Sampling::Uniform(self.frames)], &options)?;
        let frames = decoded.clips.iter().flat_map(squbed_core::Clip::frames);
        frames
            .map(|frame| {
                self.picture(frame)
                    .map_err(|source| DecodeSpeedError::Resize { path: file.to_owned(), source })
            })
            .collect()
    }

    fn picture(&self, frame: &Frame) -> Result<Frame, squbed_frame::Error> {
        resize_and_crop(frame, self.side, (self.side, self.side), Filter::Bicubic, CropRule::Floor)
    }
}
