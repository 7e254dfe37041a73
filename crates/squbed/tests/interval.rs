//! How often intervals of uncertainties hold the truth, on groups drawn from known distributions.

use squbed::{
    core::{Flag, Interval, Intervals, TaskUncertainty},
    interval,
    method::{self, MethodOptions, Preset, Projection, TaskEmbeddings},
    tensor::Device,
    vmf::{Estimator, Sampler, VonMisesFisher, kappa},
};

const DIM: usize = 64;

/// Latent prompts of one concentration; videos whose concentration varies from latent prompt to latent prompt.
struct World {
    n: usize,
    m: usize,
    prompts: f64,
    videos: f64,
    /// Standard deviation of the logarithm of the videos' κ.
    varies: f64,
}

fn single(rows: Vec<f64>) -> Vec<Vec<f32>> {
    rows.chunks(DIM).map(|row| row.iter().map(|&x| x as f32).collect()).collect()
}

/// A standard normal number of a counter.
fn normal(i: u64) -> f64 {
    let u = |j: u64| (squbed::stats::draw(11, i, j, 1 << 30) as f64 + 0.5) / (1_u64 << 30) as f64;
    (-2.0 * u(0).ln()).sqrt() * (2.0 * std::f64::consts::PI * u(1)).cos()
}

impl World {
    /// One task's embeddings; the videos of all latent prompts have one mean direction.
    fn task(&self, task: u64) -> (Vec<Vec<f32>>, Vec<Vec<Vec<f32>>>) {
        let rows =
            |kappa, count, seed| single(Sampler::new(DIM, kappa, None).unwrap().rows(count, seed).unwrap());
        let videos = (0..self.n as u64).map(|i| {
            let seed = task * 100 + i + 1;
            rows(self.videos * (self.varies * normal(seed)).exp(), self.m, seed)
        });
        (rows(self.prompts, self.n, task * 100), videos.collect())
    }

    /// h(Z | ℓ), h(V | Z), their sum, h(V | ℓ) and I(V; Z | ℓ).
    fn truth(&self) -> [f64; 5] {
        let vmf = |kappa| VonMisesFisher::new(DIM, kappa).unwrap();
        let grid: Vec<f64> = (-40..=40).map(|i| f64::from(i) / 10.0).collect();
        let weight = |z: f64| (-z * z / 2.0).exp();
        let all: f64 = grid.iter().map(|&z| weight(z)).sum();
        let mean = |f: &dyn Fn(f64) -> f64| {
            grid.iter().map(|&z| weight(z) * f(self.videos * (self.varies * z).exp())).sum::<f64>() / all
        };
        let aleatoric = vmf(self.prompts).entropy();
        let epistemic = mean(&|kappa| vmf(kappa).entropy());
        let rest = mean(&|kappa| vmf(kappa).one_minus_a());
        let pooled = vmf(kappa(DIM, 1.0 - rest, rest, Estimator::Exact).unwrap()).entropy();
        [aleatoric, epistemic, aleatoric + epistemic, pooled, pooled - epistemic]
    }
}

fn all(i: &Intervals) -> [&Interval; 5] {
    [&i.aleatoric, &i.epistemic, &i.total, &i.pooled, &i.mutual_information]
}

const RUNS: usize = 300;

/// Shares of the jackknife's and of the bootstrap's intervals that hold the truth.
fn coverage(world: &World, estimator: Estimator) -> ([f64; 5], [f64; 5]) {
    let embedded: Vec<_> = (0..RUNS as u64).map(|task| world.task(task)).collect();
    let tasks: Vec<TaskEmbeddings<'_>> = embedded
        .iter()
        .map(|(prompts, videos)| TaskEmbeddings {
            id: "t",
            prompts: prompts.iter().map(Vec::as_slice).collect(),
            videos: videos.iter().map(|v| v.iter().map(Vec::as_slice).collect()).collect(),
        })
        .collect();
    let options = MethodOptions { estimator, projection: Projection::None };
    let mut estimate = method::estimate(&tasks, &options, &Device::Cpu).unwrap();
    let truth = world.truth();
    let share = |rows: &[TaskUncertainty]| {
        std::array::from_fn(|part| {
            let held = rows.iter().filter(|row| {
                let interval = all(row.interval.as_ref().unwrap())[part];
                interval.low <= truth[part] && truth[part] <= interval.high
            });
            held.count() as f64 / rows.len() as f64
        })
    };
    let jackknife = share(&estimate.tasks);
    interval::bootstrap(&mut estimate, &tasks, estimator, 100, 1, &Device::Cpu).unwrap();
    (jackknife, share(&estimate.tasks))
}

#[test]
fn the_jackknife_covers_and_the_bootstrap_of_few_does_not() {
    for (n, m, prompts, videos, varies) in [
        (10, 10, 100.0, 100.0, 0.3),
        (10, 10, 40.0, 400.0, 0.0),
        (4, 4, 100.0, 100.0, 0.3),
        (4, 4, 300.0, 300.0, 0.0),
        (3, 2, 100.0, 100.0, 0.3),
    ] {
        let world = World { n, m, prompts, videos, varies };
        let (jackknife, bootstrap) = coverage(&world, Estimator::U);
        println!("n = {n}, m = {m}, kappa {prompts} and {videos} (log sd {varies}), coverage of .95:");
        println!("  jackknife {jackknife:.3?}\n  bootstrap {bootstrap:.3?}");
        // Four standard errors about .95, and for those that are no averages a little more.
        assert!((0.9..=1.0).contains(&jackknife[1]), "{jackknife:?}");
        for share in [jackknife[0], jackknife[2], jackknife[3], jackknife[4]] {
            assert!(share >= 0.88, "{jackknife:?}");
        }
        if n <= 4 {
            assert!(bootstrap[0] < 0.93, "the bootstrap of {n} would do as well: {bootstrap:?}");
        }
    }
}

/// The plug-in estimator's interval is of its own mean, which the bias keeps away from the truth.
#[test]
fn the_plug_in_s_interval_misses_the_truth_by_its_bias() {
    let world = World { n: 10, m: 10, prompts: 100.0, videos: 100.0, varies: 0.0 };
    let (jackknife, _) = coverage(&world, Estimator::Exact);
    println!("plug-in, n = m = 10, coverage of .95: {jackknife:.3?}");
    assert!(jackknife[1] < 0.5, "{jackknife:?}");
}

fn of_one(prompts: &[Vec<f32>], videos: &[Vec<Vec<f32>>]) -> TaskUncertainty {
    let task = TaskEmbeddings {
        id: "t",
        prompts: prompts.iter().map(Vec::as_slice).collect(),
        videos: videos.iter().map(|v| v.iter().map(Vec::as_slice).collect()).collect(),
    };
    method::estimate(&[task], &Preset::Default.into(), &Device::Cpu).unwrap().tasks.remove(0)
}

#[test]
fn what_cannot_be_had_is_undefined_and_said() {
    let world = World { n: 2, m: 2, prompts: 100.0, videos: 100.0, varies: 0.3 };
    let (prompts, videos) = world.task(0);
    let interval = of_one(&prompts, &videos).interval.unwrap();
    assert!(interval.aleatoric.low.is_nan() && interval.total.low.is_nan() && interval.pooled.low.is_nan());
    assert!(
        interval.epistemic.low < interval.epistemic.high && interval.method.contains("of two latent prompts")
    );
    // Two videos: without one of them no spread is left.
    assert!(interval.epistemic_error_of_videos.is_nan());

    // Point masses: of the prompts, and of all but one latent prompt's videos.
    let (prompts, videos) = World { n: 4, m: 3, ..world }.task(1);
    let same = vec![prompts[0].clone(); 4];
    let row = of_one(&same, &videos);
    let interval = row.interval.unwrap();
    assert!(row.aleatoric == f64::NEG_INFINITY && interval.aleatoric.standard_error.is_nan());
    assert!(interval.epistemic.standard_error > 0.0 && interval.epistemic_error_of_videos > 0.0);
    let still = |i: usize| vec![videos[i][0].clone(); 3];
    let row = of_one(&prompts, &[still(0), still(1), still(2), videos[3].clone()]);
    assert_eq!((row.latents_left_out, row.interval.unwrap().epistemic.low.is_nan()), (3, true));
}

/// Two latent prompts whose videos lie apart: what they tell of the prompt is log 2 at most, were they points; by the
/// fit of one von Mises–Fisher distribution to both it is more.
#[test]
fn videos_that_differ_between_latent_prompts_carry_information() {
    let group = |axis: usize, seed| {
        let mut mean = vec![0.0; DIM];
        mean[axis] = 1.0;
        single(Sampler::new(DIM, 2000.0, Some(&mean)).unwrap().rows(5, seed).unwrap())
    };
    let (prompts, _) = World { n: 3, m: 2, prompts: 50.0, videos: 1.0, varies: 0.0 }.task(0);
    let apart = of_one(&prompts, &[group(0, 1), group(1, 2), group(2, 3)]);
    let alike = of_one(&prompts, &[group(0, 1), group(0, 2), group(0, 3)]);
    assert!(apart.mutual_information > 100.0, "{}", apart.mutual_information);
    assert!(alike.mutual_information.abs() < 5.0, "{}", alike.mutual_information);
    let pooled = apart.pooled.unwrap();
    // Of pairs between latent prompts there is no test of uniformity.
    assert!(pooled.rayleigh_p.is_nan() && !pooled.flags.contains(&Flag::NearUniform), "{pooled:?}");
    assert_eq!((pooled.m, pooled.dim), (15, DIM));
    assert!((pooled.entropy - apart.epistemic - apart.mutual_information).abs() < 1e-9);
}

/// Uniform videos: the test of uniformity is made of all of them where they are fitted together, and only there.
#[test]
fn the_mixture_is_tested_for_uniformity_where_it_is_one_sample() {
    let (prompts, videos) = World { n: 4, m: 5, prompts: 50.0, videos: 0.0, varies: 0.0 }.task(3);
    let task = TaskEmbeddings {
        id: "t",
        prompts: prompts.iter().map(Vec::as_slice).collect(),
        videos: videos.iter().map(|v| v.iter().map(Vec::as_slice).collect()).collect(),
    };
    let pooled = |estimator| {
        let options = MethodOptions { estimator, projection: Projection::None };
        let task = std::slice::from_ref(&task);
        method::estimate(task, &options, &Device::Cpu).unwrap().tasks.remove(0).pooled.unwrap()
    };
    let whole = pooled(Estimator::Exact);
    assert!(whole.rayleigh_p > 0.05 && whole.flags.contains(&Flag::NearUniform), "{whole:?}");
    let between = pooled(Estimator::U);
    assert!(between.rayleigh_p.is_nan() && !between.flags.contains(&Flag::NearUniform), "{between:?}");
    assert!(between.rbar != whole.rbar);
}

/// Share of groups of videos that are flagged to fall in two clusters: of `m` videos each about two directions `apart`
/// (1 − cos), of one direction where that is 0.
fn bimodal(m: usize, kappa: f64, apart: f64) -> f64 {
    let mut other = vec![0.0; DIM];
    (other[0], other[1]) = (1.0 - apart, (1.0 - (1.0 - apart).powi(2)).sqrt());
    let first = Sampler::new(DIM, kappa, None).unwrap();
    let second = Sampler::new(DIM, kappa, Some(&other)).unwrap();
    let groups: Vec<Vec<Vec<f32>>> = (0..1200)
        .map(|run| {
            let mut rows = first.rows(m / 2, 2 * run).unwrap();
            rows.extend(second.rows(m - m / 2, 2 * run + 1).unwrap());
            single(rows)
        })
        .collect();
    let prompts = single(first.rows(30, 7).unwrap());
    let tasks: Vec<TaskEmbeddings<'_>> = groups
        .chunks(30)
        .map(|groups| TaskEmbeddings {
            id: "t",
            prompts: prompts.iter().map(Vec::as_slice).collect(),
            videos: groups.iter().map(|rows| rows.iter().map(Vec::as_slice).collect()).collect(),
        })
        .collect();
    let estimate = method::estimate(&tasks, &Preset::Default.into(), &Device::Cpu).unwrap();
    let fits = || estimate.tasks.iter().flat_map(|task| &task.videos);
    for fit in fits() {
        assert_eq!(fit.two_clusters_p.is_none(), m < 4);
        assert_eq!(fit.flags.contains(&Flag::Bimodal), fit.two_clusters_p.is_some_and(|p| p <= 0.001));
    }
    fits().filter(|fit| fit.flags.contains(&Flag::Bimodal)).count() as f64 / groups.len() as f64
}

#[test]
fn two_clusters_are_flagged_and_one_is_not() {
    // Tight, wide and uniform groups of one von Mises–Fisher distribution: the nominal 0.1 %, more where the sphere's
    // curvature shows. Three standard errors are .3 %.
    for m in [3, 4, 6, 10] {
        for (kappa, most) in [(64_000.0, 0.004), (640.0, 0.004), (64.0, 0.008), (0.0, 0.015)] {
            let alarms = bimodal(m, kappa, 0.0);
            println!("one cluster, m = {m}, kappa = {kappa}: {alarms:.4}");
            assert!(alarms <= most, "m = {m}, kappa = {kappa}: {alarms}");
        }
    }
    // Pairs of one cluster are .095 apart, pairs of two .095 + .905 · apart: 1.5, 3 and 6 times as far.
    let kappa = kappa(DIM, 0.951, 0.049, Estimator::Exact).unwrap();
    for (m, least) in [(3, [0.0; 3]), (4, [0.0, 0.04, 0.1]), (6, [0.0, 0.5, 0.9]), (10, [0.3, 0.99, 0.99])] {
        for (times, least) in [1.5, 3.0, 6.0].into_iter().zip(least) {
            let power = bimodal(m, kappa, (times - 1.0) * 0.095 / 0.905);
            println!("two clusters, m = {m}, {times} times as far apart: {power:.3}");
            assert!(power >= least, "m = {m}, {times}: {power}");
        }
    }
}
