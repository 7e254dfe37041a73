//! A folder of pictures read as a video.

use std::{
    cmp::Ordering,
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use image::{ColorType, DynamicImage, ImageDecoder, ImageReader, RgbImage, metadata::Orientation};
use squbed_core::{Frame, Sampling};

use crate::{DecodeOptions, Decoded, Error, Limits, Ratio, VideoInfo, Warning, info::PICTURES, plan::Plans};

/// Ticks a second of a folder's times.
const TICKS: i32 = 90_000;

/// What a folder holds; every picture is one frame, in natural order of the names (`2.png` before
/// `10.png`).
///
/// All pictures have one size once they are upright. What is not 8-bit RGB becomes it: grey is repeated, 16
/// bits are rounded to 8, transparency is dropped with a warning.
pub(crate) fn probe(folder: &Path, options: &DecodeOptions) -> Result<VideoInfo, Error> {
    let clock = Clock::new(folder, &options.limits);
    describe(folder, &Pictures::of(folder, &options.limits)?, options, &clock)
}

/// The picked pictures.
pub(crate) fn decode(folder: &Path, plans: &[Sampling], options: &DecodeOptions) -> Result<Decoded, Error> {
    let pictures = Pictures::of(folder, &options.limits)?;
    let clock = Clock::new(folder, &options.limits);
    let info = describe(folder, &pictures, options, &clock)?;
    let pictures = pictures.frames;
    let seconds: Vec<f64> = (0..pictures.len()).map(|i| i as f64 / options.folder_fps).collect();
    let plans = Plans::new(folder, plans, &seconds, info.width * info.height, &options.limits)?;
    let mut frames = BTreeMap::new();
    for &index in &plans.wanted {
        clock.check()?;
        frames.insert(index, read(&pictures[index])?);
    }
    let warnings = info.warnings.clone();
    Ok(Decoded { clips: plans.clips(folder, frames, &seconds, &options.limits)?, info, warnings })
}

/// Ends the work on a folder that takes too long.
struct Clock<'a> {
    folder: &'a Path,
    begun: Instant,
    limit: Duration,
}

impl<'a> Clock<'a> {
    fn new(folder: &'a Path, limits: &Limits) -> Self {
        Self { folder, begun: Instant::now(), limit: limits.time }
    }

    fn check(&self) -> Result<(), Error> {
        if self.begun.elapsed() < self.limit {
            return Ok(());
        }
        Err(Error::Timeout { path: self.folder.to_owned(), limit: self.limit })
    }
}

/// What the header of a picture says.
struct Header {
    format: String,
    colour: ColorType,
    /// Width and height as it is shown.
    size: (usize, usize),
}

impl Header {
    fn of(path: &Path, limits: &Limits) -> Result<Self, Error> {
        let picture = |source| Error::Picture { path: path.to_owned(), source };
        let reader = open(path)?;
        let format = reader.format().map_or("unknown", |format| format.extensions_str()[0]).to_owned();
        let mut decoder = reader.into_decoder().map_err(picture)?;
        let (width, height) = decoder.dimensions();
        let (width, height) = (width as usize, height as usize);
        limit(path, "pixels a frame", width.saturating_mul(height) as f64, limits.pixels as f64)?;
        use Orientation::{Rotate90, Rotate90FlipH, Rotate270, Rotate270FlipH};
        let size = match decoder.orientation().map_err(picture)? {
            Rotate90 | Rotate270 | Rotate90FlipH | Rotate270FlipH => (height, width),
            _ => (width, height),
        };
        Ok(Self { format, colour: decoder.color_type(), size })
    }
}

/// FFmpeg's name of a picture's pixel format.
fn pixel_format(colour: ColorType) -> &'static str {
    match colour {
        ColorType::L8 => "gray",
        ColorType::La8 => "ya8",
        ColorType::Rgb8 => "rgb24",
        ColorType::Rgba8 => "rgba",
        ColorType::L16 => "gray16",
        ColorType::La16 => "ya16",
        ColorType::Rgb16 => "rgb48",
        ColorType::Rgba16 => "rgba64",
        _ => "unknown",
    }
}

fn limit(path: &Path, what: &'static str, value: f64, limit: f64) -> Result<(), Error> {
    if value > limit {
        return Err(Error::Limit { path: path.to_owned(), what, value, limit });
    }
    Ok(())
}

fn describe(
    folder: &Path,
    pictures: &Pictures,
    options: &DecodeOptions,
    clock: &Clock<'_>,
) -> Result<VideoInfo, Error> {
    let Pictures { frames: pictures, passed_over } = pictures;
    let fps = options.folder_fps;
    if !(fps.is_finite() && fps > 0.0) {
        return Err(Error::FolderRate { path: folder.to_owned(), fps });
    }
    let duration_seconds = pictures.len() as f64 / fps;
    limit(folder, "seconds", duration_seconds, options.limits.duration_seconds)?;
    let first = Header::of(&pictures[0], &options.limits)?;
    let mut has_alpha = false;
    for (index, path) in pictures.iter().enumerate() {
        clock.check()?;
        let Header { size, colour, .. } = Header::of(path, &options.limits)?;
        if size != first.size {
            return Err(Error::MixedSizes { path: path.clone(), index, got: size, expected: first.size });
        }
        has_alpha |= colour.has_alpha();
    }
    let tick = f64::from(TICKS) / fps;
    Ok(VideoInfo {
        codec: first.format,
        profile: None,
        pix_fmt: pixel_format(first.colour).to_owned(),
        width: first.size.0,
        height: first.size.1,
        frames: pictures.len(),
        duration_seconds,
        time_base: Ratio { num: 1, den: TICKS },
        average_rate: Ratio { num: (fps * 1000.0).round() as i32, den: 1000 },
        first_pts: 0,
        last_pts: ((pictures.len() - 1) as f64 * tick).round() as i64,
        rotation: 0,
        mirrored: false,
        has_audio: false,
        container: "folder".to_owned(),
        warnings: has_alpha
            .then_some(Warning::AlphaDropped)
            .into_iter()
            .chain(passed_over.first().map(|first| Warning::PicturesPassedOver {
                pictures: passed_over.len(),
                first: first.clone(),
            }))
            .collect(),
    })
}

/// Endings of pictures that are not read: several frames in one file, or kinds that need a library of their own.
const NOT_READ: [&str; 16] = [
    "avif", "dds", "dng", "dpx", "exr", "gif", "hdr", "heic", "heif", "jp2", "jxl", "pgm", "ppm", "tga",
    "tif", "tiff",
];

/// What lies in a folder of frames.
struct Pictures {
    /// Those that are read, at least one.
    frames: Vec<PathBuf>,
    /// Names of those that are not.
    passed_over: Vec<String>,
}

impl Pictures {
    fn of(folder: &Path, limits: &Limits) -> Result<Self, Error> {
        let unreadable = |source| Error::Unreadable { path: folder.to_owned(), source };
        let (mut frames, mut passed_over) = (Vec::new(), Vec::new());
        for entry in fs::read_dir(folder).map_err(unreadable)? {
            let path = entry.map_err(unreadable)?.path();
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            let ending = path.extension().and_then(|e| e.to_str()).map(str::to_ascii_lowercase);
            let is_one_of =
                |endings: &[&str]| ending.as_deref().is_some_and(|ending| endings.contains(&ending));
            if name.starts_with('.') {
                continue;
            }
            if is_one_of(&PICTURES) {
                frames.push((name, path));
            } else if is_one_of(&NOT_READ) {
                passed_over.push(name);
            }
            limit(folder, "frames", frames.len() as f64, limits.frames as f64)?;
        }
        if frames.is_empty() {
            return Err(Error::NoPictures { path: folder.to_owned(), passed_over: passed_over.len() });
        }
        frames.sort_by(|(a, path_a), (b, path_b)| natural(a, b).then_with(|| path_a.cmp(path_b)));
        passed_over.sort_by(|a, b| natural(a, b));
        Ok(Self { frames: frames.into_iter().map(|(_, path)| path).collect(), passed_over })
    }
}

fn open(path: &Path) -> Result<ImageReader<io::BufReader<fs::File>>, Error> {
    let unreadable = |source| Error::Unreadable { path: path.to_owned(), source };
    ImageReader::open(path).and_then(ImageReader::with_guessed_format).map_err(unreadable)
}

/// A picture within the limits, upright.
pub(crate) fn read_checked(path: &Path, limits: &Limits) -> Result<Frame, Error> {
    Header::of(path, limits)?;
    read(path)
}

/// A picture whose header has passed.
fn read(path: &Path) -> Result<Frame, Error> {
    let picture = |source| Error::Picture { path: path.to_owned(), source };
    let mut decoder = open(path)?.into_decoder().map_err(picture)?;
    let orientation = decoder.orientation().map_err(picture)?;
    let mut image = DynamicImage::from_decoder(decoder).map_err(picture)?;
    image.apply_orientation(orientation);
    let rgb = to_rgb8(image);
    let (width, height) = (rgb.width() as usize, rgb.height() as usize);
    Frame::new(width, height, rgb.into_raw()).map_err(|source| Error::Clip { path: path.to_owned(), source })
}

/// Red, green and blue in 8 bits; transparency is left out. Of 16 bits the upper 8 are taken, as Pillow 13 does where
/// it opens a 16-bit picture in colour. Grey of 16 bits is treated alike: Pillow keeps it, and its conversion to
/// RGB then cuts every value above 255 to 255, which leaves almost any such picture white.
fn to_rgb8(image: DynamicImage) -> RgbImage {
    use ColorType::{L16, La16, Rgb16, Rgba16};
    if !matches!(image.color(), L16 | La16 | Rgb16 | Rgba16) {
        return image.into_rgb8();
    }
    let wide = image.into_rgb16();
    RgbImage::from_fn(wide.width(), wide.height(), |x, y| {
        image::Rgb(wide.get_pixel(x, y).0.map(|value| (value >> 8) as u8))
    })
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
