//! `squbed estimate` and `squbed score`: what they need, and what they say where nothing is left.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use serde_json::{Value, json};

use crate::{ended, squbed, squbed_with, text};

/// A folder with the closed world's smallest data set, its manifest free to be changed.
struct World {
    folder: tempfile::TempDir,
    task: Value,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let world = folder.path().join("world");
        let drawn =
            ["sim", "world", "--tasks", "1", "--latents", "2", "--videos", "2", "--out", text(&world)];
        let (code, _, message) = ended(squbed(&drawn));
        assert_eq!((code, message.as_str()), (0, ""), "notes are for a terminal");
        let task = serde_json::from_str(&fs::read_to_string(world.join("tasks.jsonl")).unwrap()).unwrap();
        Self { folder, task }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes the manifest, and runs a step on it.
    fn run(&self, step: &str, out: &str, more: &[&str]) -> (i32, String, String) {
        let tasks = self.path("world/tasks.jsonl");
        fs::write(&tasks, self.task.to_string()).unwrap();
        let (cache, out) = (self.path("cache"), self.path(out));
        let arguments = [step, text(&tasks), "--cache", text(&cache), "--out", text(&out)];
        ended(squbed(&[&arguments[..], more].concat()))
    }

    fn failures(&self, out: &str) -> Vec<Value> {
        let text = fs::read_to_string(self.path(out).join("failures.jsonl")).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

#[test]
fn an_estimate_leaves_ground_truths_alone_and_tells_of_flags() {
    let mut world = World::new();
    let good = world.task["ground_truth"].take();
    world.task["ground_truth"] = json!("nowhere.mp4");
    let (code, table, message) = world.run("estimate", "results", &[]);
    assert_eq!((code, message.as_str()), (0, ""), "no ground truth is read");
    assert!(!table.contains("flags"), "{table}");
    // To score it is needed, and its failure is not forgotten by an estimate that does not try it.
    let (code, data, message) = world.run("score", "results", &[]);
    assert_eq!((code, data.as_str()), (1, ""), "{message}");
    assert!(
        message.contains("error: no task could be scored") && message.contains("nowhere.mp4"),
        "{message}"
    );
    assert!(message.contains("failures.jsonl lists"), "{message}");
    assert!(!world.path("results/accuracy.jsonl").exists());
    assert_eq!(world.run("estimate", "results", &[]).0, 0);
    assert_eq!(world.failures("results").len(), 1);
    world.task["ground_truth"] = good;
    let (code, data, message) = world.run("score", "results", &["--format", "json"]);
    assert_eq!((code, message.as_str()), (0, ""));
    assert_eq!(serde_json::from_str::<Value>(&data).unwrap()[0]["videos"], 4);

    // Without its encoder the cosine is not run, as any metric whose weights are not here, and the others are.
    let home = world.path("home");
    fs::create_dir(&home).unwrap();
    let (tasks, cache, out) = (world.path("world/tasks.jsonl"), world.path("cache"), world.path("bare"));
    let score = ["score", text(&tasks), "--cache", text(&cache), "--out", text(&out), "--metric"];
    let bare = |metrics| {
        let variables = [("SQUBED_HOME", text(&home))];
        ended(squbed_with(&variables, &[&score[..], &[metrics, "--format", "json"]].concat()))
    };
    let (code, data, message) = bare("cosine,psnr");
    assert_eq!(code, 0, "{message}");
    assert_eq!(serde_json::from_str::<Value>(&data).unwrap()[0]["metric"], "psnr");
    assert!(
        message.contains("warning: not run: cosine: ") && message.contains("squbed models fetch"),
        "{message}"
    );
    let metrics = fs::read_to_string(out.join("metrics.json")).unwrap();
    let metrics: Value = serde_json::from_str(&metrics).unwrap();
    assert_eq!(metrics["not_run"][0]["metric"], "cosine", "{metrics}");
    let (code, data, message) = bare("cosine");
    assert!(code == 1 && data.is_empty() && message.contains("no metric could be run: cosine"), "{message}");

    // Two equal videos are a point mass, which the table says.
    let first = world.path("world").join(world.task["latents"][0]["videos"][0].as_str().unwrap());
    fs::copy(first, world.path("world/copy.mp4")).unwrap();
    world.task["latents"][0]["videos"][1] = json!("copy.mp4");
    let (code, table, message) = world.run("estimate", "twice", &[]);
    let id = world.task["id"].as_str().unwrap().to_owned();
    let same = format!("task {id}, latent prompt 0: video_0.mp4 and copy.mp4");
    assert!(
        message.starts_with("warning: 1 task(s) have the same video") && message.contains(&same),
        "{message}"
    );
    assert!(code == 0 && table.contains("flags") && table.contains("videos point_mass in 1 of 2"), "{table}");
    let (_, data, _) = world.run("estimate", "twice", &["--format", "json"]);
    let rows: Value = serde_json::from_str(&data).unwrap();
    assert_eq!(rows[0]["flags"], json!(["videos point_mass in 1 of 2"]));

    // So is the same latent prompt twice.
    world.task["latents"][1]["prompt"] = world.task["latents"][0]["prompt"].clone();
    let (code, table, message) = world.run("estimate", "twice", &[]);
    assert!(code == 0 && table.contains("prompts point_mass"), "{table}");
    let same = format!("task {id}, latent prompts 0 and 1: “");
    assert!(
        message.contains("the same latent prompt more than once") && message.contains(&same),
        "{message}"
    );
    let rows = fs::read_to_string(world.path("twice/default/uncertainty.jsonl")).unwrap();
    assert!(rows.contains(r#""repeats":[{"what":"prompt","latents":[0,1]"#), "{rows}");
    // The same file twice is a mistake of the list.
    world.task["latents"][0]["videos"][0] = json!("copy.mp4");
    let (code, _, message) = world.run("estimate", "twice", &[]);
    assert!(code == 1 && message.contains("line 1") && message.contains("copy.mp4` twice"), "{message}");
    world.task["latents"][0]["videos"].as_array_mut().unwrap()[0] = json!("./copy2.mp4");
    fs::copy(world.path("world/copy.mp4"), world.path("world/copy2.mp4")).unwrap();

    // An estimate by another encoder is not overwritten.
    let record = world.path("twice/default/method.json");
    let other = fs::read_to_string(&record).unwrap().replace("i3d-kinetics-400", "another");
    fs::write(&record, &other).unwrap();
    let (code, _, message) = world.run("estimate", "twice", &[]);
    assert!(code == 1 && message.contains("and another, not by"), "{message}");
    assert!(message.contains("choose another `--out`"), "{message}");
    assert_eq!(fs::read_to_string(&record).unwrap(), other);
}

/// Clips made again under their old names: an estimate of the new ones and accuracies of the old ones are no pair.
#[test]
fn accuracies_of_clips_that_changed_are_not_paired_with_new_estimates() {
    let world = World::new();
    let results = world.path("results");
    let calibrate = || ended(squbed(&["calibrate", text(&results), "--resamples", "200"]));
    assert_eq!(world.run("estimate", "results", &[]).0, 0);
    assert_eq!(world.run("score", "results", &["--metric", "psnr"]).0, 0);
    let (code, _, message) = calibrate();
    assert!(code == 0 && !message.contains("same videos"), "{message}");

    let place = |path: &Value| world.path("world").join(path.as_str().unwrap());
    let video = place(&world.task["latents"][0]["videos"][0]);
    fs::copy(place(&world.task["ground_truth"]), &video).unwrap();
    assert_eq!(world.run("estimate", "results", &[]).0, 0);
    let (code, data, message) = calibrate();
    let id = world.task["id"].as_str().unwrap();
    let told = format!(
        "error: the estimate `default` and the accuracy `psnr` are of different videos of 1 task(s): {id}\n"
    );
    assert_eq!((code, data.as_str()), (1, ""), "{message}");
    assert!(message.starts_with(&told) && message.contains(": `squbed score "), "{message}");
    assert!(!results.join("calibration.json").exists());
    let (code, _, message) = ended(squbed(&["report", text(&results)]));
    assert!(code == 1 && message.contains("`squbed calibrate`"), "{message}");
    // The command that is named mends it.
    assert_eq!(world.run("score", "results", &["--metric", "psnr"]).0, 0);
    assert_eq!(calibrate().0, 0);

    // The other way about, the estimate is the older one; and a report does not take such a folder either.
    fs::copy(place(&world.task["latents"][1]["videos"][0]), &video).unwrap();
    let calibration = fs::read(results.join("calibration.json")).unwrap();
    assert_eq!(world.run("score", "results", &["--metric", "psnr"]).0, 0);
    let (code, _, message) = calibrate();
    assert!(code == 1 && message.contains(": `squbed estimate "), "{message}");
    fs::write(results.join("calibration.json"), calibration).unwrap();
    let (code, _, message) = ended(squbed(&["report", text(&results)]));
    assert!(code == 1 && message.contains("are of different videos of 1 task(s)"), "{message}");
}

#[test]
fn where_nothing_is_left_nothing_is_written_and_the_reason_is_said() {
    let mut world = World::new();
    for z in 0..2 {
        for v in 0..2 {
            world.task["latents"][z]["videos"][v] = json!(format!("broken-{z}{v}.mp4"));
            fs::write(world.path(&format!("world/broken-{z}{v}.mp4")), format!("no video {z}{v}")).unwrap();
        }
    }
    for preset in ["default", "paper"] {
        let (code, data, message) = world.run("estimate", "results", &["--preset", preset]);
        assert_eq!((code, data.as_str()), (1, ""), "nothing came of it: {message}");
        assert!(message.contains("error: no task could be estimated"), "{message}");
        assert!(
            message.contains("because: embed failed at") && message.contains("broken-00.mp4"),
            "{message}"
        );
        assert!(message.contains("hint: ") && message.contains("run the same command again"), "{message}");
        assert!(!message.contains("all embeddings are the same"), "{message}");
        assert!(!world.path("results").join(preset).exists());
        assert_eq!(world.failures("results").len(), 5, "four videos and the task");
    }
    world.task["ground_truth"] = Value::Null;
    let (code, data, message) = world.run("score", "results", &[]);
    assert_eq!((code, data.as_str()), (1, ""), "{message}");
    assert!(message.contains("none of the 1 task(s)") && message.contains("`ground_truth`"), "{message}");
    assert!(message.contains("tasks.jsonl"), "{message}");
}

#[test]
fn an_unknown_world_leaves_no_folder_that_would_refuse_the_right_one() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("demo");
    let (code, _, message) = ended(squbed(&["demo", "--world", "relm", "--out", text(&out)]));
    assert!(code == 1 && message.contains("write realm or value"), "{message}");
    assert!(!out.exists());
}

#[test]
fn a_mistyped_list_of_tasks_leaves_a_folder_that_takes_the_right_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let run = |tasks: &str| {
        fs::write(path("e.toml"), format!("out = 'out'\ntasks = {{ file = '{tasks}' }}\n")).unwrap();
        ended(squbed(&["run", text(&path("e.toml"))]))
    };
    let (code, _, message) = run("nothere.jsonl");
    assert!(code == 1 && message.contains("nothere.jsonl"), "{message}");
    // The folder is no other experiment's: the next fault is that of the list that is there.
    fs::write(path("tasks.jsonl"), "{\"id\": \"a\", \"prompt\": \"a red cat\"}\n").unwrap();
    let (code, _, message) = run("tasks.jsonl");
    assert!(code == 1 && !message.contains("another experiment"), "{message}");
    assert!(message.contains("`cat`") && message.contains("squbed refine"), "{message}");
    // Nor is it the experiment's whose refinement ended before its first row, with other options or other tasks.
    assert!(path("out/refiner.json").is_file());
    fs::write(path("others.jsonl"), "{\"id\": \"b\", \"prompt\": \"a blue dog\"}\n").unwrap();
    for refine in ["", "refine = { latents = 2 }\n"] {
        fs::write(path("e.toml"), format!("out = 'out'\ntasks = {{ file = 'others.jsonl' }}\n{refine}"))
            .unwrap();
        let (code, _, message) = ended(squbed(&["run", text(&path("e.toml"))]));
        assert!(code == 1 && !message.contains("another experiment"), "{message}");
        assert!(message.contains("`dog`"), "{message}");
    }
    // With a result in it, it is.
    fs::write(path("out/tasks.jsonl"), "").unwrap();
    let (code, _, message) = run("nothere.jsonl");
    assert!(code == 1 && message.contains("another experiment"), "{message}");
}

#[test]
fn prompts_that_differ_only_behind_the_encoder_s_limit_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let lines = folder.path().join("lines.txt");
    let long = "a red star moving left ".repeat(80);
    fs::write(&lines, format!("{long}slowly\n{long}fast\na red star\n")).unwrap();
    let out = folder.path().join("e.npy");
    let arguments = ["embed", "text", "--model", "all-MiniLM-L6-v2", "--out", text(&out), text(&lines)];
    let (code, _, message) = ended(squbed(&arguments));
    assert_eq!(code, 0, "{message}");
    assert!(message.contains("2 of 3 texts are longer than all-MiniLM-L6-v2 takes"), "{message}");
}

#[test]
fn an_estimate_and_its_report_tell_of_prompts_that_are_longer_than_their_encoder_takes() {
    let mut world = World::new();
    let long = format!("{}slowly", "a red star moving left ".repeat(80));
    world.task["latents"][1]["prompt"] = json!(long);
    let (code, _, message) = world.run("estimate", "results", &[]);
    assert!(code == 0 && message.contains("are longer than all-MiniLM-L6-v2 takes"), "{message}");
    let rows = fs::read_to_string(world.path("results/default/uncertainty.jsonl")).unwrap();
    let row: Value = serde_json::from_str(&rows).unwrap();
    assert_eq!(row["cut"].as_array().map(Vec::len), Some(1), "{row}");
    let hidden = row["cut"][0]["characters"].as_u64().unwrap();
    assert!(row["cut"][0]["latent"] == 1 && (1..long.len() as u64).contains(&hidden), "{row}");
    assert_eq!(world.run("score", "results", &[]).0, 0);
    for step in ["calibrate", "report"] {
        let (code, _, message) = ended(squbed(&[step, text(&world.path("results"))]));
        assert_eq!(code, 0, "{message}");
    }
    let report = fs::read_to_string(world.path("results/report.html")).unwrap();
    let told = format!("latent prompt 1 by {hidden} character(s)");
    assert!(report.contains("1 task(s) have latent prompts that are longer") && report.contains(&told));
}

#[test]
fn a_task_without_latent_prompts_is_told_which_command_gives_them() {
    let folder = tempfile::tempdir().unwrap();
    let tasks = folder.path().join("tasks.jsonl");
    fs::write(&tasks, r#"{"id": "a", "prompt": "x"}"#).unwrap();
    let out = folder.path().join("out");
    let (code, _, message) =
        ended(squbed(&["estimate", text(&tasks), "--cache", text(&out), "--out", text(&out)]));
    assert!(code == 1 && message.contains("`squbed refine`"), "{message}");
}

#[test]
fn the_demonstration_names_its_report_in_a_pipe_too() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("demo");
    let small =
        ["demo", "--tasks", "4", "--latents", "2", "--videos", "2", "--format", "json", "--out", text(&out)];
    let (code, data, message) = ended(squbed(&small));
    let report = out.join("report.html");
    assert!(code != 1 && code != 2, "{message}");
    assert!(
        report.exists() && message.lines().any(|line| line == format!("report: {}", report.display())),
        "{message}"
    );
    assert!(serde_json::from_str::<Value>(&data).unwrap().is_array(), "data alone on stdout: {data}");
}

/// A scoring that is killed goes on from the tasks that it has finished, to the same files.
#[test]
fn a_scoring_survives_kills_at_any_moment() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let world = path("world");
    let drawn = ["sim", "world", "--tasks", "8", "--latents", "2", "--videos", "2", "--out", text(&world)];
    assert_eq!(ended(squbed(&drawn)).0, 0);
    let (tasks, cache) = (world.join("tasks.jsonl"), path("cache"));
    let score = |out: &Path| {
        let words = [
            "score",
            text(&tasks),
            "--metric",
            "ssim,psnr",
            "--threads",
            "1",
            "--cache",
            text(&cache),
            "--out",
        ];
        [&words[..], &[text(out)]].concat().into_iter().map(str::to_owned).collect::<Vec<String>>()
    };
    let run = |out: &Path| {
        let words = score(out);
        ended(squbed(&words.iter().map(String::as_str).collect::<Vec<_>>()))
    };
    let whole = path("whole");
    assert_eq!(run(&whole).0, 0);

    let out = path("killed");
    let journal = out.join("accuracy_videos.open.jsonl");
    let rows = || -> Vec<String> {
        let text = fs::read_to_string(&journal).unwrap_or_default();
        // What follows the last line end was being written.
        let end = text.rfind('\n').map_or(0, |at| at + 1);
        text[..end].lines().map(str::to_owned).collect()
    };
    let (mut before, mut killed) = (Vec::new(), 0);
    for round in 0..4_u64 {
        let mut child = Command::new(env!("CARGO_BIN_EXE_squbed"))
            .args(score(&out))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // In the midst of its work: a further task is written, and some milliseconds are gone.
        while rows().len() <= before.len() && child.try_wait().unwrap().is_none() {
            std::thread::sleep(Duration::from_millis(1));
        }
        std::thread::sleep(Duration::from_millis(3 * round));
        child.kill().unwrap();
        if child.wait().unwrap().code().is_some() {
            // It came to its end first.
            break;
        }
        killed += 1;
        assert!(!out.join("accuracy.jsonl").exists(), "results of a scoring that did not end");
        let now = rows();
        // Finished tasks stay as they are, each with its 4 videos by 2 metrics.
        assert!(now.len() > before.len() && now.starts_with(&before), "{now:?} after {before:?}");
        assert_eq!(now.len() % 8, 0);
        before = now;
    }
    assert!(killed > 0, "every round came to its end before it was killed");
    let (code, _, message) = run(&out);
    assert_eq!(code, 0, "{message}");
    assert!(!journal.exists());
    let written = fs::read_to_string(out.join("accuracy_videos.jsonl")).unwrap();
    assert!(before.iter().all(|row| written.lines().any(|line| line == row)), "{before:?} in {written}");
    for name in ["accuracy.jsonl", "accuracy_videos.jsonl", "accuracy.parquet", "metrics.json"] {
        let read = |folder: &Path| fs::read(folder.join(name)).unwrap();
        assert!(read(&out) == read(&whole), "{name} differs from that of a scoring that was not killed");
    }
}

#[test]
fn a_generation_without_a_video_ends_as_one_and_names_another_door() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let prompts = json!([{"prompt": "a red cat", "videos": []}, {"prompt": "a blue cat", "videos": []}]);
    let task = json!({"id": "a", "prompt": "a cat", "latents": prompts});
    fs::write(path("tasks.jsonl"), format!("{task}\n")).unwrap();
    let generate =
        ["generate", text(&path("tasks.jsonl")), "-m", "2", "--out", text(&path("out/tasks.jsonl"))]
            .map(str::to_owned);
    let generate: Vec<&str> = generate.iter().map(String::as_str).collect();
    let (code, _, message) = ended(squbed(&generate));
    assert!(
        code == 1 && message.contains("no video was made") && message.contains("--generator command"),
        "{message}"
    );
    assert!(!path("out/tasks.jsonl").exists());
    // A number is taken for no folder's name.
    let (code, _, message) = ended(squbed(&[&generate[..], &["--videos", "3"]].concat()));
    assert!(code == 1 && message.contains("-m 3"), "{message}");
    // Nor a number of latent prompts for a file of the grammar's.
    let (tasks, out) = (path("tasks.jsonl"), path("refined.jsonl"));
    let refine = ["refine", text(&tasks), "--refiner", "closed-world", "--latents", "3", "--out", text(&out)];
    let (code, _, message) = ended(squbed(&refine));
    assert!(code == 1 && message.contains("--latents"), "{message}");
}

#[test]
fn the_example_of_an_experiment_is_printed_whole() {
    let (code, data, message) = ended(squbed(&["run", "--example"]));
    assert_eq!((code, message.as_str()), (0, ""));
    assert!(data.contains("[refine]") && data.contains("presets = [\"default\", \"paper\"]"), "{data}");
}

#[test]
fn how_many_tasks_are_confidently_wrong_is_chosen() {
    let folder = tempfile::tempdir().unwrap();
    let world = |share: &str| {
        let out = folder.path().join(share);
        let sizes = ["--tasks", "4", "--latents", "2", "--videos", "2", "--confidently-wrong", share];
        let ended = ended(squbed(&[&["sim", "world", "--out", text(&out)], &sizes[..]].concat()));
        let truth = fs::read_to_string(out.join("truth.jsonl")).unwrap_or_default();
        (ended, truth.matches("\"confidently_wrong\":true").count())
    };
    for (share, wrong) in [("0", 0), ("0.5", 2)] {
        let ((code, _, message), count) = world(share);
        assert_eq!((code, count), (0, wrong), "{message}");
    }
    let ((code, _, message), _) = world("1.5");
    assert!(code == 1 && message.contains("--confidently-wrong = 1.5"), "{message}");
}
