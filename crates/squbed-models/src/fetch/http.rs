//! Files of a web server.
//!
//! A download that is cut goes on where it ended, within one run and in a later one. The server's validator
//! (strong ETag, else Last-Modified) is kept beside the partial file and sent along as If-Range, so that a file
//! that has changed meanwhile comes whole; the SHA-256 of the whole decides in any case. No token and no
//! password is ever sent.

use std::{
    fs::{self, File, OpenOptions},
    io::{Read, Write},
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use reqwest::{
    StatusCode, Url,
    blocking::{Client, Response},
    header::{CONTENT_RANGE, ETAG, HeaderMap, IF_RANGE, LAST_MODIFIED, RANGE},
    redirect::{Attempt, Policy},
};

use super::{Job, Progress, SourceError, Wanted};
use crate::manifest::ModelFile;

/// Attempts in a row that bring nothing new.
const ATTEMPTS: u32 = 4;
/// Redirects that are followed.
const REDIRECTS: usize = 10;

pub(super) fn gather(job: &mut Job<'_>, files: &[&ModelFile], base: &str) -> Result<(), SourceError> {
    let client = Client::builder()
        .connect_timeout(job.options.connect_timeout)
        // Of a blocking client this is the limit of each read, not of the whole.
        .timeout(job.options.read_timeout)
        .redirect(Policy::custom(redirect))
        .user_agent(concat!("squbed/", env!("CARGO_PKG_VERSION")))
        .build()?;
    for wanted in files.iter().copied().map(Wanted::of) {
        let received = job.download(wanted.path);
        if job.options.offline {
            return Err(SourceError::Offline);
        }
        let part = Part::of(&received);
        let url = url_of(base, wanted.path);
        Download { client: &client, wanted: &wanted, url, part: &part }.run(job.progress)?;
        fs::rename(&part.data, &received).map_err(SourceError::io("rename", &received))?;
        job.accept(&wanted, &received)?;
    }
    Ok(())
}

/// The address of a file below `base`, each part of its path escaped.
fn url_of(base: &str, path: &str) -> String {
    let Ok(mut url) = Url::parse(base) else { return format!("{base}/{path}") };
    if let Ok(mut parts) = url.path_segments_mut() {
        parts.pop_if_empty().extend(path.split('/'));
    }
    url.into()
}

/// Follows what stays as safe as it began.
fn redirect(attempt: Attempt<'_>) -> reqwest::redirect::Action {
    let safe = attempt.previous().last().is_some_and(|from| from.scheme() == "https");
    if attempt.previous().len() > REDIRECTS {
        return attempt.error("too many redirects");
    }
    if safe && attempt.url().scheme() != "https" {
        return attempt.error("the server leads from https to http");
    }
    attempt.follow()
}

/// A partial download.
struct Part {
    data: PathBuf,
    /// The server's validator of the file that `data` is a part of.
    validator: PathBuf,
}

impl Part {
    fn of(received: &Path) -> Self {
        let with = |suffix: &str| {
            let mut name = received.as_os_str().to_owned();
            name.push(suffix);
            PathBuf::from(name)
        };
        Self { data: with(".part"), validator: with(".validator") }
    }

    fn length(&self) -> u64 {
        fs::metadata(&self.data).map_or(0, |data| data.len())
    }

    fn remove(&self) {
        // What is not there is as good as removed, and the next attempt finds what cannot be.
        let _ = fs::remove_file(&self.data);
        let _ = fs::remove_file(&self.validator);
    }
}

/// How one request ended.
enum Ended {
    Whole,
    /// The connection was cut, or what came cannot be used; another attempt may do better.
    Short(SourceError),
}

struct Download<'d> {
    client: &'d Client,
    wanted: &'d Wanted<'d>,
    url: String,
    part: &'d Part,
}

impl Download<'_> {
    fn run(&self, progress: &mut dyn FnMut(Progress<'_>)) -> Result<(), SourceError> {
        let resumed = self.part.length() > 0;
        self.fill(progress)?;
        let checked = match self.wanted.expected().check_file(&self.part.data) {
            // What was left of an earlier attempt may have been of another file.
            Err(_) if resumed => {
                self.part.remove();
                self.fill(progress)?;
                self.wanted.expected().check_file(&self.part.data)
            }
            checked => checked,
        };
        let _ = fs::remove_file(&self.part.validator);
        checked.inspect_err(|_| self.part.remove())
    }

    /// Asks until the file is there, as long as something comes.
    fn fill(&self, progress: &mut dyn FnMut(Progress<'_>)) -> Result<(), SourceError> {
        // Only what is longer than ever before is progress: a server may send the same bytes again and again.
        let (mut idle, mut longest) = (0, 0);
        loop {
            let before = self.part.length();
            longest = before.max(longest);
            if self.wanted.size == Some(before) {
                return Ok(());
            }
            let error = match self.request(before, progress)? {
                Ended::Whole => return Ok(()),
                Ended::Short(error) => error,
            };
            if self.part.length() > longest {
                idle = 0;
            } else {
                idle += 1;
                // A server that never answered is left at once.
                if idle == ATTEMPTS || (before == 0 && unreachable(&error)) {
                    return Err(error);
                }
                thread::sleep(Duration::from_millis(100 << idle));
            }
        }
    }

    fn request(&self, have: u64, progress: &mut dyn FnMut(Progress<'_>)) -> Result<Ended, SourceError> {
        let mut request = self.client.get(&self.url);
        let validator = fs::read_to_string(&self.part.validator).ok();
        // Without a size nothing tells whether the parts belong together but the validator.
        let resume = have > 0
            && self.wanted.size.is_none_or(|size| have < size)
            && (self.wanted.size.is_some() || validator.is_some());
        if resume {
            request = request.header(RANGE, format!("bytes={have}-"));
            if let Some(validator) = validator {
                request = request.header(IF_RANGE, validator.trim());
            }
        }
        let response = match request.send() {
            Ok(response) => response,
            // A redirect that is refused will be refused again.
            Err(source) if source.is_redirect() || source.is_builder() => return Err(self.failed(source)),
            Err(source) if is_untrusted(&source) => {
                let (url, source) = (self.url.clone(), source.without_url());
                return Err(SourceError::HttpUntrusted { url, source });
            }
            Err(source) => return Ok(Ended::Short(self.failed(source))),
        };
        match response.status() {
            StatusCode::PARTIAL_CONTENT if resume && begins_at(response.headers(), have) => {
                self.receive(response, have, progress)
            }
            StatusCode::OK => self.receive(response, 0, progress),
            // The part is longer than the file is now, or the server sends another one.
            StatusCode::RANGE_NOT_SATISFIABLE | StatusCode::PARTIAL_CONTENT if resume => {
                self.part.remove();
                Ok(Ended::Short(self.refused(response.status())))
            }
            status if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS => {
                Ok(Ended::Short(self.refused(status)))
            }
            status => Err(self.refused(status)),
        }
    }

    /// Appends to the part, which begins anew at 0.
    fn receive(
        &self,
        mut response: Response,
        at: u64,
        progress: &mut dyn FnMut(Progress<'_>),
    ) -> Result<Ended, SourceError> {
        let path = &self.part.data;
        let mut out = if at == 0 {
            self.keep_validator(response.headers())?;
            File::create(path).map_err(SourceError::io("create", path))?
        } else {
            OpenOptions::new().append(true).open(path).map_err(SourceError::io("write", path))?
        };
        // One byte beyond the promised size is enough to know.
        let limit = self.wanted.size.map_or(u64::MAX, |size| size.saturating_add(1));
        let total = self.wanted.size.or_else(|| Some(at + response.content_length()?));
        let mut buffer = vec![0; 1 << 18];
        let mut done = at;
        while done < limit {
            let most = usize::try_from(limit - done).unwrap_or(usize::MAX).min(buffer.len());
            match response.read(&mut buffer[..most]) {
                Ok(0) => break,
                Ok(n) => {
                    out.write_all(&buffer[..n]).map_err(SourceError::io("write", path))?;
                    done += n as u64;
                    progress(Progress::Bytes { file: self.wanted.path, done, total });
                }
                Err(source) => {
                    out.sync_all().map_err(SourceError::io("write", path))?;
                    let (url, missing) = (self.url.clone(), total.map(|total| total.saturating_sub(done)));
                    return Ok(Ended::Short(SourceError::HttpCut { url, missing, source }));
                }
            }
        }
        out.sync_all().map_err(SourceError::io("write", path))?;
        match self.wanted.size {
            Some(size) if done < size => {
                let source = std::io::ErrorKind::UnexpectedEof.into();
                Ok(Ended::Short(SourceError::HttpCut {
                    url: self.url.clone(),
                    missing: Some(size - done),
                    source,
                }))
            }
            _ => Ok(Ended::Whole),
        }
    }

    /// RFC 9110, 13.1.5: only a strong validator may stand in If-Range.
    fn keep_validator(&self, headers: &HeaderMap) -> Result<(), SourceError> {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
        let strong = text(ETAG).filter(|etag| !etag.starts_with("W/"));
        let path = &self.part.validator;
        match strong.or_else(|| text(LAST_MODIFIED)) {
            Some(validator) => fs::write(path, validator).map_err(SourceError::io("write", path)),
            None => {
                let _ = fs::remove_file(path);
                Ok(())
            }
        }
    }

    fn failed(&self, source: reqwest::Error) -> SourceError {
        // The address is in the message already, and that of a redirect may carry a signature.
        SourceError::HttpRequest { url: self.url.clone(), source: source.without_url() }
    }

    fn refused(&self, status: StatusCode) -> SourceError {
        SourceError::HttpStatus { url: self.url.clone(), status: status.to_string() }
    }
}

fn begins_at(headers: &HeaderMap, at: u64) -> bool {
    let range = headers.get(CONTENT_RANGE).and_then(|value| value.to_str().ok());
    range
        .and_then(|range| range.strip_prefix("bytes ")?.split_once('-'))
        .is_some_and(|(first, _)| first.parse() == Ok(at))
}

/// Whether the server's certificate is none that the client trusts. What says so is an error of the TLS library, which
/// the client passes on in a box.
fn is_untrusted(error: &reqwest::Error) -> bool {
    let layers = std::iter::successors(std::error::Error::source(error), |&layer| layer.source());
    layers.map(ToString::to_string).any(|told| told.contains("invalid peer certificate"))
}

fn unreachable(error: &SourceError) -> bool {
    match error {
        SourceError::HttpRequest { source, .. } => source.is_connect() || source.is_timeout(),
        SourceError::HttpStatus { .. } => true,
        _ => false,
    }
}
