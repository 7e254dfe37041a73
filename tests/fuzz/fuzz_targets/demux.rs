//! Video files of every kind, probed and decoded within narrow limits.
#![no_main]

use std::{sync::OnceLock, time::Duration};

use libfuzzer_sys::fuzz_target;
use squbed_core::Sampling;
use squbed_fuzz::{file, message, within};
use squbed_video::{Damaged, DecodeOptions, Decoded, Error, Limits, decode};

const KEPT: u64 = 8 << 20;

fn options(damaged: Damaged) -> DecodeOptions {
    let limits = Limits {
        pixels: 512 * 512,
        frames: 300,
        duration_seconds: 3600.0,
        kept_bytes: KEPT,
        time: Duration::from_secs(2),
    };
    DecodeOptions { damaged, limits, ..DecodeOptions::default() }
}

/// Three clips: the shape of what is promised holds.
fn check(decoded: &Decoded, plans: &[Sampling]) {
    let info = &decoded.info;
    assert!(info.frames > 0 && info.frames <= 300, "{info:?}");
    assert!(info.width * info.height <= 512 * 512, "{info:?}");
    assert!(info.duration_seconds.is_finite() && info.first_pts <= info.last_pts, "{info:?}");
    assert_eq!(decoded.clips.len(), plans.len());
    for (clip, plan) in decoded.clips.iter().zip(plans) {
        let (frames, times) = (clip.frames(), clip.pts_seconds());
        match plan {
            Sampling::Uniform(k) => assert_eq!(frames.len(), *k),
            Sampling::Indices(indices) => assert_eq!(frames.len(), indices.len()),
            Sampling::Rate { max, .. } => assert!(!frames.is_empty() && Some(frames.len()) <= *max),
        }
        assert_eq!(frames.len(), times.len());
        assert!(times.iter().all(|t| t.is_finite()), "{times:?}");
        for frame in frames {
            assert!(frame.width() * frame.height() <= 512 * 512);
            assert_eq!(frame.rgb().len(), frame.width() * frame.height() * 3);
        }
    }
    decoded.warnings.iter().for_each(|warning| assert!(!warning.to_string().is_empty()));
}

fuzz_target!(|data: &[u8]| {
    static PLANS: OnceLock<[Sampling; 3]> = OnceLock::new();
    let plans = PLANS.get_or_init(|| {
        [Sampling::Uniform(3), Sampling::Rate { fps: 4.0, max: Some(4) }, Sampling::Indices(vec![0])]
    });
    let path = file("v", data);
    // Packets are kept for the second pass, at most what the file holds; pictures as the limits say.
    let admitted = 4 * KEPT as usize + 64 * data.len();
    let strict = within(admitted, || decode(&path, plans, &options(Damaged::Refuse)));
    let lenient = within(admitted, || decode(&path, plans, &options(Damaged::Warn)));
    match (&strict, &lenient) {
        // A file without damage gives the same either way.
        (Ok(strict), Ok(lenient)) => {
            check(strict, plans);
            assert!(strict.clips == lenient.clips);
            assert_eq!(strict.info, lenient.info);
            assert_eq!(strict.warnings, lenient.warnings);
        }
        // Damage that is let pass is told.
        (Err(error), Ok(lenient)) => {
            message(error);
            check(lenient, plans);
            let late = matches!(error, Error::Timeout { .. });
            assert!(late || !lenient.warnings.is_empty(), "{error}: and no warning");
        }
        (Ok(_), Err(error)) => {
            assert!(matches!(error, Error::Timeout { .. }), "only damage that is let pass fails: {error}");
        }
        (Err(strict), Err(lenient)) => {
            message(strict);
            message(lenient);
        }
    }
});
