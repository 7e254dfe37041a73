//! Tests of the workspace as a whole.

mod crate_edges;
mod dependencies;
mod documents;
mod files;
