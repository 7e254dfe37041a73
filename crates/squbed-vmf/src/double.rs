//! Double-double arithmetic (Dekker 1971, doi:10.1007/BF01397083), as far as the statistics need it.

/// A number as the unevaluated sum of two f64, about 31 digits.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Double {
    pub(crate) high: f64,
    pub(crate) low: f64,
}

impl Double {
    /// The sum of two numbers of which the second is much the smaller.
    pub(crate) fn new(high: f64, low: f64) -> Self {
        let sum = high + low;
        Self { high: sum, low: low - (sum - high) }
    }

    /// Σ xⱼ² of numbers of size 1 at most, in independent lanes.
    pub(crate) fn sum_of_squares(x: &[f64]) -> Self {
        const LANES: usize = 8;
        let (mut high, mut low) = ([0.0; LANES], [0.0; LANES]);
        let mut add = |chunk: &[f64; LANES]| {
            for lane in 0..LANES {
                let (square, rest) = split_product(chunk[lane], chunk[lane]);
                let (sum, error) = two_sum(high[lane], square);
                high[lane] = sum;
                low[lane] += error + rest;
            }
        };
        let (chunks, rest) = x.as_chunks();
        chunks.iter().for_each(&mut add);
        let mut tail = [0.0; LANES];
        tail[..rest.len()].copy_from_slice(rest);
        add(&tail);
        high.iter().zip(low).fold(Self::default(), |total, (&high, low)| total.plus(Self::new(high, low)))
    }

    fn plus(self, other: Self) -> Self {
        let (sum, error) = two_sum(self.high, other.high);
        Self::new(sum, error + self.low + other.low)
    }

    fn times(self, other: Self) -> Self {
        let (product, error) = split_product(self.high, other.high);
        Self::new(product, error + (self.high * other.low + self.low * other.high))
    }

    pub(crate) fn over(self, divisor: f64) -> Self {
        let high = self.high / divisor;
        let (product, error) = split_product(high, divisor);
        Self::new(high, ((self.high - product) - error + self.low) / divisor)
    }

    /// One Newton step, y(3 − s y²)/2, from the square root in f64.
    pub(crate) fn inverse_square_root(self) -> Self {
        let y = Self { high: 1.0 / self.high.sqrt(), low: 0.0 };
        let square = self.times(y.times(y));
        let step = Self { high: 3.0, low: 0.0 }.plus(Self { high: -square.high, low: -square.low });
        step.times(y).over(2.0)
    }
}

/// a + b and what rounding took from it (Knuth).
#[inline]
pub(crate) fn two_sum(a: f64, b: f64) -> (f64, f64) {
    let sum = a + b;
    let part = sum - a;
    (sum, (a - (sum - part)) + (b - part))
}

/// a·b and what rounding took from it, without a fused multiply-add, which not every machine has (Veltkamp's
/// splitting). Exact for factors below 1e300 whose product's last digits are in range.
#[inline]
pub(crate) fn split_product(a: f64, b: f64) -> (f64, f64) {
    let ((a1, a2), (b1, b2)) = (split(a), split(b));
    let product = a * b;
    (product, a2 * b2 - (((product - a1 * b1) - a2 * b1) - a1 * b2))
}

/// The upper 26 bits of a number and the rest.
#[inline]
fn split(a: f64) -> (f64, f64) {
    let c = 134_217_729.0 * a;
    let high = c - (c - a);
    (high, a - high)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_sums_and_products_are_exact() {
        assert_eq!(two_sum(1.0, 1e-20), (1.0, 1e-20));
        assert_eq!(two_sum(1e-20, -1.0), (-1.0, 1e-20));
        let x = 1.0 + f64::EPSILON;
        // (1 + ε)² = (1 + 2ε) + ε².
        assert_eq!(split_product(x, x), (1.0 + 2.0 * f64::EPSILON, f64::EPSILON * f64::EPSILON));
    }

    #[test]
    fn the_inverse_root_carries_31_digits() {
        // 1/√2 = 0.70710678118654752440 08443621048490392848…: the f64 and the next part.
        let half = Double { high: 2.0, low: 0.0 }.inverse_square_root();
        assert_eq!(half.high, std::f64::consts::FRAC_1_SQRT_2);
        assert!((half.low + 4.833_646_656_726_457e-17).abs() < 1e-31, "{:e}", half.low);
        let third = Double { high: 1.0, low: 0.0 }.over(3.0);
        assert!((third.low - 1.850_371_707_708_594e-17).abs() < 1e-31, "{:e}", third.low);
        let nine = Double::sum_of_squares(&[0.5; 36]);
        assert_eq!((nine.high, nine.low), (9.0, 0.0));
    }
}
