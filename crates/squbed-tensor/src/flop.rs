//! Arithmetic, counted where it is done.

use std::cell::Cell;

use candle_core::Tensor;

use crate::error::Result;

thread_local! {
    /// Multiply-adds that this thread asked for since it began.
    static PRODUCTS: Cell<u64> = const { Cell::new(0) };
}

/// Runs `work` and counts the floating-point operations of its convolutions, linear maps and [`matmul`]s, two for each
/// multiply-add: those that the definition has, zeros of the padding among them, whatever kernel does them. Only what
/// the calling thread itself asks for is counted, on however many threads it is then done.
pub fn counted<T>(work: impl FnOnce() -> T) -> (T, u64) {
    let before = PRODUCTS.get();
    let result = work();
    (result, 2 * PRODUCTS.get().wrapping_sub(before))
}

/// Runs `work` and gives its multiply-adds, which this thread does not count as its own.
pub(crate) fn apart<T>(work: impl FnOnce() -> T) -> (T, usize) {
    let before = PRODUCTS.get();
    let result = work();
    (result, PRODUCTS.replace(before).wrapping_sub(before) as usize)
}

/// Counts multiply-adds.
pub(crate) fn add(products: usize) {
    PRODUCTS.set(PRODUCTS.get().wrapping_add(products as u64));
}

/// Candle's product of matrices `[.., m, k]` and `[.., k, n]`, counted.
///
/// # Errors
///
/// Shapes that do not fit.
pub fn matmul(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    let product = a.matmul(b)?;
    add(product.elem_count() * a.dims().last().copied().unwrap_or(0));
    Ok(product)
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Device};

    use super::*;
    use crate::{Conv3d, Padding3d, in_pool};

    #[test]
    fn products_and_convolutions_are_counted_by_their_definition() {
        let zeros = |dims: &[usize]| Tensor::zeros(dims, DType::F32, &Device::Cpu).unwrap();
        let (y, flop) = counted(|| matmul(&zeros(&[2, 3, 5, 7]), &zeros(&[2, 3, 7, 4])).unwrap());
        assert_eq!((y.dims(), flop), (&[2, 3, 5, 4][..], 2 * 6 * 5 * 7 * 4));
        // 2 clips of 4 frames of 5×6, kernel 3×3×3 in steps of 1, 2, 2 with SAME padding: 4×3×3 positions.
        let conv = Conv3d::new(&zeros(&[3, 3, 3, 2, 8]), None, [1, 2, 2], &Padding3d::Same, false).unwrap();
        let (inner, flop) = counted(|| counted(|| conv.forward(&zeros(&[2, 4, 5, 6, 2])).unwrap()).1);
        assert_eq!((inner, flop), (flop, 2 * 2 * 36 * 27 * 2 * 8));
        let (_, there) =
            counted(|| in_pool(&Device::Cpu, || conv.forward(&zeros(&[2, 4, 5, 6, 2])).unwrap()));
        assert_eq!(there, flop);
        assert_eq!(counted(|| ()).1, 0);
    }
}
