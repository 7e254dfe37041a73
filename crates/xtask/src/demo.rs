//! `cargo xtask demo`: the method on the closed world, with a report at the end.

use std::{path::PathBuf, process::ExitCode, time::Instant};

use crate::{
    exec::{Exec, Failure},
    setup::{self, Profile},
    steps::{Outcome, Steps, seconds},
    workspace::Workspace,
};

/// The exit code by which the program says that it finished, but a floor was missed or items failed.
const NOT_WHOLE: i32 = 3;

/// Where the report goes unless `--out` says otherwise.
const OUT: &str = "demo-out";

/// `cargo xtask demo [-- ARGS…]`.
pub(crate) fn command(workspace: &Workspace, args: &[String]) -> Result<ExitCode, Failure> {
    let args = args.strip_prefix(&["--".to_owned()]).unwrap_or(args);
    let out = value_of(args, "--out").map(PathBuf::from);
    let held = floors_held(args);
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
            Some(0) => Ok((Outcome::Done(held), 0)),
            Some(NOT_WHOLE) => Ok((Outcome::Done("a floor was MISSED, or items FAILED".to_owned()), 3)),
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
        eprintln!("a floor was missed or items failed; the report says which");
    }
    Ok(ExitCode::from(code))
}

/// What an end without a miss means: which floors were held against what.
fn floors_held(args: &[String]) -> String {
    if value_of(args, "--world").is_some_and(|world| world != "realm") {
        return "done; no floor binds this world".to_owned();
    }
    if args.iter().any(|arg| arg == "--all-seeds") {
        return "every floor holds for the median over the seeds".to_owned();
    }
    let seed = value_of(args, "--seed").unwrap_or("1");
    format!(
        "every floor holds for seed {seed} alone; they are meant for the median over seeds 1 to 5: \
         cargo xtask demo -- --all-seeds"
    )
}

/// The value of an option among the arguments, by the words that the program itself takes.
fn value_of<'a>(args: &'a [String], option: &str) -> Option<&'a str> {
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        if arg == option {
            return args.next().map(String::as_str);
        }
        if let Some(value) = arg.strip_prefix(option).and_then(|rest| rest.strip_prefix('=')) {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        line.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn an_option_is_found_among_the_arguments() {
        let out = |line: &str| value_of(&words(line), "--out").map(str::to_owned);
        assert_eq!(out("--tasks 12 --out here --seed 1").as_deref(), Some("here"));
        assert_eq!(out("--out=there").as_deref(), Some("there"));
        assert_eq!(out("--output x"), None);
        assert_eq!(out("--tasks 12"), None);
        assert_eq!(out("--out"), None);
    }

    #[test]
    fn only_what_ran_is_said_to_hold() {
        let said = |line: &str| floors_held(&words(line));
        assert!(said("").starts_with("every floor holds for seed 1 alone"));
        assert!(said("--seed 4 --out x").starts_with("every floor holds for seed 4 alone"));
        assert_eq!(said("--all-seeds"), "every floor holds for the median over the seeds");
        assert_eq!(said("--world value"), "done; no floor binds this world");
    }
}
