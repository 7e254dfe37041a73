//! Which frames of a video an encoder sees.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// A rule that picks frames of a video.
///
/// Prints as `uniform:16`, `rate:8` or `rate:8:max=32`, `within:16:5.5`, `indices:0,4,8` and parses from the same.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Sampling {
    /// `k` frames at the centres of `k` equal spans of the video's time: for each the last frame whose time is not
    /// after it. N frames last N mean intervals, so that at a constant rate it is frame `floor((i + ½)·N/k)`, which is
    /// what is taken where no frame is more than half an interval off that rate: clocks jitter and times are rounded. A
    /// video shorter than `k` frames repeats some.
    Uniform(usize),
    /// Frames at a rate in frames a second by presentation time: for tick `i` the last frame whose
    /// time since the first is not after `i / fps`; at most `max` of them.
    Rate {
        /// Frames a second.
        fps: f64,
        /// Upper bound on the number of frames.
        max: Option<usize>,
    },
    /// `k` frames at the centres of `k` equal spans of the first `seconds` of presentation time: for each the last
    /// frame whose time since the first is not after it. Two videos of different rate or length are compared at
    /// equal times by it.
    Within {
        /// How many.
        frames: usize,
        /// Of so much of the video.
        seconds: f64,
    },
    /// These frames, counted from 0 in order of presentation; repeats are kept.
    Indices(Vec<usize>),
}

/// Half a nanosecond forgives the rounding of `i / fps` against a time-base product.
const SLACK_SECONDS: f64 = 5e-10;

/// A sampling rule that cannot be read or makes no sense.
#[derive(Debug, thiserror::Error, PartialEq)]
#[error(
    "sampling `{given}`: {reason}; write uniform:K, rate:FPS, rate:FPS:max=K, within:K:SECONDS or indices:I,J,…"
)]
pub struct SamplingError {
    /// What was given.
    pub given: String,
    /// What is wrong with it.
    pub reason: &'static str,
}

impl fmt::Display for Sampling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Uniform(k) => write!(f, "uniform:{k}"),
            Self::Rate { fps, max: None } => write!(f, "rate:{fps}"),
            Self::Rate { fps, max: Some(max) } => write!(f, "rate:{fps}:max={max}"),
            Self::Within { frames, seconds } => write!(f, "within:{frames}:{seconds}"),
            Self::Indices(indices) => {
                f.write_str("indices:")?;
                for (i, index) in indices.iter().enumerate() {
                    write!(f, "{}{index}", if i == 0 { "" } else { "," })?;
                }
                Ok(())
            }
        }
    }
}

impl FromStr for Sampling {
    type Err = SamplingError;

    fn from_str(given: &str) -> Result<Self, SamplingError> {
        let fail = |reason| SamplingError { given: given.to_owned(), reason };
        let positive = |text: &str| {
            text.parse()
                .ok()
                .filter(|&k: &usize| k > 0)
                .ok_or_else(|| fail("a count is a whole number above 0"))
        };
        let (kind, rest) = given.split_once(':').ok_or_else(|| fail("no rule is named"))?;
        match kind {
            "uniform" => Ok(Self::Uniform(positive(rest)?)),
            "rate" => {
                let (fps, max) = match rest.split_once(":max=") {
                    Some((fps, max)) => (fps, Some(positive(max)?)),
                    None => (rest, None),
                };
                let fps = fps
                    .parse()
                    .ok()
                    .filter(|fps: &f64| fps.is_finite() && *fps > 0.0)
                    .ok_or_else(|| fail("a rate is a number above 0"))?;
                Ok(Self::Rate { fps, max })
            }
            "within" => {
                let (frames, seconds) = rest.split_once(':').ok_or_else(|| fail("no seconds are given"))?;
                let seconds = seconds
                    .parse()
                    .ok()
                    .filter(|seconds: &f64| seconds.is_finite() && *seconds > 0.0)
                    .ok_or_else(|| fail("seconds are a number above 0"))?;
                Ok(Self::Within { frames: positive(frames)?, seconds })
            }
            "indices" => rest
                .split(',')
                .map(|i| i.trim().parse().map_err(|_| fail("an index is a whole number from 0")))
                .collect::<Result<_, _>>()
                .map(Self::Indices),
            _ => Err(fail("unknown rule")),
        }
    }
}

impl TryFrom<String> for Sampling {
    type Error = SamplingError;

    fn try_from(text: String) -> Result<Self, SamplingError> {
        text.parse()
    }
}

impl From<Sampling> for String {
    fn from(sampling: Sampling) -> Self {
        sampling.to_string()
    }
}

impl Sampling {
    /// The rule as embeddings are kept under: as it prints, with the version of what chooses and decodes frames, for those
    /// of an earlier one may be others. `uniform` counted frames in its first version, whatever their times; before its
    /// third, and the second of the other rules, fields of interlaced videos were not brought to RGB by themselves, nor
    /// was the site of 4:2:2 chroma looked at.
    pub fn identity(&self) -> String {
        match self {
            Self::Uniform(_) => format!("{self}/3"),
            Self::Rate { .. } | Self::Within { .. } | Self::Indices(_) => format!("{self}/2"),
        }
    }

    /// Indices of the wanted frames, given the presentation time in seconds of every frame of the
    /// video in order of presentation. Ascending except for [`Sampling::Indices`], which keep their
    /// order; an index at or past the end is returned as it is, for the caller to report.
    pub fn indices(&self, pts_seconds: &[f64]) -> Vec<usize> {
        let n = pts_seconds.len();
        match self {
            Self::Uniform(k) => match uneven_interval(pts_seconds) {
                Some(interval) => {
                    let span = n as f64 * interval / *k as f64;
                    let centre = |i: usize| pts_seconds[0] + (i as f64 + 0.5) * span;
                    (0..*k).map(|i| shown_at(pts_seconds, centre(i))).collect()
                }
                None => {
                    // In 128 bits, as a product of two counts.
                    let place = |i: usize| (2 * i as u128 + 1) * n as u128 / (2 * *k as u128);
                    (0..*k).map(|i| place(i) as usize).collect()
                }
            },
            Self::Rate { fps, .. } => (0..self.count(pts_seconds))
                .map(|i| shown_at(pts_seconds, pts_seconds[0] + i as f64 / fps))
                .collect(),
            Self::Within { frames, seconds } => {
                let Some(first) = pts_seconds.first() else { return Vec::new() };
                let centre = |i: usize| first + (i as f64 + 0.5) / *frames as f64 * seconds;
                (0..*frames).map(|i| shown_at(pts_seconds, centre(i))).collect()
            }
            Self::Indices(indices) => indices.clone(),
        }
    }

    /// How many frames it picks of a video of any length, where that is one number.
    pub fn fixed_count(&self) -> Option<usize> {
        match self {
            Self::Uniform(frames) | Self::Within { frames, .. } => Some(*frames),
            Self::Indices(indices) => Some(indices.len()),
            Self::Rate { .. } => None,
        }
    }

    /// How many frames [`indices`](Self::indices) picks, without a list of them, which may be longer than any
    /// memory.
    pub fn count(&self, pts_seconds: &[f64]) -> usize {
        match self {
            Self::Uniform(k) => *k,
            Self::Rate { fps, max } => {
                let Some((first, last)) = pts_seconds.first().zip(pts_seconds.last()) else { return 0 };
                let ticks = ((last - first + SLACK_SECONDS) * fps).floor() as usize;
                ticks.saturating_add(1).min(max.unwrap_or(usize::MAX))
            }
            Self::Within { .. } if pts_seconds.is_empty() => 0,
            Self::Within { frames, .. } => *frames,
            Self::Indices(indices) => indices.len(),
        }
    }
}

/// The mean interval of frames that do not come at a constant rate: one of them is more than half of it off.
fn uneven_interval(pts_seconds: &[f64]) -> Option<f64> {
    let (first, last) = pts_seconds.first().zip(pts_seconds.last())?;
    let interval = (last - first) / (pts_seconds.len() as f64 - 1.0);
    let is_off = |(i, t): (usize, &f64)| (t - first - i as f64 * interval).abs() > 0.5 * interval;
    pts_seconds.iter().enumerate().any(is_off).then_some(interval)
}

/// The frame that is shown at a time: the last one that begins by then, else the first.
fn shown_at(pts_seconds: &[f64], at: f64) -> usize {
    pts_seconds.partition_point(|&t| t <= at + SLACK_SECONDS).max(1) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_print_as_they_parse() {
        for text in ["uniform:16", "rate:8", "rate:7.5:max=32", "within:16:5.8125", "indices:0,4,4,2"] {
            assert_eq!(text.parse::<Sampling>().unwrap().to_string(), text);
        }
        for text in [
            "uniform:0",
            "uniform",
            "rate:-1",
            "rate:nan",
            "within:4",
            "within:4:0",
            "within:0:4",
            "indices:",
            "every:2",
        ] {
            assert!(text.parse::<Sampling>().is_err(), "{text}");
        }
    }

    #[test]
    fn uniform_takes_segment_centres() {
        let times: Vec<f64> = (0..132).map(|i| i as f64 / 25.0).collect();
        assert_eq!(Sampling::Uniform(12).indices(&times)[..2], [5, 16]);
        assert_eq!(Sampling::Uniform(4).indices(&times[..2]), [0, 0, 1, 1]);
    }

    #[test]
    fn uniform_goes_by_time_where_the_rate_varies() {
        // Frame i is shown at i²/50 seconds; twelve frames last twelve mean intervals of 0.22 s.
        let times: Vec<f64> = (0..12).map(|i| f64::from(i * i) / 50.0).collect();
        assert_eq!(Sampling::Uniform(3).indices(&times), [4, 8, 10]);
        // A pause is a frame that is shown for long: most of the centres are in it.
        let paused = [0.0, 0.04, 0.08, 4.0, 4.04, 4.08];
        assert_eq!(Sampling::Uniform(6).indices(&paused), [2, 2, 2, 2, 2, 5]);
        assert_eq!(Sampling::Uniform(2).indices(&[1.0]), [0, 0]);
        // An embedding of an earlier version's frames is not taken for one of these.
        assert_eq!(Sampling::Uniform(2).identity(), "uniform:2/3");
        assert_eq!(Sampling::Rate { fps: 2.0, max: None }.identity(), "rate:2/2");
    }

    #[test]
    fn a_constant_rate_is_one_though_its_times_are_rounded_or_jitter() {
        for (n, k) in [(30, 3), (30, 4), (132, 12), (119, 16), (7, 16), (250, 16), (2, 5)] {
            let by_count: Vec<usize> = (0..k).map(|i| (2 * i + 1) * n / (2 * k)).collect();
            for fps in [24.0, 25.0, 30.0, 30000.0 / 1001.0] {
                let exact = |i: usize| 3.0 + i as f64 / fps;
                let rounded = |i: usize| (exact(i) * 1000.0).round() / 1000.0;
                let jittered = |i: usize| exact(i) + [0.0, 0.004, -0.003][i % 3];
                for times in [&exact as &dyn Fn(usize) -> f64, &rounded, &jittered] {
                    let times: Vec<f64> = (0..n).map(times).collect();
                    assert_eq!(Sampling::Uniform(k).indices(&times), by_count, "{n} {k} {fps}");
                }
            }
        }
    }

    #[test]
    fn within_compares_rates_and_lengths_at_equal_times() {
        let within = Sampling::Within { frames: 4, seconds: 2.0 };
        let even = |fps: f64, n: usize| (0..n).map(|i| 7.0 + i as f64 / fps).collect::<Vec<_>>();
        // Centres at 0.25, 0.75, 1.25 and 1.75 s, whatever the rate and however long the video goes on.
        assert_eq!(within.indices(&even(8.0, 16)), [2, 6, 10, 14]);
        assert_eq!(within.indices(&even(8.0, 80)), [2, 6, 10, 14]);
        assert_eq!(within.indices(&even(4.0, 8)), [1, 3, 5, 7]);
        assert_eq!(within.indices(&even(1.0, 2)), [0, 0, 1, 1]);
        assert!(within.indices(&[]).is_empty());
    }

    #[test]
    fn frames_are_counted_before_they_are_listed() {
        let times = [0.0, 0.1, 0.2, 0.9, 1.0, 1.1];
        for rule in
            ["uniform:4", "uniform:9", "rate:2", "rate:7", "rate:7:max=3", "within:5:0.7", "indices:4,4,9"]
        {
            let rule: Sampling = rule.parse().unwrap();
            assert_eq!(rule.count(&times), rule.indices(&times).len(), "{rule}");
            assert_eq!(rule.count(&times[..1]), rule.indices(&times[..1]).len(), "{rule}");
        }
        for rule in ["uniform:3", "within:3:2", "indices:0,4,8", "rate:2", "rate:2:max=3"] {
            let rule: Sampling = rule.parse().unwrap();
            let fixed = (!matches!(rule, Sampling::Rate { .. })).then_some(3);
            assert_eq!(rule.fixed_count(), fixed, "{rule}");
        }
        let count = |rule: &str, times: &[f64]| rule.parse::<Sampling>().unwrap().count(times);
        assert_eq!((count("rate:2", &[]), count("rate:1e300", &times)), (0, usize::MAX));
        assert_eq!(count("rate:1e300:max=5", &times), 5);
        assert_eq!(count("uniform:18446744073709551615", &times), usize::MAX);
    }

    #[test]
    fn a_rate_follows_time_and_not_the_count() {
        let times = [0.0, 0.1, 0.2, 0.9, 1.0, 1.1];
        let rate = |fps, max| Sampling::Rate { fps, max }.indices(&times);
        assert_eq!(rate(2.0, None), [0, 2, 4]);
        assert_eq!(rate(2.0, Some(2)), [0, 2]);
        let even: Vec<f64> = (0..30).map(|i| i as f64 * 1001.0 / 30000.0).collect();
        let same = Sampling::Rate { fps: 30000.0 / 1001.0, max: None }.indices(&even);
        assert_eq!(same, (0..30).collect::<Vec<_>>());
    }
}
