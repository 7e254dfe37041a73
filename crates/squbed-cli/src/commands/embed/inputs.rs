//! The files that a command line names: one by one, by patterns, by folders, and by a list on stdin.

use std::{
    fs,
    io::Read,
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};
use squbed::store::{VIDEO_EXTENSIONS, natural_order};

/// In place of a file: a list of paths on stdin, or for texts the sentences themselves.
pub(super) const STDIN: &str = "-";

/// Endings of pictures, in lower case.
const PICTURES: [&str; 5] = ["png", "jpg", "jpeg", "bmp", "webp"];

/// What is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Images,
    Videos,
    Texts,
}

impl Kind {
    /// Endings by which a folder's files are known.
    fn endings(self) -> &'static [&'static str] {
        match self {
            Self::Images => &PICTURES,
            Self::Videos => &VIDEO_EXTENSIONS,
            Self::Texts => &["txt"],
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Images => "picture",
            Self::Videos => "video",
            Self::Texts => "text",
        }
    }
}

/// The files of these arguments, in their order. A path that is there is taken as it is, also where it looks like a
/// pattern; one that is not is kept, for its reading to fail.
pub(super) fn expand(arguments: &[PathBuf], kind: Kind) -> anyhow::Result<Vec<PathBuf>> {
    if arguments.is_empty() {
        bail!("no {} files are given; name one at least", kind.name());
    }
    let mut files = Vec::new();
    let mut listed = false;
    for argument in arguments {
        if argument.as_os_str() == STDIN && kind != Kind::Texts {
            if std::mem::replace(&mut listed, true) {
                bail!("stdin is named twice; its list can be read once");
            }
            files.extend(list()?);
        } else if argument.is_dir() {
            files.extend(folder(argument, kind)?);
        } else if let Some(pattern) = argument.to_str().filter(|text| is_pattern(text) && !argument.exists())
        {
            files.extend(matches(pattern, kind)?);
        } else {
            files.push(argument.clone());
        }
    }
    Ok(files)
}

fn is_pattern(text: &str) -> bool {
    text.contains(['*', '?', '['])
}

/// The paths on stdin, one a line or one before each NUL; they are not looked into.
fn list() -> anyhow::Result<Vec<PathBuf>> {
    let mut input = Vec::new();
    std::io::stdin().read_to_end(&mut input).context("cannot read the list of paths on stdin")?;
    let files = paths(&input)?;
    if files.is_empty() {
        bail!("the list on stdin is empty; give one path a line");
    }
    Ok(files)
}

/// Paths of a list; a NUL anywhere tells that it is what ends them.
fn paths(list: &[u8]) -> anyhow::Result<Vec<PathBuf>> {
    let nul = list.contains(&0);
    let end = if nul { 0 } else { b'\n' };
    let lines = list.split(|&byte| byte == end);
    let lines = lines.map(|line| if nul { line } else { line.strip_suffix(b"\r").unwrap_or(line) });
    lines.filter(|line| !line.is_empty()).map(path).collect()
}

/// A path from its bytes, of any encoding where the system has such.
fn path(bytes: &[u8]) -> anyhow::Result<PathBuf> {
    #[cfg(unix)]
    {
        use std::os::unix::ffi::OsStrExt;
        Ok(PathBuf::from(std::ffi::OsStr::from_bytes(bytes)))
    }
    #[cfg(not(unix))]
    Ok(PathBuf::from(std::str::from_utf8(bytes).context("the list of paths on stdin is not UTF-8 text")?))
}

/// The files of the kind right in a folder, in the order of their names, hidden ones left out; at least one. Where
/// videos are wanted, a folder of frames is one.
fn folder(folder: &Path, kind: Kind) -> anyhow::Result<Vec<PathBuf>> {
    let unreadable = || format!("cannot read the folder {}", folder.display());
    let mut entries = Vec::new();
    for entry in fs::read_dir(folder).with_context(unreadable)? {
        let path = entry.with_context(unreadable)?.path();
        let hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        if !hidden && path.is_file() {
            entries.push(path);
        }
    }
    if kind == Kind::Videos && entries.iter().any(|path| ends_in(path, &PICTURES)) {
        return Ok(vec![folder.to_owned()]);
    }
    entries.retain(|path| ends_in(path, kind.endings()));
    if entries.is_empty() {
        bail!(
            "the folder {} holds no {} file ({}); subfolders are not looked into: name them, or give a pattern as \
             '{}/**/*.{}'",
            folder.display(),
            kind.name(),
            kind.endings().join(", "),
            folder.display(),
            kind.endings()[0],
        );
    }
    Ok(in_order(entries))
}

/// The files that a pattern matches, in the order of their names; at least one. Of folders those of frames alone count,
/// where videos are wanted.
fn matches(pattern: &str, kind: Kind) -> anyhow::Result<Vec<PathBuf>> {
    let options = glob::MatchOptions {
        case_sensitive: true,
        require_literal_separator: true,
        require_literal_leading_dot: true,
    };
    let paths = glob::glob_with(pattern, options).with_context(|| format!("`{pattern}` is no pattern"))?;
    let mut found = Vec::new();
    for path in paths {
        let path = path.with_context(|| format!("cannot look for `{pattern}`"))?;
        if !path.is_dir()
            || (kind == Kind::Videos && folder(&path, kind).is_ok_and(|files| files == [path.clone()]))
        {
            found.push(path);
        }
    }
    if found.is_empty() {
        bail!("no file matches `{pattern}`");
    }
    Ok(in_order(found))
}

fn in_order(mut paths: Vec<PathBuf>) -> Vec<PathBuf> {
    paths.sort_by(|a, b| natural_order(&a.to_string_lossy(), &b.to_string_lossy()));
    paths
}

fn ends_in(path: &Path, endings: &[&str]) -> bool {
    let ending = path.extension().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
    endings.contains(&ending.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder with these files, and what an argument in it expands to, relative to it.
    fn expanded(files: &[&str], argument: &str, kind: Kind) -> Result<Vec<String>, String> {
        let home = tempfile::tempdir().unwrap();
        for file in files {
            let path = home.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        let start = home.path().to_str().unwrap();
        let relative = |path: &str| path.replace(&format!("{start}/"), "");
        match expand(&[home.path().join(argument)], kind) {
            Ok(paths) => Ok(paths.iter().map(|path| relative(path.to_str().unwrap())).collect()),
            Err(error) => Err(relative(&format!("{error:#}"))),
        }
    }

    #[test]
    fn a_folder_is_its_files_of_the_kind_in_the_order_of_their_numbers() {
        let files = ["d/f10.PNG", "d/f2.jpg", "d/.f1.png", "d/notes.txt", "d/deep/f0.png", "d/v.mp4"];
        assert_eq!(expanded(&files, "d", Kind::Images).unwrap(), ["d/f2.jpg", "d/f10.PNG"]);
        assert_eq!(expanded(&files, "d", Kind::Texts).unwrap(), ["d/notes.txt"]);
        // Pictures right in it make it a video of these frames.
        assert_eq!(expanded(&files, "d", Kind::Videos).unwrap(), ["d"]);
        assert_eq!(expanded(&["d/b.mp4", "d/a.MKV"], "d", Kind::Videos).unwrap(), ["d/a.MKV", "d/b.mp4"]);
        let message = expanded(&["d/deep/f0.png"], "d", Kind::Images).unwrap_err();
        assert!(message.contains("the folder ") && message.contains("holds no picture file"), "{message}");
        assert!(message.contains("d/**/*.png'"), "{message}");
    }

    #[test]
    fn a_pattern_is_the_files_that_match_it() {
        let files = ["a/f10.png", "a/f9.png", "b/f1.png", "b/.f.png", "b/c/f0.png", "x[1].png"];
        assert_eq!(expanded(&files, "a/*.png", Kind::Images).unwrap(), ["a/f9.png", "a/f10.png"]);
        assert_eq!(
            expanded(&files, "**/f?.png", Kind::Images).unwrap(),
            ["a/f9.png", "b/c/f0.png", "b/f1.png"]
        );
        assert_eq!(expanded(&files, "*", Kind::Videos).unwrap(), ["a", "b", "x[1].png"]);
        assert_eq!(expanded(&files, "*", Kind::Images).unwrap(), ["x[1].png"]);
        // What is there is no pattern; what is not, and no pattern, is left for its reading to fail.
        assert_eq!(expanded(&files, "x[1].png", Kind::Images).unwrap(), ["x[1].png"]);
        assert_eq!(expanded(&files, "nowhere.png", Kind::Images).unwrap(), ["nowhere.png"]);
        let message = expanded(&files, "*.webp", Kind::Images).unwrap_err();
        assert!(message.starts_with("no file matches `") && message.contains("*.webp"), "{message}");
        assert!(expanded(&files, "a/***", Kind::Images).unwrap_err().contains("is no pattern"));
    }

    #[test]
    fn a_list_has_a_path_a_line_or_before_each_nul() {
        let read = |list: &str| -> Vec<String> {
            let paths = paths(list.as_bytes()).unwrap();
            paths.into_iter().map(|path| path.to_str().unwrap().to_owned()).collect()
        };
        assert_eq!(read("b.png\r\n\na b.png\n"), ["b.png", "a b.png"]);
        assert_eq!(read("b.png"), ["b.png"]);
        assert_eq!(read("b\n.png\0a.png\r\0"), ["b\n.png", "a.png\r"]);
        assert!(read("\n").is_empty());
        #[cfg(unix)]
        assert_eq!(paths(b"\xff.png\n").unwrap()[0].as_os_str().len(), 5);
    }
}
