//! Clips that are there already.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use squbed_store::{VIDEO_EXTENSIONS, natural_order};

/// The clips of a latent prompt in their natural order: the videos in `<task>/latent_<i>/videos/`, as the paper's
/// authors release them (`gen_video_<k>.mp4`), or in `<task>/latent_<i>/` itself; none where there is no such folder.
///
/// # Errors
///
/// A folder that cannot be read.
pub fn clips(root: &Path, task: &str, latent: usize) -> io::Result<Vec<PathBuf>> {
    let folder = root.join(task).join(format!("latent_{latent}"));
    let inner = folder.join("videos");
    let folder = if inner.is_dir() { inner } else { folder };
    let entries = match fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut names = Vec::new();
    for entry in entries {
        let name = entry?.file_name().to_string_lossy().into_owned();
        let extension = Path::new(&name).extension().map(|e| e.to_string_lossy().to_lowercase());
        if !name.starts_with('.') && extension.is_some_and(|e| VIDEO_EXTENSIONS.contains(&e.as_str())) {
            names.push(name);
        }
    }
    names.sort_by(|a, b| natural_order(a, b));
    Ok(names.into_iter().map(|name| folder.join(name)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_papers_layout_is_read_in_its_order() {
        let root = tempfile::tempdir().unwrap();
        let videos = root.path().join("t/latent_3/videos");
        fs::create_dir_all(&videos).unwrap();
        for name in ["gen_video_10.mp4", "gen_video_2.mp4", ".gen_video_1.7.part.mp4", "notes.txt"] {
            fs::write(videos.join(name), "").unwrap();
        }
        let found = clips(root.path(), "t", 3).unwrap();
        assert_eq!(found, [videos.join("gen_video_2.mp4"), videos.join("gen_video_10.mp4")]);
        assert!(clips(root.path(), "t", 4).unwrap().is_empty());
    }
}
