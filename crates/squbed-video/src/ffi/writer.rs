use std::{
    ffi::{CStr, CString, c_int, c_void},
    path::Path,
    ptr,
};

use ffmpeg_next::{
    codec::codec::Codec,
    encoder::find_by_name,
    ffi::{
        AV_CODEC_CAP_HARDWARE, AV_CODEC_CAP_HYBRID, AV_CODEC_FLAG_BITEXACT, AV_CODEC_FLAG_GLOBAL_HEADER,
        AV_CODEC_FLAG_QSCALE, AVCodecContext, AVColorPrimaries, AVColorRange, AVColorSpace,
        AVColorTransferCharacteristic, AVDictionary, AVERROR_EOF, AVFMT_FLAG_BITEXACT, AVFormatContext,
        AVIO_FLAG_WRITE, AVPixelFormat, AVRational, FF_COMPLIANCE_NORMAL, FF_QP2LAMBDA, SwsContext,
        av_codec_iterate, av_dict_free, av_dict_set, av_frame_make_writable, av_guess_format,
        av_interleaved_write_frame, av_opt_find, av_packet_rescale_ts, av_write_trailer,
        avcodec_alloc_context3, avcodec_find_encoder_by_name, avcodec_free_context, avcodec_open2,
        avcodec_parameters_from_context, avcodec_receive_packet, avcodec_send_frame,
        avformat_alloc_output_context2, avformat_free_context, avformat_new_stream, avformat_query_codec,
        avformat_write_header, avio_closep, avio_open, sws_freeContext, sws_getContext, sws_scale,
    },
    format::Pixel,
    software::scaling::Flags,
};
use squbed_core::Frame;

use super::{Packet, allocated, be_quiet, check, file_url, scaler::Buffer};
use crate::{Error, LibavError};

/// Whether this FFmpeg has the video encoder `name`, for mp4 and yuv420p.
pub(crate) fn has_encoder(name: &str) -> bool {
    // A name with a NUL in it is no encoder's.
    !name.contains('\0') && find_by_name(name).is_some_and(|codec| fits(&codec))
}

/// The names of all encoders that [`has_encoder`] knows and that need no hardware of their own.
pub(crate) fn encoders() -> Vec<String> {
    let mut position: *mut c_void = ptr::null_mut();
    let mut names = Vec::new();
    loop {
        // SAFETY: `position` is the iteration's own state; what comes back is null or a static description.
        let (codec, capabilities) = unsafe {
            let raw = av_codec_iterate(&mut position);
            if raw.is_null() {
                break;
            }
            (Codec::wrap(raw.cast_mut()), (*raw).capabilities)
        };
        let hardware = (AV_CODEC_CAP_HARDWARE | AV_CODEC_CAP_HYBRID) as c_int;
        if codec.is_encoder() && fits(&codec) && capabilities & hardware == 0 {
            names.push(codec.name().to_owned());
        }
    }
    names.sort_unstable();
    names
}

/// Whether an encoder's codec can stand in an mp4 and it takes yuv420p.
fn fits(codec: &Codec) -> bool {
    // SAFETY: look-ups of static descriptions; a null format is answered with "no".
    let storable = unsafe {
        let mp4 = av_guess_format(c"mp4".as_ptr(), ptr::null(), ptr::null());
        avformat_query_codec(mp4, codec.id().into(), FF_COMPLIANCE_NORMAL as c_int) == 1
    };
    let formats = codec.video().ok().and_then(|video| video.formats());
    storable && formats.is_some_and(|mut formats| formats.any(|format| format == Pixel::YUV420P))
}

/// What a [`Writer`] writes.
pub(crate) struct WriterSpec {
    pub(crate) codec: crate::Codec,
    /// None leaves it to the encoder.
    pub(crate) quality: Option<u8>,
    /// Even.
    pub(crate) width: i32,
    /// Even.
    pub(crate) height: i32,
    /// Frames a second, numerator and denominator, both above zero.
    pub(crate) fps: (i32, i32),
}

/// An mp4 being written. On one thread and with FFmpeg's bit-exact flags, so that the bytes depend on
/// the frames and the build alone.
pub(crate) struct Writer {
    format: *mut AVFormatContext,
    codec: *mut AVCodecContext,
    scaler: *mut SwsContext,
    /// The frame as it came and as it goes to the encoder.
    buffers: Option<(Buffer, Buffer)>,
    packet: Packet,
    frames: i64,
}

impl Writer {
    pub(crate) fn create(path: &Path, spec: &WriterSpec) -> Result<Result<Self, LibavError>, Error> {
        be_quiet();
        let url = file_url(path)?;
        Ok(Self::open(&url, spec))
    }

    fn open(url: &CString, spec: &WriterSpec) -> Result<Self, LibavError> {
        let mut writer = Self {
            format: ptr::null_mut(),
            codec: ptr::null_mut(),
            scaler: ptr::null_mut(),
            buffers: None,
            packet: Packet::new()?,
            frames: 0,
        };
        // SAFETY: each object is stored in `writer`, whose Drop frees it, as soon as it exists, and is
        // set up before it is opened.
        unsafe {
            check(avformat_alloc_output_context2(
                &mut writer.format,
                ptr::null_mut(),
                c"mp4".as_ptr(),
                url.as_ptr(),
            ))?;
            (*writer.format).flags |= AVFMT_FLAG_BITEXACT as c_int;
            writer.open_codec(spec)?;
            let stream = allocated(avformat_new_stream(writer.format, ptr::null()))?;
            (*stream).time_base = (*writer.codec).time_base;
            (*stream).avg_frame_rate = (*writer.codec).framerate;
            check(avcodec_parameters_from_context((*stream).codecpar, writer.codec))?;
            check(avio_open(&mut (*writer.format).pb, url.as_ptr(), AVIO_FLAG_WRITE as c_int))?;
            check(avformat_write_header(writer.format, ptr::null_mut()))?;

            let flags = Flags::BICUBIC | Flags::ACCURATE_RND | Flags::BITEXACT;
            writer.scaler = allocated(sws_getContext(
                spec.width,
                spec.height,
                AVPixelFormat::AV_PIX_FMT_RGB24,
                spec.width,
                spec.height,
                AVPixelFormat::AV_PIX_FMT_YUV420P,
                flags.bits(),
                ptr::null_mut(),
                ptr::null_mut(),
                ptr::null(),
            ))?;
        }
        let buffer = |format| Buffer::new(spec.width, spec.height, format);
        writer.buffers =
            Some((buffer(AVPixelFormat::AV_PIX_FMT_RGB24)?, buffer(AVPixelFormat::AV_PIX_FMT_YUV420P)?));
        Ok(writer)
    }

    /// # Safety
    ///
    /// `self.format` is allocated, `self.codec` is not.
    unsafe fn open_codec(&mut self, spec: &WriterSpec) -> Result<(), LibavError> {
        let name = CString::new(spec.codec.encoder()).unwrap_or_default();
        // SAFETY: the context is fresh and stored at once; the options are freed on every path.
        unsafe {
            let encoder = avcodec_find_encoder_by_name(name.as_ptr());
            self.codec = allocated(avcodec_alloc_context3(encoder))?;
            let codec = &mut *self.codec;
            codec.width = spec.width;
            codec.height = spec.height;
            codec.pix_fmt = AVPixelFormat::AV_PIX_FMT_YUV420P;
            codec.time_base = AVRational { num: spec.fps.1, den: spec.fps.0 };
            codec.framerate = AVRational { num: spec.fps.0, den: spec.fps.1 };
            codec.thread_count = 1;
            codec.flags |= (AV_CODEC_FLAG_GLOBAL_HEADER | AV_CODEC_FLAG_BITEXACT) as c_int;
            // RGB is taken for sRGB, and the conversion from it uses the matrix of BT.601, 16 to 235. Only
            // where all of it is told does the mp4 carry a colour box.
            codec.color_primaries = AVColorPrimaries::AVCOL_PRI_BT709;
            codec.color_trc = AVColorTransferCharacteristic::AVCOL_TRC_IEC61966_2_1;
            codec.colorspace = AVColorSpace::AVCOL_SPC_SMPTE170M;
            codec.color_range = AVColorRange::AVCOL_RANGE_MPEG;
            let mut options: *mut AVDictionary = ptr::null_mut();
            if spec.codec == crate::Codec::H264 {
                av_dict_set(&mut options, c"preset".as_ptr(), c"medium".as_ptr(), 0);
            }
            let has = |option: &CStr| {
                !codec.priv_data.is_null()
                    && !av_opt_find(codec.priv_data, option.as_ptr(), ptr::null(), 0, 0).is_null()
            };
            if has(c"x265-params") {
                // x265 writes to stderr by itself.
                av_dict_set(&mut options, c"x265-params".as_ptr(), c"log-level=none".as_ptr(), 0);
            }
            if let Some(quality) = spec.quality {
                if has(c"crf") {
                    let crf = CString::new(quality.to_string()).unwrap_or_default();
                    av_dict_set(&mut options, c"crf".as_ptr(), crf.as_ptr(), 0);
                } else {
                    codec.flags |= AV_CODEC_FLAG_QSCALE as c_int;
                    codec.global_quality = c_int::from(quality) * FF_QP2LAMBDA as c_int;
                }
            }
            let opened = avcodec_open2(self.codec, encoder, &mut options);
            av_dict_free(&mut options);
            check(opened).map(drop)
        }
    }

    /// Appends a frame of the writer's size.
    pub(crate) fn write(&mut self, frame: &Frame) -> Result<(), LibavError> {
        let Some((rgb, yuv)) = &self.buffers else { return Ok(()) };
        // SAFETY: frame and buffers have the size the scaler was made for, and a row of the RGB buffer
        // holds at least `width · 3` bytes. The encoder may still hold the YUV buffer's memory, so that
        // is made writable first.
        unsafe {
            let (source, target) = (&*rgb.0, yuv.0);
            for (i, row) in frame.rgb().chunks_exact(frame.width() * 3).enumerate() {
                let start = source.data[0].offset(i as isize * source.linesize[0] as isize);
                ptr::copy_nonoverlapping(row.as_ptr(), start, row.len());
            }
            check(av_frame_make_writable(target))?;
            sws_scale(
                self.scaler,
                source.data.as_ptr().cast(),
                source.linesize.as_ptr(),
                0,
                frame.height() as c_int,
                (*target).data.as_ptr(),
                (*target).linesize.as_ptr(),
            );
            (*target).pts = self.frames;
            check(avcodec_send_frame(self.codec, target))?;
        }
        self.frames += 1;
        self.drain()
    }

    /// Writes what the encoder still holds, and the file's table of frames.
    pub(crate) fn finish(mut self) -> Result<(), LibavError> {
        // SAFETY: an open encoder and a format whose header is written; null says "no more frames".
        unsafe {
            check(avcodec_send_frame(self.codec, ptr::null()))?;
            self.drain()?;
            check(av_write_trailer(self.format))?;
            check(avio_closep(&mut (*self.format).pb)).map(drop)
        }
    }

    fn drain(&mut self) -> Result<(), LibavError> {
        loop {
            self.packet.clear();
            // SAFETY: an open encoder, an empty packet and the format's only stream.
            unsafe {
                let packet = self.packet.as_mut_ptr();
                match avcodec_receive_packet(self.codec, packet) {
                    AVERROR_EOF => return Ok(()),
                    code if code == -ffmpeg_next::error::EAGAIN => return Ok(()),
                    code => check(code)?,
                };
                // The last frame of an mp4 lasts as long as its packet says.
                (*packet).duration = 1;
                (*packet).stream_index = 0;
                let stream = *(*self.format).streams;
                av_packet_rescale_ts(packet, (*self.codec).time_base, (*stream).time_base);
                check(av_interleaved_write_frame(self.format, packet))?;
            }
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // SAFETY: each pointer is null or owned by self, and freed once.
        unsafe {
            sws_freeContext(self.scaler);
            avcodec_free_context(&mut self.codec);
            if !self.format.is_null() {
                avio_closep(&mut (*self.format).pb);
                avformat_free_context(self.format);
            }
        }
    }
}
