//! Limits of the system, and pipes.

use super::*;

/// A file that may not grow further ends its writer with a message, not the program without one.
#[cfg(unix)]
#[test]
fn a_file_past_the_user_s_limit_is_told_with_the_remedy() {
    let home = tempfile::tempdir().unwrap();
    let out = home.path().join("x.npy");
    let line = "ulimit -f 8; exec \"$0\" vmf sample --dim 8 --kappa 3 --count 4000 --out \"$1\"";
    let mut command = Command::new("sh");
    let (code, _, told) =
        ended(command.args(["-c", line, env!("CARGO_BIN_EXE_squbed"), text(&out)]).output().unwrap());
    assert_eq!(code, 1, "{told}");
    assert!(told.contains("x.npy") && told.contains("ulimit -f"), "{told}");
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0);
}

#[test]
fn samples_go_through_a_pipe_into_a_fit() {
    let rows =
        squbed(&["vmf", "sample", "--dim", "3", "--kappa", "50", "--count", "400", "--format", "json"]);
    let rows = String::from_utf8(rows.stdout).unwrap();
    let fit = with_stdin(&["vmf", "fit", "-", "--format", "json"], &rows);
    let fits: Value = serde_json::from_slice(&fit.stdout).unwrap();
    assert_eq!((fits[0]["m"].as_u64(), fits[0]["dim"].as_u64()), (Some(400), Some(3)));
    let kappa = fits[0]["kappa"].as_f64().unwrap();
    assert!((40.0..62.0).contains(&kappa), "{kappa}");
    let (code, _, told) = ended(with_stdin(&["vmf", "fit", "-"], "[[1, 2"));
    assert!(code == 1 && told.contains("- is no JSON"), "{told}");
}

/// A place that cannot be written is known before anything is read, let alone embedded.
#[test]
fn what_cannot_be_written_is_told_before_the_work() {
    let home = tempfile::tempdir().unwrap();
    let path = |name: &str| home.path().join(name).to_str().unwrap().to_owned();
    fs::write(path("file"), "").unwrap();
    fs::create_dir(path("folder.npy")).unwrap();
    let (file, below, good) = (path("file"), path("file/x.jsonl"), path("good"));
    let folder = path("folder.npy");
    let experiment = |name: &str, out: &str, cache: &str| {
        let text =
            format!("out = \"{out}\"\ntasks = {{ file = \"none.jsonl\" }}\n[embed]\ncache = \"{cache}\"\n");
        fs::write(path(name), text).unwrap();
        path(name)
    };
    let cache_in_place = experiment("cache.toml", "good", "file");
    let out_in_place = experiment("out.toml", "file", "good");
    let world = ["sim", "world", "--tasks", "1", "--latents", "2", "--videos", "2", "--out"];
    let video = ["embed", "video", "--model", "i3d-kinetics-400", "none.mp4"];
    let y = path("y.npy");
    for arguments in [
        &["estimate", "none.jsonl", "--cache", &good, "--out", &file][..],
        &["estimate", "none.jsonl", "--cache", &file, "--out", &good],
        &["score", "none.jsonl", "--cache", &good, "--out", &file],
        &["score", "none.jsonl", "--cache", &file, "--out", &good],
        &[&video[..], &["--out", &y, "--cache", &file]].concat(),
        &[&video[..], &["--out", &path("file/y.npy")]].concat(),
        &[&video[..], &["--out", &folder]].concat(),
        &["embed", "text", "--model", "all-MiniLM-L6-v2", "none.txt", "--out", &folder],
        &["run", &cache_in_place],
        &["run", &out_in_place],
        &["calibrate", &file],
        &["report", &file],
        &["refine", "none.jsonl", "--out", &below],
        &["generate", "none.jsonl", "--out", &below],
        &["generate", "none.jsonl", "--videos", &file, "--out", &path("good.jsonl")],
        &[&world[..], &[&file]].concat(),
        &["demo", "--out", &file],
        &["dataset", "classify", "none.jsonl", "--out", &below],
        &["dataset", "sample", "none.jsonl", "--per-category", "1", "--out", &below],
        &["models", "convert", "none.ckpt", &below],
    ] {
        let (code, message) = failure(arguments);
        assert_eq!(code, 1, "{arguments:?}: {message}");
        assert!(message.starts_with("error: cannot write "), "{arguments:?}: {message}");
        assert!(message.contains(&file) || message.contains(&folder), "{arguments:?}: {message}");
        assert!(message.contains("hint: choose another name"), "{arguments:?}: {message}");
    }
    let mut left: Vec<_> = fs::read_dir(home.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["cache.toml", "file", "folder.npy", "out.toml"]);
}

/// A folder that takes no files, from its permissions; root is stopped by none.
#[cfg(unix)]
#[test]
fn a_folder_without_permission_is_told_before_the_work() {
    use std::os::unix::fs::PermissionsExt;
    let home = tempfile::tempdir().unwrap();
    let out = home.path().join("out");
    fs::create_dir(&out).unwrap();
    fs::set_permissions(&out, fs::Permissions::from_mode(0o555)).unwrap();
    let root = fs::write(out.join("probe"), "").is_ok();
    let (code, message) =
        failure(&["estimate", "none.jsonl", "--cache", text(home.path()), "--out", text(&out)]);
    assert_eq!(code, 1);
    if root {
        assert!(message.contains("none.jsonl"), "{message}");
    } else {
        assert!(message.contains("cannot write") && message.contains("change its permissions"), "{message}");
    }
}

/// The report again where no file may grow beyond 4 KiB: one message with path and remedy, and the report
/// that stands there is left as it is.
#[cfg(unix)]
pub(crate) fn a_disk_that_takes_no_more_is_told(results: &Path) {
    let before = fs::read(results.join("report.html")).unwrap();
    let output = Command::new("sh")
        .args(["-c", "ulimit -f 8; exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_squbed")])
        .args(["report", text(results)])
        .output()
        .unwrap();
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{message}");
    assert!(message.contains("cannot write") && message.contains(text(&results.join("plots"))), "{message}");
    assert!(message.contains("hint: a file may not become that large"), "{message}");
    assert_eq!(fs::read(results.join("report.html")).unwrap(), before);
}

#[cfg(not(unix))]
pub(crate) fn a_disk_that_takes_no_more_is_told(_: &Path) {}

#[cfg(target_os = "linux")]
#[test]
fn a_full_output_is_told_with_the_remedy() {
    for arguments in [
        &["vmf", "entropy", "--dim", "3", "--kappa", "2"][..],
        &["vmf", "sample", "--dim", "3", "--kappa", "2", "--count", "3"],
        &["models", "list"],
    ] {
        let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let output = Command::new(env!("CARGO_BIN_EXE_squbed"))
            .args(arguments)
            .stdout(full)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
            .wait_with_output()
            .unwrap();
        let message = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{message}");
        assert!(message.contains("error: cannot write to standard output"), "{message}");
        // No folder was chosen, so none is to be chosen anew.
        assert!(message.contains("hint: standard output goes") && !message.contains("folder"), "{message}");
    }
}
