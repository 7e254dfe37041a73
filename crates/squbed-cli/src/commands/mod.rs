//! One file a command: its flags, and what it prints.

pub(crate) mod aleatoric;
pub(crate) mod bench;
pub(crate) mod calibrate;
pub(crate) mod dataset;
pub(crate) mod demo;
pub(crate) mod devices;
pub(crate) mod embed;
pub(crate) mod estimate;
pub(crate) mod generate;
pub(crate) mod limits;
pub(crate) mod models;
pub(crate) mod pair;
pub(crate) mod plan;
pub(crate) mod probe;
pub(crate) mod refine;
pub(crate) mod run;
pub(crate) mod score;
pub(crate) mod sim;
pub(crate) mod stats;
pub(crate) mod vmf;

use std::{collections::BTreeSet, path::Path};

use squbed::{
    progress::Progress,
    store::Failure,
    tensor::{DType, Device, device},
};

use crate::{Common, Done, output::tell, progress::Bars};

/// The device and dtype of the common options.
pub(crate) fn place(common: &Common) -> squbed::Result<(Device, DType)> {
    let device = device::select_device(&common.device)?;
    let dtype = device::select_dtype(&common.dtype, &device)?;
    Ok((device, dtype))
}

/// What the user typed, for the record, as a shell takes it.
pub(crate) fn command_line() -> String {
    let words: Vec<String> = std::env::args().skip(1).map(|word| quoted(&word)).collect();
    format!("squbed {}", words.join(" "))
}

/// A word that a shell leaves as it is; in quotes where it would not.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "-_./=:,+%@~".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

/// Keeps the command of a step in the folder that it wrote into, and says where a report there is older.
pub(crate) fn record_step(folder: &Path, step: &str, bars: &Bars) -> anyhow::Result<()> {
    squbed::results::record_command(folder, step, &command_line())?;
    if squbed::results::has_report(folder) {
        bars.warn(&format!(
            "the report in {} is older than these results; `squbed report {}` makes it anew",
            folder.display(),
            quoted(&folder.display().to_string())
        ));
    }
    Ok(())
}

/// Replaces the rows of `steps` in `failures.jsonl` of `folder`, says so, and gives the command's end. Of the step
/// `embed`, which several commands share, only rows of the videos `tried` now are replaced.
pub(crate) fn record_failures(
    folder: &Path,
    steps: &[&str],
    tried: &[&Path],
    failures: &[Failure],
    bars: &Bars,
) -> anyhow::Result<Done> {
    let path = folder.join(squbed::results::FAILURES);
    let tried: BTreeSet<String> = tried.iter().map(|path| path.display().to_string()).collect();
    let mut rows = squbed::store::read_failures(&path).map_err(squbed::Error::from)?;
    rows.retain(|row| row.step == "embed" && steps.contains(&"embed") && !tried.contains(&row.item));
    rows.extend_from_slice(failures);
    squbed::results::write_failures(folder, steps, &rows)?;
    if failures.is_empty() {
        return Ok(Done::Whole);
    }
    bars.warn(&format!("{} item(s) failed; see {}", failures.len(), path.display()));
    Ok(Done::WithFailures)
}

/// Ends a command whose every item failed, which leaves no result.
pub(crate) fn nothing(what: &str, failures: &[Failure], folder: &Path) -> Done {
    let first = failures.first();
    let layers = first.map(|f| format!("{} failed at `{}`: {}", f.step, f.item, f.error));
    let layers: Vec<String> = std::iter::once(what.to_owned()).chain(layers).collect();
    let remedy = first.map(|f| format!("{}. ", f.hint)).filter(|_| first.is_some_and(|f| !f.hint.is_empty()));
    let hint = format!(
        "{}{} lists all {} failure(s), each with what to do; then run the same command again, what is finished is kept",
        remedy.unwrap_or_default(),
        folder.join(squbed::results::FAILURES).display(),
        failures.len()
    );
    tell("error", &layers, Some(&hint));
    Done::Nothing
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn a_command_can_be_pasted() {
        assert_eq!(quoted("--metric=ssim,psnr"), "--metric=ssim,psnr");
        assert_eq!(quoted("/tmp/my results"), "'/tmp/my results'");
        assert_eq!(quoted("it's"), r"'it'\''s'");
        assert_eq!((quoted(""), quoted("$HOME")), ("''".to_owned(), "'$HOME'".to_owned()));
    }
}
