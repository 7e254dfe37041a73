//! Probing and decoding video files.

use std::{fs::File, path::Path, time::Instant};

use ffmpeg_next::ffi::{AVCodecID, AVERROR_EXIT};
use squbed_core::{Frame, Sampling};

use crate::{
    Damaged, DecodeOptions, Decoded, Error, LibavError, Unit, VideoInfo, Warning,
    extent::Extent,
    ffi::{Decoder, Input, OpenError, Packet, Picture, Scaler, Stream},
    orientation::Orientation,
    plan::{Plans, check_kept},
    scan::{Pass, Timeline, vp8_is_shown},
    source::Source,
};

pub(crate) fn probe(path: &Path, options: &DecodeOptions) -> Result<VideoInfo, Error> {
    Ok(Job::new(path, options)?.survey()?.info)
}

pub(crate) fn decode(path: &Path, plans: &[Sampling], options: &DecodeOptions) -> Result<Decoded, Error> {
    let job = Job::new(path, options)?;
    let survey = job.survey()?;
    if let Some(decoded) = job.decode(plans, &survey)? {
        return Ok(decoded);
    }
    // The decoder does not give a frame for each packet. Only decoding tells what there is.
    let packets = survey.timeline.pts.len();
    let survey = job.count(survey, packets)?;
    job.decode(plans, &survey)?.ok_or_else(|| Error::NoFrames { path: path.to_owned() })
}

/// What is known of a file before its pixels are.
struct Survey {
    info: VideoInfo,
    timeline: Timeline,
    source: Source,
}

/// One file with what bounds the work on it.
struct Job<'a> {
    path: &'a Path,
    options: &'a DecodeOptions,
    deadline: Instant,
    extent: Extent,
}

impl<'a> Job<'a> {
    fn new(path: &'a Path, options: &'a DecodeOptions) -> Result<Self, Error> {
        let now = Instant::now();
        // A limit beyond what the clock can count is a century, which is none.
        let century = std::time::Duration::from_secs(100 * 365 * 24 * 3600);
        let deadline = now.checked_add(options.limits.time).unwrap_or(now + century);
        // FFmpeg would not say why a file cannot be opened; the standard library does.
        let extent = File::open(path).and_then(|mut file| Extent::of(&mut file));
        let extent = extent.map_err(|source| Error::Unreadable { path: path.to_owned(), source })?;
        if extent.got == 0 {
            return Err(Error::Empty { path: path.to_owned() });
        }
        Ok(Self { path, options, deadline, extent })
    }

    /// Reads all packets without decoding: the exact count of frames, their times, and what is missing.
    fn survey(&self) -> Result<Survey, Error> {
        let mut source = self.open()?;
        let mut scan = self.scan(&mut source)?;
        let stream = &source.stream;
        let warnings = std::mem::take(&mut scan.warnings);
        let packets = scan.shown.len();
        let timeline = Timeline::of_packets(scan.shown, stream);
        let found = timeline.is_some();
        let gaps = timeline.as_ref().and_then(|timeline| timeline.gaps.clone());
        let timeline = timeline.unwrap_or_else(|| Timeline::of_frames(Vec::new(), stream).0);
        let survey = Survey { info: describe(&source.input, stream, &timeline, warnings), timeline, source };
        let mut survey = if found { survey } else { self.count(survey, packets)? };
        // Of a file that is known to lack packets it says nothing new.
        let told = |w: &Warning| matches!(w, Warning::Truncated { .. } | Warning::Damaged { .. });
        if !survey.info.warnings.iter().any(told) {
            survey.info.warnings.extend(gaps);
        }
        self.limit("seconds", survey.info.duration_seconds, self.options.limits.duration_seconds)?;
        // Every GIF is decoded to a format with transparency; only its pixels tell whether it has any.
        if survey.source.stream.codec_id == AVCodecID::AV_CODEC_ID_GIF
            && !self.pass(&survey.source, &survey.timeline, None, false)?.transparent
        {
            survey.info.warnings.retain(|w| *w != Warning::AlphaDropped);
        }
        Ok(survey)
    }

    fn open(&self) -> Result<Source, Error> {
        let path = || self.path.to_owned();
        let limits = &self.options.limits;
        let mut input =
            Input::open(self.path, limits.pixels, self.deadline).map_err(|error| match error {
                OpenError::Path(error) => error,
                OpenError::Timeout => self.late(),
                OpenError::Container => Error::Container { path: path() },
                OpenError::Failed(source) => {
                    self.cut_short().unwrap_or_else(|| Error::Corrupt { path: path(), source })
                }
            })?;
        let stream = input
            .video()
            .ok_or_else(|| self.cut_short().unwrap_or_else(|| Error::NoVideoStream { path: path() }))?;
        self.check_pixels(stream.width, stream.height)?;
        if let Some(seconds) = input.header_seconds() {
            self.limit("seconds", seconds, limits.duration_seconds)?;
        }
        Ok(Source::new(input, stream))
    }

    fn scan(&self, source: &mut Source) -> Result<Scan, Error> {
        let mut scan = Scan::default();
        let mut corrupt = 0;
        let stopped = loop {
            self.check_time()?;
            let packet = match source.read() {
                Ok(None) => break None,
                Err(error) if error.code == AVERROR_EXIT => return Err(self.late()),
                Err(error) => break Some(error),
                Ok(Some(packet)) if self.lacks(&packet) => continue,
                Ok(Some(packet)) => packet,
            };
            let unseen = source.stream.codec_id == AVCodecID::AV_CODEC_ID_VP8 && !vp8_is_shown(packet.data());
            if !packet.is_discarded() && !unseen {
                scan.shown.push((packet.pts(), packet.duration()));
            }
            corrupt += usize::from(packet.is_corrupt());
            source.keep(packet);
            self.limit("frames", scan.shown.len() as f64, self.options.limits.frames as f64)?;
        };
        self.judge(&source.input, &source.stream, &mut scan, corrupt, stopped)?;
        Ok(scan)
    }

    /// Turns what a scan found missing into an error or a warning.
    fn judge(
        &self,
        input: &Input,
        stream: &Stream,
        scan: &mut Scan,
        corrupt: usize,
        stopped: Option<LibavError>,
    ) -> Result<(), Error> {
        let path = || self.path.to_owned();
        let refuse = self.options.damaged == Damaged::Refuse;
        let found = scan.shown.len();
        // Only the mov family's table lists every packet; Matroska's lists key frames.
        let has_table = input.container().contains("mov") && !self.extent.fragmented;
        let listed = has_table.then(|| input.indexed_packets(stream.index));
        let listed = listed.filter(|(expected, got)| got < expected).map(|(e, g)| (e, g, Unit::Frames));
        match listed.or(self.missing_bytes()) {
            Some((expected, got, unit)) => {
                if refuse || found == 0 {
                    return Err(Error::Truncated { path: path(), expected, got, unit });
                }
                scan.warnings.push(Warning::Truncated { expected, got, unit });
            }
            None if corrupt > 0 => {
                let unit = Unit::Packets;
                if refuse {
                    return Err(Error::Damaged { path: path(), damaged: corrupt, read: found, unit });
                }
                scan.warnings.push(Warning::Damaged { damaged: corrupt, read: found, unit });
            }
            None => match stopped {
                Some(source) if found == 0 => return Err(Error::Corrupt { path: path(), source }),
                Some(source) if refuse => return Err(self.libav("read on in", source)),
                Some(source) => {
                    scan.warnings.push(Warning::ReadStopped { frames: found, reason: source.to_string() });
                }
                None => {}
            },
        }
        if found == 0 {
            return Err(Error::NoFrames { path: path() });
        }
        Ok(())
    }

    /// Decodes all frames to count them, for a file whose `packets` do not tell.
    fn count(&self, survey: Survey, packets: usize) -> Result<Survey, Error> {
        let Survey { mut info, timeline, source } = survey;
        let order = Timeline { by_pts: false, ..timeline };
        let pass = self.pass(&source, &order, None, false)?;
        let frames = pass.times.len();
        if frames == 0 {
            return Err(self.cut_short().unwrap_or_else(|| Error::NoFrames { path: self.path.to_owned() }));
        }
        let damage = pass.damage();
        let (timeline, no_times) = Timeline::of_frames(pass.times, &source.stream);
        info.warnings.push(Warning::CountedByDecoding { packets, frames });
        info.warnings.extend(damage.into_iter().chain(no_times));
        set_times(&mut info, &timeline);
        Ok(Survey { info, timeline, source })
    }

    /// The clips of `plans`, or none where the decoder did not give every frame that the survey
    /// promises.
    fn decode(&self, plans: &[Sampling], survey: &Survey) -> Result<Option<Decoded>, Error> {
        let seconds = survey.timeline.seconds();
        let pixels = survey.info.width * survey.info.height;
        let plans = Plans::new(self.path, plans, &seconds, pixels, &self.options.limits)?;

        let Survey { timeline, source, .. } = survey;
        let skip = self.options.skip_unreferenced && timeline.by_pts && skips_exactly(source.stream.codec_id);
        let mut pass = self.pass(source, timeline, Some(&plans.wanted), skip)?;
        if skip && pass.frames.len() < plans.wanted.len() {
            pass = self.pass(source, timeline, Some(&plans.wanted), false)?;
        }
        if pass.frames.len() < plans.wanted.len() {
            return Ok(None);
        }
        let mut warnings = survey.info.warnings.clone();
        // What was found when all frames were decoded to be counted says as much and more.
        let told = warnings.iter().any(|w| matches!(w, Warning::Damaged { .. }));
        warnings.extend(pass.damage().filter(|_| !told));
        let size = |frame: &Frame| (frame.width(), frame.height());
        let mut sizes = pass.frames.values().map(size);
        if sizes.next().is_some_and(|first| sizes.any(|size| size != first)) {
            warnings.push(Warning::SizeChanges);
        }
        let clips = plans.clips(self.path, pass.frames, &seconds, &self.options.limits)?;
        Ok(Some(Decoded { clips, info: survey.info.clone(), warnings }))
    }

    /// Decodes until every frame of `wanted` is there, or all frames, keeping none, without it.
    ///
    /// With `skip`, the decoder leaves out frames that nothing refers to unless they are wanted.
    fn pass(
        &self,
        source: &Source,
        timeline: &Timeline,
        wanted: Option<&[usize]>,
        skip: bool,
    ) -> Result<Pass, Error> {
        if wanted.is_some_and(<[usize]>::is_empty) {
            return Ok(Pass::default());
        }
        let failed = |source| self.libav("decode", source);
        let stream = &source.stream;
        let decoder = Decoder::new(&source.input, stream, self.options.limits.pixels).map_err(failed)?;
        let mut decoder = decoder
            .ok_or_else(|| Error::NoDecoder { path: self.path.to_owned(), codec: stream.codec.clone() })?;
        let mut sink = Sink {
            job: self,
            timeline,
            wanted,
            orientation: stream.orientation.flatten().unwrap_or(Orientation::UPRIGHT),
            scaler: Scaler::default(),
            picture: Picture::new().map_err(failed)?,
            pass: Pass::default(),
            looks_through: stream.codec_id == AVCodecID::AV_CODEC_ID_GIF,
            kept_bytes: 0,
        };
        let mut feed = |packet: &Packet| {
            self.check_time()?;
            if skip {
                let index = timeline.index(packet.pts(), 0);
                decoder.skip_unreferenced(!index.is_some_and(|index| sink.wants(index)));
            }
            if decoder.send(Some(packet)).is_err() {
                sink.pass.refused += 1;
            }
            sink.drain(&mut decoder)
        };
        if self.each_packet(source, &mut feed)? {
            return self.verdict(sink.pass);
        }
        // A decoder that fails at its end is asked again, as it may hold more; but not for ever.
        if decoder.send(None).is_ok() {
            for _ in 0..64 {
                let refused = sink.pass.refused;
                if sink.drain(&mut decoder)? || sink.pass.refused == refused {
                    break;
                }
            }
        }
        self.verdict(sink.pass)
    }

    /// Gives the packets to `feed` until it has enough, and says whether it had.
    fn each_packet(
        &self,
        source: &Source,
        feed: &mut dyn FnMut(&Packet) -> Result<bool, Error>,
    ) -> Result<bool, Error> {
        if let Some(packets) = source.kept() {
            for packet in packets {
                if feed(packet)? {
                    return Ok(true);
                }
            }
            return Ok(false);
        }
        let mut again = self.open()?;
        loop {
            self.check_time()?;
            match again.read() {
                Ok(Some(packet)) if self.lacks(&packet) => {}
                Ok(Some(packet)) if feed(&packet)? => return Ok(true),
                Ok(Some(_)) => {}
                Err(error) if error.code == AVERROR_EXIT => return Err(self.late()),
                // The survey met the same end, and reported it.
                Ok(None) | Err(_) => return Ok(false),
            }
        }
    }

    fn verdict(&self, pass: Pass) -> Result<Pass, Error> {
        match pass.damage() {
            Some(Warning::Damaged { damaged, read, unit }) if self.options.damaged == Damaged::Refuse => {
                Err(Error::Damaged { path: self.path.to_owned(), damaged, read, unit })
            }
            _ => Ok(pass),
        }
    }

    /// Whether `packet` is the torn one at the end of a file that was cut, of which no frame is made.
    fn lacks(&self, packet: &Packet) -> bool {
        self.extent.is_cut() && packet.is_corrupt()
    }

    /// Bytes that the file should have and has, where it has fewer.
    fn missing_bytes(&self) -> Option<(usize, usize, Unit)> {
        let bytes = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
        let Extent { got, expected, .. } = self.extent;
        self.extent.is_cut().then(|| (bytes(expected), bytes(got), Unit::Bytes))
    }

    /// That the file lacks bytes, which explains whatever else is wrong with it.
    fn cut_short(&self) -> Option<Error> {
        let (expected, got, unit) = self.missing_bytes()?;
        Some(Error::Truncated { path: self.path.to_owned(), expected, got, unit })
    }

    fn check_pixels(&self, width: usize, height: usize) -> Result<(), Error> {
        let pixels = width.saturating_mul(height);
        self.limit("pixels a frame", pixels as f64, self.options.limits.pixels as f64)
    }

    fn check_time(&self) -> Result<(), Error> {
        if Instant::now() >= self.deadline { Err(self.late()) } else { Ok(()) }
    }

    fn limit(&self, what: &'static str, value: f64, limit: f64) -> Result<(), Error> {
        if value > limit {
            return Err(Error::Limit { path: self.path.to_owned(), what, value, limit });
        }
        Ok(())
    }

    fn late(&self) -> Error {
        Error::Timeout { path: self.path.to_owned(), limit: self.options.limits.time }
    }

    fn libav(&self, operation: &'static str, source: LibavError) -> Error {
        Error::Libav { operation, path: self.path.to_owned(), source }
    }
}

/// The packets of a demux-only scan.
#[derive(Default)]
struct Scan {
    /// Time and duration in ticks of each packet that is shown, in the order of the file.
    shown: Vec<(Option<i64>, i64)>,
    warnings: Vec<Warning>,
}

/// Takes pictures from the decoder and keeps the wanted ones.
struct Sink<'a> {
    job: &'a Job<'a>,
    timeline: &'a Timeline,
    wanted: Option<&'a [usize]>,
    orientation: Orientation,
    scaler: Scaler,
    picture: Picture,
    pass: Pass,
    /// Whether transparent pixels are looked for.
    looks_through: bool,
    /// Of the frames in `pass`; the size that the file states may be less than theirs.
    kept_bytes: u64,
}

impl Sink<'_> {
    fn wants(&self, index: usize) -> bool {
        self.wanted.is_some_and(|wanted| wanted.binary_search(&index).is_ok())
    }

    /// Receives what the decoder has ready; `true` once every wanted frame is there.
    fn drain(&mut self, decoder: &mut Decoder) -> Result<bool, Error> {
        loop {
            match decoder.receive(&mut self.picture) {
                Ok(false) => return Ok(false),
                Ok(true) => {}
                Err(_) => {
                    self.pass.refused += 1;
                    return Ok(false);
                }
            }
            let pts = self.picture.pts();
            let index = self.timeline.index(pts, self.pass.times.len());
            self.pass.times.push(pts);
            if self.looks_through && !self.pass.transparent {
                self.pass.transparent = self.picture.is_transparent();
            }
            self.pass.damaged += usize::from(self.picture.is_damaged());
            let frames = self.pass.times.len() as f64;
            self.job.limit("frames", frames, self.job.options.limits.frames as f64)?;
            if let Some(index) = index.filter(|&index| self.wants(index)) {
                let frame = self.frame()?;
                self.kept_bytes += frame.rgb().len() as u64;
                check_kept(self.job.path, self.kept_bytes, &self.job.options.limits)?;
                self.pass.frames.insert(index, frame);
                if self.wanted.is_some_and(|wanted| self.pass.frames.len() == wanted.len()) {
                    return Ok(true);
                }
            }
        }
    }

    /// The current picture as an upright RGB frame.
    fn frame(&mut self) -> Result<Frame, Error> {
        let job = self.job;
        // The size may change within a stream.
        job.check_pixels(self.picture.width(), self.picture.height())?;
        let converted = self.scaler.rgb(&self.picture);
        let (width, height, rgb) = converted.map_err(|e| job.libav("convert a frame of", e))?;
        Frame::new(width, height, rgb)
            .and_then(|frame| self.orientation.apply(frame))
            .map_err(|source| Error::Clip { path: job.path.to_owned(), source })
    }
}

/// Codecs whose decoders leave unreferenced frames out without touching the others.
fn skips_exactly(codec: AVCodecID) -> bool {
    use AVCodecID::{
        AV_CODEC_ID_H264, AV_CODEC_ID_HEVC, AV_CODEC_ID_MPEG1VIDEO, AV_CODEC_ID_MPEG2VIDEO,
        AV_CODEC_ID_MPEG4, AV_CODEC_ID_VP9,
    };
    matches!(
        codec,
        AV_CODEC_ID_H264
            | AV_CODEC_ID_HEVC
            | AV_CODEC_ID_MPEG1VIDEO
            | AV_CODEC_ID_MPEG2VIDEO
            | AV_CODEC_ID_MPEG4
            | AV_CODEC_ID_VP9
    )
}

fn describe(input: &Input, stream: &Stream, timeline: &Timeline, mut warnings: Vec<Warning>) -> VideoInfo {
    if stream.orientation == Some(None) {
        warnings.push(Warning::RotationIgnored);
    }
    if stream.has_alpha {
        warnings.push(Warning::AlphaDropped);
    }
    if let Some(transfer) = &stream.hdr_transfer {
        warnings.push(Warning::HighDynamicRange { transfer: transfer.clone() });
    }
    let mut info = VideoInfo {
        codec: stream.codec.clone(),
        profile: stream.profile.clone(),
        pix_fmt: stream.pix_fmt.clone(),
        width: stream.width,
        height: stream.height,
        frames: 0,
        duration_seconds: 0.0,
        time_base: stream.time_base,
        average_rate: stream.average_rate,
        first_pts: 0,
        last_pts: 0,
        rotation: stream.orientation.flatten().map_or(0, Orientation::degrees_clockwise),
        mirrored: stream.orientation.flatten().is_some_and(Orientation::is_mirrored),
        has_audio: input.has_audio(),
        container: input.container(),
        warnings,
    };
    set_times(&mut info, timeline);
    // Sound may well outlast the picture a little.
    let missing = |&header: &f64| header - info.duration_seconds > (0.1 * header).max(0.5);
    let told =
        info.warnings.iter().any(|w| matches!(w, Warning::Truncated { .. } | Warning::ReadStopped { .. }));
    if let Some(header_seconds) = input.header_seconds().filter(missing).filter(|_| !told && info.frames > 0)
    {
        let seconds = info.duration_seconds;
        info.warnings.push(Warning::ShorterThanHeader { header_seconds, seconds });
    }
    info
}

fn set_times(info: &mut VideoInfo, timeline: &Timeline) {
    info.frames = timeline.pts.len();
    info.duration_seconds = timeline.duration_seconds();
    info.first_pts = timeline.pts.first().copied().unwrap_or(0);
    info.last_pts = timeline.pts.last().copied().unwrap_or(0);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::EncodeOptions;

    /// The deadline holds while a file is opened, through FFmpeg's interrupt callback alone, and between packets.
    #[test]
    fn time_runs_out_at_every_step() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("v.mp4");
        let frame = || Frame::new(32, 32, vec![90; 32 * 32 * 3]).unwrap();
        crate::encode(&path, (0..5).map(|_| frame()), &EncodeOptions::default()).unwrap();
        let past = Instant::now();
        assert!(matches!(Input::open(&path, 1 << 20, past), Err(OpenError::Timeout)));

        let options = DecodeOptions::default();
        let mut job = Job::new(&path, &options).unwrap();
        let survey = job.survey().unwrap();
        let mut source = job.open().unwrap();
        job.deadline = past;
        assert!(matches!(job.scan(&mut source), Err(Error::Timeout { .. })));
        assert!(matches!(job.decode(&[Sampling::Uniform(1)], &survey), Err(Error::Timeout { .. })));
        let error = job.survey().err().unwrap().to_string();
        assert!(error.ends_with("v.mp4 took longer than the limit of 600 seconds"), "{error}");
    }
}
