//! Real videos against what FFmpeg's command line and PyAV say of them; `tests/golden/video/videos.json`
//! states the versions.
#![cfg(feature = "ffmpeg")]

mod common;

use common::{clip, video};
use serde_json::Value;
use squbed_core::{Frame, Sampling};
use squbed_video::{DecodeOptions, decode, probe};

const GOLDEN: &str =
    include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/video/videos.json"));

fn each(check: impl Fn(&str, &Value)) {
    let golden: Value = serde_json::from_str(GOLDEN).unwrap();
    let videos = golden["videos"].as_object().unwrap();
    assert_eq!(videos.len(), 4);
    for (name, golden) in videos {
        check(name, golden);
    }
}

fn mean(frame: &Frame) -> [f64; 3] {
    let mut sums = [0u64; 3];
    for pixel in frame.rgb().chunks_exact(3) {
        for (sum, &value) in sums.iter_mut().zip(pixel) {
            *sum += u64::from(value);
        }
    }
    sums.map(|sum| sum as f64 / (frame.width() * frame.height()) as f64)
}

#[test]
fn probe_tells_what_ffprobe_tells() {
    each(|name, golden| {
        let info = serde_json::to_value(probe(&video(name)).unwrap()).unwrap();
        for key in [
            "codec",
            "profile",
            "pix_fmt",
            "width",
            "height",
            "first_pts",
            "last_pts",
            "time_base",
            "has_audio",
        ] {
            assert_eq!(info[key], golden[key], "{name} {key}");
        }
        assert_eq!(info["frames"], golden["nb_frames_decoded"], "{name}");
        assert_eq!(info["average_rate"], golden["avg_frame_rate"], "{name}");
        assert_eq!(info["rotation"], 0);
        assert_eq!(info["warnings"], Value::Array(vec![]));
        let seconds =
            info["duration_seconds"].as_f64().unwrap() - golden["stream_duration"].as_f64().unwrap();
        assert!(seconds.abs() < 1e-6, "{name}: {seconds}");
    });
}

#[test]
fn colours_and_times_are_those_of_ffmpeg_and_pyav() {
    each(|name, golden| {
        let frames = golden["frames"].as_array().unwrap();
        let indices = frames.iter().map(|f| f["index"].as_u64().unwrap() as usize).collect();
        let decoded = decode(&video(name), &[Sampling::Indices(indices)], &DecodeOptions::default()).unwrap();
        let clip = &decoded.clips[0];
        assert_eq!(clip.frames().len(), frames.len());
        let mut worst = 0.0f64;
        for ((frame, seconds), golden) in clip.frames().iter().zip(clip.pts_seconds()).zip(frames) {
            assert!((seconds - golden["time"].as_f64().unwrap()).abs() < 1e-6, "{name}: {seconds}");
            for key in ["rgb24_mean_cli", "rgb24_mean_pyav"] {
                for (ours, theirs) in mean(frame).into_iter().zip(golden[key].as_array().unwrap()) {
                    worst = worst.max((ours - theirs.as_f64().unwrap()).abs());
                }
            }
        }
        assert!(worst <= 0.6, "{name}: {worst}");
    });
}

#[test]
fn a_resized_crop_has_the_mean_of_pillows() {
    use squbed_frame::{CropRule, Filter, center_crop, resize_shorter_side};
    each(|name, golden| {
        let frames = golden["frames"].as_array().unwrap();
        let indices = frames.iter().map(|f| f["index"].as_u64().unwrap() as usize).collect();
        let decoded = decode(&video(name), &[Sampling::Indices(indices)], &DecodeOptions::default()).unwrap();
        for (frame, golden) in decoded.clips[0].frames().iter().zip(frames) {
            let small = resize_shorter_side(frame, 224, Filter::Bicubic).unwrap();
            let small = center_crop(&small, 224, 224, CropRule::Floor).unwrap();
            for (ours, theirs) in mean(&small).into_iter().zip(golden["pil224_mean"].as_array().unwrap()) {
                let difference = (ours - theirs.as_f64().unwrap()).abs();
                assert!(difference <= 0.6, "{name} {}: {difference}", golden["index"]);
            }
        }
    });
}

#[test]
fn uniform_takes_the_centres_of_twelve_segments() {
    each(|name, golden| {
        let centres = &golden["uniform12_centre_indices"];
        let indices = serde_json::from_value(centres.clone()).unwrap();
        let plans = [Sampling::Uniform(12), Sampling::Indices(indices)];
        let clips = decode(&video(name), &plans, &DecodeOptions::default()).unwrap().clips;
        assert_eq!(clips[0], clips[1], "{name}");
    });
}

#[test]
fn leaving_out_unreferenced_frames_changes_no_byte() {
    each(|name, _| {
        let plans = [Sampling::Uniform(7), Sampling::Indices(vec![0, 119, 2])];
        let plain = DecodeOptions { skip_unreferenced: false, ..DecodeOptions::default() };
        let plain = decode(&video(name), &plans, &plain).unwrap();
        let skipping = decode(&video(name), &plans, &DecodeOptions::default()).unwrap();
        assert!(plain.clips == skipping.clips, "{name}");
    });
}

#[test]
fn several_plans_in_one_pass_are_the_plans_one_by_one() {
    let plans = ["uniform:5", "rate:3", "rate:8:max=4", "indices:9,0,9,119"];
    each(|name, _| {
        let path = video(name);
        let together = plans.map(|plan| plan.parse::<Sampling>().unwrap());
        let together = decode(&path, &together, &DecodeOptions::default()).unwrap().clips;
        for (plan, together) in plans.iter().zip(&together) {
            assert!(clip(&path, plan) == *together, "{name} {plan}");
        }
    });
}
