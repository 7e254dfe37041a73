//! One TOML file that names everything a run uses.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::{
    error::{Error, Result},
    method::Preset,
};

/// A run, as its TOML file gives it. Relative paths are relative to that file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Experiment {
    /// Heading of the report.
    #[serde(default = "default_title")]
    pub title: String,
    /// Folder of the results.
    pub out: PathBuf,
    /// Seed of everything that is drawn.
    #[serde(default = "default_seed")]
    pub seed: u64,
    /// `auto`, `cpu`, `cuda`, `cuda:N` or `metal`.
    #[serde(default = "auto")]
    pub device: String,
    /// `auto`, `f32`, `f16` or `bf16`.
    #[serde(default = "auto")]
    pub dtype: String,
    /// Where the tasks come from.
    pub tasks: TaskSource,
    /// Refinement of prompts.
    #[serde(default)]
    pub refine: Refine,
    /// Generation of videos.
    #[serde(default)]
    pub generate: Generate,
    /// Embedding.
    #[serde(default)]
    pub embed: Embed,
    /// Estimation presets.
    #[serde(default = "all_presets")]
    pub presets: Vec<Preset>,
    /// Bootstrap samples of the intervals, at least 2000 to be reported.
    #[serde(default = "default_resamples")]
    pub resamples: usize,
}

/// Where tasks come from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum TaskSource {
    /// A task manifest, or a folder tree of tasks. With latent prompts and videos already there, nothing
    /// is refined or generated.
    File(PathBuf),
    /// The closed world.
    World {
        /// How knowledge is laid out: `realm` or `value`.
        kind: String,
        /// Number of tasks.
        tasks: usize,
    },
}

/// Refinement of prompts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Refine {
    /// What refines: `closed-world`.
    #[serde(default = "closed_world")]
    pub refiner: String,
    /// Latent prompts a task.
    #[serde(default = "ten")]
    pub latents: usize,
}

/// Generation of videos.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Generate {
    /// What generates: `closed-world`.
    #[serde(default = "closed_world")]
    pub generator: String,
    /// Videos a latent prompt.
    #[serde(default = "ten")]
    pub videos: usize,
}

/// Embedding of prompts and videos.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Embed {
    /// Text encoder.
    #[serde(default = "default_text")]
    pub text: String,
    /// Video encoder.
    #[serde(default = "default_video")]
    pub video: String,
    /// Embedding cache; `cache` in the results' folder where not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache: Option<PathBuf>,
    /// Videos a batch.
    #[serde(default = "default_batch")]
    pub batch: usize,
}

fn default_title() -> String {
    "Uncertainty of a video model".to_owned()
}
fn default_seed() -> u64 {
    1
}
fn auto() -> String {
    "auto".to_owned()
}
fn closed_world() -> String {
    "closed-world".to_owned()
}
fn ten() -> usize {
    10
}
fn all_presets() -> Vec<Preset> {
    vec![Preset::Default, Preset::Paper]
}
fn default_resamples() -> usize {
    2000
}
fn default_text() -> String {
    "all-MiniLM-L6-v2".to_owned()
}
fn default_video() -> String {
    "i3d-kinetics-400".to_owned()
}
fn default_batch() -> usize {
    4
}

impl Default for Refine {
    fn default() -> Self {
        Self { refiner: closed_world(), latents: ten() }
    }
}

impl Default for Generate {
    fn default() -> Self {
        Self { generator: closed_world(), videos: ten() }
    }
}

impl Default for Embed {
    fn default() -> Self {
        Self { text: default_text(), video: default_video(), cache: None, batch: default_batch() }
    }
}

impl Experiment {
    /// Reads and checks a file; paths in it become relative to where the program runs.
    ///
    /// # Errors
    ///
    /// An unreadable file, unknown or missing keys, n or m below 2, no preset, no batch.
    pub fn read(path: &Path) -> Result<Self> {
        let text =
            std::fs::read_to_string(path).map_err(|source| Error::Read { path: path.to_owned(), source })?;
        let mut experiment: Self = toml::from_str(&text)
            .map_err(|source| Error::Experiment { path: path.to_owned(), source: Box::new(source) })?;
        let base = path.parent().unwrap_or(Path::new(""));
        experiment.out = base.join(&experiment.out);
        if let TaskSource::File(file) = &mut experiment.tasks {
            *file = base.join(&*file);
        }
        if let Some(cache) = &mut experiment.embed.cache {
            *cache = base.join(&*cache);
        }
        experiment.check()?;
        Ok(experiment)
    }

    /// The experiment that a results' folder was made by, as [`run`](crate::run::run) recorded it; `None` where
    /// the steps were run one by one.
    pub fn read_recorded(out: &Path) -> Result<Option<Self>> {
        let path = out.join("experiment.toml");
        if !path.exists() {
            return Ok(None);
        }
        let text =
            std::fs::read_to_string(&path).map_err(|source| Error::Read { path: path.clone(), source })?;
        let experiment = toml::from_str(&text);
        experiment.map(Some).map_err(|source| Error::Experiment { path, source: Box::new(source) })
    }

    /// Checks the numbers.
    pub fn check(&self) -> Result<()> {
        for (name, value, least) in [
            ("refine.latents", self.refine.latents, 2),
            ("generate.videos", self.generate.videos, 2),
            ("embed.batch", self.embed.batch, 1),
            ("resamples", self.resamples, 1),
            ("presets", self.presets.len(), 1),
        ] {
            if value < least {
                return Err(Error::TooSmall { name, value, least });
            }
        }
        if let TaskSource::World { kind, tasks } = &self.tasks {
            if *tasks < 4 {
                return Err(Error::TooSmall { name: "tasks.world.tasks", value: *tasks, least: 4 });
            }
            // Before a results' folder is made for a world that there is not.
            kind.parse::<squbed_sim::Knowledge>()?;
        }
        Ok(())
    }

    /// The embedding cache's folder.
    pub fn cache(&self) -> PathBuf {
        self.embed.cache.clone().unwrap_or_else(|| self.out.join("cache"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Experiment> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("e.toml");
        std::fs::write(&path, text).unwrap();
        Experiment::read(&path)
    }

    #[test]
    fn a_short_file_means_the_paper_s_sizes() {
        let e = read("out = 'r'\n[tasks.world]\nkind = 'realm'\ntasks = 40\n").unwrap();
        assert_eq!((e.refine.latents, e.generate.videos, e.resamples), (10, 10, 2000));
        assert_eq!(e.presets, [Preset::Default, Preset::Paper]);
        assert!(e.out.ends_with("r") && e.cache().ends_with("r/cache"));
    }

    #[test]
    fn bad_files_are_refused() {
        for (text, part) in [
            ("out = 'r'", "missing field `tasks`"),
            ("out = 'r'\nouts = 1\n[tasks]\nfile = 'x'", "unknown field `outs`"),
            ("out = 'r'\n[tasks]\nfile = 'x'\n[refine]\nlatents = 1", "at least 2"),
            ("out = 'r'\n[tasks.world]\nkind = 'realm'\ntasks = 1", "at least 4"),
        ] {
            let error = read(text).unwrap_err();
            let whole = format!(
                "{error} {}",
                std::error::Error::source(&error).map_or(String::new(), |e| e.to_string())
            );
            assert!(whole.contains(part), "{whole}");
        }
    }
}
