//! What a pilot foretells, against the study itself.

use squbed::{
    Error,
    core::TaskUncertainty,
    method::{self, Preset, TaskEmbeddings},
    plan::{power, settling},
    stats::{Alternative, draw, tau_b},
    tensor::Device,
    vmf::{Sampler, VonMisesFisher},
};

const DIM: usize = 32;

fn normal(i: u64) -> f64 {
    let u = |j: u64| (draw(5, i, j, 1 << 30) as f64 + 0.5) / (1_u64 << 30) as f64;
    (-2.0 * (1.0 - u(0)).ln()).sqrt() * (2.0 * std::f64::consts::PI * u(1)).cos()
}

/// κ of a task's latent prompts, and of the videos of its typical latent prompt.
fn kappas(task: u64) -> (f64, f64) {
    (60.0 * (0.3 * normal(2 * task)).exp(), 90.0 * (0.3 * normal(2 * task + 1)).exp())
}

/// A study of these sizes on tasks of known concentrations; the videos' also vary from latent prompt to latent prompt.
fn study(tasks: u64, n: usize, m: usize, seed: u64) -> Vec<TaskUncertainty> {
    let rows = |kappa, count, seed| -> Vec<Vec<f32>> {
        let rows = Sampler::new(DIM, kappa, None).unwrap().rows(count, seed).unwrap();
        rows.chunks(DIM).map(|row| row.iter().map(|&x| x as f32).collect()).collect()
    };
    let embedded: Vec<_> = (0..tasks)
        .map(|task| {
            let (prompts, videos) = kappas(task);
            let seed = seed + task * 1000;
            let of_latent = |i: u64| rows(videos * (0.2 * normal(seed + 500 + i)).exp(), m, seed + i + 1);
            (rows(prompts, n, seed), (0..n as u64).map(of_latent).collect::<Vec<_>>())
        })
        .collect();
    let tasks: Vec<TaskEmbeddings<'_>> = embedded
        .iter()
        .map(|(prompts, videos)| TaskEmbeddings {
            id: "t",
            prompts: prompts.iter().map(Vec::as_slice).collect(),
            videos: videos.iter().map(|v| v.iter().map(Vec::as_slice).collect()).collect(),
        })
        .collect();
    method::estimate(&tasks, &Preset::Default.into(), &Device::Cpu).unwrap().tasks
}

#[test]
fn a_pilot_foretells_the_ranking_and_the_intervals() {
    let tasks = 150;
    let pilot = study(tasks, 5, 5, 7_000_000);
    let foretold = settling(&pilot, 400, &[5, 12], &[5, 12]).unwrap();
    let sizes: Vec<_> = foretold.iter().map(|row| (row.latents, row.videos, row.videos_in_all)).collect();
    assert_eq!(sizes, [(5, 5, 10_000), (5, 12, 24_000), (12, 5, 24_000), (12, 12, 57_600)]);
    let truths: Vec<(f64, f64)> = (0..tasks)
        .map(|task| {
            let (prompts, videos) = kappas(task);
            let h = |kappa| VonMisesFisher::new(DIM, kappa).unwrap().entropy();
            // The mean over latent prompts differs from this by nearly the same for every task.
            (h(prompts), h(videos))
        })
        .collect();
    for row in &foretold {
        let found = study(tasks, row.latents, row.videos, 1);
        let tau = |estimate: fn(&TaskUncertainty) -> f64, truth: fn(&(f64, f64)) -> f64| {
            tau_b(
                &found.iter().map(estimate).collect::<Vec<_>>(),
                &truths.iter().map(truth).collect::<Vec<_>>(),
            )
        };
        let mut widths: Vec<f64> = found
            .iter()
            .map(|row| row.interval.as_ref().unwrap())
            .map(|i| (i.epistemic.high - i.epistemic.low) / 2.0)
            .collect();
        widths.sort_by(f64::total_cmp);
        let found =
            (tau(|r| r.aleatoric, |t| t.0), tau(|r| r.epistemic, |t| t.1), tau(|r| r.total, |t| t.0 + t.1));
        println!(
            "n = {}, m = {}: tau {:.2} {:.2} {:.2}, found {:.2} {:.2} {:.2}; epistemic half-width {:.2}, found {:.2}",
            row.latents,
            row.videos,
            row.tau_aleatoric,
            row.tau_epistemic,
            row.tau_total,
            found.0,
            found.1,
            found.2,
            row.half_width_epistemic,
            widths[75]
        );
        for (foretold, found) in
            [(row.tau_aleatoric, found.0), (row.tau_epistemic, found.1), (row.tau_total, found.2)]
        {
            assert!((-0.11..0.05).contains(&(foretold - found)), "{row:?}: {found}");
        }
        assert!((row.half_width_epistemic / widths[75] - 1.0).abs() < 0.25, "{row:?}: {}", widths[75]);
    }
    assert!(
        foretold[3].tau_total > foretold[0].tau_total
            && foretold[3].half_width_total < foretold[0].half_width_total
    );
}

#[test]
fn a_pilot_that_says_too_little_is_refused() {
    let error = settling(&study(8, 4, 2, 1), 10, &[4], &[4]).unwrap_err();
    assert!(matches!(error, Error::Pilot { usable: 0, tasks: 8, least: 5 }), "{error}");
    assert!(error.hint().unwrap().contains("three videos"));
    assert!(settling(&study(4, 4, 4, 1), 10, &[4], &[4]).is_err());
    let error = settling(&study(6, 3, 3, 1), 10, &[4], &[1]).unwrap_err();
    assert_eq!(error.to_string(), "videos is 1; it must be at least 2");
}

#[test]
fn several_tests_share_the_level() {
    let one = power(24, 0.05, 0.8, Alternative::TwoSided, 1).unwrap();
    let ten = power(24, 0.05, 0.8, Alternative::TwoSided, 10).unwrap();
    assert_eq!((one.alpha, ten.alpha), (0.05, 0.005));
    assert!(ten.critical_tau > one.critical_tau && ten.detectable_tau > one.detectable_tau);
    assert!(power(24, 0.05, 0.8, Alternative::TwoSided, 0).is_err());
}
