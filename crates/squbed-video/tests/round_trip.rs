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
    // The picture's colours change fast and are stored at half the resolution: most of the difference.
    for (codec, name, bound) in [(Codec::H264, "h264", 3.5), (Codec::Mpeg4, "mpeg4", 4.5)] {
        let path = folder.path().join("a: é %d.mp4");
        let options = EncodeOptions { fps: (30000, 1001), codec: Some(codec.clone()), quality: None };
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

        let every: Vec<_> = (0..37).collect();
        let plan = [squbed_core::Sampling::Indices(every)];
        let all = decode(&path, &plan, &Default::default()).unwrap().clips.remove(0);
        let mut worst = 0.0f64;
        for (i, (frame, seconds)) in all.frames().iter().zip(all.pts_seconds()).enumerate() {
            assert!((seconds - i as f64 * 1001.0 / 30000.0).abs() < 1e-4, "{i}: {seconds}");
            worst = worst.max(difference(frame, &picture(i, 96, 64)));
        }
        assert!(worst < bound, "{name}: {worst}");
        // Frames are told apart: each is far nearer to its own picture than to the next.
        assert!(difference(&all.frames()[5], &picture(6, 96, 64)) > 2.0 * worst);
    }
}

#[test]
fn an_encoder_is_chosen_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("v.mp4");
    let with =
        |name: &str, quality| EncodeOptions { codec: Some(name.into()), quality, ..EncodeOptions::default() };
    assert_eq!((Codec::from("h264"), Codec::from("mpeg4")), (Codec::H264, Codec::Mpeg4));
    // Sound's, subtitles', one that mp4 cannot hold, one that is none, and none at all.
    let mut present = Vec::new();
    for name in ["aac", "mov_text", "ffv1", "no-such-encoder", "", "a\0b"] {
        let error = encode(&path, frames(2), &with(name, None)).unwrap_err();
        assert!(error.to_string().contains("it has: ") && error.to_string().contains("mpeg4"), "{error}");
        let Error::NoEncoder { encoder, present: names, .. } = error else { panic!("{error}") };
        assert_eq!(encoder, name);
        present = names;
    }
    assert!(present.iter().all(|name| !["aac", "ffv1"].contains(&name.as_str())), "{present:?}");
    let codecs =
        [("libx264", "h264"), ("libx265", "hevc"), ("libvpx-vp9", "vp9"), ("mpeg2video", "mpeg2video")];
    let mut written = 0;
    for (name, codec) in codecs.into_iter().filter(|(name, _)| present.iter().any(|p| p == name)) {
        for quality in [None, Some(20)] {
            encode(&path, frames(6), &with(name, quality))
                .unwrap_or_else(|e| panic!("{name}: {e}: {:?}", std::error::Error::source(&e)));
            let info = probe(&path).unwrap();
            assert_eq!((info.codec.as_str(), info.frames, info.width), (codec, 6, 96));
            let shown = clip(&path, "indices:3").frames()[0].clone();
            assert!(
                difference(&shown, &picture(3, 96, 64)) < difference(&shown, &picture(4, 96, 64)),
                "{name}"
            );
        }
        written += 1;
    }
    assert!(written > 0, "{present:?}");
    let wild = encode(&path, frames(2), &with("mpeg2video", Some(64)));
    assert!(matches!(wild, Err(Error::Quality { quality: 64, high: 63, .. })), "{wild:?}");
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
    assert!(
        matches!(mixed, Error::MixedSizes { index: 1, got: (64, 32), expected: (32, 32), .. }),
        "{mixed}"
    );
    let still = EncodeOptions { fps: (0, 1), ..usual.clone() };
    assert!(matches!(encode(vec![picture(0, 32, 32)], &still), Error::Rate { .. }));
    let wild = EncodeOptions { quality: Some(200), ..usual.clone() };
    assert!(matches!(encode(vec![picture(0, 32, 32)], &wild), Error::Quality { quality: 200, .. }));
    assert_eq!(names(folder.path()), Vec::<String>::new());

    // A file stands where the folder would be; one that is missing is made.
    fs::write(folder.path().join("file"), "").unwrap();
    let nowhere = folder.path().join("file").join("v.mp4");
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

/// What a stored colour looks like under another matrix than it was written with; the weights of red and
/// blue in luma.
fn seen_with(rgb: [f64; 3], written: (f64, f64), read: (f64, f64), full_range: bool) -> [f64; 3] {
    let [r, g, b] = rgb;
    let (wr, wb) = written;
    let luma = wr * r + (1.0 - wr - wb) * g + wb * b;
    let (cb, cr) = ((b - luma) / (2.0 * (1.0 - wb)), (r - luma) / (2.0 * (1.0 - wr)));
    // Stored as 16 to 235 and 16 to 240; read as 0 to 255, they are not spread again.
    let (luma, cb, cr) = match full_range {
        true => (16.0 + luma * 219.0 / 255.0, cb * 224.0 / 255.0, cr * 224.0 / 255.0),
        false => (luma, cb, cr),
    };
    let (wr, wb) = read;
    let (r, b) = (luma + 2.0 * (1.0 - wr) * cr, luma + 2.0 * (1.0 - wb) * cb);
    [r, (luma - wr * r - wb * b) / (1.0 - wr - wb), b]
}

#[test]
fn colours_are_read_as_the_stream_says() {
    const BT601: (f64, f64) = (0.299, 0.114);
    const BT709: (f64, f64) = (0.2126, 0.0722);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("colour.mp4");
    let rgb = [170u8, 90, 60];
    let frame = Frame::new(64, 48, rgb.repeat(64 * 48)).unwrap();
    let options = EncodeOptions { codec: Some(Codec::Mpeg4), ..EncodeOptions::default() };
    encode(&path, [frame], &options).unwrap();
    let mut bytes = fs::read(&path).unwrap();
    // The colour box: kind, primaries, transfer and matrix of two bytes each, range in one bit.
    let kind = bytes.windows(8).position(|w| w == b"colrnclx").unwrap() + 4;
    assert_eq!(bytes[kind + 8..kind + 11], [0, 6, 0]);
    for (matrix, range, weights) in [(6, 0, BT601), (1, 0, BT709), (6, 0x80, BT601), (1, 0x80, BT709)] {
        (bytes[kind + 9], bytes[kind + 10]) = (matrix, range);
        fs::write(&path, &bytes).unwrap();
        let pixel = clip(&path, "indices:0").frames()[0].rgb()[..3].to_vec();
        let expected = seen_with(rgb.map(f64::from), BT601, weights, range > 0);
        for (&ours, expected) in pixel.iter().zip(expected) {
            assert!((f64::from(ours) - expected).abs() < 3.0, "{matrix} {range}: {pixel:?}, {expected:?}");
        }
    }
}
