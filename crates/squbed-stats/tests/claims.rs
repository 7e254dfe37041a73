//! Subsets, power, shares and the conformal threshold, against definitions and by simulation.

use proptest::prelude::*;
use squbed_stats::{
    Alternative, Error, KendallMethod, bootstrap, bootstrap_partial_kendall, conformal_threshold, kendall,
    kendall_by_subset, kendall_power, partial_kendall, pearson, permutation_partial_kendall, rank_shares,
    ranks, split_in_two, tau_of_normal,
};

fn same(a: f64, b: f64) -> bool {
    a.is_nan() && b.is_nan() || (a - b).abs() <= 1e-12 * b.abs().max(1e-300)
}

fn column(n: usize) -> impl Strategy<Value = Vec<f64>> {
    let value =
        prop_oneof![3 => (-3i8..4).prop_map(f64::from), 2 => -1e6f64..1e6, 1 => Just(f64::NEG_INFINITY)];
    prop::collection::vec(value, n)
}

proptest! {
    #[test]
    fn each_point_is_tau_on_its_subset(
        (x, y, by) in (2usize..45).prop_flat_map(|n| (column(n), column(n), column(n)))
    ) {
        let points = kendall_by_subset(&x, &y, &by, Alternative::Less).unwrap();
        let mut thresholds = by.clone();
        thresholds.sort_by(f64::total_cmp);
        thresholds.dedup();
        let mut want = Vec::new();
        for threshold in thresholds {
            let rows: Vec<usize> = (0..x.len()).filter(|&i| by[i] <= threshold).collect();
            if rows.len() >= 2 {
                let pick = |v: &[f64]| rows.iter().map(|&i| v[i]).collect::<Vec<_>>();
                let k = kendall(&pick(&x), &pick(&y), Alternative::Less, KendallMethod::Auto).unwrap();
                want.push((threshold, k));
            }
        }
        prop_assert_eq!(points.len(), want.len());
        for (point, (threshold, k)) in points.iter().zip(&want) {
            let got = &point.kendall;
            prop_assert_eq!((point.threshold, got.n, got.method), (*threshold, k.n, k.method));
            prop_assert!(same(got.tau, k.tau) && same(got.p, k.p), "{:?} for {:?}", got, k);
        }
    }

    #[test]
    fn shares_part_the_variance_of_the_ranks(
        (x, y) in (3usize..30).prop_flat_map(|n| (column(n), column(n)))
    ) {
        let total: Vec<f64> = ranks(&x).iter().zip(ranks(&y)).map(|(a, b)| a + b).collect();
        let shares = rank_shares(&total, &x, &y).unwrap();
        if !shares.first.is_nan() {
            prop_assert!(shares.first > -1e-9 && shares.second > -1e-9, "{:?}", shares);
            prop_assert!(shares.first + shares.second < 1.0 + 1e-9, "{:?}", shares);
            let swapped = rank_shares(&total, &y, &x).unwrap();
            prop_assert!((swapped.first - shares.second).abs() < 1e-9);
        }
    }
}

#[test]
fn shares_of_known_sums() {
    let first: Vec<f64> = (0..40).map(f64::from).collect();
    let second: Vec<f64> = (0..40).map(|i| f64::from((i * 17) % 41)).collect();
    // A part of a thousandth of the other's size does not move the ranking.
    let total: Vec<f64> = first.iter().zip(&second).map(|(a, b)| a + b / 1000.0).collect();
    let shares = rank_shares(&total, &first, &second).unwrap();
    let r = pearson(&first, &ranks(&second), Alternative::TwoSided).unwrap().r;
    assert!((shares.first - (1.0 - r * r / 2.0)).abs() < 1e-12 && shares.tau_first == 1.0, "{shares:?}");
    // A copy shares alike, a constant part explains nothing, a constant total has no ranking.
    let copy = rank_shares(&first, &first, &first).unwrap();
    assert!((copy.first - 0.5).abs() < 1e-9 && (copy.second - 0.5).abs() < 1e-9);
    let constant = rank_shares(&first, &first, &[1.0; 40]).unwrap();
    assert!((constant.first - 1.0).abs() < 1e-12 && constant.second.abs() < 1e-12);
    assert!(rank_shares(&[1.0; 40], &first, &second).unwrap().first.is_nan());
}

#[test]
fn partial_intervals_are_the_bootstrap_of_partial_tau() {
    let column = |k: u64| -> Vec<f64> { (0..23).map(|i| ((i * k + k) % 11) as f64).collect() };
    let (x, y, z) = (column(3), column(7), column(5));
    let got = bootstrap_partial_kendall(&x, &y, &z, 0.9, 300, 4).unwrap();
    let want = bootstrap(23, 0.9, 300, 4, |drawn| {
        let pick = |v: &[f64]| drawn.iter().map(|&i| v[i]).collect::<Vec<_>>();
        partial_kendall(&pick(&x), &pick(&y), &pick(&z), Alternative::TwoSided).unwrap().tau
    });
    assert_eq!(got, want.unwrap());
    assert!(got.low < got.high);
    let short = bootstrap_partial_kendall(&x, &y, &z[..3], 0.9, 300, 4);
    assert_eq!(short.unwrap_err(), Error::LengthOfZ { x: 23, z: 3 });
}

/// Uniform numbers of a counter.
fn uniform(run: u64, i: u64) -> f64 {
    let mut z = (run * 1_000_003 + i).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((z ^ (z >> 31)) >> 11) as f64 / 2.0_f64.powi(53)
}

fn normal(run: u64, i: u64) -> f64 {
    let (u, v) = (uniform(run, 2 * i), uniform(run, 2 * i + 1));
    (-2.0 * (1.0 - u).ln()).sqrt() * (2.0 * std::f64::consts::PI * v).cos()
}

#[test]
fn the_smallest_p_and_what_it_allows() {
    let at = |n| kendall_power(n, 0.05, 0.8, Alternative::TwoSided).unwrap();
    // The paper's subset of four: .083 is the smallest p there is.
    assert!((at(4).smallest_p - 2.0 / 24.0).abs() < 1e-15 && at(4).critical_tau.is_nan());
    assert!((at(6).smallest_p - 2.0 / 720.0).abs() < 1e-15 && at(2).smallest_p == 1.0);
    assert!(at(4).detectable_tau.is_nan() && at(5).critical_tau == 1.0);
    for n in [5_usize, 6, 10, 24, 33, 34, 156, 400] {
        let power = at(n);
        // The critical τ is the smallest whose p is at most the level.
        let pairs = (n * (n - 1) / 2) as f64;
        let discordant = ((1.0 - power.critical_tau) * pairs / 2.0).round() as usize;
        let p = |mut discordant: usize| {
            let mut y = Vec::new();
            for i in 0..n {
                let back = discordant.min(i);
                discordant -= back;
                y.insert(i - back, i as f64);
            }
            let x: Vec<f64> = (0..n).map(|i| i as f64).collect();
            kendall(&x, &y, Alternative::TwoSided, KendallMethod::Auto).unwrap().p
        };
        assert!(p(discordant) <= 0.05 && p(discordant + 1) > 0.05, "n = {n}: {discordant}");
        assert!(power.detectable_tau > power.critical_tau - 1.0 / pairs, "n = {n}: {power:?}");
    }
    let one_sided = kendall_power(4, 0.05, 0.8, Alternative::Less).unwrap();
    assert!((one_sided.smallest_p - 1.0 / 24.0).abs() < 1e-15 && one_sided.critical_tau == 1.0);
    assert!(kendall_power(1, 0.05, 0.8, Alternative::Less).is_err());
    let share = kendall_power(10, 0.05, 1.0, Alternative::Less).unwrap_err();
    assert_eq!(share.to_string(), "the power is 1; it must lie between 0 and 1");
    // n = 400 000: nothing takes long or overflows.
    assert!(kendall_power(400_000, 0.05, 0.8, Alternative::TwoSided).unwrap().detectable_tau < 0.01);
}

#[test]
fn the_detectable_tau_is_detected_as_often_as_promised() {
    assert!((tau_of_normal(0.5_f64.sqrt()) - 0.5).abs() < 1e-15);
    let runs = 2000;
    for (n, alternative) in [
        (10, Alternative::TwoSided),
        (24, Alternative::TwoSided),
        (24, Alternative::Less),
        (60, Alternative::TwoSided),
    ] {
        let power = kendall_power(n, 0.05, 0.8, alternative).unwrap();
        let r = (power.detectable_tau * std::f64::consts::PI / 2.0).sin();
        let found = (0..runs)
            .filter(|&run| {
                let x: Vec<f64> = (0..n as u64).map(|i| normal(run, 2 * i)).collect();
                let y: Vec<f64> = (0..n as u64)
                    .map(|i| -r * x[i as usize] + (1.0 - r * r).sqrt() * normal(run, 2 * i + 1))
                    .collect();
                kendall(&x, &y, alternative, KendallMethod::Auto).unwrap().p <= 0.05
            })
            .count();
        let share = found as f64 / runs as f64;
        println!("n = {n}, {alternative}: detectable tau {:.3}, found in {share:.3}", power.detectable_tau);
        assert!((share - 0.8).abs() < 0.05, "n = {n}: {share}");
    }
}

#[test]
fn accepted_and_short_happens_as_seldom_as_promised() {
    for (n, alpha) in [(19_u64, 0.1), (40, 0.05), (9, 0.1)] {
        let runs = 4000;
        let mut bad = 0;
        for run in 0..runs {
            let u: Vec<f64> = (0..=n).map(|i| normal(run, 2 * i)).collect();
            let a: Vec<f64> = (0..=n).map(|i| -u[i as usize] + normal(run, 2 * i + 1)).collect();
            let k = n as usize;
            let threshold = conformal_threshold(&u[..k], &a[..k], 0.3, alpha).unwrap();
            bad += usize::from(u[k] <= threshold.threshold && a[k] < 0.3);
        }
        let share = bad as f64 / runs as f64;
        println!("n = {n}, alpha = {alpha}: accepted and short in {share:.4}");
        // Three standard errors; and not so seldom that the threshold would be idle.
        assert!(share <= alpha + 3.0 * (alpha / runs as f64).sqrt() && share > alpha / 5.0, "{share}");
    }
}

#[test]
fn a_conformal_threshold_by_hand() {
    let u: Vec<f64> = (0..19).map(f64::from).collect();
    // Items 5, 8 and 12 fall short; at α = .1 one of 19 may.
    let a: Vec<f64> = (0..19).map(|i| if [5, 8, 12].contains(&i) { 0.0 } else { 1.0 }).collect();
    let got = conformal_threshold(&u, &a, 0.5, 0.1).unwrap();
    assert_eq!((got.threshold, got.accepted, got.short), (7.0, 8, 1));
    // The very least uncertain ones fall short: nothing may be accepted.
    let reversed: Vec<f64> = (0..19).map(|i| if i < 3 { 0.0 } else { 1.0 }).collect();
    let none = conformal_threshold(&[0.0; 19], &reversed, 0.5, 0.1).unwrap();
    assert_eq!((none.threshold, none.accepted), (f64::NEG_INFINITY, 0));
    let few = conformal_threshold(&u[..8], &a[..8], 0.5, 0.1).unwrap_err();
    assert_eq!(few, Error::TooFewForLevel { n: 8, alpha: 0.1, least: 9 });
    assert!(conformal_threshold(&u[..9], &a[..9], 0.5, 0.1).is_ok());
    assert!(
        conformal_threshold(&u, &a, f64::NAN, 0.1).is_err() && conformal_threshold(&u, &a, 0.5, 0.0).is_err()
    );
}

/// Every order of 0..n.
fn orders(n: usize) -> Vec<Vec<usize>> {
    if n == 0 {
        return vec![Vec::new()];
    }
    let shorter = orders(n - 1);
    let with = |order: &Vec<usize>| -> Vec<Vec<usize>> {
        (0..n).map(|at| [&order[..at], &[n - 1], &order[at..]].concat()).collect()
    };
    shorter.iter().flat_map(with).collect()
}

#[test]
fn the_permuted_residuals_are_all_of_them() {
    // By the definition: y's ranks on z's by least squares, the residuals in each of 120 orders.
    let (x, y) = ([2.0, 1.0, 3.0, 5.0, 4.0], [1.0, 2.0, 4.0, 4.0, 3.0]);
    let z = [1.0, 1.0, 2.0, 3.0, 2.0];
    let (rank_y, rank_z) = (ranks(&y), ranks(&z));
    let slope = rank_y.iter().zip(&rank_z).map(|(y, z)| (y - 3.0) * (z - 3.0)).sum::<f64>()
        / rank_z.iter().map(|z| (z - 3.0) * (z - 3.0)).sum::<f64>();
    let fitted: Vec<f64> = rank_z.iter().map(|z| 3.0 + slope * (z - 3.0)).collect();
    let observed = partial_kendall(&x, &y, &z, Alternative::TwoSided).unwrap().tau;
    let mut hits = [0; 3];
    for order in orders(5) {
        let permuted: Vec<f64> =
            (0..5).map(|i| ((fitted[i] + rank_y[order[i]] - fitted[order[i]]) * 1e8).round()).collect();
        let tau = partial_kendall(&x, &permuted, &z, Alternative::TwoSided).unwrap().tau;
        let far = [tau.abs() >= observed.abs() - 1e-9, tau <= observed + 1e-9, tau >= observed - 1e-9];
        hits.iter_mut().zip(far).for_each(|(hits, far)| *hits += i32::from(far || tau.is_nan()));
    }
    let got = permutation_partial_kendall(&x, &y, &z, 120, 1).unwrap();
    assert_eq!((got.tau, got.pairings, got.exact), (observed, 120, true));
    let want = hits.map(|hits| f64::from(hits) / 120.0);
    assert_eq!([got.p_two_sided, got.p_less, got.p_greater], want);
    assert!(want[0] > 0.05 && want[0] < 1.0, "{want:?}");
    // Random ones come near, of three rows there is none, and z that orders the rows as x does leaves nothing.
    let random = permutation_partial_kendall(&x, &y, &z, 119, 1).unwrap();
    assert!((random.p_two_sided - want[0]).abs() < 0.15 && !random.exact, "{random:?}");
    assert!(permutation_partial_kendall(&x[..3], &y[..3], &z[..3], 99, 1).unwrap().p_two_sided.is_nan());
    assert!(permutation_partial_kendall(&x, &y, &x, 99, 1).unwrap().tau.is_nan());
    assert_eq!(permutation_partial_kendall(&x, &y, &z, 0, 1).unwrap_err(), Error::NoPairing);
    assert!(permutation_partial_kendall(&x, &y, &z[..4], 9, 1).is_err());
}

/// Of independent columns: how often the permutation test says p ≤ .05, the share of resamples without a partial τ, and how
/// often the bootstrap's interval misses 0.
fn of_independent_columns(n: u64, runs: u64) -> [f64; 3] {
    let mut sums = [0.0; 3];
    for run in 0..runs {
        let column = |c: u64| (0..n).map(|i| normal(run * 7919 + n, 3 * i + c)).collect::<Vec<f64>>();
        let (x, y, z) = (column(0), column(1), column(2));
        let test = permutation_partial_kendall(&x, &y, &z, if n <= 5 { 120 } else { 199 }, 3).unwrap();
        let interval = bootstrap_partial_kendall(&x, &y, &z, 0.95, 200, 5).unwrap();
        let misses = !(interval.low <= 0.0 && 0.0 <= interval.high);
        let found = [
            f64::from(u8::from(test.p_two_sided <= 0.05)),
            1.0 - interval.resamples as f64 / 200.0,
            f64::from(u8::from(misses)),
        ];
        sums.iter_mut().zip(found).for_each(|(sum, value)| *sum += value / runs as f64);
    }
    sums
}

#[test]
fn partial_tau_is_seldom_far_from_0_by_chance() {
    for n in [5, 8, 10, 16, 24] {
        let [size, undefined, misses] = of_independent_columns(n, 400);
        println!(
            "n = {n}: p <= .05 in {size:.3}, resamples undefined {undefined:.3}, interval misses 0 in {misses:.3}"
        );
        // Three standard errors of .05 are .033.
        assert!(size <= 0.085, "n = {n}: {size}");
        if n == 5 {
            // Why an interval of so few rows is none.
            assert!(undefined > 0.3 && misses > 0.3, "{undefined} {misses}");
        } else {
            assert!(undefined < 0.07 && misses < 0.12, "n = {n}: {undefined} {misses}");
        }
    }
}

#[test]
fn scores_of_one_distribution_do_not_part_and_two_do() {
    let share = |n: u64, level: f64, score: &dyn Fn(u64, u64) -> f64| {
        let runs = 20_000;
        let p = |run| split_in_two(&(0..n).map(|i| score(run, i)).collect::<Vec<f64>>()).unwrap().p;
        (0..runs).filter(|&run| p(run) <= level).count() as f64 / runs as f64
    };
    for n in [4, 5, 10, 20] {
        let alarms = share(n, 0.01, &normal);
        // Evenly spread scores part a little better than normal ones.
        let even = share(n, 0.01, &uniform);
        let apart = share(n, 0.01, &|run, i| normal(run, i) + if i % 2 == 0 { 20.0 } else { 0.0 });
        println!(
            "n = {n}: {alarms:.4} of normal scores, {even:.4} of even ones, {apart:.3} of two clusters 20 σ apart"
        );
        // Three standard errors are .002; the bound is no wide one.
        assert!((0.004..=0.0125).contains(&alarms), "{n}: {alarms}");
        assert!(even <= 0.14, "{n}: {even}");
        assert!(apart > if n == 4 { 0.3 } else { 0.9 }, "{n}: {apart}");
    }
}

#[test]
fn a_split_by_hand() {
    // 6 scores with 2 above: of the variance 4/3·… between; 2⁵ − 7 = 25 partings, a correlation of 6 rows.
    let scores = [0.0, 1.0, 0.0, 9.0, 10.0, 1.0];
    let got = split_in_two(&scores).unwrap();
    let x: Vec<f64> = scores.iter().map(|&s| f64::from(u8::from(s > 5.0))).collect();
    let tail = pearson(&x, &scores, Alternative::TwoSided).unwrap();
    assert!((got.share - tail.r * tail.r).abs() < 1e-12 && got.lower == 4);
    assert!((got.p / (25.0 * tail.p) - 1.0).abs() < 0.01 && got.p >= 25.0 * tail.p, "{got:?} {tail:?}");
    // One score that lies apart is no part; nor is anything of what is the same or too few.
    assert!(split_in_two(&[0.0, 1.0, 2.0, 3.0, 4.0, 1e6]).unwrap().p > 0.5);
    for none in [&[1.0; 9][..], &[0.0, 0.0, 9.0][..], &[][..]] {
        assert!(split_in_two(none).unwrap().p.is_nan());
    }
    assert_eq!(split_in_two(&[1.0, 1.0, 2.0, 2.0, 2.0]).unwrap().p, 0.0);
    assert!(
        split_in_two(&[0.0, f64::NAN, 1.0, 2.0]).is_err() && split_in_two(&[0.0, f64::INFINITY]).is_err()
    );
    // Of many scores nothing overflows: 5000 normal ones are one, and two clusters are two.
    let many: Vec<f64> = (0..5000).map(|i| normal(3, i)).collect();
    assert_eq!(split_in_two(&many).unwrap().p, 1.0);
    let two: Vec<f64> = many.iter().enumerate().map(|(i, x)| x + (i % 2) as f64 * 8.0).collect();
    assert!(split_in_two(&two).unwrap().p < 1e-6);
}
