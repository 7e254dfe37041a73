//! One TOML file that names everything a run uses.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use serde::{Deserialize, Serialize};
use squbed_video::Limits;

use crate::{
    error::{Error, Result},
    method::Preset,
    score::Measure,
};

/// The experiment's record in its results' folder.
pub const EXPERIMENT: &str = "experiment.toml";

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
    /// Accuracy.
    #[serde(default)]
    pub score: Score,
    /// What a video may cost.
    #[serde(default)]
    pub limits: VideoLimits,
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

/// What one video may cost; one beyond it fails, and the run goes on without it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct VideoLimits {
    /// Pixels of a frame.
    pub pixels: usize,
    /// Frames of the file.
    pub frames: usize,
    /// Seconds that it lasts.
    pub duration_seconds: f64,
    /// Seconds that the work on it may take.
    pub time_seconds: f64,
}

/// Accuracy of the generated videos.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Score {
    /// The metrics, as [`Measure`] names them; the first is the primary one.
    #[serde(default = "default_metrics")]
    pub metrics: Vec<String>,
    /// Model of the CLIP metrics.
    #[serde(default = "default_clip")]
    pub clip: String,
}

/// The metrics where none are named: those that need no weights beside the video encoder's.
pub const DEFAULT_METRICS: [&str; 3] = ["cosine", "ssim", "psnr"];

/// The model of the CLIP metrics where none is named.
pub const DEFAULT_CLIP: &str = "clip-vit-base-patch32";

fn default_metrics() -> Vec<String> {
    DEFAULT_METRICS.map(str::to_owned).to_vec()
}
fn default_clip() -> String {
    DEFAULT_CLIP.to_owned()
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

impl Default for Score {
    fn default() -> Self {
        Self { metrics: default_metrics(), clip: default_clip() }
    }
}

impl Score {
    /// The metrics by their type.
    ///
    /// # Errors
    ///
    /// A metric that there is not.
    pub fn measures(&self) -> Result<Vec<Measure>> {
        self.metrics.iter().map(|name| name.parse()).collect()
    }
}

impl Default for VideoLimits {
    fn default() -> Self {
        Limits::default().into()
    }
}

impl From<Limits> for VideoLimits {
    fn from(limits: Limits) -> Self {
        Self {
            pixels: limits.pixels,
            frames: limits.frames,
            duration_seconds: limits.duration_seconds,
            time_seconds: limits.time.as_secs_f64(),
        }
    }
}

/// The longest limit of time, a century, which is none any more; the shortest is a millisecond.
pub const MOST_SECONDS: f64 = 100.0 * 365.0 * 24.0 * 3600.0;

impl VideoLimits {
    /// As the decoder takes them.
    pub fn get(&self) -> Limits {
        Limits {
            pixels: self.pixels,
            frames: self.frames,
            duration_seconds: self.duration_seconds,
            time: Duration::try_from_secs_f64(self.time_seconds).unwrap_or(Duration::MAX),
            ..Limits::default()
        }
    }

    fn check(&self) -> Result<()> {
        for (name, value) in
            [("limits.duration_seconds", self.duration_seconds), ("limits.time_seconds", self.time_seconds)]
        {
            if !(0.001..=MOST_SECONDS).contains(&value) {
                return Err(Error::OutOfRange { name, value, least: 0.001, most: MOST_SECONDS });
            }
        }
        Ok(())
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
    ///
    /// # Errors
    ///
    /// A record that cannot be read or is damaged: whose results the folder holds is not known then.
    pub fn read_recorded(out: &Path) -> Result<Option<Self>> {
        let path = out.join(EXPERIMENT);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(Error::Record { path, source: source.into() }),
        };
        let experiment = toml::from_str(&text);
        experiment.map(Some).map_err(|source| Error::Record { path, source: source.into() })
    }

    /// As it is recorded: with the path of its tasks in full, and `dtype` in the place of `auto`.
    pub(crate) fn resolved(&self, dtype: &str) -> Self {
        let mut resolved = Self { dtype: dtype.to_owned(), ..self.clone() };
        if let TaskSource::File(path) = &mut resolved.tasks {
            // What does not exist is told where it is read.
            *path = path.canonicalize().unwrap_or_else(|_| path.clone());
        }
        resolved
    }

    /// The first option that changes what the files of a results' folder hold and that differs in `now`.
    pub(crate) fn difference(&self, now: &Self) -> Option<String> {
        let source = |tasks: &TaskSource| match tasks {
            TaskSource::File(path) => format!("file {}", path.display()),
            TaskSource::World { kind, tasks } => format!("world {kind} of {tasks}"),
        };
        let options = |e: &Self| {
            [
                ("tasks", source(&e.tasks)),
                ("seed", e.seed.to_string()),
                ("dtype", e.dtype.clone()),
                ("refine.refiner", e.refine.refiner.clone()),
                ("refine.latents", e.refine.latents.to_string()),
                ("generate.generator", e.generate.generator.clone()),
                ("generate.videos", e.generate.videos.to_string()),
                ("embed.text", e.embed.text.clone()),
                ("embed.video", e.embed.video.clone()),
            ]
        };
        let differing = options(self).into_iter().zip(options(now)).find(|(there, here)| there.1 != here.1);
        if let Some(((name, there), (_, here))) = differing {
            return Some(format!("{name} was {there} and is {here} now"));
        }
        let dropped = self.presets.iter().find(|p| !now.presets.contains(p))?;
        Some(format!("presets had {dropped}, whose results stand there"))
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
        self.limits.check()?;
        self.score.measures()?;
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
    fn limits_of_videos_are_the_decoder_s_where_they_are_not_given() {
        let world = "out = 'r'\ntasks = { world = { kind = 'realm', tasks = 4 } }\n";
        assert_eq!(read(world).unwrap().limits.get(), Limits::default());
        let given = read(&format!("{world}limits = {{ frames = 100, time_seconds = 2.5 }}")).unwrap().limits;
        let expected = Limits { frames: 100, time: Duration::from_millis(2500), ..Limits::default() };
        assert_eq!(given.get(), expected);
    }

    #[test]
    fn bad_files_are_refused() {
        for (text, part) in [
            ("out = 'r'", "missing field `tasks`"),
            ("out = 'r'\nouts = 1\n[tasks]\nfile = 'x'", "unknown field `outs`"),
            ("out = 'r'\n[tasks]\nfile = 'x'\n[refine]\nlatents = 1", "at least 2"),
            ("out = 'r'\n[tasks.world]\nkind = 'realm'\ntasks = 1", "at least 4"),
            ("out = 'r'\n[tasks]\nfile = 'x'\n[limits]\ntime_seconds = nan", "limits.time_seconds"),
            ("out = 'r'\n[tasks]\nfile = 'x'\n[limits]\nduration_seconds = 0.0", "at least 0.001"),
            ("out = 'r'\n[tasks]\nfile = 'x'\n[limits]\nseconds = 1", "unknown field `seconds`"),
        ] {
            let error = read(text).unwrap_err();
            let whole = format!(
                "{error} {}",
                std::error::Error::source(&error).map_or(String::new(), |e| e.to_string())
            );
            assert!(whole.contains(part), "{whole}");
        }
    }

    #[test]
    fn only_what_changes_results_makes_another_experiment() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::create_dir(path("sub")).unwrap();
        std::fs::write(path("tasks.jsonl"), "").unwrap();
        std::fs::write(path("e.toml"), "out = 'r'\ntasks = { file = 'tasks.jsonl' }\npresets = ['paper']")
            .unwrap();
        let first = Experiment::read(&path("e.toml")).unwrap().resolved("f32");
        // Another spelling, title, device, cache, batch, limits and a further preset.
        let mut second = Experiment::read(&path("e.toml")).unwrap();
        second.tasks = TaskSource::File(path("sub/../tasks.jsonl"));
        second.title = "Another".to_owned();
        second.device = "cpu".to_owned();
        second.embed.batch = 1;
        second.embed.cache = Some(path("c"));
        second.limits.frames = 1;
        second.presets.push(Preset::Default);
        assert_eq!(first.difference(&second.resolved("f32")), None);

        let told = |now: &Experiment, dtype| first.difference(&now.resolved(dtype)).unwrap();
        assert_eq!(told(&second, "bf16"), "dtype was f32 and is bf16 now");
        assert_eq!(told(&Experiment { seed: 2, ..second.clone() }, "f32"), "seed was 1 and is 2 now");
        second.presets = vec![Preset::Default];
        assert_eq!(told(&second, "f32"), "presets had paper, whose results stand there");
        std::fs::write(path("other.jsonl"), "").unwrap();
        second.tasks = TaskSource::File(path("other.jsonl"));
        assert!(told(&second, "f32").starts_with("tasks was file "));
    }

    #[test]
    fn a_damaged_record_is_refused_with_the_remedy_and_kept() {
        let folder = tempfile::tempdir().unwrap();
        let record = folder.path().join(EXPERIMENT);
        for damaged in [&b"out = 'r'\n[tasks"[..], b"\xff\xfe"] {
            std::fs::write(&record, damaged).unwrap();
            let error = Experiment::read_recorded(folder.path()).unwrap_err();
            assert!(error.to_string().contains("experiment.toml"), "{error}");
            assert!(error.hint().unwrap().contains("remove it"), "{error}");
            assert_eq!(std::fs::read(&record).unwrap(), damaged);
        }
    }
}
