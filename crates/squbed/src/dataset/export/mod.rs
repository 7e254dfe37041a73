//! Tasks with their videos, as data sets that other programs load.

mod card;
mod webdataset;

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    fs,
    path::{Path, PathBuf},
    str::FromStr,
};

use serde::Serialize;
use squbed_core::Task;
use squbed_generate::video::{Ledger, LedgerRow, Outcome, ProduceError};
use squbed_store::{ClipKind, ClipRow, digest_file};

use super::{DatasetError, DatasetForm};
use crate::{error::Result, progress::Progress, results::MethodInForce};

/// How a data set is exported.
#[derive(Clone, Debug)]
pub struct ExportOptions<'a> {
    /// Tar archives, or a folder of videos with a Parquet table.
    pub form: ExportForm,
    /// An empty or new folder.
    pub out: &'a Path,
    /// Name of the data set.
    pub name: &'a str,
    /// Licence of the videos and prompts, as the card states it.
    pub licence: &'a str,
    /// Clips of one archive.
    pub clips_per_shard: usize,
    /// Estimates of these tasks, whose encoders the card names.
    pub methods: Vec<MethodInForce>,
}

/// The forms of an export.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExportForm {
    /// WebDataset's tar archives.
    WebDataset,
    /// The Hugging Face hub's VideoFolder.
    VideoFolder,
}

impl FromStr for ExportForm {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let all = [Self::WebDataset, Self::VideoFolder];
        all.into_iter().find(|form| form.form().name() == name).ok_or_else(|| {
            format!(
                "there is no export as `{name}`; known are {}",
                all.map(|form| form.form().name()).join(", ")
            )
        })
    }
}

impl ExportForm {
    fn form(self) -> DatasetForm {
        match self {
            Self::WebDataset => DatasetForm::WebDataset,
            Self::VideoFolder => DatasetForm::VideoFolder,
        }
    }
}

/// What was exported.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Exported {
    /// The form.
    pub form: DatasetForm,
    /// Tasks.
    pub tasks: usize,
    /// True videos.
    pub ground_truths: usize,
    /// Generated videos.
    pub generated: usize,
    /// Bytes of all videos.
    pub bytes: u64,
    /// Archives; none of a folder.
    pub shards: usize,
    /// What generated the videos, with their numbers, as ledgers say.
    pub models: BTreeMap<String, usize>,
}

/// A clip on its way.
struct Clip<'a> {
    from: &'a Path,
    row: ClipRow,
    bytes: u64,
}

/// Writes tasks as a data set with its card. Clips keep their bytes, and their digests stand beside them; their names say
/// nothing but their order, since readers take words such as “test” in them for parts of the data set.
///
/// # Errors
///
/// A folder that holds something already; tasks without videos; a video that cannot be read; a ledger that is none.
pub fn export(tasks: &[Task], options: &ExportOptions<'_>, progress: &dyn Progress) -> Result<Exported> {
    let held = fs::read_dir(options.out).is_ok_and(|mut entries| entries.next().is_some());
    if held {
        return Err(DatasetError::NotEmpty { path: options.out.to_owned() }.into());
    }
    let mut clips = clips(tasks, progress)?;
    if clips.is_empty() {
        return Err(DatasetError::NoVideos.into());
    }
    let shards = match options.form {
        ExportForm::WebDataset => webdataset::write(&mut clips, options, progress)?,
        ExportForm::VideoFolder => {
            write_folder(&clips, options, progress)?;
            0
        }
    };
    let count = |kind| clips.iter().filter(|clip| clip.row.kind == kind).count();
    let mut models = BTreeMap::new();
    for model in clips.iter().filter_map(|clip| clip.row.model.as_ref()) {
        *models.entry(model.clone()).or_default() += 1;
    }
    let exported = Exported {
        form: options.form.form(),
        tasks: tasks.len(),
        ground_truths: count(ClipKind::GroundTruth),
        generated: count(ClipKind::Generated),
        bytes: clips.iter().map(|clip| clip.bytes).sum(),
        shards,
        models,
    };
    let card = card::card(tasks, options, &exported);
    write(&options.out.join("README.md"), card.as_bytes())?;
    Ok(exported)
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), DatasetError> {
    squbed_files::write(path, bytes).map_err(|source| DatasetError::Io {
        operation: "write",
        path: path.to_owned(),
        source,
    })
}

/// Every clip of the tasks, the true one of a task first, with digests and what ledgers say of them.
fn clips<'a>(tasks: &'a [Task], progress: &dyn Progress) -> Result<Vec<Clip<'a>>> {
    let paths = crate::run::video_paths(tasks);
    let ledgers = ledgers(&paths)?;
    progress.begin("digest videos", paths.len() as u64, "clips");
    let mut clips = Vec::new();
    for (t, task) in tasks.iter().enumerate() {
        let of_task = |file: String| ClipRow {
            file_name: format!("data/{t:06}/{file}"),
            task: task.id.clone(),
            prompt: task.prompt.clone(),
            dataset: task.dataset.clone(),
            category: task.category.clone(),
            ..ClipRow::default()
        };
        let truth = task.ground_truth.iter().map(|path| {
            let row = of_task(format!("truth.{}", ending_of(path)));
            (path.as_path(), ClipRow { kind: ClipKind::GroundTruth, ..row })
        });
        let generated = task.latents.iter().enumerate().flat_map(|(l, latent)| {
            latent.videos.iter().enumerate().map(move |(s, path)| {
                let row = ClipRow {
                    kind: ClipKind::Generated,
                    latent: Some(l as u32),
                    latent_prompt: Some(latent.prompt.clone()),
                    sample: Some(s as u32),
                    ..of_task(format!("{l:03}/{s:03}.{}", ending_of(path)))
                };
                (path.as_path(), row)
            })
        });
        for (from, mut row) in truth.chain(generated) {
            row.digest = digest_file(from)?;
            if let Some(made) = ledgers.get(&row.digest) {
                row.model = Some(made.model.clone());
                row.seed = Some(made.seed);
            }
            let bytes = fs::metadata(from)
                .map_err(|source| DatasetError::Io { operation: "read", path: from.to_owned(), source })?
                .len();
            clips.push(Clip { from, row, bytes });
            progress.advance(1);
        }
    }
    progress.end();
    Ok(clips)
}

/// The rows of the ledgers that lie beside the videos or up to three folders above, by the clips' digests.
fn ledgers(paths: &[&Path]) -> Result<HashMap<String, LedgerRow>> {
    let folders: HashSet<PathBuf> =
        paths.iter().flat_map(|path| path.ancestors().skip(1).take(4)).map(Path::to_owned).collect();
    let mut rows = HashMap::new();
    for folder in folders {
        for row in Ledger::read(&folder).map_err(ProduceError::from)? {
            if let Outcome::Made { digest, .. } = &row.outcome {
                rows.insert(digest.clone(), row);
            }
        }
    }
    Ok(rows)
}

fn ending_of(path: &Path) -> String {
    let ending = path.extension().map(|ending| ending.to_string_lossy().to_ascii_lowercase());
    ending.unwrap_or_else(|| "mp4".to_owned())
}

fn write_folder(clips: &[Clip<'_>], options: &ExportOptions<'_>, progress: &dyn Progress) -> Result<()> {
    progress.begin("copy videos", clips.len() as u64, "clips");
    for clip in clips {
        let target = options.out.join(&clip.row.file_name);
        let copied = squbed_files::open(clip.from).and_then(|mut from| {
            squbed_files::write_with(&target, |out| std::io::copy(&mut from, out).map(drop))
        });
        copied.map_err(|source| DatasetError::Io { operation: "copy to", path: target, source })?;
        progress.advance(1);
    }
    progress.end();
    let rows: Vec<ClipRow> = clips.iter().map(|clip| clip.row.clone()).collect();
    // Last, so that a folder with a table is a whole one.
    squbed_store::write_clips(&options.out.join("metadata.parquet"), &rows)?;
    Ok(())
}
