//! Packages of the system: a C compiler, FFmpeg's headers, libclang for the bindings to them, Python.

use std::path::{Path, PathBuf};

use super::{already, platform::Platform, python};
use crate::{
    exec::{Exec, Failure},
    steps::Outcome,
};

/// Something that the build or the downloads need, and the packages that bring it.
struct Need {
    what: &'static str,
    there: fn() -> bool,
    apt: &'static [&'static str],
    brew: &'static [&'static str],
}

/// Everything the build needs. No dependency needs cmake or a C++ compiler on these systems.
const BUILD: &[Need] = &[
    Need {
        what: "a C compiler",
        there: || Exec::words("cc --version").succeeds(),
        apt: &["build-essential"],
        // Comes with Apple's command line tools, which Homebrew itself needs.
        brew: &[],
    },
    Need {
        what: "pkg-config",
        there: || Exec::words("pkg-config --version").succeeds(),
        apt: &["pkg-config"],
        brew: &["pkg-config"],
    },
    Need {
        what: "FFmpeg's headers",
        there: || Exec::words("pkg-config --exists libavutil libavcodec libavformat libswscale").succeeds(),
        apt: &["libavutil-dev", "libavcodec-dev", "libavformat-dev", "libswscale-dev"],
        brew: &["ffmpeg"],
    },
    Need {
        what: "libclang with its headers",
        there: libclang,
        // The metapackage takes the release's own clang: libclang1-N and, with limits.h, libclang-common-N-dev.
        apt: &["libclang-dev"],
        brew: &["llvm"],
    },
    Need {
        what: "Python 3",
        there: || python::interpreter().is_some(),
        apt: &["python3", "python3-pip"],
        brew: &["python3"],
    },
];

/// For downloads from PyPI alone.
const PIP: Need =
    Need { what: "pip", there: python::can_have_pip, apt: &["python3-pip"], brew: &["python3"] };

/// Installs what is missing; `downloads` says whether pip will be needed.
pub(super) fn install(downloads: bool) -> Result<Outcome, Failure> {
    let platform = Platform::find();
    let missing = |_: ()| -> Vec<&Need> {
        BUILD.iter().chain(downloads.then_some(&PIP)).filter(|need| !(need.there)()).collect()
    };
    let lacking = missing(());
    if lacking.is_empty() {
        return already(format!("complete on {platform}"));
    }
    let names = |needs: &[&Need]| needs.iter().map(|need| need.what).collect::<Vec<_>>().join(", ");
    eprintln!("      missing: {}", names(&lacking));
    let packages = |of: fn(&Need) -> &'static [&'static str]| -> Vec<&'static str> {
        let mut packages: Vec<_> = lacking.iter().flat_map(|need| of(need)).copied().collect();
        packages.sort_unstable();
        packages.dedup();
        packages
    };
    let packages = match &platform {
        Platform::Debian(_) => {
            let packages = packages(|need| need.apt);
            apt(&packages)?;
            packages
        }
        Platform::MacOs => {
            let packages = packages(|need| need.brew);
            brew(&packages)?;
            packages
        }
        Platform::Other(_) => {
            return Err(Failure::new(
                format!("{} missing, and squbed knows no package manager on {platform}", names(&lacking)),
                format!(
                    "install these by hand, then run again; Debian calls them: {}",
                    packages(|need| need.apt).join(" ")
                ),
            ));
        }
    };
    match &missing(())[..] {
        [] => Ok(Outcome::Done(format!("installed {}", packages.join(" ")))),
        rest => Err(Failure::new(
            format!("still missing after installing {}: {}", packages.join(" "), names(rest)),
            "look at the package manager's output above; PYTHON and LIBCLANG_PATH, if set, must be right",
        )),
    }
}

/// By apt: as root, else through sudo where it asks no password.
fn apt(packages: &[&str]) -> Result<(), Failure> {
    let root = Exec::words("id -u").output().as_deref() == Some("0");
    let sudo = if root { "" } else { "sudo " };
    let by_hand = format!("{sudo}apt-get update && {sudo}apt-get install -y {}", packages.join(" "));
    if !root && !Exec::words("sudo -n true").succeeds() {
        return Err(Failure::new(
            "packages are missing, this user is not root, and sudo is not there or asks for a password",
            format!("run this (without root: ask whoever has it), then `cargo xtask` again:\n{by_hand}"),
        ));
    }
    let apt_get = |words: &str| {
        let line = format!("env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=120 {words}");
        Exec::words(&if root { line } else { format!("sudo -n {line}") })
    };
    let install = apt_get("install --yes --quiet --no-install-recommends").args(packages);
    let failed = |error: String| {
        Failure::new(
            error,
            format!(
                "no network, or no mirror that has the packages: see /etc/apt/sources.list and its folder;\n\
                 by hand: {by_hand}"
            ),
        )
    };
    // Lists that know every package may be old all the same: then one update, and once more.
    let listed = Exec::words("apt-cache --quiet=2 show").args(packages).succeeds();
    if listed && install.run().is_ok() {
        return Ok(());
    }
    eprintln!("      package lists are missing or old");
    apt_get("update --quiet").run().map_err(failed)?;
    install.run().map_err(failed)
}

/// By Homebrew. Written, not run: no such machine was at hand.
fn brew(packages: &[&str]) -> Result<(), Failure> {
    eprintln!("      note: set-up by Homebrew is written but has not been run; please report how it goes");
    if packages.is_empty() {
        return Err(Failure::new("there is no C compiler", "run `xcode-select --install`, then run again"));
    }
    Exec::words("brew install").args(packages).run().map_err(|error| {
        Failure::new(
            error,
            format!("install Homebrew from https://brew.sh, or by hand: brew install {}", packages.join(" ")),
        )
    })
}

/// Whether the binding generator will find libclang and clang's own headers (`limits.h` among them).
fn libclang() -> bool {
    if let Some(path) = std::env::var_os("LIBCLANG_PATH") {
        return Path::new(&path).exists();
    }
    if cfg!(target_os = "macos") {
        // Apple's tools bring one; Homebrew's `llvm` is found through `brew --prefix llvm`.
        return Exec::words("xcrun --find clang").succeeds()
            || Exec::words("brew --prefix --installed llvm").succeeds();
    }
    entries("/usr/lib", "llvm").into_iter().chain(entries("/usr/local/lib", "llvm")).any(|llvm| {
        let library = !entries(llvm.join("lib"), "libclang.so").is_empty()
            || !entries(llvm.join("lib"), "libclang-").is_empty();
        let headers =
            entries(llvm.join("lib/clang"), "").iter().any(|clang| clang.join("include/limits.h").is_file());
        library && headers
    })
}

/// What lies in `folder` under names that start with `prefix`.
fn entries(folder: impl AsRef<Path>, prefix: &str) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    entries
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(prefix))
        .map(|entry| entry.path())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_need_names_its_packages() {
        for need in BUILD.iter().chain([&PIP]) {
            assert!(!need.apt.is_empty(), "{}", need.what);
            let plain = |name: &&str| name.chars().all(|c| c.is_ascii_alphanumeric() || "-+.".contains(c));
            assert!(need.apt.iter().all(plain), "{}", need.what);
        }
    }

    #[test]
    fn entries_are_chosen_by_prefix_and_a_missing_folder_has_none() {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        assert_eq!(entries(&source, "main"), [source.join("main.rs")]);
        assert!(entries(source.join("nowhere"), "").is_empty());
    }
}
