//! A folder of pictures read as a video.

use std::{
    cmp::Ordering,
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use squbed_core::Sampling;

use crate::{
    DecodeOptions, Decoded, Error, Limits, Ratio, VideoInfo,
    picture::{open, read_picture},
    plan::Plans,
};

/// Ticks a second of a folder's times.
const TICKS: i32 = 90_000;

/// What a folder holds; every picture is one frame, in natural order of the names (`2.png` before
/// `10.png`).
pub(crate) fn probe(folder: &Path, options: &DecodeOptions) -> Result<VideoInfo, Error> {
    describe(folder, &pictures(folder, &options.limits)?, options)
}

/// The picked pictures.
pub(crate) fn decode(folder: &Path, plans: &[Sampling], options: &DecodeOptions) -> Result<Decoded, Error> {
    let pictures = pictures(folder, &options.limits)?;
    let info = describe(folder, &pictures, options)?;
    let seconds: Vec<f64> = (0..pictures.len()).map(|i| i as f64 / options.folder_fps).collect();
    let plans = Plans::new(folder, plans, &seconds)?;
    plans.check(folder, info.width * info.height, &options.limits)?;
    let mut frames = BTreeMap::new();
    for &index in &plans.wanted {
        frames.insert(index, read_picture(&pictures[index], &options.limits)?);
    }
    Ok(Decoded { clips: plans.clips(folder, frames, &seconds)?, info, warnings: Vec::new() })
}

fn describe(folder: &Path, pictures: &[PathBuf], options: &DecodeOptions) -> Result<VideoInfo, Error> {
    let fps = options.folder_fps;
    if !(fps.is_finite() && fps > 0.0) {
        return Err(Error::FolderRate { path: folder.to_owned(), fps });
    }
    let first = &pictures[0];
    let picture = |source| Error::Picture { path: first.clone(), source };
    let reader = open(first)?;
    let codec = reader.format().map_or("unknown", |format| format.extensions_str()[0]).to_owned();
    let (width, height) = reader.into_dimensions().map_err(picture)?;
    let tick = f64::from(TICKS) / fps;
    Ok(VideoInfo {
        codec,
        profile: None,
        pix_fmt: "rgb24".to_owned(),
        width: width as usize,
        height: height as usize,
        frames: pictures.len(),
        duration_seconds: pictures.len() as f64 / fps,
        time_base: Ratio { num: 1, den: TICKS },
        average_rate: Ratio { num: (fps * 1000.0).round() as i32, den: 1000 },
        first_pts: 0,
        last_pts: ((pictures.len() - 1) as f64 * tick).round() as i64,
        rotation: 0,
        has_audio: false,
        container: "folder".to_owned(),
        warnings: Vec::new(),
    })
}

/// The folder's pictures, at least one.
fn pictures(folder: &Path, limits: &Limits) -> Result<Vec<PathBuf>, Error> {
    let unreadable = |source| Error::Unreadable { path: folder.to_owned(), source };
    let mut pictures = Vec::new();
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        let extension = path.extension().and_then(|e| e.to_str()).map(str::to_ascii_lowercase);
        let picture = matches!(extension.as_deref(), Some("png" | "jpg" | "jpeg" | "bmp" | "webp"));
        let hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        if picture && !hidden {
            pictures.push(path);
        }
        if pictures.len() > limits.frames {
            return Err(Error::Limit {
                path: folder.to_owned(),
                what: "frames",
                value: pictures.len() as f64,
                limit: limits.frames as f64,
            });
        }
    }
    if pictures.is_empty() {
        return Err(Error::NoFrames { path: folder.to_owned() });
    }
    pictures.sort_by(|a, b| {
        let name =
            |path: &Path| path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        natural(&name(a), &name(b)).then_with(|| a.cmp(b))
    });
    Ok(pictures)
}

/// Text order, in which a run of digits counts as the number it writes.
fn natural(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a.as_bytes(), b.as_bytes());
    loop {
        let (digits_a, digits_b) = (digits(a), digits(b));
        if digits_a > 0 && digits_b > 0 {
            let number = |text: &[u8], digits: usize| {
                let zeros = text[..digits].iter().take_while(|&&byte| byte == b'0').count();
                (digits - zeros, text[zeros..digits].to_vec())
            };
            match number(a, digits_a).cmp(&number(b, digits_b)) {
                Ordering::Equal => (a, b) = (&a[digits_a..], &b[digits_b..]),
                unequal => return unequal,
            }
        }
        match (a.split_first(), b.split_first()) {
            (Some((x, rest_a)), Some((y, rest_b))) if x == y => (a, b) = (rest_a, rest_b),
            (Some((x, _)), Some((y, _))) => return x.cmp(y),
            (x, y) => return x.is_some().cmp(&y.is_some()),
        }
    }
}

fn digits(text: &[u8]) -> usize {
    text.iter().take_while(|byte| byte.is_ascii_digit()).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_names_count_as_numbers() {
        let mut names = ["f10.png", "f2.png", "f1.png", "f002.png", "a.png", "f2b.png", "f.png"];
        names.sort_by(|a, b| natural(a, b));
        assert_eq!(names, ["a.png", "f.png", "f1.png", "f2.png", "f002.png", "f2b.png", "f10.png"]);
    }
}
