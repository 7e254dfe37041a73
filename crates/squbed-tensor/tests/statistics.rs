//! Batched statistics and PCA.

use candle_core::{DType, Device, Tensor};
use serde_json::Value;
use squbed_tensor::{Error, group_statistics, is_saturated, pca::Pca};
use squbed_vmf::{Estimator, GroupStatistics, fit};

fn uniform(i: usize) -> f64 {
    let mut z = (i as u64).wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((z ^ (z >> 31)) >> 11) as f64 / 2.0_f64.powi(53)
}

fn normal(i: usize) -> f64 {
    (0..12).map(|j| uniform(i * 12 + j)).sum::<f64>() - 6.0
}

/// `m` rows about one direction, each moved by `spread` in all directions together.
fn group(m: usize, d: usize, spread: f64, seed: usize) -> Vec<f64> {
    (0..m * d)
        .map(|i| {
            normal(seed * 1_000_003 + i % d) / (d as f64).sqrt()
                + spread * normal(seed + 77 + i) / (d as f64).sqrt()
        })
        .collect()
}

#[test]
fn golden_fits_equal_the_host_s() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/vmf/fit.public.json");
    let file: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    for row in file["rows"].as_array().unwrap() {
        let (m, n) = (row["m"].as_u64().unwrap() as usize, row["n"].as_u64().unwrap() as usize);
        let samples: Vec<f64> = row["samples"]
            .as_array()
            .unwrap()
            .iter()
            .flat_map(|r| r.as_array().unwrap())
            .map(|v| v.as_f64().unwrap())
            .collect();
        let rows: Vec<&[f64]> = samples.chunks(n).collect();
        let (host, _) = squbed_vmf::group_statistics(&rows).unwrap();
        let x = Tensor::from_vec(samples.clone(), (1, m, n), &Device::Cpu).unwrap();
        assert_eq!(group_statistics(&x).unwrap(), [host], "{}", row["name"]);
    }
}

#[test]
fn single_precision_keeps_h_within_the_attainable() {
    // The error of h in nats that rounding 384 numbers to f32 makes, by 1 − r̄ ≈ spread²/2. In one group it is a
    // draw (of deviation 5e-4 in the tightest), so the median of many groups is held against it.
    for (one_minus_rbar, bound) in [(4.5e-4, 3e-5), (4e-6, 4e-5), (4e-8, 4e-4)] {
        let groups = 101;
        let spread = (2.0_f64 * one_minus_rbar).sqrt();
        let rows: Vec<f64> = (0..groups).flat_map(|s| group(10, 384, spread, 10_000 * s)).collect();
        let wide = Tensor::from_vec(rows, (groups, 10, 384), &Device::Cpu).unwrap();
        let narrow = wide.to_dtype(DType::F32).unwrap();
        let h = |x: &Tensor| -> Vec<f64> {
            let statistics = group_statistics(x).unwrap();
            statistics.iter().map(|s| fit(s, Estimator::Exact).unwrap().entropy).collect()
        };
        let (wide, got, exact) = (h(&wide), h(&narrow), h(&narrow.to_dtype(DType::F64).unwrap()));
        // Sums in f64 add nothing to what rounding the input did.
        assert!(got.iter().zip(&exact).all(|(a, b)| (a - b).abs() < 1e-6), "{one_minus_rbar:e}");
        let mut errors: Vec<f64> = wide.iter().zip(&got).map(|(a, b)| (a - b).abs()).collect();
        errors.sort_by(f64::total_cmp);
        let (median, worst) = (errors[groups / 2], errors[groups - 1]);
        println!(
            "1 - rbar = {one_minus_rbar:e}: error of h {median:.1e} in the median, {worst:.1e} at worst"
        );
        assert!(median < bound && worst < 8.0 * bound, "{one_minus_rbar:e}: {median:e}, {worst:e}");
    }
}

#[test]
fn a_batch_equals_its_groups() {
    let rows: Vec<f32> = (0..5).flat_map(|s| group(4, 32, 0.3, s)).map(|v| v as f32).collect();
    let x = Tensor::from_vec(rows, (5, 4, 32), &Device::Cpu).unwrap();
    let all = group_statistics(&x).unwrap();
    for (i, statistics) in all.iter().enumerate() {
        assert_eq!(group_statistics(&x.narrow(0, i, 1).unwrap()).unwrap(), [*statistics]);
        assert_eq!((statistics.m, statistics.dim), (4, 32));
    }
    for half in [DType::F16, DType::BF16] {
        let close = group_statistics(&x.to_dtype(half).unwrap()).unwrap();
        assert!(all.iter().zip(&close).all(|(a, b)| (a.rbar - b.rbar).abs() < 1e-2));
    }
}

#[test]
fn rows_without_direction_are_named() {
    for bad in [f32::NAN, f32::INFINITY, 0.0] {
        let mut rows = vec![1.0_f32; 3 * 2 * 4];
        rows[12..16].fill(bad);
        let x = Tensor::from_vec(rows, (3, 2, 4), &Device::Cpu).unwrap();
        let error = group_statistics(&x).unwrap_err();
        assert!(matches!(error, Error::NoDirection { group: 1, row: 1, .. }), "{error}");
    }
}

#[test]
fn saturation_is_where_rounding_is_the_spread() {
    let at = |one_minus_rbar| GroupStatistics { m: 4, dim: 8, rbar: 1.0, one_minus_rbar };
    let single = f64::from(f32::EPSILON);
    assert!(is_saturated(&at(1e-15), single) && !is_saturated(&at(1e-12), single));
    assert!(!is_saturated(&at(1e-18), f64::EPSILON));
}

fn corpus(n: usize, d: usize, rank: usize) -> Tensor {
    let rows = (0..n * d).map(|i| {
        let (row, column) = (i / d, i % d);
        let spread: f64 = (0..rank)
            .map(|r| normal(row * 64 + r) * normal(9_000_000 + r * d + column) / (r + 1) as f64)
            .sum();
        spread + uniform(5_000_000 + column)
    });
    Tensor::from_vec(rows.collect::<Vec<f64>>(), (n, d), &Device::Cpu).unwrap()
}

#[test]
fn a_basis_keeps_what_it_explains() {
    for (n, d) in [(40, 12), (12, 40)] {
        let x = corpus(n, d, 5);
        let pca = Pca::fit(&x, 5, true).unwrap();
        assert!((pca.explained() - 1.0).abs() < 1e-9);
        let basis: Vec<Vec<f64>> = pca.basis().t().unwrap().to_vec2().unwrap();
        for (i, a) in basis.iter().enumerate() {
            for (j, b) in basis.iter().enumerate() {
                let dot: f64 = a.iter().zip(b).map(|(a, b)| a * b).sum();
                assert!((dot - f64::from(u8::from(i == j))).abs() < 1e-9);
            }
        }
        // All spread lies in the basis, so distances survive the projection.
        let y: Vec<Vec<f64>> = pca.project(&x).unwrap().to_vec2().unwrap();
        let x: Vec<Vec<f64>> = x.to_vec2().unwrap();
        let distance =
            |rows: &[Vec<f64>]| rows[0].iter().zip(&rows[7]).map(|(a, b)| (a - b).powi(2)).sum::<f64>();
        assert!((distance(&x) - distance(&y)).abs() < 1e-8 * distance(&x));
        let variance = y.iter().map(|r| r[0] * r[0]).sum::<f64>() / n as f64;
        assert!((variance - pca.variances()[0]).abs() < 1e-9 * variance);
    }
}

#[test]
fn more_components_than_the_rank_are_refused() {
    let x = corpus(30, 16, 4).to_dtype(DType::F32).unwrap();
    let error = Pca::fit(&x, 5, true).unwrap_err();
    assert!(matches!(error, Error::Rank { wanted: 5, rank: 4, rows: 30, width: 16 }), "{error}");
    assert_eq!(Pca::fit_at_most(&x, 64, true).unwrap().components(), 4);
    // Not centred, the mean is a direction of its own.
    assert_eq!(Pca::fit_at_most(&x, 64, false).unwrap().components(), 5);
    assert!(Pca::fit(&x, 0, true).is_err());
    let same = Tensor::ones((4, 3), DType::F32, &Device::Cpu).unwrap();
    assert_eq!(
        Pca::fit_at_most(&same, 2, true).unwrap_err().to_string(),
        "no basis can be found: all embeddings are the same"
    );
    for none in [(0, 3), (0, 0)] {
        let none = Tensor::zeros(none, DType::F32, &Device::Cpu).unwrap();
        let error = Pca::fit_at_most(&none, 2, true).unwrap_err().to_string();
        assert_eq!(error, "no basis can be found: there are no embeddings");
    }
}

#[test]
fn a_basis_survives_its_file() {
    let folder = std::env::temp_dir().join(format!("squbed-pca-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("basis.safetensors");
    let x = corpus(20, 8, 3);
    for centred in [true, false] {
        let pca = Pca::fit(&x, 3, centred).unwrap();
        pca.save(&path).unwrap();
        let back = Pca::load(&path, &Device::Cpu).unwrap();
        let rows = |p: &Pca| p.project(&x).unwrap().to_vec2::<f64>().unwrap();
        assert_eq!(rows(&pca), rows(&back));
    }
    std::fs::write(&path, b"no basis").unwrap();
    assert!(matches!(Pca::load(&path, &Device::Cpu), Err(Error::BasisFile { operation: "read", .. })));
    // A file stands where the folder would be; one that is missing is made.
    let nowhere = path.join("basis.safetensors");
    let error = Pca::fit(&x, 3, true).unwrap().save(&nowhere).unwrap_err();
    assert!(matches!(error, Error::BasisFile { operation: "write", .. }), "{error}");
    std::fs::remove_dir_all(&folder).unwrap();
    let error = Pca::load(&path, &Device::Cpu).unwrap_err();
    assert!(matches!(&error, Error::BasisFile { path: named, .. } if *named == path), "{error}");
    assert!(error.to_string().contains("basis.safetensors"), "{error}");
}
