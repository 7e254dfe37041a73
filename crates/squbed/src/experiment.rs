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
pub use crate::{generator::Generate, refiner::Refine};

/// The experiment's record in its results' folder.
pub const EXPERIMENT: &str = "experiment.toml";

/// An experiment to begin with: every key, with what it is and its default.
pub const EXAMPLE: &str = include_str!("example.toml");

/// A run, as its TOML file gives it. Relative paths are relative to that file; `~/` is the user's folder.
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
        let from_base = |path: &Path| base.join(squbed_files::expand_home(path));
        experiment.out = from_base(&experiment.out);
        if let TaskSource::File(file) = &mut experiment.tasks {
            *file = from_base(file);
        }
        if let Some(cache) = &mut experiment.embed.cache {
            *cache = from_base(cache);
        }
        experiment.refine.place_paths(from_base);
        experiment.generate.place_paths(from_base);
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

    /// As it is recorded: with the paths of its tasks and of what refines and generates in full, and `dtype` in the place of `auto`.
    pub(crate) fn resolved(&self, dtype: &str) -> Self {
        let mut resolved = Self { dtype: dtype.to_owned(), ..self.clone() };
        // What does not exist is told where it is read.
        let in_full = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
        if let TaskSource::File(path) = &mut resolved.tasks {
            *path = in_full(path);
        }
        resolved.refine.place_paths(in_full);
        resolved.generate.place_paths(in_full);
        resolved
    }

    /// The first option that changes what the files of a results' folder hold and that differs in `now`.
    pub(crate) fn difference(&self, now: &Self) -> Option<String> {
        let source = |tasks: &TaskSource| match tasks {
            TaskSource::File(path) => format!("file {}", path.display()),
            TaskSource::World { kind, tasks } => format!("world {kind} of {tasks}"),
        };
        let options = |e: &Self| {
            let mut options = vec![
                ("tasks", source(&e.tasks)),
                ("seed", e.seed.to_string()),
                ("dtype", e.dtype.clone()),
                ("embed.text", e.embed.text.clone()),
                ("embed.video", e.embed.video.clone()),
            ];
            options.extend(e.refine.deciding());
            options.extend(e.generate.deciding());
            options
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
        ] {
            if value < least {
                return Err(Error::TooSmall { name, value, least });
            }
        }
        self.refine.check()?;
        self.generate.check()?;
        self.limits.check()?;
        if self.presets.is_empty() {
            return Err(Error::NoPreset);
        }
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
    use crate::refiner::RefinerKind;

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
        let section = |name: &str, keys: &str| format!("out = 'r'\n[tasks]\nfile = 'x'\n[{name}]\n{keys}\n");
        let refine = |keys: &str| section("refine", keys);
        let generate = |keys: &str| section("generate", keys);
        for (text, part) in [
            ("out = 'r'", "missing field `tasks`"),
            ("out = 'r'\nouts = 1\n[tasks]\nfile = 'x'", "unknown field `outs`"),
            ("out = 'r'\n[tasks]\nfile = 'x'\n[refine]\nlatents = 1", "at least 2"),
            (
                "out = 'r'\n[tasks.world]\nkind = 'realm'\ntasks = 1",
                "tasks.world.tasks is 1; it must be at least 4",
            ),
            ("out = 'r'\npresets = []\n[tasks]\nfile = 'x'", "presets is empty"),
            ("out = 'r'\n[tasks]\nfile = 'x'\n[limits]\ntime_seconds = nan", "limits.time_seconds"),
            ("out = 'r'\n[tasks]\nfile = 'x'\n[limits]\nduration_seconds = 0.0", "at least 0.001"),
            ("out = 'r'\n[tasks]\nfile = 'x'\n[limits]\nseconds = 1", "unknown field `seconds`"),
            (&refine("refiner = 'gpt'"), "unknown variant `gpt`"),
            (&refine("temprature = 1.0"), "unknown field `temprature`"),
            (
                &refine("temperature = 0.5"),
                "`temperature` is given, and the refiner closed-world does not read it",
            ),
            (&refine("refiner = 'file'"), "the refiner file needs `file`"),
            (&refine("refiner = 'server'"), "the refiner server needs `server`"),
            (&refine("refiner = 'server'\nserver = 'http://u:p@h/v1'"), "not into the address"),
            (
                &refine("refiner = 'server'\nserver = 'http://h/v1'\nkey_env = 'sk-12'"),
                "`key_env` is no name",
            ),
            (&refine("refiner = 'llm'\ntop_p = 2.0"), "top_p"),
            (&generate("generator = 'command'"), "the generator command needs `command`"),
            (&generate("generator = 'command'\ncommand = 'x {out} {seed}'"), "no {prompt}"),
            (
                &generate("generator = 'folder'\nfrom = 'c'\nparallel = 2"),
                "the generator folder does not read it",
            ),
            (
                &generate("generator = 'server'\nserver = 'http://h/v1'"),
                "the generator server needs `video_model`",
            ),
            (&generate("retries = 1"), "the generator closed-world does not read it"),
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
    fn the_example_has_every_key_with_its_default() {
        read(EXAMPLE).unwrap();
        // What a section may hold is what serde names when it meets something else.
        for section in ["", "[tasks]", "[refine]", "[generate]", "[embed]", "[score]", "[limits]"] {
            let unknown =
                if section == "[tasks]" { "tasks.zzz = 1".to_owned() } else { format!("{section}\nzzz = 1") };
            let error = toml::from_str::<Experiment>(&unknown).unwrap_err().to_string();
            let keys: Vec<&str> =
                error.split("expected").nth(1).unwrap().split('`').skip(1).step_by(2).collect();
            assert!(keys.len() > 1, "{section}: {error}");
            for key in keys {
                let line = |l: &str| {
                    l.trim_start_matches("# ").starts_with(&format!("{key} = ")) || l == format!("[{key}]")
                };
                assert!(EXAMPLE.lines().any(line), "{section} {key} is not in the example");
            }
        }
        // Every line that is left out, put in, is read, and changes nothing where it states a default.
        let of_section = |name: &str| -> String {
            let begin = EXAMPLE.find(&format!("\n[{name}]\n")).unwrap() + name.len() + 4;
            let end = EXAMPLE[begin..].find("\n[").map_or(EXAMPLE.len(), |end| begin + end);
            let lines = EXAMPLE[begin..end].lines().map(|l| l.strip_prefix("# ").unwrap_or(l));
            lines
                .filter(|l| l.split_once(" = ").is_some_and(|(key, _)| !key.contains(' ')))
                .map(|l| format!("{l}\n"))
                .collect()
        };
        let _: Refine = toml::from_str(&of_section("refine")).unwrap();
        let _: Generate = toml::from_str(&of_section("generate")).unwrap();
        let score: Score = toml::from_str(&of_section("score")).unwrap();
        assert_eq!(score, Score::default());
        let limits: VideoLimits = toml::from_str(&of_section("limits")).unwrap();
        assert_eq!(limits, VideoLimits::default());
        let embed: Embed = toml::from_str(&of_section("embed")).unwrap();
        assert_eq!(Embed { cache: None, ..embed }, Embed::default());
    }

    #[test]
    fn a_tilde_is_the_user_s_folder() {
        let e = read("out = '~/r'\ntasks = { file = '~/t.jsonl' }\n[embed]\ncache = '~c'\n").unwrap();
        let home = std::env::home_dir().unwrap();
        assert_eq!((e.out, e.tasks), (home.join("r"), TaskSource::File(home.join("t.jsonl"))));
        // Only with a slash: another user's folder is not looked for.
        assert!(e.embed.cache.unwrap().ends_with("~c"));
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
        let mut third = first.clone();
        third.refine.concurrency = Some(2);
        third.refine.timeout = Some(9);
        third.refine.token_cap = Some(9);
        third.refine.key_env = Some("MINE".to_owned());
        third.generate.parallel = Some(2);
        third.generate.timeout = Some(9);
        third.generate.retries = Some(0);
        third.generate.price_per_hour = Some(1.0);
        third.generate.key_env = Some("MINE".to_owned());
        assert_eq!(first.difference(&third), None);
        third.refine.refiner = RefinerKind::Llm;
        assert_eq!(told(&third, "f32"), "refine.refiner was closed-world and is llm now");
        let mut fourth = third.clone();
        fourth.refine.temperature = Some(1.0);
        assert_eq!(third.difference(&fourth), None, "a default that is written down");
        fourth.refine.temperature = Some(0.5);
        assert_eq!(third.difference(&fourth).unwrap(), "refine.temperature was 1 and is 0.5 now");
        third.generate.command = Some("a".to_owned());
        fourth.refine.temperature = None;
        assert_eq!(third.difference(&fourth).unwrap(), "generate.command was a and is none now");
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
