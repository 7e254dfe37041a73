//! `squbed models`: encoders that are known, and their weights.

use anyhow::bail;
use clap::{Args, Subcommand};
use serde::Serialize;
use squbed::{
    models::{FetchOptions, Fetched, FileState, ModelStore, Progress as Fetching},
    progress::Progress,
};

use crate::{Common, Done, output::Records, progress::Bars};

#[derive(Subcommand)]
pub(crate) enum Models {
    /// Every known model, and whether its weights are here.
    List,
    /// Bring weights here and verify them; those that are here already are left alone.
    Fetch(Fetch),
    /// Compare the weights that are here with their digests.
    Verify(Names),
}

#[derive(Args)]
pub(crate) struct Names {
    /// Models; all known ones where none is given.
    names: Vec<String>,
}

#[derive(Args)]
pub(crate) struct Fetch {
    #[command(flatten)]
    names: Names,
    /// Take the files from this folder, or from the archive they come in, and from nowhere else.
    #[arg(long)]
    from: Option<std::path::PathBuf>,
    /// Fetch even what is complete.
    #[arg(long)]
    force: bool,
    /// Leave the network alone.
    #[arg(long)]
    offline: bool,
}

#[derive(Serialize)]
struct ModelRow {
    name: String,
    architecture: String,
    present: bool,
    megabytes: Option<f64>,
    licence: String,
    digests: &'static str,
    folder: String,
}

#[derive(Serialize)]
struct FileRow {
    model: String,
    file: String,
    state: String,
}

impl Models {
    pub(crate) fn run(self, common: &Common) -> anyhow::Result<Done> {
        let store = ModelStore::new(None).map_err(squbed::Error::from)?;
        match self {
            Self::List => list(&store, common),
            Self::Fetch(fetch) => fetch.run(&store, common),
            Self::Verify(names) => names.verify(&store, common),
        }
    }
}

fn list(store: &ModelStore, common: &Common) -> anyhow::Result<Done> {
    let rows: Vec<ModelRow> = store
        .list()
        .into_iter()
        .map(|s| ModelRow {
            name: s.name,
            architecture: s.architecture.to_string(),
            present: s.present,
            megabytes: s.size.map(|bytes| (bytes as f64 / 1e5).round() / 10.0),
            licence: s.licence,
            digests: if s.pinned { "pinned" } else { "unverified" },
            folder: s.folder.display().to_string(),
        })
        .collect();
    Records::list(&rows)?.print(common.format)?;
    Ok(Done::Whole)
}

impl Names {
    fn resolve(&self, store: &ModelStore) -> Vec<String> {
        if self.names.is_empty() {
            store.manifests().map(|m| m.name.clone()).collect()
        } else {
            self.names.clone()
        }
    }

    fn verify(&self, store: &ModelStore, common: &Common) -> anyhow::Result<Done> {
        let mut rows = Vec::new();
        let mut bad = Vec::new();
        for name in self.resolve(store) {
            for report in store.verify(&name).map_err(squbed::Error::from)? {
                let state = match report.state {
                    FileState::Verified => "verified".to_owned(),
                    FileState::Unverified(sha256) => format!("unverified, sha256 {sha256}"),
                    FileState::Missing => "missing".to_owned(),
                    FileState::Damaged(sha256) => format!("damaged, sha256 {sha256}"),
                };
                if (state == "missing" || state.starts_with("damaged")) && !bad.contains(&name) {
                    bad.push(name.clone());
                }
                rows.push(FileRow { model: name.clone(), file: report.path.display().to_string(), state });
            }
        }
        Records::list(&rows)?.print(common.format)?;
        if !bad.is_empty() {
            bail!("{} is not intact; run `squbed models fetch --force {}`", bad.join(", "), bad.join(" "));
        }
        Ok(Done::Whole)
    }
}

impl Fetch {
    fn run(self, store: &ModelStore, common: &Common) -> anyhow::Result<Done> {
        let names = self.names.resolve(store);
        let options = FetchOptions {
            from: self.from,
            force: self.force,
            offline: self.offline || FetchOptions::default().offline,
            ..FetchOptions::default()
        };
        let bars = Bars::new(common.quiet);
        for name in names {
            let mut current = String::new();
            let mut seen = 0;
            let mut listen = |event: Fetching<'_>| match event {
                Fetching::Waiting => bars.note(&format!("{name}: another process fetches it; waiting")),
                Fetching::Trying { source } => bars.note(&format!("{name}: trying {source}")),
                Fetching::Bytes { file, done, total } => {
                    if current != file {
                        current = file.to_owned();
                        seen = 0;
                        bars.begin(file, total.unwrap_or(0), "bytes");
                    }
                    bars.advance(done.saturating_sub(seen));
                    seen = done;
                }
                Fetching::Converting { file } => bars.note(&format!("{name}: converting to {file}")),
                Fetching::Failed { source, error } => bars.note(&format!("{name}: {source} failed: {error}")),
                _ => {}
            };
            let fetched = store.fetch(&name, &options, &mut listen).map_err(squbed::Error::from)?;
            bars.end();
            let folder = store.folder(&name);
            bars.note(&match fetched {
                Fetched::Present => format!("{name}: present and verified in {}", folder.display()),
                Fetched::From(source) => format!("{name}: fetched from {source} into {}", folder.display()),
            });
        }
        Ok(Done::Whole)
    }
}
