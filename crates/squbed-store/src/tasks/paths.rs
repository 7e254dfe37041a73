//! Paths relative to the file that names them.

use std::{
    fs,
    path::{Component, Path, PathBuf},
};

use crate::error::{Error, Result};

/// The folder that relative paths start from.
pub(super) struct Base {
    /// As the user named it.
    given: PathBuf,
    /// Absolute and without symbolic links, where the system can tell: `..` is meant from there.
    physical: Option<PathBuf>,
}

impl Base {
    pub(super) fn new(folder: &Path) -> Self {
        Self { given: folder.to_owned(), physical: fs::canonicalize(folder).ok() }
    }

    /// Where a path read from the file leads.
    pub(super) fn resolve(&self, path: &Path) -> PathBuf {
        let path = &squbed_files::expand_home(path);
        if path.is_absolute() {
            return path.to_owned();
        }
        let mut rest = path.components().filter(|c| *c != Component::CurDir).peekable();
        let above = rest.peek() == Some(&Component::ParentDir);
        let mut resolved = match &self.physical {
            Some(physical) if above => physical.clone(),
            _ if self.given == Path::new(".") => PathBuf::new(),
            _ => self.given.clone(),
        };
        if self.physical.is_some() {
            while rest.next_if_eq(&Component::ParentDir).is_some() {
                resolved.pop();
            }
        }
        resolved.extend(rest);
        resolved
    }

    /// How a path is written in the file; the inverse of [`Base::resolve`] up to its spelling.
    pub(super) fn relative(&self, path: &Path) -> Result<PathBuf> {
        if path.to_str().is_none() {
            return Err(Error::NotUtf8 { path: path.to_owned() });
        }
        let absolute = std::path::absolute(path).map_err(Error::io("find", path))?;
        let given = std::path::absolute(&self.given).map_err(Error::io("find", &self.given))?;
        if let Ok(below) = absolute.strip_prefix(&given)
            && is_plain(below)
        {
            return Ok(joined(below.components()));
        }
        let target = physical(&absolute);
        let (Some(base), Some(target)) = (&self.physical, target) else { return Ok(absolute) };
        let shared = base.components().zip(target.components()).take_while(|(a, b)| a == b).count();
        let named = base.components().take(shared).filter(|c| matches!(c, Component::Normal(_))).count();
        if named == 0 {
            // Nothing in common but the root: they will not move together.
            return Ok(absolute);
        }
        let up = base.components().skip(shared).map(|_| Component::ParentDir);
        Ok(joined(up.chain(target.components().skip(shared))))
    }
}

fn is_plain(path: &Path) -> bool {
    path.components().all(|c| matches!(c, Component::Normal(_)))
}

/// With `/` on every system.
fn joined<'a>(components: impl Iterator<Item = Component<'a>>) -> PathBuf {
    let parts: Vec<_> = components.map(|c| c.as_os_str().to_string_lossy()).collect();
    PathBuf::from(parts.join("/"))
}

/// The path without symbolic links, as far as it exists; `None` where `..` follows what does not.
fn physical(absolute: &Path) -> Option<PathBuf> {
    absolute.ancestors().find_map(|existing| {
        let rest = absolute.strip_prefix(existing).ok()?;
        let known = fs::canonicalize(existing).ok()?;
        // An empty rest would add a slash at the end.
        let whole = if rest.as_os_str().is_empty() { known } else { known.join(rest) };
        Some(is_plain(rest).then_some(whole))
    })?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(base: &Base, path: &Path, written: &str) {
        let relative = base.relative(path).unwrap();
        assert_eq!(relative, Path::new(written));
        let resolved = base.resolve(&relative);
        assert_eq!(physical(&std::path::absolute(&resolved).unwrap()), physical(path));
        assert!(!resolved.components().any(|c| c == Component::ParentDir), "{resolved:?}");
    }

    #[test]
    fn paths_are_relative_where_they_can_move_along() {
        let home = tempfile::tempdir().unwrap();
        let home = fs::canonicalize(home.path()).unwrap();
        let folder = home.join("out");
        fs::create_dir_all(&folder).unwrap();
        let base = Base::new(&folder);
        check(&base, &folder.join("videos/a.mp4"), "videos/a.mp4");
        check(&base, &home.join("out2/a.mp4"), "../out2/a.mp4");
        check(&base, &home.join("out/../b.mp4"), "../b.mp4");
        check(&base, Path::new("/nowhere/c.mp4"), "/nowhere/c.mp4");
        let unclear = Path::new("/nowhere/../c.mp4");
        assert_eq!(base.relative(unclear).unwrap(), unclear);
    }

    #[cfg(unix)]
    #[test]
    fn parents_are_meant_without_symbolic_links() {
        let home = tempfile::tempdir().unwrap();
        let home = fs::canonicalize(home.path()).unwrap();
        fs::create_dir_all(home.join("disk/out")).unwrap();
        std::os::unix::fs::symlink(home.join("disk/out"), home.join("link")).unwrap();
        let base = Base::new(&home.join("link"));
        check(&base, &home.join("v.mp4"), "../../v.mp4");
        check(&base, &home.join("link/v.mp4"), "v.mp4");
        assert_eq!(base.resolve(Path::new("../v.mp4")), home.join("disk/v.mp4"));
        assert_eq!(base.resolve(Path::new("./v.mp4")), home.join("link/v.mp4"));
    }

    #[test]
    fn the_current_folder_adds_nothing() {
        assert_eq!(Base::new(Path::new(".")).resolve(Path::new("v/a.mp4")), Path::new("v/a.mp4"));
        let home = std::env::home_dir().unwrap();
        assert_eq!(Base::new(Path::new("list")).resolve(Path::new("~/v/a.mp4")), home.join("v/a.mp4"));
    }

    #[cfg(unix)]
    #[test]
    fn a_path_that_is_no_text_is_refused() {
        use std::os::unix::ffi::OsStrExt;
        let path = Path::new(std::ffi::OsStr::from_bytes(b"v\xff.mp4"));
        let error = Base::new(Path::new(".")).relative(path).unwrap_err();
        assert_eq!(error.to_string(), "the path `v\u{fffd}.mp4` is not valid UTF-8; rename it");
    }
}
