//! Padding and the sizes that follow from it.

use crate::error::{Error, Result};

/// How a volume is padded before windows slide over it; axes are time, height, width.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Padding3d {
    /// TensorFlow's SAME: ⌈size/stride⌉ positions; the odd element goes behind.
    Same,
    /// None.
    Valid,
    /// (before, behind) of each axis.
    Explicit([(usize, usize); 3]),
}

/// One axis: padding, and how many windows fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Axis {
    pub(crate) size: usize,
    pub(crate) kernel: usize,
    pub(crate) stride: usize,
    pub(crate) before: usize,
    pub(crate) behind: usize,
    pub(crate) out: usize,
}

impl Axis {
    pub(crate) fn padded(&self) -> usize {
        self.before + self.size + self.behind
    }
}

impl Padding3d {
    /// # Errors
    ///
    /// An empty kernel or stride, or a padded axis shorter than its kernel.
    pub(crate) fn axes(
        &self,
        operation: &'static str,
        size: [usize; 3],
        kernel: [usize; 3],
        stride: [usize; 3],
    ) -> Result<[Axis; 3]> {
        let mut axes = [Axis { size: 0, kernel: 0, stride: 0, before: 0, behind: 0, out: 0 }; 3];
        for i in 0..3 {
            let (n, k, s) = (size[i], kernel[i], stride[i]);
            let (before, behind) = match self {
                Self::Same if s > 0 => {
                    let total = (n.div_ceil(s).saturating_sub(1) * s + k).saturating_sub(n);
                    (total / 2, total - total / 2)
                }
                Self::Explicit(pads) => pads[i],
                _ => (0, 0),
            };
            let padded = n + before + behind;
            if k == 0 || s == 0 || n == 0 || padded < k {
                return Err(Error::Shape {
                    operation,
                    expected: "a padded volume at least as large as its kernel",
                    actual: size.to_vec(),
                });
            }
            axes[i] = Axis { size: n, kernel: k, stride: s, before, behind, out: (padded - k) / s + 1 };
        }
        Ok(axes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_puts_the_odd_element_behind() {
        let axes = Padding3d::Same.axes("test", [16, 224, 7], [7, 3, 2], [2, 2, 1]).unwrap();
        assert_eq!(axes.map(|a| (a.before, a.behind, a.out)), [(2, 3, 8), (0, 1, 112), (0, 1, 7)]);
    }

    #[test]
    fn a_kernel_must_fit() {
        assert!(Padding3d::Valid.axes("test", [1, 5, 5], [2, 1, 1], [1; 3]).is_err());
        assert!(Padding3d::Same.axes("test", [1, 5, 5], [2, 1, 1], [1, 0, 1]).is_err());
    }
}
