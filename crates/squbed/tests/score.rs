//! Accuracy of generated videos on small real files: what is compared, what is reused, what is told.

#[path = "../../squbed-models/tests/common/formula.rs"]
mod formula;

use std::{
    fs,
    path::{Path, PathBuf},
};

use candle_core::{DType, Device};
use squbed::{
    core::{Frame, LatentPrompt, Task},
    models::ModelStore,
    progress::Silent,
    score::{Measure, MetricsFile, Scored, Scoring, VIDEO_SCORES, Videos, score},
};
use squbed_video::{EncodeOptions, Limits};

const SIZE: usize = 64;

/// A flat picture whose colour tells the time, with a line that tells where up is.
fn frame(seconds: f64, tint: u8) -> Frame {
    let level = (40.0 + 40.0 * seconds) as u8;
    let rgb = (0..SIZE * SIZE).flat_map(|i| if i / SIZE == 12 { [250, 250, 250] } else { [level, tint, 90] });
    Frame::new(SIZE, SIZE, rgb.collect()).unwrap()
}

/// A video of so many seconds at this rate.
fn video(path: PathBuf, fps: u32, seconds: u32, tint: u8) -> PathBuf {
    // The colour changes once a second, so that another rate shows the same at the same time.
    let frames = (0..fps * seconds).map(|i| frame(f64::from(i / fps), tint));
    let options = EncodeOptions { fps: (fps, 1), quality: Some(1), ..EncodeOptions::default() };
    squbed_video::encode(&path, frames, &options).unwrap();
    path
}

fn task(id: &str, ground_truth: Option<&Path>, videos: &[PathBuf]) -> Task {
    Task {
        id: id.to_owned(),
        prompt: "a red circle".to_owned(),
        dataset: None,
        category: None,
        ground_truth: ground_truth.map(Path::to_owned),
        latents: vec![LatentPrompt { prompt: "a small red circle".to_owned(), videos: videos.to_vec() }],
    }
}

fn scored(folder: &Path, models: &ModelStore, tasks: &[Task], measures: &[&str]) -> squbed::Result<Scored> {
    let measures: Vec<Measure> = measures.iter().map(|name| name.parse().unwrap()).collect();
    let scoring = Scoring {
        tasks,
        measures: &measures,
        videos: Videos::By("i3d-kinetics-400"),
        clip_model: "tiny",
        models,
        device: &Device::Cpu,
        dtype: DType::F32,
        cache: &folder.join("cache"),
        batch: 4,
        limits: &Limits::default(),
        out: &folder.join("out"),
    };
    score(&scoring, &Silent)
}

/// No model at all beside those of the program, in an empty home.
fn no_models(folder: &Path) -> ModelStore {
    ModelStore::new(Some(folder.join("home"))).unwrap()
}

fn value(scored: &Scored, id: &str, metric: &str) -> f64 {
    let of = |s: &&squbed::core::AccuracyScore| s.id == id && s.metric == metric;
    scored.scores.iter().find(of).unwrap_or_else(|| panic!("{id} {metric}: {scored:?}")).value
}

#[test]
fn frames_are_compared_at_equal_times_of_the_shorter_duration() {
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| folder.path().join(name);
    let truth = video(place("truth.mp4"), 8, 2, 60);
    let twin = place("twin.mp4");
    fs::copy(&truth, &twin).unwrap();
    let faster = video(place("faster.mp4"), 24, 2, 60);
    // What follows after the truth's end shows something else and is not looked at.
    let longer = video(place("longer.mp4"), 8, 4, 60);
    let other = video(place("other.mp4"), 8, 2, 200);
    let tasks = [
        task("same", Some(&truth), &[twin]),
        task("rate", Some(&truth), &[faster]),
        task("length", Some(&truth), &[longer]),
        task("other", Some(&truth), &[other]),
    ];
    let models = no_models(folder.path());
    let scored = scored(folder.path(), &models, &tasks, &["ssim", "psnr", "psnr-y"]).unwrap();
    assert!(scored.failures.is_empty(), "{:?}", scored.failures);
    assert_eq!((value(&scored, "same", "ssim"), value(&scored, "same", "psnr")), (1.0, f64::INFINITY));
    assert!(scored.remarks[0].starts_with("task same: 2 value(s) are infinite"), "{:?}", scored.remarks);
    assert!(!scored.remarks.iter().any(|remark| remark.contains("task other")), "{:?}", scored.remarks);
    for id in ["rate", "length"] {
        assert!(value(&scored, id, "ssim") > 0.99, "{id}: {:?}", scored.scores);
        assert!(value(&scored, id, "psnr") > 38.0, "{id}: {:?}", scored.scores);
    }
    assert!(value(&scored, "other", "psnr") < 15.0 && value(&scored, "other", "ssim") < 0.99);
    // The first metric asked for stands first.
    assert_eq!(scored.scores[0].metric, "ssim");
    let rows = squbed::store::read_accuracy(&folder.path().join("out")).unwrap();
    assert_eq!(rows, scored.scores);
}

#[test]
fn what_did_not_change_is_not_computed_again() {
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| folder.path().join(name);
    let truth = video(place("truth.mp4"), 8, 1, 60);
    let videos = [video(place("a.mp4"), 8, 1, 80), video(place("b.mp4"), 8, 1, 100)];
    let tasks = [task("t", Some(&truth), &videos)];
    let models = no_models(folder.path());
    let first = scored(folder.path(), &models, &tasks, &["ssim"]).unwrap();
    assert_eq!((first.reused, first.computed), (0, 2));
    let second = scored(folder.path(), &models, &tasks, &["psnr", "ssim"]).unwrap();
    assert_eq!((second.reused, second.computed), (2, 2));
    assert_eq!(value(&second, "t", "ssim"), value(&first, "t", "ssim"));
    video(place("b.mp4"), 8, 1, 180);
    let third = scored(folder.path(), &models, &tasks, &["ssim", "psnr"]).unwrap();
    assert_eq!((third.reused, third.computed), (2, 2));
    assert!(value(&third, "t", "ssim") < value(&first, "t", "ssim"));
    let rows = fs::read_to_string(folder.path().join("out").join(VIDEO_SCORES)).unwrap();
    assert_eq!(rows.lines().count(), 4, "rows of a video that is gone are gone: {rows}");
}

#[test]
fn what_cannot_be_read_is_recorded_and_the_others_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| folder.path().join(name);
    let good = video(place("good.mp4"), 8, 1, 60);
    let bad = place("bad.mp4");
    fs::write(&bad, "no video").unwrap();
    let tasks = [
        task("no truth", Some(&bad), std::slice::from_ref(&good)),
        task("one bad", Some(&good), &[bad.clone(), good.clone()]),
        task("gone", Some(&place("nowhere.mp4")), std::slice::from_ref(&good)),
    ];
    let scored = scored(folder.path(), &no_models(folder.path()), &tasks, &["ssim"]).unwrap();
    assert_eq!((scored.scores.len(), scored.scores[0].videos), (1, 1), "{:?}", scored.scores);
    assert_eq!(value(&scored, "one bad", "ssim"), 1.0);
    let items: Vec<&str> = scored.failures.iter().map(|f| f.item.as_str()).collect();
    assert_eq!(items, [bad.to_str().unwrap(), bad.to_str().unwrap(), place("nowhere.mp4").to_str().unwrap()]);
    assert!(scored.failures.iter().all(|f| f.step == "score" && !f.hint.is_empty()), "{:?}", scored.failures);
}

#[test]
fn what_has_no_weights_is_not_run_and_says_how_to_get_them() {
    let folder = tempfile::tempdir().unwrap();
    let truth = video(folder.path().join("truth.mp4"), 8, 1, 60);
    let tasks = [task("t", Some(&truth), std::slice::from_ref(&truth))];
    let models = no_models(folder.path());
    let scored = scored(folder.path(), &models, &tasks, &["lpips-alex", "ssim", "fvd"]).unwrap();
    assert_eq!(scored.scores.iter().map(|s| s.metric.as_str()).collect::<Vec<_>>(), ["ssim"]);
    let file = MetricsFile::read(&folder.path().join("out")).unwrap();
    assert_eq!(file, scored.file);
    let why = |metric: &str| &file.not_run.iter().find(|n| n.metric == metric).unwrap().why;
    assert!(why("lpips-alex").contains("squbed models fetch lpips-alex"), "{}", why("lpips-alex"));
    assert!(
        why("fvd").starts_with("1 different generated and 1 different true videos are too few"),
        "{}",
        why("fvd")
    );
}

#[test]
fn without_the_weights_of_its_encoder_the_cosine_is_not_run_and_the_others_are() {
    let folder = tempfile::tempdir().unwrap();
    let truth = video(folder.path().join("truth.mp4"), 8, 1, 60);
    let tasks = [task("t", Some(&truth), std::slice::from_ref(&truth))];
    let scored = scored(folder.path(), &no_models(folder.path()), &tasks, &["cosine", "ssim"]).unwrap();
    assert_eq!(value(&scored, "t", "ssim"), 1.0);
    let [not_run] = &scored.file.not_run[..] else { panic!("{:?}", scored.file) };
    assert_eq!(not_run.metric, "cosine");
    assert!(not_run.why.ends_with("run `squbed models fetch i3d-kinetics-400`"), "{}", not_run.why);
    // It goes into reports: no path of this machine.
    assert!(!not_run.why.contains('/'), "{}", not_run.why);
}

/// Files by name, those of one ending left out.
fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap()))
        .collect();
    files.sort();
    files
}

/// Ends the scoring in the midst, once so many videos are compared.
struct CutShort(std::sync::atomic::AtomicU64);

impl squbed::progress::Progress for CutShort {
    fn begin(&self, _: &str, _: u64, _: &str) {}
    fn advance(&self, by: u64) {
        let left = self.0.fetch_sub(by, std::sync::atomic::Ordering::Relaxed);
        assert!(left > by, "cut short");
    }
    fn end(&self) {}
    fn warn(&self, _: &str) {}
}

#[test]
fn a_scoring_that_is_cut_short_loses_one_task_and_goes_on_to_the_same_files() {
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| folder.path().join(name);
    let truth = video(place("truth.mp4"), 8, 1, 60);
    let tasks: Vec<Task> = (0..3)
        .map(|i| {
            let videos = [0, 1].map(|k| video(place(&format!("{i}-{k}.mp4")), 8, 1, 70 + 20 * i + 5 * k));
            task(&format!("t{i}"), Some(&truth), &videos)
        })
        .collect();
    let models = tiny_clip(folder.path());
    let names = ["ssim", "psnr", "clip"];
    let whole = scored(&place("whole"), &models, &tasks, &names).unwrap();
    assert_eq!((whole.reused, whole.computed), (0, 18));

    // The fourth video is in the second task, which is lost.
    let measures: Vec<Measure> = names.iter().map(|name| name.parse().unwrap()).collect();
    let out = place("cut/out");
    let scoring = Scoring {
        tasks: &tasks,
        measures: &measures,
        videos: Videos::By("none"),
        clip_model: "tiny",
        models: &models,
        device: &Device::Cpu,
        dtype: DType::F32,
        cache: &place("cut/cache"),
        batch: 4,
        limits: &Limits::default(),
        out: &out,
    };
    let cut = CutShort(4.into());
    let end = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| score(&scoring, &cut)));
    assert!(end.is_err());
    assert_eq!(
        files(&out).iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(),
        ["accuracy_videos.open.jsonl"]
    );
    // A row that was being written is made again.
    let journal = out.join("accuracy_videos.open.jsonl");
    let text = fs::read_to_string(&journal).unwrap();
    fs::write(&journal, format!("{text}{}", &text[..40])).unwrap();
    let again = scored(&place("cut"), &models, &tasks, &names).unwrap();
    assert_eq!((again.reused, again.computed), (6, 12));
    assert_eq!(again.scores, whole.scores);
    assert_eq!(files(&out), files(&place("whole/out")));
}

/// The videos of a step pass through LPIPS together, those of one length of the ground truth at a time.
#[test]
fn perceptual_distances_of_videos_together_are_those_of_each_alone() {
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| folder.path().join(name);
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/metrics");
    let models = no_models(folder.path());
    let model = models.folder("lpips-alex");
    fs::create_dir_all(&model).unwrap();
    let shapes = fs::read(golden.join("lpips_alex.shapes.json")).unwrap();
    let weights = formula::tensors(&serde_json::from_slice(&shapes).unwrap(), 8001);
    formula::write(&weights, &model.join("backbone.safetensors"));
    fs::copy(golden.join("lpips_alex_lin_v0.1.safetensors"), model.join("linear.safetensors")).unwrap();

    let truth = video(place("truth.mp4"), 8, 2, 60);
    let videos = [
        video(place("long.mp4"), 8, 2, 90),
        video(place("short.mp4"), 8, 1, 90),
        video(place("far.mp4"), 8, 2, 200),
        truth.clone(),
    ];
    let alone: Vec<Task> = (0..4).map(|i| task(&format!("t{i}"), Some(&truth), &videos[i..=i])).collect();
    let alone = scored(&place("alone"), &models, &alone, &["lpips-alex"]).unwrap();
    let together = [task("all", Some(&truth), &videos)];
    let together = scored(&place("together"), &models, &together, &["ssim", "lpips-alex"]).unwrap();
    assert_eq!((together.computed, together.failures.len()), (8, 0));
    let of_videos = fs::read_to_string(place("together/out").join(VIDEO_SCORES)).unwrap();
    let rows = of_videos.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let distances: Vec<f64> =
        rows.filter(|row| row["metric"] == "-lpips-alex").map(|row| row["value"].as_f64().unwrap()).collect();
    let want: Vec<f64> = (0..4).map(|i| value(&alone, &format!("t{i}"), "-lpips-alex")).collect();
    assert_eq!(distances, want);
    assert!(want[3] == 0.0 && want[2] < want[0] && want[0] < 0.0, "{want:?}");
}

/// A model `tiny` of CLIP's kind with weights by formula, for pictures of 224×224.
fn tiny_clip(folder: &Path) -> ModelStore {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/encoders");
    let shapes = fs::read(golden.join("shapes/clip_tiny_gelu.json")).unwrap();
    let (weights, config) = formula::tiny_clip(serde_json::from_slice(&shapes).unwrap(), 49_408);
    let home = folder.join("home");
    let model = home.join("models/tiny");
    fs::create_dir_all(&model).unwrap();
    formula::write(&weights, &model.join("model.safetensors"));
    fs::write(model.join("config.json"), config.to_string()).unwrap();
    fs::copy(golden.join("clip_vocab.json"), model.join("vocab.json")).unwrap();
    fs::copy(golden.join("clip_merges.txt"), model.join("merges.txt")).unwrap();
    let files = ["model.safetensors", "config.json", "vocab.json", "merges.txt"];
    let manifest = formula::tiny_clip_manifest("floor", files.map(str::to_owned));
    let manifests = folder.join("manifests");
    fs::create_dir_all(manifests.join("tiny")).unwrap();
    fs::write(manifests.join("tiny/model.toml"), manifest).unwrap();
    ModelStore::with_manifests(home, &[manifests]).unwrap()
}

#[test]
fn clip_compares_videos_and_prompts() {
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| folder.path().join(name);
    let truth = video(place("truth.mp4"), 8, 1, 60);
    let other = video(place("other.mp4"), 8, 1, 220);
    let tasks = [
        task("same", Some(&truth), std::slice::from_ref(&truth)),
        task("other", Some(&truth), std::slice::from_ref(&other)),
        task("no truth", None, std::slice::from_ref(&other)),
    ];
    let models = tiny_clip(folder.path());
    let all = scored(folder.path(), &models, &tasks, &["clip", "clip-frames", "alignment"]).unwrap();
    let clip = |id| value(&all, id, "CLIP score, tiny");
    let frames = |id| value(&all, id, "CLIP frame score, tiny");
    assert!((clip("same") - 1.0).abs() < 1e-6 && (frames("same") - 1.0).abs() < 1e-6);
    assert!(clip("other") < 0.9999 && frames("other") < 0.9999, "{:?}", all.scores);
    // The alignment is there without a ground truth, and is that of the video whatever it is compared with.
    let aligned = |id| value(&all, id, "CLIP text alignment, tiny");
    assert_eq!(aligned("other"), aligned("no truth"));
    assert!(aligned("same") != aligned("other") && aligned("same").abs() <= 1.0);
    assert_eq!(all.scores.iter().filter(|s| s.id == "no truth").count(), 1);
    // By the encoder itself, of the prompt and of frames that are decoded here.
    let images = models.clip_images("tiny", &Device::Cpu, DType::F32).unwrap();
    let texts = models.clip_text("tiny", &Device::Cpu, DType::F32).unwrap();
    let plan = squbed::core::Sampling::Within { frames: 16, seconds: 1.0 };
    let decoded = squbed_video::decode(&other, &[plan], &Default::default()).unwrap();
    let mut sum = vec![0.0; 40];
    for frame in decoded.clips[0].frames() {
        let small = squbed_frame::resize(frame, 224, 224, squbed_frame::Filter::Bicubic).unwrap();
        let row = images.encode(&images.prepare(&small).unwrap().unsqueeze(0).unwrap()).unwrap();
        for (sum, x) in sum.iter_mut().zip(row.to_vec2::<f32>().unwrap().concat()) {
            *sum += x;
        }
    }
    let prompt = texts.encode(&["a red circle"]).unwrap().to_vec2::<f32>().unwrap().concat();
    let expected = squbed::accuracy::cosine(&sum, &prompt);
    assert!((aligned("other") - expected).abs() < 1e-6, "{} {expected}", aligned("other"));

    // What CLIP made of the frames is in the cache: with other measures, in another folder, nothing is embedded again, and
    // what the cache holds is what is compared.
    let cached = Path::new("cache");
    let rows = |folder: &Path| {
        let parts = fs::read_dir(folder.join(cached)).unwrap().map(|entry| entry.unwrap().path());
        let of_clip =
            parts.filter(|part| part.file_name().unwrap().to_str().unwrap().starts_with("tiny-frames"));
        of_clip.map(|part| fs::read_dir(part).unwrap().count()).sum::<usize>()
    };
    assert_eq!(rows(folder.path()), 1);
    fs::remove_dir_all(place("out")).unwrap();
    let again = scored(folder.path(), &models, &tasks, &["clip-frames", "clip", "alignment"]).unwrap();
    assert_eq!((again.reused, again.computed, rows(folder.path())), (0, 7, 1));
    for row in &all.scores {
        assert_eq!(value(&again, &row.id, &row.metric), row.value, "{row:?}");
    }
}

#[test]
fn videos_that_clip_embeds_together_have_the_values_of_each_alone() {
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| folder.path().join(name);
    let truth = video(place("truth.mp4"), 8, 2, 60);
    // Of two lengths, so that the ground truth has two spans.
    let videos: Vec<PathBuf> =
        (0..3).map(|i| video(place(&format!("{i}.mp4")), 8, 1 + i % 2, 75 + 50 * i as u8)).collect();
    let models = tiny_clip(folder.path());
    let names = ["clip", "clip-frames", "alignment", "psnr"];
    let together = scored(&place("together"), &models, &[task("t", Some(&truth), &videos)], &names).unwrap();
    let alone: Vec<Task> =
        (0..3).map(|i| task(&format!("t{i}"), Some(&truth), std::slice::from_ref(&videos[i]))).collect();
    let alone = scored(&place("alone"), &models, &alone, &names).unwrap();
    for metric in ["CLIP score, tiny", "CLIP frame score, tiny", "CLIP text alignment, tiny", "psnr"] {
        let mean = (0..3).map(|i| value(&alone, &format!("t{i}"), metric)).sum::<f64>() / 3.0;
        assert!((value(&together, "t", metric) - mean).abs() < 1e-6, "{metric}: {:?}", alone.scores);
    }
    assert!(value(&alone, "t0", "CLIP score, tiny") != value(&alone, "t1", "CLIP score, tiny"));
}
