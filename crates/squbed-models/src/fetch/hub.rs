//! The Hugging Face hub.
//!
//! `hf-hub`'s own download starts anew when it is cut; here a file comes in pieces by HTTP range, each
//! appended to a partial file that outlives a failure, and its SHA-256 is checked at the end.

use std::{
    fs::{self, File, OpenOptions},
    io::{Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    sync::mpsc,
    thread,
    time::Duration,
};

use hf_hub::{HFClientSync, HFError, HFRepositorySync, repository::RepoTypeModel, split_id};

use super::{FetchOptions, Job, Progress, SourceError, Wanted};
use crate::manifest::ModelFile;

/// Bytes asked for at once: what a cut connection costs at most.
const PIECE: u64 = 8 << 20;
/// Attempts at a piece once the hub has answered; before that, one failure means the next source.
const ATTEMPTS: u32 = 4;

type Repository = HFRepositorySync<RepoTypeModel>;

pub(super) fn gather(
    job: &mut Job<'_>,
    files: &[&ModelFile],
    repo: &str,
    revision: &str,
) -> Result<(), SourceError> {
    let hub = Hub::open(job.options, repo, revision)?;
    for wanted in files.iter().copied().map(Wanted::of) {
        let received = job.download(wanted.path);
        if let Some(cached) = hub.cached(wanted.path) {
            let reader = File::open(&cached).map_err(SourceError::io("read", &cached))?;
            if wanted.expected().receive(reader, &received, job.progress).is_ok() {
                job.accept(&wanted, &received)?;
                continue;
            }
        }
        if job.options.offline || job.options.hub_offline {
            return Err(SourceError::HubOffline { file: wanted.path.to_owned() });
        }
        hub.download(&wanted, &part_of(&received), job.progress)?;
        fs::rename(part_of(&received), &received).map_err(SourceError::io("rename", &received))?;
        job.accept(&wanted, &received)?;
    }
    Ok(())
}

/// The hub's cache on this machine, as the environment says: `HF_HUB_CACHE`, else `hub` in `HF_HOME`, else in the
/// user's cache folder.
pub fn hub_cache() -> PathBuf {
    hf_hub::resolve_cache_dir()
}

fn part_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".part");
    name.into()
}

struct Hub<'o> {
    repository: Repository,
    repo: String,
    revision: String,
    options: &'o FetchOptions,
}

impl<'o> Hub<'o> {
    fn open(options: &'o FetchOptions, repo: &str, revision: &str) -> Result<Self, SourceError> {
        let http = reqwest::Client::builder()
            .connect_timeout(options.connect_timeout)
            .read_timeout(options.read_timeout)
            .user_agent(concat!("squbed/", env!("CARGO_PKG_VERSION")))
            .build()?;
        // Attempts are counted here, so that an unreachable hub is noticed at once.
        let mut builder = hf_hub::HFClientBuilder::new().client(http).retry_max_attempts(0);
        if let Some(endpoint) = &options.hub_endpoint {
            builder = builder.endpoint(endpoint);
        }
        if let Some(cache) = &options.hub_cache {
            builder = builder.cache_dir(cache);
        }
        let client: HFClientSync =
            builder.build_sync().map_err(|error| SourceError::HubClient(Box::new(error)))?;
        let (owner, name) = split_id(repo);
        let repository = client.model(owner, name);
        Ok(Self { repository, repo: repo.to_owned(), revision: revision.to_owned(), options })
    }

    /// The file in the hub's own cache on this machine.
    fn cached(&self, file: &str) -> Option<PathBuf> {
        self.repository
            .download_file()
            .filename(file)
            .revision(&self.revision)
            .local_files_only(true)
            .send()
            .ok()
    }

    /// Downloads to `part`, going on where an earlier attempt ended.
    fn download(
        &self,
        wanted: &Wanted<'_>,
        part: &Path,
        progress: &mut dyn FnMut(Progress<'_>),
    ) -> Result<(), SourceError> {
        let resumed = fs::metadata(part).is_ok_and(|part| part.len() > 0);
        self.fill(wanted, part, progress)?;
        match wanted.expected().check_file(part) {
            // What was left of an earlier attempt may have been of another file.
            Err(_) if resumed => {
                remove(part)?;
                self.fill(wanted, part, progress)?;
                wanted.expected().check_file(part)
            }
            checked => checked,
        }
        .inspect_err(|_| {
            let _ = fs::remove_file(part);
        })
    }

    fn fill(
        &self,
        wanted: &Wanted<'_>,
        part: &Path,
        progress: &mut dyn FnMut(Progress<'_>),
    ) -> Result<(), SourceError> {
        let Some(total) = wanted.size else {
            let bytes = self.piece(wanted.path, None)?;
            return super::write_synced(part, &bytes);
        };
        let mut out = OpenOptions::new()
            .create(true)
            .append(true)
            .open(part)
            .map_err(SourceError::io("create", part))?;
        let mut done = out.seek(SeekFrom::End(0)).map_err(SourceError::io("read", part))?;
        if done > total {
            out.set_len(0).map_err(SourceError::io("write", part))?;
            done = 0;
        }
        let mut answered = false;
        while done < total {
            let asked = PIECE.min(total - done);
            let bytes = self.insistently(wanted.path, done..done + asked, &mut answered)?;
            // A server that knows no ranges sends the whole file.
            let bytes = match bytes.len() as u64 {
                n if n == asked => &bytes[..],
                n if n == total => &bytes[done as usize..],
                actual => {
                    let file = wanted.path.to_owned();
                    return Err(SourceError::HubRange { file, expected: asked, actual });
                }
            };
            out.write_all(bytes).map_err(SourceError::io("write", part))?;
            done += bytes.len() as u64;
            progress(Progress::Bytes { file: wanted.path, done, total: Some(total) });
        }
        out.sync_all().map_err(SourceError::io("write", part))
    }

    fn insistently(
        &self,
        file: &str,
        range: std::ops::Range<u64>,
        answered: &mut bool,
    ) -> Result<Vec<u8>, SourceError> {
        let mut attempt = 1;
        loop {
            match self.piece(file, Some(range.clone())) {
                Ok(bytes) => {
                    *answered = true;
                    return Ok(bytes);
                }
                Err(error) if attempt < ATTEMPTS && worth_another(&error, *answered) => {
                    thread::sleep(Duration::from_millis(100 << attempt));
                    attempt += 1;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// One request. It runs on a thread of its own: not every transfer of `hf-hub` has a time limit, and a
    /// silent one is left behind.
    fn piece(&self, file: &str, range: Option<std::ops::Range<u64>>) -> Result<Vec<u8>, SourceError> {
        let (send, receive) = mpsc::channel();
        let (repository, revision, name) = (self.repository.clone(), self.revision.clone(), file.to_owned());
        thread::spawn(move || {
            let request = repository.download_file_to_bytes().filename(name).revision(revision);
            // The receiver may be gone by now.
            let _ = send.send(request.maybe_range(range).send());
        });
        // Ten times the silence that one read may have: enough for a slow line, and not for ever.
        let limit = self.options.read_timeout * 10;
        match receive.recv_timeout(limit) {
            Ok(Ok(bytes)) => Ok(bytes.into()),
            Ok(Err(HFError::AuthRequired { context } | HFError::Forbidden { context })) => {
                let (file, repo) = (file.to_owned(), self.repo.clone());
                Err(SourceError::HubDenied { file, repo, status: context.status.as_u16() })
            }
            Ok(Err(error)) => {
                Err(SourceError::Hub { file: file.to_owned(), source: Box::new(unsigned(error)) })
            }
            Err(_) => Err(SourceError::HubStalled { file: file.to_owned(), seconds: limit.as_secs() }),
        }
    }
}

/// The error without the signature that opens a file of the hub's CDN to whoever reads it in a log.
fn unsigned(error: HFError) -> HFError {
    let cut = |url: &str| url.split(['?', '#']).next().unwrap_or_default().to_owned();
    match error {
        HFError::Request { source, url } => {
            HFError::Request { source: source.without_url(), url: url.as_deref().map(cut) }
        }
        HFError::Http { mut context } => {
            context.url = cut(&context.url);
            HFError::Http { context }
        }
        HFError::RateLimited { retry_after, mut context } => {
            context.url = cut(&context.url);
            HFError::RateLimited { retry_after, context }
        }
        error => error,
    }
}

/// A connection that was cut is tried again, and a hub that answered before may be slow to answer again.
fn worth_another(error: &SourceError, answered: bool) -> bool {
    match error {
        SourceError::Hub { source, .. } => match &**source {
            HFError::Request { source, .. } => answered || !(source.is_connect() || source.is_timeout()),
            HFError::Http { context } => answered && context.status.is_server_error(),
            HFError::RateLimited { .. } => answered,
            _ => false,
        },
        _ => false,
    }
}

fn remove(path: &Path) -> Result<(), SourceError> {
    fs::remove_file(path).map_err(SourceError::io("remove", path))
}
