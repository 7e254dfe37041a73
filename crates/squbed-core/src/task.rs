//! Tasks: a prompt, its refinements and their videos.

use std::path::PathBuf;

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
    /// Checks id, prompt and latent prompts; the number of latents and videos is not looked at.
    pub fn check(&self) -> Result<(), TaskError> {
        if self.id.trim().is_empty() {
            return Err(TaskError::EmptyId);
        }
        if self.prompt.trim().is_empty() {
            return Err(TaskError::EmptyPrompt { id: self.id.clone() });
        }
        match self.latents.iter().position(|z| z.prompt.trim().is_empty()) {
            Some(latent) => Err(TaskError::EmptyLatent { id: self.id.clone(), latent }),
            None => Ok(()),
        }
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
