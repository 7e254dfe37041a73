//! The largest element, or the sum, of windows along one axis.

use crate::padding::Axis;

/// What is taken of a window.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Kind {
    Max,
    Sum,
}

/// Numbers that are taken through a window at once: they stay in the first-level cache.
const BLOCK: usize = 2048;

/// Windows `first ..` of lines `[size, inner]` that lie one behind the other in `x`, to `y` `[windows, inner]`. Padding
/// counts as nothing; of a window with NaN the largest is NaN.
pub(crate) fn pool(x: &[f32], axis: &Axis, inner: usize, kind: Kind, first: usize, y: &mut [f32]) {
    #[cfg(target_arch = "x86_64")]
    {
        #[target_feature(enable = "avx512f")]
        unsafe fn avx512(x: &[f32], axis: &Axis, inner: usize, kind: Kind, first: usize, y: &mut [f32]) {
            windows(x, axis, inner, kind, first, y);
        }
        #[target_feature(enable = "avx2")]
        unsafe fn avx2(x: &[f32], axis: &Axis, inner: usize, kind: Kind, first: usize, y: &mut [f32]) {
            windows(x, axis, inner, kind, first, y);
        }
        if std::arch::is_x86_feature_detected!("avx512f") {
            // SAFETY: the processor has AVX-512.
            return unsafe { avx512(x, axis, inner, kind, first, y) };
        }
        if std::arch::is_x86_feature_detected!("avx2") {
            // SAFETY: the processor has AVX2.
            return unsafe { avx2(x, axis, inner, kind, first, y) };
        }
    }
    windows(x, axis, inner, kind, first, y);
}

#[inline(always)]
fn windows(x: &[f32], axis: &Axis, inner: usize, kind: Kind, first: usize, y: &mut [f32]) {
    for (i, y) in y.chunks_exact_mut(inner).enumerate() {
        let (line, position) = ((first + i) / axis.out, (first + i) % axis.out);
        let x = &x[line * axis.size * inner..][..axis.size * inner];
        let start = position * axis.stride;
        let from = start.saturating_sub(axis.before);
        let to = (start + axis.kernel).saturating_sub(axis.before).min(axis.size);
        for (block, y) in y.chunks_mut(BLOCK).enumerate() {
            let count = y.len();
            let row = |j: usize| &x[j * inner + block * BLOCK..][..count];
            let mut rows = (from..to).map(row);
            let Some(row) = rows.next() else { continue };
            y.copy_from_slice(row);
            match kind {
                Kind::Max => rows.for_each(|row| {
                    y.iter_mut().zip(row).for_each(|(y, &x)| *y = if x > *y || x.is_nan() { x } else { *y });
                }),
                Kind::Sum => rows.for_each(|row| y.iter_mut().zip(row).for_each(|(y, &x)| *y += x)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_those_of_the_definition_in_every_kernel() {
        let number = |i: usize| if i % 97 == 5 { f32::NAN } else { ((i * 7919 + 13) % 1009) as f32 - 500.0 };
        for (size, kernel, stride, before, behind) in
            [(7, 3, 2, 0, 1), (8, 3, 1, 1, 1), (5, 2, 2, 0, 1), (4, 4, 1, 0, 0), (9, 5, 3, 2, 2)]
        {
            let out = (size + before + behind - kernel) / stride + 1;
            let axis = Axis { size, kernel, stride, before, behind, out };
            for (lines, inner) in [(1, 1), (3, 5), (2, 64), (2, BLOCK + 3)] {
                let x: Vec<f32> = (0..lines * size * inner).map(number).collect();
                for kind in [Kind::Max, Kind::Sum] {
                    let want = |window: usize, c: usize| {
                        let (line, start) = (window / out, window % out * stride);
                        let taps = (start..start + kernel).filter(|j| (before..before + size).contains(j));
                        let values = taps.map(|j| x[(line * size + j - before) * inner + c]);
                        match kind {
                            Kind::Sum => values.sum::<f32>(),
                            Kind::Max => values.fold(f32::NEG_INFINITY, |a, b| {
                                if a.is_nan() || b.is_nan() { f32::NAN } else { a.max(b) }
                            }),
                        }
                    };
                    let first = 1.min(lines * out - 1);
                    let check = |of: fn(&[f32], &Axis, usize, Kind, usize, &mut [f32])| {
                        let mut y = vec![0.0; (lines * out - first) * inner];
                        of(&x, &axis, inner, kind, first, &mut y);
                        for (i, &y) in y.iter().enumerate() {
                            let want = want(first + i / inner, i % inner);
                            assert!(
                                y == want || y.is_nan() && want.is_nan(),
                                "{axis:?} {kind:?}: {y} {want}"
                            );
                        }
                    };
                    check(pool);
                    check(windows);
                }
            }
        }
    }
}
