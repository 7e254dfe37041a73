//! The kernels of CUDA beside the CPU's in f32, over sizes that no tile divides.
//!
//! f32 sums in another order than the CPU: 1e-5 of the length of the result, some ten roundings of 2⁻²⁴ for inner axes
//! of a few thousand. f16 and bf16 are held against f32 on the same rounded input and weights; what differs is the
//! rounding of the result (2⁻¹¹, 2⁻⁸) and, in attention, that of the weights between its two products: twice that.
#![cfg(feature = "cuda")]

use candle_core::{DType, Device, Tensor};
use squbed_tensor::{
    Activation, Concat, Conv3d, Linear, Padding3d, attention, avg_pool3d, gate, group_statistics, layer_norm,
    max_pool3d,
};

const DTYPES: [(DType, f64); 3] = [(DType::F32, 1e-5), (DType::F16, 1e-3), (DType::BF16, 8e-3)];

/// Numbers of a small congruential generator, uniform in ±√3.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }

    fn below(&mut self, n: usize) -> usize {
        self.next() as usize % n
    }

    fn tensor(&mut self, dims: &[usize], scale: f64) -> Tensor {
        let count = dims.iter().product();
        let values: Vec<f32> = (0..count)
            .map(|_| ((self.next() as f64 / 2f64.powi(30) - 1.0) * 3f64.sqrt() * scale) as f32)
            .collect();
        Tensor::from_vec(values, dims, &Device::Cpu).unwrap()
    }
}

fn cuda() -> Device {
    squbed_tensor::device::select_device("cuda").unwrap()
}

/// Rounded to a dtype, as the CPU computes with it in f32.
fn rounded(x: &Tensor, dtype: DType) -> Tensor {
    x.to_dtype(dtype).unwrap().to_dtype(DType::F32).unwrap()
}

fn there(x: &Tensor, dtype: DType) -> Tensor {
    x.to_dtype(dtype).unwrap().to_device(&cuda()).unwrap()
}

/// ‖got − want‖ / ‖want‖.
fn off(got: &Tensor, want: &Tensor) -> f64 {
    assert_eq!(got.dims(), want.dims());
    let numbers = |x: &Tensor| -> Vec<f64> {
        x.to_device(&Device::Cpu)
            .unwrap()
            .to_dtype(DType::F64)
            .unwrap()
            .flatten_all()
            .unwrap()
            .to_vec1()
            .unwrap()
    };
    let (got, want) = (numbers(got), numbers(want));
    let square = |x: f64| x * x;
    let length = want.iter().map(|&x| square(x)).sum::<f64>().sqrt();
    got.iter().zip(&want).map(|(g, w)| square(g - w)).sum::<f64>().sqrt() / length
}

fn check(what: &str, got: &Tensor, want: &Tensor, tolerance: f64) {
    let off = off(got, want);
    assert!(off <= tolerance, "{what}: {off:e} of {tolerance:e}");
}

#[test]
fn convolutions_are_the_cpu_s() {
    let mut numbers = Numbers(1);
    for case in 0..60 {
        let kernel = [1 + numbers.below(3), 1 + numbers.below(7), 1 + numbers.below(7)];
        let stride = [1 + numbers.below(2), 1 + numbers.below(2), 1 + numbers.below(4)];
        let cin = [1, 3, 4, 5, 8, 16, 24, 40, 70][numbers.below(9)];
        let cout = [1, 8, 17, 32, 48, 64, 100, 176, 208, 320][numbers.below(10)];
        let size = [0, 1, 2].map(|i| kernel[i] + numbers.below(9));
        let padding = match numbers.below(3) {
            0 => Padding3d::Same,
            1 => Padding3d::Valid,
            _ => Padding3d::Explicit(kernel.map(|k| (numbers.below(k), numbers.below(k)))),
        };
        let b = 1 + numbers.below(3);
        let x = numbers.tensor(&[b, size[0], size[1], size[2], cin], 1.0);
        let inner = kernel.iter().product::<usize>() * cin;
        let weight =
            numbers.tensor(&[kernel[0], kernel[1], kernel[2], cin, cout], (inner as f64).sqrt().recip());
        let bias = numbers.tensor(&[cout], 0.1);
        for (dtype, tolerance) in DTYPES {
            let conv = |place: &dyn Fn(&Tensor) -> Tensor, bias: &Tensor| {
                let bias = if case % 4 == 0 { None } else { Some(bias) };
                let conv = Conv3d::new(&place(&weight), bias, stride, &padding, case % 2 == 0).unwrap();
                conv.forward(&place(&x)).unwrap()
            };
            let want = conv(&|t| rounded(t, dtype), &rounded(&bias, dtype));
            let got = conv(&|t| there(t, dtype), &there(&bias, dtype));
            check(
                &format!("{case}: {dtype:?} {kernel:?} {stride:?} {cin}→{cout} {padding:?}"),
                &got,
                &want,
                tolerance,
            );
        }
    }
}

#[test]
fn parts_stand_side_by_side() {
    let mut numbers = Numbers(2);
    for (first, rest, second) in [(64, 112, 128), (16, 8, 24), (5, 3, 7)] {
        let x = numbers.tensor(&[2, 3, 9, 10, 40], 1.0);
        let a = numbers.tensor(&[1, 1, 1, 40, first + rest], 0.15);
        let b = numbers.tensor(&[3, 3, 3, rest, second], 0.03);
        for (dtype, tolerance) in DTYPES {
            let build = |place: &dyn Fn(&Tensor) -> Tensor| {
                let conv = |w: &Tensor| Conv3d::new(&place(w), None, [1; 3], &Padding3d::Same, true).unwrap();
                let mut volume = Concat::new(first + second);
                let others = volume.put_first(&conv(&a), &place(&x), first).unwrap();
                assert_eq!(others.dims(), [2, 3, 9, 10, rest]);
                volume.put(&conv(&b), &others).unwrap();
                volume.finish().unwrap()
            };
            let want = build(&|t| rounded(t, dtype));
            check(&format!("{first} {dtype:?}"), &build(&|t| there(t, dtype)), &want, 2.0 * tolerance);
        }
    }
}

#[test]
fn parts_of_a_volume_are_read_where_they_lie() {
    let mut numbers = Numbers(3);
    let x = numbers.tensor(&[2, 4, 7, 9, 64], 1.0);
    let weight = numbers.tensor(&[1, 3, 3, 24, 40], 0.07);
    for (dtype, tolerance) in DTYPES {
        for start in [0, 16, 8, 3] {
            let conv = |place: &dyn Fn(&Tensor) -> Tensor| {
                let x = place(&x).narrow(4, start, 24).unwrap();
                let conv = Conv3d::new(&place(&weight), None, [1; 3], &Padding3d::Same, false).unwrap();
                (conv.forward(&x).unwrap(), max_pool3d(&x, [3; 3], [2; 3], &Padding3d::Same).unwrap())
            };
            let (want, got) = (conv(&|t| rounded(t, dtype)), conv(&|t| there(t, dtype)));
            check(&format!("{dtype:?} from {start}"), &got.0, &want.0, tolerance);
            check(&format!("{dtype:?} from {start}"), &got.1, &want.1, 0.0);
        }
    }
}

#[test]
fn pools_are_the_cpu_s() {
    let mut numbers = Numbers(4);
    for case in 0..40 {
        let kernel = [0; 3].map(|_| 1 + numbers.below(4));
        let stride = [0; 3].map(|_| 1 + numbers.below(2));
        let size = [0, 1, 2].map(|i| kernel[i] + numbers.below(11));
        let c = [3, 8, 24, 100][numbers.below(4)];
        let padding = match numbers.below(3) {
            0 => Padding3d::Same,
            1 => Padding3d::Valid,
            _ => Padding3d::Explicit(kernel.map(|k| (numbers.below(k), numbers.below(k)))),
        };
        let b = 1 + numbers.below(3);
        let x = numbers.tensor(&[b, size[0], size[1], size[2], c], 1.0);
        for (dtype, tolerance) in DTYPES {
            let (here, there) = (rounded(&x, dtype), there(&x, dtype));
            let what = format!("{case}: {dtype:?} {kernel:?} {stride:?} {size:?} {c} {padding:?}");
            let pools = |x: &Tensor| {
                (
                    max_pool3d(x, kernel, stride, &padding).unwrap(),
                    avg_pool3d(x, kernel, stride, &padding).unwrap(),
                    avg_pool3d(x, size, [1; 3], &Padding3d::Valid).unwrap(),
                )
            };
            let (want, got) = (pools(&here), pools(&there));
            check(&what, &got.0, &want.0, 0.0);
            check(&what, &got.1, &want.1, tolerance);
            check(&what, &got.2, &want.2, tolerance);
        }
    }
}

#[test]
fn a_nan_is_not_lost() {
    let mut values = vec![1.0_f32; 2 * 4 * 4 * 8];
    values[17] = f32::NAN;
    let x = Tensor::from_vec(values, (1, 2, 4, 4, 8), &Device::Cpu).unwrap();
    for (dtype, _) in DTYPES {
        let x = there(&x, dtype);
        let weight = there(&Tensor::ones((1, 1, 1, 8, 8), DType::F32, &Device::Cpu).unwrap(), dtype);
        let conv = Conv3d::new(&weight, None, [1; 3], &Padding3d::Same, true).unwrap();
        for y in [
            max_pool3d(&x, [1, 2, 2], [1, 2, 2], &Padding3d::Valid).unwrap(),
            avg_pool3d(&x, [2, 4, 4], [1; 3], &Padding3d::Valid).unwrap(),
            conv.forward(&x).unwrap(),
        ] {
            let y: Vec<f32> = y.to_dtype(DType::F32).unwrap().flatten_all().unwrap().to_vec1().unwrap();
            assert!(y.iter().any(|y| y.is_nan()), "{dtype:?}");
        }
    }
}

#[test]
fn transformers_parts_are_the_cpu_s() {
    let mut numbers = Numbers(5);
    for (b, l, heads, d) in [(2, 50, 3, 64), (3, 7, 2, 32), (1, 257, 2, 80), (2, 65, 2, 64), (2, 19, 2, 16)] {
        let qkv = numbers.tensor(&[b, l, 3, heads, d], 1.0);
        let hidden: Vec<f32> = (0..b * l).map(|i| if i % l > l / 2 { -3e4 } else { 0.0 }).collect();
        let padding = Tensor::from_vec(hidden, (b, 1, 1, l), &Device::Cpu).unwrap();
        let relative = numbers.tensor(&[1, heads, l, l], 1.0);
        for (dtype, tolerance) in DTYPES {
            for bias in [None, Some(&padding), Some(&relative)] {
                let want =
                    attention(&rounded(&qkv, dtype), bias.map(|b| rounded(b, dtype)).as_ref()).unwrap();
                let got = attention(&there(&qkv, dtype), bias.map(|b| there(b, dtype)).as_ref()).unwrap();
                check(
                    &format!("attention {dtype:?} {l} {d} {}", bias.is_some()),
                    &got,
                    &want,
                    2.0 * tolerance,
                );
            }
        }
    }
    for width in [384, 768, 1024, 1280, 2048, 2056, 20] {
        let x = numbers.tensor(&[3, 5, width], 2.0);
        let (weight, bias) = (numbers.tensor(&[width], 1.0), numbers.tensor(&[width], 1.0));
        let up = numbers.tensor(&[width + 8, width], (width as f64).sqrt().recip());
        let up_bias = numbers.tensor(&[width + 8], 1.0);
        let sum = numbers.tensor(&[3, 5, width + 8], 1.0);
        for (dtype, tolerance) in DTYPES {
            let norm = |place: &dyn Fn(&Tensor) -> Tensor| {
                layer_norm(&place(&x), &place(&weight), &place(&bias), 1e-5).unwrap()
            };
            check(
                &format!("norm {dtype:?} {width}"),
                &norm(&|t| there(t, dtype)),
                &norm(&|t| rounded(t, dtype)),
                tolerance,
            );
            let linear = |place: &dyn Fn(&Tensor) -> Tensor| {
                let linear = Linear::new(&place(&up), Some(&place(&up_bias))).unwrap();
                let bare = Linear::new(&place(&up), None).unwrap();
                let x = place(&x);
                [linear.forward(&x), linear.forward_add(&x, &place(&sum)), bare.forward(&x)]
                    .map(Result::unwrap)
            };
            for (got, want) in linear(&|t| there(t, dtype)).iter().zip(linear(&|t| rounded(t, dtype))) {
                check(&format!("linear {dtype:?} {width}"), got, &want, tolerance);
            }
            for activation in [Activation::Gelu, Activation::GeluTanh, Activation::QuickGelu] {
                let want = activation.forward(&rounded(&x, dtype)).unwrap();
                check(
                    &format!("{activation:?} {dtype:?}"),
                    &activation.forward(&there(&x, dtype)).unwrap(),
                    &want,
                    tolerance,
                );
            }
        }
    }
    let (x, g) = (numbers.tensor(&[2, 3, 4, 5, 48], 1.0), numbers.tensor(&[2, 48], 1.0));
    for (dtype, tolerance) in DTYPES {
        let want = gate(&rounded(&x, dtype), &rounded(&g, dtype)).unwrap();
        check(
            &format!("gate {dtype:?}"),
            &gate(&there(&x, dtype), &there(&g, dtype)).unwrap(),
            &want,
            tolerance,
        );
    }
}

#[test]
fn groups_are_the_cpu_s() {
    let mut numbers = Numbers(6);
    for (g, m, d) in [(5, 1, 2), (300, 10, 384), (7, 33, 513), (2, 3, 4096)] {
        let common = numbers.tensor(&[g, 1, d], 1.0);
        for spread in [1.0, 1e-3] {
            let x = common.broadcast_add(&numbers.tensor(&[g, m, d], spread)).unwrap();
            let want = group_statistics(&x).unwrap();
            let got = group_statistics(&x.to_device(&cuda()).unwrap()).unwrap();
            for (got, want) in got.iter().zip(&want) {
                assert_eq!((got.m, got.dim), (want.m, want.dim));
                let apart = |a: f64, b: f64| (a - b).abs() / b.abs().max(1e-300);
                assert!(apart(got.rbar, want.rbar) < 1e-13, "{g} {m} {d}: {} {}", got.rbar, want.rbar);
                let close = want.one_minus_rbar == got.one_minus_rbar
                    || apart(got.one_minus_rbar, want.one_minus_rbar) < 1e-11;
                assert!(close, "{g} {m} {d}: {:e} {:e}", got.one_minus_rbar, want.one_minus_rbar);
            }
        }
    }
    let same = numbers.tensor(&[1, 1, 50], 1.0).broadcast_as((1, 7, 50)).unwrap().contiguous().unwrap();
    let statistics = group_statistics(&same.to_device(&cuda()).unwrap()).unwrap()[0];
    assert_eq!((statistics.one_minus_rbar, statistics.rbar), (0.0, 1.0));
    for bad in [f32::NAN, f32::INFINITY, 0.0] {
        let mut rows = vec![1.0_f32; 3 * 2 * 4];
        rows[12..16].fill(bad);
        let x = Tensor::from_vec(rows, (3, 2, 4), &cuda()).unwrap();
        let error = group_statistics(&x).unwrap_err();
        assert!(matches!(error, squbed_tensor::Error::NoDirection { group: 1, row: 1, .. }), "{error}");
    }
}
