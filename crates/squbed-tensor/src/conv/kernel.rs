//! The innermost loops: output positions × output channels, summed over runs of inputs.
//!
//! A tile of a few positions × up to 64 channels keeps its sums in registers while it walks over the taps. Each
//! tap is a contiguous run of the padded input, so nothing is gathered: position `r` reads
//! `x[bases[r] + tap..][..run]`. Every sum takes its inputs in the same order in whatever tile it lies, so a
//! result does not depend on the number of threads or on its neighbours. A pass sums from zero and is added as a
//! whole: rounding errors of a long sum grow with the length and the number of its passes, not with its own.

/// Numbers in one vector of the packed weights.
pub(super) const LANES: usize = 16;

/// What is added to the sums of some positions.
pub(super) struct Pass<'a> {
    /// The padded input.
    pub(super) x: &'a [f32],
    /// Where each position's first input is.
    pub(super) bases: &'a [usize],
    /// Offset of each tap's run from the base.
    pub(super) taps: &'a [usize],
    /// Inputs in a run.
    pub(super) run: usize,
    /// Weights `[taps × run, vectors × 16]`.
    pub(super) weights: &'a [f32],
    /// Vectors of output channels, 1 to 4.
    pub(super) vectors: usize,
}

/// Which kernel runs here.
pub(crate) fn name() -> &'static str {
    #[cfg(target_arch = "x86_64")]
    {
        if std::arch::is_x86_feature_detected!("avx512f") {
            return "AVX-512";
        }
        if std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("fma") {
            return "AVX2";
        }
    }
    "portable"
}

impl Pass<'_> {
    /// Adds to `sums`, `[positions, vectors × 16]`.
    pub(super) fn add(&self, sums: &mut [f32]) {
        let furthest = |offsets: &[usize]| offsets.iter().max().copied().unwrap_or(0);
        let width = self.vectors * LANES;
        assert!((1..=4).contains(&self.vectors) && sums.len() >= self.bases.len() * width);
        assert!(furthest(self.bases) + furthest(self.taps) + self.run <= self.x.len());
        assert!(self.weights.len() >= self.taps.len() * self.run * width);
        #[cfg(target_arch = "x86_64")]
        {
            if std::arch::is_x86_feature_detected!("avx512f") {
                // SAFETY: the processor has AVX-512, and the lengths were checked above.
                unsafe { x86::avx512(self, sums) };
                return;
            }
            if std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("fma") {
                // SAFETY: the processor has AVX2 and FMA, and the lengths were checked above.
                unsafe { x86::avx2(self, sums) };
                return;
            }
        }
        self.portable(sums);
    }

    /// For processors without a kernel of their own: arrays that the compiler keeps in vector registers.
    fn portable(&self, sums: &mut [f32]) {
        let width = self.vectors * LANES;
        for (bases, sums) in self.bases.chunks(4).zip(sums.chunks_mut(4 * width)) {
            for column in (0..width).step_by(LANES) {
                if let &[a, b, c, d] = bases {
                    self.portable_tile([a, b, c, d], column, sums);
                } else {
                    for (&base, sums) in bases.iter().zip(sums.chunks_mut(width)) {
                        self.portable_tile([base], column, sums);
                    }
                }
            }
        }
    }

    /// `M` positions × the 16 output channels from `column` on.
    fn portable_tile<const M: usize>(&self, bases: [usize; M], column: usize, sums: &mut [f32]) {
        let width = self.vectors * LANES;
        let mut acc = [[0.0_f32; LANES]; M];
        let weights: &[f32] = self.weights;
        for (tap, weights) in self.taps.iter().zip(weights.chunks_exact(self.run * width)) {
            let x = bases.map(|base| &self.x[base + tap..][..self.run]);
            for (i, weights) in weights.chunks_exact(width).enumerate() {
                let weights = &weights[column..][..LANES];
                for (acc, x) in acc.iter_mut().zip(&x) {
                    acc.iter_mut().zip(weights).for_each(|(acc, w)| *acc = multiply_add(x[i], *w, *acc));
                }
            }
        }
        for (acc, sums) in acc.iter().zip(sums.chunks_mut(width)) {
            sums[column..][..LANES].iter_mut().zip(acc).for_each(|(sum, acc)| *sum += acc);
        }
    }
}

/// Fused where the processor is sure to have it; elsewhere fusing would call a slow function.
#[inline(always)]
fn multiply_add(a: f32, b: f32, c: f32) -> f32 {
    if cfg!(any(target_arch = "aarch64", target_feature = "fma")) { a.mul_add(b, c) } else { a * b + c }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::{
        _mm256_add_ps, _mm256_fmadd_ps, _mm256_loadu_ps, _mm256_set1_ps, _mm256_storeu_ps, _mm512_add_ps,
        _mm512_fmadd_ps, _mm512_loadu_ps, _mm512_set1_ps, _mm512_storeu_ps,
    };

    use super::{LANES, Pass};

    /// 32 registers hold 6 positions × 64 channels, or 8 × fewer.
    ///
    /// # Safety
    ///
    /// The processor has AVX-512, and the lengths were checked as [`Pass::add`] does.
    #[target_feature(enable = "avx512f")]
    pub(super) unsafe fn avx512(pass: &Pass<'_>, sums: &mut [f32]) {
        let mut done = 0;
        while done < pass.bases.len() {
            // SAFETY: the caller's promise; `tile` has as many positions as are left, at least.
            done += unsafe {
                match (pass.vectors, pass.bases.len() - done) {
                    (4, 6..) => avx512_tile::<6, 4>(pass, done, 0, sums),
                    (4, 2..) => avx512_tile::<2, 4>(pass, done, 0, sums),
                    (4, _) => avx512_tile::<1, 4>(pass, done, 0, sums),
                    (3, 8..) => avx512_tile::<8, 3>(pass, done, 0, sums),
                    (3, 2..) => avx512_tile::<2, 3>(pass, done, 0, sums),
                    (3, _) => avx512_tile::<1, 3>(pass, done, 0, sums),
                    (2, 8..) => avx512_tile::<8, 2>(pass, done, 0, sums),
                    (2, 2..) => avx512_tile::<2, 2>(pass, done, 0, sums),
                    (2, _) => avx512_tile::<1, 2>(pass, done, 0, sums),
                    (_, 8..) => avx512_tile::<8, 1>(pass, done, 0, sums),
                    (_, 2..) => avx512_tile::<2, 1>(pass, done, 0, sums),
                    (_, _) => avx512_tile::<1, 1>(pass, done, 0, sums),
                }
            };
        }
    }

    /// 16 registers hold 6 positions × 16 channels.
    ///
    /// # Safety
    ///
    /// The processor has AVX2 and FMA, and the lengths were checked as [`Pass::add`] does.
    #[target_feature(enable = "avx2,fma")]
    pub(super) unsafe fn avx2(pass: &Pass<'_>, sums: &mut [f32]) {
        for column in (0..pass.vectors * LANES).step_by(LANES) {
            let mut done = 0;
            while done < pass.bases.len() {
                // SAFETY: the caller's promise; `tile` has as many positions as are left, at least.
                done += unsafe {
                    match pass.bases.len() - done {
                        6.. => avx2_tile::<6, 2>(pass, done, column, sums),
                        2.. => avx2_tile::<2, 2>(pass, done, column, sums),
                        _ => avx2_tile::<1, 2>(pass, done, column, sums),
                    }
                };
            }
        }
    }

    /// Writes a tile for registers of `$lanes` numbers.
    macro_rules! tile {
        ($name:ident, $features:literal, $lanes:literal, $load:ident, $set1:ident, $fma:ident, $add:ident, $store:ident) => {
            /// Positions `first..first + M` × `V` registers of output channels from `column` on. Returns `M`.
            ///
            /// # Safety
            ///
            /// As above; there are `M` positions and `V` registers of channels from there on.
            #[target_feature(enable = $features)]
            unsafe fn $name<const M: usize, const V: usize>(
                pass: &Pass<'_>,
                first: usize,
                column: usize,
                sums: &mut [f32],
            ) -> usize {
                let width = pass.vectors * LANES;
                // SAFETY: rows first..first + M of `sums` are `width` numbers each, and so are those of
                // `weights`, one for each input of each tap; every base plus every tap plus `run` lies in `x`.
                unsafe {
                    let sums = sums.as_mut_ptr().add(first * width + column);
                    let mut acc = [[$set1(0.0); V]; M];
                    let mut weights = pass.weights.as_ptr().add(column);
                    for &tap in pass.taps {
                        let mut x = [pass.x.as_ptr(); M];
                        for (r, x) in x.iter_mut().enumerate() {
                            *x = x.add(*pass.bases.get_unchecked(first + r) + tap);
                        }
                        for i in 0..pass.run {
                            let mut w = [$set1(0.0); V];
                            for (v, w) in w.iter_mut().enumerate() {
                                *w = $load(weights.add(v * $lanes));
                            }
                            for (x, acc) in x.iter().zip(&mut acc) {
                                let x = $set1(*x.add(i));
                                for (w, acc) in w.iter().zip(acc) {
                                    *acc = $fma(x, *w, *acc);
                                }
                            }
                            weights = weights.add(width);
                        }
                    }
                    for (r, acc) in acc.iter().enumerate() {
                        for (v, acc) in acc.iter().enumerate() {
                            let sum = sums.add(r * width + v * $lanes);
                            $store(sum, $add($load(sum), *acc));
                        }
                    }
                }
                M
            }
        };
    }

    tile!(
        avx512_tile,
        "avx512f",
        16,
        _mm512_loadu_ps,
        _mm512_set1_ps,
        _mm512_fmadd_ps,
        _mm512_add_ps,
        _mm512_storeu_ps
    );
    tile!(
        avx2_tile,
        "avx2,fma",
        8,
        _mm256_loadu_ps,
        _mm256_set1_ps,
        _mm256_fmadd_ps,
        _mm256_add_ps,
        _mm256_storeu_ps
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kernel_follows_the_definition() {
        let number = |i: usize| ((i * 7919 + 13) % 1009) as f32 / 1009.0 - 0.5;
        let x: Vec<f32> = (0..4000).map(number).collect();
        let (taps, run) = ([0, 37, 250], 21);
        for (vectors, count) in (1..=4).flat_map(|v| (1..=19).map(move |n| (v, n))) {
            let width = vectors * LANES;
            let weights: Vec<f32> = (0..taps.len() * run * width).map(|i| number(i + 5)).collect();
            let bases: Vec<usize> = (0..count).map(|i| 3 + i * 11).collect();
            let start: Vec<f32> = (0..count * width).map(|i| number(i + 99)).collect();
            let mut want: Vec<f64> = start.iter().map(|&v| v.into()).collect();
            for (row, base) in bases.iter().enumerate() {
                for (input, weights) in weights.chunks_exact(width).enumerate() {
                    let x = f64::from(x[base + taps[input / run] + input % run]);
                    for (want, &w) in want[row * width..].iter_mut().zip(weights) {
                        *want += x * f64::from(w);
                    }
                }
            }
            let pass = Pass { x: &x, bases: &bases, taps: &taps, run, weights: &weights, vectors };
            let check = |name: &str, add: &dyn Fn(&mut [f32])| {
                let mut got = start.clone();
                add(&mut got);
                let off = |(got, want): (&f32, &f64)| (f64::from(*got) - want).abs();
                let worst = got.iter().zip(&want).map(off).fold(0.0, f64::max);
                assert!(worst < 2e-6, "{name}, {vectors} vectors, {count} positions: {worst}");
            };
            check("the chosen one", &|sums| pass.add(sums));
            check("portable", &|sums| pass.portable(sums));
            #[cfg(target_arch = "x86_64")]
            if std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("fma") {
                // SAFETY: the processor has the features; the lengths are those that `add` checked above.
                check("AVX2", &|sums| unsafe { x86::avx2(&pass, sums) });
            }
        }
    }

    #[test]
    #[should_panic(expected = "furthest")]
    fn reading_beyond_the_input_is_caught() {
        let pass =
            Pass { x: &[0.0; 20], bases: &[0, 8], taps: &[0, 9], run: 4, weights: &[0.0; 128], vectors: 1 };
        pass.add(&mut [0.0; 32]);
    }
}
