//! Frames and clips.

/// One 8-bit RGB image, rows top to bottom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    width: usize,
    height: usize,
    rgb: Vec<u8>,
}

/// Why frames do not form a [`Frame`] or a [`Clip`].
#[derive(Debug, thiserror::Error, PartialEq)]
pub enum ClipError {
    /// The buffer is not `width · height · 3` bytes, or a side is zero.
    #[error("a {width}x{height} RGB frame needs {expected} bytes, got {got}")]
    FrameSize {
        /// Pixels in a row.
        width: usize,
        /// Rows.
        height: usize,
        /// `width · height · 3`.
        expected: usize,
        /// Bytes given.
        got: usize,
    },
    /// A clip has at least one frame.
    #[error("a clip needs at least one frame")]
    Empty,
    /// One timestamp belongs to one frame.
    #[error("{frames} frames but {timestamps} timestamps")]
    Timestamps {
        /// Frames given.
        frames: usize,
        /// Timestamps given.
        timestamps: usize,
    },
}

impl Frame {
    /// A frame from its pixels, `[height, width, 3]` in row-major order.
    pub fn new(width: usize, height: usize, rgb: Vec<u8>) -> Result<Self, ClipError> {
        let expected = width * height * 3;
        if rgb.len() != expected || expected == 0 {
            return Err(ClipError::FrameSize { width, height, expected, got: rgb.len() });
        }
        Ok(Self { width, height, rgb })
    }

    /// Pixels in a row.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Rows.
    pub fn height(&self) -> usize {
        self.height
    }

    /// The pixels, `[height, width, 3]`.
    pub fn rgb(&self) -> &[u8] {
        &self.rgb
    }

    /// Gives the pixels away.
    pub fn into_rgb(self) -> Vec<u8> {
        self.rgb
    }
}

/// Frames of a video in order of presentation, each with its time.
///
/// At least one frame; as many timestamps as frames.
#[derive(Clone, Debug, PartialEq)]
pub struct Clip {
    frames: Vec<Frame>,
    pts_seconds: Vec<f64>,
}

impl Clip {
    /// A clip from frames and their presentation times in seconds.
    pub fn new(frames: Vec<Frame>, pts_seconds: Vec<f64>) -> Result<Self, ClipError> {
        if frames.is_empty() {
            return Err(ClipError::Empty);
        }
        if frames.len() != pts_seconds.len() {
            return Err(ClipError::Timestamps { frames: frames.len(), timestamps: pts_seconds.len() });
        }
        Ok(Self { frames, pts_seconds })
    }

    /// The frames.
    pub fn frames(&self) -> &[Frame] {
        &self.frames
    }

    /// Presentation times in seconds, one a frame.
    pub fn pts_seconds(&self) -> &[f64] {
        &self.pts_seconds
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_knows_its_size() {
        assert!(Frame::new(2, 1, vec![0; 6]).is_ok());
        assert_eq!(
            Frame::new(2, 1, vec![0; 5]).unwrap_err().to_string(),
            "a 2x1 RGB frame needs 6 bytes, got 5"
        );
        assert!(Frame::new(0, 1, vec![]).is_err());
    }

    #[test]
    fn a_clip_needs_frames_and_as_many_times() {
        let frame = Frame::new(1, 1, vec![0; 3]).unwrap();
        assert_eq!(Clip::new(vec![], vec![]).unwrap_err(), ClipError::Empty);
        assert!(Clip::new(vec![frame.clone()], vec![]).is_err());
        assert!(Clip::new(vec![frame], vec![0.0]).is_ok());
    }
}
