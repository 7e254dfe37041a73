//! `squbed probe`: what a video file holds.

use std::path::PathBuf;

use clap::Args;

use super::limits::DecodeLimits;
use crate::{Common, Done, output::Records};

#[derive(Args)]
pub(crate) struct Probe {
    /// The video, or a folder of frames.
    file: PathBuf,
    #[command(flatten)]
    limits: DecodeLimits,
}

impl Probe {
    pub(crate) fn run(self, common: &Common) -> anyhow::Result<Done> {
        Records::one(&squbed::video::probe_within(&self.file, &self.limits.get())?)?.print(common.format)?;
        Ok(Done::Whole)
    }
}
