//! Data sets of other programs, as tasks.

mod tables;
mod webdataset;

use std::{
    collections::{HashMap, HashSet},
    fs,
    path::{Path, PathBuf},
    str::FromStr,
};

use serde::Serialize;
use serde_json::{Map, Value};
use squbed_core::{LatentPrompt, Task};
use squbed_store::{ClipKind, ClipRow, VIDEO_EXTENSIONS};

use super::error::DatasetError;

/// A form in which data sets of videos are given away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum DatasetForm {
    /// Panda-70M's CSV: `videoID`, and lists of Python in `timestamp` and `caption`; each clip of a video is a task.
    #[serde(rename = "panda-70m")]
    Panda70m,
    /// VidGen-1M's JSON: an array of `{"vid", "caption"}`.
    #[serde(rename = "vidgen-1m")]
    VidGen1m,
    /// Tar archives of a video, its caption as `.txt` or `.json`, under one key.
    #[serde(rename = "webdataset")]
    WebDataset,
    /// A folder of videos with `metadata.csv`, `.jsonl` or `.parquet`.
    VideoFolder,
    /// A text file with a prompt a line, or CSV with a column `prompt`.
    List,
}

impl DatasetForm {
    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Panda70m => "panda-70m",
            Self::VidGen1m => "vidgen-1m",
            Self::WebDataset => "webdataset",
            Self::VideoFolder => "video-folder",
            Self::List => "list",
        }
    }

    /// The form of a file or folder, by its name and the first line of a CSV file.
    ///
    /// # Errors
    ///
    /// What has no known looks, or cannot be read.
    pub fn of(path: &Path) -> Result<Self, DatasetError> {
        if path.is_dir() {
            if metadata_of(path).is_some() {
                return Ok(Self::VideoFolder);
            }
            let tars = webdataset::shards(path)?;
            return if tars.is_empty() {
                Err(DatasetError::UnknownForm { path: path.to_owned() })
            } else {
                Ok(Self::WebDataset)
            };
        }
        let ending = path.extension().map(|e| e.to_string_lossy().to_ascii_lowercase());
        match ending.as_deref() {
            Some("tar") => Ok(Self::WebDataset),
            Some("json") => Ok(Self::VidGen1m),
            Some("txt") => Ok(Self::List),
            Some("csv") => {
                let header = tables::csv_header(path)?;
                Ok(if header.iter().any(|name| name == "videoID") { Self::Panda70m } else { Self::List })
            }
            _ => Err(DatasetError::UnknownForm { path: path.to_owned() }),
        }
    }
}

impl FromStr for DatasetForm {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let all = [Self::Panda70m, Self::VidGen1m, Self::WebDataset, Self::VideoFolder, Self::List];
        all.into_iter()
            .find(|form| form.name() == name)
            .ok_or_else(|| format!("there is no form `{name}`; known are {}", all.map(Self::name).join(", ")))
    }
}

/// How a data set is imported.
#[derive(Clone, Debug)]
pub struct ImportOptions<'a> {
    /// Its form.
    pub form: DatasetForm,
    /// The folder where the true videos are, by the tasks' ids; for WebDataset the one that they are unpacked to.
    pub videos: Option<&'a Path>,
    /// What tasks name as their data set, where the source does not say so.
    pub dataset: Option<&'a str>,
    /// Tasks at most, the first ones; all where not given.
    pub limit: Option<usize>,
}

/// What was imported.
#[derive(Clone, Debug)]
pub struct Imported {
    /// The tasks, in the order of the source.
    pub tasks: Vec<Task>,
    /// For the record.
    pub record: ImportRecord,
}

/// How an import went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ImportRecord {
    /// The form.
    pub form: DatasetForm,
    /// Tasks made.
    pub tasks: usize,
    /// Tasks with a true video.
    pub ground_truths: usize,
    /// Generated videos.
    pub generated: usize,
    /// Rows that make no task, with what is wrong with them.
    pub passed_over: Vec<PassedOver>,
}

/// A row that makes no task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PassedOver {
    /// Where it stands.
    pub place: String,
    /// Why.
    pub reason: String,
}

/// A prompt with the key of its video.
#[derive(Clone, Debug, Default)]
struct Captioned {
    id: String,
    prompt: String,
    category: Option<String>,
    dataset: Option<String>,
    video: Option<PathBuf>,
}

/// What a source holds.
#[derive(Debug, Default)]
struct Contents {
    captioned: Vec<Captioned>,
    /// Rows of an export of this program, with their videos' places.
    clips: Vec<(ClipRow, PathBuf)>,
    passed_over: Vec<PassedOver>,
}

impl Contents {
    fn pass_over(&mut self, place: String, reason: impl Into<String>) {
        self.passed_over.push(PassedOver { place, reason: reason.into() });
    }

    fn tasks(&self) -> usize {
        self.captioned.len()
    }
}

/// Reads a data set as tasks. What this program exported comes back with its latent prompts and generated videos; of
/// others, each captioned video is a task without latent prompts.
///
/// # Errors
///
/// A source that is not of its form, or holds no task.
pub fn import(source: &Path, options: &ImportOptions<'_>) -> Result<Imported, DatasetError> {
    let mut contents = Contents::default();
    let limit = options.limit.unwrap_or(usize::MAX);
    match options.form {
        DatasetForm::Panda70m => tables::panda(source, limit, &mut contents)?,
        DatasetForm::VidGen1m => tables::vidgen(source, limit, &mut contents)?,
        DatasetForm::List => tables::list(source, limit, &mut contents)?,
        DatasetForm::VideoFolder => tables::video_folder(source, limit, &mut contents)?,
        DatasetForm::WebDataset => webdataset::read(source, options.videos, limit, &mut contents)?,
    }
    let beside = match options.form {
        DatasetForm::WebDataset | DatasetForm::VideoFolder => None,
        _ => options.videos.map(by_stem).transpose()?,
    };
    let mut tasks = assembled(contents.clips)?;
    for row in contents.captioned {
        let found = beside.as_ref().map(|index| index.get(&row.id)).transpose()?.flatten();
        tasks.push(Task {
            id: row.id,
            prompt: row.prompt,
            dataset: row.dataset,
            category: row.category,
            ground_truth: row.video.or(found),
            latents: Vec::new(),
        });
    }
    tasks.truncate(limit);
    // What could not be read again is no task.
    let mut ids = HashSet::new();
    tasks.retain(|task| {
        let reason = match task.check() {
            Err(error) => error.to_string(),
            Ok(()) if ids.insert(task.id.clone()) => return true,
            Ok(()) => "the id is given twice".to_owned(),
        };
        contents.passed_over.push(PassedOver { place: format!("task {:?}", task.id), reason });
        false
    });
    if tasks.is_empty() {
        return Err(DatasetError::Empty { path: source.to_owned() });
    }
    for task in &mut tasks {
        if task.dataset.is_none() {
            task.dataset = options.dataset.map(str::to_owned);
        }
    }
    let record = ImportRecord {
        form: options.form,
        tasks: tasks.len(),
        ground_truths: tasks.iter().filter(|task| task.ground_truth.is_some()).count(),
        generated: tasks.iter().flat_map(|task| &task.latents).map(|latent| latent.videos.len()).sum(),
        passed_over: contents.passed_over,
    };
    Ok(Imported { tasks, record })
}

/// Tasks from the clips of an export.
fn assembled(clips: Vec<(ClipRow, PathBuf)>) -> Result<Vec<Task>, DatasetError> {
    let mut tasks: Vec<Task> = Vec::new();
    let mut index: HashMap<String, usize> = HashMap::new();
    for (row, video) in clips {
        let wrong = |problem: &str| DatasetError::Row {
            path: video.clone(),
            place: format!("task `{}`", row.task),
            problem: problem.to_owned(),
        };
        let at = *index.entry(row.task.clone()).or_insert_with(|| {
            tasks.push(Task {
                id: row.task.clone(),
                prompt: row.prompt.clone(),
                dataset: row.dataset.clone(),
                category: row.category.clone(),
                ground_truth: None,
                latents: Vec::new(),
            });
            tasks.len() - 1
        });
        let task = &mut tasks[at];
        match row.kind {
            ClipKind::GroundTruth if task.ground_truth.is_some() => {
                return Err(wrong("it has two true videos"));
            }
            ClipKind::GroundTruth => task.ground_truth = Some(video.clone()),
            ClipKind::Generated => {
                let (Some(latent), Some(prompt)) = (row.latent, &row.latent_prompt) else {
                    return Err(wrong("a generated video has no latent prompt"));
                };
                match (latent as usize).cmp(&task.latents.len()) {
                    std::cmp::Ordering::Greater => {
                        return Err(wrong(&format!("latent prompts before {latent} are missing")));
                    }
                    std::cmp::Ordering::Equal => {
                        task.latents.push(LatentPrompt { prompt: prompt.clone(), videos: Vec::new() });
                    }
                    std::cmp::Ordering::Less => {}
                }
                task.latents[latent as usize].videos.push(video.clone());
            }
        }
    }
    Ok(tasks)
}

/// Videos of a folder and its subfolders by their names without the ending.
struct ByStem(HashMap<String, Vec<PathBuf>>);

impl ByStem {
    fn get(&self, id: &str) -> Result<Option<PathBuf>, DatasetError> {
        match self.0.get(id).map(Vec::as_slice) {
            None | Some([]) => Ok(None),
            Some([one]) => Ok(Some(one.clone())),
            Some([first, second, ..]) => Err(DatasetError::TwoVideos {
                key: id.to_owned(),
                first: first.clone(),
                second: second.clone(),
            }),
        }
    }
}

fn by_stem(root: &Path) -> Result<ByStem, DatasetError> {
    let mut index: HashMap<String, Vec<PathBuf>> = HashMap::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for path in entries(&folder)? {
            // A link to a folder above would have no end.
            if path.is_dir() && !path.is_symlink() {
                folders.push(path);
            } else if is_video(&path)
                && let Some(stem) = path.file_stem()
            {
                index.entry(stem.to_string_lossy().into_owned()).or_default().push(path.clone());
            }
        }
    }
    Ok(ByStem(index))
}

/// What a folder holds, by name; names that begin with a dot are passed over.
fn entries(folder: &Path) -> Result<Vec<PathBuf>, DatasetError> {
    let io = |source| DatasetError::Io { operation: "read", path: folder.to_owned(), source };
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(io)? {
        let entry = entry.map_err(io)?;
        if !entry.file_name().to_string_lossy().starts_with('.') {
            found.push(entry.path());
        }
    }
    found.sort();
    Ok(found)
}

fn is_video(path: &Path) -> bool {
    let ending = path.extension().map(|e| e.to_string_lossy().to_ascii_lowercase());
    ending.is_some_and(|ending| VIDEO_EXTENSIONS.contains(&ending.as_str()))
}

/// The table of a folder of videos.
fn metadata_of(folder: &Path) -> Option<PathBuf> {
    ["parquet", "jsonl", "csv"]
        .map(|ending| folder.join(format!("metadata.{ending}")))
        .into_iter()
        .find(|path| path.is_file())
}

/// The first text among these names that a row has.
fn first_text(row: &Map<String, Value>, names: &[&str]) -> Option<String> {
    names.iter().find_map(|name| row.get(*name)?.as_str()).map(|text| text.trim().to_owned())
}

/// Names under which data sets keep captions, the likeliest first.
const CAPTIONS: [&str; 5] = ["prompt", "caption", "text", "description", "txt"];
