//! Multi-head attention, a task for each sequence and head.

use candle_core::{CpuStorage, CustomOp1, CustomOp2, Layout, Shape};
use rayon::prelude::*;

use super::{
    aligned::Aligned,
    functions,
    kernel::{LANES, Pass, panels},
};

/// Most queries whose scores are held at once: with 512 keys they fill a quarter of the second-level cache.
const QUERIES: usize = 96;

/// Softmax(q·kᵀ/√d + bias)·v of a tensor `[b, l, 3, heads, d]`, and of a bias that broadcasts to `[b, heads, l, l]`.
pub(crate) struct Attention {
    pub(crate) batch: usize,
    pub(crate) length: usize,
    pub(crate) heads: usize,
    pub(crate) width: usize,
}

/// Numbers, and how far apart those of neighbours along each of four axes are.
struct Bias<'a> {
    numbers: &'a [f32],
    strides: [usize; 4],
}

/// What a thread keeps between its tasks.
#[derive(Default)]
struct Scratch {
    keys: Aligned,
    values: Aligned,
    scores: Aligned,
    mixed: Aligned,
    bases: Vec<usize>,
}

impl Attention {
    fn shape(&self) -> Shape {
        Shape::from((self.batch, self.length, self.heads, self.width))
    }

    fn run(&self, qkv: &[f32], bias: Option<&Bias<'_>>) -> Vec<f32> {
        let (l, d) = (self.length, self.width);
        let row = self.heads * d;
        let mut y = vec![0.0; self.batch * l * row];
        // A head's outputs lie apart: each sequence is a slice, its heads are gathered from tasks.
        let heads: Vec<Vec<f32>> = (0..self.batch * self.heads)
            .into_par_iter()
            .map_init(Scratch::default, |scratch, task| {
                self.head(qkv, bias, [task / self.heads, task % self.heads], scratch)
            })
            .collect();
        y.par_chunks_mut(l * row).zip(heads.par_chunks(self.heads)).for_each(|(y, heads)| {
            for (head, mixed) in heads.iter().enumerate() {
                for (y, mixed) in y.chunks_exact_mut(row).zip(mixed.chunks_exact(d)) {
                    y[head * d..][..d].copy_from_slice(mixed);
                }
            }
        });
        y
    }

    /// One sequence's and head's outputs, `[l, d]`.
    fn head(&self, qkv: &[f32], bias: Option<&Bias<'_>>, at: [usize; 2], scratch: &mut Scratch) -> Vec<f32> {
        let (l, d) = (self.length, self.width);
        let row = self.heads * d;
        let first = at[0] * l * 3 * row + at[1] * d;
        let (padded, wide) = (l.next_multiple_of(LANES), d.next_multiple_of(LANES));
        let Scratch { keys, values, scores, mixed, bases } = scratch;
        let part = |position: usize, part: usize| &qkv[first + (position * 3 + part) * row..][..d];
        // Keys `[d, l]` and values `[l, d]`, in panels.
        keys.resize(d * padded);
        keys.fill(0.0);
        for (start, vectors) in panels(l) {
            let (width, panel) = (vectors * LANES, &mut keys[d * start..]);
            for j in start..l.min(start + width) {
                for (c, &key) in part(j, 1).iter().enumerate() {
                    panel[c * width + j - start] = key;
                }
            }
        }
        values.resize(l * wide);
        for (start, vectors) in panels(d) {
            let (width, panel) = (vectors * LANES, &mut values[l * start..]);
            let channels = width.min(d - start);
            for (j, panel) in panel.chunks_exact_mut(width).take(l).enumerate() {
                panel[..channels].copy_from_slice(&part(j, 2)[start..][..channels]);
                panel[channels..].fill(0.0);
            }
        }
        let scale = 1.0 / (d as f32).sqrt();
        let mut y = Vec::with_capacity(l * d);
        for queries in (0..l).step_by(QUERIES) {
            let count = QUERIES.min(l - queries);
            bases.clear();
            bases.extend((queries..queries + count).map(|i| first + i * 3 * row));
            scores.resize(count * padded);
            scores.fill(0.0);
            for (start, vectors) in panels(l) {
                let pass = Pass {
                    x: qkv,
                    bases,
                    taps: &[0],
                    run: d,
                    weights: &keys[d * start..][..d * vectors * LANES],
                    vectors,
                    pitch: padded,
                    next: &[],
                };
                pass.add_in_parts(&mut scores[start..]);
            }
            mixed.resize(count * wide + count);
            let (mixed, sums) = mixed.split_at_mut(count * wide);
            for (i, (scores, sum)) in scores.chunks_exact_mut(padded).zip(sums.iter_mut()).enumerate() {
                let scores = &mut scores[..l];
                let scale = match bias {
                    None => scale,
                    Some(bias) => {
                        let [b, h, q, k] = bias.strides;
                        let first = at[0] * b + at[1] * h + (queries + i) * q;
                        for (j, score) in scores.iter_mut().enumerate() {
                            *score = *score * scale + bias.numbers[first + j * k];
                        }
                        1.0
                    }
                };
                let most = scores.iter().fold(f32::NEG_INFINITY, |m, &s| if s > m { s } else { m });
                *sum = functions::exponentials(scores, scale, most * scale);
            }
            bases.clear();
            bases.extend((0..count).map(|i| i * padded));
            mixed.fill(0.0);
            for (start, vectors) in panels(d) {
                let pass = Pass {
                    x: scores,
                    bases,
                    taps: &[0],
                    run: l,
                    weights: &values[l * start..][..l * vectors * LANES],
                    vectors,
                    pitch: wide,
                    next: &[],
                };
                pass.add_in_parts(&mut mixed[start..]);
            }
            for (mixed, sum) in mixed.chunks_exact(wide).zip(sums) {
                y.extend(mixed[..d].iter().map(|x| x / *sum));
            }
        }
        y
    }

    fn qkv<'a>(&self, storage: &'a CpuStorage, layout: &Layout) -> candle_core::Result<&'a [f32]> {
        match (storage, layout.contiguous_offsets()) {
            (CpuStorage::F32(qkv), Some((start, end))) => Ok(&qkv[start..end]),
            _ => candle_core::bail!("attention on the CPU takes contiguous f32"),
        }
    }
}

impl CustomOp1 for Attention {
    fn name(&self) -> &'static str {
        "attention"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> candle_core::Result<(CpuStorage, Shape)> {
        Ok((CpuStorage::F32(self.run(self.qkv(storage, layout)?, None)), self.shape()))
    }
}

impl CustomOp2 for Attention {
    fn name(&self) -> &'static str {
        "attention"
    }

    fn cpu_fwd(
        &self,
        storage: &CpuStorage,
        layout: &Layout,
        bias: &CpuStorage,
        of_bias: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        let CpuStorage::F32(numbers) = bias else {
            candle_core::bail!("the bias of attention on the CPU is f32")
        };
        let of_bias = of_bias.broadcast_as((self.batch, self.heads, self.length, self.length))?;
        let &[b, h, q, k] = of_bias.stride() else {
            candle_core::bail!("the bias of attention has four axes")
        };
        let bias = Bias { numbers: &numbers[of_bias.start_offset()..], strides: [b, h, q, k] };
        Ok((CpuStorage::F32(self.run(self.qkv(storage, layout)?, Some(&bias))), self.shape()))
    }
}
