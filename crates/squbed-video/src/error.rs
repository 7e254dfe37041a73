use std::{io, path::PathBuf, time::Duration};

use squbed_core::ClipError;

use crate::{Unit, info::READ};

/// Why a video cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system will not give the file or folder.
    #[error("cannot read {}", path.display())]
    Unreadable {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A pipe, a socket or a device, which may never end.
    #[error("{} is no regular file; save the video to a file first", path.display())]
    NotAFile {
        /// The path.
        path: PathBuf,
    },
    /// A file of no bytes.
    #[error("{} is empty: it has 0 bytes", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// A path that no C library can take.
    #[error("the path {} cannot be given to FFmpeg: it holds a NUL or is not UTF-8", path.display())]
    Path {
        /// The path.
        path: PathBuf,
    },
    /// No container that FFmpeg knows, or one whose header (an mp4's `moov`) is missing or damaged.
    #[error("{} is no video, or its header is missing or damaged", path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What FFmpeg said.
        source: LibavError,
    },
    /// A container outside those that are read, such as a play list, which would open other files.
    #[error("{} is of a kind that is not read, such as a play list; give the video file itself", path.display())]
    Container {
        /// The file.
        path: PathBuf,
    },
    /// Sound or subtitles alone.
    #[error("{} holds no video stream", path.display())]
    NoVideoStream {
        /// The file.
        path: PathBuf,
    },
    /// A video stream without a whole frame.
    #[error("{} holds no whole frame", path.display())]
    NoFrames {
        /// The file.
        path: PathBuf,
    },
    /// A folder without a picture.
    #[error("the folder {} holds no picture{}; {READ} are read", path.display(), match passed_over {
        0 => String::new(),
        n => format!(" but {n} of kinds that are not read"),
    })]
    NoPictures {
        /// The folder.
        path: PathBuf,
        /// Pictures of other kinds.
        passed_over: usize,
    },
    /// FFmpeg was built without the codec.
    #[error("{} is coded as {codec}, which this FFmpeg cannot decode", path.display())]
    NoDecoder {
        /// The file.
        path: PathBuf,
        /// Name of the codec.
        codec: String,
    },
    /// The file ends before its own table of frames, or its own statement of length, says.
    #[error("{} is cut short: {got} of {expected} {unit} are there", path.display())]
    Truncated {
        /// The file.
        path: PathBuf,
        /// How many there should be, at least.
        expected: usize,
        /// How many are there.
        got: usize,
        /// Frames where a table lists them, else bytes.
        unit: Unit,
    },
    /// Packets that are not whole, or frames that the decoder could not restore.
    #[error("{} is damaged: {damaged} of the {read} {unit} that were read", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// How many are damaged.
        damaged: usize,
        /// Of how many that were read; those behind the last frame that was asked for are not.
        read: usize,
        /// Packets or frames.
        unit: Unit,
    },
    /// A frame was asked for that the video does not have.
    #[error("frame {index} of {} was asked for, which has {frames} frames, counted from 0", path.display())]
    FrameOutOfRange {
        /// The file.
        path: PathBuf,
        /// Frame asked for.
        index: usize,
        /// Frames there are.
        frames: usize,
    },
    /// A plan that picks no frame at all.
    #[error("the sampling `{sampling}` picks no frame of {}", path.display())]
    EmptyPlan {
        /// The file.
        path: PathBuf,
        /// The plan.
        sampling: String,
    },
    /// More than [`Limits`](crate::Limits) allow.
    #[error("{} has or needs {value} {what}; the limit is {limit}", path.display())]
    Limit {
        /// The file or folder.
        path: PathBuf,
        /// What is counted, with its unit.
        what: &'static str,
        /// How much there is.
        value: f64,
        /// How much there may be.
        limit: f64,
    },
    /// The file took longer than [`Limits::time`](crate::Limits::time).
    #[error("{} took longer than the limit of {} seconds", path.display(), limit.as_secs_f64())]
    Timeout {
        /// The file.
        path: PathBuf,
        /// The limit.
        limit: Duration,
    },
    /// FFmpeg failed at something that should not fail.
    #[error("FFmpeg cannot {operation} {}", path.display())]
    Libav {
        /// What was tried.
        operation: &'static str,
        /// The file.
        path: PathBuf,
        /// What FFmpeg said.
        source: LibavError,
    },
    /// A picture of a frame folder cannot be read.
    #[error("cannot read the picture {}", path.display())]
    Picture {
        /// The picture.
        path: PathBuf,
        /// Why.
        source: image::ImageError,
    },
    /// The pixels do not form a clip.
    #[error("{} gives no clip", path.display())]
    Clip {
        /// The file.
        path: PathBuf,
        /// Why.
        source: ClipError,
    },
    /// Nothing to encode.
    #[error("no frame was given for {}", path.display())]
    NothingToEncode {
        /// The file.
        path: PathBuf,
    },
    /// Both sides of an encoded video are even, because its colour is stored at half the resolution.
    #[error("cannot encode {width}x{height} frames to {}: both sides must be even and at most 16384", path.display())]
    FrameSize {
        /// The file.
        path: PathBuf,
        /// Pixels in a row.
        width: usize,
        /// Rows.
        height: usize,
    },
    /// All frames of an encoded video, and all pictures of a folder, have one size.
    #[error("frame {index} for {} is {}x{}, the frames before it are {}x{}", path.display(), got.0, got.1, expected.0, expected.1)]
    MixedSizes {
        /// The file to write, or the picture that differs.
        path: PathBuf,
        /// The frame, counted from 0.
        index: usize,
        /// Its width and height.
        got: (usize, usize),
        /// Width and height of the frames before it.
        expected: (usize, usize),
    },
    /// A rate that is not above zero.
    #[error("cannot encode {} at {}/{} frames a second; both numbers must be 1 to 2147483647", path.display(), fps.0, fps.1)]
    Rate {
        /// The file.
        path: PathBuf,
        /// Numerator and denominator.
        fps: (u32, u32),
    },
    /// A rate of a folder's pictures that is not above zero.
    #[error("cannot read {} at {fps} frames a second; the rate must be above 0", path.display())]
    FolderRate {
        /// The folder.
        path: PathBuf,
        /// Frames a second.
        fps: f64,
    },
    /// A quality outside the codec's range.
    #[error("cannot encode {} at quality {quality}; {encoder} takes {low} to {high}", path.display())]
    Quality {
        /// The file.
        path: PathBuf,
        /// What was given.
        quality: u8,
        /// FFmpeg's encoder.
        encoder: String,
        /// Best quality.
        low: u8,
        /// Least quality.
        high: u8,
    },
    /// FFmpeg was built without the encoder, or it is none of video for mp4.
    #[error("cannot encode {}: this FFmpeg has no encoder `{encoder}` that writes mp4 from yuv420p; it has: {}", path.display(), present.join(", "))]
    NoEncoder {
        /// The file.
        path: PathBuf,
        /// FFmpeg's name of the encoder.
        encoder: String,
        /// Those that there are.
        present: Vec<String>,
    },
    /// The finished file cannot be put in its place.
    #[error("cannot write {}", path.display())]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The program was built without FFmpeg.
    #[error("{} is a video file, and this build has no FFmpeg; build with the feature `ffmpeg`, or give a folder of frames", path.display())]
    WithoutFfmpeg {
        /// The file.
        path: PathBuf,
    },
}

/// What FFmpeg returned.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text} (FFmpeg's code {code})")]
pub struct LibavError {
    /// FFmpeg's error code, below zero.
    pub code: i32,
    /// FFmpeg's words for it.
    pub text: String,
}
