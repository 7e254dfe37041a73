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
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_squbed"))
        .args(["vmf", "entropy", "--dim", "3", "--kappa", "2"])
        .stdout(full)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
        .wait_with_output()
        .unwrap();
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{message}");
    assert!(message.contains("standard output") && message.contains("hint: no space is left"), "{message}");
}
