//! Brings a model's files to this machine, verified, whole or not at all.
//!
//! ```text
//! <home>/models/
//!   .NAME.lock        held by the process that fetches NAME
//!   .NAME.partial/    what has been received; survives a failure, so that a download resumes
//!     stage/          the files to be, verified and converted; renamed to NAME at the end. Of a failed fetch
//!                     those that a digest vouches for stay.
//!     earlier/        the stage of a failed fetch, while the next one takes over what it holds
//!   NAME/             the model
//! ```

mod archive;
mod error;
mod folder;
mod http;
mod hub;
mod pypi;
mod receive;

use std::{
    ffi::OsString,
    fs::{self, File},
    path::{Path, PathBuf},
    time::Duration,
};

pub use error::{SourceError, SourceFailure};
pub use hub::hub_cache;

use crate::{
    checkpoint::{numpy_pickle, torch},
    digest::Digest,
    error::Error,
    manifest::{Conversion, Manifest, ModelFile, Origin, Source},
};
use receive::{Expected, sync_folder, write_synced};

/// How a model is fetched.
#[derive(Clone, Debug)]
pub struct FetchOptions {
    /// A folder that holds the files or the archive they come in, or that archive; if given, no other source is
    /// tried.
    pub from: Option<PathBuf>,
    /// Fetch even where the model is complete.
    pub force: bool,
    /// Leave the network alone; what this machine already holds, the hub's cache included, is still used.
    pub offline: bool,
    /// Leave the hub alone; by default what `HF_HUB_OFFLINE` says.
    pub hub_offline: bool,
    /// How long a connection may take before a source counts as unreachable.
    pub connect_timeout: Duration,
    /// How long a connection may stay silent.
    pub read_timeout: Duration,
    /// Base URL of the hub, instead of `HF_ENDPOINT` or its own default.
    pub hub_endpoint: Option<String>,
    /// The hub's cache on this machine, instead of `HF_HUB_CACHE` or its default.
    pub hub_cache: Option<PathBuf>,
    /// The Python whose pip is asked, instead of `$PYTHON`, `python3` or `python`.
    pub python: Option<PathBuf>,
    /// Variables added to pip's environment, e.g. `PIP_FIND_LINKS`.
    pub pip_environment: Vec<(OsString, OsString)>,
}

impl Default for FetchOptions {
    fn default() -> Self {
        Self {
            from: None,
            force: false,
            offline: false,
            hub_offline: std::env::var("HF_HUB_OFFLINE").is_ok_and(|value| is_true(&value)),
            connect_timeout: Duration::from_secs(5),
            read_timeout: Duration::from_secs(30),
            hub_endpoint: None,
            hub_cache: None,
            python: None,
            pip_environment: Vec::new(),
        }
    }
}

/// The words that the hub's own tools take for "yes".
fn is_true(value: &str) -> bool {
    matches!(value.to_ascii_lowercase().as_str(), "1" | "on" | "yes" | "true")
}

/// What a fetch is doing.
#[derive(Debug)]
#[non_exhaustive]
pub enum Progress<'a> {
    /// Another process fetches the same model; this one waits for it.
    Waiting,
    /// A source is tried.
    Trying {
        /// The source, in words.
        source: &'a str,
    },
    /// Bytes have come.
    Bytes {
        /// The file.
        file: &'a str,
        /// Bytes so far.
        done: u64,
        /// Bytes in all, where known.
        total: Option<u64>,
    },
    /// A file is converted.
    Converting {
        /// The file to be.
        file: &'a str,
    },
    /// A source failed; the next one is tried.
    Failed {
        /// The source, in words.
        source: &'a str,
        /// Why.
        error: &'a SourceError,
    },
}

/// What a fetch did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fetched {
    /// The model was complete already.
    Present,
    /// It came from here: a source, or several that gave some of its files each.
    From(String),
}

/// A file as a source holds it.
struct Wanted<'m> {
    file: &'m ModelFile,
    /// Path within the source.
    path: &'m str,
    digest: &'m Digest,
    size: Option<u64>,
    /// How it becomes the model's file, if it is not that file already.
    convert: Option<Conversion>,
}

impl<'m> Wanted<'m> {
    fn of(file: &'m ModelFile) -> Self {
        match &file.raw {
            Some(raw) => {
                let convert = Some(raw.convert);
                Self { file, path: &raw.path, digest: &raw.sha256, size: raw.size, convert }
            }
            None => Self::finished(file),
        }
    }

    /// The file as it will lie in the model's folder, already converted.
    fn finished(file: &'m ModelFile) -> Self {
        Self { file, path: &file.path, digest: &file.sha256, size: file.size, convert: None }
    }

    fn expected(&self) -> Expected<'m> {
        Expected { file: self.path, digest: self.digest, size: self.size }
    }
}

/// What a source works with.
struct Job<'a> {
    manifest: &'a Manifest,
    options: &'a FetchOptions,
    /// `.NAME.partial`.
    partial: PathBuf,
    progress: &'a mut dyn FnMut(Progress<'_>),
}

impl<'a> Job<'a> {
    /// Where the finished files gather.
    fn stage(&self) -> PathBuf {
        self.partial.join("stage")
    }

    /// Lays the stage with what need not come again, and tells which files have to come.
    fn begin(&self, models: &Path) -> Result<Vec<&'a ModelFile>, Error> {
        let (stage, earlier) = (self.stage(), self.partial.join("earlier"));
        if earlier.exists() {
            fs::remove_dir_all(&earlier).map_err(Error::io("remove", &earlier))?;
        }
        if stage.exists() {
            fs::rename(&stage, &earlier).map_err(Error::io("rename", &stage))?;
        }
        fs::create_dir_all(&stage).map_err(Error::io("create", &stage))?;
        let mut missing = Vec::new();
        for file in &self.manifest.files {
            let place = |folder: &Path| {
                let path = folder.join(&file.path);
                Wanted::finished(file).expected().check_file(&path).is_ok().then_some(path)
            };
            // Without a digest nothing tells what an earlier fetch may have left of another source.
            let earlier = if file.is_pinned() { place(&earlier) } else { None };
            let here = if self.options.force { None } else { place(&models.join(&self.manifest.name)) };
            let Some(from) = earlier.or(here) else {
                missing.push(file);
                continue;
            };
            let to = stage.join(&file.path);
            to.parent().map_or(Ok(()), fs::create_dir_all).map_err(Error::io("create", &to))?;
            let linked = fs::hard_link(&from, &to).or_else(|_| fs::copy(&from, &to).map(drop));
            linked.map_err(Error::io("copy", &from))?;
        }
        let _ = fs::remove_dir_all(&earlier);
        Ok(missing)
    }

    /// Leaves of the stage what a later fetch can use, and no empty folder. Gives the missing files that are not
    /// among it, by their paths in the sources.
    fn give_up(&self, missing: &[&ModelFile]) -> Vec<String> {
        let stage = self.stage();
        let there = |file: &ModelFile| stage.join(&file.path).is_file();
        for file in self.manifest.files.iter().filter(|file| !file.is_pinned() && there(file)) {
            // A later fetch begins a stage of its own in any case.
            let _ = fs::remove_file(stage.join(&file.path));
        }
        let left = missing.iter().filter(|file| !there(file)).map(|file| Wanted::of(file).path.to_owned());
        let left = left.collect();
        if !self.manifest.files.iter().any(there) {
            let _ = fs::remove_dir_all(&stage);
        }
        let _ = fs::remove_dir(&self.partial);
        left
    }

    /// A place below `.NAME.partial` for what is received as `path`.
    fn download(&self, path: &str) -> PathBuf {
        self.partial.join(path.replace('/', "__"))
    }

    /// Takes a received and verified file into the stage, converting it if the manifest says so. What cannot
    /// be taken is removed, so that a full disk does not stay full.
    fn accept(&mut self, wanted: &Wanted<'_>, received: &Path) -> Result<(), SourceError> {
        self.take(wanted, received).inspect_err(|_| {
            let _ = fs::remove_file(received);
        })
    }

    fn take(&mut self, wanted: &Wanted<'_>, received: &Path) -> Result<(), SourceError> {
        let staged = self.stage().join(&wanted.file.path);
        if let Some(parent) = staged.parent() {
            fs::create_dir_all(parent).map_err(SourceError::io("create", parent))?;
        }
        match wanted.convert {
            Some(conversion) => {
                (self.progress)(Progress::Converting { file: &wanted.file.path });
                let bytes = fs::read(received).map_err(SourceError::io("read", received))?;
                let converted = match conversion {
                    Conversion::I3dJax => numpy_pickle(&bytes),
                    Conversion::Torch => torch(&bytes),
                };
                let converted = converted
                    .map_err(|source| SourceError::Convert { file: wanted.path.to_owned(), source })?
                    .bytes;
                Wanted::finished(wanted.file).expected().check_bytes(&converted)?;
                write_synced(&staged, &converted)?;
                fs::remove_file(received).map_err(SourceError::io("remove", received))
            }
            None => fs::rename(received, &staged).map_err(SourceError::io("rename", received)),
        }
    }
}

/// Fetches a model into `models/NAME`, trying the manifest's sources in their order until each file has come. What
/// lies there already, as the manifest promises, stays. `origin` is the folder of the manifest, where relative
/// folders of its sources start.
pub(crate) fn fetch(
    manifest: &Manifest,
    models: &Path,
    origin: Option<&Path>,
    options: &FetchOptions,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<Fetched, Error> {
    let complete = || {
        let place = models.join(&manifest.name);
        let here = |file| Wanted::finished(file).expected().check_file(&place.join(&file.path)).is_ok();
        !options.force && manifest.files.iter().all(here)
    };
    if complete() {
        return Ok(Fetched::Present);
    }
    fs::create_dir_all(models).map_err(Error::io("create", models))?;
    let _lock = lock(&models.join(format!(".{}.lock", manifest.name)), progress)?;
    // Another process may have fetched it meanwhile.
    if complete() {
        return Ok(Fetched::Present);
    }

    // Relative to where the user is, unlike a folder that a manifest names.
    let given = options.from.as_deref().map(std::path::absolute).transpose();
    let given = given.map_err(Error::io("find", options.from.clone().unwrap_or_default()))?;
    let given = given.map(|path| Source { files: Vec::new(), origin: Origin::Folder { path } });
    let sources = given.as_ref().map_or(manifest.sources.as_slice(), std::slice::from_ref);
    let partial = models.join(format!(".{}.partial", manifest.name));
    let mut job = Job { manifest, options, partial, progress };
    let (mut came_from, mut failures) = (Vec::new(), Vec::new());
    let mut missing = job.begin(models)?;
    for (i, source) in sources.iter().enumerate() {
        let (files, others): (Vec<_>, Vec<_>) = missing.iter().copied().partition(|file| source.gives(file));
        if files.is_empty() {
            continue;
        }
        let description = source.describe();
        (job.progress)(Progress::Trying { source: &description });
        match gather(&mut job, &files, &source.origin, origin) {
            Ok(()) => {
                missing = others;
                came_from.push(description);
            }
            Err(error) => {
                (job.progress)(Progress::Failed { source: &description, error: &error });
                failures.push(SourceFailure { source: description, error });
                // Of what none of the others gives, nothing that they give can make a model.
                if files.iter().any(|file| !sources[i + 1..].iter().any(|source| source.gives(file))) {
                    break;
                }
            }
        }
    }
    if missing.is_empty() {
        let source =
            if came_from.is_empty() { "an earlier fetch".to_owned() } else { came_from.join(" and ") };
        match install(&job.stage(), models, &manifest.name) {
            Ok(()) => {
                // The model stands; what is left of the download is only in the way.
                let _ = fs::remove_dir_all(&job.partial);
                return Ok(Fetched::From(source));
            }
            Err(error) => failures.push(SourceFailure { source, error }),
        }
    }
    let missing = job.give_up(&missing);
    let model = manifest.name.clone();
    match (given.map(|given| given.origin), failures.pop()) {
        (Some(Origin::Folder { path }), Some(SourceFailure { error: failure, .. })) => {
            let sources = manifest.sources.iter().map(Source::describe).collect::<Vec<_>>().join(", ");
            Err(Error::FetchFrom { model, place: path, failure, sources })
        }
        (_, last) => {
            failures.extend(last);
            Err(Error::Fetch { model, failures, missing })
        }
    }
}

fn gather(
    job: &mut Job<'_>,
    files: &[&ModelFile],
    source: &Origin,
    origin: Option<&Path>,
) -> Result<(), SourceError> {
    match source {
        Origin::Folder { path } => {
            let path = squbed_files::expand_home(path);
            let path = origin.map_or_else(|| path.clone(), |origin| origin.join(&path));
            folder::gather(job, files, &path)
        }
        Origin::Hub { repo, revision } => hub::gather(job, files, repo, revision),
        Origin::Pypi { .. } => pypi::gather(job, files, source),
        Origin::Url { url } => http::gather(job, files, url),
    }
}

/// Puts the stage in the model's place by renaming.
fn install(stage: &Path, models: &Path, name: &str) -> Result<(), SourceError> {
    let place = models.join(name);
    let old = models.join(format!(".{name}.old"));
    if old.exists() {
        fs::remove_dir_all(&old).map_err(SourceError::io("remove", &old))?;
    }
    if place.exists() {
        fs::rename(&place, &old).map_err(SourceError::io("rename", &place))?;
    }
    fs::rename(stage, &place).map_err(SourceError::io("rename", stage))?;
    sync_folder(models)?;
    let _ = fs::remove_dir_all(&old);
    Ok(())
}

fn lock(path: &Path, progress: &mut dyn FnMut(Progress<'_>)) -> Result<File, Error> {
    let file = File::create(path).map_err(Error::io("create", path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(fs::TryLockError::WouldBlock) => {
            progress(Progress::Waiting);
            file.lock().map_err(Error::io("lock", path))?;
            Ok(file)
        }
        Err(fs::TryLockError::Error(source)) => Err(Error::io("lock", path)(source)),
    }
}
