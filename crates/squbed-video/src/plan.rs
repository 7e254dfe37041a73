//! From sampling plans to frames: which are wanted, and who gets which.

use std::{collections::BTreeMap, path::Path};

use squbed_core::{Clip, Frame, Sampling};

use crate::{Error, Limits};

/// The frames that several plans pick of one video.
pub(crate) struct Plans {
    /// Frame indices of each plan, in its own order.
    picks: Vec<Vec<usize>>,
    /// Every index once, ascending.
    pub(crate) wanted: Vec<usize>,
}

impl Plans {
    /// Applies `plans` to a video of `pixels` a frame whose frames are shown at `pts_seconds`, ascending; refuses
    /// those that would keep more bytes than `limits` allow.
    pub(crate) fn new(
        path: &Path,
        plans: &[Sampling],
        pts_seconds: &[f64],
        pixels: usize,
        limits: &Limits,
    ) -> Result<Self, Error> {
        let kept = plans.iter().map(|plan| plan.count(pts_seconds)).fold(0, usize::saturating_add);
        // A size that is not known yet is one pixel at least.
        let bytes = (kept as u64).saturating_mul(pixels.max(1) as u64).saturating_mul(3);
        check_kept(path, bytes, limits)?;
        let frames = pts_seconds.len();
        let mut picks = Vec::with_capacity(plans.len());
        for plan in plans {
            let pick = plan.indices(pts_seconds);
            if pick.is_empty() {
                return Err(Error::EmptyPlan { path: path.to_owned(), sampling: plan.to_string() });
            }
            if let Some(&index) = pick.iter().find(|&&index| index >= frames) {
                return Err(Error::FrameOutOfRange { path: path.to_owned(), index, frames });
            }
            picks.push(pick);
        }
        let mut wanted = picks.concat();
        wanted.sort_unstable();
        wanted.dedup();
        Ok(Self { picks, wanted })
    }

    /// One clip a plan, made of `frames`, which holds every wanted index. They may be larger than the file said,
    /// and are counted once more, copies as well.
    pub(crate) fn clips(
        &self,
        path: &Path,
        mut frames: BTreeMap<usize, Frame>,
        pts_seconds: &[f64],
        limits: &Limits,
    ) -> Result<Vec<Clip>, Error> {
        let size = |index| frames.get(index).map_or(0, |frame| frame.rgb().len() as u64);
        check_kept(path, self.picks.iter().flatten().map(size).sum(), limits)?;
        let mut uses: BTreeMap<usize, usize> = BTreeMap::new();
        for &index in self.picks.iter().flatten() {
            *uses.entry(index).or_default() += 1;
        }
        // The last taker of a frame gets the frame itself, those before it a copy.
        let mut take = |index: usize| {
            let left = uses.get_mut(&index)?;
            *left -= 1;
            if *left == 0 { frames.remove(&index) } else { frames.get(&index).cloned() }
        };
        let clip = |pick: &Vec<usize>| {
            let times = pick.iter().map(|&index| pts_seconds[index]).collect();
            let frames = pick.iter().filter_map(|&index| take(index)).collect();
            Clip::new(frames, times).map_err(|source| Error::Clip { path: path.to_owned(), source })
        };
        self.picks.iter().map(clip).collect()
    }
}

/// Refuses more bytes of frames than `limits` allow.
pub(crate) fn check_kept(path: &Path, bytes: u64, limits: &Limits) -> Result<(), Error> {
    if bytes > limits.kept_bytes {
        return Err(Error::Limit {
            path: path.to_owned(),
            what: "bytes of frames",
            value: bytes as f64,
            limit: limits.kept_bytes as f64,
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(value: u8) -> Frame {
        Frame::new(1, 1, vec![value; 3]).unwrap()
    }

    #[test]
    fn plans_share_frames_and_keep_their_order() {
        let times = [0.0, 0.5, 1.0, 1.5];
        let plans = [Sampling::Indices(vec![3, 1, 1]), Sampling::Uniform(2)];
        let plans = Plans::new(Path::new("v"), &plans, &times, 1, &Limits::default()).unwrap();
        assert_eq!(plans.wanted, [1, 3]);
        let frames = plans.wanted.iter().map(|&i| (i, frame(i as u8))).collect();
        let clips = plans.clips(Path::new("v"), frames, &times, &Limits::default()).unwrap();
        let values = |clip: &Clip| clip.frames().iter().map(|f| f.rgb()[0]).collect::<Vec<_>>();
        assert_eq!(values(&clips[0]), [3, 1, 1]);
        assert_eq!(clips[0].pts_seconds(), [1.5, 0.5, 0.5]);
        assert_eq!(values(&clips[1]), [1, 3]);
        // Five frames of three bytes, copies counted.
        let frames: BTreeMap<_, _> = plans.wanted.iter().map(|&i| (i, frame(i as u8))).collect();
        let limits = |kept_bytes| Limits { kept_bytes, ..Limits::default() };
        assert!(plans.clips(Path::new("v"), frames.clone(), &times, &limits(15)).is_ok());
        let error = plans.clips(Path::new("v"), frames, &times, &limits(14)).unwrap_err();
        assert_eq!(error.to_string(), "v has or needs 15 bytes of frames; the limit is 14");
    }

    #[test]
    fn what_cannot_be_picked_is_refused() {
        let within = |plan, pixels, limits: &Limits| {
            Plans::new(Path::new("v"), &[plan], &[0.0, 1.0], pixels, limits).map(|plans| plans.wanted)
        };
        let new = |plan| within(plan, 1, &Limits::default()).unwrap_err();
        assert_eq!(
            new(Sampling::Indices(vec![0, 2])).to_string(),
            "frame 2 of v was asked for, which has 2 frames, counted from 0"
        );
        assert!(matches!(new(Sampling::Indices(vec![])), Error::EmptyPlan { .. }));
        let tight = Limits { kept_bytes: 100, ..Limits::default() };
        assert_eq!(within(Sampling::Uniform(4), 8, &tight).unwrap(), [0, 1]);
        assert!(matches!(within(Sampling::Uniform(4), 9, &tight), Err(Error::Limit { .. })));
        // A list of so many frames would fit into no memory.
        for rule in ["uniform:18446744073709551615", "rate:1e300", "rate:1e12"] {
            let error = new(rule.parse().unwrap());
            assert!(matches!(error, Error::Limit { what: "bytes of frames", .. }), "{rule}: {error}");
        }
    }
}
