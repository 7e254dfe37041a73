use std::time::Duration;

/// How [`decode`](crate::decode) reads, and what it refuses.
#[derive(Clone, Debug, PartialEq)]
pub struct DecodeOptions {
    /// What happens when part of the file is damaged or missing.
    pub damaged: Damaged,
    /// Leave out frames that nothing else refers to and nobody asked for. The frames that come back
    /// are byte-identical; only the time differs.
    pub skip_unreferenced: bool,
    /// What is refused because it is too large.
    pub limits: Limits,
    /// Frames a second of a folder of pictures, which carries no times of its own.
    pub folder_fps: f64,
}

impl Default for DecodeOptions {
    fn default() -> Self {
        Self {
            damaged: Damaged::default(),
            skip_unreferenced: true,
            limits: Limits::default(),
            folder_fps: 24.0,
        }
    }
}

/// What happens when part of a video is damaged or missing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Damaged {
    /// An error: no clip is made of a damaged file.
    #[default]
    Refuse,
    /// What can be decoded is, and the result carries a [`Warning`](crate::Warning).
    Warn,
}

/// Bounds on what one file may cost.
#[derive(Clone, Debug, PartialEq)]
pub struct Limits {
    /// Pixels of one frame.
    pub pixels: usize,
    /// Frames of the file.
    pub frames: usize,
    /// Seconds of the file.
    pub duration_seconds: f64,
    /// Bytes of all frames that are kept, as 8-bit RGB.
    pub kept_bytes: u64,
    /// Time spent on the file.
    pub time: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            pixels: 8192 * 8192,
            frames: 2_000_000,
            duration_seconds: 24.0 * 3600.0,
            kept_bytes: 8 << 30,
            time: Duration::from_secs(600),
        }
    }
}

/// How [`encode`](crate::encode) writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncodeOptions {
    /// Frames a second, as numerator and denominator.
    pub fps: (u32, u32),
    /// The codec, or none for H.264 where FFmpeg can write it and MPEG-4 otherwise.
    pub codec: Option<Codec>,
    /// Quality; less is better and larger. `None` is 18 for H.264 (constant rate factor 0 to 51), 3 for
    /// MPEG-4 (quantiser 1 to 31) and the encoder's own choice for any other (0 to 63: its constant rate factor
    /// where it has one, else its quantiser).
    pub quality: Option<u8>,
}

impl Default for EncodeOptions {
    fn default() -> Self {
        Self { fps: (24, 1), codec: None, quality: None }
    }
}

/// A codec that [`encode`](crate::encode) writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Codec {
    /// H.264 by libx264.
    H264,
    /// MPEG-4 part 2 by FFmpeg's own encoder.
    Mpeg4,
    /// An encoder by FFmpeg's name, such as `libx265` or `libaom-av1`; it must take yuv420p and its codec
    /// must fit into an mp4.
    Encoder(String),
}

impl From<&str> for Codec {
    /// `h264`, `mpeg4`, or the name of an encoder.
    fn from(name: &str) -> Self {
        match name {
            "h264" => Self::H264,
            "mpeg4" => Self::Mpeg4,
            name => Self::Encoder(name.to_owned()),
        }
    }
}

#[cfg(feature = "ffmpeg")]
impl Codec {
    /// The name FFmpeg gives its encoder.
    pub(crate) fn encoder(&self) -> &str {
        match self {
            Self::H264 => "libx264",
            Self::Mpeg4 => "mpeg4",
            Self::Encoder(name) => name,
        }
    }

    /// The smallest and the largest number that [`EncodeOptions::quality`] takes, and its default.
    pub(crate) fn quality(&self) -> (u8, u8, Option<u8>) {
        match self {
            Self::H264 => (0, 51, Some(18)),
            Self::Mpeg4 => (1, 31, Some(3)),
            Self::Encoder(_) => (0, 63, None),
        }
    }
}
