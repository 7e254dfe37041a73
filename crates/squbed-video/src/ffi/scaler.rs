//! Decoded pictures to 8-bit RGB.
//!
//! FFmpeg has two ways from YCbCr to RGB of the same size. Pictures of 8 bits, 4:2:0 or 4:2:2, and even sides take a short
//! one, where pixels that share a chroma sample get it as it is. All others take the general one, which interpolates chroma
//! and has to be told where its samples lie: of 4:2:2 that is done, as PyAV 18 with FFmpeg 8 does it. Of 4:2:0 the general
//! way of FFmpeg 5.1 is a quarter of a chroma row off whatever it is told, so that its default stays; FFmpeg 8 meets the
//! standard there within 4 grey levels. Rows of an interlaced 4:2:0 picture share chroma with the row after next, that of
//! their own field, so that its fields are converted one by one, as in FFmpeg 8.

use std::{
    ffi::{CStr, c_int},
    ptr,
};

use ffmpeg_next::{
    ffi::{
        AVColorSpace, AVFrame, AVPixelFormat, SWS_CS_DEFAULT, SwsContext, av_frame_alloc, av_frame_free,
        av_frame_get_buffer, av_opt_set_int, sws_alloc_context, sws_freeContext, sws_getCoefficients,
        sws_init_context, sws_scale, sws_setColorspaceDetails,
    },
    software::scaling::Flags,
};

use super::{Picture, allocated, check};
use crate::LibavError;

/// Converts pictures to 8-bit RGB at their own size; rebuilt whenever size or format change.
#[derive(Default)]
pub(crate) struct Scaler {
    current: Option<Conversion>,
}

impl Scaler {
    /// The picture's pixels, `[height, width, 3]`, with their width and height.
    pub(crate) fn rgb(&mut self, picture: &Picture) -> Result<(usize, usize, Vec<u8>), LibavError> {
        let shape = Shape::of(picture);
        if self.current.as_ref().is_none_or(|conversion| conversion.shape != shape) {
            self.current = Some(Conversion::new(shape)?);
        }
        let (width, height) = (picture.width(), picture.height());
        match &mut self.current {
            Some(conversion) => Ok((width, height, conversion.run(picture))),
            None => Ok((width, height, Vec::new())),
        }
    }
}

#[derive(Clone, Copy, PartialEq)]
struct Shape {
    width: i32,
    height: i32,
    format: AVPixelFormat,
    /// One of `AVColorSpace`, or a number that a file made up.
    matrix: c_int,
    full_range: bool,
    chroma_at_the_left: bool,
    /// Two where the fields are converted one by one.
    fields: c_int,
}

impl Shape {
    fn of(picture: &Picture) -> Self {
        let rows = picture.rows_a_chroma_row();
        // The fields of a picture that both have whole rows of chroma; others are none that a codec makes.
        let in_fields = rows > 1 && picture.is_interlaced() && picture.height().is_multiple_of(2 * rows);
        Self {
            width: picture.get().width,
            height: picture.get().height,
            chroma_at_the_left: rows == 1 && picture.has_chroma_at_the_left(),
            fields: if in_fields { 2 } else { 1 },
            format: picture.pixel_format(),
            matrix: picture.matrix(),
            full_range: picture.is_full_range(),
        }
    }
}

struct Conversion {
    shape: Shape,
    context: *mut SwsContext,
    rgb: Buffer,
}

impl Conversion {
    fn new(shape: Shape) -> Result<Self, LibavError> {
        let Shape { width, height, format, matrix, full_range, chroma_at_the_left, fields } = shape;
        let rgb = Buffer::new(width, height, AVPixelFormat::AV_PIX_FMT_RGB24)?;
        let rows = height / fields;
        // SAFETY: sizes and formats are those of a decoded picture; a null context is caught, and one that cannot be
        // initialised is freed as it owns itself from the beginning.
        unsafe {
            let context = allocated(sws_alloc_context())?;
            let conversion = Self { shape, context, rgb };
            let set = |name: &CStr, value: c_int| {
                check(av_opt_set_int(context.cast(), name.as_ptr(), value.into(), 0))
            };
            for (name, value) in [
                (c"srcw", width),
                (c"srch", rows),
                (c"src_format", format as c_int),
                (c"dstw", width),
                (c"dsth", rows),
                (c"dst_format", AVPixelFormat::AV_PIX_FMT_RGB24 as c_int),
                // What PyAV passes; at equal sizes only chroma can differ by it.
                (c"sws_flags", Flags::BILINEAR.bits()),
            ] {
                set(name, value)?;
            }
            if chroma_at_the_left {
                set(c"src_h_chr_pos", 0)?;
            }
            check(sws_init_context(context, ptr::null_mut(), ptr::null_mut()))?;
            // Where the stream names no matrix, the default is BT.601. A format without luma has neither
            // matrix nor range; the answer -1 says so and changes nothing.
            let named = matrix != AVColorSpace::AVCOL_SPC_RGB as c_int;
            let matrix = sws_getCoefficients(if named { matrix } else { SWS_CS_DEFAULT });
            let range = c_int::from(full_range);
            sws_setColorspaceDetails(context, matrix, range, matrix, 1, 0, 1 << 16, 1 << 16);
            Ok(conversion)
        }
    }

    fn run(&mut self, picture: &Picture) -> Vec<u8> {
        let (width, height) = (picture.width(), picture.height());
        // SAFETY: source and destination have the shape the context was made for; afterwards each of
        // the destination's rows holds `width · 3` bytes.
        unsafe {
            let source = picture.get();
            let target = &*self.rgb.0;
            let fields = self.shape.fields;
            for field in 0..fields {
                // Its rows: from the first one, each `fields` rows after the one before it.
                let first = |frame: &AVFrame| {
                    std::array::from_fn::<_, 4, _>(|plane| {
                        frame.data[plane].wrapping_offset((field * frame.linesize[plane]) as isize)
                    })
                };
                let apart = |frame: &AVFrame| {
                    std::array::from_fn::<c_int, 4, _>(|plane| fields * frame.linesize[plane])
                };
                sws_scale(
                    self.context,
                    first(source).as_ptr().cast(),
                    apart(source).as_ptr(),
                    0,
                    source.height / fields,
                    first(target).as_ptr(),
                    apart(target).as_ptr(),
                );
            }
            let mut rgb = Vec::with_capacity(width * height * 3);
            for row in 0..height {
                let start = target.data[0].offset(row as isize * target.linesize[0] as isize);
                rgb.extend_from_slice(std::slice::from_raw_parts(start, width * 3));
            }
            rgb
        }
    }
}

impl Drop for Conversion {
    fn drop(&mut self) {
        // SAFETY: the context came from sws_getContext and is freed once.
        unsafe { sws_freeContext(self.context) }
    }
}

/// A frame with memory of its own, aligned and padded as FFmpeg's vector code wants it.
pub(super) struct Buffer(pub(super) *mut AVFrame);

impl Buffer {
    pub(super) fn new(width: i32, height: i32, format: AVPixelFormat) -> Result<Self, LibavError> {
        // SAFETY: the frame is fresh, and freed by Drop from the moment `Self` holds it.
        unsafe {
            let buffer = Self(allocated(av_frame_alloc())?);
            (*buffer.0).width = width;
            (*buffer.0).height = height;
            (*buffer.0).format = format as i32;
            check(av_frame_get_buffer(buffer.0, 0))?;
            Ok(buffer)
        }
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        // SAFETY: the frame came from av_frame_alloc and is freed once.
        unsafe { av_frame_free(&mut self.0) }
    }
}
