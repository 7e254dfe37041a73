//! Writes a report of invented numbers, to look at: `cargo run -p squbed-report --example sample_report -- DIR`.

#[path = "../tests/sample/mod.rs"]
mod sample;

use std::{error::Error, path::PathBuf};

fn main() -> Result<(), Box<dyn Error>> {
    let dir = std::env::args_os().nth(1).map_or_else(|| PathBuf::from("sample-report"), PathBuf::from);
    squbed_report::write(&sample::sample(24, 7), &dir, &|| ())?;
    Ok(())
}
