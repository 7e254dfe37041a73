//! Many clips: in parallel, tried again, written down.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Instant,
};

use jiff::Timestamp;
use rayon::prelude::*;
use squbed_core::{BoxError, GenerateRequest, VideoGenerator, causes};

use super::ledger::{Ledger, LedgerError, LedgerRow, Outcome};

/// One clip that is wanted.
#[derive(Clone, Debug)]
pub struct Job<'a> {
    /// The latent prompt.
    pub prompt: &'a str,
    /// A number of the latent prompt's own, from which its seeds count up.
    pub base: u64,
    /// Which sample of the latent prompt, from 0.
    pub sample: usize,
    /// Where the clip goes.
    pub out: PathBuf,
}

/// How clips are produced.
#[derive(Clone, Debug)]
pub struct ProduceOptions {
    /// Clips at once.
    pub parallel: usize,
    /// Further tries of a clip that fails or is bad.
    pub retries: u32,
    /// Price of an hour of one clip's making, where it is to be written down.
    pub price_per_hour: Option<f64>,
}

/// What [`produce`] did.
#[derive(Debug, Default)]
pub struct Produced {
    /// Clips that stood there already.
    pub reused: usize,
    /// Clips made now.
    pub made: usize,
    /// Clips that failed at every try.
    pub failed: Vec<(PathBuf, ProduceError)>,
}

/// Why there is no clip.
#[derive(Debug, thiserror::Error)]
pub enum ProduceError {
    /// The model failed.
    #[error("the video model failed")]
    Model(#[source] BoxError),
    /// The model ended well and left no file.
    #[error("the video model wrote no file at the path that it was given")]
    NoFile,
    /// What it left is no regular file.
    #[error("the video model left something else than a file")]
    NotAFile,
    /// The clip cannot be read.
    #[error("the clip cannot be read as a video")]
    Probe(#[source] squbed_video::Error),
    /// The clip is damaged or cut short.
    #[error("the clip is bad: {0}")]
    Bad(String),
    /// A file could not be handled.
    #[error("cannot {operation} {path}", path = path.display())]
    Io {
        /// What was tried.
        operation: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The digest could not be made.
    #[error(transparent)]
    Store(#[from] squbed_store::Error),
    /// The ledger could not be written; nothing further is generated.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// No threads.
    #[error("cannot start {threads} threads")]
    Threads {
        /// Threads wanted.
        threads: usize,
        /// What the system says.
        source: rayon::ThreadPoolBuildError,
    },
}

/// Seeds stay below 2³¹, which every video model takes; a further try is this far off, so that no two samples of a latent
/// prompt share a seed, however many there are and however often they are tried.
const STRIDE: u64 = 1 << 20;
const SEEDS: u64 = 1 << 31;

/// The seed of a sample's try.
pub fn seed_of(base: u64, sample: usize, attempt: u32) -> u64 {
    (base % SEEDS + sample as u64 % STRIDE + u64::from(attempt) * STRIDE) % SEEDS
}

/// Makes the clips that are not there. A clip that fails is recorded, and the others go on.
///
/// # Errors
///
/// No threads; a ledger that cannot be written, since a clip that is not in it must not be made.
pub fn produce(
    jobs: &[Job<'_>],
    model: &dyn VideoGenerator,
    options: &ProduceOptions,
    ledger: &Ledger,
    done: &(dyn Fn() + Sync),
) -> Result<Produced, ProduceError> {
    let threads = options.parallel.max(1);
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
    let pool = pool.map_err(|source| ProduceError::Threads { threads, source })?;
    let missing: Vec<&Job<'_>> = jobs.iter().filter(|job| !job.out.exists()).collect();
    let one = |job: &&Job<'_>| {
        let made = with_tries(job, model, options, ledger);
        done();
        match made {
            Err(error @ ProduceError::Ledger(_)) => Err(error),
            Err(error) => Ok(Some((job.out.clone(), error))),
            Ok(()) => Ok(None),
        }
    };
    let ended: Vec<Option<_>> = pool.install(|| missing.par_iter().map(one).collect::<Result<_, _>>())?;
    let failed: Vec<_> = ended.into_iter().flatten().collect();
    Ok(Produced { reused: jobs.len() - missing.len(), made: missing.len() - failed.len(), failed })
}

fn with_tries(
    job: &Job<'_>,
    model: &dyn VideoGenerator,
    options: &ProduceOptions,
    ledger: &Ledger,
) -> Result<(), ProduceError> {
    let mut attempt = 0;
    loop {
        match once(job, attempt, model, options, ledger) {
            Err(error) if attempt < options.retries && !matches!(error, ProduceError::Ledger(_)) => {
                attempt += 1
            }
            ended => return ended,
        }
    }
}

fn once(
    job: &Job<'_>,
    attempt: u32,
    model: &dyn VideoGenerator,
    options: &ProduceOptions,
    ledger: &Ledger,
) -> Result<(), ProduceError> {
    let part = part_of(&job.out)?;
    let seed = seed_of(job.base, job.sample, attempt);
    let begin = Instant::now();
    let made = model
        .generate(&GenerateRequest { prompt: job.prompt, seed, out: &part })
        .map_err(ProduceError::Model)
        .and_then(|()| looked_into(&part));
    let seconds = begin.elapsed().as_secs_f64();
    let outcome = match &made {
        Ok(outcome) => outcome.clone(),
        Err(error) => {
            // The file is of no use, and the next try removes it if it cannot be removed now.
            let _ = remove(&part);
            Outcome::Failed { error: causes(error).join(": ") }
        }
    };
    ledger.append(LedgerRow {
        video: ledger.name_of(&job.out),
        prompt: job.prompt.to_owned(),
        model: model.describe(),
        seed,
        attempt,
        at: Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        seconds,
        cost: options.price_per_hour.map(|price| price * seconds / 3600.0),
        outcome,
    })?;
    made?;
    let io = |operation, path: &Path| {
        let path = path.to_owned();
        move |source| ProduceError::Io { operation, path, source }
    };
    fs::rename(&part, &job.out).map_err(io("rename", &part))?;
    let folder = squbed_files::folder_of(&job.out);
    // A system that cannot flush a folder renames as well.
    let _ = fs::File::open(folder).and_then(|folder| folder.sync_all());
    Ok(())
}

/// The hidden name of a clip in the making, with the clip's own ending, by which many programs choose its form. What
/// killed processes left under such names is removed.
fn part_of(out: &Path) -> Result<PathBuf, ProduceError> {
    let folder = squbed_files::folder_of(out);
    let io = |operation| move |source| ProduceError::Io { operation, path: folder.to_owned(), source };
    fs::create_dir_all(folder).map_err(io("make"))?;
    let stem = out.file_stem().unwrap_or_default().to_string_lossy();
    let ending = out.extension().unwrap_or_default().to_string_lossy();
    let (before, after) = (format!(".{stem}."), format!(".part.{ending}"));
    for entry in fs::read_dir(folder).map_err(io("read"))? {
        let entry = entry.map_err(io("read"))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with(&before) && name.ends_with(&after) {
            remove(&entry.path()).map_err(io("clean"))?;
        }
    }
    Ok(folder.join(format!("{before}{}{after}", std::process::id())))
}

/// Removes what a model left, which may be a folder.
fn remove(part: &Path) -> io::Result<()> {
    if fs::symlink_metadata(part)?.is_dir() { fs::remove_dir_all(part) } else { fs::remove_file(part) }
}

/// A good clip's digest and size.
fn looked_into(part: &Path) -> Result<Outcome, ProduceError> {
    let found = match fs::symlink_metadata(part) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(ProduceError::NoFile),
        Err(source) => return Err(ProduceError::Io { operation: "read", path: part.to_owned(), source }),
    };
    if !found.is_file() {
        return Err(ProduceError::NotAFile);
    }
    let info = squbed_video::probe(part).map_err(ProduceError::Probe)?;
    if let Some(defect) = info.defect() {
        return Err(ProduceError::Bad(defect));
    }
    // It has to be on the disk before the ledger says so.
    fs::File::open(part).and_then(|file| file.sync_all()).map_err(|source| ProduceError::Io {
        operation: "flush",
        path: part.to_owned(),
        source,
    })?;
    Ok(Outcome::Made { digest: squbed_store::digest_file(part)?, bytes: found.len(), frames: info.frames })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_two_samples_of_a_latent_prompt_share_a_seed() {
        for base in [0, 5, SEEDS - 3, u64::MAX] {
            let seeds: BTreeSet<u64> =
                (0..6).flat_map(|attempt| (0..2000).map(move |k| seed_of(base, k, attempt))).collect();
            assert_eq!(seeds.len(), 6 * 2000);
            assert!(seeds.iter().all(|&seed| seed < SEEDS));
        }
    }
}
