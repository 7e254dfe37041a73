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
fn pictures_that_are_not_read_are_told() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["f2.tiff", "f10.TIF", "preview.gif"] {
        fs::write(folder.path().join(name), "not looked into").unwrap();
    }
    let error = probe(folder.path()).unwrap_err();
    assert!(error.to_string().contains("holds no picture but 3 of kinds that are not read"), "{error}");
    save(&picture(0, 8, 8), &folder.path().join("f0.png"));
    let info = probe(folder.path()).unwrap();
    assert_eq!(info.frames, 1);
    let told: Vec<String> = info.warnings.iter().map(ToString::to_string).collect();
    let expected = "3 picture(s) of kinds that are not read are passed over, the first is f2.tiff; png, jpg, jpeg, \
                    bmp and webp are read";
    assert_eq!(told, [expected]);
    let decoded = decode(folder.path(), &[Sampling::Uniform(1)], &DecodeOptions::default()).unwrap();
    assert_eq!(decoded.warnings, info.warnings);
}

#[test]
fn pictures_of_two_sizes_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    for i in 0..3 {
        save(&picture(i, 30 + 2 * (i / 2), 20), &folder.path().join(format!("{i}.png")));
    }
    for error in [
        probe(folder.path()).unwrap_err(),
        decode(folder.path(), &[Sampling::Indices(vec![0])], &DecodeOptions::default()).unwrap_err(),
    ] {
        let Error::MixedSizes { index: 2, got: (32, 20), expected: (30, 20), path } = &error else {
            panic!("{error}")
        };
        assert!(path.ends_with("2.png"));
    }
}

#[test]
fn pictures_of_every_depth_become_8_bit_rgb() {
    use image::{GrayImage, ImageBuffer, Luma, Rgb, RgbaImage};
    let one = |image: image::DynamicImage, extension: &str| {
        let folder = tempfile::tempdir().unwrap();
        image.save(folder.path().join(format!("0.{extension}"))).unwrap();
        let decoded =
            decode(folder.path(), &[Sampling::Indices(vec![0])], &DecodeOptions::default()).unwrap();
        assert_eq!(decoded.warnings, decoded.info.warnings);
        let pixel = decoded.clips[0].frames()[0].rgb()[..3].to_vec();
        (decoded.info.pix_fmt, pixel, decoded.warnings)
    };
    let grey = GrayImage::from_pixel(4, 4, Luma([77]));
    assert_eq!(one(grey.into(), "png"), ("gray".to_owned(), vec![77; 3], vec![]));
    // The upper 8 of 16 bits, as Pillow 13 opens RGB, RGBA and grey with alpha; plain grey alike. 129 and 386 are
    // nearer to the next value.
    for (value, byte) in
        [(0, 0), (129, 0), (255, 0), (256, 1), (386, 1), (32_768, 128), (65_407, 255), (65_535, 255)]
    {
        let deep = ImageBuffer::from_pixel(4, 4, Luma([value]));
        assert_eq!(one(deep.into(), "png"), ("gray16".to_owned(), vec![byte; 3], vec![]));
        let deep = ImageBuffer::from_pixel(4, 4, Rgb([value, 300u16, 65_279]));
        assert_eq!(one(deep.into(), "png"), ("rgb48".to_owned(), vec![byte, 1, 254], vec![]));
        let deep = ImageBuffer::from_pixel(4, 4, image::Rgba([value, 300u16, 65_279, 9]));
        assert_eq!(one(deep.into(), "png").1, [byte, 1, 254]);
        let deep = ImageBuffer::from_pixel(4, 4, image::LumaA([value, 9u16]));
        assert_eq!(one(deep.into(), "png").1, [byte; 3]);
    }
    let clear = RgbaImage::from_pixel(4, 4, image::Rgba([10, 20, 30, 0]));
    let alpha = vec![squbed_video::Warning::AlphaDropped];
    assert_eq!(one(clear.into(), "png"), ("rgba".to_owned(), vec![10, 20, 30], alpha));
}

#[test]
fn limits_hold_for_folders() {
    use squbed_video::Limits;
    let folder = tempfile::tempdir().unwrap();
    for i in 0..3 {
        save(&picture(i, 30, 20), &folder.path().join(format!("{i}.png")));
    }
    let with = |limits: Limits| {
        let options = DecodeOptions { limits, folder_fps: 1.0, ..DecodeOptions::default() };
        decode(folder.path(), &[Sampling::Uniform(3)], &options).unwrap_err().to_string()
    };
    let usual = Limits::default;
    assert!(with(Limits { pixels: 599, ..usual() }).ends_with("600 pixels a frame; the limit is 599"));
    assert!(with(Limits { frames: 2, ..usual() }).ends_with("3 frames; the limit is 2"));
    assert!(with(Limits { duration_seconds: 2.5, ..usual() }).ends_with("3 seconds; the limit is 2.5"));
    assert!(
        with(Limits { kept_bytes: 5399, ..usual() }).ends_with("5400 bytes of frames; the limit is 5399")
    );
    let late = with(Limits { time: std::time::Duration::ZERO, ..usual() });
    assert!(late.ends_with("took longer than the limit of 0 seconds"), "{late}");
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
