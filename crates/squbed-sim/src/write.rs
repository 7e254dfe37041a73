//! A world on disk.
//!
//! ```text
//! out/world.json                              every parameter and version
//! out/tasks.jsonl                             tasks with latent prompts and videos, one a line
//! out/truth.jsonl                             their truths, one a line
//! out/videos/<task>/ground_truth.mp4
//! out/videos/<task>/latent_<i>/video_<j>.mp4
//! ```

use std::{
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
    sync::atomic::{AtomicUsize, Ordering},
};

use rayon::prelude::*;
use serde::Serialize;
use serde_json::Value;
use squbed_core::{BoxError, Frame, GenerateRequest, LatentPrompt, Task, VideoGenerator};
use squbed_video::EncodeOptions;

use crate::{
    error::Error,
    grammar,
    model::{WorldModel, true_scene},
    refiner::GrammarRefiner,
    render::{self, FPS},
    rng::{ground_truth_seed, refine_seed, sample_seed},
    world::{Truth, World, WorldSpec, video_path},
};

/// How far [`write_world`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Videos that are there.
    pub done: usize,
    /// Videos wanted.
    pub total: usize,
    /// Of those done, how many were there before.
    pub kept: usize,
}

/// What [`write_world`] left on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorldFiles {
    /// The tasks.
    pub tasks: PathBuf,
    /// The truths.
    pub truth: PathBuf,
    /// Videos written now.
    pub written: usize,
    /// Videos that were there before.
    pub kept: usize,
}

impl VideoGenerator for WorldModel {
    fn describe(&self) -> String {
        self.name()
    }

    fn generate(&self, request: &GenerateRequest<'_>) -> Result<(), BoxError> {
        Ok(write_video(request.out, self.frames(request.prompt, request.seed)?)?)
    }
}

impl World {
    /// A task with its latent prompts, each naming the videos it is to have.
    pub fn refined(&self, task: &Task) -> Result<Task, Error> {
        let description = grammar::parse(&task.prompt)?;
        let seed = refine_seed(self.spec().seed, &task.id);
        let latents = (0..self.spec().latents)
            .map(|latent| LatentPrompt {
                prompt: GrammarRefiner.draw(&description, seed, latent),
                videos: (0..self.spec().videos).map(|sample| video_path(&task.id, latent, sample)).collect(),
            })
            .collect();
        Ok(Task { latents, ..task.clone() })
    }

    /// Writes a task's true video: what the prompt leaves open drawn independently and uniformly, the
    /// rest exactly as it says.
    pub fn render_ground_truth(&self, task: &Task, out: &Path) -> Result<(), Error> {
        let seed = ground_truth_seed(self.spec().seed, &task.id);
        let scene = true_scene(&self.generator().read(&task.prompt)?, seed);
        write_video(out, render::frames(&scene, seed))
    }
}

/// A video to be made.
enum Job<'a> {
    GroundTruth(&'a Task, &'a Path),
    Sample { prompt: &'a str, seed: u64, path: &'a Path },
}

/// Makes a world with all its videos, several at a time.
///
/// A world that was begun is gone on with: videos that are there are whole, and kept. A folder with
/// another world, or with files and no world, is refused. The same specification gives the same bytes
/// (where FFmpeg's encoder is the same). `progress` is called after each video, from any thread.
pub fn write_world(
    spec: &WorldSpec,
    out: &Path,
    progress: &(dyn Fn(Progress) + Sync),
) -> Result<WorldFiles, Error> {
    let world = World::new(spec.clone())?;
    claim(&world, out)?;
    let tasks = world.tasks().iter().map(|(task, _)| world.refined(task)).collect::<Result<Vec<_>, _>>()?;
    let truths: Vec<&Truth> = world.tasks().iter().map(|(_, truth)| truth).collect();

    let jobs: Vec<Job<'_>> = tasks.iter().flat_map(|task| jobs(task, spec.seed)).collect();
    let (done, kept) = (AtomicUsize::new(0), AtomicUsize::new(0));
    jobs.par_iter().try_for_each(|job| -> Result<(), Error> {
        if !make(job, &world, out)? {
            kept.fetch_add(1, Ordering::Relaxed);
        }
        let done = done.fetch_add(1, Ordering::Relaxed) + 1;
        progress(Progress { done, total: jobs.len(), kept: kept.load(Ordering::Relaxed) });
        Ok(())
    })?;

    // Last, so that a list of tasks never names a video that is not there.
    let files = WorldFiles {
        tasks: out.join("tasks.jsonl"),
        truth: out.join("truth.jsonl"),
        written: jobs.len() - kept.load(Ordering::Relaxed),
        kept: kept.into_inner(),
    };
    write_whole(&files.truth, &json_lines(&truths))?;
    write_whole(&files.tasks, &json_lines(&tasks))?;
    Ok(files)
}

/// The videos of a refined task.
fn jobs(task: &Task, seed: u64) -> impl Iterator<Item = Job<'_>> {
    let truth = task.ground_truth.iter().map(move |path| Job::GroundTruth(task, path));
    let samples = task.latents.iter().enumerate().flat_map(move |(latent, z)| {
        z.videos.iter().enumerate().map(move |(sample, path)| Job::Sample {
            prompt: &z.prompt,
            seed: sample_seed(seed, &task.id, latent, sample),
            path,
        })
    });
    truth.chain(samples)
}

/// Makes a video unless it is there; says whether it was made.
fn make(job: &Job<'_>, world: &World, out: &Path) -> Result<bool, Error> {
    let path = match job {
        Job::GroundTruth(_, path) => out.join(path),
        Job::Sample { path, .. } => out.join(path),
    };
    if path.is_file() {
        return Ok(false);
    }
    if let Some(folder) = path.parent() {
        create_folder(folder)?;
    }
    match job {
        Job::GroundTruth(task, _) => world.render_ground_truth(task, &path)?,
        Job::Sample { prompt, seed, .. } => write_video(&path, world.generator().frames(prompt, *seed)?)?,
    }
    Ok(true)
}

/// Writes a clip, whole or not at all.
fn write_video(path: &Path, frames: impl Iterator<Item = Frame>) -> Result<(), Error> {
    let options = EncodeOptions { fps: (FPS, 1), ..EncodeOptions::default() };
    squbed_video::encode(path, frames, &options)
        .map_err(|source| Error::Video { path: path.to_owned(), source })
}

/// Makes `out` this world's folder, or finds that it is.
fn claim(world: &World, out: &Path) -> Result<(), Error> {
    let path = out.join("world.json");
    match fs::read(&path) {
        Ok(bytes) => {
            let found: Value = serde_json::from_slice(&bytes)
                .map_err(|source| Error::Record { path: path.clone(), source })?;
            match difference(&found, &world.record(), "") {
                Some(parameter) => Err(Error::OtherWorld { path, parameter }),
                None => Ok(()),
            }
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let strangers = ["tasks.jsonl", "truth.jsonl", "videos"].map(|name| out.join(name));
            if let Some(path) = strangers.into_iter().find(|path| path.exists()) {
                return Err(Error::NoWorld { path });
            }
            create_folder(out)?;
            write_whole(&path, format!("{:#}\n", world.record()).as_bytes())
        }
        Err(source) => Err(Error::Io { action: "read", path, source }),
    }
}

/// Name of the first value in which two records differ, e.g. `spec.seed`.
fn difference(found: &Value, wanted: &Value, name: &str) -> Option<String> {
    match (found, wanted) {
        (Value::Object(found), Value::Object(wanted)) => {
            let extra = found.keys().filter(|key| !wanted.contains_key(*key));
            wanted.keys().chain(extra).find_map(|key| {
                let name = if name.is_empty() { key.clone() } else { format!("{name}.{key}") };
                let side = |of: &serde_json::Map<String, Value>| of.get(key).cloned().unwrap_or_default();
                difference(&side(found), &side(wanted), &name)
            })
        }
        _ => (found != wanted).then(|| name.to_owned()),
    }
}

fn json_lines<T: Serialize>(rows: &[T]) -> Vec<u8> {
    let mut text = Vec::new();
    for row in rows {
        serde_json::to_writer(&mut text, row).expect("plain data is JSON and memory does not fail");
        text.push(b'\n');
    }
    text
}

fn create_folder(path: &Path) -> Result<(), Error> {
    fs::create_dir_all(path).map_err(|source| Error::Io {
        action: "create the folder",
        path: path.to_owned(),
        source,
    })
}

fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    squbed_files::write(path, bytes).map_err(|source| Error::Io {
        action: "write",
        path: path.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use squbed_core::{PromptRefiner, RefineRequest};

    use super::*;

    #[test]
    fn refinement_by_the_trait_gives_the_same_prompts() {
        let world = World::new(WorldSpec::default()).unwrap();
        for (task, _) in world.tasks() {
            let seed = refine_seed(world.spec().seed, &task.id);
            let request = RefineRequest { prompt: &task.prompt, n: world.spec().latents, seed };
            let latents = world.refiner().refine(&request).unwrap();
            let refined = world.refined(task).unwrap();
            assert!(refined.check_complete().is_ok());
            assert_eq!(refined.latents.iter().map(|z| z.prompt.clone()).collect::<Vec<_>>(), latents);
        }
    }

    #[test]
    fn the_first_difference_is_named() {
        let world = |seed| World::new(WorldSpec { seed, ..Default::default() }).unwrap().record();
        assert_eq!(difference(&world(1), &world(1), ""), None);
        assert_eq!(difference(&world(1), &world(2), "").as_deref(), Some("spec.seed"));
        assert_eq!(difference(&serde_json::json!({}), &world(2), "").as_deref(), Some("attributes"));
    }
}
