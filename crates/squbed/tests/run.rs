//! A whole run on a small closed world: real videos, real encoders.

use std::{fs, path::Path};

use squbed::{
    experiment::{Embed, Experiment, Generate, Refine, TaskSource},
    method::Preset,
    models::ModelStore,
    progress::Silent,
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
        presets: vec![Preset::Default, Preset::Paper],
        resamples: 200,
    }
}

/// Items found finished and items done, of one step.
fn step(outcome: &Outcome, name: &str) -> (usize, usize) {
    let step = outcome.record.steps.iter().find(|s| s.step == name).expect(name);
    (step.reused, step.done)
}

#[test]
fn a_run_reuses_what_is_finished_and_survives_a_broken_video() {
    let folder = tempfile::tempdir().unwrap();
    let experiment = experiment(&folder.path().join("results"));
    let models = ModelStore::new(None).unwrap();
    let encoders = Encoders::load(&experiment, &models).expect("run `cargo xtask setup`");

    let first = run(&experiment, &encoders, "test", &Silent).unwrap();
    assert!(first.failures.is_empty(), "{:?}", first.failures);
    assert_eq!(step(&first, "generate videos"), (0, 16));
    assert_eq!(step(&first, "embed videos"), (0, 20));
    let out = &experiment.out;
    let report = summary::report(out, out, Context::default()).unwrap();
    let html = fs::read_to_string(report).unwrap();
    assert!(html.contains("A small world") && html.contains("i3d-kinetics-400"));
    for file in
        ["tasks.jsonl", "truth.jsonl", "default/uncertainty.parquet", "paper/basis.safetensors", "run.json"]
    {
        assert!(out.join(file).exists(), "{file}");
    }

    // The same again: nothing is done twice, and every number is the same.
    let second = run(&experiment, &encoders, "test", &Silent).unwrap();
    assert_eq!(step(&second, "generate videos"), (16, 0));
    assert_eq!(step(&second, "embed videos"), (20, 0));
    let rows = |preset| squbed::run::read_uncertainty(out, preset).unwrap().unwrap();
    assert_eq!(rows(Preset::Default).len(), 4);
    assert_eq!(
        serde_json::to_value(&first.calibration).unwrap(),
        serde_json::to_value(&second.calibration).unwrap()
    );

    // A broken video is recorded; its task, which falls below two videos, is left out; the others stay.
    let broken = out.join("videos").join(&rows(Preset::Default)[0].id).join("latent_1/gen_video_0.mp4");
    assert!(broken.exists());
    fs::write(&broken, b"no video at all").unwrap();
    let third = run(&experiment, &encoders, "test", &Silent).unwrap();
    assert_eq!(third.failures.len(), 2, "{:?}", third.failures);
    assert!(third.failures[0].item.contains("gen_video_0.mp4"));
    assert_eq!(rows(Preset::Default).len(), 3);
    assert!(out.join("failures.jsonl").exists());

    // Another experiment does not write into this folder.
    let other = Experiment { seed: 2, ..experiment.clone() };
    let error = run(&other, &encoders, "test", &Silent).unwrap_err();
    assert!(error.to_string().contains("seed = 1"), "{error}");
}
