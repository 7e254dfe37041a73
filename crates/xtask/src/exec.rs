//! Programs that xtask starts, and how it speaks of one that failed.

use std::{
    ffi::{OsStr, OsString},
    fmt,
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Stdio},
};

/// What failed, and what to do about it.
#[derive(Debug)]
pub(crate) struct Failure {
    /// What failed.
    pub(crate) what: String,
    /// What the reader can do next.
    pub(crate) remedy: String,
}

impl Failure {
    pub(crate) fn new(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { what: what.into(), remedy: remedy.into() }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}\nhint: {}", self.what, self.remedy.replace('\n', "\n      "))
    }
}

/// A command to run: a program, its arguments, variables of its own.
#[derive(Clone, Debug)]
pub(crate) struct Exec {
    program: OsString,
    args: Vec<OsString>,
    envs: Vec<(&'static str, OsString)>,
    dir: Option<PathBuf>,
}

impl Exec {
    pub(crate) fn new(program: impl AsRef<OsStr>) -> Self {
        Self { program: program.as_ref().to_owned(), args: Vec::new(), envs: Vec::new(), dir: None }
    }

    /// A command from words without spaces in them.
    pub(crate) fn words(line: &str) -> Self {
        let mut words = line.split_whitespace();
        Self::new(words.next().unwrap_or_default()).args(words)
    }

    pub(crate) fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    pub(crate) fn args<A: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args.extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    pub(crate) fn env(mut self, name: &'static str, value: impl AsRef<OsStr>) -> Self {
        self.envs.push((name, value.as_ref().to_owned()));
        self
    }

    pub(crate) fn dir(mut self, dir: &Path) -> Self {
        self.dir = Some(dir.to_owned());
        self
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.args).envs(self.envs.iter().map(|(name, value)| (name, value)));
        if let Some(dir) = &self.dir {
            command.current_dir(dir);
        }
        command
    }

    /// Whether the program is there and ends well; its output is dropped.
    pub(crate) fn succeeds(&self) -> bool {
        self.output().is_some()
    }

    /// Standard output, trimmed, if the program is there and ends well; the rest of its output is dropped.
    pub(crate) fn output(&self) -> Option<String> {
        let output = self.command().stdin(Stdio::null()).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    /// Standard output, or both outputs and the status where the program does not end well.
    pub(crate) fn capture(&self) -> Result<String, String> {
        let output =
            self.command().stdin(Stdio::null()).output().map_err(|error| self.not_started(&error))?;
        let stdout = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        if output.status.success() {
            return Ok(stdout);
        }
        let stderr = String::from_utf8_lossy(&output.stderr);
        Err(format!("`{self}` ended with {}\n{stdout}\n{}", output.status, stderr.trim())
            .trim_end()
            .to_owned())
    }

    /// Runs the program in view: the command line is shown, its output goes where ours goes.
    pub(crate) fn status(&self) -> Result<ExitStatus, String> {
        eprintln!("      $ {self}");
        self.command().stdin(Stdio::null()).status().map_err(|error| self.not_started(&error))
    }

    /// Runs the program in view; anything but success is an error.
    pub(crate) fn run(&self) -> Result<(), String> {
        let status = self.status()?;
        if status.success() { Ok(()) } else { Err(format!("`{self}` ended with {status}")) }
    }

    /// Runs the program in view and hands each line of its standard output to `see` as well.
    pub(crate) fn run_watched(&self, mut see: impl FnMut(&str)) -> Result<(), String> {
        eprintln!("      $ {self}");
        let mut child = self
            .command()
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| self.not_started(&error))?;
        if let Some(stdout) = child.stdout.take() {
            let mut reader = BufReader::new(stdout);
            let mut line = Vec::new();
            while matches!(reader.read_until(b'\n', &mut line), Ok(1..)) {
                // Where nobody reads our own output any more, the program still runs to its end.
                let _ = std::io::stdout().write_all(&line);
                see(String::from_utf8_lossy(&line).trim_end());
                line.clear();
            }
        }
        let status = child.wait().map_err(|error| self.not_started(&error))?;
        if status.success() { Ok(()) } else { Err(format!("`{self}` ended with {status}")) }
    }

    fn not_started(&self, error: &std::io::Error) -> String {
        format!("could not run `{self}`: {error}")
    }
}

impl fmt::Display for Exec {
    /// The line that a person would type.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, value) in &self.envs {
            write!(f, "{name}={} ", quoted(value))?;
        }
        f.write_str(&quoted(&self.program))?;
        self.args.iter().try_for_each(|arg| write!(f, " {}", quoted(arg)))
    }
}

/// A word as a shell takes it.
fn quoted(word: &OsStr) -> String {
    let word = word.to_string_lossy();
    let plain = |c: char| c.is_alphanumeric() || "-_./=:,+@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.into_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_prints_as_a_shell_takes_it() {
        let exec = Exec::words("cargo doc --workspace").env("RUSTDOCFLAGS", "-D warnings").arg("it's");
        assert_eq!(exec.to_string(), r"RUSTDOCFLAGS='-D warnings' cargo doc --workspace 'it'\''s'");
    }

    #[test]
    fn a_missing_program_is_no_success_and_is_named() {
        let exec = Exec::new("no-such-program-here");
        assert!(!exec.succeeds());
        assert!(exec.capture().unwrap_err().starts_with("could not run `no-such-program-here`"));
    }

    #[cfg(unix)]
    #[test]
    fn a_failed_program_keeps_its_words() {
        let error = Exec::new("sh").args(["-c", "echo out; echo err >&2; exit 7"]).capture().unwrap_err();
        assert!(error.contains("out") && error.contains("err") && error.contains('7'), "{error}");
    }

    #[test]
    fn a_failure_has_a_hint_line() {
        let failure = Failure::new("no network", "connect\nthen run again");
        assert_eq!(failure.to_string(), "error: no network\nhint: connect\n      then run again");
    }
}
