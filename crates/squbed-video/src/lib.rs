//! Video files in and out.
//!
//! [`probe`] says what a file holds, [`decode`] gives the frames that one or several sampling plans
//! pick, in one pass, and [`encode`] writes frames as an mp4. A folder of pictures is read as a video
//! too. Without the feature `ffmpeg` only folders are.
//!
//! Files are opened as files alone: no network, no play lists, no other file by reference.
//!
//! ```no_run
//! use squbed_core::Sampling;
//!
//! let plans = [Sampling::Uniform(16), Sampling::Rate { fps: 8.0, max: None }];
//! let decoded = squbed_video::decode("a.mp4".as_ref(), &plans, &Default::default())?;
//! println!("{} frames, of which 16 were kept", decoded.info.frames);
//! # Ok::<(), squbed_video::Error>(())
//! ```

// The tests' helpers speak of this crate by its name, inside it too.
#[cfg(all(test, feature = "ffmpeg"))]
extern crate self as squbed_video;

mod error;
mod folder;
mod info;
mod options;
mod plan;

#[cfg(feature = "ffmpeg")]
mod encode;
#[cfg(feature = "ffmpeg")]
mod extent;
#[cfg(feature = "ffmpeg")]
mod ffi;
#[cfg(feature = "ffmpeg")]
mod file;
#[cfg(feature = "ffmpeg")]
mod library;
#[cfg(feature = "ffmpeg")]
mod orientation;
#[cfg(feature = "ffmpeg")]
mod scan;
#[cfg(feature = "ffmpeg")]
mod source;
#[cfg(not(feature = "ffmpeg"))]
mod without;
#[cfg(not(feature = "ffmpeg"))]
use without as file;

use std::{fs, path::Path};

pub use error::{Error, LibavError};
pub use info::{Ratio, Unit, VideoInfo, Warning};
#[cfg(feature = "ffmpeg")]
pub use library::Library;
pub use options::{Codec, Damaged, DecodeOptions, EncodeOptions, Limits};
use squbed_core::{Clip, Frame, Sampling};

/// What [`decode`] gives.
#[derive(Clone, Debug)]
pub struct Decoded {
    /// One clip a plan, in the order of the plans; upright 8-bit RGB frames.
    pub clips: Vec<Clip>,
    /// What the file holds.
    pub info: VideoInfo,
    /// What is unusual: `info.warnings`, and what came up while decoding.
    pub warnings: Vec<Warning>,
}

/// The FFmpeg in use.
#[cfg(feature = "ffmpeg")]
pub fn library() -> Library {
    library::library()
}

/// What a video file, or a folder of pictures, holds.
///
/// The file is read through once without decoding, so that the count of frames is exact. Where the
/// packets cannot tell (a raw stream, AVI), the frames are decoded to be counted.
///
/// # Errors
///
/// As [`decode`]. A file that is cut short is described as far as it goes, with a warning.
pub fn probe(path: &Path) -> Result<VideoInfo, Error> {
    probe_within(path, &Limits::default())
}

/// The same within limits of one's own.
///
/// # Errors
///
/// As [`probe`].
pub fn probe_within(path: &Path, limits: &Limits) -> Result<VideoInfo, Error> {
    let limits = limits.clone();
    let options = DecodeOptions { damaged: Damaged::Warn, limits, ..DecodeOptions::default() };
    if is_folder(path)? { folder::probe(path, &options) } else { file::probe(path, &options) }
}

/// One picture (PNG, JPEG, BMP or WebP), upright, as 8-bit RGB: grey is repeated, 16 bits are rounded to 8, an
/// alpha channel is left out.
///
/// # Errors
///
/// A file that cannot be read or is no picture, or one beyond the limits.
pub fn read_picture(path: &Path, limits: &Limits) -> Result<Frame, Error> {
    folder::read_checked(path, limits)
}

/// The frames that each of `plans` picks, decoded in one pass.
///
/// Colours are converted at full size by FFmpeg's default conversion to 8-bit RGB, as PyAV's is, with the
/// matrix and the range that the stream names (BT.601 and 16 to 235 where it names none); the two fields of an interlaced
/// frame have chroma of their own, and stay woven into one frame. Frames are
/// turned upright and not resized. Times are the file's own, in seconds.
///
/// # Errors
///
/// One of [`Error`]'s reading variants, which name the file. Damage is an error or a warning as
/// [`DecodeOptions::damaged`] says.
pub fn decode(path: &Path, plans: &[Sampling], options: &DecodeOptions) -> Result<Decoded, Error> {
    if is_folder(path)? { folder::decode(path, plans, options) } else { file::decode(path, plans, options) }
}

/// Writes `frames` as an mp4 without sound, yuv420p, to `path`.
///
/// The file appears whole or not at all, and the same frames give the same bytes with the same FFmpeg
/// build.
///
/// # Errors
///
/// [`Error::NothingToEncode`], [`Error::FrameSize`], [`Error::MixedSizes`], [`Error::Rate`],
/// [`Error::Quality`], [`Error::NoEncoder`], [`Error::Unwritable`] or [`Error::Libav`].
pub fn encode(
    path: &Path,
    frames: impl IntoIterator<Item = Frame>,
    options: &EncodeOptions,
) -> Result<(), Error> {
    #[cfg(feature = "ffmpeg")]
    return encode::encode(path, &mut frames.into_iter(), options);
    #[cfg(not(feature = "ffmpeg"))]
    return without::encode(path, &mut frames.into_iter(), options);
}

/// Whether `path` is a folder; an error where it cannot be looked at, or is neither folder nor file.
fn is_folder(path: &Path) -> Result<bool, Error> {
    let metadata =
        fs::metadata(path).map_err(|source| Error::Unreadable { path: path.to_owned(), source })?;
    if metadata.is_dir() || metadata.is_file() {
        return Ok(metadata.is_dir());
    }
    // To open a pipe that nobody writes to would wait for ever.
    Err(Error::NotAFile { path: path.to_owned() })
}
