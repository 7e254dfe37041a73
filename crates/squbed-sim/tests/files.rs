//! Worlds on disk.
#![cfg(feature = "ffmpeg")]

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::Mutex,
};

use squbed_core::{GenerateRequest, Task, VideoGenerator};
use squbed_sim::{FRAMES, Knowledge, SIDE, Truth, World, WorldSpec, sample_seed, video_path, write_world};

fn small(seed: u64) -> WorldSpec {
    WorldSpec { tasks: 3, latents: 2, videos: 2, seed, confidently_wrong: 0.3, ..Default::default() }
}

fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut all = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                all.insert(path.strip_prefix(folder).unwrap().to_owned(), fs::read(&path).unwrap());
            }
        }
    }
    all
}

fn rows<T: serde::de::DeserializeOwned>(path: &Path) -> Vec<T> {
    fs::read_to_string(path).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_world_is_written_whole_and_the_same_every_time() {
    let (a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let seen = Mutex::new(Vec::new());
    let written = write_world(&small(1), a.path(), &|p| seen.lock().unwrap().push(p)).unwrap();
    write_world(&small(1), b.path(), &|_| {}).unwrap();
    assert_eq!((written.written, written.kept), (15, 0));
    let seen = seen.into_inner().unwrap();
    assert!(seen.len() == 15 && seen.iter().any(|p| p.done == 15) && seen.iter().all(|p| p.total == 15));

    let all = files(a.path());
    assert_eq!(all, files(b.path()));
    assert_eq!(all.len(), 15 + 3, "{:?}", all.keys());

    let tasks: Vec<Task> = rows(&written.tasks);
    let truths: Vec<Truth> = rows(&written.truth);
    assert_eq!(truths.iter().filter(|truth| truth.confidently_wrong).count(), 1);
    for (task, truth) in tasks.iter().zip(&truths) {
        assert_eq!(task.id, truth.id);
        task.check().unwrap();
        task.check_complete().unwrap();
        let videos = task.latents.iter().flat_map(|z| &z.videos).chain(&task.ground_truth);
        for video in videos {
            let info = squbed_video::probe(&a.path().join(video)).unwrap();
            assert_eq!((info.width as usize, info.height as usize), (SIDE, SIDE));
            assert_eq!(info.frames as usize, FRAMES);
        }
    }
}

#[test]
fn a_world_is_gone_on_with_and_another_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    write_world(&small(1), folder.path(), &|_| {}).unwrap();
    let before = files(folder.path());
    fs::remove_file(folder.path().join(video_path("task-0001", 1, 0))).unwrap();
    fs::remove_file(folder.path().join("tasks.jsonl")).unwrap();
    let again = write_world(&small(1), folder.path(), &|_| {}).unwrap();
    assert_eq!((again.written, again.kept), (1, 14));
    assert_eq!(files(folder.path()), before);

    let other = write_world(&small(2), folder.path(), &|_| {}).unwrap_err().to_string();
    assert!(other.contains("world.json") && other.contains("spec.seed"), "{other}");
    fs::write(folder.path().join("world.json"), "{").unwrap();
    let broken = write_world(&small(1), folder.path(), &|_| {}).unwrap_err().to_string();
    assert!(broken.contains("not a world's record"), "{broken}");
    fs::remove_file(folder.path().join("world.json")).unwrap();
    let foreign = write_world(&small(1), folder.path(), &|_| {}).unwrap_err().to_string();
    assert!(foreign.contains("tasks.jsonl exists"), "{foreign}");
}

#[test]
fn the_generator_writes_the_same_files_from_text_and_seed_alone() {
    let folder = tempfile::tempdir().unwrap();
    let spec = WorldSpec { kind: Knowledge::Value, ..small(4) };
    let written = write_world(&spec, folder.path(), &|_| {}).unwrap();
    let task: Task = rows(&written.tasks).remove(0);
    let generator = World::new(spec.clone()).unwrap().generator();
    let out = folder.path().join("again.mp4");
    let seed = sample_seed(spec.seed, &task.id, 1, 1);
    let request = GenerateRequest { prompt: &task.latents[1].prompt, seed, out: &out };
    generator.generate(&request).unwrap();
    let original = folder.path().join(&task.latents[1].videos[1]);
    assert_eq!(fs::read(&out).unwrap(), fs::read(original).unwrap());
    assert_eq!(generator.describe(), "closed-world value/1");

    let nowhere = folder.path().join("nothing.mp4");
    let request = GenerateRequest { prompt: "A cat.", seed: 1, out: &nowhere };
    assert!(generator.generate(&request).unwrap_err().to_string().contains("`cat`"));
    assert!(!nowhere.exists());
}
