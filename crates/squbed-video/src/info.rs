//! What a video file holds.

use std::fmt;

use serde::{Serialize, Serializer};

/// Endings of the pictures that a folder's frames may be.
pub(crate) const PICTURES: [&str; 5] = ["png", "jpg", "jpeg", "bmp", "webp"];

/// The same in words.
pub(crate) const READ: &str = "png, jpg, jpeg, bmp and webp";

/// What a video file holds, as its packets tell and not its header alone.
///
/// Serialises with these names as keys; `time_base` and `average_rate` as `"num/den"`, `warnings` as
/// sentences.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct VideoInfo {
    /// Name of the codec, as FFmpeg has it: `h264`.
    pub codec: String,
    /// Profile of the codec: `High`.
    pub profile: Option<String>,
    /// Pixel format, as FFmpeg has it: `yuv420p`.
    pub pix_fmt: String,
    /// Pixels in a row as stored, before `rotation`; of a folder's pictures as they are shown.
    pub width: usize,
    /// Rows as stored, before `rotation`.
    pub height: usize,
    /// Frames that are shown: counted, not read from the header.
    pub frames: usize,
    /// From the first frame's beginning to the last frame's end.
    pub duration_seconds: f64,
    /// Seconds of one tick of `first_pts` and `last_pts`.
    pub time_base: Ratio,
    /// Frames a second by the header; 0/1 where it says nothing.
    pub average_rate: Ratio,
    /// Presentation time of the first frame, in ticks.
    pub first_pts: i64,
    /// Presentation time of the last frame, in ticks.
    pub last_pts: i64,
    /// Degrees by which the stored picture is turned clockwise for showing: 0, 90, 180 or 270.
    /// Decoded frames are already turned.
    pub rotation: u32,
    /// Whether the stored picture is mirrored left to right before it is turned.
    pub mirrored: bool,
    /// Whether the file has sound.
    pub has_audio: bool,
    /// The container, as FFmpeg has it: `mov,mp4,m4a,3gp,3g2,mj2`; `folder` for a folder of pictures.
    pub container: String,
    /// What is unusual about the file.
    pub warnings: Vec<Warning>,
}

impl VideoInfo {
    /// What is wrong with a clip that should be whole: cut short, damaged, or without a frame; none of one that is.
    pub fn defect(&self) -> Option<String> {
        let spoils = |warning: &&Warning| {
            matches!(
                warning,
                Warning::Truncated { .. }
                    | Warning::Damaged { .. }
                    | Warning::ReadStopped { .. }
                    | Warning::ShorterThanHeader { .. }
            )
        };
        let spoilt = self.warnings.iter().find(spoils).map(Warning::to_string);
        spoilt.or_else(|| (self.frames == 0).then(|| "it has no frames".to_owned()))
    }
}

/// A ratio of whole numbers, printed as `num/den`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ratio {
    /// Numerator.
    pub num: i32,
    /// Denominator.
    pub den: i32,
}

impl Ratio {
    /// The ratio as a number; zero where the denominator is zero.
    pub fn value(self) -> f64 {
        if self.den == 0 { 0.0 } else { f64::from(self.num) / f64::from(self.den) }
    }
}

impl fmt::Display for Ratio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.num, self.den)
    }
}

impl Serialize for Ratio {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// What is counted in what is missing or damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Frames of the video.
    Frames,
    /// Coded packets, as a rule one a frame.
    Packets,
    /// Bytes of the file.
    Bytes,
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Frames => "frames",
            Self::Packets => "packets",
            Self::Bytes => "bytes",
        })
    }
}

/// Something unusual about a video that does not keep it from being used.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Warning {
    /// The file ends before its own table of frames, or its own statement of length, says.
    Truncated {
        /// How many there should be, at least.
        expected: usize,
        /// How many are there.
        got: usize,
        /// Frames where a table lists them, else bytes.
        unit: Unit,
    },
    /// Packets that are not whole, or frames that the decoder could not wholly restore.
    Damaged {
        /// How many are damaged.
        damaged: usize,
        /// Of how many that were read.
        read: usize,
        /// Packets or frames.
        unit: Unit,
    },
    /// The size of the picture changes within the stream; each frame keeps its own.
    SizeChanges,
    /// The file cannot be read to its end.
    ReadStopped {
        /// Frames before the place.
        frames: usize,
        /// What FFmpeg said.
        reason: String,
    },
    /// The video lasts markedly less than its header says, as a file does that was cut short.
    ShorterThanHeader {
        /// Seconds by the header.
        header_seconds: f64,
        /// Seconds by the frames.
        seconds: f64,
    },
    /// The packets do not tell how many frames there are; all were decoded to count them.
    CountedByDecoding {
        /// Packets in the file.
        packets: usize,
        /// Frames they gave.
        frames: usize,
    },
    /// The frames carry no usable times; they were spaced evenly.
    NoTimes,
    /// High dynamic range: the colours are taken as they stand, without tone mapping.
    HighDynamicRange {
        /// FFmpeg's name of the transfer function.
        transfer: String,
    },
    /// The format holds transparency, which is dropped.
    AlphaDropped,
    /// Frames seem to be missing between others: where frames come at a constant rate, one is to be shown for a frame's
    /// time and the next comes much later.
    FramesMissing {
        /// About how many.
        frames: usize,
        /// When the frame before the first gap is shown, in seconds.
        seconds: f64,
    },
    /// Pictures of kinds that are not read lie in a folder of frames, and are passed over.
    PicturesPassedOver {
        /// How many.
        pictures: usize,
        /// The first of them.
        first: String,
    },
    /// The file asks for a turn that is no multiple of 90°, which is not applied.
    RotationIgnored,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated { expected, got, unit } => {
                write!(f, "cut short: {got} of {expected} {unit} are there")
            }
            Self::Damaged { damaged, read, unit } => {
                write!(f, "damaged: {damaged} of the {read} {unit} that were read")
            }
            Self::SizeChanges => f.write_str("the size of the picture changes; each frame keeps its own"),
            Self::ReadStopped { frames, reason } => {
                write!(f, "cannot be read beyond {frames} frames: {reason}")
            }
            Self::ShorterThanHeader { header_seconds, seconds } => {
                write!(f, "lasts {seconds:.2} s, while the header says {header_seconds:.2} s")
            }
            Self::CountedByDecoding { packets, frames } => {
                write!(f, "{packets} packets gave {frames} frames, counted by decoding")
            }
            Self::NoTimes => f.write_str("no usable frame times; frames were spaced evenly"),
            Self::HighDynamicRange { transfer } => {
                write!(f, "high dynamic range ({transfer}) without tone mapping")
            }
            Self::AlphaDropped => f.write_str("transparency, which the format holds, is dropped"),
            Self::FramesMissing { frames, seconds } => {
                write!(f, "{frames} frame(s) seem to be missing, the first after {seconds:.3} s")
            }
            Self::PicturesPassedOver { pictures, first } => {
                write!(
                    f,
                    "{pictures} picture(s) of kinds that are not read are passed over, the first is {first}; "
                )?;
                write!(f, "{READ} are read")
            }
            Self::RotationIgnored => f.write_str("a turn that is no multiple of 90° was not applied"),
        }
    }
}

impl Serialize for Warning {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
