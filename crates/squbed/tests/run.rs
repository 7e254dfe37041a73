//! A whole run on a small closed world: real videos, real encoders.

use std::{fs, path::Path, sync::Mutex};

use squbed::{
    core::Task,
    experiment::{Embed, Experiment, Generate, Refine, Score, TaskSource, VideoLimits},
    method::Preset,
    models::ModelStore,
    progress::{Progress, Silent},
    run::{Encoders, Outcome, run},
    summary::{self, Context},
};

fn experiment(out: &Path) -> Experiment {
    Experiment {
        title: "A small world".to_owned(),
        out: out.to_owned(),
        seed: 1,
        device: "cpu".to_owned(),
        dtype: "f32".to_owned(),
        tasks: TaskSource::World { kind: "realm".to_owned(), tasks: 4 },
        refine: Refine { latents: 2, ..Refine::default() },
        generate: Generate { videos: 2, ..Generate::default() },
        embed: Embed::default(),
        score: Score::default(),
        limits: VideoLimits::default(),
        presets: vec![Preset::Default, Preset::Paper],
        resamples: 200,
    }
}

/// Items found finished and items done, of one step.
fn step(outcome: &Outcome, name: &str) -> (usize, usize) {
    let step = outcome.record.steps.iter().find(|s| s.step == name).expect(name);
    (step.reused, step.done)
}

/// Steps with what they announced and what they did.
#[derive(Default)]
struct Steps(Mutex<Vec<(String, u64, u64)>>);

impl Progress for Steps {
    fn begin(&self, step: &str, total: u64, _: &str) {
        self.0.lock().unwrap().push((step.to_owned(), total, 0));
    }
    fn advance(&self, by: u64) {
        self.0.lock().unwrap().last_mut().unwrap().2 += by;
    }
    fn end(&self) {}
    fn warn(&self, _: &str) {}
}

#[test]
fn a_run_reuses_what_is_finished_and_survives_a_broken_video() {
    let folder = tempfile::tempdir().unwrap();
    let experiment = experiment(&folder.path().join("results"));
    let models = ModelStore::new(None).unwrap();
    let encoders = Encoders::load(&experiment, models).expect("run `cargo xtask setup`");

    let steps = Steps::default();
    let first = run(&experiment, &encoders, "test", &steps).unwrap();
    assert!(first.failures.is_empty(), "{:?}", first.failures);
    assert_eq!(step(&first, "generate videos"), (0, 16));
    assert_eq!(step(&first, "embed videos"), (0, 20));
    let out = &experiment.out;
    let report = summary::report(out, out, Context::default(), &steps).unwrap();
    let steps = steps.0.into_inner().unwrap();
    for slow in ["calibrate", "read first frames", "draw plots"] {
        assert!(steps.iter().any(|(step, ..)| step == slow), "{slow} goes on in silence");
    }
    for (step, total, done) in steps {
        assert_eq!(total, done, "{step}");
        assert!(total > 0 || step == "refine prompts", "{step}");
    }
    let html = fs::read_to_string(report).unwrap();
    assert!(html.contains("A small world") && html.contains("i3d-kinetics-400"));
    for file in
        ["tasks.jsonl", "truth.jsonl", "default/uncertainty.parquet", "paper/basis.safetensors", "run.json"]
    {
        assert!(out.join(file).exists(), "{file}");
    }
    // Each generated video has its row, of which two alone say nothing of one another.
    let anomalies = fs::read_to_string(out.join("default/anomalies.jsonl")).unwrap();
    assert_eq!((anomalies.lines().count(), anomalies.matches(r#""surprise":null"#).count()), (16, 16));
    assert_eq!(anomalies.matches(r#""video":"videos/"#).count(), 16);
    let claimed = first.calibration.claim.tests.iter().filter(|t| t.estimate.as_deref() == Some("paper"));
    // Eight of each accuracy: the subset of Figure 5 is all four tasks here, which are not tested twice.
    assert_eq!(claimed.count(), 3 * 8);
    for row in squbed::results::read_uncertainty(out, "default").unwrap().unwrap() {
        let interval = row.interval.unwrap();
        assert!(interval.epistemic.low < row.epistemic && interval.aleatoric.low.is_nan(), "{interval:?}");
        assert!(row.pooled.unwrap().m == 4 && row.mutual_information.is_finite());
    }

    // The same again: nothing is done twice, and every number is the same.
    let mut second = run(&experiment, &encoders, "test", &Silent).unwrap();
    assert_eq!(step(&second, "generate videos"), (16, 0));
    assert_eq!(step(&second, "embed videos"), (20, 0));
    let rows = || squbed::results::read_uncertainty(out, "default").unwrap().unwrap();
    assert_eq!(rows().len(), 4);
    assert_eq!(
        serde_json::to_value(&first.calibration).unwrap(),
        serde_json::to_value(&second.calibration).unwrap()
    );

    // Every step has its row, and what was not gone through says why.
    squbed::run::report(&mut second, &Silent).unwrap();
    let steps: Vec<&str> = second.record.steps.iter().map(|s| s.step.as_str()).collect();
    let all = "refine prompts, generate videos, embed prompts, embed videos, compare videos, estimate, default \
               preset, estimate, paper preset, calibrate, report";
    assert_eq!(steps.join(", "), all);
    assert_eq!((step(&second, "calibrate"), step(&second, "report")), ((0, 2), (0, 1)));
    assert!(second.record.steps.iter().all(|s| s.skipped.is_none()), "{:?}", second.record.steps);
    let written: squbed::run::RunRecord = squbed::results::read_json(&out.join("run.json")).unwrap();
    assert_eq!(written, second.record);

    // A broken video is recorded; its task, which falls below two videos, is left out; the others stay.
    let broken = out.join("videos").join(&rows()[0].id).join("latent_1/gen_video_0.mp4");
    assert!(broken.exists());
    fs::write(&broken, b"no video at all").unwrap();
    let third = run(&experiment, &encoders, "test", &Silent).unwrap();
    assert_eq!(third.failures.len(), 2, "{:?}", third.failures);
    assert!(third.failures[0].item.contains("gen_video_0.mp4"));
    assert_eq!(rows().len(), 3);
    let failures = fs::read_to_string(out.join("failures.jsonl")).unwrap();
    for row in failures.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()) {
        assert!(row["hint"].as_str().is_some_and(|hint| hint.len() > 20), "{row}");
    }

    changed_videos_are_scored_anew(&broken, &experiment, &encoders);

    // Another title, device or bootstrap is the same experiment.
    let renamed = Experiment {
        title: "A small world, again".to_owned(),
        device: "auto".to_owned(),
        resamples: 100,
        ..experiment.clone()
    };
    let fourth = run(&renamed, &encoders, "test", &Silent).unwrap();
    assert_eq!(step(&fourth, "embed videos").1, 0);
    let recorded = Experiment::read_recorded(out).unwrap().unwrap();
    assert_eq!((recorded.title.as_str(), recorded.dtype.as_str()), ("A small world, again", "f32"));

    // Another experiment does not write into this folder.
    let other = Experiment { seed: 2, ..experiment.clone() };
    let error = run(&other, &encoders, "test", &Silent).unwrap_err();
    assert!(error.to_string().contains("seed was 1 and is 2 now"), "{error}");

    few_tasks_finish(folder.path(), &experiment, &encoders);
}

/// Other videos in the same places: uncertainties and accuracies are of these, none of the earlier ones.
fn changed_videos_are_scored_anew(video: &Path, experiment: &Experiment, encoders: &Encoders) {
    let out = &experiment.out;
    let kept = fs::read(video).unwrap();
    fs::copy(video.with_file_name("gen_video_1.mp4"), video).unwrap();
    let before = squbed::store::read_accuracy(out).unwrap();
    let mut outcome = run(experiment, encoders, "test", &Silent).unwrap();
    let scores = squbed::store::read_accuracy(out).unwrap();
    let rows = squbed::results::read_uncertainty(out, "default").unwrap().unwrap();
    assert_eq!((rows.len(), scores.len()), (4, 3 * 4));
    for score in &scores {
        let row = rows.iter().find(|row| row.id == score.id).unwrap();
        assert!(score.videos_digest.is_some() && row.videos_digest == score.videos_digest, "{score:?}");
        let changed = !before.contains(score);
        assert_eq!(changed, video.starts_with(out.join("videos").join(&score.id)), "{score:?}");
    }
    // The two videos of that latent prompt are one, which is told.
    let page = fs::read_to_string(squbed::run::report(&mut outcome, &Silent).unwrap()).unwrap();
    assert!(
        page.contains("1 task(s) have the same video more than once")
            && page.contains("latent prompt 1: gen_video_0.mp4 and gen_video_1.mp4"),
        "the report says nothing of equal videos"
    );
    fs::write(video, kept).unwrap();
    run(experiment, encoders, "test", &Silent).unwrap();
}

/// Runs on the first tasks of the world alone: what can be computed is, and the rest says why not.
fn few_tasks_finish(folder: &Path, world: &Experiment, encoders: &Encoders) {
    let mut tasks = squbed::store::read_tasks(&world.out.join("tasks.jsonl")).unwrap();
    // The first task has the broken video.
    tasks.remove(0);
    without_truth_finishes(folder, &tasks[..2], world, encoders);
    for n in [1, 2] {
        let path = folder.join(format!("{n}.jsonl"));
        squbed::store::write_tasks(&path, &tasks[..n]).unwrap();
        let few = Experiment {
            out: folder.join(format!("few-{n}")),
            tasks: TaskSource::File(path),
            embed: Embed { cache: Some(world.cache()), ..Embed::default() },
            ..world.clone()
        };
        let outcome = run(&few, encoders, "test", &Silent).unwrap();
        assert_eq!(step(&outcome, "embed videos").1, 0, "all of it is in the cache");
        if n == 1 {
            summary::report(&few.out, &few.out, Context::default(), &Silent).unwrap();
        }
        let text = fs::read_to_string(few.out.join("calibration.json")).unwrap();
        let file: serde_json::Value = serde_json::from_str(&text).unwrap();
        let accuracy = &file["presets"]["default"]["total_accuracy"];
        assert_eq!((file["n_tasks"].as_u64(), accuracy["n"].as_u64()), (Some(n as u64), Some(n as u64)));
        assert_eq!(accuracy["tau"].is_null(), n == 1, "{accuracy}");
        assert!(accuracy["ci_low"].is_null() && accuracy["ci_method"].as_str().unwrap().contains("too few"));
        // One task has no basis of its own: the paper preset, and what projects, is null with its reason.
        assert_eq!(file["presets"]["paper"].is_null(), n == 1);
        let why = file["not_computed"]["paper"].as_str();
        assert_eq!(why.is_some_and(|why| why.contains("1 task(s)")), n == 1, "{file}");
        assert_eq!(outcome.failures.iter().any(|f| f.item == "preset paper" && !f.hint.is_empty()), n == 1);
        let centred = &file["variants"]["projection: corpus-wide basis, centred"];
        assert_eq!(centred.is_null(), n == 1, "{centred}");
    }
}

/// Without any ground truth there is no accuracy; uncertainties have their report all the same.
fn without_truth_finishes(folder: &Path, tasks: &[Task], world: &Experiment, encoders: &Encoders) {
    let without = |task: &Task| Task { ground_truth: None, ..task.clone() };
    let tasks: Vec<Task> = tasks.iter().map(without).collect();
    let path = folder.join("no-truth.jsonl");
    squbed::store::write_tasks(&path, &tasks).unwrap();
    let bare = Experiment {
        out: folder.join("no-truth"),
        tasks: TaskSource::File(path),
        embed: Embed { cache: Some(world.cache()), ..Embed::default() },
        ..world.clone()
    };
    let mut outcome = run(&bare, encoders, "test", &Silent).unwrap();
    let report = squbed::run::report(&mut outcome, &Silent).unwrap();
    assert!(report.exists());
    let why = |name: &str| outcome.record.steps.iter().find(|s| s.step == name).unwrap().skipped.clone();
    assert_eq!(why("refine prompts").as_deref(), Some("every task has latent prompts"));
    assert_eq!(why("generate videos").as_deref(), Some("every latent prompt has videos"));
    assert_eq!(why("compare videos").as_deref(), Some("no task has a ground truth"));
    assert_eq!((why("calibrate"), step(&outcome, "report")), (None, (0, 1)));
    // Accuracies of earlier videos are none of these: nothing is paired with them.
    let stale = squbed::core::AccuracyScore {
        id: tasks[0].id.clone(),
        metric: "ssim".to_owned(),
        value: 0.5,
        videos: 4,
        videos_digest: Some("earlier".to_owned()),
    };
    squbed::store::write_accuracy(&bare.out, &[stale]).unwrap();
    let outcome = run(&bare, encoders, "test", &Silent).unwrap();
    assert!(outcome.calibration.claim.metrics.is_empty());
    assert_eq!(squbed::store::read_accuracy(&bare.out).unwrap(), []);
}
