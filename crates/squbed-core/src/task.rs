//! Tasks: a prompt, its refinements and their videos.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

/// One text-to-video task, the unit over which uncertainty is estimated.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Task {
    /// Unique within a data set.
    pub id: String,
    /// The prompt ℓ.
    pub prompt: String,
    /// The data set that the task comes from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dataset: Option<String>,
    /// Its category, e.g. `animals`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
    /// The true video.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ground_truth: Option<PathBuf>,
    /// The latent prompts z₁..zₙ; empty before refinement.
    #[serde(default)]
    pub latents: Vec<LatentPrompt>,
}

/// A latent prompt z, a more specific ℓ, and the videos drawn from it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LatentPrompt {
    /// The refined prompt.
    pub prompt: String,
    /// Videos v₁..vₘ; empty before generation.
    #[serde(default)]
    pub videos: Vec<PathBuf>,
}

/// What is wrong with a task.
#[derive(Debug, thiserror::Error, PartialEq)]
pub enum TaskError {
    /// A task without an id.
    #[error("a task has an empty id")]
    EmptyId,
    /// An id that cannot name files and rows.
    #[error(
        "the task id {id:?} has blanks at its ends or control characters, and ids become names of files and rows; \
         write it without them"
    )]
    UnfitId {
        /// The id.
        id: String,
    },
    /// A path of no characters would stand for the folder of the list.
    #[error("task `{id}`: {field} is an empty path; name the video's file, or leave the entry out")]
    EmptyPath {
        /// The task.
        id: String,
        /// Where it stands, e.g. `latents[1].videos[0]`, counted from 0.
        field: String,
    },
    /// One file as two samples of a spread.
    #[error(
        "task `{id}`: latents[{latent}] has the video `{}` twice, which would count as two; name each file once",
        path.display()
    )]
    SameVideo {
        /// The task.
        id: String,
        /// Position of the latent prompt, from 0.
        latent: usize,
        /// The file.
        path: PathBuf,
    },
    /// The prompt ℓ is blank.
    #[error("task `{id}` has an empty prompt")]
    EmptyPrompt {
        /// The task.
        id: String,
    },
    /// A latent prompt is blank.
    #[error("task `{id}`: latent prompt {latent} is empty")]
    EmptyLatent {
        /// The task.
        id: String,
        /// Position of the latent prompt, from 0.
        latent: usize,
    },
    /// Two tasks share an id.
    #[error("task id `{id}` is given twice")]
    DuplicateId {
        /// The id.
        id: String,
    },
    /// A spread needs at least two latent prompts.
    #[error("task `{id}` has {n} latent prompt(s); its spread needs n >= 2")]
    TooFewLatents {
        /// The task.
        id: String,
        /// Latent prompts given.
        n: usize,
    },
    /// A spread needs at least two videos.
    #[error("task `{id}`, latent prompt {latent} has {m} video(s); their spread needs m >= 2")]
    TooFewVideos {
        /// The task.
        id: String,
        /// Position of the latent prompt, from 0.
        latent: usize,
        /// Videos given.
        m: usize,
    },
}

impl Task {
    /// Checks id, prompts and paths; the number of latents and videos is not looked at.
    pub fn check(&self) -> Result<(), TaskError> {
        if self.id.trim().is_empty() {
            return Err(TaskError::EmptyId);
        }
        if self.id.trim() != self.id || self.id.chars().any(char::is_control) {
            return Err(TaskError::UnfitId { id: self.id.clone() });
        }
        if self.prompt.trim().is_empty() {
            return Err(TaskError::EmptyPrompt { id: self.id.clone() });
        }
        if let Some(latent) = self.latents.iter().position(|z| z.prompt.trim().is_empty()) {
            return Err(TaskError::EmptyLatent { id: self.id.clone(), latent });
        }
        self.check_paths()
    }

    fn check_paths(&self) -> Result<(), TaskError> {
        let empty = |path: &Path| path.to_str().is_some_and(|path| path.trim().is_empty());
        let empty_path = |field| TaskError::EmptyPath { id: self.id.clone(), field };
        if self.ground_truth.as_deref().is_some_and(empty) {
            return Err(empty_path("ground_truth".to_owned()));
        }
        for (latent, z) in self.latents.iter().enumerate() {
            let mut seen = BTreeSet::new();
            for (video, path) in z.videos.iter().enumerate() {
                if empty(path) {
                    return Err(empty_path(format!("latents[{latent}].videos[{video}]")));
                }
                if !seen.insert(path) {
                    return Err(TaskError::SameVideo { id: self.id.clone(), latent, path: path.clone() });
                }
            }
        }
        Ok(())
    }

    /// Checks that both spreads can be estimated: n ≥ 2 latent prompts of m ≥ 2 videos each.
    pub fn check_complete(&self) -> Result<(), TaskError> {
        if self.latents.len() < 2 {
            return Err(TaskError::TooFewLatents { id: self.id.clone(), n: self.latents.len() });
        }
        match self.latents.iter().enumerate().find(|(_, z)| z.videos.len() < 2) {
            Some((latent, z)) => {
                Err(TaskError::TooFewVideos { id: self.id.clone(), latent, m: z.videos.len() })
            }
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(latents: Vec<LatentPrompt>) -> Task {
        Task {
            id: "a".into(),
            prompt: "a cat".into(),
            dataset: None,
            category: None,
            ground_truth: None,
            latents,
        }
    }

    #[test]
    fn blank_prompts_are_refused() {
        let blank = LatentPrompt { prompt: " ".into(), videos: vec![] };
        assert_eq!(task(vec![blank]).check(), Err(TaskError::EmptyLatent { id: "a".into(), latent: 0 }));
        assert_eq!(
            Task { prompt: "\t".into(), ..task(vec![]) }.check(),
            Err(TaskError::EmptyPrompt { id: "a".into() })
        );
    }

    #[test]
    fn an_id_that_cannot_name_a_file_is_refused_as_it_is_written() {
        for id in [" a", "a ", "a\u{a0}", "a\nb", "a\u{1b}[2J", "a\u{7f}"] {
            let error = Task { id: id.into(), ..task(vec![]) }.check().unwrap_err();
            assert!(error.to_string().contains(&format!("{id:?}")), "{error}");
            assert!(!error.to_string().chars().any(char::is_control), "{error}");
        }
        assert_eq!(Task { id: "ein Kätzchen/1".into(), ..task(vec![]) }.check(), Ok(()));
    }

    #[test]
    fn a_path_that_is_none_and_one_that_stands_twice_are_refused() {
        let with = |videos: &[&str]| LatentPrompt {
            prompt: "z".into(),
            videos: videos.iter().map(PathBuf::from).collect(),
        };
        let refused = |task: Task| task.check().unwrap_err().to_string();
        let empty = refused(task(vec![with(&["v.mp4"]), with(&["v.mp4", ""])]));
        assert!(empty.contains("latents[1].videos[1] is an empty path"), "{empty}");
        let truth = refused(Task { ground_truth: Some("".into()), ..task(vec![]) });
        assert!(truth.contains("ground_truth is an empty path"), "{truth}");
        let twice = refused(task(vec![with(&["a.mp4"]), with(&["a.mp4", "b.mp4", "a.mp4"])]));
        assert!(twice.contains("latents[1] has the video `a.mp4` twice"), "{twice}");
    }

    #[test]
    fn a_spread_needs_two() {
        let z = |m| LatentPrompt { prompt: "z".into(), videos: vec![PathBuf::from("v.mp4"); m] };
        assert!(task(vec![z(2), z(2)]).check_complete().is_ok());
        assert_eq!(task(vec![z(2)]).check_complete(), Err(TaskError::TooFewLatents { id: "a".into(), n: 1 }));
        assert_eq!(
            task(vec![z(2), z(1)]).check_complete(),
            Err(TaskError::TooFewVideos { id: "a".into(), latent: 1, m: 1 })
        );
    }
}
