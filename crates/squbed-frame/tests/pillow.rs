//! Resize and crop against Pillow and torchvision; `tests/golden/encoders/preprocess.json` states the versions.

use std::path::Path;

use proptest::prelude::*;
use squbed_core::Frame;
use squbed_frame::{CropRule, Error, Filter, center_crop, resize, resize_shorter_side};

const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/encoders");

fn png(name: &str) -> Frame {
    let image = image::open(Path::new(GOLDEN).join(name)).unwrap().to_rgb8();
    let (width, height) = (image.width() as usize, image.height() as usize);
    Frame::new(width, height, image.into_raw()).unwrap()
}

/// Largest and mean absolute difference, in grey levels.
fn difference(a: &Frame, b: &Frame) -> (u8, f64) {
    assert_eq!((a.width(), a.height()), (b.width(), b.height()));
    let differences = a.rgb().iter().zip(b.rgb()).map(|(&x, &y)| x.abs_diff(y));
    let sum: u64 = differences.clone().map(u64::from).sum();
    (differences.max().unwrap(), sum as f64 / a.rgb().len() as f64)
}

#[expect(clippy::print_stderr, reason = "the measured difference is worth seeing with --nocapture")]
fn check(kind: &str, allowed: (u8, f64), prepare: impl Fn(&Frame) -> Frame) {
    let golden = std::fs::read_to_string(Path::new(GOLDEN).join("preprocess.json")).unwrap();
    let golden: serde_json::Value = serde_json::from_str(&golden).unwrap();
    let cases = golden["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 2);
    for case in cases {
        let ours = prepare(&png(case["src_png"].as_str().unwrap()));
        let (max, mean) = difference(&ours, &png(case[kind]["png"].as_str().unwrap()));
        eprintln!("{} {kind}: max {max}, mean {mean:.5}", case["id"]);
        assert!(max <= allowed.0, "{} {kind}: {max} levels", case["id"]);
        assert!(mean <= allowed.1, "{} {kind}: mean {mean}", case["id"]);
    }
}

fn clip(rule: CropRule) -> impl Fn(&Frame) -> Frame {
    move |frame| {
        let small = resize_shorter_side(frame, 224, Filter::Bicubic).unwrap();
        center_crop(&small, 224, 224, rule).unwrap()
    }
}

#[test]
fn clip_with_the_crop_of_torchvision() {
    check("clip_torchvision_crop", (0, 0.0), clip(CropRule::RoundHalfEven));
}

#[test]
fn clip_with_the_crop_of_hugging_face() {
    check("clip_hf_crop", (0, 0.0), clip(CropRule::Floor));
}

/// torchvision resamples 8-bit tensors itself, with 16-bit weights.
fn square(filter: Filter) -> impl Fn(&Frame) -> Frame {
    move |frame| {
        let small = resize(frame, 256, 256, filter).unwrap();
        center_crop(&small, 224, 224, CropRule::RoundHalfEven).unwrap()
    }
}

#[test]
fn torchvision_without_antialiasing() {
    check("s3d_preset", (1, 0.004), square(Filter::BilinearNoAntialias));
}

#[test]
fn torchvision_with_antialiasing() {
    check("bilinear256_antialias", (1, 0.004), square(Filter::Bilinear));
}

/// The frames of `scripts/golden_resize.py`.
fn formula(width: u64, height: u64, kind: &str) -> Frame {
    let mut rgb = Vec::new();
    for (y, x) in (0..height).flat_map(|y| (0..width).map(move |x| (y, x))) {
        for c in 0..3u64 {
            let mixed = ((y * width + x) * 3 + c + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
            let noise = (mixed ^ (mixed >> 29)).wrapping_mul(0xBF58_476D_1CE4_E5B9) >> 56;
            rgb.push(match kind {
                "waves" => (x * x * 3 + y * y * 5 + c * 4000) / 97 % 256,
                "noise" => noise,
                "black_white" => (noise >> 7) * 255,
                kind => panic!("{kind}"),
            } as u8);
        }
    }
    Frame::new(width as usize, height as usize, rgb).unwrap()
}

#[test]
fn every_size_is_pillows_bit_for_bit() {
    let golden = std::fs::read_to_string(Path::new(GOLDEN).join("pillow_resize.json")).unwrap();
    let golden: serde_json::Value = serde_json::from_str(&golden).unwrap();
    let cases = golden["cases"].as_array().unwrap();
    assert!(cases.len() > 40);
    for case in cases {
        let side = |which: &str, i: usize| case[which][i].as_u64().unwrap();
        let frame = formula(side("from", 0), side("from", 1), case["frame"].as_str().unwrap());
        let filter = match case["filter"].as_str().unwrap() {
            "bilinear" => Filter::Bilinear,
            "bicubic" => Filter::Bicubic,
            name => panic!("{name}"),
        };
        let resized = resize(&frame, side("to", 0) as usize, side("to", 1) as usize, filter).unwrap();
        let digest = resized.rgb().iter().fold(0xCBF2_9CE4_8422_2325u64, |hash, &byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01B3)
        });
        assert_eq!(format!("{digest:016x}"), case["fnv1a64"], "{case}");
    }
}

#[test]
fn sides_outside_the_range_are_refused() {
    let frame = Frame::new(3, 2, vec![9; 18]).unwrap();
    for (width, height) in [(0, 4), (4, 0), (65536, 4)] {
        assert!(matches!(resize(&frame, width, height, Filter::Bicubic), Err(Error::Size { .. })));
    }
    assert_eq!(
        resize_shorter_side(&frame, 0, Filter::Bilinear).unwrap_err().to_string(),
        "cannot resize a frame to 0x0; each side must be 1 to 65535 pixels"
    );
    let line = Frame::new(70_000, 1, vec![0; 210_000]).unwrap();
    assert!(matches!(resize(&line, 2, 1, Filter::Bilinear), Err(Error::Source { .. })));
}

#[test]
fn the_same_size_is_the_same_frame() {
    let frame = png("pre_carphone5.src.png");
    assert_eq!(resize(&frame, frame.width(), frame.height(), Filter::Bicubic).unwrap(), frame);
}

proptest! {
    /// A filter's weights sum to one, so a plain frame stays plain at any size.
    #[test]
    fn a_plain_frame_stays_plain(
        from in (1usize..40, 1usize..40), to in (1usize..40, 1usize..40), colour in any::<[u8; 3]>(), cubic: bool,
    ) {
        let frame = Frame::new(from.0, from.1, colour.repeat(from.0 * from.1)).unwrap();
        let filter = if cubic { Filter::Bicubic } else { Filter::Bilinear };
        let resized = resize(&frame, to.0, to.1, filter).unwrap();
        prop_assert!(resized.rgb().chunks(3).all(|pixel| pixel == colour));
    }

    #[test]
    fn the_shorter_side_is_exact(width in 1usize..90, height in 1usize..90, side in 1usize..60) {
        let frame = Frame::new(width, height, vec![1; width * height * 3]).unwrap();
        let resized = resize_shorter_side(&frame, side, Filter::Bilinear).unwrap();
        prop_assert_eq!(resized.width().min(resized.height()), side);
        prop_assert_eq!(resized.width().max(resized.height()), side * width.max(height) / width.min(height));
    }
}
