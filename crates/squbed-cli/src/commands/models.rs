//! `squbed models`: encoders that are known, and their weights.

use clap::{Args, Subcommand};
use serde::Serialize;
use squbed::{models::ModelStore, progress::Progress};

use crate::{Common, Done, output::Records, progress::Bars};

#[derive(Subcommand)]
pub(crate) enum Models {
    /// Every known model, and whether its weights are here.
    List,
    /// Bring weights here and verify them; those that are here already are left alone.
    Fetch(Names),
    /// Compare the weights that are here with their digests.
    Verify(Names),
}

#[derive(Args)]
pub(crate) struct Names {
    /// Models; all known ones where none is given.
    names: Vec<String>,
}
