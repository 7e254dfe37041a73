//! What is asked of CUDA devices goes to `squbed-cuda` beside the program, which says why where it cannot.
#![cfg(all(unix, not(feature = "cuda")))]

use std::{fs, os::unix::fs::PermissionsExt, process::Command};

/// A copy of the program, with a script as `squbed-cuda` beside it.
struct Pair(tempfile::TempDir);

impl Pair {
    fn new(script: Option<&str>) -> Self {
        let pair = Self(tempfile::tempdir().unwrap());
        fs::copy(env!("CARGO_BIN_EXE_squbed"), pair.0.path().join("squbed")).unwrap();
        if let Some(script) = script {
            let path = pair.0.path().join("squbed-cuda");
            fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        pair
    }

    fn run(&self, arguments: &[&str]) -> (i32, String, String) {
        // A script that was written a moment ago may still be open in a child of another test.
        for _ in 0..50 {
            let ended =
                crate::ended(Command::new(self.0.path().join("squbed")).args(arguments).output().unwrap());
            if !ended.2.contains("Text file busy") {
                return ended;
            }
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        panic!("the script stays busy");
    }
}

const VERSION: &str =
    concat!("[ \"$1\" = --version ] && echo squbed ", env!("CARGO_PKG_VERSION"), " && exit 0");
const BENCH: [&str; 8] =
    ["bench", "encode", "--arch", "bert", "--random-weights", "--device", "cuda:1", "--quiet"];

#[test]
fn commands_for_cuda_devices_are_handed_over_with_their_arguments_and_exit_code() {
    let pair = Pair::new(Some(&format!("{VERSION}\necho \"did $*\"; exit 3")));
    let (code, said, _) = pair.run(&BENCH);
    assert_eq!((code, said), (3, format!("did {}\n", BENCH.join(" "))));
    // Nothing else is.
    let (code, said, _) = pair.run(&["vmf", "entropy", "--dim", "3", "--kappa", "2", "--device", "cpu"]);
    assert!(code == 0 && !said.contains("did"), "{said}");
    let (_, said, _) = pair.run(&["devices"]);
    assert!(said.contains("squbed-cuda") && said.contains("usable; "), "{said}");
}

#[test]
fn a_missing_library_is_named_with_its_origin() {
    let words =
        "squbed-cuda: error while loading shared libraries: libcublas.so.13: cannot open shared object file";
    let pair = Pair::new(Some(&format!("echo '{words}: No such file or directory' >&2; exit 127")));
    let (code, said, message) = pair.run(&BENCH);
    assert_eq!((code, said.as_str()), (1, ""));
    assert!(
        message.contains("squbed-cuda does not start: the library libcublas.so.13 is not found"),
        "{message}"
    );
    assert!(
        message.contains("hint: libcublas.so.13 is a part of CUDA 13") && message.contains("LD_LIBRARY_PATH"),
        "{message}"
    );
    let (code, said, _) = pair.run(&["devices"]);
    assert!(code == 0 && said.contains("libcublas.so.13 is not found"), "{said}");
}

#[test]
fn without_it_or_with_another_version_of_it_the_next_step_is_named() {
    let (code, _, message) = Pair::new(None).run(&BENCH);
    assert!(code == 1 && message.contains("device cuda:1 is not in this build"), "{message}");
    assert!(message.contains("hint: `cargo xtask build-cuda`"), "{message}");
    let (code, _, message) = Pair::new(Some("echo squbed 0.0.1")).run(&BENCH);
    assert!(
        code == 1 && message.contains("squbed-cuda is of version 0.0.1, and this program of"),
        "{message}"
    );
    let (code, _, message) = Pair::new(Some("echo broken >&2; exit 9")).run(&BENCH);
    assert!(code == 1 && message.contains("broken") && message.contains("build-cuda"), "{message}");
}

#[test]
fn the_program_under_that_name_does_not_start_itself() {
    let pair = Pair::new(None);
    std::os::unix::fs::symlink("squbed", pair.0.path().join("squbed-cuda")).unwrap();
    let (code, _, message) = pair.run(&BENCH);
    assert!(code == 1 && message.contains("is not in this build"), "{message}");
}
