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

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn entropy_falls_strictly_with_kappa(dim in 2_usize..4097, exponent in -2.0..8.0_f64, factor in 1.001..10.0_f64) {
        let h = |kappa| VonMisesFisher::new(dim, kappa).unwrap().entropy();
        let kappa = (dim as f64) * 10.0_f64.powf(exponent);
        prop_assert!(h(kappa * factor) < h(kappa));
    }

    #[test]
    fn the_scale_of_the_input_does_not_matter(rows in group(), scale in 1e-100..1e100_f64) {
        let scaled: Vec<Vec<f64>> = rows.iter().map(|r| r.iter().map(|x| x * scale).collect()).collect();
        let (h, scaled) = (entropy(&rows), entropy(&scaled));
        prop_assert!((h - scaled).abs() <= 1e-11 * h.abs().max(1.0), "{h} {scaled}");
    }

    #[test]
    fn a_rotation_does_not_matter(rows in group(), angle in 0.0..6.3_f64) {
        let (sin, cos) = angle.sin_cos();
        let turned: Vec<Vec<f64>> = rows
            .iter()
            .map(|r| {
                let mut r = r.clone();
                (r[0], r[1]) = (cos * r[0] - sin * r[1], sin * r[0] + cos * r[1]);
                r
            })
            .collect();
        let (h, turned) = (entropy(&rows), entropy(&turned));
        prop_assert!((h - turned).abs() <= 1e-9 * h.abs().max(1.0), "{h} {turned}");
    }
}
