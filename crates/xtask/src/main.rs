//! Set-up, checks and the demonstration, each one command: `cargo xtask setup`, `test` and `demo`; and `build-cuda`.
//!
//! Only the standard library is used and no other crate of the workspace, so that this program builds on a
//! bare machine and can then install what the others need. It talks on stderr; exit code 0 is success, 1
//! something that the message asks you to do or a check that failed, 2 a command that does not exist, 3 a
//! floor that the demonstration missed, or items of it that failed.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command-line program")]

mod check;
mod cuda;
mod demo;
mod exec;
mod setup;
mod steps;
mod workspace;

use std::process::ExitCode;

use workspace::Workspace;

const HELP: &str = "\
Set-up, checks and the demonstration of squbed.

Usage: cargo xtask COMMAND

Commands:
  setup                 install what is missing: packages of the system, test videos, models
  test                  set up, then every check: format, clippy, docs, tests, crate edges, cargo-deny
  demo [-- ARGS…]       set up, build and run the method on the closed world; ARGS go to `squbed demo`
  build-cuda [-- ARGS…] `squbed-cuda` for NVIDIA GPUs, which this machine needs not have; ARGS go to `cargo build`
  help                  this text

Each command says its steps and does not redo finished work.

Environment:
  SQUBED_HOME           where models and test videos are kept
                        (default: $XDG_CACHE_HOME/squbed, else ~/.cache/squbed; macOS: ~/Library/Caches/squbed)
  NVCC, CUDA_HOME       CUDA's compiler or its folder, for build-cuda (default: on the PATH, else from PyPI)
  CUDA_COMPUTE_CAP      the oldest GPU that build-cuda builds for (default: 80, which is compute capability 8.0)
  PYTHON                the Python 3 whose pip fetches from PyPI (default: python3)
  CARGO_TARGET_DIR      where everything is built (default: target)

Exit codes: 0 success; 1 a step failed, the message says what to do; 2 no such command;
            3 the demonstration ran, but a floor was missed or items failed
";

const HINT: &str =
    "hint: the commands are setup, test, demo and build-cuda; `cargo xtask help` describes them";

fn main() -> ExitCode {
    let args: Vec<String> =
        std::env::args_os().skip(1).map(|arg| arg.to_string_lossy().into_owned()).collect();
    let (command, rest) = match args.split_first() {
        Some((command, rest)) => (command.as_str(), rest),
        None => ("help", &[][..]),
    };
    let run: fn(&Workspace, &[String]) -> Result<ExitCode, exec::Failure> = match command {
        "setup" if rest.is_empty() => |workspace, _| setup::command(workspace),
        "test" if rest.is_empty() => |workspace, _| check::command(workspace),
        "demo" => demo::command,
        "build-cuda" => cuda::command,
        "help" | "-h" | "--help" => {
            print!("{HELP}");
            return ExitCode::SUCCESS;
        }
        "setup" | "test" => {
            eprintln!("error: `cargo xtask {command}` takes no argument, got `{}`\n{HINT}", rest.join(" "));
            return ExitCode::from(2);
        }
        unknown => {
            eprintln!("error: there is no command `{unknown}`\n{HINT}");
            return ExitCode::from(2);
        }
    };
    match Workspace::find().and_then(|workspace| run(&workspace, rest)) {
        Ok(code) => code,
        Err(failure) => {
            eprintln!("\n{failure}");
            ExitCode::FAILURE
        }
    }
}
