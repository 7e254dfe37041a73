//! Videos and pictures for the tests.

use std::path::{Path, PathBuf};

use squbed_core::{Clip, Frame};

/// Where `cargo xtask setup` put the real test videos.
#[allow(dead_code, reason = "not every test file uses real videos")]
pub(crate) fn video(name: &str) -> PathBuf {
    let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let cache = || {
        if let Some(cache) = variable("XDG_CACHE_HOME") {
            return cache;
        }
        let home = variable("HOME").expect("HOME is set");
        home.join(if cfg!(target_os = "macos") { "Library/Caches" } else { ".cache" })
    };
    let home = variable("SQUBED_HOME").unwrap_or_else(|| cache().join("squbed"));
    let path = home.join("test-videos").join(name);
    assert!(path.is_file(), "{} is missing: run `cargo xtask setup`", path.display());
    path
}

/// A smooth picture that moves with `i`.
#[allow(dead_code, reason = "not every test file draws")]
pub(crate) fn picture(i: usize, width: usize, height: usize) -> Frame {
    let pixel = |at: usize| {
        let (x, y) = ((at % width) as f64, (at / width) as f64);
        let wave = |phase: f64| (128.0 + 90.0 * ((x + 2.0 * i as f64) / 15.0 + y / 11.0 + phase).sin()) as u8;
        [wave(0.0), wave(1.0), wave(2.0)]
    };
    Frame::new(width, height, (0..width * height).flat_map(pixel).collect()).unwrap()
}

/// Mean absolute difference of two frames in grey levels.
#[allow(dead_code, reason = "not every test file compares")]
pub(crate) fn difference(a: &Frame, b: &Frame) -> f64 {
    assert_eq!((a.width(), a.height()), (b.width(), b.height()));
    let sum: u64 = a.rgb().iter().zip(b.rgb()).map(|(&x, &y)| u64::from(x.abs_diff(y))).sum();
    sum as f64 / a.rgb().len() as f64
}

/// The only clip of decoding `path` with one plan and the defaults.
#[allow(dead_code, reason = "not every test file decodes so")]
pub(crate) fn clip(path: &Path, plan: &str) -> Clip {
    let plans = [plan.parse().unwrap()];
    squbed_video::decode(path, &plans, &Default::default()).unwrap().clips.remove(0)
}
