//! What uncertainties and accuracies were computed from, so that none of other videos are paired, and samples that are
//! none of their own are told.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use squbed_core::{AccuracyScore, CutPrompt, Repeat, Task, TaskUncertainty};

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

/// Writes into an estimate's rows which videos they are of, what repeats among their samples, and which latent prompts were
/// cut.
pub fn record(rows: &mut [TaskUncertainty], tasks: &[Task], texts: &Embeddings, videos: &Embeddings) {
    let tasks: BTreeMap<&str, &Task> = tasks.iter().map(|task| (task.id.as_str(), task)).collect();
    for row in rows {
        if let Some(task) = tasks.get(row.id.as_str()) {
            row.videos_digest = Some(videos_digest(task, |path| videos.digest(path)));
            // A ground truth has been read where it was embedded; else it is read for this alone, if it is there.
            let read = |path: &Path| squbed_store::digest_file(path).ok();
            let truth = task.ground_truth.as_deref().filter(|path| videos.digest(path).is_none());
            let truth = truth.and_then(|path| Some((path, read(path)?)));
            row.repeats = repeats(task, |path| {
                let of_truth = truth.as_ref().filter(|truth| truth.0 == path).map(|truth| truth.1.as_str());
                videos.digest(path).or(of_truth)
            });
            let cut =
                task.latents.iter().enumerate().map(|(latent, z)| (latent, texts.characters_cut(&z.prompt)));
            row.cut = cut
                .filter(|c| c.1 > 0)
                .map(|(latent, characters)| CutPrompt { latent, characters })
                .collect();
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

/// Latent prompts of one text, and videos with one content, by their `digest`: within a latent prompt, in several, and the
/// ground truth's own.
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
    let all =
        task.latents.iter().enumerate().flat_map(|(latent, z)| z.videos.iter().map(move |v| (latent, v)));
    let known: Vec<(&str, (usize, &PathBuf))> =
        all.filter_map(|(latent, path)| Some((digest(path)?, (latent, path)))).collect();
    for (_, same) in groups(known.iter().copied()) {
        let latents: BTreeSet<usize> = same.iter().map(|(latent, _)| *latent).collect();
        if latents.len() > 1 {
            let paths: Vec<&PathBuf> = same.iter().map(|(_, path)| *path).collect();
            repeats.push(Repeat::Shared { latents: latents.into_iter().collect(), videos: names(&paths) });
        }
    }
    if let Some(truth) = task.ground_truth.as_deref().and_then(&digest) {
        let same: Vec<&PathBuf> =
            known.iter().filter(|(digest, _)| *digest == truth).map(|(_, (_, path))| *path).collect();
        if !same.is_empty() {
            repeats.push(Repeat::GroundTruth { videos: names(&same) });
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
    let of = |kind: fn(&Repeat) -> bool| -> Vec<String> {
        let told = |row: &TaskUncertainty| {
            let repeats: Vec<String> =
                row.repeats.iter().filter(|repeat| kind(repeat)).map(Repeat::to_string).collect();
            (!repeats.is_empty()).then(|| format!("task {}, {}", row.id, repeats.join(", ")))
        };
        rows.iter().filter_map(told).collect()
    };
    let said = [
        (
            of(|repeat| matches!(repeat, Repeat::Video { .. })),
            "have the same video more than once in a latent prompt, by content: it counts as several, so that their \
             epistemic uncertainty looks smaller than it is",
        ),
        (
            of(|repeat| matches!(repeat, Repeat::Shared { .. })),
            "have the same video under several latent prompts, by content: each counts it as its own",
        ),
        (
            of(|repeat| matches!(repeat, Repeat::GroundTruth { .. })),
            "have their ground truth among their generated videos, by content: it makes their accuracy look better than \
             it is",
        ),
        (
            of(|repeat| matches!(repeat, Repeat::Prompt { .. })),
            "have the same latent prompt more than once: it counts as several, so that their aleatoric uncertainty \
             looks smaller than that of as many different ones",
        ),
    ];
    said.into_iter().filter_map(|(tasks, what)| sentence_of(&tasks, what, "repeats")).collect()
}

/// How many tasks there are, what of them, and the first few; `field` of their rows names the rest. None of none.
fn sentence_of(tasks: &[String], what: &str, field: &str) -> Option<String> {
    let more = match tasks.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!("; and {more} more, which `{field}` in uncertainty.jsonl names"),
    };
    let named = tasks[..tasks.len().min(NAMED)].join("; ");
    (!tasks.is_empty()).then(|| format!("{} task(s) {what}: {named}{more}", tasks.len()))
}

/// Of which tasks the encoder of prompts does not see all, one sentence, or none.
pub fn cut_sentence(rows: &[TaskUncertainty]) -> Option<String> {
    let tasks: Vec<String> = rows
        .iter()
        .filter(|row| !row.cut.is_empty())
        .map(|row| {
            let prompts: Vec<String> = row
                .cut
                .iter()
                .map(|cut| format!("{} by {} character(s)", cut.latent, cut.characters))
                .collect();
            format!("task {}, latent prompt {}", row.id, prompts.join(", "))
        })
        .collect();
    let what = "have latent prompts that are longer than their encoder takes, so that what differs behind its limit counts \
                for nothing";
    sentence_of(&tasks, what, "cut")
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
    fn what_stands_under_two_latent_prompts_or_is_the_truth_is_told() {
        let mut of = task(&[("y", &["a1", "b1"]), ("z", &["c1", "a2"])]);
        of.ground_truth = Some("c0".into());
        let shared = Repeat::Shared { latents: vec![0, 1], videos: vec!["a1".to_owned(), "a2".to_owned()] };
        let truth = Repeat::GroundTruth { videos: vec!["c1".to_owned()] };
        fn digest(path: &Path) -> Option<&str> {
            path.to_str()?.get(..1)
        }
        assert_eq!(repeats(&of, digest), [shared.clone(), truth.clone()]);
        of.ground_truth = Some("d0".into());
        assert_eq!(repeats(&of, digest), [shared]);
        assert_eq!(truth.to_string(), "c1");
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
