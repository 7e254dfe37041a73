//! `cargo xtask demo`: the method on the closed world, with a report at the end.

use std::{path::PathBuf, process::ExitCode, time::Instant};

use crate::{
    exec::{Exec, Failure},
    setup::{self, Profile},
    steps::{Outcome, Steps, seconds},
    workspace::Workspace,
};

/// The exit code by which the program says that it finished, but an estimate missed its floor.
const FLOOR_MISSED: i32 = 3;

/// Where the report goes unless `--out` says otherwise.
const OUT: &str = "demo-out";

/// `cargo xtask demo [-- ARGS…]`.
pub(crate) fn command(workspace: &Workspace, args: &[String]) -> Result<ExitCode, Failure> {
    let args = args.strip_prefix(&["--".to_owned()]).unwrap_or(args);
    let out = out_of(args);
    let mut steps = Steps::new(setup::STEPS + 2);
    setup::run(workspace, &mut steps, Profile::Release, &[])?;
    steps.need("build", || {
        setup::build(workspace, Profile::Release)?;
        Ok((Outcome::Done(Profile::Release.program(workspace).display().to_string()), ()))
    })?;
    let report = out.clone().unwrap_or_else(|| workspace.root.join(OUT)).join("report.html");
    let mut demo = Exec::new(Profile::Release.program(workspace)).arg("demo");
    if out.is_none() {
        demo = demo.arg("--out").arg(workspace.root.join(OUT));
    }
    let demo = demo.args(args).env("SQUBED_HOME", &workspace.home);
    let began = Instant::now();
    let code = steps.need("demonstration", || {
        let status = demo.status().map_err(|error| Failure::new(error, "run `cargo xtask demo` again"))?;
        match status.code() {
            Some(0) => Ok((Outcome::Done("every floor holds".to_owned()), 0)),
            Some(FLOOR_MISSED) => Ok((Outcome::Done("an estimate MISSED its floor".to_owned()), 3)),
            _ => Err(Failure::new(
                format!("`{demo}` ended with {status}"),
                "the message above says what to do; a second run takes up what this one finished",
            )),
        }
    })?;
    if !report.exists() {
        // `--help` and the like.
        return Ok(ExitCode::from(code));
    }
    let time = seconds(began.elapsed());
    let all = seconds(steps.elapsed());
    eprintln!("\nreport: {} (demonstration {time}, all steps {all})", report.display());
    if code != 0 {
        eprintln!("an estimate missed its floor; the report says which and by how much");
    }
    Ok(ExitCode::from(code))
}

/// The value of `--out` among the arguments, by the words that the program itself takes.
fn out_of(args: &[String]) -> Option<PathBuf> {
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        if arg == "--out" {
            return args.next().map(PathBuf::from);
        }
        if let Some(value) = arg.strip_prefix("--out=") {
            return Some(value.into());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_out_folder_is_found_among_the_arguments() {
        let out = |line: &str| out_of(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>());
        assert_eq!(out("--tasks 12 --out here --seed 1"), Some("here".into()));
        assert_eq!(out("--out=there"), Some("there".into()));
        assert_eq!(out("--tasks 12"), None);
        assert_eq!(out("--out"), None);
    }
}
