//! Where a report comes from: the commands that made its folder, and the files that it read.

use std::path::Path;

use super::Folder;
use crate::{error::Result, results, score::METRICS};

/// Digits of a digest that are shown.
const DIGITS: usize = 12;

impl Folder {
    /// The commands that make the folder again, one a line: that of the run, and those of steps by themselves.
    pub(super) fn command(&self) -> String {
        let run = Some(self.record.command.clone()).filter(|command| !command.is_empty());
        let lines: Vec<String> = run.into_iter().chain(self.commands.iter().cloned()).collect();
        lines.join("\n")
    }
}

/// The files that a report is made of, each with the beginning of its digest: a report is that of a folder where these
/// are the same.
pub(super) fn inputs(out: &Path) -> Result<Vec<String>> {
    let mut files = vec!["tasks.jsonl".to_owned(), "accuracy.jsonl".to_owned(), METRICS.to_owned()];
    files.extend(results::estimate_names(out)?.into_iter().map(|name| format!("{name}/uncertainty.jsonl")));
    files.push(results::CALIBRATION.to_owned());
    let mut inputs = Vec::new();
    for file in files {
        let path = out.join(&file);
        if path.is_file() {
            let digest = squbed_store::digest_file(&path)?;
            inputs.push(format!("{file} {}", digest.get(..DIGITS).unwrap_or(&digest)));
        }
    }
    Ok(inputs)
}
