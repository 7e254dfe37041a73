//! Writing frames as an mp4.

use std::path::Path;

use squbed_core::Frame;
use squbed_files::Partial;

use crate::{
    Codec, EncodeOptions, Error,
    ffi::{Writer, WriterSpec, encoders, has_encoder},
};

/// The longest side that is encoded, which H.264 and MPEG-4 both take.
const LONGEST_SIDE: usize = 16384;

pub(crate) fn encode(
    path: &Path,
    frames: &mut dyn Iterator<Item = Frame>,
    options: &EncodeOptions,
) -> Result<(), Error> {
    let Some(first) = frames.next() else {
        return Err(Error::NothingToEncode { path: path.to_owned() });
    };
    let spec = spec(path, &first, options)?;
    let size = (first.width(), first.height());
    let failed = |source| Error::Libav { operation: "encode", path: path.to_owned(), source };

    let unwritable = |source| Error::Unwritable { path: path.to_owned(), source };
    // Made here, so that a missing right is told in the system's own words.
    let partial = Partial::beside(path).map_err(unwritable)?;
    let mut writer = Writer::create(partial.path(), &spec)?.map_err(failed)?;
    writer.write(&first).map_err(failed)?;
    for (i, frame) in frames.enumerate() {
        let got = (frame.width(), frame.height());
        if got != size {
            return Err(Error::MixedSizes { path: path.to_owned(), index: i + 1, got, expected: size });
        }
        writer.write(&frame).map_err(failed)?;
    }
    writer.finish().map_err(failed)?;
    partial.commit().map_err(unwritable)
}

fn spec(path: &Path, first: &Frame, options: &EncodeOptions) -> Result<WriterSpec, Error> {
    let path = || path.to_owned();
    let (width, height) = (first.width(), first.height());
    if width % 2 + height % 2 > 0 || width > LONGEST_SIDE || height > LONGEST_SIDE {
        return Err(Error::FrameSize { path: path(), width, height });
    }
    let positive = |number: u32| i32::try_from(number).ok().filter(|&number| number > 0);
    let fps = positive(options.fps.0)
        .zip(positive(options.fps.1))
        .ok_or_else(|| Error::Rate { path: path(), fps: options.fps })?;
    let usual = || if has_encoder(Codec::H264.encoder()) { Codec::H264 } else { Codec::Mpeg4 };
    let codec = options.codec.clone().unwrap_or_else(usual);
    let encoder = codec.encoder().to_owned();
    if !has_encoder(&encoder) {
        return Err(Error::NoEncoder { path: path(), encoder, present: encoders() });
    }
    let (low, high, usual) = codec.quality();
    let quality = options.quality.or(usual);
    if let Some(quality) = quality.filter(|quality| !(low..=high).contains(quality)) {
        return Err(Error::Quality { path: path(), quality, encoder, low, high });
    }
    Ok(WriterSpec { codec, quality, width: width as i32, height: height as i32, fps })
}
