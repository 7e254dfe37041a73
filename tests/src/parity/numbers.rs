//! What encoders and fits are built of: products, convolutions, pools, group statistics, principal components.

use candle_core::{DType, Device, Tensor};
use squbed_core::BoxError;
use squbed_tensor::{Padding3d, avg_pool3d, conv3d, group_statistics, max_pool3d, pca::Pca};
use squbed_vmf::{Estimator, fit};

use super::{Item, Output, formula::values, tolerance::Kind};

pub(super) fn items() -> Vec<Item> {
    vec![
        Item::new("product", |_| Ok(Box::new(product))),
        Item::new("conv3d", |_| Ok(Box::new(convolutions))),
        Item::new("pool3d", |_| Ok(Box::new(pools))),
        Item::new("vMF group statistics", |_| Ok(Box::new(statistics))),
        Item::new("PCA", |_| Ok(Box::new(components))),
    ]
}

/// Numbers in [−1, 1), rounded to `dtype`, so that device and CPU start from the same.
fn rounded(name: &str, shape: &[usize], dtype: DType) -> Result<Tensor, BoxError> {
    let numbers = values(name, shape.iter().product(), 7, 1.0, 0.0);
    Ok(Tensor::from_vec(numbers, shape, &Device::Cpu)?.to_dtype(dtype)?)
}

fn flat(x: &Tensor) -> Result<Tensor, BoxError> {
    Ok(x.flatten_all()?.unsqueeze(0)?)
}

/// `[2, 96, 768] · [2, 768, 160]` beside f64: TF32 or half-precision sums show here first.
fn product(device: &Device, dtype: DType) -> Result<Vec<Output>, BoxError> {
    let (a, b) = (rounded("a", &[2, 96, 768], dtype)?, rounded("b", &[2, 768, 160], dtype)?);
    let actual = a.to_device(device)?.matmul(&b.to_device(device)?)?;
    let expected = a.to_dtype(DType::F64)?.matmul(&b.to_dtype(DType::F64)?)?;
    Ok(vec![Output::new("[96, 768]·[768, 160]", Kind::Product, &flat(&actual)?, &flat(&expected)?)?])
}

/// Kernels of every form that the networks have, beside the CPU's in f32.
fn convolutions(device: &Device, dtype: DType) -> Result<Vec<Output>, BoxError> {
    type Case = (&'static str, [usize; 5], [usize; 4], [usize; 3], Padding3d);
    let cases: [Case; 8] = [
        ("1×1×1", [2, 3, 9, 7, 40], [1, 1, 1, 72], [1; 3], Padding3d::Valid),
        ("3×3×3 SAME", [2, 5, 17, 19, 24], [3, 3, 3, 40], [1; 3], Padding3d::Same),
        ("1×3×3 SAME", [2, 5, 17, 19, 24], [1, 3, 3, 40], [1; 3], Padding3d::Same),
        ("3×1×1 SAME", [2, 5, 17, 19, 24], [3, 1, 1, 40], [1; 3], Padding3d::Same),
        ("7×7×7 in steps of 2, SAME", [1, 9, 40, 37, 3], [7, 7, 7, 64], [2; 3], Padding3d::Same),
        ("1×7×7 in steps of 2, SAME", [1, 4, 40, 37, 3], [1, 7, 7, 64], [1, 2, 2], Padding3d::Same),
        ("7×1×1 in steps of 2, SAME", [1, 9, 12, 11, 64], [7, 1, 1, 64], [2, 1, 1], Padding3d::Same),
        ("1×16×16 in steps of 16", [3, 1, 64, 48, 3], [1, 16, 16, 64], [1, 16, 16], Padding3d::Valid),
    ];
    let mut outputs = Vec::new();
    for (what, dims, [kt, kh, kw, cout], stride, padding) in cases {
        let x = rounded("x", &dims, dtype)?;
        let weight = rounded("weight", &[kt, kh, kw, dims[4], cout], dtype)?;
        let bias = rounded("bias", &[cout], dtype)?;
        let on = |device: &Device, dtype| -> Result<Tensor, BoxError> {
            let [x, weight, bias] =
                [&x, &weight, &bias].map(|x| x.to_dtype(dtype).and_then(|x| x.to_device(device)));
            Ok(conv3d(&x?, &weight?, Some(&bias?), stride, &padding, true)?)
        };
        let (actual, expected) = (on(device, dtype)?, on(&Device::Cpu, DType::F32)?);
        outputs.push(Output::new(what, Kind::Conv3d, &flat(&actual)?, &flat(&expected)?)?);
    }
    Ok(outputs)
}

fn pools(device: &Device, dtype: DType) -> Result<Vec<Output>, BoxError> {
    let x = rounded("x", &[2, 6, 17, 15, 40], dtype)?;
    let (there, here) = (x.to_device(device)?, x.to_dtype(DType::F32)?);
    let mut outputs = Vec::new();
    for (kernel, stride) in [([3; 3], [1; 3]), ([1, 3, 3], [1, 2, 2]), ([3; 3], [2; 3]), ([2; 3], [2; 3])] {
        let of = |x: &Tensor| max_pool3d(x, kernel, stride, &Padding3d::Same);
        let what = format!("max {kernel:?} in steps of {stride:?}");
        outputs.push(Output::new(&what, Kind::MaxPool, &flat(&of(&there)?)?, &flat(&of(&here)?)?)?);
    }
    let of = |x: &Tensor| avg_pool3d(x, [2, 7, 7], [1; 3], &Padding3d::Valid);
    outputs.push(Output::new("mean [2, 7, 7]", Kind::AvgPool, &flat(&of(&there)?)?, &flat(&of(&here)?)?)?);
    Ok(outputs)
}

/// Groups of 10 rows of 512 numbers, from wide to as tight as the dtype resolves.
fn statistics(device: &Device, dtype: DType) -> Result<Vec<Output>, BoxError> {
    const SHAPE: [usize; 3] = [256, 10, 512];
    let spreads = if dtype == DType::F32 { [1.0, 0.1, 1e-2, 1e-4] } else { [1.0, 0.5, 0.2, 0.1] };
    let [groups, m, d] = SHAPE;
    let centres = values("centre", groups * d, 7, 1.0, 0.0);
    let moved = values("moved", groups * m * d, 7, 1.0, 0.0);
    let number = |i: usize| centres[i / (m * d) * d + i % d] + spreads[i / (m * d) % 4] * moved[i];
    let x =
        Tensor::from_vec((0..groups * m * d).map(number).collect(), &SHAPE, &Device::Cpu)?.to_dtype(dtype)?;
    let (there, here) = (group_statistics(&x.to_device(device)?)?, group_statistics(&x)?);
    let of = |statistics: &[squbed_vmf::GroupStatistics]| -> Result<[Vec<f64>; 2], BoxError> {
        let entropies = statistics.iter().map(|s| Ok(fit(s, Estimator::Exact)?.entropy));
        Ok([
            statistics.iter().map(|s| s.one_minus_rbar).collect(),
            entropies.collect::<Result<_, squbed_vmf::Error>>()?,
        ])
    };
    let ([scatter, entropy], [expected_scatter, expected_entropy]) = (of(&there)?, of(&here)?);
    let output = |what: &str, kind, actual, expected| Output {
        what: what.to_owned(),
        kind,
        actual: vec![actual],
        expected: vec![expected],
    };
    Ok(vec![
        output("1 − r̄ of 256 groups of 10×512", Kind::Scatter, scatter, expected_scatter),
        output("h of them", Kind::Entropy, entropy, expected_entropy),
    ])
}

/// A corpus whose components are far apart, taller and wider than its numbers.
fn components(device: &Device, dtype: DType) -> Result<Vec<Output>, BoxError> {
    const RANK: usize = 12;
    let mut outputs = Vec::new();
    for (n, d) in [(300, 48), (40, 256)] {
        let scales: Vec<f64> = (0..RANK).map(|r| 0.8f64.powi(r as i32)).collect();
        let scales = Tensor::from_vec(scales, (1, RANK), &Device::Cpu)?;
        let scores = rounded("scores", &[n, RANK], DType::F64)?.broadcast_mul(&scales)?;
        let x = (scores.matmul(&rounded("directions", &[RANK, d], DType::F64)?)? + 0.5)?.to_dtype(dtype)?;
        let fitted = |x: &Tensor| -> Result<(Vec<f64>, Tensor), BoxError> {
            let pca = Pca::fit(x, 8, true)?;
            Ok((pca.variances().to_vec(), pca.project(x)?))
        };
        let ((there, y), (here, expected)) = (fitted(&x.to_device(device)?)?, fitted(&x)?);
        let what = format!("variances of {n}×{d}");
        outputs.push(Output { what, kind: Kind::Components, actual: vec![there], expected: vec![here] });
        // A coordinate may be near 0: lengths of columns, whose sum with their signs tells a flipped one.
        let sums = |y: &Tensor| -> Result<Tensor, BoxError> {
            let y = y.to_device(&Device::Cpu)?.to_dtype(DType::F64)?;
            Ok((y.sqr()?.sum_keepdim(0)?.sqrt()? + y.narrow(0, 0, n / 2)?.sum_keepdim(0)?)?)
        };
        let what = format!("coordinates of {n}×{d}");
        outputs.push(Output::new(&what, Kind::Components, &sums(&y)?, &sums(&expected)?)?);
    }
    Ok(outputs)
}
