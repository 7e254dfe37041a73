//! Seconds of the statistics of one study, for `scripts/bench_statistics.py`: a file of three columns of numbers in, one
//! JSON object out.
#![expect(clippy::print_stdout, reason = "the object is what this program is for")]

use std::{error::Error, time::Instant};

use squbed_stats::{
    Alternative::TwoSided, KendallMethod, bootstrap_kendall, bootstrap_partial_kendall, jackknife_kendall,
    kendall, kendall_by_subset, partial_kendall,
};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, file, resamples] = arguments.as_slice() else {
        return Err("usage: statistics_speed FILE RESAMPLES".into());
    };
    let resamples: usize = resamples.parse()?;
    let mut columns: [Vec<f64>; 3] = Default::default();
    for line in std::fs::read_to_string(file)?.lines() {
        for (column, number) in columns.iter_mut().zip(line.split_whitespace()) {
            column.push(number.parse()?);
        }
    }
    let [x, y, z] = &columns;
    let started = Instant::now();
    let test = kendall(x, y, TwoSided, KendallMethod::Auto)?;
    let tau = started.elapsed().as_secs_f64();
    let started = Instant::now();
    let interval = bootstrap_kendall(x, y, 0.95, resamples, 1)?;
    let bootstrap = started.elapsed().as_secs_f64();
    let started = Instant::now();
    jackknife_kendall(x, y, 0.95)?;
    let jackknife = started.elapsed().as_secs_f64();
    let started = Instant::now();
    let partial = partial_kendall(x, y, z, TwoSided)?;
    bootstrap_partial_kendall(x, y, z, 0.95, resamples, 1)?;
    let of_partial = started.elapsed().as_secs_f64();
    let started = Instant::now();
    let points = kendall_by_subset(x, y, z, TwoSided)?.len();
    let curve = started.elapsed().as_secs_f64();
    println!(
        "{{\"n\": {}, \"tau\": {:?}, \"p\": {:?}, \"low\": {:?}, \"high\": {:?}, \"partial\": {:?}, \"points\": {points}, \
         \"seconds\": {{\"tau\": {tau}, \"bootstrap\": {bootstrap}, \"jackknife\": {jackknife}, \"partial with \
         interval\": {of_partial}, \"every threshold\": {curve}}}}}",
        x.len(),
        test.tau,
        test.p,
        interval.low,
        interval.high,
        partial.tau
    );
    Ok(())
}
