//! The decoder's own output, before any conversion, against the checksums of FFmpeg's command line and
//! PyAV: a conforming decoder is bit-exact, so they hold on any version and processor.

#[path = "../../tests/common/mod.rs"]
mod common;

use std::{
    ffi::c_void,
    time::{Duration, Instant},
};

use ffmpeg_next::ffi::{AVPixelFormat, av_free, av_md5_alloc, av_md5_final, av_md5_init, av_md5_update};
use serde_json::Value;

use super::{Decoder, Input, OpenError, Packet, Picture};

const GOLDEN: &str =
    include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/video/videos.json"));

/// MD5, as hex, of byte strings one after the other.
fn md5<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> String {
    let mut digest = [0u8; 16];
    // SAFETY: the context is allocated, initialised, fed with whole slices and freed once; a digest has
    // 16 bytes.
    unsafe {
        let context = av_md5_alloc();
        assert!(!context.is_null());
        av_md5_init(context);
        for part in parts {
            av_md5_update(context, part.as_ptr(), part.len());
        }
        av_md5_final(context, digest.as_mut_ptr());
        av_free(context.cast::<c_void>());
    }
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The planes Y, U and V without padding.
fn yuv420p(picture: &Picture) -> Vec<u8> {
    assert_eq!(picture.pixel_format(), AVPixelFormat::AV_PIX_FMT_YUV420P);
    let frame = picture.get();
    let (width, height) = (picture.width(), picture.height());
    let half = |side: usize| side.div_ceil(2);
    let mut bytes = Vec::new();
    for (plane, width, height) in
        [(0, width, height), (1, half(width), half(height)), (2, half(width), half(height))]
    {
        for row in 0..height {
            // SAFETY: a decoded yuv420p picture has three planes of these sizes, `linesize` bytes a row.
            bytes.extend_from_slice(unsafe {
                let start = frame.data[plane].offset(row as isize * frame.linesize[plane] as isize);
                std::slice::from_raw_parts(start, width)
            });
        }
    }
    bytes
}

/// Time in ticks and planes of every frame.
fn frames(name: &str) -> Vec<(i64, Vec<u8>)> {
    let deadline = Instant::now() + Duration::from_secs(600);
    let opened = Input::open(&common::video(name), usize::MAX, deadline);
    let mut input = opened.map_err(|error: OpenError| matches!(error, OpenError::Failed(_))).unwrap();
    let stream = input.video().unwrap();
    let mut decoder = Decoder::new(&input, &stream, usize::MAX).unwrap().unwrap();
    let (mut packet, mut picture) = (Packet::new().unwrap(), Picture::new().unwrap());
    let mut frames = Vec::new();
    loop {
        let more = input.read(stream.index, &mut packet).unwrap();
        decoder.send(more.then_some(&packet)).unwrap();
        while decoder.receive(&mut picture).unwrap() {
            frames.push((picture.pts().unwrap(), yuv420p(&picture)));
        }
        if !more {
            return frames;
        }
    }
}

#[test]
fn decoded_planes_are_those_of_ffmpeg() {
    let golden: Value = serde_json::from_str(GOLDEN).unwrap();
    for (name, golden) in golden["videos"].as_object().unwrap() {
        let frames = frames(name);
        assert_eq!(frames.len() as u64, golden["nb_frames_decoded"], "{name}");
        for golden in golden["frames"].as_array().unwrap() {
            let (pts, planes) = &frames[golden["index"].as_u64().unwrap() as usize];
            assert_eq!(*pts, golden["pts"], "{name}");
            assert_eq!(md5([planes.as_slice()]), golden["yuv420p_md5"], "{name} {pts}");
        }
        let all = md5(frames.iter().map(|(_, planes)| planes.as_slice()));
        assert_eq!(all, golden["all_frames_yuv420p_md5"], "{name}");
    }
}

#[test]
fn md5_of_a_known_text() {
    assert_eq!(md5([&b"abc"[..]]), "900150983cd24fb0d6963f7d28e17f72");
    assert_eq!(md5([&b"a"[..], &b"bc"[..]]), "900150983cd24fb0d6963f7d28e17f72");
}
