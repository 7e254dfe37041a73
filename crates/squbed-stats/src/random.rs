//! Random numbers of a counter: the same on every machine, in any order.

/// Draw number `i` of run number `run`: SplitMix64 (Steele et al. 2014, doi:10.1145/2714064.2660195) of a counter.
pub(crate) fn random(seed: u64, run: u64, i: u64) -> u64 {
    mix(mix(mix(seed).wrapping_add(run)).wrapping_add(i))
}

/// Item number `i` that resample number `run` draws of n, with replacement; a function of its arguments alone, so that
/// resamples can be made in any order and on any thread.
pub fn draw(seed: u64, run: u64, i: u64, n: usize) -> usize {
    below(random(seed, run, i), n)
}

fn mix(x: u64) -> u64 {
    let z = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A number below n: the high half of a product, whose bias is n/2⁶⁴.
pub(crate) fn below(random: u64, n: usize) -> usize {
    ((u128::from(random) * n as u128) >> 64) as usize
}
