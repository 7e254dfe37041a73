//! `squbed run` with refiners and video models of the user's.
#![cfg(unix)]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use serde_json::Value;

use crate::{ended, squbed, squbed_with, text};

#[path = "../../../squbed-generate/tests/common.rs"]
mod server;
use server::{Reply, Server};

const CLIPS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/video/made");
/// Copies one of four clips, as the seed says; fails at green frogs.
const MODEL: &str = r#"case "$1" in *"green frog"*) echo "no frogs" >&2; exit 7;; esac
sleep 0.1
case $(($2 % 4)) in 0) clip=h264-bframes;; 1) clip=variable-rate;; 2) clip=odd;; *) clip=with-sound;; esac
cp "$4/$clip.mp4" "$3"
"#;

struct Place(tempfile::TempDir);

impl Place {
    /// Prompts as tasks without latent prompts, and a video model.
    fn new(prompts: &[&str]) -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        let task = |prompt: &&str| format!("{{\"id\": \"{prompt}\", \"prompt\": \"{prompt}\"}}\n");
        fs::write(place.path("tasks.jsonl"), prompts.iter().map(task).collect::<String>()).unwrap();
        fs::write(place.path("model.sh"), MODEL).unwrap();
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Writes the experiment and returns its path.
    fn experiment(&self, refine: &str, generate: &str) -> PathBuf {
        let model = self.path("model.sh");
        let command = format!("sh '{}' {{prompt}} {{seed}} {{out}} '{CLIPS}'", model.display());
        let text = format!(
            "out = 'out'\ntasks = {{ file = 'tasks.jsonl' }}\npresets = ['default']\nresamples = 20\n\
             [refine]\nlatents = 2\n{refine}\n\
             [generate]\ngenerator = 'command'\ncommand = \"{command}\"\nvideos = 2\n{generate}\n"
        );
        fs::write(self.path("e.toml"), text).unwrap();
        self.path("e.toml")
    }

    fn rows(&self, name: &str) -> Vec<Value> {
        let text = fs::read_to_string(self.path(name)).unwrap_or_default();
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }
}

/// Every file below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

#[test]
fn a_killed_run_with_a_file_and_a_program_goes_on_and_leaves_a_failing_task_out() {
    let place = Place::new(&["a cat", "a frog", "a dog"]);
    let latents = ["cat", "frog", "dog"].map(|animal| {
        format!(
            "{{\"prompt\": \"a {animal}\", \"latents\": [\"a green {animal} in a pond\", \"a brown {animal} on a lawn\"]}}\n"
        )
    });
    fs::write(place.path("latents.jsonl"), latents.concat()).unwrap();
    let refine = "refiner = 'file'\nfile = 'latents.jsonl'";
    let experiment = place.experiment(refine, "retries = 0");
    let mut child = Command::new(env!("CARGO_BIN_EXE_squbed"))
        .args(["run", text(&experiment)])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let made = || {
        let rows = place.rows("out/videos/ledger.jsonl");
        rows.into_iter().filter(|row| row["outcome"] == "made").collect::<Vec<_>>()
    };
    while made().len() < 3 && child.try_wait().unwrap().is_none() {
        thread::sleep(Duration::from_millis(1));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    // What the killed process started ends by itself.
    thread::sleep(Duration::from_millis(300));
    assert!((3..10).contains(&made().len()), "{}", made().len());

    // What changes no result may change.
    let experiment =
        place.experiment(refine, "retries = 0\nparallel = 3\ntimeout = 60\nprice_per_hour = 2.5");
    let (code, _, message) = ended(squbed(&["run", text(&experiment)]));
    assert_eq!(code, 3, "{message}");
    let made = made();
    let videos: BTreeSet<&str> = made.iter().map(|row| row["video"].as_str().unwrap()).collect();
    // A clip is written down before it gets its name: killed between the two, it is made again.
    assert!(videos.len() == 10 && made.len() <= 11, "2 of 12 clips fail, and none is made twice: {made:?}");
    assert!(made.iter().any(|row| row["cost"].is_number()), "{made:?}");
    let tasks: Vec<Value> = place.rows("out/default/uncertainty.jsonl");
    let ids: Vec<&str> = tasks.iter().map(|row| row["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["a cat", "a dog"]);
    let failures = fs::read_to_string(place.path("out/failures.jsonl")).unwrap();
    assert!(failures.contains("exit status: 7"), "{failures}");
    assert!(failures.contains("a frog`, latent prompt 0 has 0 video(s)"), "{failures}");
    let refined = place.rows("out/refinement.jsonl");
    assert_eq!(refined.len(), 3);
    assert_eq!(refined[2]["prompts"][1], "a brown dog on a lawn");
    let record: Value = serde_json::from_slice(&fs::read(place.path("out/run.json")).unwrap()).unwrap();
    assert!(record["refiner"].as_str().unwrap().contains("latents.jsonl, BLAKE3 "), "{record}");
    assert!(record["generator"].as_str().unwrap().starts_with("command `sh "), "{record}");
    let report = fs::read_to_string(place.path("out/report.html")).unwrap();
    assert!(
        report.contains("Prompts were refined by file ")
            && report.contains("Videos were generated by command")
    );

    // What changes results is refused, a file's content included.
    place.experiment(refine, "retries = 0\nfps = 8.0");
    let (code, _, message) = ended(squbed(&["run", text(&experiment)]));
    assert!(code == 1 && message.contains("generate.fps was none and is 8 now"), "{message}");
    place.experiment(refine, "");
    fs::write(place.path("latents.jsonl"), latents.concat().replace("lawn", "roof")).unwrap();
    let (code, _, message) = ended(squbed(&["run", text(&experiment)]));
    assert!(code == 1 && message.contains("its refinement, a file of it included"), "{message}");
}

#[test]
fn a_server_that_fails_midway_is_not_paid_twice_and_its_key_is_written_nowhere() {
    const KEY: &str = "sk-very-s3cret";
    let place = Place::new(&["a cat napping", "a dog running"]);
    let well = Arc::new(AtomicBool::new(false));
    let (healthy, count) = (Arc::clone(&well), AtomicUsize::new(0));
    let server = Server::new(move |request, _| {
        let messages = request.body["messages"].as_array().unwrap();
        let asked = messages.last().unwrap()["content"].as_str().unwrap();
        let place =
            ["on a red sofa", "under a tall tree in the garden"][count.fetch_add(1, Ordering::Relaxed) % 2];
        match asked {
            "a cat napping" => Reply::chat(&format!("A grey cat is napping {place}.")),
            "a dog running" if healthy.load(Ordering::Relaxed) => {
                Reply::chat(&format!("A brown dog is running {place}."))
            }
            "a dog running" => Reply::status("401 Unauthorized", &format!("wrong key {KEY}")),
            _ => Reply::chat("perhaps"),
        }
    });
    let refine = format!(
        "refiner = 'server'\nserver = '{}/v1'\nllm = 'm'\nkey_env = 'TEST_KEY'\nconcurrency = 1",
        server.address
    );
    let experiment = place.experiment(&refine, "parallel = 4");
    let run = || ended(squbed_with(&[("TEST_KEY", KEY)], &["run", text(&experiment)]));
    let (code, out, message) = run();
    assert!(code == 1 && message.contains("refining task `a dog running` failed"), "{message}");
    assert!(!out.contains(KEY) && !message.contains(KEY), "{message}");
    let of_cat = || {
        let asked = |request: &server::Request| {
            request.body["messages"].as_array().unwrap().last().unwrap()["content"] == "a cat napping"
        };
        server.requests().iter().filter(|request| asked(request)).count()
    };
    let before = of_cat();
    assert!(before >= 2);
    assert_eq!(place.rows("out/refinement.jsonl").len(), 1);

    well.store(true, Ordering::Relaxed);
    let (code, _, message) = run();
    assert_eq!(code, 0, "{message}");
    assert_eq!(of_cat(), before, "the refined task was paid again");
    let expected = format!("Bearer {KEY}");
    assert!(server.requests().iter().all(|request| request.authorization.as_deref() == Some(&*expected)));
    let ids: Vec<Value> = place.rows("out/refinement.jsonl").iter().map(|row| row["id"].clone()).collect();
    assert_eq!(ids, ["a cat napping", "a dog running"]);
    let record: Value = serde_json::from_slice(&fs::read(place.path("out/refiner.json")).unwrap()).unwrap();
    assert!(record["judge"].as_str().unwrap().starts_with("similarity") && record["n"] == 2, "{record}");
    for file in files(&place.path("out")) {
        let bytes = fs::read(&file).unwrap();
        assert!(!bytes.windows(KEY.len()).any(|part| part == KEY.as_bytes()), "{}", file.display());
    }
    // All is there: nothing is asked, and the key may be gone.
    let all = server.requests().len();
    let (code, _, message) = ended(squbed(&["run", text(&experiment)]));
    assert!(code == 0 && server.requests().len() == all, "{message}");
}

#[test]
fn a_run_in_rounds_says_how_many_videos_it_made() {
    let place = Place::new(&["a cat", "a dog"]);
    let latents = ["cat", "dog"].map(|animal| {
        format!("{{\"prompt\": \"a {animal}\", \"latents\": [\"a green {animal}\", \"a brown {animal}\"]}}\n")
    });
    fs::write(place.path("latents.jsonl"), latents.concat()).unwrap();
    let experiment = place.experiment("refiner = 'file'\nfile = 'latents.jsonl'", "parallel = 4");
    let text_of = |most: &str| fs::read_to_string(&experiment).unwrap().replace("videos = 2", most);
    fs::write(&experiment, text_of("videos = 6")).unwrap();
    let (code, _, message) =
        ended(squbed(&["run", text(&experiment), "--stop-when-interval-below", "100000"]));
    assert_eq!(code, 0, "{message}");
    assert_eq!(place.rows("out/videos/budget.jsonl").len(), 2);
    let tasks = place.rows("out/tasks.jsonl");
    let counts = |task: &Value| -> Vec<usize> {
        let latents = task["latents"].as_array().unwrap().iter();
        latents.map(|z| z["videos"].as_array().unwrap().len()).collect()
    };
    // Of four clips some are drawn twice, and a latent prompt whose clips are all one has no interval.
    assert!(tasks.iter().any(|task| counts(task) == [4, 4]), "{tasks:?}");
    let early = tasks.iter().filter(|task| counts(task) == [4, 4]).count();
    let record: Value = serde_json::from_slice(&fs::read(place.path("out/run.json")).unwrap()).unwrap();
    let told = format!("{early} of 2 tasks had fewer than 6 videos a latent prompt");
    assert!(record["generator"].as_str().unwrap().ends_with(&told), "{record}");
    let step = |name: &str| record["steps"].as_array().unwrap().iter().find(|s| s["step"] == name).unwrap();
    let made: usize = tasks.iter().flat_map(counts).sum();
    assert_eq!(step("generate videos")["done"], made);
    assert!(step("embed videos")["done"].as_u64().unwrap() > 0, "{record}");
    assert!(fs::read_to_string(place.path("out/report.html")).unwrap().contains(&told));
    // Without the bound it is another experiment.
    let (code, _, message) = ended(squbed(&["run", text(&experiment)]));
    assert!(
        code == 1 && message.contains("generate.stop_when_interval_below was 100000 and is none now"),
        "{message}"
    );
}
