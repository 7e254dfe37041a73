//! Latent prompts that somebody wrote down.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use serde::Deserialize;
use squbed_core::{BoxError, PromptRefiner, RefineRequest};

/// A file of JSON lines `{"prompt": ℓ, "latents": [z₁, z₂, …]}`.
pub struct PromptFile {
    path: PathBuf,
    latents: BTreeMap<String, Vec<String>>,
}

/// What is wrong with such a file.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It cannot be read.
    #[error("cannot read {path}", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// A line is none of its kind.
    #[error("{path}, line {line}: write {{\"prompt\": …, \"latents\": [ …, … ]}}", path = path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// A prompt stands in two lines.
    #[error("{path}, line {line}: the prompt “{prompt}” stood in an earlier line", path = path.display())]
    Twice {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The prompt.
        prompt: String,
    },
    /// A prompt stands in none.
    #[error("{path} has no line of the prompt “{prompt}”", path = path.display())]
    NoPrompt {
        /// The file.
        path: PathBuf,
        /// The prompt.
        prompt: String,
    },
    /// There are fewer latent prompts, or fewer that differ.
    #[error("{path} has {given} different latent prompts of “{prompt}”, and {wanted} are asked for", path = path.display())]
    TooFew {
        /// The file.
        path: PathBuf,
        /// The prompt.
        prompt: String,
        /// Latent prompts that differ.
        given: usize,
        /// Asked for.
        wanted: usize,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    prompt: String,
    latents: Vec<String>,
}

impl PromptFile {
    /// Reads a file.
    ///
    /// # Errors
    ///
    /// A file that cannot be read, a line that is none, a prompt that stands twice.
    pub fn read(path: &Path) -> Result<Self, FileError> {
        let path = path.to_owned();
        let bytes =
            squbed_files::read(&path).map_err(|source| FileError::Io { path: path.clone(), source })?;
        let mut latents = BTreeMap::new();
        let lines = bytes.split(|&b| b == b'\n').enumerate();
        for (i, line) in lines.filter(|(_, line)| !line.trim_ascii().is_empty()) {
            let Line { prompt, latents: mut given } = serde_json::from_slice(line)
                .map_err(|source| FileError::Line { path: path.clone(), line: i + 1, source })?;
            let mut seen = std::collections::BTreeSet::new();
            given.retain(|z| !z.trim().is_empty() && seen.insert(z.clone()));
            if latents.insert(prompt.clone(), given).is_some() {
                return Err(FileError::Twice { path, line: i + 1, prompt });
            }
        }
        Ok(Self { path, latents })
    }
}

impl PromptRefiner for PromptFile {
    fn describe(&self) -> String {
        format!("file {}", self.path.display())
    }

    /// The first n of the prompt's line; the seed chooses nothing.
    fn refine(&self, request: &RefineRequest<'_>) -> Result<Vec<String>, BoxError> {
        let (path, prompt) = (self.path.clone(), request.prompt.to_owned());
        let Some(given) = self.latents.get(request.prompt) else {
            return Err(FileError::NoPrompt { path, prompt }.into());
        };
        if given.len() < request.n {
            return Err(FileError::TooFew { path, prompt, given: given.len(), wanted: request.n }.into());
        }
        Ok(given[..request.n].to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_n_that_differ_are_taken() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("latents.jsonl");
        std::fs::write(&path, "{\"prompt\": \"a\", \"latents\": [\"x\", \" \", \"x\", \"y\", \"z\"]}\n\n")
            .unwrap();
        let file = PromptFile::read(&path).unwrap();
        let ask = |prompt, n| file.refine(&RefineRequest { prompt, n, seed: 1 });
        assert_eq!(ask("a", 2).unwrap(), ["x", "y"]);
        let error = ask("a", 4).unwrap_err().to_string();
        assert!(error.contains("has 3 different latent prompts of “a”, and 4 are asked for"), "{error}");
        assert!(ask("b", 2).unwrap_err().to_string().contains("no line of the prompt “b”"));
        for (text, part) in [
            ("{}", "line 1"),
            ("{\"prompt\":\"a\",\"latents\":[]}\n{\"prompt\":\"a\",\"latents\":[]}", "line 2"),
        ] {
            std::fs::write(&path, text).unwrap();
            let error = PromptFile::read(&path).err().unwrap().to_string();
            assert!(error.contains(part), "{error}");
        }
    }
}
