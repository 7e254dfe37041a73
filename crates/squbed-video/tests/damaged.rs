//! Files of every codec with bytes changed and ends cut off, at places that a fixed seed chooses.
#![cfg(feature = "ffmpeg")]

use std::{fs, path::PathBuf, time::Duration};

use squbed_core::Sampling;
use squbed_video::{Damaged, DecodeOptions, Decoded, Error, Limits, decode};

/// One of each codec and of each container that the tests with whole files know, and the frames it has.
const FILES: [(&str, usize); 20] = [
    ("hevc-bframes.mp4", 30),
    ("hevc-bframes.hevc", 30),
    ("hevc10-pq.mp4", 6),
    ("vp8.webm", 30),
    ("vp9.webm", 30),
    ("vp9-alpha.webm", 8),
    ("av1.mp4", 12),
    ("mjpeg.avi", 6),
    ("loop.gif", 6),
    ("h264-bframes.mkv", 30),
    ("h264-bframes.ts", 30),
    ("h264-10bit.mp4", 6),
    ("odd-444.mp4", 6),
    ("fragmented.mp4", 30),
    ("trimmed.mp4", 20),
    ("two-sizes.ts", 20),
    ("mpeg2-bframes.mpg", 30),
    ("mpeg4-bframes.avi", 30),
    ("mpeg4-bframes.m4v", 30),
    ("with-sound.mp4", 30),
];

fn made(name: &str) -> Vec<u8> {
    let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/video/made"));
    fs::read(folder.join(name)).unwrap()
}

/// Numbers that are the same on every machine (Steele, Lea and Flood 2014, SplitMix64).
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ z >> 31) % n as u64) as usize
    }
}

/// A few flipped bits, a run of other bytes, or an end that is missing; gives the places of all of them.
fn damage(bytes: &mut Vec<u8>, dice: &mut Dice) -> Vec<usize> {
    let length = bytes.len();
    match dice.below(4) {
        0 => {
            let end = 1 + dice.below(length - 1);
            bytes.truncate(end);
            (end..length).collect()
        }
        1 => {
            let start = dice.below(length);
            let end = (start + 1 + dice.below(200)).min(length);
            bytes[start..end].iter_mut().for_each(|byte| *byte = dice.below(256) as u8);
            (start..end).collect()
        }
        _ => {
            let places: Vec<usize> = (0..=dice.below(8)).map(|_| dice.below(length)).collect();
            places.iter().for_each(|&at| bytes[at] ^= 1 << dice.below(8));
            places
        }
    }
}

/// Whether the file lists its frames apart from them, and only they are damaged. Where headers lie between the
/// frames, or the list itself is damaged, FFmpeg passes over what it cannot find, and nothing tells how much
/// that was.
fn is_listed(name: &str, whole: &[u8], places: &[usize]) -> bool {
    let pictures = whole.windows(4).position(|w| w == b"mdat");
    let pictures = pictures.filter(|_| name.ends_with(".mp4") && name != "fragmented.mp4").map(|at| {
        let length = u32::from_be_bytes(whole[at - 4..at].try_into().unwrap()) as usize;
        at + 4..at - 4 + length
    });
    pictures.is_some_and(|pictures| places.iter().all(|at| pictures.contains(at)))
}

fn options(damaged: Damaged) -> DecodeOptions {
    let limits = Limits {
        pixels: 1 << 20,
        frames: 1000,
        duration_seconds: 3600.0,
        kept_bytes: 64 << 20,
        time: Duration::from_secs(60),
    };
    DecodeOptions { damaged, limits, ..DecodeOptions::default() }
}

/// The clips that were asked for are there as a whole.
fn is_whole(decoded: &Decoded, plans: &[Sampling]) -> bool {
    let seconds_rise = |times: &[f64]| times.windows(2).all(|pair| pair[0] <= pair[1]);
    decoded.info.frames > 0
        && decoded.clips.len() == plans.len()
        && decoded.clips[0].frames().len() == 7
        && seconds_rise(decoded.clips[0].pts_seconds())
        && decoded.clips[1].frames().len() == 1
}

#[test]
fn damage_ends_in_an_error_or_in_whole_clips_and_a_warning() {
    let folder = tempfile::tempdir().unwrap();
    let plans = [Sampling::Uniform(7), Sampling::Indices(vec![0])];
    let mut problems = Vec::new();
    let (mut refused, mut told, mut unnoticed) = (0, 0, 0);
    for (name, frames) in FILES {
        let whole = made(name);
        for seed in 0..24 {
            let mut bytes = whole.clone();
            let places = damage(&mut bytes, &mut Dice(seed));
            let path = folder.path().join(name);
            fs::write(&path, &bytes).unwrap();
            let strict = decode(&path, &plans, &options(Damaged::Refuse));
            let lenient = decode(&path, &plans, &options(Damaged::Warn));
            let problem = match (&strict, &lenient) {
                (Ok(strict), Ok(lenient)) => {
                    unnoticed += 1;
                    // No decoder sees every changed byte.
                    let lost = strict.info.frames < frames && strict.warnings.is_empty();
                    let lost = lost && is_listed(name, &whole, &places);
                    let same = strict.clips == lenient.clips && strict.warnings == lenient.warnings;
                    lost || !same || !is_whole(strict, &plans)
                }
                (Err(_), Ok(lenient)) => {
                    told += 1;
                    lenient.warnings.is_empty() || !is_whole(lenient, &plans)
                }
                (Err(_), Err(error)) => {
                    refused += 1;
                    matches!(error, Error::Timeout { .. })
                }
                // What is refused only where damage is let pass.
                (Ok(_), Err(_)) => true,
            };
            if problem {
                let short = |decoded: &Result<Decoded, Error>| match decoded {
                    Ok(decoded) => format!("{} frames, {:?}", decoded.info.frames, decoded.warnings),
                    Err(error) => error.to_string(),
                };
                problems.push(format!("{name}, seed {seed}: {} | {}", short(&strict), short(&lenient)));
            }
        }
    }
    assert!(problems.is_empty(), "{problems:#?}");
    // The dice fall the same way every time; each of the three happens often.
    assert!(refused > 20 && told > 100 && unnoticed > 20, "{refused} {told} {unnoticed}");
}
