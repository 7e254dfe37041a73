//! The steps before the embeddings: refinement of prompts and generation of videos.

use std::path::{Path, PathBuf};

use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use squbed_core::{
    GenerateRequest, LatentPrompt, PromptRefiner, RefineRequest, Refinement, Task, VideoGenerator,
};
use squbed_generate::video::{Job, Ledger, ProduceError, ProduceOptions};
use squbed_store::Failure;

use crate::{
    error::{Error, Result},
    progress::Progress,
    remedy,
};

/// A task that was refined, and how.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RefinedTask {
    /// The task.
    pub id: String,
    /// The prompt ℓ.
    pub prompt: String,
    /// Latent prompts, and what was rejected on the way.
    #[serde(flatten)]
    pub refinement: Refinement,
}

/// Gives each task that has no latent prompts `n` of them, and each to `keep` as it is refined. Returns the tasks that
/// were refined, in their order.
///
/// # Errors
///
/// The refiner's or `keep`'s, or another number of prompts than asked for.
pub fn refine(
    tasks: &mut [Task],
    refiner: &dyn PromptRefiner,
    n: usize,
    seed: u64,
    keep: &mut dyn FnMut(&RefinedTask) -> Result<()>,
    progress: &dyn Progress,
) -> Result<Vec<RefinedTask>> {
    let mut refined = Vec::new();
    let mut open: Vec<&mut Task> = tasks.iter_mut().filter(|t| t.latents.is_empty()).collect();
    progress.begin("refine prompts", open.len() as u64, "tasks");
    for task in &mut open {
        let request =
            RefineRequest { prompt: &task.prompt, n, seed: squbed_sim::refine_seed(seed, &task.id) };
        let refinement = refiner
            .refine_with_account(&request)
            .map_err(|source| Error::Refine { task: task.id.clone(), source })?;
        let prompts = &refinement.prompts;
        if prompts.len() != n {
            return Err(Error::RefineCount { task: task.id.clone(), wanted: n, got: prompts.len() });
        }
        task.latents =
            prompts.iter().cloned().map(|prompt| LatentPrompt { prompt, videos: Vec::new() }).collect();
        task.check()?;
        let row = RefinedTask { id: task.id.clone(), prompt: task.prompt.clone(), refinement };
        keep(&row)?;
        refined.push(row);
        progress.advance(1);
    }
    progress.end();
    Ok(refined)
}

/// What [`generate`] did.
#[derive(Clone, Debug, Default)]
pub struct Generated {
    /// Videos that stood there already.
    pub reused: usize,
    /// Videos made now.
    pub made: usize,
    /// Videos that failed.
    pub failures: Vec<Failure>,
}

/// Gives each latent prompt that has no videos `m` of them, in
/// `folder/<task>/latent_<i>/gen_video_<k>.mp4`; a file that stands there is kept, since files appear
/// whole or not at all. A video that fails is recorded and left out; the others go on.
///
/// `made_by.txt` in the folder and `prompt.txt` beside the videos say whose they are.
///
/// # Errors
///
/// Videos of another model, seed or prompt in their place; a folder that cannot be written.
pub fn generate(
    tasks: &mut [Task],
    generator: &dyn VideoGenerator,
    m: usize,
    seed: u64,
    folder: &Path,
    progress: &dyn Progress,
) -> Result<Generated> {
    let places = lay_out(tasks, m, folder, &format!("{}, seed {seed}", generator.describe()))?;
    let missing: Vec<&Place> = places.iter().filter(|place| !place.out.exists()).collect();
    progress.begin("generate videos", missing.len() as u64, "clips");
    let failures: Vec<Failure> = missing
        .par_iter()
        .filter_map(|place| {
            let latent = &tasks[place.task].latents[place.latent];
            let seed = squbed_sim::sample_seed(seed, &tasks[place.task].id, place.latent, place.sample);
            let made = generator.generate(&GenerateRequest { prompt: &latent.prompt, seed, out: &place.out });
            progress.advance(1);
            made.err().map(|error| failed(&place.out, &*error))
        })
        .collect();
    progress.end();
    let generated =
        Generated { reused: places.len() - missing.len(), made: missing.len() - failures.len(), failures };
    attach(tasks, places);
    Ok(generated)
}

/// [`generate`] for video models that cost something: clips are looked into and written down in `folder/ledger.jsonl`
/// before they get their names, and tried again where they fail or are bad. Seeds lie below 2³¹.
///
/// # Errors
///
/// As [`generate`]; a ledger that cannot be read or written.
pub fn generate_with_ledger(
    tasks: &mut [Task],
    generator: &dyn VideoGenerator,
    m: usize,
    seed: u64,
    folder: &Path,
    options: &ProduceOptions,
    progress: &dyn Progress,
) -> Result<Generated> {
    let places = lay_out(tasks, m, folder, &format!("{}, seed {seed}", generator.describe()))?;
    let ledger = Ledger::open(folder).map_err(ProduceError::from)?;
    let jobs: Vec<Job<'_>> = places
        .iter()
        .map(|place| Job {
            prompt: &tasks[place.task].latents[place.latent].prompt,
            base: squbed_sim::sample_seed(seed, &tasks[place.task].id, place.latent, 0),
            sample: place.sample,
            out: place.out.clone(),
        })
        .collect();
    let missing = jobs.iter().filter(|job| !job.out.exists()).count();
    progress.begin("generate videos", missing as u64, "clips");
    let produced =
        squbed_generate::video::produce(&jobs, generator, options, &ledger, &|| progress.advance(1))?;
    progress.end();
    let failures = produced.failed.iter().map(|(out, error)| failed(out, error)).collect();
    attach(tasks, places);
    Ok(Generated { reused: produced.reused, made: produced.made, failures })
}

/// Gives each latent prompt that has no videos the first `m` that lie in `root/<task>/latent_<i>/videos/` (the layout of
/// the paper's release) or one folder higher. Each is looked into; what cannot be read or is missing is recorded.
///
/// # Errors
///
/// A folder that cannot be read.
pub fn take_clips(tasks: &mut [Task], m: usize, root: &Path, progress: &dyn Progress) -> Result<Generated> {
    let mut found = Vec::new();
    for task in tasks.iter() {
        for (latent, _) in task.latents.iter().enumerate().filter(|(_, z)| z.videos.is_empty()) {
            let mut clips = squbed_generate::video::clips(root, &file_name(&task.id), latent)
                .map_err(|source| Error::Read { path: root.join(file_name(&task.id)), source })?;
            clips.truncate(m);
            found.push((format!("{}, latent prompt {latent}", task.id), clips));
        }
    }
    let count: usize = found.iter().map(|(_, clips)| clips.len()).sum();
    progress.begin("look into videos", count as u64, "clips");
    let mut failures = Vec::new();
    for (name, clips) in &mut found {
        let looked: Vec<(PathBuf, Option<Failure>)> = std::mem::take(clips)
            .into_par_iter()
            .map(|clip| {
                let failure = squbed_video::probe(&clip).err().map(|error| failed(&clip, &error));
                progress.advance(1);
                (clip, failure)
            })
            .collect();
        for (clip, failure) in looked {
            match failure {
                None => clips.push(clip),
                Some(failure) => failures.push(failure),
            }
        }
        if clips.len() < m {
            let error =
                Error::TooFewClips { latent: name.clone(), wanted: m, got: clips.len(), root: root.into() };
            failures.push(Failure::new("generate", name, &error));
        }
    }
    progress.end();
    let made = found.iter().map(|(_, clips)| clips.len()).sum();
    let open = tasks.iter_mut().flat_map(|t| &mut t.latents).filter(|z| z.videos.is_empty());
    for (latent, (_, clips)) in open.zip(found) {
        latent.videos = clips;
    }
    Ok(Generated { reused: 0, made, failures })
}

/// Where a video goes.
struct Place {
    task: usize,
    latent: usize,
    sample: usize,
    out: PathBuf,
}

/// The places of the videos of all latent prompts that have none; their folders are claimed.
fn lay_out(tasks: &[Task], m: usize, folder: &Path, made_by: &str) -> Result<Vec<Place>> {
    claim(&folder.join("made_by.txt"), made_by)?;
    let mut places = Vec::new();
    for (t, task) in tasks.iter().enumerate() {
        for (latent, z) in task.latents.iter().enumerate().filter(|(_, z)| z.videos.is_empty()) {
            let folder = folder.join(file_name(&task.id)).join(format!("latent_{latent}"));
            claim(&folder.join("prompt.txt"), &z.prompt)?;
            let out = |sample| folder.join(format!("gen_video_{sample}.mp4"));
            places.extend((0..m).map(|sample| Place { task: t, latent, sample, out: out(sample) }));
        }
    }
    Ok(places)
}

/// Gives the latent prompts the videos that are there.
fn attach(tasks: &mut [Task], places: Vec<Place>) {
    for place in places.into_iter().filter(|place| place.out.exists()) {
        tasks[place.task].latents[place.latent].videos.push(place.out);
    }
}

fn failed(out: &Path, error: &(dyn std::error::Error + 'static)) -> Failure {
    let again = "run the same command again: what is there is kept, and this one is made anew";
    Failure::new("generate", &out.display().to_string(), error)
        .with_hint(remedy(error).unwrap_or_else(|| again.to_owned()))
}

/// Writes who made what a folder holds, or finds that it was the same.
fn claim(path: &Path, here: &str) -> Result<()> {
    match std::fs::read_to_string(path) {
        Ok(there) if there == here => Ok(()),
        Ok(there) => Err(Error::OtherVideos {
            path: path.parent().unwrap_or(Path::new("")).to_owned(),
            there: format!("“{there}”"),
            here: format!("“{here}”"),
        }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Ok(squbed_store::write_atomic(path, here)?)
        }
        Err(source) => Err(Error::Read { path: path.to_owned(), source }),
    }
}

/// A task's id as the name of a folder: itself where it is plain, else its plain characters and eight
/// digits of its digest.
pub fn file_name(id: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if !id.is_empty() && id.chars().all(plain) && !id.starts_with('.') && id.len() <= 100 {
        return id.to_owned();
    }
    let kept: String = id.chars().map(|c| if plain(c) { c } else { '_' }).take(80).collect();
    format!("_{kept}-{}", &squbed_store::digest_text(id)[..8])
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use squbed_core::BoxError;

    use super::*;
    use crate::progress::Silent;

    struct Echo;

    impl PromptRefiner for Echo {
        fn describe(&self) -> String {
            "echo".to_owned()
        }

        fn refine(&self, request: &RefineRequest<'_>) -> Result<Vec<String>, BoxError> {
            Ok((0..request.n).map(|i| format!("{} {i}", request.prompt)).collect())
        }
    }

    /// Writes its seed, and fails on every fifth call.
    #[derive(Default)]
    struct Files(AtomicUsize);

    impl VideoGenerator for Files {
        fn describe(&self) -> String {
            "files".to_owned()
        }

        fn generate(&self, request: &GenerateRequest<'_>) -> Result<(), BoxError> {
            if self.0.fetch_add(1, Ordering::Relaxed) % 5 == 4 {
                return Err("the model is tired".into());
            }
            Ok(std::fs::write(request.out, request.seed.to_string())?)
        }
    }

    fn tasks() -> Vec<Task> {
        ["a", "../b"]
            .map(|id| Task {
                id: id.to_owned(),
                prompt: "a cat".to_owned(),
                dataset: None,
                category: None,
                ground_truth: None,
                latents: Vec::new(),
            })
            .to_vec()
    }

    #[test]
    fn a_failed_video_is_left_out_and_made_at_the_next_call() {
        let folder = tempfile::tempdir().unwrap();
        let model = Files::default();
        let run = || {
            let mut tasks = tasks();
            assert_eq!(refine(&mut tasks, &Echo, 2, 1, &mut |_| Ok(()), &Silent).unwrap().len(), 2);
            let generated = generate(&mut tasks, &model, 2, 1, folder.path(), &Silent).unwrap();
            (tasks, generated)
        };
        let (tasks, generated) = run();
        assert_eq!((generated.made, generated.failures.len()), (7, 1));
        let row = &generated.failures[0];
        assert!(row.item.ends_with(".mp4") && row.error == "the model is tired", "{row:?}");
        assert!(row.hint.contains("again"), "{row:?}");
        let videos = || tasks.iter().flat_map(|t| &t.latents).flat_map(|z| &z.videos);
        assert_eq!(videos().count(), 7);
        assert!(videos().all(|p| p.starts_with(folder.path()) && p.exists()));
        let (_, again) = run();
        assert_eq!((again.reused, again.made), (7, 1));
        // Another seed, and another prompt, do not pass for these.
        let mut other = tasks.clone();
        other.iter_mut().flat_map(|t| &mut t.latents).for_each(|z| z.videos.clear());
        let seed = generate(&mut other, &model, 2, 2, folder.path(), &Silent).unwrap_err();
        assert!(matches!(seed, Error::OtherVideos { .. }) && seed.to_string().contains("seed 1"), "{seed}");
        other[0].latents[1].prompt = "a dog".to_owned();
        let prompt = generate(&mut other, &model, 2, 1, folder.path(), &Silent).unwrap_err();
        assert!(prompt.to_string().contains("a dog"), "{prompt}");
        let mut seeds: Vec<String> = tasks
            .iter()
            .flat_map(|t| &t.latents)
            .flat_map(|z| &z.videos)
            .map(|p| std::fs::read_to_string(p).unwrap())
            .collect();
        seeds.sort();
        seeds.dedup();
        assert_eq!(seeds.len(), 7, "no two samples share a seed");
    }

    #[test]
    fn ids_stay_within_their_folder() {
        assert_eq!(file_name("task-07"), "task-07");
        for id in ["../b", "a/b", "..", ".", "", "é"] {
            let name = file_name(id);
            assert!(!name.contains('/') && !name.starts_with('.') && !name.is_empty(), "{name}");
        }
        assert_ne!(file_name("a/b"), file_name("a:b"));
    }
}
