//! What stands in for FFmpeg in a build without it: each call says so.

use std::path::Path;

use squbed_core::{Frame, Sampling};

use crate::{DecodeOptions, Decoded, EncodeOptions, Error, VideoInfo};

fn refuse<T>(path: &Path) -> Result<T, Error> {
    Err(Error::WithoutFfmpeg { path: path.to_owned() })
}

pub(crate) fn probe(path: &Path, _: &DecodeOptions) -> Result<VideoInfo, Error> {
    refuse(path)
}

pub(crate) fn decode(path: &Path, _: &[Sampling], _: &DecodeOptions) -> Result<Decoded, Error> {
    refuse(path)
}

pub(crate) fn encode(
    path: &Path,
    _: &mut dyn Iterator<Item = Frame>,
    _: &EncodeOptions,
) -> Result<(), Error> {
    refuse(path)
}
