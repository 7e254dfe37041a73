//! Tasks as a folder tree.

use std::{
    cmp::Ordering,
    fs, io,
    path::{Path, PathBuf},
};

use squbed_core::{LatentPrompt, Task};

use crate::error::{Error, Place, Result};

const PROMPT: &str = "prompt.txt";
const GROUND_TRUTH: &str = "ground_truth";
const VIDEOS: &str = "videos";

/// Endings of the files that are videos where a folder is named, in lower case.
pub const VIDEO_EXTENSIONS: [&str; 5] = ["mp4", "mkv", "mov", "webm", "avi"];

/// Reads every folder in `root` as a task.
pub(super) fn read(root: &Path) -> Result<Vec<(Place, Task)>> {
    let Listing { folders, .. } = list(root)?;
    folders.iter().map(|folder| Ok((Place::Folder { path: folder.clone() }, task(folder)?))).collect()
}

fn task(folder: &Path) -> Result<Task> {
    let Listing { folders, videos } = list(folder)?;
    let mut truths = videos.into_iter().filter(|v| v.file_stem().is_some_and(|stem| stem == GROUND_TRUTH));
    let ground_truth = truths.next();
    if let (Some(first), Some(second)) = (&ground_truth, truths.next()) {
        return Err(Error::TwoGroundTruths { first: first.clone(), second });
    }
    Ok(Task {
        id: name(folder)?.to_owned(),
        prompt: prompt(folder)?,
        dataset: None,
        category: None,
        ground_truth,
        latents: folders.iter().map(|folder| latent(folder)).collect::<Result<_>>()?,
    })
}

fn latent(folder: &Path) -> Result<LatentPrompt> {
    let mut videos = list(folder)?.videos;
    let inner = folder.join(VIDEOS);
    if inner.is_dir() {
        videos.extend(list(&inner)?.videos);
    }
    Ok(LatentPrompt { prompt: prompt(folder)?, videos })
}

/// The prompt of a folder, without the blanks around it.
fn prompt(folder: &Path) -> Result<String> {
    let path = folder.join(PROMPT);
    match fs::read_to_string(&path) {
        Ok(text) => Ok(text.trim().to_owned()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err(Error::NoPrompt { path: folder.to_owned() })
        }
        Err(error) => Err(Error::io("read", &path)(error)),
    }
}

/// What a folder holds, in natural order of the names; hidden names are left out.
struct Listing {
    folders: Vec<PathBuf>,
    videos: Vec<PathBuf>,
}

fn list(folder: &Path) -> Result<Listing> {
    let entries: Vec<PathBuf> = fs::read_dir(folder)
        .and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect())
        .map_err(Error::io("list", folder))?;
    let mut named = Vec::new();
    for path in entries {
        let name = name(&path)?.to_owned();
        if !name.starts_with('.') {
            named.push((name, path));
        }
    }
    named.sort_unstable_by(|(a, _), (b, _)| natural_order(a, b));
    let (folders, files): (Vec<_>, Vec<_>) =
        named.into_iter().map(|(_, path)| path).partition(|path| path.is_dir());
    let is_video = |path: &PathBuf| {
        let extension = path.extension().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
        VIDEO_EXTENSIONS.contains(&extension.as_str())
    };
    Ok(Listing { folders, videos: files.into_iter().filter(is_video).collect() })
}

fn name(path: &Path) -> Result<&str> {
    path.file_name().and_then(|name| name.to_str()).ok_or_else(|| Error::NotUtf8 { path: path.to_owned() })
}

/// Order of names in which runs of digits compare as numbers; equal numbers by spelling.
pub fn natural_order(a: &str, b: &str) -> Ordering {
    let (mut x, mut y) = (a, b);
    while let (Some(first), Some(second)) = (x.chars().next(), y.chars().next()) {
        let order = if first.is_ascii_digit() && second.is_ascii_digit() {
            let (p, q) = (digits(&mut x), digits(&mut y));
            p.len().cmp(&q.len()).then(p.cmp(q))
        } else {
            x = &x[first.len_utf8()..];
            y = &y[second.len_utf8()..];
            first.cmp(&second)
        };
        if order.is_ne() {
            return order;
        }
    }
    x.len().cmp(&y.len()).then_with(|| a.cmp(b))
}

/// Takes the digits at the start, and gives them without leading zeros.
fn digits<'a>(text: &mut &'a str) -> &'a str {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, rest) = text.split_at(end);
    *text = rest;
    number.trim_start_matches('0')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_in_natural_order() {
        let mut names = ["latent_10", "latent_2", "latent_02", "latent", "b", "latent_2a", "a100", "a99é"];
        names.sort_unstable_by(|a, b| natural_order(a, b));
        assert_eq!(names, ["a99é", "a100", "b", "latent", "latent_02", "latent_2", "latent_2a", "latent_10"]);
    }
}
