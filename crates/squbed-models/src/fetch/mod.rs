//! Brings a model's files to this machine, verified, whole or not at all.
//!
//! ```text
//! <home>/models/
//!   .NAME.lock        held by the process that fetches NAME
//!   .NAME.partial/    what has been received; survives a failure, so that a download resumes
//!     stage/          the files to be, verified and converted; renamed to NAME at the end
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
    manifest::{Conversion, Manifest, ModelFile, Source},
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
    /// It came from this source.
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

impl Job<'_> {
    /// Where the finished files gather.
    fn stage(&self) -> PathBuf {
        self.partial.join("stage")
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

/// Fetches a model into `models/NAME`, trying the manifest's sources in their order. `complete` tells
/// whether the model lies there, verified; it is asked again once the lock is held. `origin` is the
/// folder of the manifest, where relative folders of its sources start.
pub(crate) fn fetch(
    manifest: &Manifest,
    models: &Path,
    origin: Option<&Path>,
    options: &FetchOptions,
    complete: &dyn Fn() -> bool,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<Fetched, Error> {
    if !options.force && complete() {
        return Ok(Fetched::Present);
    }
    fs::create_dir_all(models).map_err(Error::io("create", models))?;
    let _lock = lock(&models.join(format!(".{}.lock", manifest.name)), progress)?;
    if !options.force && complete() {
        return Ok(Fetched::Present);
    }

    // Relative to where the user is, unlike a folder that a manifest names.
    let given = options.from.as_deref().map(std::path::absolute).transpose();
    let given = given.map_err(Error::io("find", options.from.clone().unwrap_or_default()))?;
    let given = given.map(|path| Source::Folder { path });
    let sources = given.as_ref().map_or(manifest.sources.as_slice(), std::slice::from_ref);
    let partial = models.join(format!(".{}.partial", manifest.name));
    let mut failures = Vec::new();
    for source in sources {
        let description = source.describe();
        progress(Progress::Trying { source: &description });
        let mut job = Job { manifest, options, partial: partial.clone(), progress };
        match gather(&mut job, source, origin).and_then(|()| install(&job.stage(), models, &manifest.name)) {
            Ok(()) => {
                // The model stands; what is left of the download is only in the way.
                let _ = fs::remove_dir_all(&partial);
                return Ok(Fetched::From(description));
            }
            Err(error) => {
                let _ = fs::remove_dir_all(job.stage());
                progress(Progress::Failed { source: &description, error: &error });
                failures.push(SourceFailure { source: description, error });
            }
        }
    }
    // An empty folder is of no use to a later attempt; one with a partial download stays.
    let _ = fs::remove_dir(&partial);
    let model = manifest.name.clone();
    match (given, failures.pop()) {
        (Some(Source::Folder { path }), Some(SourceFailure { error: failure, .. })) => {
            let sources = manifest.sources.iter().map(Source::describe).collect::<Vec<_>>().join(", ");
            Err(Error::FetchFrom { model, place: path, failure, sources })
        }
        (_, last) => {
            failures.extend(last);
            Err(Error::Fetch { model, failures })
        }
    }
}

fn gather(job: &mut Job<'_>, source: &Source, origin: Option<&Path>) -> Result<(), SourceError> {
    let stage = job.stage();
    if stage.exists() {
        fs::remove_dir_all(&stage).map_err(SourceError::io("remove", &stage))?;
    }
    fs::create_dir_all(&stage).map_err(SourceError::io("create", &stage))?;
    match source {
        Source::Folder { path } => {
            let path = origin.map_or_else(|| path.clone(), |origin| origin.join(path));
            folder::gather(job, &path)
        }
        Source::Hub { repo, revision } => hub::gather(job, repo, revision),
        Source::Pypi { .. } => pypi::gather(job, source),
        Source::Url { url } => http::gather(job, url),
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
