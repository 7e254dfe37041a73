use std::{ffi::c_int, mem::ManuallyDrop, ptr};

use ffmpeg_next::{
    ffi::{
        AV_FRAME_FLAG_CORRUPT, AVChromaLocation, AVCodecContext, AVColorRange, AVDiscard, AVERROR_EOF,
        AVFrame, AVPixelFormat, AVRational, av_frame_alloc, av_frame_free, av_pix_fmt_desc_get,
        avcodec_alloc_context3, avcodec_find_decoder, avcodec_free_context, avcodec_open2,
        avcodec_parameters_to_context, avcodec_receive_frame, avcodec_send_packet,
    },
    frame::Video,
};

use super::{Input, NO_PTS, Packet, Stream, allocated, check, number};
use crate::LibavError;

/// A decoder on one thread.
pub(crate) struct Decoder {
    raw: *mut AVCodecContext,
}

impl Decoder {
    /// A decoder of `stream`; none where FFmpeg has none.
    pub(crate) fn new(input: &Input, stream: &Stream, max_pixels: usize) -> Result<Option<Self>, LibavError> {
        // SAFETY: the context is fresh and freed by Drop from the moment `Self` holds it; the
        // parameters belong to an opened input.
        unsafe {
            let codec = avcodec_find_decoder(stream.codec_id);
            if codec.is_null() {
                return Ok(None);
            }
            let decoder = Self { raw: allocated(avcodec_alloc_context3(codec))? };
            check(avcodec_parameters_to_context(decoder.raw, input.parameters(stream.index)))?;
            (*decoder.raw).thread_count = 1;
            (*decoder.raw).max_pixels = i64::try_from(max_pixels).unwrap_or(i64::MAX);
            (*decoder.raw).pkt_timebase = AVRational { num: stream.time_base.num, den: stream.time_base.den };
            check(avcodec_open2(decoder.raw, codec, ptr::null_mut()))?;
            Ok(Some(decoder))
        }
    }

    /// From the next packet on: leave out frames nothing refers to, or decode all.
    pub(crate) fn skip_unreferenced(&mut self, skip: bool) {
        // SAFETY: an open context, between two packets; the codec reads the field at each.
        unsafe {
            (*self.raw).skip_frame =
                if skip { AVDiscard::AVDISCARD_NONREF } else { AVDiscard::AVDISCARD_DEFAULT };
        }
    }

    /// Hands a packet over; `None` is the end. All pictures must have been received before.
    pub(crate) fn send(&mut self, packet: Option<&Packet>) -> Result<(), LibavError> {
        let packet = packet.map_or(ptr::null(), Packet::as_ptr);
        // SAFETY: an open context and a packet or null.
        check(unsafe { avcodec_send_packet(self.raw, packet) }).map(drop)
    }

    /// The next picture in order of presentation; `false` where another packet is needed or the end
    /// is reached.
    pub(crate) fn receive(&mut self, picture: &mut Picture) -> Result<bool, LibavError> {
        // SAFETY: an open context and an allocated frame, which the call empties first.
        match unsafe { avcodec_receive_frame(self.raw, picture.raw) } {
            AVERROR_EOF => Ok(false),
            code if code == -ffmpeg_next::error::EAGAIN => Ok(false),
            code => check(code).map(|_| true),
        }
    }
}

impl Drop for Decoder {
    fn drop(&mut self) {
        // SAFETY: `raw` came from avcodec_alloc_context3 and is freed once.
        unsafe { avcodec_free_context(&mut self.raw) }
    }
}

/// A decoded picture in the codec's own pixel format.
pub(crate) struct Picture {
    pub(super) raw: *mut AVFrame,
}

impl Picture {
    pub(crate) fn new() -> Result<Self, LibavError> {
        // SAFETY: no preconditions.
        Ok(Self { raw: allocated(unsafe { av_frame_alloc() })? })
    }

    pub(super) fn get(&self) -> &AVFrame {
        // SAFETY: `raw` is a frame from av_frame_alloc, alive as long as self.
        unsafe { &*self.raw }
    }

    /// Presentation time in ticks: the packet's, or FFmpeg's guess where that is missing.
    pub(crate) fn pts(&self) -> Option<i64> {
        let frame = self.get();
        [frame.pts, frame.best_effort_timestamp].into_iter().find(|&pts| pts != NO_PTS)
    }

    /// Whether part of it could not be decoded.
    pub(crate) fn is_damaged(&self) -> bool {
        let frame = self.get();
        frame.decode_error_flags != 0 || frame.flags & AV_FRAME_FLAG_CORRUPT != 0
    }

    pub(crate) fn width(&self) -> usize {
        usize::try_from(self.get().width).unwrap_or(0)
    }

    pub(crate) fn height(&self) -> usize {
        usize::try_from(self.get().height).unwrap_or(0)
    }

    pub(super) fn pixel_format(&self) -> AVPixelFormat {
        // SAFETY: the format of a decoded picture is an AVPixelFormat of the same library.
        unsafe { std::mem::transmute(self.get().format) }
    }

    /// Whether a pixel of it lets through what lies behind; of BGRA alone, else `false`.
    pub(crate) fn is_transparent(&self) -> bool {
        if self.pixel_format() != AVPixelFormat::AV_PIX_FMT_BGRA {
            return false;
        }
        let (frame, bytes) = (self.get(), 4 * self.width());
        (0..self.height()).any(|row| {
            // SAFETY: a decoded picture of this format has one plane of `height` rows, each `linesize` bytes after the
            // one before it and of 4 bytes a pixel.
            let row = unsafe {
                let start = frame.data[0].offset(row as isize * frame.linesize[0] as isize);
                std::slice::from_raw_parts(start, bytes)
            };
            row.chunks_exact(4).any(|pixel| pixel[3] < u8::MAX)
        })
    }

    /// Whether luma fills 0 to 255 and not 16 to 235.
    pub(super) fn is_full_range(&self) -> bool {
        // SAFETY: a field of a frame that is there.
        unsafe { number(&raw const (*self.raw).color_range) == AVColorRange::AVCOL_RANGE_JPEG as c_int }
    }

    /// Whether its even and its odd rows are two fields.
    pub(super) fn is_interlaced(&self) -> bool {
        // SAFETY: the wrapper frees nothing, as it is never dropped, and goes before the picture does.
        ManuallyDrop::new(unsafe { Video::wrap(self.raw) }).is_interlaced()
    }

    /// Whether chroma samples lie at the left one of the pixels that share them, not between these.
    pub(super) fn has_chroma_at_the_left(&self) -> bool {
        use AVChromaLocation::{AVCHROMA_LOC_BOTTOMLEFT, AVCHROMA_LOC_LEFT, AVCHROMA_LOC_TOPLEFT};
        // SAFETY: a field of a frame that is there.
        let at = unsafe { number(&raw const (*self.raw).chroma_location) };
        [AVCHROMA_LOC_LEFT, AVCHROMA_LOC_TOPLEFT, AVCHROMA_LOC_BOTTOMLEFT]
            .iter()
            .any(|&left| at == left as c_int)
    }

    /// Rows of pixels that share a row of chroma samples.
    pub(super) fn rows_a_chroma_row(&self) -> usize {
        // SAFETY: returns null or a static description.
        let about = unsafe { av_pix_fmt_desc_get(self.pixel_format()).as_ref() };
        1 << about.map_or(0, |about| about.log2_chroma_h)
    }

    /// The matrix from RGB to what is stored, a number of `AVColorSpace` as a rule.
    pub(super) fn matrix(&self) -> c_int {
        // SAFETY: a field of a frame that is there.
        unsafe { number(&raw const (*self.raw).colorspace) }
    }
}

impl Drop for Picture {
    fn drop(&mut self) {
        // SAFETY: `raw` came from av_frame_alloc and is freed once.
        unsafe { av_frame_free(&mut self.raw) }
    }
}
