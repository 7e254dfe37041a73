//! `squbed generate` with a program as its video model.
#![cfg(unix)]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use serde_json::{Value, json};
use squbed::store::digest_file;

use crate::{ended, squbed, text};

const CLIP: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/video/made/h264-bframes.mp4");
const M: usize = 12;

struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    /// One task of two latent prompts, and a model that takes its time to copy a clip.
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let place = Self { folder };
        let task = r#"{"id": "t", "prompt": "a cat", "latents": [{"prompt": "a grey cat"}, {"prompt": "a black cat"}]}"#;
        fs::write(place.path("tasks.jsonl"), task).unwrap();
        fs::write(place.path("model.sh"), "sleep 0.03; cp \"$4\" \"$3\"\n").unwrap();
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn arguments(&self) -> Vec<String> {
        let template =
            format!("sh '{}' {{prompt}} {{seed}} {{out}} '{CLIP}'", self.path("model.sh").display());
        let m = M.to_string();
        let (tasks, out) = (self.path("tasks.jsonl"), self.path("out/tasks.jsonl"));
        let words =
            ["generate", text(&tasks), "--generator", "command", "--command", &template, "--parallel", "3"];
        [&words[..], &["-m", &m, "--out", text(&out)]].concat().into_iter().map(str::to_owned).collect()
    }

    fn run(&self) -> (i32, String, String) {
        let arguments = self.arguments();
        ended(squbed(&arguments.iter().map(String::as_str).collect::<Vec<_>>()))
    }

    fn rows(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.path("out/videos/ledger.jsonl")).unwrap_or_default();
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    fn clips(&self) -> Vec<PathBuf> {
        (0..2)
            .flat_map(|z| (0..M).map(move |k| format!("out/videos/t/latent_{z}/gen_video_{k}.mp4")))
            .map(|name| self.path(&name))
            .collect()
    }

    /// Every clip that has its name is whole, and is in the ledger as it is.
    fn check(&self) -> usize {
        let rows = self.rows();
        let clips: Vec<PathBuf> = self.clips().into_iter().filter(|clip| clip.exists()).collect();
        for clip in &clips {
            let name = clip.strip_prefix(self.path("out/videos")).unwrap().to_str().unwrap();
            let row = rows.iter().rfind(|row| row["video"] == name && row["outcome"] == "made");
            let row = row.unwrap_or_else(|| panic!("{name} is in no row"));
            assert_eq!(row["digest"], digest_file(clip).unwrap(), "{name}");
        }
        clips.len()
    }
}

#[test]
fn the_ledger_survives_kills_at_any_moment() {
    let place = Place::new();
    let mut before = 0;
    for round in 0..8_u64 {
        let mut child = Command::new(env!("CARGO_BIN_EXE_squbed"))
            .args(place.arguments())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // In the midst of its work: after one to three further rows, and some milliseconds.
        let rows = place.rows().len() + 1 + (round % 3) as usize;
        while place.rows().len() < rows && child.try_wait().unwrap().is_none() {
            thread::sleep(Duration::from_millis(1));
        }
        thread::sleep(Duration::from_millis(5 * round));
        child.kill().unwrap();
        child.wait().unwrap();
        // What the killed process started ends by itself.
        thread::sleep(Duration::from_millis(150));
        let now = place.check();
        assert!(now >= before, "{now} after {before}");
        before = now;
    }
    assert!(before > 0 && before <= 2 * M, "{before}");
    let (code, _, message) = place.run();
    assert_eq!(code, 0, "{message}");
    assert_eq!(place.check(), 2 * M);
    for latent in 0..2 {
        let prefix = format!("t/latent_{latent}/");
        let of = |row: &&Value| row["video"].as_str().unwrap().starts_with(&prefix);
        let seeds: BTreeSet<(u64, String)> = place
            .rows()
            .iter()
            .filter(of)
            .map(|row| (row["seed"].as_u64().unwrap(), row["video"].as_str().unwrap().to_owned()))
            .collect();
        let distinct: BTreeSet<u64> = seeds.iter().map(|(seed, _)| *seed).collect();
        // A clip that was begun twice has its seed twice; no two clips share one.
        assert_eq!((seeds.len(), distinct.len()), (M, M), "{seeds:?}");
        let names = fs::read_dir(place.path(&format!("out/videos/{prefix}"))).unwrap();
        let left: Vec<_> = names
            .map(|e| e.unwrap().file_name())
            .filter(|name| name.to_string_lossy().starts_with('.'))
            .collect();
        assert!(left.is_empty(), "{left:?}");
    }
}

#[test]
fn existing_clips_in_the_papers_layout_are_taken() {
    let place = Place::new();
    for latent in 0..2 {
        let videos = place.path(&format!("clips/t/latent_{latent}/videos"));
        fs::create_dir_all(&videos).unwrap();
        for k in [0, 2, 10] {
            fs::copy(CLIP, videos.join(format!("gen_video_{k}.mp4"))).unwrap();
        }
    }
    fs::write(place.path("clips/t/latent_1/videos/gen_video_2.mp4"), "no video").unwrap();
    let (tasks, out, clips) =
        (place.path("tasks.jsonl"), place.path("taken/tasks.jsonl"), place.path("clips"));
    let words = ["generate", text(&tasks), "--generator", "folder", "--from", text(&clips), "-m", "3"];
    let (code, _, message) = ended(squbed(&[&words[..], &["--out", text(&out)]].concat()));
    assert_eq!(code, 3, "{message}");
    let task: Value = serde_json::from_slice(&fs::read(&out).unwrap()).unwrap();
    let names = |latent: usize| -> Vec<String> {
        let videos = task["latents"][latent]["videos"].as_array().unwrap();
        let name =
            |v: &Value| Path::new(v.as_str().unwrap()).file_name().unwrap().to_str().unwrap().to_owned();
        videos.iter().map(name).collect()
    };
    assert_eq!(names(0), ["gen_video_0.mp4", "gen_video_2.mp4", "gen_video_10.mp4"]);
    assert_eq!(names(1), ["gen_video_0.mp4", "gen_video_10.mp4"]);
    let failures = fs::read_to_string(place.path("taken/failures.jsonl")).unwrap();
    assert!(
        failures.contains("gen_video_2.mp4") && failures.contains("2 of 3 readable videos"),
        "{failures}"
    );
}

#[test]
fn rounds_of_videos_stop_at_a_narrow_interval_and_the_estimate_takes_their_embeddings() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let prompts = ["In a meadow, we see", "In a video, there is"].map(|begin| {
        format!("{begin} a tiny red polka-dotted star next to a sailboat, circling around the centre, in a short scene made by Tobin Hale.")
    });
    let latents: Vec<Value> = prompts.iter().map(|p| json!({"prompt": p})).collect();
    let task = json!({"id": "t", "prompt": "a red star", "latents": latents});
    fs::write(path("tasks.jsonl"), task.to_string()).unwrap();
    let (tasks, out, cache) = (path("tasks.jsonl"), path("out/tasks.jsonl"), path("out/cache"));
    let generate = |width: &str, most: &str| {
        let width = format!("--stop-when-interval-below={width}");
        let words = ["generate", text(&tasks), "-m", most, &width];
        ended(squbed(&[&words[..], &["--out", text(&out)]].concat()))
    };
    let (code, _, message) = generate("-1", "5");
    assert!(code == 1 && message.contains("stop_when_interval_below is -1"), "{message}");
    let (code, _, message) = generate("100000", "8");
    assert_eq!(code, 0, "{message}");
    let rows = || -> Vec<Value> {
        let text = fs::read_to_string(path("out/videos/budget.jsonl")).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    assert_eq!((&rows()[0]["id"], &rows()[0]["narrow"]), (&json!("t"), &json!(true)));
    let videos = || -> usize {
        let task: Value = serde_json::from_str(&fs::read_to_string(&out).unwrap()).unwrap();
        task["latents"].as_array().unwrap().iter().map(|z| z["videos"].as_array().unwrap().len()).sum()
    };
    assert_eq!(videos(), 8);
    // Too narrow for as many as are allowed: the next round adds to the first.
    assert_eq!(generate("0.000001", "5").0, 0);
    assert_eq!((videos(), &rows()[0]["narrow"]), (10, &json!(false)));
    let widths: Vec<f64> =
        rows()[0]["rounds"].as_array().unwrap().iter().map(|r| r["width"].as_f64().unwrap()).collect();
    assert!(widths.len() == 2 && widths.iter().all(|width| *width > 1.0), "{widths:?}");
    let names = |folder: &Path| -> Vec<PathBuf> {
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
    };
    let parts = |folders: &[PathBuf]| folders.iter().map(|folder| names(folder).len()).collect::<Vec<_>>();
    let (folders, results) = (names(&cache), path("results"));
    let before = parts(&folders);
    let words = ["estimate", text(&out), "--cache", text(&cache), "--out", text(&results)];
    let (code, _, message) = ended(squbed(&words));
    assert_eq!(code, 0, "{message}");
    // The videos' encoder had nothing to do; the prompts' is new there.
    assert_eq!((parts(&folders), names(&cache).len()), (before, folders.len() + 1));
}
