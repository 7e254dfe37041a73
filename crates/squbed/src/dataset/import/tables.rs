//! Data sets whose captions stand in a table.

use std::{
    io::BufRead,
    path::{Component, Path, PathBuf},
};

use serde::Deserialize;
use serde_json::{Map, Value};

use super::{CAPTIONS, Captioned, Contents, DatasetError, DatasetForm, first_text, metadata_of};
use crate::dataset::python;

/// The names of a CSV file's columns.
pub(super) fn csv_header(path: &Path) -> Result<Vec<String>, DatasetError> {
    let mut reader = reader(path)?;
    let header = reader.headers().map_err(not_csv(path))?;
    Ok(header.iter().map(|name| name.trim_start_matches('\u{feff}').trim().to_owned()).collect())
}

fn reader(path: &Path) -> Result<csv::Reader<std::fs::File>, DatasetError> {
    let file = squbed_files::open(path).map_err(|source| DatasetError::Io {
        operation: "open",
        path: path.to_owned(),
        source,
    })?;
    Ok(csv::Reader::from_reader(file))
}

fn not_csv(path: &Path) -> impl Fn(csv::Error) -> DatasetError {
    move |error| DatasetError::NotOfForm {
        path: path.to_owned(),
        form: "table of comma-separated values",
        problem: error.to_string(),
    }
}

/// A row by the names of its columns.
type Columns = Map<String, Value>;

/// The rows of a CSV file with their lines, a map of its columns each.
fn csv_rows(path: &Path) -> Result<impl Iterator<Item = Result<(u64, Columns), DatasetError>>, DatasetError> {
    let header = csv_header(path)?;
    let owned = path.to_owned();
    Ok(reader(path)?.into_records().map(move |record| {
        let record = record.map_err(not_csv(&owned))?;
        let line = record.position().map_or(0, csv::Position::line);
        let cells = header.iter().cloned().zip(record.iter().map(Value::from));
        Ok((line, cells.filter(|(_, value)| value != "").collect()))
    }))
}

/// Panda-70M: a row a video, with lists of Python, one entry a clip, in `timestamp` and `caption`.
pub(super) fn panda(path: &Path, limit: usize, contents: &mut Contents) -> Result<(), DatasetError> {
    let header = csv_header(path)?;
    if let Some(missing) =
        ["videoID", "timestamp", "caption"].iter().find(|name| !header.iter().any(|h| h == *name))
    {
        return Err(DatasetError::NotOfForm {
            path: path.to_owned(),
            form: DatasetForm::Panda70m.name(),
            problem: format!("it has no column `{missing}`, but {}", header.join(", ")),
        });
    }
    for row in csv_rows(path)? {
        let (line, row) = row?;
        if contents.tasks() >= limit {
            break;
        }
        let place = format!("line {line}");
        match panda_clips(&row) {
            Err(reason) => contents.pass_over(place, reason),
            Ok(clips) => {
                for (id, caption) in clips {
                    match caption {
                        Some(prompt) => {
                            contents.captioned.push(Captioned { id, prompt, ..Captioned::default() })
                        }
                        None => contents.pass_over(place.clone(), format!("clip `{id}` has no caption")),
                    }
                }
            }
        }
    }
    Ok(())
}

type PandaClip = (String, Option<String>);

fn panda_clips(row: &Map<String, Value>) -> Result<Vec<PandaClip>, String> {
    let list = |name: &str| {
        let text = row.get(name).and_then(Value::as_str).ok_or_else(|| format!("`{name}` is empty"))?;
        match python::literal(text) {
            Ok(Value::Array(items)) => Ok(items),
            Ok(_) => Err(format!("`{name}` is no list")),
            Err(problem) => Err(format!("`{name}` is no list of Python: {problem}")),
        }
    };
    let video = row.get("videoID").and_then(Value::as_str).ok_or("`videoID` is empty")?;
    let (times, captions) = (list("timestamp")?, list("caption")?);
    if times.len() != captions.len() {
        return Err(format!("{} timestamps for {} captions", times.len(), captions.len()));
    }
    let caption =
        |value: &Value| value.as_str().map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned);
    Ok(captions.iter().enumerate().map(|(i, text)| (format!("{video}_{i:05}"), caption(text))).collect())
}

/// VidGen-1M: an array of `{"vid", "caption"}`.
pub(super) fn vidgen(path: &Path, limit: usize, contents: &mut Contents) -> Result<(), DatasetError> {
    #[derive(Deserialize)]
    struct Row {
        vid: String,
        caption: String,
    }
    let bytes = squbed_files::read(path).map_err(|source| DatasetError::Io {
        operation: "read",
        path: path.to_owned(),
        source,
    })?;
    let rows: Vec<Row> = serde_json::from_slice(&bytes).map_err(|error| DatasetError::NotOfForm {
        path: path.to_owned(),
        form: DatasetForm::VidGen1m.name(),
        problem: error.to_string(),
    })?;
    for (i, row) in rows.into_iter().enumerate() {
        if contents.tasks() >= limit {
            break;
        }
        let prompt = row.caption.trim().to_owned();
        if prompt.is_empty() {
            contents.pass_over(format!("row {}", i + 1), format!("`{}` has no caption", row.vid));
        } else {
            // Some releases name the file, others the video.
            let id = row.vid.strip_suffix(".mp4").unwrap_or(&row.vid).to_owned();
            contents.captioned.push(Captioned { id, prompt, ..Captioned::default() });
        }
    }
    Ok(())
}

/// A prompt a line; or CSV with `prompt` and, where there are, `id`, `category`, `dataset` and `ground_truth`.
pub(super) fn list(path: &Path, limit: usize, contents: &mut Contents) -> Result<(), DatasetError> {
    if path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("csv")) {
        return csv_list(path, limit, contents);
    }
    let io = |source| DatasetError::Io { operation: "read", path: path.to_owned(), source };
    let file = std::io::BufReader::new(squbed_files::open(path).map_err(io)?);
    for (i, line) in file.lines().enumerate() {
        let line = line.map_err(io)?;
        let prompt = line.trim_start_matches('\u{feff}').trim();
        if contents.tasks() >= limit {
            break;
        }
        if !prompt.is_empty() {
            let id = format!("{:06}", i + 1);
            contents.captioned.push(Captioned { id, prompt: prompt.to_owned(), ..Captioned::default() });
        }
    }
    Ok(())
}

fn csv_list(path: &Path, limit: usize, contents: &mut Contents) -> Result<(), DatasetError> {
    let header = csv_header(path)?;
    if !header.iter().any(|name| CAPTIONS.contains(&name.as_str())) {
        return Err(DatasetError::NotOfForm {
            path: path.to_owned(),
            form: DatasetForm::List.name(),
            problem: format!("it has no column `prompt`, but {}", header.join(", ")),
        });
    }
    let folder = squbed_files::folder_of(path);
    for row in csv_rows(path)? {
        let (line, row) = row?;
        if contents.tasks() >= limit {
            break;
        }
        match first_text(&row, &CAPTIONS) {
            Some(prompt) if !prompt.is_empty() => contents.captioned.push(Captioned {
                id: first_text(&row, &["id"]).unwrap_or_else(|| format!("{line:06}")),
                prompt,
                category: first_text(&row, &["category"]),
                dataset: first_text(&row, &["dataset"]),
                video: first_text(&row, &["ground_truth", "video"]).map(|video| folder.join(video)),
            }),
            _ => contents.pass_over(format!("line {line}"), "it has no prompt"),
        }
    }
    Ok(())
}

/// A folder of videos with a table, as `datasets` has them.
pub(super) fn video_folder(folder: &Path, limit: usize, contents: &mut Contents) -> Result<(), DatasetError> {
    let Some(path) = metadata_of(folder) else {
        return Err(DatasetError::NotOfForm {
            path: folder.to_owned(),
            form: DatasetForm::VideoFolder.name(),
            problem: "it has no metadata.parquet, metadata.jsonl or metadata.csv; names of folders are classes, not prompts".to_owned(),
        });
    };
    for (place, row) in rows_of(&path)? {
        if contents.tasks() >= limit {
            break;
        }
        let wrong = |problem: String| DatasetError::Row { path: path.clone(), place: place.clone(), problem };
        let name = first_text(&row, &["file_name", "video_file_name"])
            .ok_or_else(|| wrong("it has no `file_name`".to_owned()))?;
        let video = below(folder, &name)
            .ok_or_else(|| wrong(format!("`{name}` leads out of the folder; a file_name lies below it")))?;
        if !video.is_file() {
            contents.pass_over(place, format!("{} is not there", video.display()));
            continue;
        }
        // Rows of this program's own exports hold more than these.
        if row.contains_key("task") && row.contains_key("kind") {
            let clip = serde_json::from_value(row.into()).map_err(|error| wrong(error.to_string()))?;
            contents.clips.push((clip, video));
            continue;
        }
        match first_text(&row, &CAPTIONS).filter(|prompt| !prompt.is_empty()) {
            Some(prompt) => contents.captioned.push(Captioned {
                id: first_text(&row, &["id"]).unwrap_or_else(|| stem_of(&name)),
                prompt,
                category: first_text(&row, &["category", "label"]),
                dataset: first_text(&row, &["dataset"]),
                video: Some(video),
            }),
            None => contents
                .pass_over(place, format!("`{name}` has no caption; looked for {}", CAPTIONS.join(", "))),
        }
    }
    Ok(())
}

fn rows_of(path: &Path) -> Result<Vec<(String, Columns)>, DatasetError> {
    let not =
        |problem: String| DatasetError::NotOfForm { path: path.to_owned(), form: "table of clips", problem };
    match path.extension().and_then(|ending| ending.to_str()) {
        Some("csv") => {
            csv_rows(path)?.map(|row| row.map(|(line, row)| (format!("line {line}"), row))).collect()
        }
        Some("jsonl") => {
            let rows: Vec<(usize, Map<String, Value>)> =
                squbed_store::read_json_lines(path, "a row is one object with `file_name` and a caption")
                    .map_err(|error| not(error.to_string()))?;
            Ok(rows.into_iter().map(|(line, row)| (format!("line {line}"), row)).collect())
        }
        _ => {
            let rows = squbed_store::read_rows(path).map_err(|error| not(error.to_string()))?;
            Ok(rows.into_iter().enumerate().map(|(i, row)| (format!("row {}", i + 1), row)).collect())
        }
    }
}

/// A path below a folder; `None` for one that leads out of it.
pub(super) fn below(folder: &Path, name: &str) -> Option<PathBuf> {
    let path = Path::new(name);
    let plain = path.components().all(|c| matches!(c, Component::Normal(_) | Component::CurDir));
    (plain && !name.is_empty()).then(|| folder.join(path))
}

/// The name of a file without ending and folders, as an id.
fn stem_of(name: &str) -> String {
    Path::new(name).with_extension("").to_string_lossy().replace(['/', '\\'], "_")
}
