//! Tasks in a Parquet file.

use std::{
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};

use arrow_array::{ArrayRef, RecordBatch};
use parquet::{
    arrow::arrow_reader::{ArrowReaderMetadata, ParquetRecordBatchReaderBuilder},
    errors::ParquetError,
};
use squbed_core::{LatentPrompt, Task};

use crate::{
    columns::{self, Named, Texts},
    error::{Error, Place, Result},
};

const COLUMNS: [&str; 6] = ["id", "prompt", "dataset", "category", "ground_truth", "latents"];
const LATENTS: &str = "a list of structs of `prompt` (text) and `videos` (list of text)";

/// Whether a file begins as Parquet files do.
pub(super) fn is_parquet(path: &Path) -> Result<bool> {
    let mut start = Vec::new();
    let file = File::open(path).map_err(Error::io("open", path))?;
    file.take(4).read_to_end(&mut start).map_err(Error::io("read", path))?;
    Ok(start == b"PAR1")
}

/// The tasks, each with its row.
pub(super) fn read(path: &Path) -> Result<Vec<(Place, Task)>> {
    let file = File::open(path).map_err(Error::io("open", path))?;
    let metadata = columns::guarded(|| columns::open(&file)).map_err(Error::parquet(path))?;
    check_columns(path, &metadata)?;
    let batches = columns::guarded(|| read_batches(file, metadata)).map_err(Error::parquet(path))?;
    let mut tasks = Vec::new();
    for batch in batches {
        read_batch(path, &batch, &mut tasks)?;
    }
    Ok(tasks)
}

fn check_columns(path: &Path, metadata: &ArrowReaderMetadata) -> Result<()> {
    // pandas keeps an index in columns of such names.
    let known = |name: &str| COLUMNS.contains(&name) || name.starts_with("__");
    if let Some(field) = metadata.schema().fields().iter().find(|field| !known(field.name())) {
        return Err(Error::Column {
            path: path.to_owned(),
            column: field.name().clone(),
            expected: "one of id, prompt, dataset, category, ground_truth and latents",
            found: field.data_type().to_string(),
        });
    }
    match columns::unread_codec(metadata) {
        Some(codec) => Err(Error::Codec { path: path.to_owned(), codec }),
        None => Ok(()),
    }
}

fn read_batches(file: File, metadata: ArrowReaderMetadata) -> Result<Vec<RecordBatch>, ParquetError> {
    let reader = ParquetRecordBatchReaderBuilder::new_with_metadata(file, metadata).build()?;
    reader.map(|batch| Ok(batch?)).collect()
}

fn read_batch(path: &Path, batch: &RecordBatch, tasks: &mut Vec<(Place, Task)>) -> Result<()> {
    let column = |name| Named { path, name, array: batch.column_by_name(name) };
    let texts = |name| column(name).texts();
    let (ids, prompts) = (texts("id")?, texts("prompt")?);
    let (datasets, categories) = (texts("dataset")?, texts("category")?);
    let truths = texts("ground_truth")?;
    let lists = column("latents").lists(LATENTS)?;
    let latents = Latents::new(path, lists.items())?;
    let before = tasks.len();
    for i in 0..batch.num_rows() {
        let place = Place::Row { path: path.to_owned(), row: before + i + 1 };
        let owned = |texts: &Texts<'_>| texts.get(i).map(str::to_owned);
        let task = Task {
            id: required(&place, "id", owned(&ids))?,
            prompt: required(&place, "prompt", owned(&prompts))?,
            dataset: owned(&datasets),
            category: owned(&categories),
            ground_truth: owned(&truths).map(PathBuf::from),
            latents: lists.range(i).map(|j| latents.get(&place, j)).collect::<Result<_>>()?,
        };
        tasks.push((place, task));
    }
    Ok(())
}

fn required(place: &Place, column: &str, text: Option<String>) -> Result<String> {
    text.ok_or_else(|| Error::Null { place: place.clone(), column: column.to_owned() })
}

/// The items of the lists in the column `latents`.
struct Latents<'a> {
    prompts: Texts<'a>,
    videos: columns::Lists<'a>,
    paths: Texts<'a>,
}

impl<'a> Latents<'a> {
    fn new(path: &'a Path, items: Option<&'a ArrayRef>) -> Result<Self> {
        let structs = Named { path, name: "latents.item", array: items }.structs(LATENTS)?;
        let column = |name, field| Named { path, name, array: structs.and_then(|s| s.column_by_name(field)) };
        let videos = column("latents.videos", "videos").lists("a list of text")?;
        let paths = Named { path, name: "latents.videos.item", array: videos.items() }.texts()?;
        Ok(Self { prompts: column("latents.prompt", "prompt").texts()?, videos, paths })
    }

    fn get(&self, place: &Place, item: usize) -> Result<LatentPrompt> {
        let path =
            |i| required(place, "latents.videos", self.paths.get(i).map(str::to_owned)).map(PathBuf::from);
        Ok(LatentPrompt {
            prompt: required(place, "latents.prompt", self.prompts.get(item).map(str::to_owned))?,
            videos: self.videos.range(item).map(path).collect::<Result<_>>()?,
        })
    }
}
