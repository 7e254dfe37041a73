//! Small videos of every kind against what PyAV sees in them; `scripts/golden_video.py` makes both.
#![cfg(feature = "ffmpeg")]

mod common;

use std::{collections::BTreeMap, path::PathBuf};

use serde::Deserialize;
use squbed_core::{Frame, Sampling};
use squbed_video::{DecodeOptions, Decoded, Warning, decode, probe};

#[derive(Deserialize)]
struct Golden {
    videos: BTreeMap<String, Made>,
}

#[derive(Deserialize)]
struct Made {
    codec: String,
    pix_fmt: String,
    frames: usize,
    time_base: String,
    pts: Vec<Option<i64>>,
    sizes: Vec<(usize, usize)>,
    pictures: Vec<Picture>,
}

#[derive(Deserialize)]
struct Picture {
    index: usize,
    size: (usize, usize),
    quarters: [[f64; 3]; 4],
}

fn made(name: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/video/made")).join(name)
}

fn golden() -> BTreeMap<String, Made> {
    let golden = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/video/made.json"));
    let videos = serde_json::from_str::<Golden>(golden).unwrap().videos;
    assert!(videos.len() >= 30);
    videos
}

fn all(name: &str, frames: usize, options: &DecodeOptions) -> Decoded {
    let plan = [Sampling::Indices((0..frames).collect())];
    decode(&made(name), &plan, options).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Mean red, green and blue of the top left, top right, bottom left and bottom right quarter.
fn quarters(frame: &Frame) -> [[f64; 3]; 4] {
    let (width, height) = (frame.width() / 2, frame.height() / 2);
    let (right, low) = (frame.width() - width, frame.height() - height);
    [(0, 0), (right, 0), (0, low), (right, low)].map(|(left, top)| {
        let mut sums = [0u64; 3];
        for y in top..top + height {
            for x in left..left + width {
                for (c, sum) in sums.iter_mut().enumerate() {
                    *sum += u64::from(frame.rgb()[(y * frame.width() + x) * 3 + c]);
                }
            }
        }
        sums.map(|sum| sum as f64 / (width * height) as f64)
    })
}

#[test]
fn explore() {
    for (name, golden) in golden() {
        let info = probe(&made(&name)).unwrap();
        let decoded = all(&name, golden.frames.min(info.frames), &DecodeOptions::default());
        let mut worst = 0.0f64;
        for p in &golden.pictures {
            if let Some(frame) = decoded.clips[0].frames().get(p.index) {
                for (a, b) in quarters(frame).into_iter().flatten().zip(p.quarters.into_iter().flatten()) {
                    worst = worst.max((a - b).abs());
                }
            }
        }
        let base = info.time_base.value();
        let secs = decoded.clips[0].pts_seconds();
        let pts: Vec<i64> = secs.iter().map(|s| (s / base).round() as i64).collect();
        let same = pts.iter().zip(&golden.pts).filter(|(a, b)| b.is_some_and(|b| b == **a)).count();
        println!(
            "{name}: frames {} {} worst {worst:.3} pts {same}/{} {} {:?} {:?} {:?}",
            info.frames, golden.frames, golden.pts.len(), info.time_base.to_string() == golden.time_base,
            info.pix_fmt == golden.pix_fmt, info.codec == golden.codec, decoded.warnings
        );
        let _ = (&golden.sizes, golden.pictures[0].size, Warning::NoTimes);
    }
}

#[test]
fn explore_damage() {
    let dir = std::path::Path::new("/tmp/w/damaged");
    let mut names: Vec<_> = std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().path()).collect();
    names.sort();
    for path in names {
        let plan = [Sampling::Uniform(12)];
        let strict = decode(&path, &plan, &DecodeOptions::default());
        let soft = DecodeOptions { damaged: squbed_video::Damaged::Warn, ..DecodeOptions::default() };
        let soft = decode(&path, &plan, &soft);
        println!("{:?}: {} | {}", path.file_name().unwrap(),
            strict.map_or_else(|e| e.to_string(), |d| format!("OK {:?}", d.warnings)),
            soft.map_or_else(|e| e.to_string(), |d| format!("OK {:?}", d.warnings)));
    }
}
