//! Where things are: the checkout, the build folder, the home of models and test videos.

use std::{
    env,
    path::{Path, PathBuf},
};

use crate::exec::{Exec, Failure};

/// The places that every command needs.
#[derive(Clone, Debug)]
pub(crate) struct Workspace {
    /// Root of the checkout.
    pub(crate) root: PathBuf,
    /// Where cargo builds, with the folders `debug` and `release` in it.
    pub(crate) target: PathBuf,
    /// Models and test videos.
    pub(crate) home: PathBuf,
}

impl Workspace {
    pub(crate) fn find() -> Result<Self, Failure> {
        // cargo names the crate's folder when it runs us; the path compiled in serves a bare start.
        let here = env::var_os("CARGO_MANIFEST_DIR")
            .map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from);
        let root = here.ancestors().nth(2).unwrap_or(&here).to_owned();
        // This program lies in `<target>/debug`, whichever way the build folder was chosen.
        let target = env::current_exe()
            .ok()
            .and_then(|exe| exe.ancestors().nth(2).map(Path::to_owned))
            .unwrap_or_else(|| root.join("target"));
        let home = home(cfg!(target_os = "macos"), |name| env::var_os(name).map(PathBuf::from)).ok_or_else(
            || {
                Failure::new(
                    "there is no place for models and test videos: neither SQUBED_HOME nor HOME is set",
                    "set SQUBED_HOME to a folder, then run again",
                )
            },
        )?;
        let home = std::path::absolute(&home).unwrap_or(home);
        Ok(Self { root, target, home })
    }

    /// `cargo` with these words, in the checkout. A toolchain chosen by `cargo +name xtask` is kept by rustup.
    pub(crate) fn cargo(&self, words: &str) -> Exec {
        Exec::new("cargo").args(words.split_whitespace()).dir(&self.root)
    }

    /// Notes of finished work, so that it is not redone.
    pub(crate) fn stamp(&self, name: &str) -> PathBuf {
        self.target.join("xtask").join(name)
    }

    /// The least Rust that the workspace states, from its `Cargo.toml`.
    pub(crate) fn rust_version(&self) -> Result<Version, Failure> {
        let file = self.root.join("Cargo.toml");
        let text = std::fs::read_to_string(&file).map_err(|error| {
            Failure::new(format!("could not read {}: {error}", file.display()), "run inside a full checkout")
        })?;
        stated_rust_version(&text).ok_or_else(|| {
            Failure::new(
                format!("{} states no rust-version under [workspace.package]", file.display()),
                "restore the line, for example rust-version = \"1.95\"",
            )
        })
    }
}

/// The home of models and test videos, by the same rule as the program's own.
fn home(mac: bool, var: impl Fn(&str) -> Option<PathBuf>) -> Option<PathBuf> {
    let set = |name: &str| var(name).filter(|path| !path.as_os_str().is_empty());
    if let Some(home) = set("SQUBED_HOME") {
        return Some(home);
    }
    if let Some(cache) = set("XDG_CACHE_HOME") {
        return Some(cache.join("squbed"));
    }
    let user = set("HOME")?;
    Some(if mac { user.join("Library/Caches/squbed") } else { user.join(".cache/squbed") })
}

/// A version by its numbers; missing ones are zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Version(pub(crate) [u32; 3]);

impl Version {
    /// `1.95`, `1.95.0`, `1.97.0-nightly`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let numbers = text.split(['-', '+', ' ']).next()?;
        let mut version = [0; 3];
        let mut parts = numbers.split('.');
        for slot in &mut version {
            match parts.next() {
                Some(part) => *slot = part.parse().ok()?,
                None => break,
            }
        }
        (parts.next().is_none()).then_some(Self(version))
    }

    /// The version in a line such as `rustc 1.95.0 (hash date)` or `Python 3.11.2`.
    pub(crate) fn in_words(line: &str) -> Option<Self> {
        line.split_whitespace().nth(1).and_then(Self::parse)
    }
}

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [major, minor, patch] = self.0;
        if patch == 0 { write!(f, "{major}.{minor}") } else { write!(f, "{major}.{minor}.{patch}") }
    }
}

fn stated_rust_version(manifest: &str) -> Option<Version> {
    let mut inside = false;
    for line in manifest.lines().map(str::trim) {
        if line.starts_with('[') {
            inside = line == "[workspace.package]";
        } else if inside {
            let stated =
                line.strip_prefix("rust-version").map(str::trim_start).and_then(|l| l.strip_prefix('='));
            if let Some(value) = stated {
                return value.split('"').nth(1).and_then(Version::parse);
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_by_number() {
        let v = |text| Version::parse(text).unwrap();
        assert!(v("1.100.0") > v("1.95"));
        assert!(v("1.95.0") >= v("1.95"));
        assert!(v("1.94.9") < v("1.95"));
        assert_eq!(v("1.97.0-nightly"), Version([1, 97, 0]));
        assert_eq!(Version::in_words("rustc 1.95.0 (59807616e 2026-04-14)"), Some(Version([1, 95, 0])));
        assert_eq!(Version::in_words("Python 3.12.0+"), Some(Version([3, 12, 0])));
        for bad in ["", "one", "1.x", "1.2.3.4"] {
            assert_eq!(Version::parse(bad), None, "{bad}");
        }
        assert_eq!(v("1.95.0").to_string(), "1.95");
        assert_eq!(v("1.95.1").to_string(), "1.95.1");
    }

    #[test]
    fn the_stated_version_is_the_workspace_s() {
        let manifest = "[package]\nrust-version = \"1.2\"\n[workspace.package]\nversion = \"0.1.0\"\n\
                        rust-version = \"1.95\" # why\n[workspace.dependencies]\n";
        assert_eq!(stated_rust_version(manifest), Some(Version([1, 95, 0])));
        assert_eq!(stated_rust_version("[workspace.package]\n[other]\nrust-version = \"1.95\""), None);
    }

    #[test]
    fn this_workspace_states_a_version() {
        let workspace = Workspace::find().unwrap();
        assert!(workspace.rust_version().unwrap() >= Version([1, 85, 0]));
    }

    #[test]
    fn the_home_follows_the_variables_in_order() {
        let vars = |pairs: &'static [(&str, &str)]| {
            move |name: &str| pairs.iter().find(|(n, _)| *n == name).map(|(_, value)| PathBuf::from(value))
        };
        let all = vars(&[("SQUBED_HOME", "/a"), ("XDG_CACHE_HOME", "/b"), ("HOME", "/c")]);
        assert_eq!(home(false, all), Some("/a".into()));
        assert_eq!(
            home(false, vars(&[("SQUBED_HOME", ""), ("XDG_CACHE_HOME", "/b")])),
            Some("/b/squbed".into())
        );
        assert_eq!(home(false, vars(&[("HOME", "/c")])), Some("/c/.cache/squbed".into()));
        assert_eq!(home(true, vars(&[("HOME", "/c")])), Some("/c/Library/Caches/squbed".into()));
        assert_eq!(home(false, vars(&[])), None);
    }
}
