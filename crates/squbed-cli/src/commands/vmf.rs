//! `squbed vmf`: the von Mises–Fisher distribution by itself.

use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use serde::Serialize;
use squbed::{
    core::{Flag, float},
    store::{NpyData, read_npy, read_safetensors},
    vmf::{Estimator, VonMisesFisher},
};

use crate::{Common, Done, output::Records};

#[derive(Subcommand)]
pub(crate) enum Vmf {
    /// Normalising constant, mean resultant length, entropy and divergence from uniform, in nats.
    Entropy(Entropy),
    /// Concentration from the mean resultant length.
    Kappa(Kappa),
    /// Fit groups of embeddings and give their entropies.
    Fit(Fit),
}

#[derive(Args)]
pub(crate) struct Entropy {
    /// Dimension n of the space that the unit sphere lies in.
    #[arg(long)]
    dim: usize,
    /// Concentration κ.
    #[arg(long, allow_negative_numbers = true)]
    kappa: f64,
}

#[derive(Serialize)]
struct EntropyRow {
    dim: usize,
    #[serde(with = "float")]
    kappa: f64,
    #[serde(with = "float")]
    log_c: f64,
    #[serde(with = "float")]
    a: f64,
    #[serde(with = "float")]
    one_minus_a: f64,
    #[serde(with = "float")]
    entropy: f64,
    #[serde(with = "float")]
    kl_uniform: f64,
}

#[derive(Args)]
pub(crate) struct Kappa {
    /// Dimension n of the space that the unit sphere lies in.
    #[arg(long)]
    dim: usize,
    /// Mean resultant length r̄, 0 to 1.
    #[arg(long, allow_negative_numbers = true)]
    rbar: f64,
    /// 1 − r̄, where it is known better than r̄ itself tells.
    #[arg(long, allow_negative_numbers = true)]
    one_minus_rbar: Option<f64>,
    /// exact, banerjee, sra, song or tanabe.
    #[arg(long, default_value = "exact")]
    estimator: Estimator,
}

#[derive(Serialize)]
struct KappaRow {
    dim: usize,
    #[serde(with = "float")]
    rbar: f64,
    estimator: String,
    #[serde(with = "float")]
    kappa: f64,
}

#[derive(Args)]
pub(crate) struct Fit {
    /// .npy [m,d] or [groups,m,d], .safetensors, or a JSON array of rows or of groups.
    file: PathBuf,
    /// exact, u, banerjee, sra, song or tanabe.
    #[arg(long, default_value = "exact")]
    estimator: Estimator,
}

#[derive(Serialize)]
struct FitRow {
    m: usize,
    dim: usize,
    #[serde(with = "float")]
    rbar: f64,
    #[serde(with = "float")]
    one_minus_rbar: f64,
    #[serde(with = "float")]
    kappa: f64,
    #[serde(with = "float")]
    entropy: f64,
    mean_direction: Option<Vec<f64>>,
    flags: Vec<Flag>,
}

impl Vmf {
    pub(crate) fn run(self, common: &Common) -> anyhow::Result<Done> {
        match self {
            Self::Entropy(Entropy { dim, kappa }) => {
                let vmf = VonMisesFisher::new(dim, kappa)?;
                Records::one(&EntropyRow {
                    dim,
                    kappa,
                    log_c: vmf.log_c(),
                    a: vmf.a(),
                    one_minus_a: vmf.one_minus_a(),
                    entropy: vmf.entropy(),
                    kl_uniform: vmf.kl_uniform(),
                })?
                .print(common.format)?;
            }
            Self::Kappa(Kappa { dim, rbar, one_minus_rbar, estimator }) => {
                if estimator == Estimator::U {
                    bail!("the U estimator needs the number of samples, not r̄ alone; use `squbed vmf fit`");
                }
                let kappa = squbed::vmf::kappa(dim, rbar, one_minus_rbar.unwrap_or(1.0 - rbar), estimator)?;
                Records::one(&KappaRow { dim, rbar, estimator: estimator.to_string(), kappa })?
                    .print(common.format)?;
            }
            Self::Fit(fit) => fit.run(common)?,
        }
        Ok(Done::Whole)
    }
}

impl Fit {
    fn run(&self, common: &Common) -> anyhow::Result<()> {
        let (groups, epsilon) = read_groups(&self.file)?;
        let rows = groups
            .iter()
            .enumerate()
            .map(|(i, group)| {
                fit_row(group, self.estimator, epsilon).with_context(|| {
                    let of = if groups.len() > 1 { format!(", group {i}") } else { String::new() };
                    format!(
                        "{}{of} cannot be fitted; mend or leave out what is named below",
                        self.file.display()
                    )
                })
            })
            .collect::<anyhow::Result<Vec<_>>>()?;
        Records::list(&rows)?.print(common.format)
    }
}

fn fit_row(group: &[Vec<f64>], estimator: Estimator, epsilon: f64) -> anyhow::Result<FitRow> {
    let rows: Vec<&[f64]> = group.iter().map(Vec::as_slice).collect();
    let (statistics, mean_direction) = squbed::vmf::group_statistics(&rows)?;
    let fit = squbed::fit::fit_one(&statistics, estimator, epsilon)?;
    Ok(FitRow {
        m: fit.m,
        dim: fit.dim,
        rbar: fit.rbar,
        one_minus_rbar: fit.one_minus_rbar,
        kappa: fit.kappa,
        entropy: fit.entropy,
        mean_direction,
        flags: fit.flags,
    })
}

/// Groups of rows in f64, and the precision that their numbers had.
fn read_groups(path: &std::path::Path) -> anyhow::Result<(Vec<Vec<Vec<f64>>>, f64)> {
    let array = match path.extension().and_then(|e| e.to_str()) {
        Some("npy") => read_npy(path).map_err(squbed::Error::from)?,
        Some("safetensors") => read_safetensors(path, None).map_err(squbed::Error::from)?,
        Some("json") => return Ok((read_json_groups(path)?, f64::EPSILON)),
        _ => bail!("{} is none of .npy, .safetensors and .json; convert it to one of them", path.display()),
    };
    let (m, d) = match *array.shape() {
        [m, d] | [_, m, d] if m > 0 && d > 0 => (m, d),
        ref shape => bail!(
            "{} has shape {shape:?}; it must be [m, d] or [groups, m, d] with at least one row and column",
            path.display()
        ),
    };
    let epsilon = match array.data() {
        NpyData::F32(_) => f32::EPSILON.into(),
        NpyData::F64(_) => f64::EPSILON,
        NpyData::I64(_) => bail!("{} holds integers; convert them to f32 or f64", path.display()),
    };
    let rows: Vec<Vec<f64>> = array.to_f64().chunks(d).map(<[f64]>::to_vec).collect();
    Ok((rows.chunks(m).map(<[Vec<f64>]>::to_vec).collect(), epsilon))
}

fn read_json_groups(path: &std::path::Path) -> anyhow::Result<Vec<Vec<Vec<f64>>>> {
    #[derive(serde::Deserialize)]
    #[serde(untagged)]
    enum Input {
        Rows(Vec<Vec<f64>>),
        Groups(Vec<Vec<Vec<f64>>>),
    }
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let input: Input = serde_json::from_str(&text).with_context(|| {
        format!("{} is not a JSON array of rows of numbers, or of groups of such rows", path.display())
    })?;
    Ok(match input {
        Input::Rows(rows) if rows.is_empty() => bail!("{} holds no rows; give one at least", path.display()),
        Input::Rows(rows) => vec![rows],
        Input::Groups(groups) => groups,
    })
}
