//! Non-linearities of many numbers at once: plain arithmetic without branches, which the compiler turns into vectors of
//! whatever width the processor has.
//!
//! The coefficients are ours: a rational function for erf and a polynomial for exp whose largest relative error is least,
//! fitted by weighted least squares (Lawson's algorithm) in `scripts/fit_functions.py`.

use crate::Activation;

/// Puts `activation` of each number in its place.
pub(crate) fn activate(activation: Activation, x: &mut [f32]) {
    match activation {
        Activation::Gelu => each::<Gelu>(x),
        Activation::GeluTanh => each::<GeluTanh>(x),
        Activation::QuickGelu => each::<QuickGelu>(x),
    }
}

/// Puts exp(scale · x − shift) in the place of each number and gives their sum.
pub(crate) fn exponentials(x: &mut [f32], scale: f32, shift: f32) -> f32 {
    #[cfg(target_arch = "x86_64")]
    {
        #[target_feature(enable = "avx512f")]
        unsafe fn avx512(x: &mut [f32], scale: f32, shift: f32) -> f32 {
            exponentials_of::<true>(x, scale, shift)
        }
        #[target_feature(enable = "avx2,fma")]
        unsafe fn avx2(x: &mut [f32], scale: f32, shift: f32) -> f32 {
            exponentials_of::<true>(x, scale, shift)
        }
        if std::arch::is_x86_feature_detected!("avx512f") {
            // SAFETY: the processor has AVX-512.
            return unsafe { avx512(x, scale, shift) };
        }
        if std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("fma") {
            // SAFETY: the processor has AVX2 and FMA.
            return unsafe { avx2(x, scale, shift) };
        }
    }
    exponentials_of::<FUSED>(x, scale, shift)
}

#[inline(always)]
fn exponentials_of<const FMA: bool>(x: &mut [f32], scale: f32, shift: f32) -> f32 {
    const LANES: usize = 16;
    let mut sums = [0.0_f32; LANES];
    let mut chunks = x.chunks_exact_mut(LANES);
    for chunk in &mut chunks {
        for (x, sum) in chunk.iter_mut().zip(&mut sums) {
            *x = exp::<FMA>(multiply_add::<FMA>(*x, scale, -shift));
            *sum += *x;
        }
    }
    let mut sum = sums.iter().sum::<f32>();
    for x in chunks.into_remainder() {
        *x = exp::<FMA>(multiply_add::<FMA>(*x, scale, -shift));
        sum += *x;
    }
    sum
}

/// Whether multiplication and addition fuse without asking the processor; elsewhere fusing would call a slow function.
const FUSED: bool = cfg!(any(target_arch = "aarch64", target_feature = "fma"));

/// A function of one number.
trait Function {
    fn of<const FMA: bool>(x: f32) -> f32;
}

fn each<F: Function>(x: &mut [f32]) {
    #[inline(always)]
    fn all<F: Function, const FMA: bool>(x: &mut [f32]) {
        x.iter_mut().for_each(|x| *x = F::of::<FMA>(*x));
    }
    #[cfg(target_arch = "x86_64")]
    {
        #[target_feature(enable = "avx512f")]
        unsafe fn avx512<F: Function>(x: &mut [f32]) {
            all::<F, true>(x);
        }
        #[target_feature(enable = "avx2,fma")]
        unsafe fn avx2<F: Function>(x: &mut [f32]) {
            all::<F, true>(x);
        }
        if std::arch::is_x86_feature_detected!("avx512f") {
            // SAFETY: the processor has AVX-512.
            return unsafe { avx512::<F>(x) };
        }
        if std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("fma") {
            // SAFETY: the processor has AVX2 and FMA.
            return unsafe { avx2::<F>(x) };
        }
    }
    all::<F, FUSED>(x);
}

#[inline(always)]
fn multiply_add<const FMA: bool>(a: f32, b: f32, c: f32) -> f32 {
    if FMA { a.mul_add(b, c) } else { a * b + c }
}

/// Σ coefficientsᵢ xⁱ.
#[inline(always)]
fn polynomial<const FMA: bool, const N: usize>(coefficients: [f32; N], x: f32) -> f32 {
    let mut sum = coefficients[N - 1];
    for i in (0..N - 1).rev() {
        sum = multiply_add::<FMA>(sum, x, coefficients[i]);
    }
    sum
}

/// eˣ within 2 ulp from −87 to 88; 0 below, e⁸⁸ above, NaN of NaN.
#[inline(always)]
fn exp<const FMA: bool>(x: f32) -> f32 {
    /// Adding it rounds to whole numbers, which then stand in the lowest bits.
    const ROUND: f32 = 12_582_912.0;
    /// ln 2 in two parts, the first so short that its products with whole numbers are exact.
    const LN_2: [f32; 2] = [0.693_359_4, -2.121_944_4e-4];
    let within = x.clamp(-87.0, 88.0);
    let shifted = multiply_add::<FMA>(within, std::f32::consts::LOG2_E, ROUND);
    let whole = shifted - ROUND;
    let rest = multiply_add::<FMA>(whole, -LN_2[1], multiply_add::<FMA>(whole, -LN_2[0], within));
    let power = polynomial::<FMA, 7>(
        [1.0, 1.0, 0.499_999_94, 0.166_665_21, 0.041_668_39, 0.008_368_717, 0.001_381_459_8],
        rest,
    );
    // Times a power of two: its exponent is added to this one's.
    let exponent = shifted.to_bits().wrapping_sub(ROUND.to_bits()) << 23;
    let y = f32::from_bits(power.to_bits().wrapping_add(exponent));
    let y = if x < -87.0 { 0.0 } else { y };
    if x.is_nan() { x } else { y }
}

/// The error function, within 4e-7.
#[inline(always)]
fn erf<const FMA: bool>(x: f32) -> f32 {
    /// From here on f32 has nothing between erf and 1.
    const ONE: f32 = 3.92;
    let square = x * x;
    let above = polynomial::<FMA, 7>(
        [
            // 2/√π, which the fit chose by itself but for rounding.
            std::f32::consts::FRAC_2_SQRT_PI,
            0.199_925_82,
            0.050_573_494,
            0.003_701_656,
            1.418_508_8e-4,
            -1.957_821_3e-6,
            1.992_394_3e-8,
        ],
        square,
    );
    let below =
        polynomial::<FMA, 5>([1.0, 0.510_511_3, 0.114_998_944, 0.014_353_307, 9.560_479_7e-4], square);
    let y = x * above / below;
    let y = if x >= ONE { 1.0 } else { y };
    if x <= -ONE { -1.0 } else { y }
}

struct Gelu;

impl Function for Gelu {
    #[inline(always)]
    fn of<const FMA: bool>(x: f32) -> f32 {
        0.5 * x * (1.0 + erf::<FMA>(x * std::f32::consts::FRAC_1_SQRT_2))
    }
}

struct GeluTanh;

impl Function for GeluTanh {
    #[inline(always)]
    fn of<const FMA: bool>(x: f32) -> f32 {
        // 2·√(2/π); (1 + tanh u)/2 is 1/(1 + e⁻²ᵘ).
        const TWICE: f32 = 1.595_769;
        let inner = TWICE * multiply_add::<FMA>(0.044_715 * x * x, x, x);
        x / (1.0 + exp::<FMA>(-inner))
    }
}

struct QuickGelu;

impl Function for QuickGelu {
    #[inline(always)]
    fn of<const FMA: bool>(x: f32) -> f32 {
        x / (1.0 + exp::<FMA>(-1.702 * x))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers of both signs and every size that matters.
    fn numbers() -> Vec<f32> {
        let fine = (-20_000..=20_000).map(|i| i as f32 / 200.0);
        fine.chain((-40..=40).map(|i| 1.5_f32.powi(i) * if i % 2 == 0 { 1.0 } else { -1.0 })).collect()
    }

    #[test]
    fn exponentials_are_those_of_the_library_in_every_kernel() {
        for (scale, shift) in [(1.0, 0.0), (0.25, 3.0)] {
            let check = |name: &str, y: &[f32]| {
                for (&x, &y) in numbers().iter().zip(y) {
                    // The argument is rounded, once: the scale is a power of two.
                    let argument = f64::from(x * scale - shift).min(88.0);
                    let exact = if argument < -87.0 { 0.0 } else { argument.exp() };
                    assert!((f64::from(y) - exact).abs() <= 3e-7 * exact, "{name}: {x}: {y} for {exact}");
                }
            };
            let mut y = numbers();
            exponentials(&mut y, scale, shift);
            check("the chosen one", &y);
            let mut y = numbers();
            exponentials_of::<false>(&mut y, scale, shift);
            check("portable", &y);
        }
        let mut few: Vec<f32> = (-50..=7).map(|i| i as f32 / 10.0).collect();
        let exact: f64 = few.iter().map(|&x| f64::from(x).exp()).sum();
        for sum in [exponentials(&mut few.clone(), 1.0, 0.0), exponentials_of::<false>(&mut few, 1.0, 0.0)] {
            assert!((f64::from(sum) / exact - 1.0).abs() < 1e-6, "{sum} for {exact}");
        }
        let mut odd = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY];
        exponentials(&mut odd, 1.0, 0.0);
        assert!(odd[0].is_nan() && odd[1] > 1e38 && odd[2] == 0.0, "{odd:?}");
    }

    #[test]
    fn non_linearities_are_their_definitions_in_every_kernel() {
        let tensor = candle_core::Tensor::new(numbers(), &candle_core::Device::Cpu).unwrap();
        let double = tensor.to_dtype(candle_core::DType::F64).unwrap();
        for activation in [Activation::Gelu, Activation::GeluTanh, Activation::QuickGelu] {
            let exact: Vec<f64> = activation.forward(&double).unwrap().to_vec1().unwrap();
            let check = |name: &str, y: &[f32]| {
                for ((&x, &y), exact) in numbers().iter().zip(y).zip(&exact) {
                    let off = (f64::from(y) - exact).abs();
                    assert!(
                        off < 4e-7 * f64::from(x.abs()).max(1.0),
                        "{name} {activation:?}: {x}: {y}, {exact}"
                    );
                }
            };
            let mut y = numbers();
            activate(activation, &mut y);
            check("the chosen one", &y);
            let mut y = numbers();
            match activation {
                Activation::Gelu => y.iter_mut().for_each(|y| *y = Gelu::of::<false>(*y)),
                Activation::GeluTanh => y.iter_mut().for_each(|y| *y = GeluTanh::of::<false>(*y)),
                Activation::QuickGelu => y.iter_mut().for_each(|y| *y = QuickGelu::of::<false>(*y)),
            }
            check("portable", &y);
            let mut odd = [f32::NAN, f32::INFINITY];
            activate(activation, &mut odd);
            assert!(odd[0].is_nan() && odd[1] == f32::INFINITY, "{activation:?}: {odd:?}");
        }
    }
}
