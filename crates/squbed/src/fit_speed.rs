//! How fast batched von Mises–Fisher fits are, beside how fast the device copies memory.
//!
//! The embeddings lie on the device before the clock starts. A fit reads each number once at least, so bytes over the
//! rate of a copy (bytes read and written) are its floor; entropies are solved in f64 on the host.

use std::time::Instant;

use rayon::prelude::*;
use serde::Serialize;
use squbed_tensor::{DType, Device, Tensor, device, group_statistics};
use squbed_vmf::Estimator;

use crate::{error::Result, fit::fit_one};

/// Runs of each part, of which the middle one counts.
const RUNS: usize = 7;

/// What to measure.
#[derive(Clone, Copy, Debug)]
pub struct FitSpeed {
    /// Groups in the batch.
    pub groups: usize,
    /// Embeddings of a group.
    pub size: usize,
    /// Numbers of an embedding.
    pub width: usize,
}

/// How fast it was; times are those of the run in the middle.
#[derive(Clone, Debug, Serialize)]
pub struct FitSpeedResult {
    /// The device in words.
    pub device: String,
    /// Threads of the CPU in use.
    pub threads: usize,
    /// Groups in the batch.
    pub groups: usize,
    /// Embeddings of a group.
    pub size: usize,
    /// Numbers of an embedding, in f32.
    pub width: usize,
    /// Milliseconds until the statistics of all groups are on the host.
    pub statistics_ms: f64,
    /// Milliseconds that κ and h of all groups take on the host.
    pub entropies_ms: f64,
    /// Groups a second, both together.
    pub groups_per_s: f64,
    /// Embeddings read a second, in GB.
    pub read_gb_per_s: f64,
    /// What a copy of as many bytes moves a second on the device, read and written, in GB.
    pub copy_gb_per_s: f64,
    /// The time of the statistics over that in which a copy moves as many bytes.
    pub times_copy: f64,
}

impl FitSpeed {
    /// Measures statistics and fits of embeddings by chance.
    ///
    /// # Errors
    ///
    /// More than the device holds.
    pub fn run(&self, device: &Device) -> Result<FitSpeedResult> {
        let shape = (self.groups, self.size, self.width);
        let tensor = squbed_tensor::Error::from;
        // About a common direction, as embeddings are.
        let x = (Tensor::randn(0f32, 0.5, shape, device).and_then(|x| x + 1.0)).map_err(tensor)?;
        let bytes = (x.elem_count() * DType::F32.size_in_bytes()) as f64;
        let synchronize = || device.synchronize().map_err(tensor);
        let mut statistics = group_statistics(&x)?;
        let statistics_s = middle(|| {
            statistics = group_statistics(&x)?;
            Ok(())
        })?;
        let fit = || -> Result<()> {
            statistics
                .par_iter()
                .try_for_each(|s| fit_one(s, Estimator::Exact, f32::EPSILON.into()).map(|_| ()))
        };
        let entropies_s = middle(fit)?;
        let copy = || -> Result<()> {
            x.copy().map_err(tensor)?;
            Ok(synchronize()?)
        };
        copy()?;
        let copy_s = middle(copy)?;
        let copied = 2.0 * bytes / copy_s;
        Ok(FitSpeedResult {
            device: device::describe(device),
            threads: device::threads(),
            groups: self.groups,
            size: self.size,
            width: self.width,
            statistics_ms: 1e3 * statistics_s,
            entropies_ms: 1e3 * entropies_s,
            groups_per_s: self.groups as f64 / (statistics_s + entropies_s),
            read_gb_per_s: 1e-9 * bytes / statistics_s,
            copy_gb_per_s: 1e-9 * copied,
            times_copy: statistics_s * copied / bytes,
        })
    }
}

/// Seconds of the middle one of [`RUNS`] runs.
fn middle(mut work: impl FnMut() -> Result<()>) -> Result<f64> {
    let mut took = [0.0; RUNS];
    for took in &mut took {
        let started = Instant::now();
        work()?;
        *took = started.elapsed().as_secs_f64();
    }
    took.sort_by(f64::total_cmp);
    Ok(took[RUNS / 2])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_is_measured() {
        let speed = FitSpeed { groups: 50, size: 4, width: 16 }.run(&Device::Cpu).unwrap();
        for figure in [speed.statistics_ms, speed.entropies_ms, speed.copy_gb_per_s, speed.times_copy] {
            assert!(figure > 0.0 && figure.is_finite(), "{speed:?}");
        }
        let seconds = 1e-3 * (speed.statistics_ms + speed.entropies_ms);
        assert!((speed.groups_per_s * seconds - 50.0).abs() < 1e-9, "{speed:?}");
    }
}
