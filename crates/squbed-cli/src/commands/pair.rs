//! `squbed score pair`: one metric of two pictures.

use std::path::PathBuf;

use anyhow::bail;
use clap::Args;
use serde::Serialize;
use squbed::{
    core::float,
    metrics::Metric,
    pair::{LpipsFiles, score_pair},
};

use crate::{Common, Done, output::Records};

#[derive(Args)]
pub(crate) struct Pair {
    /// The first picture.
    a: PathBuf,
    /// The second, of the same size.
    b: PathBuf,
    /// psnr, ssim, their forms of luma alone, psnr-y and ssim-y, lpips-alex or lpips-vgg.
    #[arg(long)]
    metric: Metric,
    /// LPIPS: the network's safetensors, in place of those that `squbed models fetch` brings.
    #[arg(long, requires = "linear")]
    weights: Option<PathBuf>,
    /// LPIPS: the linear heads' safetensors.
    #[arg(long, requires = "weights")]
    linear: Option<PathBuf>,
}

#[derive(Serialize)]
struct PairRow {
    metric: &'static str,
    #[serde(with = "float")]
    value: f64,
}

impl Pair {
    pub(crate) fn run(self, common: &Common) -> anyhow::Result<Done> {
        let files = match (&self.weights, &self.linear) {
            (Some(backbone), Some(linear)) => Some(LpipsFiles { backbone, linear }),
            _ => None,
        };
        if files.is_some() && matches!(self.metric, Metric::Pixel(_)) {
            bail!("{} has no weights; leave out --weights and --linear", self.metric);
        }
        let (device, dtype) = super::place(common)?;
        let value = score_pair(&self.a, &self.b, self.metric, files, &device, dtype)?;
        Records::one(&PairRow { metric: self.metric.name(), value })?.print(common.format)?;
        Ok(Done::Whole)
    }
}
