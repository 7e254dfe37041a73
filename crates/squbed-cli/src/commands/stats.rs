//! `squbed stats`: rank statistics of a table's columns.

use std::{fs::File, path::PathBuf};

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use serde::Serialize;
use squbed::{
    calibrate::{self, Resampling},
    core::float,
    stats::{Alternative, KendallMethod},
};

use crate::{Common, Done, output::Records};

#[derive(Subcommand)]
pub(crate) enum Stats {
    /// Kendall's τ-b of two columns, its p-value and a bootstrap interval.
    Kendall(Kendall),
}

#[derive(Args)]
pub(crate) struct Kendall {
    /// A CSV file with a header.
    file: PathBuf,
    /// Name of the first column.
    #[arg(long)]
    x: String,
    /// Name of the second column.
    #[arg(long)]
    y: String,
    /// two-sided, less or greater.
    #[arg(long, default_value = "two-sided")]
    alternative: Alternative,
    /// auto (exact without ties and few rows), exact or asymptotic.
    #[arg(long, default_value = "auto")]
    method: KendallMethod,
    /// Bootstrap samples of the interval.
    #[arg(long, default_value_t = 2000)]
    resamples: usize,
    /// Seed of the bootstrap.
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

#[derive(Serialize)]
struct KendallRow {
    n: usize,
    #[serde(with = "float")]
    tau: f64,
    #[serde(with = "float")]
    p: f64,
    method: String,
    alternative: String,
    #[serde(with = "float")]
    ci_low: f64,
    #[serde(with = "float")]
    ci_high: f64,
    ci_method: String,
}

impl Stats {
    pub(crate) fn run(self, common: &Common) -> anyhow::Result<Done> {
        let Self::Kendall(k) = self;
        let (x, y) = read_columns(&k.file, &k.x, &k.y)?;
        let kendall = squbed::stats::kendall(&x, &y, k.alternative, k.method)?;
        let resampling = Resampling { resamples: k.resamples, seed: k.seed };
        let (ci_low, ci_high, ci_method) = calibrate::interval(&x, &y, resampling)?;
        Records::one(&KendallRow {
            n: kendall.n,
            tau: kendall.tau,
            p: kendall.p,
            method: kendall.method.to_string(),
            alternative: kendall.alternative.to_string(),
            ci_low,
            ci_high,
            ci_method,
        })?
        .print(common.format)?;
        Ok(Done::Whole)
    }
}

fn read_columns(path: &std::path::Path, x: &str, y: &str) -> anyhow::Result<(Vec<f64>, Vec<f64>)> {
    let mut reader = csv::ReaderBuilder::new()
        .trim(csv::Trim::All)
        .from_reader(File::open(path).with_context(|| format!("cannot read {}", path.display()))?);
    let header = reader.headers().with_context(|| format!("cannot read {}", path.display()))?.clone();
    if header.is_empty() {
        bail!("{} is empty; it must have a header and one row an item", path.display());
    }
    let find = |name: &str| match header.iter().position(|h| h == name) {
        Some(column) => Ok(column),
        None => bail!(
            "{} has no column `{name}`; it has: {}",
            path.display(),
            header.iter().collect::<Vec<_>>().join(", ")
        ),
    };
    let (ix, iy) = (find(x)?, find(y)?);
    let (mut xs, mut ys) = (Vec::new(), Vec::new());
    for (i, row) in reader.records().enumerate() {
        let line = i + 2;
        let row = row.with_context(|| format!("{}, line {line}", path.display()))?;
        for (column, name, values) in [(ix, x, &mut xs), (iy, y, &mut ys)] {
            let text = row.get(column).unwrap_or("");
            let value = text.parse().ok().filter(|v: &f64| !v.is_nan());
            let Some(value) = value else {
                bail!(
                    "{}, line {line}, column `{name}`: `{text}` is no number; mend it, or take the row out",
                    path.display()
                );
            };
            values.push(value);
        }
    }
    Ok((xs, ys))
}
