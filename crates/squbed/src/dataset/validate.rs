//! Whether a list of tasks and its videos are fit for the method.

use std::{
    collections::{BTreeMap, HashMap},
    path::{Path, PathBuf},
};

use rayon::prelude::*;
use serde::Serialize;
use squbed_core::{Repeat, Task, causes};
use squbed_store::digest_file;
use squbed_video::Limits;

use crate::{progress::Progress, sources};

/// Something that is wrong with a data set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// The task.
    pub task: String,
    /// The latent prompt, from 0, where it is one's.
    pub latent: Option<usize>,
    /// The video, where it is one's.
    pub video: Option<PathBuf>,
    /// What is wrong.
    pub problem: String,
}

/// What a data set holds, and what is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Validation {
    /// Tasks.
    pub tasks: usize,
    /// Latent prompts.
    pub latents: usize,
    /// Generated videos.
    pub videos: usize,
    /// True videos.
    pub ground_truths: usize,
    /// Sizes of the generated videos, as they are shown, with their numbers.
    pub sizes: BTreeMap<String, usize>,
    /// Tasks by category.
    pub categories: BTreeMap<String, usize>,
    /// What is wrong.
    pub problems: Vec<Problem>,
}

/// What is known of a video file.
struct Looked {
    digest: Option<String>,
    size: Option<String>,
    problem: Option<String>,
}

/// Looks at every task and every video: n, m ≥ 2; prompts and contents that occur twice; files that are missing, damaged
/// or without frames; videos of another size than most of their task; true videos among the generated ones.
pub fn validate(tasks: &[Task], limits: &Limits, progress: &dyn Progress) -> Validation {
    let paths = crate::run::video_paths(tasks);
    progress.begin("look into videos", paths.len() as u64, "clips");
    let looked: HashMap<&Path, Looked> = paths
        .par_iter()
        .map(|&path| {
            let looked = look(path, limits);
            progress.advance(1);
            (path, looked)
        })
        .collect();
    progress.end();
    let mut validation = Validation {
        tasks: tasks.len(),
        latents: tasks.iter().map(|task| task.latents.len()).sum(),
        videos: tasks.iter().flat_map(|task| &task.latents).map(|latent| latent.videos.len()).sum(),
        ground_truths: tasks.iter().filter(|task| task.ground_truth.is_some()).count(),
        sizes: BTreeMap::new(),
        categories: BTreeMap::new(),
        problems: Vec::new(),
    };
    for task in tasks {
        of_task(task, &looked, &mut validation);
    }
    validation
}

fn look(path: &Path, limits: &Limits) -> Looked {
    let digest = digest_file(path).ok();
    match squbed_video::probe_within(path, limits) {
        Err(error) => Looked { digest, size: None, problem: Some(causes(&error).join(": ")) },
        Ok(info) => {
            let turned = info.rotation % 180 != 0;
            let (width, height) = if turned { (info.height, info.width) } else { (info.width, info.height) };
            Looked { digest, size: Some(format!("{width}x{height}")), problem: info.defect() }
        }
    }
}

fn of_task(task: &Task, looked: &HashMap<&Path, Looked>, validation: &mut Validation) {
    let problem = |latent, video: Option<&Path>, problem: String| Problem {
        task: task.id.clone(),
        latent,
        video: video.map(Path::to_owned),
        problem,
    };
    let mut found = Vec::new();
    if let Some(category) = &task.category {
        *validation.categories.entry(category.clone()).or_default() += 1;
    }
    if let Err(error) = task.check_complete() {
        found.push(problem(None, None, error.to_string()));
    }
    let of = |path: &Path| looked.get(path);
    let truth = task.ground_truth.as_deref();
    let true_digest = truth.and_then(|path| of(path)?.digest.as_ref());
    if let Some(path) = truth
        && let Some(what) = of(path).and_then(|looked| looked.problem.clone())
    {
        found.push(problem(None, Some(path), what));
    }
    let mut sizes: BTreeMap<&str, Vec<&Path>> = BTreeMap::new();
    for (l, path) in
        task.latents.iter().enumerate().flat_map(|(l, z)| z.videos.iter().map(move |v| (l, v.as_path())))
    {
        let Some(looked) = of(path) else { continue };
        if let Some(what) = &looked.problem {
            found.push(problem(Some(l), Some(path), what.clone()));
        }
        if let Some(size) = &looked.size {
            sizes.entry(size).or_default().push(path);
        }
        if looked.digest.is_some() && looked.digest.as_ref() == true_digest {
            found.push(problem(Some(l), Some(path), "its content is that of the true video".to_owned()));
        }
    }
    for repeat in sources::repeats(task, |path| of(path)?.digest.as_deref()) {
        let (latent, what) = match &repeat {
            Repeat::Prompt { latents, .. } => (latents[0], "the same prompt more than once"),
            Repeat::Video { latent, .. } => (*latent, "the same content more than once"),
            Repeat::Shared { latents, .. } => (latents[0], "the same content under several latent prompts"),
            // Told above, video by video.
            Repeat::GroundTruth { .. } => continue,
        };
        found.push(problem(Some(latent), None, format!("{what}: {repeat}")));
    }
    let most = sizes.iter().max_by_key(|(_, paths)| paths.len()).map(|(size, _)| *size);
    for (&size, paths) in &sizes {
        *validation.sizes.entry(size.to_owned()).or_default() += paths.len();
        if Some(size) != most {
            let most = most.unwrap_or_default();
            found.extend(
                paths.iter().map(|path| {
                    problem(None, Some(path), format!("it is {size}, most of its task are {most}"))
                }),
            );
        }
    }
    validation.problems.extend(found);
}
