//! The innermost loops: output positions × output channels, summed over runs of inputs.
//!
//! A tile of a few positions × up to 64 channels keeps its sums in registers while it walks over the taps. Each
//! tap is a contiguous run of the padded input, so nothing is gathered: position `r` reads
//! `x[bases[r] + tap..][..run]`. Every sum takes its inputs in the same order in whatever tile it lies, so a
//! result does not depend on the number of threads or on its neighbours. A pass sums from zero and is added as a
//! whole: rounding errors of a long sum grow with the length and the number of its passes, not with its own.

/// Numbers in one vector of the packed weights.
pub(crate) const LANES: usize = 16;

/// What is added to the sums of some positions.
pub(crate) struct Pass<'a> {
    /// The padded input.
    pub(crate) x: &'a [f32],
    /// Where each position's first input is.
    pub(crate) bases: &'a [usize],
    /// Offset of each tap's run from the base.
    pub(crate) taps: &'a [usize],
    /// Inputs in a run.
    pub(crate) run: usize,
    /// Weights `[taps × run, vectors × 16]`.
    pub(crate) weights: &'a [f32],
    /// Vectors of output channels, 1 to 4.
    pub(crate) vectors: usize,
    /// Numbers from one position's sums to the next one's, `vectors × 16` at least.
    pub(crate) pitch: usize,
    /// What is read next, and is fetched into the cache meanwhile.
    pub(crate) next: &'a [f32],
}

/// How `channels` are parted in panels of almost one width: where each begins, and its vectors, 1 to 4.
pub(crate) fn panels(channels: usize) -> impl Iterator<Item = (usize, usize)> {
    let (mut start, mut left) = (0, channels.div_ceil(LANES));
    std::iter::from_fn(move || {
        let vectors = left.div_ceil(left.div_ceil(4).max(1));
        left -= vectors;
        start += vectors * LANES;
        (vectors > 0).then(|| (start - vectors * LANES, vectors))
    })
}

/// Numbers of the weights that one pass reads: they stay in the second-level cache while positions go by.
const PASS: usize = 16 << 10;

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
    /// [`add`](Self::add), in as many passes as the weights take.
    pub(crate) fn add_in_parts(&self, sums: &mut [f32]) {
        let width = self.vectors * LANES;
        // As many taps in a pass as its share of the cache takes, or a piece of one tap's run.
        let piece = (PASS / width).clamp(1, self.run);
        let taps_a_pass = if piece == self.run { (PASS / (self.run * width)).max(1) } else { 1 };
        let mut offsets = Vec::with_capacity(taps_a_pass);
        let mut weights = self.weights;
        for taps in self.taps.chunks(taps_a_pass) {
            for start in (0..self.run).step_by(piece) {
                offsets.clear();
                offsets.extend(taps.iter().map(|tap| tap + start));
                let run = piece.min(self.run - start);
                let (here, behind) = weights.split_at(taps.len() * run * width);
                let next = if behind.is_empty() { self.next } else { behind };
                Pass { taps: &offsets, run, weights: here, next, ..*self }.add(sums);
                weights = behind;
            }
        }
    }

    /// Adds to `sums`, `[positions, pitch]`, of which the first `vectors × 16` count.
    pub(crate) fn add(&self, sums: &mut [f32]) {
        let furthest = |offsets: &[usize]| offsets.iter().max().copied().unwrap_or(0);
        let width = self.vectors * LANES;
        assert!((1..=4).contains(&self.vectors) && self.pitch >= width);
        assert!(self.bases.is_empty() || sums.len() >= (self.bases.len() - 1) * self.pitch + width);
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
        for (bases, sums) in self.bases.chunks(4).zip(sums.chunks_mut(4 * self.pitch)) {
            for column in (0..width).step_by(LANES) {
                if let &[a, b, c, d] = bases {
                    self.portable_tile([a, b, c, d], column, sums);
                } else {
                    for (&base, sums) in bases.iter().zip(sums.chunks_mut(self.pitch)) {
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
        for (acc, sums) in acc.iter().zip(sums.chunks_mut(self.pitch)) {
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
        _MM_HINT_T0, _mm_prefetch, _mm256_add_ps, _mm256_fmadd_ps, _mm256_loadu_ps, _mm256_set1_ps,
        _mm256_storeu_ps, _mm512_add_ps, _mm512_fmadd_ps, _mm512_loadu_ps, _mm512_set1_ps, _mm512_storeu_ps,
    };

    use super::{LANES, Pass};

    /// Weights that are fetched into the cache while a tile is computed: some lines at each of its steps.
    struct Fetch<'a> {
        lines: usize,
        from: &'a [f32],
    }

    impl Fetch<'_> {
        const NOTHING: Self = Self { lines: 0, from: &[] };

        /// To what the next tile fetches, after one of so many steps.
        fn go_on(&mut self, steps: usize) {
            self.from = self.from.get(self.lines * steps * LANES..).unwrap_or(&[]);
            if self.from.is_empty() {
                self.lines = 0;
            }
        }
    }

    /// Most positions of a tile of so many vectors: as many sums as leave registers for the weights.
    const HEIGHTS: [usize; 4] = [16, 12, 8, 6];

    /// # Safety
    ///
    /// The processor has AVX-512, and the lengths were checked as [`Pass::add`] does.
    #[target_feature(enable = "avx512f")]
    pub(super) unsafe fn avx512(pass: &Pass<'_>, sums: &mut [f32]) {
        macro_rules! tiles {
            ($height:expr, $done:expr, $fetch:expr; $($vectors:literal: $($rows:literal)*;)*) => {
                match (pass.vectors, $height) {
                    $($(($vectors, $rows) => avx512_tile::<$rows, $vectors>(pass, $done, 0, sums, $fetch),)*)*
                    _ => unreachable!("tiles have 1 to `HEIGHTS` positions"),
                }
            };
        }
        let most = HEIGHTS[pass.vectors - 1];
        // Lines that a tile fetches at each of its steps, so that all are there after the last.
        let tiles = pass.bases.len().div_ceil(most);
        let mut fetch = Fetch { lines: pass.vectors.div_ceil(tiles.max(1)), from: pass.next };
        let mut done = 0;
        while done < pass.bases.len() {
            // Tiles of almost one height: a low one has too few sums to hide the latency of its additions.
            let left = pass.bases.len() - done;
            let height = left.div_ceil(left.div_ceil(most));
            // SAFETY: the caller's promise; `height` is at most what is left.
            done += unsafe {
                tiles!(height, done, &fetch;
                    1: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16;
                    2: 1 2 3 4 5 6 7 8 9 10 11 12;
                    3: 1 2 3 4 5 6 7 8;
                    4: 1 2 3 4 5 6;
                )
            };
            fetch.go_on(pass.taps.len() * pass.run);
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
                        6.. => avx2_tile::<6, 2>(pass, done, column, sums, &Fetch::NOTHING),
                        2.. => avx2_tile::<2, 2>(pass, done, column, sums, &Fetch::NOTHING),
                        _ => avx2_tile::<1, 2>(pass, done, column, sums, &Fetch::NOTHING),
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
                fetch: &Fetch<'_>,
            ) -> usize {
                let width = pass.vectors * LANES;
                let mut fetched = fetch.from.as_ptr();
                // SAFETY: rows first..first + M of `sums` are `pitch` numbers apart, those of `weights` are `width` numbers
                // each, one for each input of each tap; every base plus every tap plus `run` lies in `x`.
                unsafe {
                    let sums = sums.as_mut_ptr().add(first * pass.pitch + column);
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
                            for _ in 0..fetch.lines {
                                _mm_prefetch::<_MM_HINT_T0>(fetched.cast());
                                // Beyond the end, too: fetching reads nothing.
                                fetched = fetched.wrapping_add(LANES);
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
                            let sum = sums.add(r * pass.pitch + v * $lanes);
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
        for (vectors, count) in (1..=4).flat_map(|v| (1..=37).map(move |n| (v, n))) {
            let width = vectors * LANES;
            let pitch = width + count % 3 * 7;
            let weights: Vec<f32> = (0..taps.len() * run * width).map(|i| number(i + 5)).collect();
            let bases: Vec<usize> = (0..count).map(|i| 3 + i * 11).collect();
            let start: Vec<f32> = (0..count * pitch).map(|i| number(i + 99)).collect();
            let mut want: Vec<f64> = start.iter().map(|&v| v.into()).collect();
            for (row, base) in bases.iter().enumerate() {
                for (input, weights) in weights.chunks_exact(width).enumerate() {
                    let x = f64::from(x[base + taps[input / run] + input % run]);
                    for (want, &w) in want[row * pitch..].iter_mut().zip(weights) {
                        *want += x * f64::from(w);
                    }
                }
            }
            let pass =
                Pass { x: &x, bases: &bases, taps: &taps, run, weights: &weights, vectors, pitch, next: &x };
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
    fn panels_are_of_almost_one_width_and_leave_nothing_out() {
        for channels in 0..700 {
            let panels: Vec<_> = panels(channels).collect();
            let mut next = 0;
            for &(start, vectors) in &panels {
                assert!(start == next && (1..=4).contains(&vectors), "{channels}: {panels:?}");
                next += vectors * LANES;
            }
            assert_eq!(next, channels.next_multiple_of(LANES));
            let widths = panels.iter().map(|panel| panel.1);
            assert!(widths.clone().max() <= widths.min().map(|least| least + 1), "{channels}: {panels:?}");
        }
    }

    #[test]
    #[should_panic(expected = "furthest")]
    fn reading_beyond_the_input_is_caught() {
        let pass = Pass {
            x: &[0.0; 20],
            bases: &[0, 8],
            taps: &[0, 9],
            run: 4,
            weights: &[0.0; 128],
            vectors: 1,
            pitch: 16,
            next: &[],
        };
        pass.add(&mut [0.0; 32]);
    }
}
