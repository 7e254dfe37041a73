//! Why a source gave no model.

use std::{io, path::PathBuf};

use crate::checkpoint::ConvertError;

/// Why one source did not give a model's files.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// A file could not be read or written, e.g. on a full disk.
    #[error("cannot {operation} {path}", path = path.display())]
    Io {
        /// What was tried.
        operation: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The folder that is a source is not there.
    #[error("there is no folder {folder}", folder = folder.display())]
    NoFolder {
        /// The folder.
        folder: PathBuf,
    },
    /// A file in place of a folder, and none of the archives that the model comes in.
    #[error("{file} is a file; give a folder that holds the model's files{}", archives(.known), file = file.display())]
    NotFolder {
        /// The file.
        file: PathBuf,
        /// Names of the archives.
        known: Vec<String>,
    },
    /// The source does not hold a file.
    #[error("there is no `{}` in {place}", files.join("` or `"))]
    Absent {
        /// The file; where several would do, all of them.
        files: Vec<String>,
        /// Where it should be.
        place: String,
    },
    /// More or fewer bytes than the manifest promises.
    #[error("`{file}` has {actual} bytes, not the {expected} of the manifest")]
    Size {
        /// The file.
        file: String,
        /// Bytes promised.
        expected: u64,
        /// Bytes it has.
        actual: u64,
    },
    /// More bytes than the manifest promises came; how many there are is not known.
    #[error("`{file}` is longer than the {expected} bytes of the manifest")]
    TooLong {
        /// The file.
        file: String,
        /// Bytes promised.
        expected: u64,
    },
    /// Other content than the manifest promises.
    #[error("`{file}` has sha256 {actual}, not {expected}; it is damaged or not the published file")]
    Digest {
        /// The file.
        file: String,
        /// Digest promised.
        expected: String,
        /// Digest of what came.
        actual: String,
    },
    /// The hub answered with an error, or not at all.
    #[error("the hub did not give `{file}`")]
    Hub {
        /// The file.
        file: String,
        /// What `hf-hub` says.
        source: Box<hf_hub::HFError>,
    },
    /// The client of the hub could not be set up.
    #[error("the hub's client cannot be set up")]
    HubClient(#[source] Box<hf_hub::HFError>),
    /// The HTTP client could not be set up.
    #[error("the HTTP client cannot be set up")]
    Http(#[from] reqwest::Error),
    /// A server shows a certificate that no authority known here vouches for.
    #[error(
        "{url} is not trusted: no known authority vouches for its certificate; where a proxy stands between, name a PEM \
         file with its certificate in SSL_CERT_FILE"
    )]
    HttpUntrusted {
        /// The address.
        url: String,
        /// What the client says.
        source: reqwest::Error,
    },
    /// A server did not answer.
    #[error("{url} cannot be reached")]
    HttpRequest {
        /// The address.
        url: String,
        /// What the client says.
        source: reqwest::Error,
    },
    /// A server answered with another status than success.
    #[error("{url} gives status {status}")]
    HttpStatus {
        /// The address.
        url: String,
        /// The status.
        status: String,
    },
    /// A download that ended early, as often as it was taken up again.
    #[error("{url} ends early{missing}; fetch again to go on from there", missing = missing.map_or_else(String::new, |n| format!(", {n} bytes before its end")))]
    HttpCut {
        /// The address.
        url: String,
        /// Bytes that did not come, where known.
        missing: Option<u64>,
        /// What the connection says.
        source: io::Error,
    },
    /// The hub asks who is asking, or knows and refuses.
    #[error(
        "the hub refuses `{file}` of {repo} with status {status}: accept the terms of that repository if it has any, \
         and set HF_TOKEN to a token that may read it"
    )]
    HubDenied {
        /// The file.
        file: String,
        /// Its repository.
        repo: String,
        /// 401 or 403.
        status: u16,
    },
    /// The hub sent nothing for too long.
    #[error("the hub sent nothing of `{file}` for {seconds} s")]
    HubStalled {
        /// The file.
        file: String,
        /// How long.
        seconds: u64,
    },
    /// A piece of a file of another length than was asked for.
    #[error("the hub sent {actual} bytes of `{file}` where {expected} were asked for")]
    HubRange {
        /// The file.
        file: String,
        /// Bytes asked for.
        expected: u64,
        /// Bytes received.
        actual: u64,
    },
    /// The hub is not to be asked, and its cache on this machine lacks a file.
    #[error("the hub is not asked (HF_HUB_OFFLINE or offline mode), and its cache here has no `{file}`")]
    HubOffline {
        /// The file.
        file: String,
    },
    /// The network is not to be used.
    #[error("the network is not used in offline mode")]
    Offline,
    /// No Python with pip was found.
    #[error("no Python with pip was found (tried {tried}); install one, or name it in $PYTHON")]
    NoPython {
        /// Programs tried.
        tried: String,
    },
    /// pip did not give the archive.
    #[error("pip did not give `{archive}`: {message}")]
    Pip {
        /// The archive.
        archive: String,
        /// What pip says.
        message: String,
    },
    /// pip's parts are not where they are known to be.
    #[error(
        "this pip is not understood ({message}); use pip 22 to 26, or download `{archive}` yourself and fetch from its folder"
    )]
    PipUnknown {
        /// The archive.
        archive: String,
        /// What is missing.
        message: String,
    },
    /// pip sent nothing for too long.
    #[error("pip received nothing of `{archive}` for {seconds} s")]
    PipStalled {
        /// The archive.
        archive: String,
        /// How long.
        seconds: u64,
    },
    /// A zip archive that cannot be read.
    #[error("the archive {archive} cannot be read", archive = archive.display())]
    Zip {
        /// The archive.
        archive: PathBuf,
        /// What is wrong with it.
        source: zip::result::ZipError,
    },
    /// A file that cannot be converted.
    #[error("`{file}` cannot be converted")]
    Convert {
        /// The file.
        file: String,
        /// What is wrong with it.
        source: ConvertError,
    },
}

impl SourceError {
    /// An [`SourceError::Io`] of this operation on this file.
    pub(crate) fn io(operation: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { operation, path, source }
    }
}

/// A source and why it failed.
#[derive(Debug)]
pub struct SourceFailure {
    /// The source, in words.
    pub source: String,
    /// Why it failed.
    pub error: SourceError,
}

fn archives(known: &[String]) -> String {
    match known {
        [] => String::new(),
        known => format!(", or the archive `{}`", known.join("` or `")),
    }
}
