//! Encode, decode, compare.
#![cfg(feature = "ffmpeg")]

mod common;

use std::{fs, path::Path};

use common::{clip, difference, picture};
use squbed_core::Frame;
use squbed_video::{Codec, EncodeOptions, Error, decode, encode, probe};

fn frames(count: usize) -> impl Iterator<Item = Frame> {
    (0..count).map(|i| picture(i, 96, 64))
}

fn names(folder: &Path) -> Vec<String> {
    let name = |entry: std::io::Result<fs::DirEntry>| entry.unwrap().file_name().into_string().unwrap();
    fs::read_dir(folder).unwrap().map(name).collect()
}

#[test]
fn frames_come_back() {
    let folder = tempfile::tempdir().unwrap();
    // MPEG-4 has no B-frames here and coarser quantisers, so its bound is wider.
    for (codec, name, bound) in [(Codec::H264, "h264", 2.5), (Codec::Mpeg4, "mpeg4", 4.0)] {
        let path = folder.path().join("a: é %d.mp4");
        let options = EncodeOptions { fps: (30000, 1001), codec: Some(codec), quality: None };
        match encode(&path, frames(37), &options) {
            Err(Error::NoEncoder { .. }) => continue,
            result => result.unwrap(),
        }
        let info = probe(&path).unwrap();
        assert_eq!((info.codec.as_str(), info.width, info.height, info.frames), (name, 96, 64, 37));
        assert_eq!(info.average_rate.to_string(), "30000/1001");
        assert_eq!(info.first_pts, 0);
        assert!((info.duration_seconds - 37.0 * 1001.0 / 30000.0).abs() < 1e-6);
        assert_eq!(info.warnings, []);

        let clip = clip(&path, "rate:1000");
        let every: Vec<_> = (0..37).collect();
        let plan = [squbed_core::Sampling::Indices(every)];
        let all = decode(&path, &plan, &Default::default()).unwrap().clips.remove(0);
        assert_eq!(clip.frames().first(), all.frames().first());
        let mut worst = 0.0f64;
        for (i, (frame, seconds)) in all.frames().iter().zip(all.pts_seconds()).enumerate() {
            assert!((seconds - i as f64 * 1001.0 / 30000.0).abs() < 1e-4, "{i}: {seconds}");
            worst = worst.max(difference(frame, &picture(i, 96, 64)));
        }
        eprintln!("{name}: worst mean difference of a frame {worst:.3}");
        assert!(worst < bound, "{name}: {worst}");
        // Frames are told apart: each is nearer to its own picture than to the next.
        assert!(difference(&all.frames()[5], &picture(6, 96, 64)) > 2.0 * bound);
    }
}

#[test]
fn the_same_frames_give_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = |name: &str| {
        let path = folder.path().join(name);
        encode(&path, frames(30), &EncodeOptions::default()).unwrap();
        fs::read(path).unwrap()
    };
    let first = bytes("one.mp4");
    assert!(first.len() > 1000);
    assert!(first == bytes("another.mp4"));
}

#[test]
fn one_frame_is_a_video() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("one.mp4");
    encode(&path, frames(1), &EncodeOptions::default()).unwrap();
    let info = probe(&path).unwrap();
    assert_eq!(info.frames, 1);
    assert!((info.duration_seconds - 1.0 / 24.0).abs() < 1e-6);
    assert_eq!(clip(&path, "uniform:3").frames().len(), 3);
}

#[test]
fn what_cannot_be_encoded_leaves_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("v.mp4");
    let encode = |frames: Vec<Frame>, options: &EncodeOptions| encode(&path, frames, options).unwrap_err();
    let usual = EncodeOptions::default();

    assert!(matches!(encode(vec![], &usual), Error::NothingToEncode { .. }));
    let odd = encode(vec![picture(0, 33, 32)], &usual).to_string();
    assert!(odd.contains("33x32") && odd.contains("even"), "{odd}");
    let mixed = encode(vec![picture(0, 32, 32), picture(1, 64, 32)], &usual);
    assert!(matches!(mixed, Error::MixedSizes { index: 1, got: (64, 32), expected: (32, 32), .. }), "{mixed}");
    let still = EncodeOptions { fps: (0, 1), ..usual.clone() };
    assert!(matches!(encode(vec![picture(0, 32, 32)], &still), Error::Rate { .. }));
    let wild = EncodeOptions { quality: Some(200), ..usual.clone() };
    assert!(matches!(encode(vec![picture(0, 32, 32)], &wild), Error::Quality { quality: 200, .. }));
    assert_eq!(names(folder.path()), Vec::<String>::new());

    let nowhere = folder.path().join("missing").join("v.mp4");
    let error = squbed_video::encode(&nowhere, frames(2), &usual).unwrap_err();
    assert!(matches!(error, Error::Unwritable { .. }), "{error}");
}

#[test]
fn a_failed_encode_leaves_the_old_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("v.mp4");
    encode(&path, frames(3), &EncodeOptions::default()).unwrap();
    let before = fs::read(&path).unwrap();
    let mixed = vec![picture(0, 32, 32), picture(1, 64, 32)];
    encode(&path, mixed, &EncodeOptions::default()).unwrap_err();
    assert!(before == fs::read(&path).unwrap());
    assert_eq!(names(folder.path()), ["v.mp4"]);
}

/// The header's display matrix, found by its place in the track header box.
fn turn(path: &Path, matrix: [i32; 4]) {
    let mut bytes = fs::read(path).unwrap();
    let at = bytes.windows(4).position(|w| w == b"tkhd").unwrap() + 4 + 40;
    let [a, b, c, d] = matrix.map(|sign| sign << 16);
    for (i, number) in [a, b, 0, c, d, 0, 0, 0, 1 << 30].into_iter().enumerate() {
        bytes[at + i * 4..at + i * 4 + 4].copy_from_slice(&number.to_be_bytes());
    }
    fs::write(path, bytes).unwrap();
}

#[test]
fn a_turned_video_is_set_upright() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("turned.mp4");
    encode(&path, frames(4), &EncodeOptions::default()).unwrap();
    let stored = clip(&path, "indices:2").frames()[0].clone();
    let pixel = |frame: &Frame, x: usize, y: usize| {
        let at = (y * frame.width() + x) * 3;
        frame.rgb()[at..at + 3].to_vec()
    };
    for (matrix, degrees) in [([0, 1, -1, 0], 90), ([-1, 0, 0, -1], 180), ([0, -1, 1, 0], 270)] {
        turn(&path, matrix);
        let info = probe(&path).unwrap();
        assert_eq!((info.rotation, info.width, info.height), (degrees, 96, 64));
        let shown = clip(&path, "indices:2").frames()[0].clone();
        // Where the stored top left corner goes when the picture is turned clockwise.
        let (size, corner) = match degrees {
            90 => ((64, 96), (63, 0)),
            180 => ((96, 64), (95, 63)),
            _ => ((64, 96), (0, 95)),
        };
        assert_eq!((shown.width(), shown.height()), size);
        assert_eq!(pixel(&shown, corner.0, corner.1), pixel(&stored, 0, 0));
    }
    turn(&path, [1, 1, -1, 1]);
    let info = probe(&path).unwrap();
    assert_eq!(info.rotation, 0);
    assert_eq!(info.warnings, [squbed_video::Warning::RotationIgnored]);
}
