//! Progress and notes on stderr where it is a terminal, warnings always.

use std::{
    io::{IsTerminal, Write},
    path::Path,
    sync::Mutex,
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressStyle};
use squbed::progress::Progress;

/// Bars with rates for steps of over two seconds, and notes. With `--quiet`, and where stderr is no terminal, there
/// are neither: a log or a pipe gets warnings, errors and, unless `--quiet`, the place of what was made.
pub(crate) struct Bars {
    /// No bars and no notes.
    quiet: bool,
    /// Nor the place of what was made.
    silent: bool,
    current: Mutex<Option<Step>>,
}

struct Step {
    bar: ProgressBar,
    name: String,
    total: u64,
    unit: String,
    started: Instant,
    drawn: bool,
}

/// A step that is done sooner leaves no trace.
const PATIENCE: Duration = Duration::from_secs(2);

impl Bars {
    pub(crate) fn new(quiet: bool) -> Self {
        let terminal = std::io::stderr().is_terminal();
        Self { quiet: quiet || !terminal, silent: quiet, current: Mutex::new(None) }
    }

    /// Something that the user may like to read once.
    pub(crate) fn note(&self, message: &str) {
        if !self.quiet {
            self.write(message);
        }
    }

    /// Where to find what the command is there for; also where stderr is no terminal.
    pub(crate) fn made(&self, what: &str, path: &Path) {
        if !self.silent {
            self.write(&format!("{what}: {}", path.display()));
        }
    }

    /// A line that does not run into a bar.
    fn write(&self, line: &str) {
        let write = || {
            // A closed stderr leaves nobody to tell.
            let _ = writeln!(std::io::stderr(), "{line}");
        };
        match self.current.lock() {
            Ok(current) if current.as_ref().is_some_and(|step| step.drawn) => {
                current.iter().for_each(|step| step.bar.suspend(write));
            }
            _ => write(),
        }
    }

    fn step(&self, act: impl FnOnce(&mut Step)) {
        if let Ok(mut current) = self.current.lock()
            && let Some(step) = current.as_mut()
        {
            act(step);
        }
    }
}

impl Progress for Bars {
    fn begin(&self, step: &str, total: u64, unit: &str) {
        if let Ok(mut current) = self.current.lock() {
            *current = Some(Step {
                bar: ProgressBar::hidden(),
                name: step.to_owned(),
                total,
                unit: unit.to_owned(),
                started: Instant::now(),
                drawn: false,
            });
        }
    }

    fn advance(&self, by: u64) {
        self.step(|step| {
            if !self.quiet && !step.drawn && step.started.elapsed() > PATIENCE {
                let done = step.bar.position();
                step.bar = ProgressBar::new(step.total).with_elapsed(step.started.elapsed());
                step.bar.set_style(style(&step.unit));
                step.bar.set_message(step.name.clone());
                step.bar.set_position(done);
                step.bar.enable_steady_tick(Duration::from_millis(200));
                step.drawn = true;
            }
            step.bar.inc(by);
        });
    }

    fn end(&self) {
        self.step(|step| step.bar.finish());
    }

    /// Quiet or not.
    fn warn(&self, message: &str) {
        self.write(&format!("warning: {message}"));
    }
}

fn style(unit: &str) -> ProgressStyle {
    let template =
        format!("{{msg:<18}} {{bar:30}} {{pos}}/{{len}} {unit}  {{per_sec}}  {{elapsed}} < {{eta}}");
    ProgressStyle::with_template(&template).unwrap_or_else(|_| ProgressStyle::default_bar())
}
