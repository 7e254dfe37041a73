//! Parts of a group from the distances of its pairs; log-densities; the test of uniformity.

use squbed_vmf::{
    Error, Estimator, GroupStatistics, Mixture, PairDistances, Sampler, VonMisesFisher, fit,
    group_statistics, rayleigh_p,
};

fn rows(x: &[f64], dim: usize) -> Vec<&[f64]> {
    x.chunks(dim).collect()
}

fn near(got: &GroupStatistics, want: &GroupStatistics) {
    assert_eq!((got.m, got.dim), (want.m, want.dim));
    let off = (got.one_minus_rbar / want.one_minus_rbar - 1.0).abs().max((got.rbar - want.rbar).abs());
    assert!(off < 1e-9, "{got:?} for {want:?}");
}

#[test]
fn a_part_of_a_group_is_fitted_as_if_it_stood_alone() {
    for (dim, kappa) in [(3, 2.0), (64, 40.0), (384, 3e4), (512, 1e9)] {
        let x = Sampler::new(dim, kappa, None).unwrap().rows(7, 5).unwrap();
        let x = rows(&x, dim);
        let pairs = PairDistances::of(&x).unwrap();
        near(&pairs.drawn(&[0, 1, 2, 3, 4, 5, 6]).unwrap(), &group_statistics(&x).unwrap().0);
        for row in 0..7 {
            let others: Vec<&[f64]> = (0..7).filter(|&i| i != row).map(|i| x[i]).collect();
            let (want, mean) = group_statistics(&others).unwrap();
            near(&pairs.without(row).unwrap(), &want);
            let mean = mean.unwrap();
            let distance = x[row].iter().zip(&mean).map(|(x, m)| (x - m).powi(2)).sum::<f64>() / 2.0;
            let got = pairs.from_others(row).unwrap();
            assert!((got / distance - 1.0).abs() < 1e-7, "n = {dim}: {got:e} for {distance:e}");
        }
    }
}

#[test]
fn pairs_of_one_row_drawn_twice_do_not_count() {
    let x = [1.0, 0.0, 0.0, 1.0, 0.6, 0.8];
    let pairs = PairDistances::of(&rows(&x, 2)).unwrap();
    assert_eq!(pairs.count(), 3);
    // Rows 0, 0 and 1: both pairs of different rows are at distance 1.
    let drawn = pairs.drawn(&[0, 0, 1]).unwrap();
    assert!(
        (drawn.m, drawn.dim) == (3, 2) && (drawn.rbar * drawn.rbar - 1.0 / 3.0).abs() < 1e-15,
        "{drawn:?}"
    );
    assert_eq!(pairs.drawn(&[2, 2, 2]), None);
    let two = PairDistances::of(&rows(&x[..4], 2)).unwrap();
    assert_eq!(two.without(0), None);
    assert_eq!(two.from_others(1), Some(1.0));
    assert_eq!(PairDistances::of(&rows(&x[..2], 2)).unwrap().from_others(0), None);
    // Opposite rows have no mean direction.
    let opposite = PairDistances::of(&[&[1.0, 0.0][..], &[-1.0, 0.0], &[0.0, 1.0]]).unwrap();
    assert_eq!(opposite.from_others(2), None);
}

#[test]
fn rows_without_direction_or_of_other_widths_are_named() {
    let bad = PairDistances::of(&[&[1.0, 0.0][..], &[0.0, 0.0]]).unwrap_err();
    assert!(matches!(bad, Error::NoDirection { row: 1, .. }));
    let ragged = PairDistances::of(&[&[1.0, 0.0][..], &[1.0, 0.0, 0.0]]).unwrap_err();
    assert_eq!(ragged, Error::Ragged { row: 1, expected: 2, got: 3 });
    assert_eq!(PairDistances::of::<f64>(&[]).unwrap_err(), Error::Empty);
}

#[test]
fn log_densities_average_to_the_entropy() {
    // On the sphere in three dimensions the density is κ e^{κ cos}/(4π sinh κ).
    let k = 2.0_f64;
    let want = (k / (4.0 * std::f64::consts::PI * k.sinh())).ln() + k * 0.25;
    assert!((VonMisesFisher::new(3, k).unwrap().log_density(0.75) - want).abs() < 1e-14);
    for (dim, kappa) in [(3, 0.0), (16, 5.0), (384, 2e3), (512, 1e7)] {
        let vmf = VonMisesFisher::new(dim, kappa).unwrap();
        let mut mean = vec![0.0; dim];
        mean[0] = 1.0;
        let x = Sampler::new(dim, kappa, None).unwrap().rows(4000, 3).unwrap();
        let logs: Vec<f64> = x
            .chunks(dim)
            .map(|x| x.iter().zip(&mean).map(|(x, m)| (x - m).powi(2)).sum::<f64>() / 2.0)
            .map(|distance| vmf.log_density(distance))
            .collect();
        let average = logs.iter().sum::<f64>() / 4000.0;
        let spread = logs.iter().map(|l| (l - average).powi(2)).sum::<f64>() / 3999.0;
        let error = (spread / 4000.0).sqrt();
        assert!((average + vmf.entropy()).abs() <= 4.0 * error + 1e-9, "n = {dim}: {average}");
    }
    let point = VonMisesFisher::new(8, f64::INFINITY).unwrap();
    assert_eq!((point.log_density(0.0), point.log_density(0.1)), (f64::INFINITY, f64::NEG_INFINITY));
}

#[test]
fn uniform_groups_are_rejected_as_often_as_the_level_says() {
    for (m, dim) in [(4, 64), (10, 64), (10, 512), (4, 3)] {
        let runs = 1000;
        let uniform = Sampler::new(dim, 0.0, None).unwrap();
        let rejected = (0..runs)
            .filter(|&seed| {
                let x = uniform.rows(m, seed).unwrap();
                rayleigh_p(&group_statistics(&rows(&x, dim)).unwrap().0) < 0.05
            })
            .count();
        println!("m = {m}, n = {dim}: {rejected} of {runs} rejected at .05");
        // Five standard errors.
        assert!((16..=84).contains(&rejected), "m = {m}, n = {dim}: {rejected}");
    }
    let tight = Sampler::new(64, 200.0, None).unwrap().rows(10, 1).unwrap();
    let (tight, _) = group_statistics(&rows(&tight, 64)).unwrap();
    assert!(rayleigh_p(&tight) < 1e-6);
    let none = GroupStatistics { m: 2, dim: 5, rbar: 0.0, one_minus_rbar: 1.0 };
    assert_eq!(rayleigh_p(&none), 1.0);
}

/// Why pairs of one row are left out: with them a resample is far tighter than its group.
#[test]
fn a_bootstrap_of_pairs_keeps_the_entropy_where_a_plain_one_loses_it() {
    let (m, dim) = (10, 128);
    let x = Sampler::new(dim, 150.0, None).unwrap().rows(m, 2).unwrap();
    let x = rows(&x, dim);
    let pairs = PairDistances::of(&x).unwrap();
    let entropy = |s: &GroupStatistics| fit(s, Estimator::U).unwrap().entropy;
    let whole = entropy(&group_statistics(&x).unwrap().0);
    let (mut of_pairs, mut plain) = (0.0, 0.0);
    for run in 0..200_usize {
        let mut state = run as u64 + 1;
        let drawn: Vec<usize> = (0..m)
            .map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (state >> 33) as usize % m
            })
            .collect();
        of_pairs += entropy(&pairs.drawn(&drawn).unwrap()) / 200.0;
        let again: Vec<&[f64]> = drawn.iter().map(|&i| x[i]).collect();
        plain += entropy(&group_statistics(&again).unwrap().0) / 200.0;
    }
    println!("h {whole:.2}; bootstrap mean {of_pairs:.2}, with pairs of one row {plain:.2}");
    assert!((of_pairs - whole).abs() < 1.0 && plain < whole - 5.0);
}

#[test]
fn groups_taken_as_one() {
    let dim = 48;
    let groups: Vec<Vec<f64>> = (0..4)
        .map(|i| {
            let mut mean = vec![0.0; dim];
            (mean[0], mean[i]) = (1.0, 1.0);
            Sampler::new(dim, 300.0, Some(&mean)).unwrap().rows(3 + i, i as u64).unwrap()
        })
        .collect();
    let groups: Vec<Vec<&[f64]>> = groups.iter().map(|g| rows(g, dim)).collect();
    let mixture = Mixture::of(&groups).unwrap();
    for without in [None, Some(0), Some(3)] {
        let kept = || (0..4).filter(|&i| Some(i) != without);
        let all: Vec<&[f64]> = kept().flat_map(|i| groups[i].clone()).collect();
        near(&mixture.statistics(Estimator::Sra, without), &group_statistics(&all).unwrap().0);
        // U: the mean cosine over pairs of different groups, by hand.
        let (mut sum, mut pairs) = (0.0, 0.0);
        for (i, j) in kept().flat_map(|i| kept().filter(move |j| *j < i).map(move |j| (i, j))) {
            for (x, y) in groups[i].iter().flat_map(|x| groups[j].iter().map(move |y| (x, y))) {
                sum += x.iter().zip(*y).map(|(x, y)| x * y).sum::<f64>();
                pairs += 1.0;
            }
        }
        let m = all.len() as f64;
        let got = mixture.statistics(Estimator::U, without);
        let cosine = (m * got.rbar * got.rbar - 1.0) / (m - 1.0);
        assert!((cosine - sum / pairs).abs() < 1e-12, "{cosine} for {}", sum / pairs);
    }
    assert_eq!(Mixture::of::<f64>(&[]).unwrap_err(), Error::Empty);
    assert_eq!(Mixture::of(&[groups[0].clone(), vec![]]).unwrap_err(), Error::Empty);
    assert!(matches!(Mixture::of(&[vec![&[0.0, 0.0][..]]]), Err(Error::NoDirection { row: 0, .. })));
}

#[test]
fn leading_scores_are_those_of_the_first_component() {
    // Along a line: the scores are the places on it, centred and of length 1.
    let places = [-0.02_f64, 0.0, 0.01, 0.03];
    let x: Vec<f64> = places.iter().flat_map(|&t| [t.cos(), t.sin(), 0.0]).collect();
    let scores = PairDistances::of(&rows(&x, 3)).unwrap().leading_scores().unwrap();
    let mean = places.iter().sum::<f64>() / 4.0;
    let length = places.iter().map(|t| (t - mean).powi(2)).sum::<f64>().sqrt();
    let sign = scores[3].signum();
    for (score, t) in scores.iter().zip(places) {
        assert!((sign * score - (t - mean) / length).abs() < 1e-3, "{scores:?}");
    }
    // In many dimensions: of sum 0 and length 1, and no direction has more of the scatter.
    let x = Sampler::new(200, 300.0, None).unwrap().rows(9, 4).unwrap();
    let x = rows(&x, 200);
    let scores = PairDistances::of(&x).unwrap().leading_scores().unwrap();
    assert!(scores.iter().sum::<f64>().abs() < 1e-9);
    assert!((scores.iter().map(|s| s * s).sum::<f64>() - 1.0).abs() < 1e-12);
    let along = |scores: &[f64]| {
        let of_axis = |axis: usize| scores.iter().zip(&x).map(|(s, row)| s * row[axis]).sum::<f64>();
        (0..200).map(|axis| of_axis(axis).powi(2)).sum::<f64>()
    };
    let most = along(&scores);
    for other in 0..9 {
        let mut turned = scores.clone();
        turned[other] += 0.1;
        turned[(other + 4) % 9] -= 0.1;
        let length = turned.iter().map(|s| s * s).sum::<f64>().sqrt();
        turned.iter_mut().for_each(|s| *s /= length);
        assert!(along(&turned) < most, "{other}");
    }
    assert!(PairDistances::of(&[x[0], x[0]]).unwrap().leading_scores().is_none());
}
