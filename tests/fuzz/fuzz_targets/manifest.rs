//! Manifests of models, and lists of tasks.
#![no_main]

use std::{fs, str::from_utf8};

use libfuzzer_sys::fuzz_target;
use squbed_fuzz::{file, message, path, within};
use squbed_models::Manifest;
use squbed_store::{read_tasks, write_tasks};

fn admitted(data: &[u8]) -> usize {
    (4 << 20) + 512 * data.len()
}

fuzz_target!(|data: &[u8]| {
    if let Ok(text) = from_utf8(data) {
        match within(admitted(data), || Manifest::parse(text)) {
            Ok(manifest) => {
                let written = toml::to_string(&manifest).expect("what was read can be written");
                assert_eq!(Manifest::parse(&written).expect("what was written reads"), manifest);
                // Every path stays below its folder.
                for file in &manifest.files {
                    assert!(!file.path.starts_with('/') && !file.path.split('/').any(|part| part == ".."));
                }
                manifest.sources.iter().for_each(|source| assert!(!source.describe().is_empty()));
            }
            Err(error) => drop(message(&error)),
        }
    }
    // Parquet has its own files and its own parser, which is not ours.
    if data.starts_with(b"PAR1") {
        return;
    }
    let list = file("tasks.jsonl", data);
    match within(admitted(data), || read_tasks(&list)) {
        Ok(tasks) => {
            let (once, twice) = (path("once.jsonl"), path("twice.jsonl"));
            write_tasks(&once, &tasks).expect("what was read can be written");
            let again = read_tasks(&once).expect("what was written reads");
            let words = |tasks: &[squbed_core::Task]| -> Vec<_> {
                let latents = |task: &squbed_core::Task| -> Vec<_> {
                    task.latents.iter().map(|z| (z.prompt.clone(), z.videos.len())).collect()
                };
                let one = |t: &squbed_core::Task| {
                    (t.id.clone(), t.prompt.clone(), t.dataset.clone(), t.category.clone(), latents(t))
                };
                tasks.iter().map(one).collect()
            };
            assert_eq!(words(&again), words(&tasks));
            // The spelling of a path settles the first time it is written.
            write_tasks(&twice, &again).expect("what was read can be written");
            assert!(fs::read(&once).expect("a file") == fs::read(&twice).expect("a file"));
        }
        Err(error) => drop(message(&error)),
    }
});
