//! The check that is carried to machines with a GPU, here on the CPU, so that it cannot rot.

use candle_core::{DType, Device};
use squbed_tests::{
    parity::{Row, Sources, Verdict, items, run},
    root,
};

/// CLIPs of full size take 2 GB and a minute each; the encoders' own tests run them.
const LARGE: [&str; 3] = ["clip_vit_b32", "clip_vit_b16", "openclip_vit_b32"];

fn rows(of: impl Fn(&str) -> bool, dtypes: &[DType]) -> Vec<Row> {
    let sources = Sources { goldens: root().join("tests/golden"), home: None };
    let mut rows = Vec::new();
    for item in items().iter().filter(|item| of(&item.name)) {
        run(item, &sources, &Device::Cpu, dtypes, &mut |row| {
            println!("{} {} {}: {:?} of {:?}", row.item, row.output, row.dtype, row.error, row.tolerance);
            rows.push(row);
        });
    }
    rows
}

#[test]
fn every_golden_is_met_on_the_cpu() {
    let rows = rows(|name| !LARGE.contains(&name), &[DType::F32]);
    assert!(rows.len() > 60, "{} rows", rows.len());
    let bad: Vec<&Row> = rows.iter().filter(|row| row.verdict != Verdict::Within).collect();
    assert!(bad.is_empty(), "{bad:#?}");
}

#[test]
#[ignore = "calibration"]
fn calibrate_half() {
    rows(|name| !LARGE.contains(&name), &[DType::F16, DType::BF16]);
}
