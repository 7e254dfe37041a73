//! On which thread work on the CPU is done.

use candle_core::Device;

use crate::flop;

/// Runs `work` on a thread of the pool where its tensors are on the CPU, so that each of its parallel loops begins there
/// and none waits until the pool wakes; elsewhere, and on such a thread, at once. What it computes is counted here.
pub fn in_pool<T: Send>(device: &Device, work: impl FnOnce() -> T + Send) -> T {
    if !device.is_cpu() || rayon::current_thread_index().is_some() {
        return work();
    }
    // A thread of the pool that waits within its own work may take this one up: it must not count it as its own.
    let (result, products) = rayon::scope(|_| flop::apart(work));
    flop::add(products);
    result
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Tensor};

    use super::*;
    use crate::{Conv3d, Padding3d, counted};

    #[test]
    fn nobody_counts_what_another_asked_for() {
        let zeros = |dims: &[usize]| Tensor::zeros(dims, DType::F32, &Device::Cpu).unwrap();
        let flop = |frames: usize| {
            let conv = Conv3d::new(&zeros(&[1, 3, 3, 8, 16]), None, [1; 3], &Padding3d::Same, false).unwrap();
            let x = zeros(&[1, frames, 24, 24, 8]);
            counted(|| in_pool(&Device::Cpu, || (0..3).for_each(|_| _ = conv.forward(&x).unwrap()))).1
        };
        std::thread::scope(|scope| {
            let of = |frames: u64| {
                move || (0..60).all(|_| flop(frames as usize) == frames * 3 * 2 * 576 * 72 * 16)
            };
            let all: Vec<_> = (1..=8).map(|frames| scope.spawn(of(frames))).collect();
            assert!(all.into_iter().all(|one| one.join().unwrap()));
        });
    }
}
