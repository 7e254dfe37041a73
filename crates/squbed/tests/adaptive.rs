//! Videos in rounds: who gets more, who stops, and what that leaves.

use std::{collections::BTreeSet, fs, path::Path};

use squbed::{
    adaptive::{Budget, Rounds, Stopping, generate_in_rounds},
    core::{
        BoxError, Clip, EncoderIdentity, Frame, GenerateRequest, LatentPrompt, Sampling, Task, VideoGenerator,
    },
    interval::width_over_videos,
    progress::Silent,
    steps,
    tensor::{Device, EncodeError, Tensor, VideoEncoder},
    video::{EncodeOptions, Limits, encode},
    vmf::{Estimator, Sampler, VonMisesFisher},
};

/// Embeds a clip as (200, the colour of its first pixel).
struct Colour {
    identity: EncoderIdentity,
    sampling: Sampling,
}

impl Colour {
    fn new() -> Self {
        let sampling = Sampling::Indices(vec![0]);
        let identity = EncoderIdentity {
            name: "colour".to_owned(),
            weights_sha256: String::new(),
            preprocessing: "colour/1".to_owned(),
            sampling: sampling.to_string(),
            head: "embedding".to_owned(),
            dtype: "f32".to_owned(),
            dim: 4,
        };
        Self { identity, sampling }
    }
}

impl VideoEncoder for Colour {
    fn identity(&self) -> &EncoderIdentity {
        &self.identity
    }

    fn sampling(&self) -> &Sampling {
        &self.sampling
    }

    fn preprocess(&self, clip: &Clip) -> Result<Tensor, EncodeError> {
        let rgb = &clip.frames()[0].rgb()[..3];
        Ok(Tensor::new(
            [&[200.0], &*rgb.iter().map(|&b| b.into()).collect::<Vec<f32>>()].concat(),
            &Device::Cpu,
        )
        .unwrap())
    }

    fn embed(&self, batch: &Tensor) -> Result<Tensor, EncodeError> {
        Ok(batch.clone())
    }
}

/// One colour a video, as the seed says; fails at prompts that say so. Of `one` prompts all videos are the same.
struct Painter;

impl VideoGenerator for Painter {
    fn describe(&self) -> String {
        "painter".to_owned()
    }

    fn generate(&self, request: &GenerateRequest<'_>) -> Result<(), BoxError> {
        if request.prompt.contains("broken") {
            return Err("no paint".into());
        }
        let draw = |channel| squbed::stats::draw(request.seed, 1, channel, 200) as u8 + 20;
        let rgb = if request.prompt.contains("one") { [90; 3] } else { [draw(0), draw(1), draw(2)] };
        let frame = || Frame::new(32, 32, rgb.repeat(32 * 32)).unwrap();
        Ok(encode(request.out, (0..2).map(|_| frame()), &EncodeOptions::default())?)
    }
}

fn tasks(prompts: &[&str]) -> Vec<Task> {
    let task = |prompt: &&str| Task {
        id: (*prompt).to_owned(),
        prompt: (*prompt).to_owned(),
        dataset: None,
        category: None,
        ground_truth: None,
        latents: ["y", "z"]
            .map(|z| LatentPrompt { prompt: format!("{prompt} {z}"), videos: Vec::new() })
            .to_vec(),
    };
    prompts.iter().map(task).collect()
}

fn rounds(folder: &Path, tasks: &mut [Task], width: f64, most: usize) -> Rounds {
    let encoder = Colour::new();
    let stopping = Stopping {
        width,
        encoder: &encoder,
        estimator: Estimator::U,
        cache: &folder.join("cache"),
        batch: 4,
        limits: &Limits::default(),
    };
    let videos = folder.join("videos");
    let mut make = |tasks: &mut [Task], m: usize| steps::generate(tasks, &Painter, m, 1, &videos, &Silent);
    generate_in_rounds(tasks, most, &stopping, &mut make, &Silent).unwrap()
}

/// How many videos each latent prompt of a task has.
fn counts(task: &Task) -> Vec<usize> {
    task.latents.iter().map(|z| z.videos.len()).collect()
}

#[test]
fn a_task_stops_when_its_interval_is_narrow_and_no_other_is_touched() {
    let folder = tempfile::tempdir().unwrap();
    let names = ["a", "b", "c", "d", "e"];
    // So wide that all stop after the first round, so narrow that none does.
    let mut all = tasks(&names);
    let wide = rounds(folder.path(), &mut all, 1e6, 9);
    assert!(all.iter().all(|task| counts(task) == [4, 4]) && wide.budget.iter().all(|row| row.narrow));
    assert_eq!((wide.generated.made, wide.embedded.computed), (40, 40));
    let mut all = tasks(&names);
    let narrow = rounds(folder.path(), &mut all, 1e-6, 9);
    assert!(all.iter().all(|task| counts(task) == [9, 9]) && !narrow.budget.iter().any(|row| row.narrow));
    assert_eq!((narrow.generated.reused, narrow.generated.made), (40, 50), "the first round's stand there");
    let sizes = |row: &Budget| row.rounds.iter().map(|round| round.videos).collect::<Vec<_>>();
    assert_eq!(sizes(&narrow.budget[0]), [4, 6, 8, 9]);

    // Between: each stops at the first round that is narrower, as the widths of the whole say.
    let mut widths: Vec<f64> = narrow.budget.iter().map(|row| row.rounds[0].width).collect();
    widths.sort_by(f64::total_cmp);
    let bound = (widths[1] + widths[2]) / 2.0;
    let other = tempfile::tempdir().unwrap();
    let mut some = tasks(&names);
    let between = rounds(other.path(), &mut some, bound, 9);
    for ((task, row), whole) in some.iter().zip(&between.budget).zip(&narrow.budget) {
        let stop = whole.rounds.iter().position(|round| round.width < bound);
        let rounds = stop.map_or(whole.rounds.len(), |stop| stop + 1);
        assert_eq!((&row.rounds[..], row.narrow), (&whole.rounds[..rounds], stop.is_some()), "{}", row.id);
        assert_eq!(counts(task), [row.rounds.last().unwrap().videos; 2]);
    }
    assert!(between.budget.iter().filter(|row| row.rounds.len() == 1).count() == 2);
    assert!(between.generated.made < 90);
    let told = between.describe(bound, 9);
    let early = some.iter().filter(|task| counts(task)[0] < 9).count();
    assert!(told.contains(&format!("{early} of 5 tasks had fewer than 9 videos")), "{told}");

    // Again: the same tasks, nothing made, nothing embedded.
    let mut again = tasks(&names);
    let second = rounds(other.path(), &mut again, bound, 9);
    assert_eq!(again, some);
    assert_eq!((second.generated.made, second.embedded.computed), (0, 0));
    assert_eq!(second.generated.reused, between.generated.made);
    assert_eq!(second.budget, between.budget);
}

#[test]
fn what_is_there_stays_and_what_cannot_be_measured_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let mut all = tasks(&["one", "broken", "b"]);
    let given = folder.path().join("given.mp4");
    fs::write(&given, "mine").unwrap();
    all[2].latents[0].videos = vec![given.clone(); 2];
    let mut full = tasks(&["full"]);
    full[0].latents.iter_mut().for_each(|z| z.videos = vec![given.clone(); 2]);
    all.extend(full);
    let before = all[3].clone();
    let rounds = rounds(folder.path(), &mut all, 1e6, 6);
    // Videos that are all the same have no interval; neither have those that could not be made or read.
    assert_eq!(counts(&all[0]), [6, 6]);
    assert_eq!(counts(&all[1]), [0, 0]);
    assert_eq!(all[2].latents[0].videos, [given.clone(), given]);
    assert_eq!(all[2].latents[1].videos.len(), 6);
    assert_eq!(all[3], before);
    assert!(rounds.budget.iter().all(|row| !row.narrow && row.rounds.iter().all(|r| r.width.is_nan())));
    let ids: Vec<&str> = rounds.budget.iter().map(|row| row.id.as_str()).collect();
    assert_eq!(ids, ["one", "broken", "b"]);
    // Told once each, however often it was tried.
    let failed: BTreeSet<&str> = rounds.generated.failures.iter().map(|f| f.item.as_str()).collect();
    assert_eq!((failed.len(), rounds.generated.failures.len()), (12, 12));
}

/// The share of intervals that hold the mean entropy of the very distributions that the videos were drawn from.
#[test]
fn the_interval_over_other_videos_covers() {
    const DIM: usize = 64;
    const RUNS: u64 = 400;
    for (n, m) in [(4, 4), (10, 4), (10, 10)] {
        let kappas: Vec<f64> = (0..n).map(|i| 60.0 * 1.2_f64.powi(i)).collect();
        let truth = kappas.iter().map(|&k| VonMisesFisher::new(DIM, k).unwrap().entropy()).sum::<f64>()
            / f64::from(n);
        let mut held = 0;
        let mut sum = 0.0;
        for run in 0..RUNS {
            let draw = |(i, &kappa): (usize, &f64)| -> Vec<Vec<f32>> {
                let rows = Sampler::new(DIM, kappa, None).unwrap().rows(m, run * 100 + i as u64).unwrap();
                rows.chunks(DIM).map(|row| row.iter().map(|&x| x as f32).collect()).collect()
            };
            let videos: Vec<Vec<Vec<f32>>> = kappas.iter().enumerate().map(draw).collect();
            let groups: Vec<Vec<&[f32]>> =
                videos.iter().map(|rows| rows.iter().map(Vec::as_slice).collect()).collect();
            let width = width_over_videos(&groups, Estimator::U).unwrap();
            let fits = squbed::fit::fit_groups(&groups, None, Estimator::U, &Device::Cpu).unwrap();
            let mean = fits.iter().map(|fit| fit.entropy).sum::<f64>() / f64::from(n);
            held += u64::from((mean - truth).abs() <= width / 2.0);
            sum += width;
        }
        let share = held as f64 / RUNS as f64;
        println!("n = {n}, m = {m}: coverage of .95: {share:.3}, mean width {:.2} nats", sum / RUNS as f64);
        assert!((0.92..=0.995).contains(&share), "n = {n}, m = {m}: {share}");
    }
}
