//! Small videos of every kind against what PyAV sees in them; `scripts/golden_video.py` makes both.
#![cfg(feature = "ffmpeg")]

mod common;

use std::{collections::BTreeMap, fs, path::PathBuf};

use common::clip;
use serde::Deserialize;
use squbed_core::{Frame, Sampling};
use squbed_video::{Damaged, DecodeOptions, Decoded, Error, Limits, Unit, Warning, decode, probe};

#[derive(Deserialize)]
struct Golden {
    videos: BTreeMap<String, Made>,
}

/// A video as PyAV sees it.
#[derive(Deserialize)]
struct Made {
    codec: String,
    pix_fmt: String,
    frames: usize,
    time_base: String,
    pts: Vec<Option<i64>>,
    pictures: Vec<Picture>,
}

#[derive(Deserialize)]
struct Picture {
    index: usize,
    size: (usize, usize),
    quarters: [[f64; 3]; 4],
    quarters_cli: Option<[[f64; 3]; 4]>,
}

fn made(name: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/video/made")).join(name)
}

fn golden() -> BTreeMap<String, Made> {
    let golden = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/video/made.json"));
    let videos = serde_json::from_str::<Golden>(golden).unwrap().videos;
    assert_eq!(videos.len(), 32);
    videos
}

fn every_frame(name: &str, frames: usize, skip_unreferenced: bool) -> Decoded {
    let plan = [Sampling::Indices((0..frames).collect())];
    let options = DecodeOptions { skip_unreferenced, ..DecodeOptions::default() };
    decode(&made(name), &plan, &options).unwrap_or_else(|error| panic!("{name}: {error}"))
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

fn largest_difference(a: [[f64; 3]; 4], b: [[f64; 3]; 4]) -> f64 {
    a.into_iter().flatten().zip(b.into_iter().flatten()).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
}

#[test]
fn each_is_what_pyav_sees() {
    for (name, golden) in golden() {
        let info = probe(&made(&name)).unwrap();
        let seen = (info.frames, info.codec.as_str(), info.pix_fmt.as_str(), info.time_base.to_string());
        assert_eq!(
            seen,
            (golden.frames, golden.codec.as_str(), golden.pix_fmt.as_str(), golden.time_base),
            "{name}"
        );

        let decoded = every_frame(&name, golden.frames, true);
        let clip = &decoded.clips[0];
        if !decoded.warnings.contains(&Warning::NoTimes) {
            let tick = info.time_base.value();
            let ticks: Vec<_> = clip.pts_seconds().iter().map(|s| Some((s / tick).round() as i64)).collect();
            assert_eq!(ticks, golden.pts, "{name}");
        }
        for picture in &golden.pictures {
            let frame = &clip.frames()[picture.index];
            assert_eq!((frame.width(), frame.height()), picture.size, "{name}");
            // 10 bits and odd sides take FFmpeg's general conversion, which gives other colours in PyAV's own
            // FFmpeg than in 5.1: there the command line of 5.1 is asked as well.
            let pyav = largest_difference(quarters(frame), picture.quarters);
            let cli = picture.quarters_cli.map_or(pyav, |cli| largest_difference(quarters(frame), cli));
            assert!(pyav.min(cli) <= 0.6, "{name} {}: {pyav} {cli}", picture.index);
        }
    }
}

/// Two fields share no chroma, and chroma samples of 4:2:2 lie at the left one of two pixels: FFmpeg's command line leaves
/// both out of account, and is up to 2.6 and 3.2 grey levels away in the mean of a quarter.
#[test]
fn fields_and_sites_of_chroma_are_those_of_pyav() {
    let golden = golden();
    for name in ["interlaced.mp4", "h264-422-10bit.mp4"] {
        let decoded = every_frame(name, golden[name].frames, true);
        for picture in &golden[name].pictures {
            let ours = quarters(&decoded.clips[0].frames()[picture.index]);
            let apart = largest_difference(ours, picture.quarters);
            assert!(apart <= 0.05, "{name} {}: {apart}", picture.index);
            let cli = largest_difference(ours, picture.quarters_cli.unwrap());
            assert!(cli > 0.05, "{name} {}: the command line does the same", picture.index);
        }
    }
}

#[test]
fn leaving_out_unreferenced_frames_changes_no_byte() {
    for (name, golden) in golden() {
        let all = every_frame(&name, golden.frames, false);
        for plan in ["uniform:3", "uniform:7", "indices:0", "indices:5,1", "indices:4,3,2"] {
            let skipping = clip(&made(&name), plan);
            let plan: Sampling = plan.parse().unwrap();
            let picked = plan.indices(all.clips[0].pts_seconds());
            for (frame, index) in skipping.frames().iter().zip(&picked) {
                assert!(*frame == all.clips[0].frames()[*index], "{name} {plan} {index}");
            }
            assert_eq!(skipping.frames().len(), picked.len());
        }
    }
}

#[test]
fn what_is_unusual_is_said() {
    let counted = "30 packets gave 30 frames, counted by decoding";
    let no_times = "no usable frame times; frames were spaced evenly";
    let alpha = "transparency, which the format holds, is dropped";
    let unusual = BTreeMap::from([
        ("h264-bframes.h264", vec![counted, no_times]),
        ("hevc-bframes.hevc", vec![counted, no_times]),
        ("mpeg4-bframes.avi", vec![counted, no_times]),
        ("mpeg2-bframes.mpg", vec![counted]),
        ("hevc10-pq.mp4", vec!["high dynamic range (smpte2084) without tone mapping"]),
        ("vp9-alpha.webm", vec![alpha]),
    ]);
    for name in golden().keys() {
        let warnings: Vec<_> = probe(&made(name)).unwrap().warnings.iter().map(ToString::to_string).collect();
        assert_eq!(warnings, unusual.get(name.as_str()).cloned().unwrap_or_default(), "{name}");
        assert_eq!(probe(&made(name)).unwrap().has_audio, name == "with-sound.mp4");
    }
}

#[test]
fn a_size_that_changes_midway() {
    let decoded = every_frame("two-sizes.ts", 20, true);
    let sizes: Vec<_> = decoded.clips[0].frames().iter().map(|f| (f.width(), f.height())).collect();
    assert_eq!(sizes, [[(64, 48); 10], [(96, 64); 10]].concat());
    assert_eq!(decoded.warnings, [Warning::SizeChanges]);
}

/// The stream states its first size; what is kept is counted by the frames as they are.
#[test]
fn larger_frames_than_stated_count_as_they_are() {
    let name = "two-sizes.ts";
    assert_eq!(probe(&made(name)).unwrap().width, 64);
    let keep = |kept_bytes| {
        let limits = Limits { kept_bytes, ..Limits::default() };
        let options = DecodeOptions { limits, ..DecodeOptions::default() };
        decode(&made(name), &[Sampling::Indices((0..20).collect())], &options)
    };
    let bytes = 3 * 10 * (64 * 48 + 96 * 64);
    assert!(keep(bytes).is_ok());
    assert!(matches!(keep(bytes - 1), Err(Error::Limit { what: "bytes of frames", .. })));
}

#[test]
fn a_variable_rate_is_sampled_by_time() {
    // Frame i is shown at i²/50 seconds.
    let clip = clip(&made("variable-rate.mp4"), "rate:2");
    for (seconds, frame) in clip.pts_seconds().iter().zip([0.0, 5.0, 7.0, 8.0, 10.0]) {
        assert!((seconds - frame * frame / 50.0).abs() < 1e-9, "{:?}", clip.pts_seconds());
    }
    assert_eq!(clip.frames().len(), 5);
    // Centres of three equal spans of its 2.64 s, and not of its twelve frames.
    let clip = common::clip(&made("variable-rate.mp4"), "uniform:3");
    let frames = [4.0, 8.0, 10.0].map(|frame| frame * frame / 50.0);
    for (seconds, frame) in clip.pts_seconds().iter().zip(frames) {
        assert!((seconds - frame).abs() < 1e-9, "{:?}", clip.pts_seconds());
    }
}

#[test]
fn turned_and_mirrored_pictures() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("turned.mp4");
    let stored = clip(&made("h264-bframes.mp4"), "indices:7").frames()[0].clone();
    let stored = quarters(&stored);
    // Signs of the display matrix; degrees, mirrored; which stored quarter is shown at the top left, top right,
    // bottom left and bottom right.
    for (signs, degrees, mirrored, shown) in [
        ([1, 0, 0, 1], 0, false, [0, 1, 2, 3]),
        ([0, 1, -1, 0], 90, false, [2, 0, 3, 1]),
        ([-1, 0, 0, -1], 180, false, [3, 2, 1, 0]),
        ([0, -1, 1, 0], 270, false, [1, 3, 0, 2]),
        ([-1, 0, 0, 1], 0, true, [1, 0, 3, 2]),
        ([1, 0, 0, -1], 180, true, [2, 3, 0, 1]),
        ([0, 1, 1, 0], 270, true, [0, 2, 1, 3]),
        ([0, -1, -1, 0], 90, true, [3, 1, 2, 0]),
    ] {
        let mut bytes = fs::read(made("h264-bframes.mp4")).unwrap();
        let at = bytes.windows(4).position(|w| w == b"tkhd").unwrap() + 44;
        let [a, b, c, d] = signs.map(|sign: i32| sign << 16);
        for (i, number) in [a, b, 0, c, d].into_iter().enumerate() {
            bytes[at + i * 4..at + i * 4 + 4].copy_from_slice(&number.to_be_bytes());
        }
        fs::write(&path, bytes).unwrap();
        let info = probe(&path).unwrap();
        assert_eq!((info.rotation, info.mirrored, info.warnings.len()), (degrees, mirrored, 0), "{signs:?}");
        let upright = quarters(&clip(&path, "indices:7").frames()[0]);
        assert!(largest_difference(upright, shown.map(|i| stored[i])) < 1e-9, "{signs:?}");
    }
}

/// Matroska gives range, matrix and transfer of colours as numbers, and FFmpeg passes on whatever stands there.
#[test]
fn colours_that_no_standard_names_are_taken_as_the_default() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("v.webm");
    let whole = fs::read(made("vp9-alpha.webm")).unwrap();
    let expected = clip(&made("vp9-alpha.webm"), "uniform:8");
    // Colour, and in it Range of one byte, which is 1 for 16 to 235.
    let at = whole.windows(6).position(|w| w == b"\x55\xb0\x84\x55\xb9\x81").unwrap() + 4;
    for (element, what) in [(0xb9, "range"), (0xb1, "matrix"), (0xba, "transfer")] {
        let mut bytes = whole.clone();
        (bytes[at], bytes[at + 2]) = (element, 200);
        fs::write(&path, bytes).unwrap();
        assert!(clip(&path, "uniform:8") == expected, "{what}");
        assert_eq!(probe(&path).unwrap().warnings, [Warning::AlphaDropped], "{what}");
    }
}

#[test]
fn sound_alone_is_no_video() {
    for name in ["sound.m4a", "sound.wav"] {
        assert!(matches!(probe(&made(name)), Err(Error::NoVideoStream { .. })), "{name}");
    }
}

/// The first half of a made file.
fn half(name: &str, folder: &tempfile::TempDir) -> (PathBuf, usize) {
    let bytes = fs::read(made(name)).unwrap();
    let path = folder.path().join(name);
    fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    (path, bytes.len() / 2)
}

#[test]
fn half_a_file_is_cut_short_by_its_own_words() {
    let folder = tempfile::tempdir().unwrap();
    // By its table of frames.
    let (path, _) = half("front.mp4", &folder);
    let error = decode(&path, &[Sampling::Uniform(2)], &DecodeOptions::default()).unwrap_err();
    assert!(error.to_string().ends_with("front.mp4 is cut short: 12 of 30 frames are there"), "{error}");
    // By the length that its outermost part states; the first ones have lost their table.
    for name in [
        "h264-bframes.mp4",
        "av1.mp4",
        "odd.mp4",
        "two-by-two.mp4",
        "sound.m4a",
        "fragmented.mp4",
        "h264-bframes.mkv",
        "vp8.webm",
        "vp9.webm",
        "mjpeg.avi",
        "mpeg4-bframes.avi",
    ] {
        let (path, bytes) = half(name, &folder);
        let error = decode(&path, &[Sampling::Uniform(2)], &DecodeOptions::default()).unwrap_err();
        let Error::Truncated { expected, got, unit: Unit::Bytes, .. } = error else {
            panic!("{name}: {error}")
        };
        assert!(got == bytes && expected > got && expected <= 2 * bytes + 1, "{name}: {got} of {expected}");
    }
    // What can be decoded is, where that is wanted, and the count is that of whole frames.
    for name in ["fragmented.mp4", "h264-bframes.mkv", "vp8.webm", "vp9.webm", "mpeg4-bframes.avi"] {
        let (path, got) = half(name, &folder);
        let options = DecodeOptions { damaged: Damaged::Warn, ..DecodeOptions::default() };
        let frames = probe(&path).unwrap().frames;
        assert!((5..25).contains(&frames), "{name}: {frames}");
        let plan = [Sampling::Indices(vec![frames - 1, 0])];
        let decoded = decode(&path, &plan, &options).unwrap();
        assert!(matches!(decoded.warnings[0], Warning::Truncated { got: bytes, .. } if bytes == got));
        assert!(decoded.clips[0].frames()[1] == clip(&made(name), "indices:0").frames()[0], "{name}");
    }
}

#[test]
fn half_a_stream_without_a_length_ends_in_a_damaged_frame() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["h264-bframes.h264", "h264-bframes.ts", "mpeg2-bframes.mpg", "mpeg4-bframes.m4v"] {
        let (path, _) = half(name, &folder);
        let frames = probe(&path).unwrap().frames;
        let plan = [Sampling::Indices((0..frames).collect())];
        let error = decode(&path, &plan, &DecodeOptions::default()).unwrap_err();
        let Error::Damaged { damaged: 1, read, unit: Unit::Frames, .. } = error else {
            panic!("{name}: {error}")
        };
        assert!(read <= frames, "{name}: {read} of {frames}");
    }
}

#[test]
fn flipped_bits_are_counted() {
    let folder = tempfile::tempdir().unwrap();
    for name in
        ["front.mp4", "h264-bframes.mkv", "h264-bframes.h264", "mpeg4-bframes.mp4", "mpeg2-bframes.mpg"]
    {
        let mut bytes = fs::read(made(name)).unwrap();
        let start = bytes.len() / 3;
        for byte in bytes[start..start + 600].iter_mut().step_by(41) {
            *byte ^= 0x55;
        }
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        let strict = decode(&path, &["uniform:30".parse().unwrap()], &DecodeOptions::default());
        assert!(matches!(strict, Err(Error::Damaged { .. })), "{name}: {:?}", strict.map(|d| d.warnings));
        let options = DecodeOptions { damaged: Damaged::Warn, ..DecodeOptions::default() };
        let decoded = decode(&path, &["uniform:30".parse().unwrap()], &options).unwrap();
        let counts: Vec<_> = decoded
            .warnings
            .iter()
            .filter_map(|w| match w {
                Warning::Damaged { damaged, read, .. } => Some((*damaged, *read)),
                _ => None,
            })
            .collect();
        assert!(matches!(counts[..], [(1.., read @ ..=30)] if counts[0].0 <= read), "{name}: {counts:?}");
        assert_eq!(decoded.clips[0].frames().len(), 30);
    }
}

/// Every GIF is decoded to pixels with transparency; most have none.
#[test]
fn a_gif_is_transparent_where_a_pixel_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("v.gif");
    // A picture of 1 x 1 on a canvas of `side` x 1, black and white, two bits a code: clear, 0, end.
    let gif = |side: u8, control: &[u8]| {
        let screen = [b"GIF89a".as_slice(), &[side, 0, 1, 0, 0x80, 0, 0, 0, 0, 0, 255, 255, 255]].concat();
        let picture = [0x2c, 0, 0, 0, 0, 1, 0, 1, 0, 0, 2, 2, 0x44, 0x01, 0, 0x3b];
        fs::write(&path, [&screen[..], control, &picture].concat()).unwrap();
        probe(&path).unwrap().warnings
    };
    assert_eq!(gif(1, &[]), []);
    // Colour 0 is transparent, then the other one; a canvas wider than the picture shows its background colour.
    assert_eq!(gif(1, &[0x21, 0xf9, 4, 1, 0, 0, 0, 0]), [Warning::AlphaDropped]);
    assert_eq!(gif(1, &[0x21, 0xf9, 4, 1, 0, 0, 1, 0]), []);
    assert_eq!(gif(2, &[]), []);
}

/// The largest canvas that a GIF can state is more than FFmpeg decodes, which then forgets what the header says.
#[test]
fn a_canvas_beyond_the_limit_is_refused_before_it_is_decoded() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("v.gif");
    let mut bytes = fs::read(made("loop.gif")).unwrap();
    bytes[6..10].fill(0xff);
    fs::write(&path, bytes).unwrap();
    for error in [
        probe(&path).unwrap_err(),
        decode(&path, &[Sampling::Uniform(1)], &DecodeOptions::default()).unwrap_err(),
    ] {
        let Error::Limit { what: "pixels a frame", value, limit, .. } = error else { panic!("{error}") };
        assert_eq!((value, limit), (65_535.0 * 65_535.0, 8192.0 * 8192.0));
    }
}

/// Children of the first cluster of a Matroska file: where each begins, and its identifier.
fn blocks(bytes: &[u8]) -> Vec<(usize, u8)> {
    let cluster = bytes.windows(4).position(|w| w == b"\x1f\x43\xb6\x75").unwrap() + 4;
    // A number whose first byte tells by its leading zeros how many bytes it has.
    let number = |at: usize| {
        let width = bytes[at].leading_zeros() as usize + 1;
        let first = usize::from(bytes[at]) & (0xff >> width);
        (bytes[at + 1..at + width].iter().fold(first, |n, &byte| n << 8 | usize::from(byte)), at + width)
    };
    let (size, mut at) = number(cluster);
    let mut children = Vec::new();
    let end = at + size;
    while at < end {
        children.push((at, bytes[at]));
        let (size, content) = number(at + 1);
        at = content + size;
    }
    children
}

#[test]
fn frames_that_are_lost_between_others_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("v.mkv");
    let mut bytes = fs::read(made("vp8.webm")).unwrap();
    let frames: Vec<usize> =
        blocks(&bytes).into_iter().filter(|&(_, id)| id == 0xa3 || id == 0xa0).map(|(at, _)| at).collect();
    assert!(frames.len() > 20, "{} blocks in the first cluster", frames.len());
    fs::write(&path, &bytes).unwrap();
    assert_eq!(probe(&path).unwrap().warnings, []);
    // An element that means nothing takes the place of each, as a reader passes over what it does not know.
    for &at in &frames[10..13] {
        bytes[at] = 0xec;
    }
    fs::write(&path, &bytes).unwrap();
    let info = probe(&path).unwrap();
    let lost = Warning::FramesMissing { frames: 3, seconds: 9.0 * 0.04 };
    assert_eq!((info.frames, info.warnings.as_slice()), (27, &[lost.clone()][..]));
    let decoded = decode(&path, &[Sampling::Uniform(2)], &DecodeOptions::default()).unwrap();
    assert!(decoded.warnings.contains(&lost), "{:?}", decoded.warnings);
}
