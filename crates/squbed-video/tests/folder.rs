//! A folder of pictures read as a video; needs no FFmpeg.

mod common;

use std::fs;

use common::picture;
use squbed_core::{Frame, Sampling};
use squbed_video::{DecodeOptions, Error, decode, probe};

fn save(frame: &Frame, path: &std::path::Path) {
    let (width, height) = (frame.width() as u32, frame.height() as u32);
    image::RgbImage::from_raw(width, height, frame.rgb().to_vec()).unwrap().save(path).unwrap();
}

#[test]
fn pictures_are_frames_in_the_order_of_their_numbers() {
    let folder = tempfile::tempdir().unwrap();
    for i in 0..12 {
        save(&picture(i, 30, 20), &folder.path().join(format!("frame-{i}.png")));
    }
    fs::write(folder.path().join("notes.txt"), "not a frame").unwrap();
    fs::write(folder.path().join(".hidden.png"), "not a frame").unwrap();

    let info = probe(folder.path()).unwrap();
    assert_eq!((info.codec.as_str(), info.container.as_str()), ("png", "folder"));
    assert_eq!((info.width, info.height, info.frames), (30, 20, 12));
    assert_eq!(info.duration_seconds, 0.5);

    let options = DecodeOptions { folder_fps: 10.0, ..DecodeOptions::default() };
    let plans = [Sampling::Uniform(3), Sampling::Indices(vec![11, 10, 2])];
    let clips = decode(folder.path(), &plans, &options).unwrap().clips;
    assert_eq!(clips[0].frames(), [2, 6, 10].map(|i| picture(i, 30, 20)));
    assert_eq!(clips[0].pts_seconds(), [0.2, 0.6, 1.0]);
    assert_eq!(clips[1].frames(), [11, 10, 2].map(|i| picture(i, 30, 20)));
}

#[test]
fn a_folder_without_pictures() {
    let folder = tempfile::tempdir().unwrap();
    assert!(matches!(probe(folder.path()), Err(Error::NoPictures { .. })));
}

#[test]
fn a_rate_of_nothing() {
    let folder = tempfile::tempdir().unwrap();
    save(&picture(0, 8, 8), &folder.path().join("0.png"));
    for folder_fps in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let options = DecodeOptions { folder_fps, ..DecodeOptions::default() };
        let error = decode(folder.path(), &[Sampling::Uniform(1)], &options).unwrap_err();
        assert!(matches!(error, Error::FolderRate { .. }), "{error}");
    }
}

#[test]
fn a_picture_that_is_none() {
    let folder = tempfile::tempdir().unwrap();
    save(&picture(0, 8, 8), &folder.path().join("0.png"));
    fs::write(folder.path().join("1.png"), "no picture").unwrap();
    let error = decode(folder.path(), &[Sampling::Indices(vec![1])], &DecodeOptions::default()).unwrap_err();
    assert!(matches!(&error, Error::Picture { path, .. } if path.ends_with("1.png")), "{error}");
}

#[cfg(not(feature = "ffmpeg"))]
#[test]
fn a_file_needs_ffmpeg() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("v.mp4");
    fs::write(&path, "x").unwrap();
    assert!(matches!(probe(&path), Err(Error::WithoutFfmpeg { .. })));
    let frames = [picture(0, 8, 8)];
    let error = squbed_video::encode(&path, frames, &Default::default()).unwrap_err();
    assert!(matches!(error, Error::WithoutFfmpeg { .. }));
}
