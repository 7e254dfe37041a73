//! The Fréchet distance against SciPy's matrix square root.

mod common;

use candle_core::{DType, Device, Tensor};
use common::{array, golden_json};
use squbed_metrics::{FVD_VARIANT, frechet_distance, frechet_video_distance};

/// `features` of `scripts/golden_metrics.py`.
fn features(seed: u64, n: usize, d: usize, shift: f64) -> Tensor {
    let uniform = |i: usize| common::formula::uniform(seed * 1_000_000_007 + i as u64);
    let value = |i: usize| {
        let (row, j) = (i / d, i % d);
        let at = row * (d + 1) + j;
        (uniform(at) + 0.75 * uniform(at + 1)) / (1 + j % 7) as f64 + shift
    };
    Tensor::from_vec((0..n * d).map(value).collect::<Vec<f64>>(), (n, d), &Device::Cpu).unwrap()
}

#[test]
fn equals_scipy() {
    let golden = golden_json("frechet.json");
    for case in array(&golden["cases"]) {
        let size = |key: &str| case[key].as_u64().unwrap() as usize;
        let number = |key: &str| case[key].as_f64().unwrap();
        let d = size("dim");
        let a = features(1, size("n"), d, 0.0);
        let b = features(2, size("m"), d, number("shift"));
        let want = number("distance");
        let got = if d == 400 {
            let distance = frechet_video_distance(&a, &b).unwrap();
            assert_eq!((distance.variant, distance.clips), (FVD_VARIANT, [450, 520]));
            distance.value
        } else {
            let (there, back) = (frechet_distance(&a, &b).unwrap(), frechet_distance(&b, &a).unwrap());
            assert!((there / back - 1.0).abs() < 1e-12, "{d}: {there} and {back}");
            there
        };
        let error = (got / want - 1.0).abs();
        assert!(error < 1e-9, "{d}: {got} for {want}");
        println!("{d} dimensions: relative error {error:.1e}");
    }
}

#[test]
fn a_set_is_at_no_distance_from_itself_and_a_shift_counts_squared() {
    let a = features(3, 60, 10, 0.0);
    assert!(frechet_distance(&a, &a).unwrap() < 1e-13);
    let b = (&a + 0.5).unwrap();
    assert!((frechet_distance(&a, &b).unwrap() - 10.0 * 0.25).abs() < 1e-12);
    // Twice the spread: tr(Σ + 4Σ − 2·2Σ) = tr Σ, beside the means.
    let mean = a.mean_keepdim(0).unwrap();
    let wide = (a.broadcast_sub(&mean).unwrap() * 2.0).unwrap().broadcast_add(&mean).unwrap();
    let centred = a.broadcast_sub(&mean).unwrap();
    let variance = centred.sqr().unwrap().sum_all().unwrap().to_scalar::<f64>().unwrap() / 59.0;
    assert!((frechet_distance(&a, &wide).unwrap() / variance - 1.0).abs() < 1e-12);
}

#[test]
fn a_constant_feature_has_no_spread_and_does_no_harm() {
    let zeros = |n| Tensor::zeros((n, 2), DType::F64, &Device::Cpu).unwrap();
    let with = |x: &Tensor| Tensor::cat(&[x, &zeros(x.dim(0).unwrap())], 1).unwrap();
    let (a, b) = (features(4, 50, 6, 0.0), features(5, 40, 6, 0.1));
    let plain = frechet_distance(&a, &b).unwrap();
    assert!((frechet_distance(&with(&a), &with(&b)).unwrap() / plain - 1.0).abs() < 1e-9);
}

#[test]
fn small_sets_and_other_features_are_refused() {
    let message = |a: &Tensor, b: &Tensor| frechet_distance(a, b).unwrap_err().to_string();
    assert_eq!(
        message(&features(1, 13, 12, 0.0), &features(2, 12, 12, 0.0)),
        "the Fréchet distance in 12 dimensions needs at least 13 clips in each set, not 13 and 12"
    );
    assert!(message(&features(1, 9, 3, 0.0), &features(2, 9, 4, 0.0)).contains("rows of 3 finite numbers"));
    let nan = (features(1, 9, 3, 0.0) * f64::NAN).unwrap();
    assert!(message(&features(1, 9, 3, 0.0), &nan).contains("NaN in row 0"));
    let error = frechet_video_distance(&features(1, 9, 3, 0.0), &features(2, 9, 3, 0.0)).unwrap_err();
    assert!(error.to_string().contains("I3D's logits are rows of 400"), "{error}");
}
