//! What uncertainties and accuracies were computed from, so that none of other videos are paired, and samples that are
//! none of their own are told.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use squbed_core::{AccuracyScore, Repeat, Task, TaskUncertainty};

use crate::{embed::Embeddings, progress::Progress};

/// Tasks that a sentence names.
const NAMED: usize = 5;

/// The digest of a task's generated videos by their content: the same whatever their names, their order and the latent
/// prompts that they stand under. `digest` is none of a video that cannot be read, which counts as such.
pub fn videos_digest<'a>(task: &'a Task, digest: impl Fn(&'a Path) -> Option<&'a str>) -> String {
    let videos = task.latents.iter().flat_map(|z| &z.videos);
    let mut digests: Vec<&str> = videos.map(|path| digest(path).unwrap_or("unreadable")).collect();
    digests.sort_unstable();
    squbed_store::digest_text(&digests.join("\n"))
}

/// [`videos_digest`] by task.
pub fn videos_digests(tasks: &[Task], videos: &Embeddings) -> BTreeMap<String, String> {
    let of = |task: &Task| (task.id.clone(), videos_digest(task, |path| videos.digest(path)));
    tasks.iter().map(of).collect()
}

/// Writes into an estimate's rows which videos they are of and what repeats among their samples.
pub fn record(rows: &mut [TaskUncertainty], tasks: &[Task], videos: &Embeddings) {
    let tasks: BTreeMap<&str, &Task> = tasks.iter().map(|task| (task.id.as_str(), task)).collect();
    for row in rows {
        if let Some(task) = tasks.get(row.id.as_str()) {
            row.videos_digest = Some(videos_digest(task, |path| videos.digest(path)));
            row.repeats = repeats(task, |path| videos.digest(path));
        }
    }
}

/// The accuracies among `scores` that are of the videos that the tasks have now.
pub(crate) fn still_true(
    scores: Vec<AccuracyScore>,
    tasks: &[Task],
    videos: &Embeddings,
) -> Vec<AccuracyScore> {
    let digests = videos_digests(tasks, videos);
    let same = |score: &AccuracyScore| {
        score.videos_digest.is_some() && score.videos_digest.as_ref() == digests.get(&score.id)
    };
    scores.into_iter().filter(same).collect()
}

/// Latent prompts of one text, and videos of one latent prompt with one content, by their `digest`.
pub fn repeats<'a>(task: &'a Task, digest: impl Fn(&'a Path) -> Option<&'a str>) -> Vec<Repeat> {
    let texts = groups(task.latents.iter().enumerate().map(|(latent, z)| (z.prompt.as_str(), latent)));
    let mut repeats: Vec<Repeat> =
        texts.into_iter().map(|(text, latents)| Repeat::Prompt { latents, text: text.to_owned() }).collect();
    for (latent, z) in task.latents.iter().enumerate() {
        let known = z.videos.iter().filter_map(|path| Some((digest(path)?, path)));
        for (_, paths) in groups(known) {
            repeats.push(Repeat::Video { latent, videos: names(&paths) });
        }
    }
    repeats
}

/// The values of each key that stands more than once, in the order of their first.
fn groups<K: Ord + Copy, V>(items: impl Iterator<Item = (K, V)>) -> Vec<(K, Vec<V>)> {
    let mut order = Vec::new();
    let mut by_key: BTreeMap<K, Vec<V>> = BTreeMap::new();
    for (key, value) in items {
        let values = by_key.entry(key).or_default();
        if values.is_empty() {
            order.push(key);
        }
        values.push(value);
    }
    let groups = order.into_iter().filter_map(|key| Some((key, by_key.remove(&key)?)));
    groups.filter(|(_, values)| values.len() > 1).collect()
}

/// The files' names where they tell them apart, else their paths.
fn names(paths: &[&PathBuf]) -> Vec<String> {
    let name = |path: &&PathBuf| path.file_name().map(|name| name.to_string_lossy().into_owned());
    let short: Option<Vec<String>> = paths.iter().map(name).collect();
    let distinct =
        |names: &Vec<String>| names.iter().collect::<std::collections::BTreeSet<_>>().len() == names.len();
    short.filter(distinct).unwrap_or_else(|| paths.iter().map(|path| path.display().to_string()).collect())
}

/// What a reader has to know of the repeats of a set of tasks, a sentence a kind; none where nothing repeats.
pub fn repeat_sentences(rows: &[TaskUncertainty]) -> Vec<String> {
    let of = |prompts: bool| -> Vec<String> {
        let kind = |repeat: &&Repeat| matches!(repeat, Repeat::Prompt { .. }) == prompts;
        let told = |row: &TaskUncertainty| {
            let repeats: Vec<String> = row.repeats.iter().filter(kind).map(Repeat::to_string).collect();
            (!repeats.is_empty()).then(|| format!("task {}, {}", row.id, repeats.join(", ")))
        };
        rows.iter().filter_map(told).collect()
    };
    let said = [
        (
            of(false),
            "have the same video more than once in a latent prompt, by content: it counts as several, so that their \
             epistemic uncertainty looks smaller than it is",
        ),
        (
            of(true),
            "have the same latent prompt more than once: it counts as several, so that their aleatoric uncertainty \
             looks smaller than that of as many different ones",
        ),
    ];
    let sentence = |(tasks, what): (Vec<String>, &str)| {
        let more = match tasks.len().saturating_sub(NAMED) {
            0 => String::new(),
            more => format!("; and {more} more, which `repeats` in uncertainty.jsonl names"),
        };
        let named = tasks[..tasks.len().min(NAMED)].join("; ");
        (!tasks.is_empty()).then(|| format!("{} task(s) {what}: {named}{more}", tasks.len()))
    };
    said.into_iter().filter_map(sentence).collect()
}

/// Tells what repeats among an estimate's samples.
pub fn tell_repeats(rows: &[TaskUncertainty], progress: &dyn Progress) {
    repeat_sentences(rows).iter().for_each(|sentence| progress.warn(sentence));
}

#[cfg(test)]
mod tests {
    use squbed_core::LatentPrompt;

    use super::*;

    fn task(latents: &[(&str, &[&str])]) -> Task {
        let latent = |(prompt, videos): &(&str, &[&str])| LatentPrompt {
            prompt: (*prompt).to_owned(),
            videos: videos.iter().map(PathBuf::from).collect(),
        };
        Task {
            id: "t".to_owned(),
            prompt: "p".to_owned(),
            dataset: None,
            category: None,
            ground_truth: None,
            latents: latents.iter().map(latent).collect(),
        }
    }

    #[test]
    fn a_digest_is_that_of_the_contents_in_any_order() {
        // The first letter of a name stands for the content.
        let of = |task: &Task| {
            videos_digest(task, |path| path.to_str().and_then(|p| p.get(..1)).filter(|d| *d != "x"))
        };
        let one = of(&task(&[("y", &["a1", "b1"]), ("z", &["c1", "c2"])]));
        assert_eq!(one, of(&task(&[("y", &["c9", "a9"]), ("z", &["b9", "c8"])])));
        for other in [
            task(&[("y", &["a1", "b1"]), ("z", &["c1"])]),
            task(&[("y", &["a1", "b1"]), ("z", &["c1", "d1"])]),
            task(&[("y", &["a1", "b1"]), ("z", &["c1", "x1"])]),
        ] {
            assert_ne!(one, of(&other));
        }
    }

    #[test]
    fn names_tell_files_apart() {
        let of = |paths: &[&str]| {
            names(&paths.iter().map(PathBuf::from).collect::<Vec<_>>().iter().collect::<Vec<_>>())
        };
        assert_eq!(of(&["v/a.mp4", "v/b.mp4"]), ["a.mp4", "b.mp4"]);
        assert_eq!(of(&["v/a.mp4", "w/a.mp4"]), ["v/a.mp4", "w/a.mp4"]);
    }
}
