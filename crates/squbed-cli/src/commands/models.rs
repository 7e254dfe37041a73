//! `squbed models`: encoders that are known, and their weights.

use std::path::PathBuf;

use anyhow::bail;
use clap::{Args, Subcommand};
use serde::Serialize;
use squbed::{
    core::causes,
    models::{
        FetchOptions, Fetched, FileState, ModelStore, Progress as Fetching, bundled_models, fetch_remedy,
        read_checkpoint, tensors_of,
    },
    progress::Progress,
};

use crate::{
    Common, Done,
    output::{Records, tell},
    progress::Bars,
};

#[derive(Subcommand)]
pub(crate) enum Models {
    /// Every known model, and whether its weights are here.
    List,
    /// Bring weights here and verify them; those that are here already are left alone.
    Fetch(Fetch),
    /// Compare the weights that are here with their digests: verified, damaged, missing, or unverified where the
    /// publisher gives none.
    Verify(Names),
    /// Copy models, verified, to a new folder, with the text that says how to install them and build the
    /// program on a machine without network.
    Bundle(Bundle),
    /// Bring published weights to one safetensors file, and list their tensors.
    Convert(Convert),
}

#[derive(Args)]
pub(crate) struct Bundle {
    /// The folder, which must be new or empty.
    folder: PathBuf,
    #[command(flatten)]
    names: Names,
}

#[derive(Args)]
pub(crate) struct Convert {
    /// A checkpoint of PyTorch (zip or legacy), a `.npy` of an array or of a dict of arrays, a pickle of numpy
    /// arrays, or the `*.index.json` of safetensors shards. Nothing of it is run.
    input: PathBuf,
    /// The safetensors file.
    output: PathBuf,
    /// Replace a file that is there.
    #[arg(long)]
    force: bool,
}

#[derive(Args)]
pub(crate) struct Names {
    /// Models; where none is given, all known ones (of `bundle` and `verify` those that are here, of
    /// `fetch --from` those that the folder holds as a bundle).
    names: Vec<String>,
}

#[derive(Args)]
pub(crate) struct Fetch {
    #[command(flatten)]
    names: Names,
    /// Take the files from this folder, a bundle or one that holds them or the archive they come in, or from
    /// that archive itself, and from nowhere else. Of several models only a bundle holds the files.
    #[arg(long, value_name = "FOLDER")]
    from: Option<PathBuf>,
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
    missing: Vec<String>,
    megabytes: Option<f64>,
    licence: String,
    digests: &'static str,
    folder: String,
}

#[derive(Serialize)]
struct BundleRow {
    model: String,
    file: String,
    bytes: u64,
    sha256: String,
    state: &'static str,
}

#[derive(Serialize)]
struct TensorRow {
    name: String,
    dtype: String,
    shape: Vec<usize>,
}

#[derive(Serialize)]
struct FileRow {
    model: String,
    file: String,
    state: String,
}

impl Models {
    pub(crate) fn run(self, common: &Common) -> anyhow::Result<Done> {
        if let Self::Convert(convert) = self {
            return convert.run(common);
        }
        let store = ModelStore::new(None).map_err(squbed::Error::from)?;
        match self {
            Self::List => list(&store, common),
            Self::Fetch(fetch) => fetch.run(&store, common),
            Self::Verify(names) => names.verify(&store, common),
            Self::Bundle(bundle) => bundle.run(&store, common),
            Self::Convert(convert) => convert.run(common),
        }
    }
}

impl Bundle {
    fn run(self, store: &ModelStore, common: &Common) -> anyhow::Result<Done> {
        let names = self.names.or_present(store);
        if names.is_empty() {
            bail!("no model is here to bundle; run `squbed models fetch` first");
        }
        let bundled = store.bundle(&names, &self.folder).map_err(squbed::Error::from)?;
        let row = |file: squbed::models::BundledFile| BundleRow {
            model: file.model,
            file: file.path,
            bytes: file.size,
            sha256: file.sha256,
            state: if file.verified { "verified" } else { "unverified" },
        };
        Records::list(&bundled.files.into_iter().map(row).collect::<Vec<_>>())?.print(common.format)?;
        let readme = self.folder.join("README.md");
        Bars::new(common.quiet).note(&format!("how to go on without network: {}", readme.display()));
        Ok(Done::Whole)
    }
}

impl Convert {
    fn run(self, common: &Common) -> anyhow::Result<Done> {
        squbed::results::check_file(&self.output)?;
        if self.output.exists() && !self.force {
            bail!("{} exists; name another file, or give --force", self.output.display());
        }
        let converted = read_checkpoint(&self.input).map_err(squbed::Error::from)?;
        let tensors = tensors_of(&converted.bytes)?;
        squbed::store::write_atomic(&self.output, &converted.bytes).map_err(squbed::Error::from)?;
        let rows = tensors.into_iter().map(|t| TensorRow { name: t.name, dtype: t.dtype, shape: t.shape });
        Records::list(&rows.collect::<Vec<_>>())?.print(common.format)?;
        if !converted.left_out.is_empty() {
            let left_out = converted.left_out.join(", ");
            Bars::new(common.quiet).warn(&format!("left out, being no tensors of the model: {left_out}"));
        }
        Ok(Done::Whole)
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
            missing: s.missing,
            megabytes: s.size.map(|bytes| (bytes as f64 / 1e5).round() / 10.0),
            licence: s.licence,
            digests: if s.pinned { "pinned" } else { "unverified" },
            folder: s.folder.display().to_string(),
        })
        .collect();
    Records::list(&rows)?.print(common.format)?;
    Ok(tell_broken(store))
}

/// Manifests that are refused stop nothing, but are told of, and make the command end with failures.
fn tell_broken(store: &ModelStore) -> Done {
    let hint = "mend the manifest, or take its folder out of SQUBED_MODELS";
    for broken in store.broken() {
        tell("error", &causes(&*broken.error), Some(hint));
    }
    if store.broken().is_empty() { Done::Whole } else { Done::WithFailures }
}

impl Names {
    fn resolve(&self, store: &ModelStore) -> Vec<String> {
        if self.names.is_empty() {
            store.manifests().map(|m| m.name.clone()).collect()
        } else {
            self.names.clone()
        }
    }

    /// Those given, else those of which any file is here.
    fn or_present(&self, store: &ModelStore) -> Vec<String> {
        let mut names = self.resolve(store);
        if self.names.is_empty() {
            names.retain(|name| store.folder(name).is_dir());
        }
        names
    }

    fn verify(&self, store: &ModelStore, common: &Common) -> anyhow::Result<Done> {
        let mut rows = Vec::new();
        let mut bad = Vec::new();
        let bars = Bars::new(common.quiet);
        let names = self.or_present(store);
        bars.begin("verify", names.len() as u64, "models");
        for name in names {
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
            bars.advance(1);
        }
        bars.end();
        if rows.is_empty() {
            bail!("no model is here to verify; run `squbed models fetch` first");
        }
        Records::list(&rows)?.print(common.format)?;
        if !bad.is_empty() {
            bail!(
                "{} {} not intact; {}",
                bad.join(", "),
                if bad.len() == 1 { "is" } else { "are" },
                fetch_remedy(&bad)
            );
        }
        Ok(if self.names.is_empty() { tell_broken(store) } else { Done::Whole })
    }
}

impl Fetch {
    fn run(self, store: &ModelStore, common: &Common) -> anyhow::Result<Done> {
        let all = self.names.names.is_empty();
        let bundled = self.from.as_deref().map(bundled_models).unwrap_or_default();
        let names = match (all, bundled.is_empty()) {
            (true, false) => bundled.clone(),
            _ => self.names.resolve(store),
        };
        if self.from.is_some() && bundled.is_empty() && names.len() > 1 {
            bail!("--from holds the files of one model; name it, one of: {}", names.join(", "));
        }
        // A mistyped name is told before anything is fetched.
        for name in &names {
            store.manifest(name).map_err(squbed::Error::from)?;
        }
        let options = FetchOptions {
            from: self.from,
            force: self.force,
            offline: self.offline || FetchOptions::default().offline,
            ..FetchOptions::default()
        };
        let bars = Bars::new(common.quiet);
        let mut not_fetched = Vec::new();
        for name in &names {
            let mut current = String::new();
            let mut seen = 0;
            // Told where another source served; else they are part of the error.
            let mut failed = Vec::new();
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
                Fetching::Failed { source, error } => {
                    failed.push(format!("{name}: {source} failed: {}", causes(error).join(": ")));
                }
                _ => {}
            };
            let fetched = store.fetch(name, &options, &mut listen).map_err(squbed::Error::from);
            bars.end();
            let fetched = match fetched {
                Ok(fetched) => fetched,
                Err(error) if names.len() == 1 => return Err(error.into()),
                // The others may be whole.
                Err(error) => {
                    crate::explain(&error.into());
                    not_fetched.push(name.as_str());
                    continue;
                }
            };
            failed.iter().for_each(|failure| bars.warn(failure));
            let folder = store.folder(name);
            bars.note(&match fetched {
                Fetched::Present => format!("{name}: present and verified in {}", folder.display()),
                Fetched::From(source) => format!("{name}: fetched from {source} into {}", folder.display()),
            });
        }
        let broken = if all { tell_broken(store) } else { Done::Whole };
        if not_fetched.is_empty() {
            return Ok(broken);
        }
        let of = names.len();
        bars.warn(&format!(
            "{} of {of} models were not fetched: {}",
            not_fetched.len(),
            not_fetched.join(", ")
        ));
        Ok(if not_fetched.len() < of { Done::WithFailures } else { Done::Nothing })
    }
}
