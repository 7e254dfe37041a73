/// Why a frame cannot be resized or cropped.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A side is zero or more than 65,535 pixels.
    #[error("cannot resize a frame to {width}x{height}; each side must be 1 to 65535 pixels")]
    Size {
        /// Pixels in a row.
        width: usize,
        /// Rows.
        height: usize,
    },
    /// The frame that was given is larger than the resampler takes.
    #[error("cannot resize a frame of {width}x{height}; each side may be at most 65535 pixels")]
    Source {
        /// Pixels in a row.
        width: usize,
        /// Rows.
        height: usize,
    },
    /// The crop is empty or does not fit into the frame.
    #[error("cannot crop {crop_width}x{crop_height} out of a frame of {width}x{height}")]
    Crop {
        /// Pixels in a row of the crop.
        crop_width: usize,
        /// Rows of the crop.
        crop_height: usize,
        /// Pixels in a row of the frame.
        width: usize,
        /// Rows of the frame.
        height: usize,
    },
    /// The result does not form a frame.
    #[error("the result is no frame")]
    Frame(#[from] squbed_core::ClipError),
}
