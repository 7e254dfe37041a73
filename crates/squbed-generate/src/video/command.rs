//! A video model that is a program.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use squbed_core::{BoxError, GenerateRequest, VideoGenerator};

/// What fills a template's places beside prompt, seed and file.
#[derive(Clone, Debug, Default)]
pub struct CommandOptions {
    /// What the video must not show.
    pub negative: Option<String>,
    /// Frames of a clip.
    pub frames: Option<u32>,
    /// Frames a second.
    pub fps: Option<f64>,
    /// Longest time of one clip.
    pub timeout: Option<Duration>,
}

/// Runs a command once for each clip, without a shell: each word of the template is one argument, whatever a prompt
/// holds. Both outputs go to a log beside the clip, `gen_video_<k>.log`.
#[derive(Debug)]
pub struct CommandModel {
    template: String,
    words: Vec<String>,
    options: CommandOptions,
}

/// A template that cannot be used.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum TemplateError {
    /// It has no word.
    #[error("the command is empty; write a program and its arguments, with {{prompt}}, {{seed}} and {{out}}")]
    Empty,
    /// A quote is not closed, or a backslash stands last.
    #[error("the command ends within {within}; close it")]
    Open {
        /// What is open.
        within: &'static str,
    },
    /// A place that a model needs is not there.
    #[error("the command has no {{{place}}}: {why}")]
    Lacks {
        /// The place.
        place: &'static str,
        /// What it is for.
        why: &'static str,
    },
    /// A place that there is not.
    #[error(
        "the command has {{{place}}}; there are {{prompt}}, {{seed}}, {{out}}, {{negative}}, {{frames}} and {{fps}}"
    )]
    Unknown {
        /// The place.
        place: String,
    },
    /// A place without a value.
    #[error("the command has {{{place}}}, and no value is given for it; use --{place}")]
    NoValue {
        /// The place.
        place: String,
    },
    /// The program's own name has a place.
    #[error("the command's first word is its program; it cannot hold {{…}}")]
    Program,
}

/// Why a command made no clip.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// It does not start.
    #[error("cannot start `{program}`")]
    Start {
        /// The program.
        program: String,
        /// What the system says.
        source: io::Error,
    },
    /// It ended with an error.
    #[error("`{program}` ended with {status}; see {log}", log = log.display())]
    Ended {
        /// The program.
        program: String,
        /// How it ended.
        status: ExitStatus,
        /// Its log.
        log: PathBuf,
    },
    /// It took too long and was stopped.
    #[error("`{program}` was stopped after {seconds} s; see {log}", log = log.display())]
    TimedOut {
        /// The program.
        program: String,
        /// The limit.
        seconds: f64,
        /// Its log.
        log: PathBuf,
    },
    /// The log cannot be written, or the command not be waited for.
    #[error("cannot write {log}", log = log.display())]
    Log {
        /// The log.
        log: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

impl CommandModel {
    /// A template such as `python make.py --prompt={prompt} --seed={seed} --out={out}`. Quotes and backslashes group words
    /// as a shell's do; nothing else of a shell is there.
    ///
    /// # Errors
    ///
    /// A template without `{prompt}`, `{seed}` or `{out}`, with a place that is unknown or has no value.
    pub fn new(template: &str, options: CommandOptions) -> Result<Self, TemplateError> {
        let words = split(template)?;
        let program = words.first().ok_or(TemplateError::Empty)?;
        if places(program).next().is_some() {
            return Err(TemplateError::Program);
        }
        for place in words.iter().flat_map(|word| places(word)) {
            let given = match place {
                "prompt" | "seed" | "out" => true,
                "negative" => options.negative.is_some(),
                "frames" => options.frames.is_some(),
                "fps" => options.fps.is_some(),
                _ => return Err(TemplateError::Unknown { place: place.to_owned() }),
            };
            if !given {
                return Err(TemplateError::NoValue { place: place.to_owned() });
            }
        }
        for (place, why) in [
            ("prompt", "the model would not know what to show"),
            ("seed", "all samples of a prompt would be the same"),
            ("out", "the model would not know where to write"),
        ] {
            if !words.iter().flat_map(|word| places(word)).any(|other| other == place) {
                return Err(TemplateError::Lacks { place, why });
            }
        }
        Ok(Self { template: template.to_owned(), words, options })
    }

    fn fill(&self, word: &str, request: &GenerateRequest<'_>) -> std::ffi::OsString {
        let mut filled = std::ffi::OsString::new();
        let mut rest = word;
        // What is put in is not looked at again, so a prompt that holds `{seed}` keeps it.
        while let Some((before, place, after)) = next_place(rest) {
            filled.push(before);
            match place {
                "prompt" => filled.push(request.prompt),
                "seed" => filled.push(request.seed.to_string()),
                "out" => filled.push(request.out),
                "negative" => filled.push(self.options.negative.as_deref().unwrap_or("")),
                "frames" => filled.push(self.options.frames.map(|n| n.to_string()).unwrap_or_default()),
                _ => filled.push(self.options.fps.map(|n| n.to_string()).unwrap_or_default()),
            }
            rest = after;
        }
        filled.push(rest);
        filled
    }

    fn wait(&self, child: &mut Child) -> io::Result<Option<ExitStatus>> {
        let begin = Instant::now();
        let mut pause = Duration::from_millis(1);
        loop {
            if let Some(status) = child.try_wait()? {
                return Ok(Some(status));
            }
            if self.options.timeout.is_some_and(|limit| begin.elapsed() >= limit) {
                stop(child);
                return Ok(None);
            }
            thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(200));
        }
    }
}

impl VideoGenerator for CommandModel {
    fn describe(&self) -> String {
        let mut text = format!("command `{}`", self.template);
        if let Some(negative) = &self.options.negative {
            text.push_str(&format!(", negative “{negative}”"));
        }
        if let Some(frames) = self.options.frames {
            text.push_str(&format!(", {frames} frames"));
        }
        if let Some(fps) = self.options.fps {
            text.push_str(&format!(", {fps} fps"));
        }
        text
    }

    fn generate(&self, request: &GenerateRequest<'_>) -> Result<(), BoxError> {
        let program = self.words[0].clone();
        let log = log_of(request.out);
        let refused = |source| CommandError::Log { log: log.clone(), source };
        let mut file = OpenOptions::new().create(true).append(true).open(&log).map_err(refused)?;
        writeln!(file, "== seed {}", request.seed).map_err(refused)?;
        let mut command = Command::new(&program);
        command.args(self.words[1..].iter().map(|word| self.fill(word, request))).stdin(Stdio::null());
        let clone = |file: &File| file.try_clone().map_err(refused);
        command.stdout(clone(&file)?).stderr(clone(&file)?);
        // A group of its own, so that what it starts is stopped with it.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let mut child =
            command.spawn().map_err(|source| CommandError::Start { program: program.clone(), source })?;
        match self.wait(&mut child).map_err(refused)? {
            Some(status) if status.success() => Ok(()),
            Some(status) => Err(CommandError::Ended { program, status, log }.into()),
            None => {
                let seconds = self.options.timeout.unwrap_or_default().as_secs_f64();
                Err(CommandError::TimedOut { program, seconds, log }.into())
            }
        }
    }
}

/// `.gen_video_3.77.part.mp4` and `gen_video_3.mp4` both log to `gen_video_3.log`.
fn log_of(out: &Path) -> PathBuf {
    let name = out.file_name().unwrap_or_default().to_string_lossy();
    let stem = name.trim_start_matches('.').split('.').next().unwrap_or("video");
    out.with_file_name(format!("{stem}.log"))
}

fn stop(child: &mut Child) {
    #[cfg(unix)]
    if let Ok(group) = libc::pid_t::try_from(child.id()) {
        // SAFETY: it takes two numbers and touches no memory. The group is the child's own, which has not been waited
        // for, so that no other process can have its number.
        unsafe { libc::kill(-group, libc::SIGKILL) };
    }
    let _ = child.kill();
    let _ = child.wait();
}

/// The next `{name}` of a word, with what stands before and behind it.
fn next_place(word: &str) -> Option<(&str, &str, &str)> {
    let mut from = 0;
    loop {
        let open = from + word[from..].find('{')?;
        let close = open + word[open..].find('}')?;
        let name = &word[open + 1..close];
        if !name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_') {
            return Some((&word[..open], name, &word[close + 1..]));
        }
        // Braces of other kinds, such as JSON's, are text.
        from = open + 1;
    }
}

fn places(word: &str) -> impl Iterator<Item = &str> {
    let mut rest = word;
    std::iter::from_fn(move || {
        let (_, place, after) = next_place(rest)?;
        rest = after;
        Some(place)
    })
}

/// Words of a template: blanks part them, quotes and backslashes hold them together.
fn split(template: &str) -> Result<Vec<String>, TemplateError> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    let mut letters = template.chars();
    while let Some(letter) = letters.next() {
        match (quote, letter) {
            (Some(open), _) if letter == open => quote = None,
            (None, '\'' | '"') => {
                quote = Some(letter);
                word.get_or_insert_default();
            }
            (None | Some('"'), '\\') => {
                let next = letters.next().ok_or(TemplateError::Open { within: "a backslash" })?;
                word.get_or_insert_default().push(next);
            }
            (None, blank) if blank.is_whitespace() => words.extend(word.take()),
            _ => word.get_or_insert_default().push(letter),
        }
    }
    if quote.is_some() {
        return Err(TemplateError::Open { within: "a quote" });
    }
    words.extend(word);
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_parted_as_a_shell_parts_them() {
        let words = |text| split(text).unwrap();
        assert_eq!(words(" a  'b c' \"d \\\" e\"f \\g '' "), ["a", "b c", "d \" ef", "g", ""]);
        assert_eq!(words("x $HOME `y` ;z"), ["x", "$HOME", "`y`", ";z"]);
        assert_eq!(split("a 'b"), Err(TemplateError::Open { within: "a quote" }));
        assert_eq!(split("a \\"), Err(TemplateError::Open { within: "a backslash" }));
    }

    #[test]
    fn a_prompt_is_one_argument_whatever_it_holds() {
        let template = r#"p --prompt={prompt} {seed}:{out} '{"a": {seed}}'"#;
        let model = CommandModel::new(template, CommandOptions::default()).unwrap();
        let prompt = "a \"cat\"; rm -rf $(HOME) {seed} '\n`x`";
        let request = GenerateRequest { prompt, seed: 7, out: Path::new("o.mp4") };
        let filled: Vec<_> = model.words[1..].iter().map(|word| model.fill(word, &request)).collect();
        assert_eq!(filled, [&*format!("--prompt={prompt}"), "7:o.mp4", "{\"a\": 7}"]);
    }

    #[test]
    fn templates_that_cannot_work_are_refused() {
        let new = |text: &str| CommandModel::new(text, CommandOptions::default()).unwrap_err().to_string();
        for (template, part) in [
            ("", "is empty"),
            ("p {prompt} {out}", "has no {seed}"),
            ("p {prompt} {seed}", "has no {out}"),
            ("p {seed} {out}", "has no {prompt}"),
            ("p {prompt} {seed} {out} {size}", "has {size}"),
            ("p {prompt} {seed} {out} {fps}", "use --fps"),
            ("{prompt} {seed} {out}", "first word"),
        ] {
            assert!(new(template).contains(part), "{template}: {}", new(template));
        }
    }
}
