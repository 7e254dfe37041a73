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

use serde_json::Value;
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
