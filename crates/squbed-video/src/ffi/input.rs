use std::{
    ffi::{CStr, c_int, c_void},
    path::Path,
    ptr,
    sync::Arc,
    time::Instant,
};

use ffmpeg_next::{
    Rational,
    ffi::{
        AV_DISPOSITION_ATTACHED_PIC, AV_PIX_FMT_FLAG_ALPHA, AV_TIME_BASE, AVCodecID, AVCodecParameters,
        AVColorTransferCharacteristic, AVDictionary, AVDiscard, AVDurationEstimationMethod, AVERROR_EOF,
        AVERROR_EXIT, AVFormatContext, AVIOInterruptCB, AVMediaType, AVPixelFormat, AVStream,
        av_color_transfer_name, av_dict_free, av_dict_set, av_find_best_stream, av_pix_fmt_desc_get,
        av_read_frame, avcodec_get_name, avcodec_profile_name, avformat_alloc_context,
        avformat_find_stream_info, avformat_index_get_entries_count, avformat_index_get_entry,
        avformat_open_input, avio_size,
    },
    format,
};

use super::{NO_PTS, Packet, allocated, be_quiet, check, file_url, number, pixel_format_name, text};
use crate::{Error, LibavError, Ratio, orientation::Orientation};

/// Containers that are read: self-contained files, sound too, to be told from garbage. Play lists (hls, concat, dash), picture
/// patterns (image2) and devices are not among them, for they open other files.
const CONTAINERS: &CStr =
    c"mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,gif,flv,mpeg,mpegts,mpegvideo,m4v,h264,hevc,vvc,h263,\
ivf,obu,av1,ogg,asf,nut,yuv4mpegpipe,apng,mxf,rm,dv,swf,wtv,nsv,webp_anim,wav,mp3,aac,flac";

/// Why a file does not open.
pub(crate) enum OpenError {
    /// The path cannot be put into words for C.
    Path(Error),
    /// No time is left.
    Timeout,
    /// The container is none of the allowed.
    Container,
    /// Garbage, or damaged.
    Failed(LibavError),
}

/// An open video file.
pub(crate) struct Input {
    /// Frees the context when dropped; its interrupt callback reads `deadline`, which is dropped later.
    context: format::context::Input,
    raw: *mut AVFormatContext,
    /// Width and height of each stream by the header alone. Of one beyond the limit FFmpeg keeps none.
    stated: Vec<(usize, usize)>,
    #[expect(dead_code, reason = "read through a pointer by the interrupt callback")]
    deadline: Arc<Instant>,
}

/// What the header says of a video stream.
pub(crate) struct Stream {
    pub(crate) index: usize,
    pub(crate) codec_id: AVCodecID,
    pub(crate) codec: String,
    pub(crate) profile: Option<String>,
    pub(crate) pix_fmt: String,
    pub(crate) width: usize,
    pub(crate) height: usize,
    pub(crate) time_base: Ratio,
    pub(crate) average_rate: Ratio,
    /// The display matrix: `None` without one, `Some(None)` for a turn that is no multiple of 90°.
    pub(crate) orientation: Option<Option<Orientation>>,
    pub(crate) has_alpha: bool,
    /// Name of the transfer function where it is one of high dynamic range.
    pub(crate) hdr_transfer: Option<String>,
}

unsafe extern "C" fn is_late(deadline: *mut c_void) -> c_int {
    // SAFETY: `deadline` points at the shared Instant, which outlives the context.
    let deadline = unsafe { &*deadline.cast::<Instant>() };
    c_int::from(Instant::now() >= *deadline)
}

impl Input {
    /// Opens `path` as a file and nothing else; every wait ends at `deadline`.
    pub(crate) fn open(path: &Path, max_pixels: usize, deadline: Instant) -> Result<Self, OpenError> {
        be_quiet();
        let url = file_url(path).map_err(OpenError::Path)?;
        let deadline = Arc::new(deadline);
        // SAFETY: the context is fresh; avformat_open_input frees it where it fails; the callback's
        // pointer is the shared deadline, which `Input` drops after the context; options are freed on
        // every path.
        unsafe {
            let mut raw = allocated(avformat_alloc_context()).map_err(OpenError::Failed)?;
            (*raw).interrupt_callback =
                AVIOInterruptCB { callback: Some(is_late), opaque: Arc::as_ptr(&deadline).cast_mut().cast() };
            let mut options: *mut AVDictionary = ptr::null_mut();
            av_dict_set(&mut options, c"protocol_whitelist".as_ptr(), c"file".as_ptr(), 0);
            av_dict_set(&mut options, c"format_whitelist".as_ptr(), CONTAINERS.as_ptr(), 0);
            let opened = avformat_open_input(&mut raw, url.as_ptr(), ptr::null_mut(), &mut options);
            av_dict_free(&mut options);
            if opened < 0 {
                return Err(match opened {
                    AVERROR_EXIT => OpenError::Timeout,
                    // The answer to a container outside the list.
                    code if code == -ffmpeg_next::error::EINVAL => OpenError::Container,
                    code => OpenError::Failed(LibavError::new(code)),
                });
            }
            let mut input =
                Self { context: format::context::Input::wrap(raw), raw, deadline, stated: Vec::new() };
            input.stated = (0..(*raw).nb_streams as usize).map(|i| size(input.parameters(i))).collect();
            input.find_streams(max_pixels).map_err(|error| match error.code {
                AVERROR_EXIT => OpenError::Timeout,
                _ => OpenError::Failed(error),
            })?;
            Ok(input)
        }
    }

    /// Reads as far as it takes to know the streams, on one thread and within `max_pixels`.
    fn find_streams(&self, max_pixels: usize) -> Result<(), LibavError> {
        let pixels =
            std::ffi::CString::new(max_pixels.min(i32::MAX as usize).to_string()).unwrap_or_default();
        // SAFETY: one dictionary a stream that is known now, as avformat_find_stream_info asks; each
        // is freed afterwards.
        unsafe {
            let mut options: Vec<*mut AVDictionary> = (0..(*self.raw).nb_streams)
                .map(|_| {
                    let mut options = ptr::null_mut();
                    av_dict_set(&mut options, c"max_pixels".as_ptr(), pixels.as_ptr(), 0);
                    av_dict_set(&mut options, c"threads".as_ptr(), c"1".as_ptr(), 0);
                    options
                })
                .collect();
            // A null array says "no options": a file without streams yet.
            let array = if options.is_empty() { ptr::null_mut() } else { options.as_mut_ptr() };
            let found = avformat_find_stream_info(self.raw, array);
            for options in &mut options {
                av_dict_free(options);
            }
            check(found).map(drop)
        }
    }

    /// The container's name.
    pub(crate) fn container(&self) -> String {
        // SAFETY: an opened context has a format, whose name is a static string.
        unsafe { text((*(*self.raw).iformat).name) }
    }

    /// Seconds by the header, where it says them (and FFmpeg does not guess from the bit rate).
    pub(crate) fn header_seconds(&self) -> Option<f64> {
        // SAFETY: an opened context.
        let (duration, method) = unsafe { ((*self.raw).duration, (*self.raw).duration_estimation_method) };
        let stated = method == AVDurationEstimationMethod::AVFMT_DURATION_FROM_STREAM;
        (stated && duration != NO_PTS).then(|| duration as f64 / f64::from(AV_TIME_BASE))
    }

    pub(crate) fn has_audio(&self) -> bool {
        self.best(AVMediaType::AVMEDIA_TYPE_AUDIO).is_some()
    }

    fn best(&self, kind: AVMediaType) -> Option<usize> {
        // SAFETY: an opened context; no decoder is asked for.
        let index = unsafe { av_find_best_stream(self.raw, kind, -1, -1, ptr::null_mut(), 0) };
        usize::try_from(index).ok()
    }

    fn raw_stream(&self, index: usize) -> &AVStream {
        // SAFETY: `index` came from av_find_best_stream on this context, whose streams never go away.
        unsafe { &**(*self.raw).streams.add(index) }
    }

    pub(super) fn parameters(&self, index: usize) -> &AVCodecParameters {
        // SAFETY: each stream of an opened context has parameters.
        unsafe { &*self.raw_stream(index).codecpar }
    }

    /// The video stream that is shown; packets of all others are left out from here on. A cover
    /// picture is no video.
    pub(crate) fn video(&mut self) -> Option<Stream> {
        let index = self.best(AVMediaType::AVMEDIA_TYPE_VIDEO)?;
        if self.raw_stream(index).disposition & AV_DISPOSITION_ATTACHED_PIC != 0 {
            return None;
        }
        // SAFETY: walks the context's own array of streams.
        unsafe {
            for i in (0..(*self.raw).nb_streams as usize).filter(|&i| i != index) {
                (**(*self.raw).streams.add(i)).discard = AVDiscard::AVDISCARD_ALL;
            }
        }
        let parameters = self.parameters(index);
        let (width, height) = match (size(parameters), self.stated.get(index)) {
            ((0, _) | (_, 0), Some(&stated)) => stated,
            (found, _) => found,
        };
        let stream = self.context.stream(index)?;
        let ratio = |r: Rational| Ratio { num: r.numerator(), den: r.denominator() };
        // SAFETY: pure look-ups that return null or static strings. `format` of a video stream is an
        // AVPixelFormat of the same library.
        let (codec, profile, pixel_format, descriptor) = unsafe {
            let pixel_format: AVPixelFormat = std::mem::transmute(parameters.format);
            (
                text(avcodec_get_name(parameters.codec_id)),
                text(avcodec_profile_name(parameters.codec_id, parameters.profile)),
                pixel_format,
                av_pix_fmt_desc_get(pixel_format).as_ref(),
            )
        };
        let matrix = stream
            .side_data()
            .find(|data| data.kind() == ffmpeg_next::codec::packet::side_data::Type::DisplayMatrix)
            .and_then(|data| matrix(data.data()));
        let has_alpha = descriptor.is_some_and(|d| d.flags & AV_PIX_FMT_FLAG_ALPHA as u64 != 0)
            || stream.metadata().get("alpha_mode") == Some("1");
        use AVColorTransferCharacteristic::{AVCOL_TRC_ARIB_STD_B67, AVCOL_TRC_SMPTE2084};
        // SAFETY: a field of parameters that are there.
        let transfer = unsafe { number(&raw const parameters.color_trc) };
        let hdr = [AVCOL_TRC_SMPTE2084, AVCOL_TRC_ARIB_STD_B67].into_iter().find(|&t| t as c_int == transfer);
        Some(Stream {
            index,
            codec_id: parameters.codec_id,
            codec,
            profile: Some(profile).filter(|profile| !profile.is_empty()),
            pix_fmt: pixel_format_name(pixel_format),
            width,
            height,
            time_base: ratio(stream.time_base()),
            average_rate: ratio(stream.avg_frame_rate()),
            orientation: matrix.map(|matrix| Orientation::from_matrix(&matrix)),
            has_alpha,
            // SAFETY: null or a static string.
            hdr_transfer: hdr.map(|transfer| unsafe { text(av_color_transfer_name(transfer)) }),
        })
    }

    /// The next packet of stream `index`; `false` at the end.
    pub(crate) fn read(&mut self, index: usize, packet: &mut Packet) -> Result<bool, LibavError> {
        loop {
            packet.clear();
            // SAFETY: an opened context and an empty packet.
            let code = unsafe { av_read_frame(self.raw, packet.as_mut_ptr()) };
            if code == AVERROR_EOF {
                return Ok(false);
            }
            check(code)?;
            // SAFETY: the packet was just filled.
            if unsafe { (*packet.as_ptr()).stream_index } as usize == index {
                return Ok(true);
            }
        }
    }

    /// How many packets the container's own table lists for stream `index`, and how many of these lie
    /// wholly inside the file. Both zero where there is no table.
    pub(crate) fn indexed_packets(&self, index: usize) -> (usize, usize) {
        // SAFETY: av_*index* only read the stream's table, and entries are used before the next call;
        // the context has an open file.
        unsafe {
            let stream = *(*self.raw).streams.add(index);
            let listed = avformat_index_get_entries_count(stream);
            let bytes = avio_size((*self.raw).pb);
            let whole = (0..listed)
                .filter_map(|i| avformat_index_get_entry(stream, i).as_ref())
                .filter(|entry| bytes < 0 || entry.pos + i64::from(entry.size()) <= bytes)
                .count();
            (usize::try_from(listed).unwrap_or(0), whole)
        }
    }
}

/// Width and height of a stream, 0 where they are not known.
fn size(parameters: &AVCodecParameters) -> (usize, usize) {
    let side = |side| usize::try_from(side).unwrap_or(0);
    (side(parameters.width), side(parameters.height))
}

/// The nine numbers of a display matrix.
fn matrix(bytes: &[u8]) -> Option<[i32; 9]> {
    let mut matrix = [0; 9];
    if bytes.len() < 36 {
        return None;
    }
    for (number, bytes) in matrix.iter_mut().zip(bytes.chunks_exact(4)) {
        *number = i32::from_ne_bytes(bytes.try_into().ok()?);
    }
    Some(matrix)
}
