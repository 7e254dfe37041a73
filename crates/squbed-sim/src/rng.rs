//! Random numbers that stay the same on every machine and with every release of any library.
//!
//! SplitMix64 (Steele, Lea & Flood 2014, doi:10.1145/2660193.2660195): a Weyl sequence through a
//! bijective finaliser. Distinct states give distinct outputs, which is what keeps seeds apart.

/// The odd increment of the Weyl sequence, 2⁶⁴/φ.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// SplitMix64's finaliser, a bijection of the 64-bit words.
fn mix(z: u64) -> u64 {
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A stream of random numbers.
#[derive(Clone, Debug)]
pub(crate) struct Rng {
    state: u64,
}

impl Rng {
    /// The stream of a seed.
    pub(crate) fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// The stream of a seed for one purpose; streams of different purposes are unrelated.
    pub(crate) fn of(seed: u64, purpose: &str) -> Self {
        Self::new(keyed(seed, purpose, 0))
    }

    /// 64 random bits.
    pub(crate) fn bits(&mut self) -> u64 {
        self.state = self.state.wrapping_add(GOLDEN);
        mix(self.state)
    }

    /// Uniform in [0, 1), 53 bits.
    pub(crate) fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 * (-53f64).exp2()
    }

    /// Uniform in [−half, half).
    pub(crate) fn within(&mut self, half: f64) -> f64 {
        half * (2.0 * self.unit() - 1.0)
    }

    /// Uniform in 0..n, without bias (Lemire 2019, doi:10.1145/3230636).
    pub(crate) fn below(&mut self, n: usize) -> usize {
        let n = n as u64;
        let reject_below = n.wrapping_neg() % n;
        loop {
            let product = u128::from(self.bits()) * u128::from(n);
            if product as u64 >= reject_below {
                return (product >> 64) as usize;
            }
        }
    }

    /// One of several.
    pub(crate) fn pick<'a, T: ?Sized>(&mut self, of: &[&'a T]) -> &'a T {
        of[self.below(of.len())]
    }

    /// A random order (Fisher & Yates).
    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            items.swap(i, self.below(i + 1));
        }
    }
}

/// A seed made from a seed, a name (FNV-1a) and a number. For one seed and name, different numbers
/// give different seeds.
fn keyed(seed: u64, name: &str, number: u64) -> u64 {
    let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let base = mix(mix(seed.wrapping_add(GOLDEN)) ^ mix(hash));
    mix(base.wrapping_add(number.wrapping_mul(GOLDEN)))
}

/// Seed of the refinement of one task: what [`RefineRequest::seed`](squbed_core::RefineRequest) gets.
pub fn refine_seed(seed: u64, task: &str) -> u64 {
    keyed(keyed(seed, "refine", 0), task, 0)
}

/// Seed of a task's true video.
pub fn ground_truth_seed(seed: u64, task: &str) -> u64 {
    keyed(keyed(seed, "ground truth", 0), task, 0)
}

/// Seed of one video: sample `sample` of latent prompt `latent` of a task, in the world of `seed`.
///
/// A pure function, and for a fixed latent prompt a one-to-one function of `sample`: no two samples
/// of a latent prompt share a seed.
pub fn sample_seed(seed: u64, task: &str, latent: usize, sample: usize) -> u64 {
    let task_seed = keyed(keyed(seed, "sample", 0), task, latent as u64);
    keyed(task_seed, "", sample as u64)
}

/// Seed of draw number `index` within a request, so that the first draws do not depend on how many
/// are asked for.
pub(crate) fn draw_seed(seed: u64, index: usize) -> u64 {
    keyed(seed, "draw", index as u64)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn the_stream_is_splitmix64() {
        // First outputs of the reference implementation for seed 1234567.
        let mut rng = Rng::new(1_234_567);
        let expected = [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423];
        assert_eq!([rng.bits(), rng.bits(), rng.bits()], expected);
    }

    #[test]
    fn samples_tasks_and_worlds_have_seeds_of_their_own() {
        let mut seen = HashSet::new();
        for world in 0..3 {
            for task in ["task-0000", "task-0001", "a", ""] {
                for latent in 0..12 {
                    for sample in 0..200 {
                        assert!(seen.insert(sample_seed(world, task, latent, sample)));
                    }
                }
                assert!(seen.insert(refine_seed(world, task)));
                assert!(seen.insert(ground_truth_seed(world, task)));
            }
        }
    }

    #[test]
    fn small_ranges_are_uniform() {
        let mut rng = Rng::of(5, "test");
        let mut counts = [0_i32; 6];
        for _ in 0..60_000 {
            counts[rng.below(6)] += 1;
        }
        assert!(counts.iter().all(|count| (count - 10_000).abs() < 500), "{counts:?}");
        assert!((0..1000).all(|_| (0.0..1.0).contains(&rng.unit())));
    }
}
