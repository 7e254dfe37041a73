//! Properties that hold for every group.

use proptest::prelude::*;
use squbed_vmf::{Estimator, VonMisesFisher, fit, group_statistics};

fn entropy(rows: &[Vec<f64>]) -> f64 {
    let rows: Vec<&[f64]> = rows.iter().map(Vec::as_slice).collect();
    fit(&group_statistics(&rows).unwrap().0, Estimator::Exact).unwrap().entropy
}

fn group() -> impl Strategy<Value = Vec<Vec<f64>>> {
    (2_usize..6, 2_usize..9).prop_flat_map(|(m, n)| {
        prop::collection::vec(prop::collection::vec(-1.0..1.0_f64, n), m).prop_filter("no zero row", |rows| {
            rows.iter().all(|row| row.iter().map(|x| x * x).sum::<f64>() > 1e-3)
        })
    })
}

/// Householder's reflection at a vector without symmetry, twice with different ones: a rotation.
fn rotate(rows: &[Vec<f64>], seed: f64) -> Vec<Vec<f64>> {
    let reflect = |row: Vec<f64>, seed: f64| -> Vec<f64> {
        let w: Vec<f64> = (0..row.len()).map(|i| (seed + 1.7 * i as f64).sin()).collect();
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        let along = 2.0 * dot(&row, &w) / dot(&w, &w);
        row.iter().zip(&w).map(|(x, w)| x - along * w).collect()
    };
    rows.iter().map(|row| reflect(reflect(row.clone(), seed), 3.1 * seed + 0.4)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// From 1e-8 to 1e9. Where κ is small, h is log|S| to the last digit, and the divergence tells.
    #[test]
    fn entropy_falls_strictly_with_kappa(dim in 2_usize..4097, exponent in -8.0..9.0_f64, factor in 1.001..10.0_f64) {
        let kappa = 10.0_f64.powf(exponent);
        let [low, high] = [kappa, kappa * factor].map(|k| VonMisesFisher::new(dim, k).unwrap());
        prop_assert!(low.kl_uniform() < high.kl_uniform());
        prop_assert!(high.entropy() <= low.entropy());
        prop_assert!(high.entropy() < low.entropy() || high.kl_uniform() < 1e-10);
    }

    #[test]
    fn the_scale_of_a_row_does_not_matter(rows in group(), scales in prop::collection::vec(1e-100..1e100_f64, 6)) {
        let scaled: Vec<Vec<f64>> =
            rows.iter().zip(scales).map(|(r, scale)| r.iter().map(|x| x * scale).collect()).collect();
        let (h, scaled) = (entropy(&rows), entropy(&scaled));
        prop_assert!((h - scaled).abs() <= 1e-11 * h.abs().max(1.0), "{h} {scaled}");
    }

    #[test]
    fn a_rotation_does_not_matter(rows in group(), seed in 0.0..6.3_f64) {
        let (h, turned) = (entropy(&rows), entropy(&rotate(&rows, seed)));
        prop_assert!((h - turned).abs() <= 1e-9 * h.abs().max(1.0), "{h} {turned}");
    }

    #[test]
    fn the_order_of_rows_does_not_matter(rows in group()) {
        let reversed: Vec<Vec<f64>> = rows.iter().rev().cloned().collect();
        let (h, reversed) = (entropy(&rows), entropy(&reversed));
        prop_assert!((h - reversed).abs() <= 1e-12 * h.abs().max(1.0), "{h} {reversed}");
    }
}
