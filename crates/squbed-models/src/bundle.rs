//! Models for a machine without network.
//!
//! ```text
//! <bundle>/
//!   README.md             how to install the models and build the program there
//!   SHA256SUMS            of all files below models/, as sha256sum -c reads it
//!   models/NAME/          the files of a model, and its model.toml
//! ```

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::{
    digest::sha256_file,
    error::Error,
    store::{FileState, ModelStore},
};

const README: &str = include_str!("bundle.md");

/// Why a bundle cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// The folder holds something.
    #[error("it exists and is not empty; name a new folder")]
    NotEmpty,
    /// Files of the models are missing or damaged.
    #[error(
        "{files} missing or damaged here; run `squbed models fetch {models}` first",
        files = files.iter().map(|file| file.display().to_string()).collect::<Vec<_>>().join(", "),
        models = models.join(" ")
    )]
    NotIntact {
        /// The files.
        files: Vec<PathBuf>,
        /// Their models.
        models: Vec<String>,
    },
    /// A copy that differs from what it was made of, e.g. on a broken disk.
    #[error("the copy {file} has another content than its original", file = file.display())]
    Copy {
        /// The copy.
        file: PathBuf,
    },
    /// A manifest that cannot be written.
    #[error("the manifest of `{model}` cannot be written")]
    Manifest {
        /// The model.
        model: String,
        /// What the writer says.
        source: toml::ser::Error,
    },
}

/// What a bundle holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bundled {
    /// One for each file of a model.
    pub files: Vec<BundledFile>,
}

/// A file of a bundle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BundledFile {
    /// The model.
    pub model: String,
    /// Path within the bundle.
    pub path: String,
    /// Bytes.
    pub size: u64,
    /// SHA-256 of its content.
    pub sha256: String,
    /// Whether the manifest promises that content; if not, it was taken as it is.
    pub verified: bool,
}

impl ModelStore {
    /// Copies models to a new folder, each file compared with its digest, with the text that says how to use
    /// them on a machine without network. The folder appears whole or not at all.
    ///
    /// # Errors
    ///
    /// [`Error::Bundle`], [`Error::UnknownModel`], [`Error::Io`].
    pub fn bundle(&self, names: &[String], folder: &Path) -> Result<Bundled, Error> {
        let refused = |source| Error::Bundle { folder: folder.to_path_buf(), source };
        if fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some()) || folder.is_file() {
            return Err(refused(BundleError::NotEmpty));
        }
        let files = self.intact(names).map_err(|error| match error {
            Ok(error) => error,
            Err(source) => refused(source),
        })?;
        let parent = match folder.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        fs::create_dir_all(parent).map_err(Error::io("create", parent))?;
        let stage = tempfile::Builder::new()
            .prefix(".squbed-bundle")
            .tempdir_in(parent)
            .map_err(Error::io("create a folder in", parent))?;

        let mut bundled = Vec::new();
        for (model, path, from, state) in files {
            let place = format!("models/{model}/{path}");
            let to = stage.path().join(&place);
            if let Some(parent) = to.parent() {
                fs::create_dir_all(parent).map_err(Error::io("create", parent))?;
            }
            let size = fs::copy(&from, &to).map_err(Error::io("copy", &from))?;
            let sha256 = sha256_file(&to).map_err(Error::io("read", &to))?;
            let verified = match state {
                FileState::Unverified(original) if original != sha256 => {
                    return Err(refused(BundleError::Copy { file: to }));
                }
                FileState::Unverified(_) => false,
                _ if !self.manifest(&model)?.file(&path).is_some_and(|file| file.sha256.admits(&sha256)) => {
                    return Err(refused(BundleError::Copy { file: to }));
                }
                _ => true,
            };
            bundled.push(BundledFile { model, path: place, size, sha256, verified });
        }
        for name in names {
            let text = toml::to_string(self.manifest(name)?)
                .map_err(|source| refused(BundleError::Manifest { model: name.clone(), source }))?;
            write(&stage.path().join("models").join(name).join("model.toml"), &text)?;
        }
        let sums: String = bundled.iter().map(|file| format!("{}  {}\n", file.sha256, file.path)).collect();
        write(&stage.path().join("SHA256SUMS"), &sums)?;
        write(&stage.path().join("README.md"), &readme(names, &bundled))?;
        if folder.exists() {
            fs::remove_dir(folder).map_err(Error::io("replace", folder))?;
        }
        let stage = stage.keep();
        fs::rename(&stage, folder).map_err(Error::io("create", folder))?;
        Ok(Bundled { files: bundled })
    }

    /// Model, path within it, place and state of all files of the models, if all are there and whole.
    #[expect(clippy::type_complexity, reason = "it has one reader, above")]
    fn intact(
        &self,
        names: &[String],
    ) -> Result<Vec<(String, String, PathBuf, FileState)>, Result<Error, BundleError>> {
        let (mut files, mut bad, mut models) = (Vec::new(), Vec::new(), Vec::new());
        for name in names {
            let manifest = self.manifest(name).map_err(Ok)?;
            for (file, report) in manifest.files.iter().zip(self.verify(name).map_err(Ok)?) {
                if matches!(report.state, FileState::Missing | FileState::Damaged(_)) {
                    bad.push(report.path);
                    if !models.contains(name) {
                        models.push(name.clone());
                    }
                } else {
                    files.push((name.clone(), file.path.clone(), report.path, report.state));
                }
            }
        }
        if bad.is_empty() { Ok(files) } else { Err(Err(BundleError::NotIntact { files: bad, models })) }
    }
}

/// The models that a folder holds as a bundle, by name; empty where it is none.
pub fn bundled_models(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder.join("models")).into_iter().flatten().flatten();
    let models = entries.filter(|entry| entry.path().join("model.toml").is_file());
    let mut names: Vec<String> = models.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort();
    names
}

fn readme(names: &[String], files: &[BundledFile]) -> String {
    let unverified: Vec<&str> = files.iter().filter(|f| !f.verified).map(|f| f.path.as_str()).collect();
    let note = match unverified.as_slice() {
        [] => "Every file was compared with the SHA-256 of its manifest.".to_owned(),
        files => format!(
            "Compared with the SHA-256 of their manifests, except those whose publishers give none: {}.",
            files.join(", ")
        ),
    };
    README
        .replace("{models}", &names.join(", "))
        .replace("{note}", &note)
        .replace("{version}", env!("CARGO_PKG_VERSION"))
        .replace("{rust}", env!("CARGO_PKG_RUST_VERSION"))
}

fn write(path: &Path, text: &str) -> Result<(), Error> {
    fs::write(path, text).map_err(Error::io("write", path))
}
