//! Numbered steps with their times.

use std::{
    fmt::Write,
    time::{Duration, Instant},
};

use crate::exec::Failure;

/// How a step ended, when it did not fail.
#[derive(Debug, PartialEq)]
pub(crate) enum Outcome {
    /// It did its work.
    Done(String),
    /// There was nothing left to do.
    Already(String),
    /// It was left out, for this reason.
    Skipped(String),
}

/// A row of the table at the end.
struct Row {
    name: &'static str,
    result: &'static str,
    time: Duration,
    note: String,
}

/// The steps of one command.
pub(crate) struct Steps {
    total: usize,
    rows: Vec<Row>,
    failed: usize,
    start: Instant,
}

impl Steps {
    /// For a command of `total` steps.
    pub(crate) fn new(total: usize) -> Self {
        Self { total, rows: Vec::new(), failed: 0, start: Instant::now() }
    }

    /// Runs a step that the following ones need: its failure ends the command.
    pub(crate) fn need<T>(
        &mut self,
        name: &'static str,
        work: impl FnOnce() -> Result<(Outcome, T), Failure>,
    ) -> Result<T, Failure> {
        let began = self.begin(name);
        match work() {
            Ok((outcome, value)) => {
                self.end(name, began, outcome);
                Ok(value)
            }
            Err(failure) => {
                eprintln!("      failed after {}", seconds(began.elapsed()));
                Err(failure)
            }
        }
    }

    /// Runs a step that stands alone: its failure is kept for the table, and the command goes on.
    pub(crate) fn check(&mut self, name: &'static str, work: impl FnOnce() -> Result<Outcome, Failure>) {
        let began = self.begin(name);
        match work() {
            Ok(outcome) => self.end(name, began, outcome),
            Err(failure) => {
                let time = began.elapsed();
                eprintln!("{failure}\n      failed after {}", seconds(time));
                self.failed += 1;
                self.rows.push(Row { name, result: "FAILED", time, note: first_line(&failure.remedy) });
            }
        }
    }

    /// Checks that failed.
    pub(crate) fn failed(&self) -> usize {
        self.failed
    }

    /// Time since the first step.
    pub(crate) fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    fn begin(&self, name: &str) -> Instant {
        eprintln!("[{}/{}] {name}", self.rows.len() + 1, self.total);
        Instant::now()
    }

    fn end(&mut self, name: &'static str, began: Instant, outcome: Outcome) {
        let time = began.elapsed();
        let (result, note) = match outcome {
            Outcome::Done(note) => ("ok", note),
            Outcome::Already(note) => ("ready", note),
            Outcome::Skipped(note) => ("skipped", note),
        };
        eprintln!("      {result}, {}: {note}", seconds(time));
        self.rows.push(Row { name, result, time, note });
    }

    /// All steps so far as a table, one a line.
    pub(crate) fn table(&self) -> String {
        let width = self.rows.iter().map(|row| row.name.len()).max().unwrap_or_default();
        let mut table = String::new();
        for Row { name, result, time, note } in &self.rows {
            // Writing into a String cannot fail.
            let _ = writeln!(table, "{name:width$}  {result:7}  {:>8}  {note}", seconds(*time));
        }
        let _ = write!(table, "{:width$}  {:7}  {:>8}", "in all", "", seconds(self.elapsed()));
        table
    }
}

/// `0.3 s`, `72 s`, `12 min 5 s`.
pub(crate) fn seconds(time: Duration) -> String {
    match time.as_secs_f64() {
        s if s < 9.95 => format!("{s:.1} s"),
        s if s < 99.5 => format!("{s:.0} s"),
        s => {
            let s = s.round() as u64;
            format!("{} min {} s", s / 60, s % 60)
        }
    }
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_short() {
        let show = |s: f64| seconds(Duration::from_secs_f64(s));
        assert_eq!(show(0.04), "0.0 s");
        assert_eq!(show(9.94), "9.9 s");
        assert_eq!(show(9.96), "10 s");
        assert_eq!(show(99.4), "99 s");
        assert_eq!(show(119.7), "2 min 0 s");
        assert_eq!(show(3600.0), "60 min 0 s");
    }

    #[test]
    fn a_failed_check_does_not_stop_the_others_and_stands_in_the_table() {
        let mut steps = Steps::new(3);
        steps.check("one", || Err(Failure::new("it broke", "run again: one\nor two")));
        steps.check("two", || Ok(Outcome::Done("fine".to_owned())));
        steps.check("three", || Ok(Outcome::Skipped("not here".to_owned())));
        assert_eq!(steps.failed(), 1);
        let table = steps.table();
        let rows: Vec<Vec<&str>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(rows[0][..2], ["one", "FAILED"]);
        assert!(table.contains("run again: one") && !table.contains("or two"));
        assert_eq!(rows[1][..2], ["two", "ok"]);
        assert_eq!(rows[2][..2], ["three", "skipped"]);
    }

    #[test]
    fn a_needed_step_that_fails_ends_the_command() {
        let mut steps = Steps::new(1);
        let failure = steps.need::<()>("one", || Err(Failure::new("a", "b"))).unwrap_err();
        assert_eq!(failure.what, "a");
    }
}
