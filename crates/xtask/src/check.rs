//! `cargo xtask test`: every check, one after the other. A failed one does not stop the rest, so that one
//! run shows everything that is wrong.

use std::process::ExitCode;

use crate::{
    cuda,
    exec::{Exec, Failure},
    setup::{self, Profile},
    steps::{Outcome, Steps},
    workspace::Workspace,
};

/// Checks after the set-up.
const CHECKS: usize = 7;

/// Lint levels are the workspace's own; here every warning is an error.
const CLIPPY: &str = "clippy --locked --workspace --all-targets --quiet -- -D warnings";
const DOC: &str = "doc --locked --workspace --no-deps --quiet";
const TEST: &str = "test --locked --workspace --no-fail-fast";
/// All crates at once: what does not know Candle is as clippy has it, and not checked anew.
const CUDA: &str = "check --locked --workspace --features squbed-cli/cudnn,squbed-tests/cudnn --quiet";
const WITHOUT_FFMPEG: &str = "check --locked -p squbed-cli --no-default-features --quiet";

/// `cargo xtask test`.
pub(crate) fn command(workspace: &Workspace) -> Result<ExitCode, Failure> {
    let mut steps = Steps::new(setup::STEPS + CHECKS);
    setup::run(workspace, &mut steps, Profile::Tests, &["rustfmt", "clippy"])?;
    steps.check("format", || {
        let check = workspace.cargo("fmt --all --check");
        passed(&check, "`cargo fmt --all` puts it right", "as rustfmt writes it")
    });
    steps.check("tests", || tests(workspace));
    steps.check("clippy", || {
        passed(&offline(workspace, CLIPPY), &format!("again: cargo {CLIPPY}"), "no warning")
    });
    steps.check("docs", || {
        let doc = offline(workspace, DOC).env("RUSTDOCFLAGS", "-D warnings");
        passed(&doc, &format!("again: RUSTDOCFLAGS='-D warnings' cargo {DOC}"), "no warning")
    });
    steps.check("without FFmpeg", || {
        let check = offline(workspace, WITHOUT_FFMPEG);
        passed(&check, &format!("again: cargo {WITHOUT_FFMPEG}"), "squbed-cli checks with no default feature")
    });
    steps.check("CUDA, without nvcc", || cuda(workspace));
    steps.check("cargo-deny", || deny(workspace));

    eprintln!("\n{}", steps.table());
    match steps.failed() {
        0 => {
            eprintln!("\nevery check passed");
            Ok(ExitCode::SUCCESS)
        }
        1 => Err(Failure::new("a check failed", "its row above says what to run again")),
        n => Err(Failure::new(format!("{n} checks failed"), "their rows above say what to run again")),
    }
}

/// cargo without network: what the set-up fetched is enough from here on.
fn offline(workspace: &Workspace, words: &str) -> Exec {
    workspace.cargo(words).env("CARGO_NET_OFFLINE", "true")
}

fn passed(exec: &Exec, remedy: &str, note: &str) -> Result<Outcome, Failure> {
    exec.run().map_err(|error| Failure::new(error, remedy))?;
    Ok(Outcome::Done(note.to_owned()))
}

/// Unit, integration and doc tests, the crate edges among them.
fn tests(workspace: &Workspace) -> Result<Outcome, Failure> {
    let mut counts = Counts::default();
    let run =
        offline(workspace, TEST).env("SQUBED_HOME", &workspace.home).run_watched(|line| counts.see(line));
    let Counts { passed, failed, ignored } = counts;
    let counted = format!("{passed} passed, {failed} failed, {ignored} ignored");
    match run {
        Ok(()) => Ok(Outcome::Done(counted)),
        Err(error) => Err(Failure::new(error, format!("{counted}; again: cargo {TEST}"))),
    }
}

/// The types of what calls CUDA, kernels left out: nvcc is not needed, nor a GPU.
fn cuda(workspace: &Workspace) -> Result<Outcome, Failure> {
    if !cfg!(unix) {
        return Ok(Outcome::Skipped("on Linux and macOS alone".to_owned()));
    }
    let variables = cuda::without_nvcc(workspace)?;
    let check =
        variables.into_iter().fold(offline(workspace, CUDA), |check, (name, value)| check.env(name, value));
    passed(&check, "again: cargo xtask test; with kernels: cargo xtask build-cuda", "all checks with cudnn")
}

/// cargo-deny as `deny.toml` says, where it is installed. Advisories are left out: they need network.
fn deny(workspace: &Workspace) -> Result<Outcome, Failure> {
    if !Exec::words("cargo deny --version").succeeds() {
        let how = "not installed (`cargo install --locked cargo-deny`)";
        return Ok(Outcome::Skipped(how.to_owned()));
    }
    let check = workspace.cargo("deny --locked --offline check licenses bans sources");
    passed(&check, "again: cargo deny check licenses bans sources", "licenses, bans, sources")
}

/// Sums of the closing lines that test programs print.
#[derive(Debug, Default, PartialEq)]
struct Counts {
    passed: usize,
    failed: usize,
    ignored: usize,
}

impl Counts {
    /// `test result: ok. 12 passed; 0 failed; 1 ignored; …`; any other line counts nothing.
    fn see(&mut self, line: &str) {
        let Some(result) = line.trim().strip_prefix("test result: ") else { return };
        let words: Vec<&str> = result.split([' ', ';', '.']).filter(|word| !word.is_empty()).collect();
        for pair in words.windows(2) {
            let Ok(count) = pair[0].parse::<usize>() else { continue };
            match pair[1] {
                "passed" => self.passed += count,
                "failed" => self.failed += count,
                "ignored" => self.ignored += count,
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closing_lines_are_summed() {
        let mut counts = Counts::default();
        counts.see(
            "test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 3 filtered out; finished in 0.04s",
        );
        counts.see("test tests::a_test ... ok");
        counts.see("test result: FAILED. 2 passed; 3 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.00s");
        assert_eq!(counts, Counts { passed: 14, failed: 3, ignored: 1 });
    }
}
