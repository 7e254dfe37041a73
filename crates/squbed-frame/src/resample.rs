//! Pillow's resampling of 8-bit images, to the last bit.
//!
//! Pillow's method: separable, 8 bits between the two passes, weights in fixed point. The arithmetic is
//! whole numbers throughout, so the order of the additions does not matter and the result is the same
//! on every processor. The order of the passes does matter; it is that of Pillow 13.

use std::ops::Range;

/// Bits behind the point of a weight: 32 less 8 for the pixel and 2 for overshoot and sign.
const FRACTION: u32 = 22;
/// One half, so that cutting the fraction off rounds.
const HALF: i32 = 1 << (FRACTION - 1);

/// The shape of a filter.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Kernel {
    Triangle,
    /// Keys' cubic convolution with a = −½.
    Cubic,
}

impl Kernel {
    /// Beyond this distance the weight is zero.
    fn support(self) -> f64 {
        match self {
            Self::Triangle => 1.0,
            Self::Cubic => 2.0,
        }
    }

    /// The weight of a pixel at distance `x` from the centre.
    fn weight(self, x: f64) -> f64 {
        const A: f64 = -0.5;
        let x = x.abs();
        match self {
            Self::Triangle => (1.0 - x).max(0.0),
            Self::Cubic if x < 1.0 => ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0,
            Self::Cubic if x < 2.0 => (((x - 5.0) * x + 8.0) * x - 4.0) * A,
            Self::Cubic => 0.0,
        }
    }
}

/// What to make of a picture.
pub(crate) struct Target {
    /// Width and height, above zero.
    pub(crate) size: (usize, usize),
    /// The columns and the rows of it that are wanted; the others are not computed.
    pub(crate) columns: Range<usize>,
    pub(crate) rows: Range<usize>,
}

impl Target {
    pub(crate) fn whole(size: (usize, usize)) -> Self {
        Self { size, columns: 0..size.0, rows: 0..size.1 }
    }
}

/// `rgb` of `from`, width and height above zero, brought to `to`.
pub(crate) fn resample(rgb: &[u8], from: (usize, usize), to: &Target, kernel: Kernel) -> Vec<u8> {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        // SAFETY: the processor has AVX2.
        return unsafe { passes_avx2(rgb, from, to, kernel) };
    }
    passes(rgb, from, to, kernel)
}

/// The same code compiled for AVX2, which multiplies eight 32-bit numbers at once; the baseline of
/// x86-64 has no such instruction.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn passes_avx2(rgb: &[u8], from: (usize, usize), to: &Target, kernel: Kernel) -> Vec<u8> {
    passes(rgb, from, to, kernel)
}

#[inline(always)]
fn passes(rgb: &[u8], from: (usize, usize), to: &Target, kernel: Kernel) -> Vec<u8> {
    // A side that keeps its length is not resampled, unless part of it is left out.
    let weights = |from: usize, to: usize, wanted: &Range<usize>| {
        (from != to || *wanted != (0..to)).then(|| Weights::new(kernel, from, to, wanted.clone()))
    };
    let columns = weights(from.0, to.size.0, &to.columns);
    let rows = weights(from.1, to.size.1, &to.rows);
    match (columns, rows) {
        (Some(columns), Some(rows)) if down_first(from, to.size) => {
            across(&down(rgb, from.0, &rows), from.0, &columns)
        }
        (Some(columns), Some(rows)) => down(&across(rgb, from.0, &columns), to.columns.len(), &rows),
        (Some(columns), None) => across(rgb, from.0, &columns),
        (None, Some(rows)) => down(rgb, from.0, &rows),
        (None, None) => rgb.to_vec(),
    }
}

/// Whether the height shrinks, and by more than twice as many pixels as the width: then Pillow 13
/// resamples the columns first. Earlier versions never do.
fn down_first(from: (usize, usize), to: (usize, usize)) -> bool {
    let lost = |from: usize, to: usize| from as i64 - to as i64;
    lost(from.1, to.1) > (2 * lost(from.0, to.0)).max(0)
}

/// Which pixels of a line make each pixel of the resampled line, and how much of each.
struct Weights {
    /// The first pixel, and where its weight stands.
    spans: Vec<(usize, Range<usize>)>,
    weights: Vec<i32>,
}

impl Weights {
    /// For the `wanted` ones of `to` pixels.
    fn new(kernel: Kernel, from: usize, to: usize, wanted: Range<usize>) -> Self {
        let scale = from as f64 / to as f64;
        let stretch = scale.max(1.0);
        let support = kernel.support() * stretch;
        let mut spans = Vec::with_capacity(wanted.len());
        let mut weights = Vec::new();
        let mut line = Vec::new();
        for i in wanted {
            let centre = (i as f64 + 0.5) * scale;
            // A cast to an unsigned number cuts the fraction off and turns what is below zero to zero.
            let first = (centre - support + 0.5) as usize;
            let end = ((centre + support + 0.5) as usize).min(from);
            line.clear();
            line.extend((first..end).map(|x| kernel.weight((x as f64 - centre + 0.5) * (1.0 / stretch))));
            let sum: f64 = line.iter().sum();
            let start = weights.len();
            let fixed = |w: f64| (w / sum * f64::from(1 << FRACTION)).round() as i32;
            weights.extend(line.iter().map(|&w| fixed(w)));
            spans.push((first, start..weights.len()));
        }
        Self { spans, weights }
    }

    /// The pixels that are used at all.
    fn used(&self) -> Range<usize> {
        let first = self.spans.first().map_or(0, |(first, _)| *first);
        first..self.spans.last().map_or(first, |(last, span)| last + span.len())
    }

    /// The first pixel, counted from the first one used, and the weights of each pixel of the resampled line.
    fn iter(&self) -> impl Iterator<Item = (usize, &[i32])> {
        let origin = self.used().start;
        self.spans.iter().map(move |(first, span)| (first - origin, &self.weights[span.clone()]))
    }
}

/// Resamples each row.
#[inline(always)]
fn across(rgb: &[u8], width: usize, weights: &Weights) -> Vec<u8> {
    /// Rows at a time; few enough for the cache, enough to fill vectors.
    const BAND: usize = 32;
    let mut result = Vec::with_capacity(rgb.len() / width * weights.spans.len());
    for band in rgb.chunks(BAND * width * 3) {
        // Where rows are columns, whole lines are added up, which is what vector code does best.
        let height = band.len() / (width * 3);
        let lines = lines(&transpose(band, width, weights.used()), height, weights);
        result.extend(transpose(&lines, height, 0..height));
    }
    result
}

/// Turns rows of `width` pixels, `part` of each, into columns.
#[inline(always)]
fn transpose(rgb: &[u8], width: usize, part: Range<usize>) -> Vec<u8> {
    let height = rgb.len() / (width * 3);
    let mut result = vec![0; part.len() * height * 3];
    for (y, row) in rgb.chunks_exact(width * 3).enumerate() {
        let row = &row[part.start * 3..part.end * 3];
        for (pixel, column) in row.chunks_exact(3).zip(result.chunks_exact_mut(height * 3)) {
            column[y * 3..y * 3 + 3].copy_from_slice(pixel);
        }
    }
    result
}

/// Resamples each column.
#[inline(always)]
fn down(rgb: &[u8], width: usize, weights: &Weights) -> Vec<u8> {
    lines(&rgb[weights.used().start * width * 3..], width, weights)
}

/// Adds up lines of `width` pixels, the first of which is the first that is used.
#[inline(always)]
fn lines(rgb: &[u8], width: usize, weights: &Weights) -> Vec<u8> {
    let bytes = width * 3;
    let mut result = vec![0; bytes * weights.spans.len()];
    let mut sums = vec![0; bytes];
    for ((first, weights), target) in weights.iter().zip(result.chunks_exact_mut(bytes)) {
        sums.fill(HALF);
        for (row, &weight) in rgb.chunks_exact(bytes).skip(first).zip(weights) {
            for (sum, &value) in sums.iter_mut().zip(row) {
                *sum = add_product(*sum, value, weight);
            }
        }
        for (byte, &sum) in target.iter_mut().zip(&sums) {
            *byte = to_u8(sum);
        }
    }
    result
}

/// `sum + value · weight`, which stays within 31 bits; saying so keeps vector code in checked builds.
#[inline(always)]
fn add_product(sum: i32, value: u8, weight: i32) -> i32 {
    sum.wrapping_add(i32::from(value).wrapping_mul(weight))
}

#[inline(always)]
fn to_u8(sum: i32) -> u8 {
    (sum >> FRACTION).clamp(0, 255) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Weights worked out by hand.
    #[test]
    fn weights_of_small_lines() {
        let fractions = |kernel, from, to| {
            let weights = Weights::new(kernel, from, to, 0..to);
            let line = |(first, weights): (usize, &[i32])| {
                (first, weights.iter().map(|&w| f64::from(w) / f64::from(1 << FRACTION)).collect::<Vec<_>>())
            };
            weights.iter().map(line).collect::<Vec<_>>()
        };
        let halved = fractions(Kernel::Triangle, 4, 2);
        let expected =
            [(0, vec![3.0 / 7.0, 3.0 / 7.0, 1.0 / 7.0]), (1, vec![1.0 / 7.0, 3.0 / 7.0, 3.0 / 7.0])];
        for ((first, weights), (expected_first, expected)) in halved.iter().zip(&expected) {
            assert_eq!(first, expected_first);
            for (w, e) in weights.iter().zip(expected) {
                assert!((w - e).abs() < 2.0f64.powi(-22), "{halved:?}");
            }
        }
        // Keys' kernel at ±½ and ±1½.
        assert_eq!(fractions(Kernel::Cubic, 8, 8)[3], (2, vec![0.0, 1.0, 0.0, 0.0]));
        let (first, middle) = &fractions(Kernel::Cubic, 6, 3)[1];
        assert_eq!((*first, middle.len()), (0, 6));
        assert!((middle.iter().sum::<f64>() - 1.0).abs() < 1e-6);
    }

    /// The two compiled forms agree.
    #[test]
    fn vector_code_changes_nothing() {
        let rgb: Vec<u8> = (0u32..37 * 23 * 3).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        for kernel in [Kernel::Triangle, Kernel::Cubic] {
            for to in [(11, 7), (80, 51), (1, 1), (37, 5)] {
                let to = Target::whole(to);
                assert_eq!(resample(&rgb, (37, 23), &to, kernel), passes(&rgb, (37, 23), &to, kernel));
            }
        }
    }
}
