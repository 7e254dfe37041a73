//! `squbed vmf`: the von Mises–Fisher distribution by itself.

mod input;

use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use serde::Serialize;
use squbed::{
    core::{Flag, float},
    store::{NpyArray, NpyData, write_npy},
    vmf::{Estimator, Sampler, VonMisesFisher},
};

use crate::{
    Common, Done,
    output::{self, Records},
};

#[derive(Subcommand)]
pub(crate) enum Vmf {
    /// Normalising constant, mean resultant length, entropy and divergence from uniform, in nats.
    Entropy(Entropy),
    /// Concentration from the mean resultant length.
    Kappa(Kappa),
    /// Fit groups of embeddings and give their entropies.
    Fit(Fit),
    /// Draw unit vectors, f64: a .npy file, or rows on stdout, whose JSON `squbed vmf fit` reads.
    Sample(Sample),
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
    /// .npy [m,d] or [groups,m,d]; .safetensors, where several tensors are groups in the order of their names; or a
    /// JSON array of rows or of groups, with - from stdin. Groups may differ in size.
    file: PathBuf,
    /// exact, u, banerjee, sra, song or tanabe.
    #[arg(long, default_value = "exact")]
    estimator: Estimator,
}

#[derive(Args)]
pub(crate) struct Sample {
    /// Dimension n of the space that the unit sphere lies in.
    #[arg(long)]
    dim: usize,
    /// Concentration κ, 0 (uniform) to inf.
    #[arg(long, allow_negative_numbers = true)]
    kappa: f64,
    /// How many samples.
    #[arg(long)]
    count: usize,
    /// A seed always gives the same samples, and fewer of them are the first ones.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Mean direction, of any length: .npy or .safetensors of shape [n] or [1,n], or a JSON array of n numbers; the first
    /// axis where not given.
    #[arg(long)]
    mean: Option<PathBuf>,
    /// Where the samples go, a .npy file [count,n]; stdout where not given.
    #[arg(long)]
    out: Option<PathBuf>,
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
            Self::Sample(sample) => sample.run(common)?,
        }
        Ok(Done::Whole)
    }
}

impl Fit {
    fn run(&self, common: &Common) -> anyhow::Result<()> {
        let (groups, epsilon) = input::read_groups(&self.file)?;
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

impl Sample {
    fn run(&self, common: &Common) -> anyhow::Result<()> {
        let mean = self.mean.as_deref().map(input::read_vector).transpose()?;
        let sampler = Sampler::new(self.dim, self.kappa, mean.as_deref())?;
        if self.count == 0 {
            bail!("--count is 0; it must be at least 1");
        }
        let rows = sampler.rows(self.count, self.seed)?;
        match &self.out {
            Some(path) => {
                let array = NpyArray::new(vec![self.count, self.dim], NpyData::F64(rows))?;
                Ok(write_npy(path, &array).map_err(squbed::Error::from)?)
            }
            None => output::print_rows(&rows, self.dim, common.format),
        }
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
        mean_direction: mean_direction.filter(|_| !fit.flags.contains(&Flag::Uniform)),
        flags: fit.flags,
    })
}
