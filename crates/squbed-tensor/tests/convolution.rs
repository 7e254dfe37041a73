//! Convolution and pooling against loops that follow the definition.

use candle_core::{DType, Device, Tensor};
use proptest::prelude::*;
use squbed_tensor::{Conv3d, Padding3d, avg_pool3d, conv3d, max_pool3d};

fn numbers(count: usize, seed: usize) -> Vec<f32> {
    (0..count).map(|i| ((i * 7919 + seed * 104_729 + 17) % 2003) as f32 / 1001.5 - 1.0).collect()
}

#[derive(Debug)]
struct Case {
    x: [usize; 5],
    kernel: [usize; 3],
    cout: usize,
    stride: [usize; 3],
    padding: Padding3d,
}

impl Case {
    /// Padding before, and output size, by the definition.
    fn axis(&self, i: usize) -> (usize, usize) {
        let (n, k, s) = (self.x[i + 1], self.kernel[i], self.stride[i]);
        match self.padding {
            Padding3d::Same => {
                let out = n.div_ceil(s);
                (((out - 1) * s + k).saturating_sub(n) / 2, out)
            }
            Padding3d::Valid => (0, (n - k) / s + 1),
            Padding3d::Explicit(pads) => (pads[i].0, (n + pads[i].0 + pads[i].1 - k) / s + 1),
        }
    }

    /// Visits each output position with the inputs of its window: (output position, tap, input offset).
    fn windows(&self, mut visit: impl FnMut(usize, usize, Option<usize>)) -> [usize; 4] {
        let [b, t, h, w, c] = self.x;
        let axes = [self.axis(0), self.axis(1), self.axis(2)];
        let out = [b, axes[0].1, axes[1].1, axes[2].1];
        let mut position = 0;
        for ib in 0..b {
            for i in 0..out[1] * out[2] * out[3] {
                let at = [i / (out[2] * out[3]), i / out[3] % out[2], i % out[3]];
                for tap in 0..self.kernel.iter().product() {
                    let k = [
                        tap / (self.kernel[1] * self.kernel[2]),
                        tap / self.kernel[2] % self.kernel[1],
                        tap % self.kernel[2],
                    ];
                    let mut inside = true;
                    let mut index = [0; 3];
                    for j in 0..3 {
                        let p = (at[j] * self.stride[j] + k[j]).wrapping_sub(axes[j].0);
                        inside &= p < self.x[j + 1];
                        index[j] = p;
                    }
                    let offset = inside.then(|| (((ib * t + index[0]) * h + index[1]) * w + index[2]) * c);
                    visit(position, tap, offset);
                }
                position += 1;
            }
        }
        out
    }

    fn convolve(&self, x: &[f32], weight: &[f32], bias: &[f32]) -> Vec<f64> {
        let (c, cout) = (self.x[4], self.cout);
        let mut y: Vec<f64> = Vec::new();
        self.windows(|position, tap, offset| {
            if y.len() <= position * cout {
                y.extend(bias.iter().map(|&b| f64::from(b)));
            }
            if let Some(offset) = offset {
                for i in 0..c {
                    for o in 0..cout {
                        y[position * cout + o] +=
                            f64::from(x[offset + i]) * f64::from(weight[(tap * c + i) * cout + o]);
                    }
                }
            }
        });
        y
    }
}

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    let explicit = Padding3d::Explicit([(0, 1), (1, 0), (2, 1)]);
    for (i, padding) in [Padding3d::Same, Padding3d::Valid, explicit].into_iter().enumerate() {
        for (x, kernel, cout, stride) in [
            ([1, 5, 9, 8, 3], [3, 5, 4], 20, [2, 2, 3]),
            ([2, 4, 7, 6, 5], [1, 1, 1], 70, [1, 1, 1]),
            ([1, 4, 6, 7, 16], [3, 3, 3], 64, [1, 1, 1]),
            ([3, 2, 5, 5, 2], [2, 1, 3], 1, [1, 2, 1]),
            ([1, 3, 4, 4, 7], [3, 3, 3], 130, [1, 1, 1]),
            ([1, 4, 30, 31, 4], [1, 7, 2], 48, [1, 2, 2]),
        ] {
            cases.push(Case { x, kernel, cout: cout + i, stride, padding });
        }
    }
    // Runs longer than one pass of a panel.
    cases.push(Case {
        x: [1, 1, 3, 2, 2000],
        kernel: [1; 3],
        cout: 65,
        stride: [1; 3],
        padding: Padding3d::Same,
    });
    cases
}

fn worst(got: &Tensor, want: &[f64]) -> f64 {
    let got: Vec<f64> = got.to_dtype(DType::F64).unwrap().flatten_all().unwrap().to_vec1().unwrap();
    assert_eq!(got.len(), want.len());
    let largest = want.iter().fold(1.0_f64, |a, b| a.max(b.abs()));
    got.iter().zip(want).map(|(g, w)| (g - w).abs()).fold(0.0, f64::max) / largest
}

#[test]
fn convolution_follows_its_definition() {
    let cpu = Device::Cpu;
    for (i, case) in cases().iter().enumerate() {
        let [kt, kh, kw] = case.kernel;
        let inputs = kt * kh * kw * case.x[4];
        let (x, w, bias) = (
            numbers(case.x.iter().product(), i),
            numbers(inputs * case.cout, i + 50),
            numbers(case.cout, i + 90),
        );
        let want = case.convolve(&x, &w, &bias);
        let tensors = |dtype| {
            (
                Tensor::from_slice(&x, &case.x, &cpu).unwrap().to_dtype(dtype).unwrap(),
                Tensor::from_slice(&w, (kt, kh, kw, case.x[4], case.cout), &cpu)
                    .unwrap()
                    .to_dtype(dtype)
                    .unwrap(),
                Tensor::from_slice(&bias, case.cout, &cpu).unwrap().to_dtype(dtype).unwrap(),
            )
        };
        // f32 runs our kernel; f64 and f16 the plain path that other devices take. f16 keeps three digits.
        for (dtype, bound) in [(DType::F32, 1e-5), (DType::F64, 1e-12), (DType::F16, 2e-2)] {
            let (x, w, bias) = tensors(dtype);
            let y = conv3d(&x, &w, Some(&bias), case.stride, &case.padding, false).unwrap();
            let error = worst(&y, &want);
            assert!(error < bound, "case {i}, {dtype:?}: {error:e}");
            let relu: Vec<f64> = want.iter().map(|v| v.max(0.0)).collect();
            let y = conv3d(&x, &w, Some(&bias), case.stride, &case.padding, true).unwrap();
            assert!(worst(&y, &relu) < bound, "case {i}, {dtype:?}, relu");
        }
    }
}

#[test]
fn a_batch_equals_its_clips_bit_for_bit() {
    let cpu = Device::Cpu;
    let x = Tensor::from_vec(numbers(3 * 4 * 9 * 10 * 24, 1), (3, 4, 9, 10, 24), &cpu).unwrap();
    let w = Tensor::from_vec(numbers(27 * 24 * 80, 2), (3, 3, 3, 24, 80), &cpu).unwrap();
    let conv = Conv3d::new(&w, None, [1; 3], &Padding3d::Same, true).unwrap();
    let all = conv.forward(&x).unwrap();
    for i in 0..3 {
        let one = conv.forward(&x.narrow(0, i, 1).unwrap()).unwrap();
        let same = all.narrow(0, i, 1).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
        assert_eq!(one.flatten_all().unwrap().to_vec1::<f32>().unwrap(), same);
    }
}

#[test]
fn pooling_follows_its_definition() {
    let cpu = Device::Cpu;
    for (i, case) in cases().iter().enumerate() {
        let c = case.x[4];
        let x = numbers(case.x.iter().product(), i);
        let window = case.kernel.iter().product::<usize>() as f64;
        let (mut largest, mut sums): (Vec<f64>, Vec<f64>) = (Vec::new(), Vec::new());
        case.windows(|position, _, offset| {
            if largest.len() <= position * c {
                largest.resize((position + 1) * c, f64::NEG_INFINITY);
                sums.resize((position + 1) * c, 0.0);
            }
            if let Some(offset) = offset {
                for j in 0..c {
                    let v = f64::from(x[offset + j]);
                    largest[position * c + j] = largest[position * c + j].max(v);
                    sums[position * c + j] += v / window;
                }
            }
        });
        for (dtype, bound) in [(DType::F32, 1e-6), (DType::F64, 1e-6), (DType::F16, 5e-3)] {
            let x = Tensor::from_slice(&x, &case.x, &cpu).unwrap().to_dtype(dtype).unwrap();
            let mean = avg_pool3d(&x, case.kernel, case.stride, &case.padding).unwrap();
            assert!(worst(&mean, &sums) < bound, "case {i}, {dtype:?}, mean");
            match max_pool3d(&x, case.kernel, case.stride, &case.padding) {
                Ok(y) => assert!(worst(&y, &largest) < bound, "case {i}, {dtype:?}, max"),
                Err(_) => {
                    assert!(largest.contains(&f64::NEG_INFINITY) || case.kernel.contains(&1), "case {i}")
                }
            }
        }
    }
}

/// Any small case whose kernel fits its padded volume.
fn any_case() -> impl Strategy<Value = Case> {
    let pads = (0_usize..3, 0_usize..3);
    let padding = prop_oneof![
        Just(Padding3d::Same),
        Just(Padding3d::Valid),
        [pads.clone(), pads.clone(), pads].prop_map(Padding3d::Explicit),
    ];
    let x = [1_usize..4, 1..6, 1..9, 1..9, 1..21];
    (x, [1_usize..4, 1..5, 1..5], 1_usize..70, [1_usize..4, 1..4, 1..4], padding)
        .prop_map(|(x, kernel, cout, stride, padding)| Case { x, kernel, cout, stride, padding })
        .prop_filter("the kernel fits", |case| match case.padding {
            Padding3d::Same => true,
            Padding3d::Valid => (0..3).all(|i| case.kernel[i] <= case.x[i + 1]),
            Padding3d::Explicit(pads) => {
                (0..3).all(|i| case.kernel[i] <= case.x[i + 1] + pads[i].0 + pads[i].1)
            }
        })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) })]

    #[test]
    fn any_convolution_follows_its_definition(case in any_case(), seed in 0_usize..1000) {
        let cpu = Device::Cpu;
        let [kt, kh, kw] = case.kernel;
        let shape = [kt, kh, kw, case.x[4], case.cout];
        let x = numbers(case.x.iter().product(), seed);
        let (w, bias) = (numbers(shape.iter().product(), seed + 1), numbers(case.cout, seed + 2));
        let want = case.convolve(&x, &w, &bias);
        let x = Tensor::from_vec(x, &case.x, &cpu).unwrap();
        let w = Tensor::from_vec(w, &shape, &cpu).unwrap();
        let bias = Tensor::from_vec(bias, case.cout, &cpu).unwrap();
        let y = conv3d(&x, &w, Some(&bias), case.stride, &case.padding, false).unwrap();
        prop_assert!(worst(&y, &want) < 1e-5);
        let of_last = conv3d(
            &x.narrow(0, case.x[0] - 1, 1).unwrap(), &w, Some(&bias), case.stride, &case.padding, false,
        ).unwrap();
        let last = y.narrow(0, case.x[0] - 1, 1).unwrap();
        let flat = |t: &Tensor| t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        prop_assert_eq!(flat(&of_last), flat(&last));
        // The path of other devices, in f64.
        let wide = |t: &Tensor| t.to_dtype(DType::F64).unwrap();
        let plain =
            conv3d(&wide(&x), &wide(&w), Some(&wide(&bias)), case.stride, &case.padding, false).unwrap();
        prop_assert!(worst(&plain, &want) < 1e-12);
    }
}

#[test]
fn shapes_that_do_not_fit_are_refused() {
    let cpu = Device::Cpu;
    let zeros = |dims: &[usize]| Tensor::zeros(dims, DType::F32, &cpu).unwrap();
    let w = zeros(&[3, 3, 3, 2, 4]);
    let conv = |x: &[usize], padding| conv3d(&zeros(x), &w, None, [1; 3], &padding, false);
    assert!(conv(&[1, 3, 3, 3, 2], Padding3d::Valid).is_ok());
    for x in [vec![1, 3, 3, 3, 3], vec![1, 2, 3, 3, 2], vec![3, 3, 3, 2], vec![0, 3, 3, 3, 2]] {
        assert!(conv(&x, Padding3d::Valid).is_err(), "{x:?}");
    }
    assert!(
        conv3d(&zeros(&[1, 3, 3, 3, 2]), &w, Some(&zeros(&[3])), [1; 3], &Padding3d::Same, false).is_err()
    );
    assert!(max_pool3d(&zeros(&[1, 1, 1, 1, 2]), [2; 3], [1; 3], &Padding3d::Valid).is_err());
}

/// 6144 products of numbers in [0, 1) added one after the other are off by 2.4e-6 of their sum.
#[test]
fn a_long_sum_keeps_its_digits() {
    let (inputs, outputs) = (6144, 80);
    let half = |numbers: Vec<f32>| numbers.into_iter().map(|x| (x + 1.0) / 2.0).collect::<Vec<f32>>();
    let (x, weight) = (half(numbers(inputs, 1)), half(numbers(inputs * outputs, 2)));
    let exact =
        |o: usize| -> f64 { (0..inputs).map(|i| f64::from(x[i]) * f64::from(weight[i * outputs + o])).sum() };
    let tensor =
        |values: &[f32], dims: [usize; 5]| Tensor::from_slice(values, &dims[..], &Device::Cpu).unwrap();
    let y = conv3d(
        &tensor(&x, [1, 1, 1, 1, inputs]),
        &tensor(&weight, [1, 1, 1, inputs, outputs]),
        None,
        [1; 3],
        &Padding3d::Valid,
        false,
    );
    let y = y.unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
    let off = |(o, &y): (usize, &f32)| (f64::from(y) / exact(o) - 1.0).abs();
    let worst = y.iter().enumerate().map(off).fold(0.0, f64::max);
    assert!(worst < 8e-7, "{worst:e}");
}

#[test]
fn nan_is_not_lost() {
    let cpu = Device::Cpu;
    let mut x = numbers(4 * 6 * 6 * 3, 1);
    // Inside the volume: each axis of a kernel of 2 has it in two windows.
    x[((6 + 2) * 6 + 3) * 3] = f32::NAN;
    let x = Tensor::from_vec(x, (1, 4, 6, 6, 3), &cpu).unwrap();
    let w = Tensor::from_vec(numbers(27 * 3 * 20, 2), (3, 3, 3, 3, 20), &cpu).unwrap();
    let holes = |y: &Tensor| {
        let y: Vec<f64> = y.to_dtype(DType::F64).unwrap().flatten_all().unwrap().to_vec1().unwrap();
        y.iter().filter(|v| v.is_nan()).count()
    };
    for dtype in [DType::F32, DType::F64] {
        let (x, w) = (x.to_dtype(dtype).unwrap(), w.to_dtype(dtype).unwrap());
        let y = conv3d(&x, &w, None, [1; 3], &Padding3d::Same, true).unwrap();
        assert!(holes(&y) >= 20, "{dtype:?}");
    }
    // Behind a first element and before others; f64 and f16 take the path of other devices.
    for (kernel, dtype) in [[1, 1, 2], [2, 2, 2], [3, 3, 3]]
        .into_iter()
        .flat_map(|kernel| [DType::F32, DType::F64, DType::F16].map(|dtype| (kernel, dtype)))
    {
        let y = max_pool3d(&x.to_dtype(dtype).unwrap(), kernel, [1; 3], &Padding3d::Same).unwrap();
        assert_eq!(holes(&y), kernel.iter().product::<usize>(), "{kernel:?}, {dtype:?}");
    }
}
