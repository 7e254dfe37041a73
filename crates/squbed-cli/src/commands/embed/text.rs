//! `squbed embed text`.

use std::{
    fs,
    io::Read,
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};
use clap::Args;
use squbed::{
    embed::{tell_cut, to_rows},
    models::{Modality, ModelStore},
    progress::Progress,
};

use super::{
    Encoder,
    inputs::{Kind, STDIN, expand},
};
use crate::{Common, Done, progress::Bars};

/// Texts embedded before the progress moves.
const STEP: usize = 1024;

#[derive(Args)]
pub(crate) struct Text {
    #[command(flatten)]
    pub(super) encoder: Encoder,
    /// Files of sentences, in the order of the output's rows; see below. Stdin where there is none.
    #[arg(value_name = "FILE", conflicts_with = "tensor")]
    files: Vec<PathBuf>,
    /// Each line is a JSON string, so that any text can be carried.
    #[arg(long, conflicts_with = "tensor")]
    json_lines: bool,
    /// Mask of the token ids, [B,L]: 1 for a token, 0 for padding, at least one token a row.
    #[arg(long, requires = "tensor")]
    mask: Option<PathBuf>,
}

impl Text {
    pub(super) fn run(self, common: &Common) -> anyhow::Result<Done> {
        if let Some(tensor) = &self.encoder.tensor {
            return self.encoder.embed_tensor(tensor, self.mask.as_deref(), Modality::Text, common);
        }
        let texts = self.texts()?;
        let (device, dtype) = crate::commands::place(common)?;
        let name = self.encoder.name()?;
        let encoder = ModelStore::new(None)
            .and_then(|store| store.text_encoder(name, &device, dtype))
            .map_err(squbed::Error::from)?;
        let bars = Bars::new(common.quiet);
        let all: Vec<&str> = texts.iter().map(String::as_str).collect();
        let cut = encoder.characters_cut(&all).map_err(squbed::Error::from)?;
        tell_cut(encoder.identity(), &all, &cut, &bars);
        bars.begin("embed", texts.len() as u64, "sentences");
        let mut rows = Vec::with_capacity(texts.len());
        for step in texts.chunks(STEP) {
            let step: Vec<&str> = step.iter().map(String::as_str).collect();
            let embedded = to_rows(&encoder.embed(&step).map_err(squbed::Error::from)?)?;
            rows.extend(embedded.into_iter().map(Some));
            bars.advance(step.len() as u64);
        }
        bars.end();
        self.encoder.write(encoder.identity(), &texts, &rows, None)?;
        Ok(Done::Whole)
    }

    /// The sentences of all inputs.
    fn texts(&self) -> anyhow::Result<Vec<String>> {
        let stdin = [PathBuf::from(STDIN)];
        let files = if self.files.is_empty() { &stdin[..] } else { &self.files };
        let mut texts = Vec::new();
        for file in files {
            if file.as_os_str() == STDIN {
                let mut input = String::new();
                std::io::stdin().read_to_string(&mut input).context("stdin is not UTF-8 text")?;
                texts.extend(self.sentences(&input, "stdin")?);
                continue;
            }
            for path in expand(std::slice::from_ref(file), Kind::Texts)? {
                let input = read(&path)?;
                texts.extend(self.sentences(&input, &path.display().to_string())?);
            }
        }
        if texts.is_empty() {
            let of = if self.files.is_empty() { "stdin holds" } else { "the files hold" };
            bail!("{of} no text; give one sentence a line");
        }
        Ok(texts)
    }

    fn sentences(&self, input: &str, source: &str) -> anyhow::Result<Vec<String>> {
        if !self.json_lines {
            return Ok(input.lines().map(str::to_owned).collect());
        }
        let string = |(i, line): (usize, &str)| {
            serde_json::from_str(line).with_context(|| format!("{source}, line {}: not a JSON string", i + 1))
        };
        input.lines().enumerate().map(string).collect()
    }
}

fn read(path: &Path) -> anyhow::Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read {} as UTF-8 text", path.display()))
}
