//! Convolution on the CPU: panels of output channels × chunks of positions, each a task of its own.

use std::mem::MaybeUninit;

use rayon::prelude::*;

use super::{
    aligned::Aligned,
    functions,
    kernel::{self, LANES, Pass},
};
use crate::{Activation, padding::Axis};

/// Most positions in a task.
const CHUNK: usize = 192;

/// Weights in panels of up to 64 output channels, `[taps × run, vectors × 16]` each, zeros behind the last.
#[derive(Debug)]
pub(crate) struct Packed {
    panels: Vec<Panel>,
    bias: Vec<f32>,
    /// kt, kh, kw, cin, cout.
    dims: [usize; 5],
}

#[derive(Debug)]
struct Panel {
    first: usize,
    channels: usize,
    vectors: usize,
    weights: Aligned,
}

/// What is done with sums before they are written.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Finish<'a> {
    /// Nothing.
    Plain,
    /// Negative ones become 0.
    Relu,
    /// A non-linearity.
    Activation(Activation),
    /// Numbers in the order of the output are added.
    Add(&'a [f32]),
}

impl Packed {
    /// `weights` is `[kt, kh, kw, cin, cout]`.
    pub(crate) fn new(weights: &[f32], bias: Vec<f32>, dims: [usize; 5]) -> Self {
        let [kt, kh, kw, cin, cout] = dims;
        let inputs = kt * kh * kw * cin;
        let mut panels = Vec::new();
        for (first, vectors) in kernel::panels(cout) {
            let width = vectors * LANES;
            let channels = width.min(cout - first);
            let mut packed = Aligned::zeros(inputs * width);
            for (row, packed) in packed.chunks_exact_mut(width).enumerate() {
                packed[..channels].copy_from_slice(&weights[row * cout + first..][..channels]);
            }
            panels.push(Panel { first, channels, vectors, weights: packed });
        }
        Self { panels, bias, dims }
    }

    pub(crate) fn cout(&self) -> usize {
        self.dims[4]
    }

    /// `x` is `[b, t, h, w, cin]`; gives `[b, t′, h′, w′, cout]`.
    pub(crate) fn run(&self, x: &[f32], batch: usize, axes: &[Axis; 3], finish: Finish<'_>) -> Vec<f32> {
        let [kt, kh, kw, cin, cout] = self.dims;
        let [t, h, w] = axes;
        let padded;
        let x = if axes.iter().all(|a| a.before + a.behind == 0) {
            x
        } else {
            padded = pad(x, batch, axes, cin);
            &padded
        };
        // In the padded volume a tap (kt, kh) is one run of kw × cin numbers, at one offset for all positions.
        let (line, plane) = (w.padded() * cin, h.padded() * w.padded() * cin);
        let volume = t.padded() * plane;
        let taps: Vec<usize> = (0..kt * kh).map(|i| i / kh * plane + i % kh * line).collect();
        let run = kw * cin;
        let count = batch * t.out * h.out * w.out;
        // Enough tasks for every thread, none so small that its panel is read for little. A chunk's inputs stay
        // in the second-level cache while its panels go by.
        let wanted = (rayon::current_num_threads() * 4).div_ceil(self.panels.len());
        let chunk = count.div_ceil(wanted).next_multiple_of(24).clamp(24, CHUNK);
        let tasks = count.div_ceil(chunk) * self.panels.len();

        let mut y = Vec::with_capacity(count * cout);
        let out = SharedOut(y.as_mut_ptr());
        (0..tasks).into_par_iter().for_each_init(
            || (Vec::new(), Aligned::default()),
            |(bases, sums), task| {
                let (panel, first) =
                    (&self.panels[task % self.panels.len()], task / self.panels.len() * chunk);
                let next = &self.panels[(task + 1) % self.panels.len()].weights;
                bases.clear();
                bases.extend(
                    Positions::from(first, axes, [volume, plane, line, cin]).take(chunk.min(count - first)),
                );
                panel.sums(x, bases, &taps, run, &self.bias, next, sums);
                if let Finish::Activation(activation) = finish {
                    functions::activate(activation, sums);
                }
                for (i, sums) in sums.chunks_exact(panel.vectors * LANES).enumerate() {
                    let start = (first + i) * cout + panel.first;
                    // SAFETY: each position × panel belongs to one task, and lies within `y`'s capacity.
                    let row = unsafe { out.row(start, panel.channels) };
                    match finish {
                        Finish::Plain | Finish::Activation(_) => {
                            row.iter_mut().zip(sums).for_each(|(y, &sum)| _ = y.write(sum));
                        }
                        // Not `max`, which would turn NaN into 0.
                        Finish::Relu => row.iter_mut().zip(sums).for_each(|(y, &sum)| {
                            y.write(if sum < 0.0 { 0.0 } else { sum });
                        }),
                        Finish::Add(added) => {
                            let added = added[start..].iter();
                            row.iter_mut().zip(sums).zip(added).for_each(|((y, &sum), added)| {
                                y.write(sum + added);
                            });
                        }
                    }
                }
            },
        );
        // SAFETY: the tasks, all done, wrote every panel of every position.
        unsafe { y.set_len(count * cout) };
        y
    }
}

/// Where each output position's window begins in the padded volumes.
struct Positions {
    /// Windows along t, h, w, and the distance of neighbours along b, t, h, w.
    counts: [usize; 3],
    steps: [usize; 4],
    at: [usize; 4],
}

impl Positions {
    /// From the output position `first` on; `strides` are those of b, t, h, w in the padded volumes.
    fn from(first: usize, [t, h, w]: &[Axis; 3], strides: [usize; 4]) -> Self {
        let (rest, iw) = (first / w.out, first % w.out);
        let (rest, ih) = (rest / h.out, rest % h.out);
        Self {
            counts: [t.out, h.out, w.out],
            steps: [strides[0], strides[1] * t.stride, strides[2] * h.stride, strides[3] * w.stride],
            at: [rest / t.out, rest % t.out, ih, iw],
        }
    }
}

impl Iterator for Positions {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        let base = self.at.iter().zip(&self.steps).map(|(at, step)| at * step).sum();
        self.at[3] += 1;
        for i in (0..3).rev() {
            if self.at[i + 1] == self.counts[i] {
                self.at[i + 1] = 0;
                self.at[i] += 1;
            }
        }
        Some(base)
    }
}

impl Panel {
    /// Sums of some positions, `[bases, vectors × 16]`, starting from the bias.
    fn sums(
        &self,
        x: &[f32],
        bases: &[usize],
        taps: &[usize],
        run: usize,
        bias: &[f32],
        next: &[f32],
        sums: &mut Aligned,
    ) {
        let width = self.vectors * LANES;
        sums.resize(bases.len() * width);
        for row in sums.chunks_exact_mut(width) {
            row[..self.channels].copy_from_slice(&bias[self.first..][..self.channels]);
            row[self.channels..].fill(0.0);
        }
        let (weights, vectors) = (&self.weights, self.vectors);
        Pass { x, bases, taps, run, weights, vectors, pitch: width, next }.add_in_parts(sums);
    }
}

/// The output, written by tasks that share no element.
struct SharedOut(*mut f32);

// SAFETY: tasks write disjoint rows.
unsafe impl Sync for SharedOut {}

impl SharedOut {
    /// # Safety
    ///
    /// The range lies within the output, and no other task has any of it.
    #[expect(clippy::mut_from_ref, reason = "each task gets rows of its own")]
    unsafe fn row(&self, start: usize, length: usize) -> &mut [MaybeUninit<f32>] {
        // SAFETY: the caller's promise.
        unsafe { std::slice::from_raw_parts_mut(self.0.add(start).cast(), length) }
    }
}

/// Copies a batch into volumes with zeros around.
fn pad(x: &[f32], batch: usize, axes: &[Axis; 3], c: usize) -> Vec<f32> {
    let [t, h, w] = axes;
    let line = w.padded() * c;
    let mut padded = vec![0.0; batch * t.padded() * h.padded() * line];
    padded.par_chunks_mut(h.padded() * line).enumerate().for_each(|(i, plane)| {
        let (ib, it) = (i / t.padded(), i % t.padded());
        if it < t.before || it >= t.before + t.size {
            return;
        }
        let source = &x[(ib * t.size + it - t.before) * h.size * w.size * c..][..h.size * w.size * c];
        let lines = plane.chunks_exact_mut(line).skip(h.before);
        for (line, source) in lines.zip(source.chunks_exact(w.size * c)) {
            line[w.before * c..][..source.len()].copy_from_slice(source);
        }
    });
    padded
}
