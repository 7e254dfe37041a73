//! `squbed probe`: what a video file holds.

use std::path::PathBuf;

use clap::Args;

use crate::{Common, Done, output::Records};

#[derive(Args)]
pub(crate) struct Probe {
    /// The video.
    file: PathBuf,
}

impl Probe {
    pub(crate) fn run(self, common: &Common) -> anyhow::Result<Done> {
        Records::one(&squbed::video::probe(&self.file)?)?.print(common.format)?;
        Ok(Done::Whole)
    }
}
