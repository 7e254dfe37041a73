//! Lists of tasks: JSON Lines, Parquet or a folder tree.

mod folder;
mod parquet;
mod paths;

use std::{
    collections::HashMap,
    fs,
    io::Read,
    path::{Path, PathBuf},
};

use squbed_core::{LatentPrompt, Task};

use crate::{
    error::{Error, Place, Result},
    jsonl,
};
pub use folder::{VIDEO_EXTENSIONS, natural_order};
use paths::Base;

/// Bytes of a file by which its form is told.
const SNIFFED: u64 = 4096;

const REMEDY: &str = "a row is one object {\"id\", \"prompt\", \"dataset\"?, \"category\"?, \
                      \"ground_truth\"?, \"latents\": [{\"prompt\", \"videos\": [path]}]}";

/// The list of a data set in its folder.
const LIST: &str = "tasks.jsonl";

/// Reads tasks from a JSON Lines file, a Parquet file (known by its first bytes) or a folder: its `tasks.jsonl`
/// where it has one, else a folder tree.
///
/// JSON Lines and Parquet have one task a row, with the fields of [`Task`]; in Parquet `latents` is a
/// list of structs of `prompt` and a list `videos`. Relative paths are resolved against the file's
/// folder. A folder tree has the layout
///
/// ```text
/// <task>/prompt.txt
/// <task>/ground_truth.mp4                 where there is one
/// <task>/<latent>/prompt.txt
/// <task>/<latent>/*.mp4                   or <task>/<latent>/videos/*.mp4
/// ```
///
/// where the folder's name is the task's id, and names are in natural order (`latent_2` before
/// `latent_10`); mkv, mov, webm and avi count as videos as well. Names that begin with a dot are passed over.
///
/// # Errors
///
/// No task, an id given twice, an id that is empty or cannot name a file, an empty prompt or path, a video twice in one
/// latent prompt, an unknown field, a wrong type: each with file and row.
pub fn read_tasks(path: &Path) -> Result<Vec<Task>> {
    let metadata = fs::metadata(path).map_err(Error::io("read", path))?;
    let listed = path.join(LIST);
    if metadata.is_dir() && listed.is_file() {
        return read_tasks(&listed);
    }
    let tasks = if metadata.is_dir() {
        if path.join("world.json").is_file() {
            return Err(Error::UnfinishedWorld { path: path.to_owned() });
        }
        folder::read(path)?
    } else {
        let rows = if parquet::is_parquet(path)? { parquet::read(path)? } else { read_lines(path)? };
        // An empty path would become the folder of the list, which is a video where pictures lie in it.
        each(&rows)?;
        let base = Base::new(squbed_files::folder_of(path));
        rows.into_iter().map(|(place, task)| (place, map_paths(task, |p| base.resolve(&p)))).collect()
    };
    check(path, tasks)
}

/// The form of a file that is no JSON Lines, and how to make it so; `None` where it may be.
fn other_form(start: &[u8]) -> Option<(&'static str, &'static str)> {
    let lacks_utf8_bom = start.strip_prefix(b"\xef\xbb\xbf").unwrap_or(start);
    let text = lacks_utf8_bom.trim_ascii_start();
    let line = text.split(|&byte| byte == b'\n').next().unwrap_or_default();
    Some(match text {
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] | [0, _, ..] | [_, 0, ..] => (
            "UTF-16 text",
            "save it as UTF-8, for example with `iconv -f UTF-16 -t UTF-8 FILE > tasks.jsonl`",
        ),
        [b'P', b'K', 3, 4, ..] => (
            "a zip archive, as spreadsheets are",
            "export its rows, and write each as a JSON object on a line of its own",
        ),
        [0x1f, 0x8b, ..] => ("compressed with gzip", "unpack it with `gunzip`"),
        [b'[', ..] => (
            "one JSON array",
            "write each of its tasks on a line of its own: `jq -c '.[]' FILE > tasks.jsonl`",
        ),
        [b'{', ..] => return None,
        _ if line.contains(&b'\t') => ("a table separated by tabs", TABLE),
        _ if line.contains(&b',') || line.contains(&b';') => ("a CSV table", TABLE),
        _ => return None,
    })
}

const TABLE: &str = "write each row as a JSON object on a line of its own, with its latent prompts as a list; \
                     `squbed dataset import` reads tables of prompts";

fn read_lines(path: &Path) -> Result<Vec<(Place, Task)>> {
    let mut start = Vec::new();
    let file = fs::File::open(path).map_err(Error::io("open", path))?;
    file.take(SNIFFED).read_to_end(&mut start).map_err(Error::io("read", path))?;
    if let Some((form, remedy)) = other_form(&start) {
        return Err(Error::NotJsonLines { path: path.to_owned(), form, remedy });
    }
    let rows = jsonl::read_json_lines(path, REMEDY)?;
    Ok(rows.into_iter().map(|(line, task)| (Place::Line { path: path.to_owned(), line }, task)).collect())
}

/// Writes tasks as JSON Lines; the file appears whole or not at all.
///
/// Paths are written relative to the file's folder, so that both can be moved together: without `..`
/// where they lie under it, with `..` where they share at least the first folder below the root, else
/// absolute.
pub fn write_tasks(path: &Path, tasks: &[Task]) -> Result<()> {
    let folder = squbed_files::folder_of(path);
    fs::create_dir_all(folder).map_err(Error::io("make the folder", folder))?;
    let base = Base::new(folder);
    let rows = tasks
        .iter()
        .map(|task| {
            let mut problem = None;
            let task = map_paths(task.clone(), |p| {
                base.relative(&p).unwrap_or_else(|error| {
                    problem.get_or_insert(error);
                    p
                })
            });
            problem.map_or(Ok(task), Err)
        })
        .collect::<Result<Vec<Task>>>()?;
    jsonl::write_json_lines(path, &rows)
}

fn map_paths(task: Task, mut map: impl FnMut(PathBuf) -> PathBuf) -> Task {
    let ground_truth = task.ground_truth.map(&mut map);
    let latents = task
        .latents
        .into_iter()
        .map(|z| LatentPrompt { videos: z.videos.into_iter().map(&mut map).collect(), ..z })
        .collect();
    Task { ground_truth, latents, ..task }
}

/// Checks each task by itself.
fn each(tasks: &[(Place, Task)]) -> Result<()> {
    let check = |(place, task): &(Place, Task)| {
        task.check().map_err(|source| Error::Task { place: place.clone(), source })
    };
    tasks.iter().try_for_each(check)
}

/// Checks each task by itself and that ids differ.
fn check(path: &Path, tasks: Vec<(Place, Task)>) -> Result<Vec<Task>> {
    if tasks.is_empty() {
        return Err(Error::NoTasks { path: path.to_owned() });
    }
    each(&tasks)?;
    let mut first: HashMap<&str, &Place> = HashMap::new();
    for (place, task) in &tasks {
        if let Some(first) = first.insert(&task.id, place) {
            let (first, second) = (first.clone(), place.clone());
            return Err(Error::DuplicateId { id: task.id.clone(), first, second });
        }
    }
    Ok(tasks.into_iter().map(|(_, task)| task).collect())
}
