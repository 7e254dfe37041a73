//! The report on disk.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::{
    Error, ReportData,
    names::is_plot_name,
    plot_png, plot_svg, plots, render,
    tables::{TABLES, tables},
};

/// Pixels of a PNG a unit of its SVG.
const SCALE: f32 = 2.0;

/// What [`write()`] wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// `DIR/report.html`.
    pub report: PathBuf,
    /// The plots, each as SVG and as PNG.
    pub plots: Vec<PathBuf>,
    /// The tables, each as CSV.
    pub tables: Vec<PathBuf>,
}

/// Writes `report.html`, `plots/*.svg`, `plots/*.png` and `tables/*.csv` into `dir`, which is made where it is missing.
///
/// Each file appears whole or not at all; the page, which tells that a report is there, comes after its
/// plots and tables. Plots and tables of an earlier report that this one does not have are removed then; files of any other name
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
    let tables =
        tables(data).into_iter().map(|table| (format!("{}.csv", table.name), table.csv().into_bytes()));
    let tables: Vec<(String, Vec<u8>)> = tables.collect();
    let plots = write_all(&dir.join("plots"), files)?;
    let tables = write_all(&dir.join("tables"), tables)?;
    let report = dir.join("report.html");
    write_whole(&report, page.as_bytes())?;
    remove_stale(&dir.join("plots"), &plots, &|path| {
        path.extension().is_some_and(|end| end == "svg" || end == "png")
            && stem(path).is_some_and(is_plot_name)
    })?;
    remove_stale(&dir.join("tables"), &tables, &|path| {
        path.extension().is_some_and(|end| end == "csv")
            && stem(path).is_some_and(|name| TABLES.contains(&name))
    })?;
    Ok(Written { report, plots, tables })
}

/// Writes files into a folder, which is made where it is missing.
fn write_all(folder: &Path, files: Vec<(String, Vec<u8>)>) -> Result<Vec<PathBuf>, Error> {
    fs::create_dir_all(folder).map_err(|source| Error::Write { path: folder.to_owned(), source })?;
    let mut written = Vec::new();
    for (name, bytes) in files {
        let path = folder.join(name);
        write_whole(&path, &bytes)?;
        written.push(path);
    }
    Ok(written)
}

fn stem(path: &Path) -> Option<&str> {
    path.file_stem()?.to_str()
}

/// Removes what is of a report by its name and is not among what was written.
fn remove_stale(folder: &Path, written: &[PathBuf], ours: &dyn Fn(&Path) -> bool) -> Result<(), Error> {
    let read = |source| Error::Write { path: folder.to_owned(), source };
    for entry in fs::read_dir(folder).map_err(read)? {
        let path = entry.map_err(read)?.path();
        if ours(&path) && !written.contains(&path) {
            fs::remove_file(&path).map_err(|source| Error::Write { path, source })?;
        }
    }
    Ok(())
}

fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    squbed_files::write(path, bytes).map_err(|source| Error::Write { path: path.to_owned(), source })
}
