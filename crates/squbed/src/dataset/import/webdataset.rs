//! Tar archives of WebDataset: members that share a name up to its first dot are one sample.

use std::{
    fs::File,
    io::{self, BufReader, Read},
    path::{Path, PathBuf},
};

use serde_json::{Map, Value};
use squbed_store::{VIDEO_EXTENSIONS, natural_order};

use super::{CAPTIONS, Captioned, Contents, DatasetError, DatasetForm, entries, first_text};
use crate::steps;

/// The largest text of a sample, in bytes.
const MAX_TEXT: u64 = 1 << 20;
/// The largest video of a sample, in bytes.
const MAX_VIDEO: u64 = 4 << 30;

/// The archives that a path means, in natural order.
pub(super) fn shards(source: &Path) -> Result<Vec<PathBuf>, DatasetError> {
    if !source.is_dir() {
        return Ok(vec![source.to_owned()]);
    }
    let mut tars = entries(source)?;
    tars.retain(|path| path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("tar")));
    tars.sort_by(|a, b| natural_order(&a.to_string_lossy(), &b.to_string_lossy()));
    Ok(tars)
}

#[derive(Default)]
struct Sample {
    key: String,
    text: Option<String>,
    json: Option<Map<String, Value>>,
    video: Option<PathBuf>,
}

/// Reads archives; videos are unpacked to `videos`, each whole or not at all, under names of this program's own.
pub(super) fn read(
    source: &Path,
    videos: Option<&Path>,
    limit: usize,
    contents: &mut Contents,
) -> Result<(), DatasetError> {
    let videos = videos.ok_or_else(|| DatasetError::Nowhere { path: source.to_owned() })?;
    let shards = shards(source)?;
    if shards.is_empty() {
        return Err(DatasetError::NotOfForm {
            path: source.to_owned(),
            form: DatasetForm::WebDataset.name(),
            problem: "there is no .tar in it".to_owned(),
        });
    }
    for shard in shards {
        read_shard(&shard, videos, limit, contents)?;
    }
    Ok(())
}

fn read_shard(
    shard: &Path,
    videos: &Path,
    limit: usize,
    contents: &mut Contents,
) -> Result<(), DatasetError> {
    let io = |operation| move |source| DatasetError::Io { operation, path: shard.to_owned(), source };
    let file = squbed_files::open(shard).map_err(io("open"))?;
    let mut archive = tar::Archive::new(BufReader::<File>::new(file));
    let mut sample = Sample::default();
    for member in archive.entries().map_err(io("read"))? {
        let mut member = member.map_err(io("read"))?;
        if !member.header().entry_type().is_file() {
            continue;
        }
        let name = String::from_utf8_lossy(&member.path_bytes()).into_owned();
        let Some((key, ending)) = key_and_ending(&name) else { continue };
        if key != sample.key {
            finish(std::mem::take(&mut sample), shard, contents)?;
            if contents.tasks() >= limit {
                return Ok(());
            }
            key.clone_into(&mut sample.key);
        }
        let wrong = |problem: String| DatasetError::Row {
            path: shard.to_owned(),
            place: format!("member `{}`", name.escape_debug()),
            problem,
        };
        let size = member.size();
        let most = if ending == "txt" || ending == "json" { MAX_TEXT } else { MAX_VIDEO };
        if size > most {
            return Err(wrong(format!("it has {size} bytes; at most {most} are read")));
        }
        match ending.as_str() {
            "txt" => {
                let mut text = String::new();
                member.read_to_string(&mut text).map_err(|error| wrong(error.to_string()))?;
                sample.text = Some(text.trim().to_owned());
            }
            "json" => {
                let read = serde_json::from_reader(&mut member);
                sample.json = Some(read.map_err(|error| wrong(error.to_string()))?);
            }
            ending if VIDEO_EXTENSIONS.contains(&ending) && sample.video.is_none() => {
                // The key is a stranger's: the name made of it has no folder in it.
                let target = videos.join(format!("{}.{ending}", steps::file_name(&flat(&sample.key))));
                unpack(&mut member, size, &target).map_err(io("unpack a video of"))?;
                sample.video = Some(target);
            }
            _ => {}
        }
    }
    finish(sample, shard, contents)
}

/// A video that stands there in this size already is not unpacked again.
fn unpack(member: &mut impl Read, size: u64, target: &Path) -> io::Result<()> {
    if std::fs::metadata(target).is_ok_and(|there| there.is_file() && there.len() == size) {
        return Ok(());
    }
    squbed_files::write_with(target, |out| {
        let copied = io::copy(member, out)?;
        if copied == size { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    })
}

fn finish(sample: Sample, shard: &Path, contents: &mut Contents) -> Result<(), DatasetError> {
    if sample.key.is_empty() {
        return Ok(());
    }
    let shard_name = shard.file_name().unwrap_or_default().to_string_lossy();
    let place = format!("{shard_name}, sample `{}`", sample.key.escape_debug());
    let Some(video) = sample.video else {
        contents.pass_over(place, "it has no video");
        return Ok(());
    };
    let mut json = sample.json.unwrap_or_default();
    if json.contains_key("task") && json.contains_key("kind") {
        json.entry("file_name").or_insert_with(|| sample.key.as_str().into());
        let clip = serde_json::from_value(json.into()).map_err(|error| DatasetError::Row {
            path: shard.to_owned(),
            place: format!("sample `{}`", sample.key.escape_debug()),
            problem: error.to_string(),
        })?;
        contents.clips.push((clip, video));
        return Ok(());
    }
    let prompt = sample.text.filter(|text| !text.is_empty()).or_else(|| first_text(&json, &CAPTIONS));
    match prompt.filter(|prompt| !prompt.is_empty()) {
        Some(prompt) => contents.captioned.push(Captioned {
            id: flat(&sample.key),
            prompt,
            category: first_text(&json, &["category"]),
            dataset: first_text(&json, &["dataset"]),
            video: Some(video),
        }),
        None => contents.pass_over(place, "it has no caption: neither .txt nor one in .json"),
    }
    Ok(())
}

/// The key is the name up to the first dot after its folders.
fn key_and_ending(name: &str) -> Option<(&str, String)> {
    let start = name.rfind('/').map_or(0, |slash| slash + 1);
    let dot = start + name[start..].find('.')?;
    // Names that begin with a dot are a system's own files.
    (dot > start).then(|| (&name[..dot], name[dot + 1..].to_ascii_lowercase()))
}

fn flat(key: &str) -> String {
    key.trim_start_matches("./").replace(['/', '\\'], "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_end_at_the_first_dot_after_the_folders() {
        let of = |name| key_and_ending(name).map(|(key, ending)| (key.to_owned(), ending));
        let pair = |key: &str, ending: &str| Some((key.to_owned(), ending.to_owned()));
        assert_eq!(of("a.mp4"), pair("a", "mp4"));
        assert_eq!(of("v1.2/x/0001.caption.TXT"), pair("v1.2/x/0001", "caption.txt"));
        assert_eq!(of("v1.2/no_ending"), None);
        assert_eq!(of("x/.DS_Store"), None);
        assert_eq!(flat("./x/../a"), "x_.._a");
    }
}
