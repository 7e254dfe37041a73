//! When each frame of a video is shown.

use squbed_core::Frame;

use crate::{Ratio, Unit, Warning, ffi::Stream};

/// The presentation times of all frames of a video, in ticks, ascending.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Timeline {
    pub(crate) pts: Vec<i64>,
    pub(crate) time_base: Ratio,
    /// Ticks that the last frame is shown.
    pub(crate) last_duration: i64,
    /// Whether a decoded frame is found by its time (the packets told the times) or by its place in the
    /// order of presentation.
    pub(crate) by_pts: bool,
    /// Frames that seem to be missing between others.
    pub(crate) gaps: Option<Warning>,
}

impl Timeline {
    /// From the packets of a demux-only scan, in any order. None where a packet has no time or two
    /// share one: then packets are not frames.
    pub(crate) fn of_packets(mut packets: Vec<(Option<i64>, i64)>, stream: &Stream) -> Option<Self> {
        packets.sort_unstable();
        let pts: Vec<i64> = packets.iter().map(|&(pts, _)| pts).collect::<Option<_>>()?;
        if pts.windows(2).any(|pair| pair[0] == pair[1]) {
            return None;
        }
        let last = packets.last().map_or(0, |&(_, duration)| duration);
        let last_duration = if last > 0 { last } else { frame_ticks(stream) };
        let durations: Vec<i64> = packets.iter().map(|&(_, duration)| duration).collect();
        let gaps = missing_frames(&pts, &durations, stream.time_base);
        Some(Self { pts, time_base: stream.time_base, last_duration, by_pts: true, gaps })
    }

    /// From decoded frames in order of presentation; evenly spaced, with a warning, where their own
    /// times are missing or descend, or are all the same.
    pub(crate) fn of_frames(times: Vec<Option<i64>>, stream: &Stream) -> (Self, Option<Warning>) {
        let own: Option<Vec<i64>> = times.iter().copied().collect();
        let own = own.filter(|pts| pts.windows(2).all(|pair| pair[0] <= pair[1]));
        let own = own.filter(|pts| pts.len() < 2 || pts.first() < pts.last());
        let warning = own.is_none().then_some(Warning::NoTimes);
        let step = frame_ticks(stream).max(1);
        let pts = own.unwrap_or_else(|| (0..times.len() as i64).map(|i| i.saturating_mul(step)).collect());
        (Self { pts, time_base: stream.time_base, last_duration: step, by_pts: false, gaps: None }, warning)
    }

    /// Seconds at which each frame is shown.
    pub(crate) fn seconds(&self) -> Vec<f64> {
        let Ratio { num, den } = self.time_base;
        let seconds = |&pts: &i64| pts as f64 * f64::from(num) / f64::from(den.max(1));
        self.pts.iter().map(seconds).collect()
    }

    /// From the first frame's beginning to the last frame's end.
    pub(crate) fn duration_seconds(&self) -> f64 {
        // A damaged file's times may lie further apart than their own type counts.
        let wide = |pts: Option<&i64>| i128::from(pts.copied().unwrap_or(0));
        let span = wide(self.pts.last()) - wide(self.pts.first());
        (span + i128::from(self.last_duration)) as f64 * self.time_base.value()
    }

    /// Which frame of the video a decoded one is, `order` frames having been decoded before it.
    pub(crate) fn index(&self, pts: Option<i64>, order: usize) -> Option<usize> {
        if self.by_pts { self.pts.binary_search(&pts?).ok() } else { Some(order) }
    }
}

/// Frames that seem to be missing. A variable rate is told from them in two ways: nine in ten frames or more come at one
/// interval, and a frame before a gap is to be shown for that interval, while one of a variable rate lasts until the
/// next comes, as an mp4 always says. Where a file states no durations FFmpeg fills in those of its rate.
fn missing_frames(pts: &[i64], durations: &[i64], time_base: Ratio) -> Option<Warning> {
    // Of fewer, nothing tells a rate from chance.
    const LEAST: usize = 10;
    // A damaged file's times may lie further apart than their own type counts.
    let intervals: Vec<i64> = pts.windows(2).map(|pair| pair[1].saturating_sub(pair[0])).collect();
    if intervals.len() < LEAST {
        return None;
    }
    let mut sorted = intervals.clone();
    sorted.sort_unstable();
    let usual = sorted[sorted.len() / 2];
    // Times may be rounded to ticks, each interval by one.
    let is_usual = |ticks: i64| ticks.abs_diff(usual) <= 1 + usual.unsigned_abs() / 10;
    if intervals.iter().filter(|&&interval| is_usual(interval)).count() * 10 < intervals.len() * 9 {
        return None;
    }
    let mut missing = 0.0;
    let mut first = None;
    for ((&interval, &duration), &begin) in intervals.iter().zip(durations).zip(pts) {
        let frames = (interval as f64 / usual as f64).round() - 1.0;
        if frames >= 1.0 && is_usual(duration) {
            missing += frames;
            first = first.or(Some(begin));
        }
    }
    let seconds = first? as f64 * time_base.value();
    Some(Warning::FramesMissing { frames: missing as usize, seconds })
}

/// Ticks of one frame at the header's average rate, or at 25 frames a second where it says none.
fn frame_ticks(stream: &Stream) -> i64 {
    let rate = Some(stream.average_rate.value()).filter(|&rate| rate > 0.0).unwrap_or(25.0);
    let tick = stream.time_base.value();
    if tick > 0.0 { (1.0 / (rate * tick)).round() as i64 } else { 0 }
}

/// Whether a packet of VP8 is shown; those that are not serve as references only.
pub(crate) fn vp8_is_shown(data: &[u8]) -> bool {
    data.first().is_some_and(|first| first & 0x10 != 0)
}

/// What one pass through the decoder gave.
#[derive(Default)]
pub(crate) struct Pass {
    /// The wanted frames, upright, by index.
    pub(crate) frames: std::collections::BTreeMap<usize, Frame>,
    /// Times of all decoded frames, in order of presentation.
    pub(crate) times: Vec<Option<i64>>,
    /// Frames that the decoder reported as damaged.
    pub(crate) damaged: usize,
    /// Packets that the decoder refused.
    pub(crate) refused: usize,
    /// Whether a decoded frame lets through what lies behind; looked for in GIF alone.
    pub(crate) transparent: bool,
}

impl Pass {
    /// What of the frames so far is damaged: those that are, and those a refused packet should have given.
    pub(crate) fn damage(&self) -> Option<Warning> {
        let damaged = self.damaged + self.refused;
        let read = self.times.len() + self.refused;
        (damaged > 0).then_some(Warning::Damaged { damaged, read, unit: Unit::Frames })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_any_distance_have_a_duration() {
        let timeline = |pts: Vec<i64>, last_duration| Timeline {
            pts,
            time_base: Ratio { num: 1, den: 1000 },
            last_duration,
            by_pts: true,
            gaps: None,
        };
        assert_eq!(timeline(vec![500, 540, 580], 40).duration_seconds(), 0.12);
        assert_eq!(timeline(vec![], 40).duration_seconds(), 0.04);
        let longest = timeline(vec![-i64::MAX, i64::MAX], i64::MAX).duration_seconds();
        assert!((longest / (3.0 * i64::MAX as f64 / 1000.0) - 1.0).abs() < 1e-12, "{longest}");
    }

    #[test]
    fn lost_frames_are_told_from_a_variable_rate() {
        let base = Ratio { num: 1, den: 1000 };
        let told = |pts: &[i64], durations: &[i64]| missing_frames(pts, durations, base);
        // Thirty frames a second in milliseconds, 33 and 34 apart; frames 5 to 7 and 20 are lost.
        let all = |i: i64| (i * 1000 + 15) / 30;
        let kept: Vec<i64> = (0..60).filter(|i| !matches!(i, 5..=7 | 20)).map(all).collect();
        let lost = Some(Warning::FramesMissing { frames: 4, seconds: 0.133 });
        assert_eq!(told(&kept, &vec![33; kept.len()]), lost);
        // The same times where each frame says to last until the next one.
        let mut lasting: Vec<i64> = kept.windows(2).map(|pair| pair[1] - pair[0]).collect();
        lasting.push(33);
        assert_eq!(told(&kept, &lasting), None);
        let whole: Vec<i64> = (0..60).map(all).collect();
        assert_eq!(told(&whole, &[33; 60]), None);
        // No rate at all, though durations are filled in.
        let squares: Vec<i64> = (0..60).map(|i| i * i).collect();
        assert_eq!(told(&squares, &[33; 60]), None);
        assert_eq!(told(&[0, 40, 400], &[40; 3]), None);
    }
}
