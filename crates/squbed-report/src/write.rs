//! The report on disk.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::{Error, ReportData, names::is_plot_name, plot_png, plot_svg, plots, render};

/// Pixels of a PNG a unit of its SVG.
const SCALE: f32 = 2.0;

/// What [`write()`] wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// `DIR/report.html`.
    pub report: PathBuf,
    /// The plots, each as SVG and as PNG.
    pub plots: Vec<PathBuf>,
}

/// Writes `report.html` and `plots/*.svg`, `plots/*.png` into `dir`, which is made where it is missing.
///
/// Each file appears whole or not at all; the page, which tells that a report is there, comes after its
/// plots. Plots of an earlier report that this one does not have are removed then; files of any other name
/// are left alone. `drawn` is called after each of the [`plots`].
///
/// # Errors
///
/// As [`render`], and where a file cannot be written.
pub fn write(data: &ReportData, dir: &Path, drawn: &dyn Fn()) -> Result<Written, Error> {
    // Everything is made before anything is written.
    let page = render(data)?;
    let mut files = Vec::new();
    for plot in plots(data) {
        files.push((format!("{}.svg", plot.name()), plot_svg(&plot).into_bytes()));
        files.push((format!("{}.png", plot.name()), plot_png(&plot, SCALE)?));
        drawn();
    }
    let folder = dir.join("plots");
    fs::create_dir_all(&folder).map_err(|source| Error::Write { path: folder.clone(), source })?;
    let mut written = Vec::new();
    for (name, bytes) in files {
        let path = folder.join(name);
        write_whole(&path, &bytes)?;
        written.push(path);
    }
    let report = dir.join("report.html");
    write_whole(&report, page.as_bytes())?;
    remove_stale(&folder, &written)?;
    Ok(Written { report, plots: written })
}

/// Removes what has a plot's name and is not among those written.
fn remove_stale(folder: &Path, written: &[PathBuf]) -> Result<(), Error> {
    let read = |source| Error::Write { path: folder.to_owned(), source };
    for entry in fs::read_dir(folder).map_err(read)? {
        let path = entry.map_err(read)?.path();
        let kind = path.extension().is_some_and(|end| end == "svg" || end == "png");
        let plot = path.file_stem().and_then(|stem| stem.to_str()).is_some_and(is_plot_name);
        if kind && plot && !written.contains(&path) {
            fs::remove_file(&path).map_err(|source| Error::Write { path, source })?;
        }
    }
    Ok(())
}

fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    squbed_files::write(path, bytes).map_err(|source| Error::Write { path: path.to_owned(), source })
}
