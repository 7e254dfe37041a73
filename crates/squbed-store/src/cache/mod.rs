//! Embeddings by content digest, in Parquet parts.
//!
//! ```text
//! DIR/
//! ├── all-minilm-l6-v2-5f0c2a91/           one folder an encoder: its name, and 8 hex digits of its identity
//! │   ├── part-0001763845012345-004711-0000-9f3c2b7a.parquet
//! │   └── part-…                           milliseconds since 1970, process, counter, random
//! └── i3d-kinetics-400-c07d13e4/
//!     └── part-….parquet
//! ```
//!
//! A part appears whole or not at all and is never changed. No two writers choose one name, so that
//! caches are merged by copying files. Any Parquet reader opens a part:
//!
//! | column | type | is |
//! | --- | --- | --- |
//! | `digest` | string | BLAKE3 of the clip's bytes or the text, 64 hex digits |
//! | `source` | string | the path or the text, for people; nothing is looked up by it |
//! | `frames` | int64 | frames that the encoder saw; 0 for text |
//! | `warnings` | list of string | what decoding had to remark |
//! | `embedding` | fixed-size list of float32 | the embedding, `[d]` |
//!
//! The file's metadata has under `squbed.cache` a JSON object: `version` ([`CACHE_VERSION`]),
//! `identity` (the [`EncoderIdentity`]), and `groups`, for each row group its `rows` and the `blake3` of its
//! content. Parquet itself has no checksum that every reader looks at, and a flipped bit in a float
//! would pass for an embedding.

mod part;
mod rows;

use std::{
    collections::{BTreeMap, HashMap},
    fs, io,
    path::{Path, PathBuf},
    sync::Mutex,
};

use squbed_core::EncoderIdentity;

pub use part::{CACHE_VERSION, PartProblem};
use part::{Digest, Part};
use rows::Rows;

use crate::error::{Error, Result};

/// One embedding with what it was made from.
#[derive(Clone, Debug, PartialEq)]
pub struct EmbeddingRow {
    /// Digest of the clip's bytes or of the text ([`digest_file`](crate::digest_file),
    /// [`digest_text`](crate::digest_text)).
    pub digest: String,
    /// The path or the text, for people.
    pub source: String,
    /// Frames that the encoder saw; 0 for text.
    pub frames: usize,
    /// What decoding had to remark.
    pub warnings: Vec<String>,
    /// The embedding, `[d]`, every number finite.
    pub embedding: Vec<f32>,
}

/// Why the cache does not take a row.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum RowProblem {
    /// The digest is no BLAKE3 in hex.
    #[error("its digest `{digest}` is not 64 lower-case hex digits; use digest_file or digest_text")]
    Digest {
        /// The digest given.
        digest: String,
    },
    /// The embedding is not as wide as the encoder says.
    #[error("it has {got} numbers where the encoder has {expected}")]
    Width {
        /// The encoder's width.
        expected: usize,
        /// Numbers given.
        got: usize,
    },
    /// A number is NaN or infinite.
    #[error("number {at} of it is {value}; look at the input and the arithmetic of the encoder")]
    NotFinite {
        /// Position, from 0.
        at: usize,
        /// The number.
        value: f32,
    },
}

/// A part that was passed over, whole or in part. What it held counts as not cached.
#[derive(Clone, Debug, PartialEq)]
pub struct PartWarning {
    /// The part.
    pub path: PathBuf,
    /// What is wrong with it.
    pub problem: PartProblem,
}

impl std::fmt::Display for PartWarning {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "`{}` is passed over: {}", self.path.display(), self.problem)
    }
}

/// Where a row lies.
#[derive(Clone, Copy, Debug, PartialEq)]
struct At {
    part: usize,
    group: usize,
    row: usize,
}

/// The embeddings of one encoder.
///
/// Opening reads the digests alone; embeddings are read by row group (4 MiB) when asked for, and
/// checked then. Of two rows with one digest the first in the order of part names counts.
/// A damaged part costs its own rows only: it is told in [`EmbeddingCache::warnings`], and what it held
/// counts as not cached.
#[derive(Debug)]
pub struct EmbeddingCache {
    folder: PathBuf,
    identity: EncoderIdentity,
    parts: Vec<Part>,
    /// The first place of each digest.
    places: HashMap<Digest, At>,
    /// Further places, in order: they step in where the first proves damaged.
    others: HashMap<Digest, Vec<At>>,
    warnings: Mutex<Vec<PartWarning>>,
}

impl EmbeddingCache {
    /// Opens the cache in `dir` for one encoder; a folder that does not exist is an empty cache, and is
    /// made by the first [`EmbeddingCache::append`].
    pub fn open(dir: &Path, identity: &EncoderIdentity) -> Result<Self> {
        let folder = dir.join(folder_name(identity));
        let mut cache = Self {
            folder: folder.clone(),
            identity: identity.clone(),
            parts: Vec::new(),
            places: HashMap::new(),
            others: HashMap::new(),
            warnings: Mutex::default(),
        };
        for path in part_paths(&folder).map_err(Error::io("list", &folder))? {
            cache.add(&path)?;
        }
        Ok(cache)
    }

    /// The folder that holds this encoder's parts.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The encoder.
    pub fn identity(&self) -> &EncoderIdentity {
        &self.identity
    }

    /// Distinct digests.
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether there is no embedding.
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Whether an embedding is cached, as far as is known before it is read.
    pub fn contains(&self, digest: &str) -> bool {
        self.find(digest).is_some()
    }

    /// All digests, in ascending order.
    pub fn digests(&self) -> Vec<String> {
        let mut digests: Vec<Digest> = self.places.keys().copied().collect();
        digests.sort_unstable();
        digests.iter().map(part::to_hex).collect()
    }

    /// The parts that were passed over so far.
    pub fn warnings(&self) -> Vec<PartWarning> {
        self.lock_warnings().clone()
    }

    /// One embedding. Its whole row group is kept in memory from then on; for many embeddings, or a
    /// cache larger than the memory, use [`EmbeddingCache::get_many`].
    ///
    /// `None` as well where a part cannot be read; [`EmbeddingCache::warnings`] tells.
    pub fn get(&self, digest: &str) -> Option<&[f32]> {
        // Each turn returns or finds one more row group damaged.
        while let Some(at) = self.find(digest) {
            match self.parts[at.part].keep(at.group) {
                Ok(rows) => return Some(rows.embedding(at.row)),
                Err(problem) => self.warn(at.part, problem),
            }
        }
        None
    }

    /// Embeddings in the order of `digests`, `None` where the cache has none. Each row group is read
    /// once, and nothing but the answer is kept in memory.
    ///
    /// # Errors
    ///
    /// A part that could be read on opening and no longer can (a folder that vanished, a failing disk);
    /// a damaged one is a warning.
    pub fn get_many<S: AsRef<str>>(&self, digests: &[S]) -> Result<Vec<Option<Vec<f32>>>> {
        self.collect(digests, |rows, row| rows.embedding(row).to_vec())
    }

    /// [`EmbeddingCache::get_many`] with everything that is known of each item.
    pub fn get_rows<S: AsRef<str>>(&self, digests: &[S]) -> Result<Vec<Option<EmbeddingRow>>> {
        self.collect(digests, Rows::row)
    }

    /// Adds rows as one part, which appears whole or not at all. Rows whose digest is cached already,
    /// or came earlier in the same call, are left out.
    pub fn append(&mut self, rows: &[EmbeddingRow]) -> Result<()> {
        let mut fresh = Vec::new();
        let mut seen = std::collections::HashSet::new();
        for row in rows {
            let digest =
                self.check(row).map_err(|source| Error::CacheRow { item: row.source.clone(), source })?;
            if seen.insert(digest) && self.find_digest(&digest).is_none() {
                fresh.push(row);
            }
        }
        if fresh.is_empty() {
            return Ok(());
        }
        let path = self.folder.join(part::new_name());
        part::write(&path, &self.identity, &fresh)?;
        self.add(&path)
    }

    fn check(&self, row: &EmbeddingRow) -> Result<Digest, RowProblem> {
        let expected = self.identity.dim;
        let got = row.embedding.len();
        if got != expected {
            return Err(RowProblem::Width { expected, got });
        }
        if let Some(at) = row.embedding.iter().position(|x| !x.is_finite()) {
            return Err(RowProblem::NotFinite { at, value: row.embedding[at] });
        }
        part::from_hex(&row.digest).ok_or_else(|| RowProblem::Digest { digest: row.digest.clone() })
    }

    /// Reads the digests of one part.
    fn add(&mut self, path: &Path) -> Result<()> {
        let opened = match Part::open(path, &self.identity) {
            Ok(opened) => opened,
            // Another process may have compacted the cache meanwhile.
            Err(PartProblem::Io { kind: io::ErrorKind::NotFound, .. }) => return Ok(()),
            Err(problem) => {
                self.lock_warnings().push(PartWarning { path: path.to_owned(), problem });
                return Ok(());
            }
        };
        let (part, digests) = opened;
        let number = self.parts.len();
        for (digest, (group, row)) in digests.into_iter().zip(part.positions()) {
            let at = At { part: number, group, row };
            if let std::collections::hash_map::Entry::Vacant(place) = self.places.entry(digest) {
                place.insert(at);
            } else {
                self.others.entry(digest).or_default().push(at);
            }
        }
        self.parts.push(part);
        Ok(())
    }

    fn find(&self, digest: &str) -> Option<At> {
        self.find_digest(&part::from_hex(digest)?)
    }

    /// The first place of a digest that is not known to be damaged.
    fn find_digest(&self, digest: &Digest) -> Option<At> {
        let sound = |at: &&At| !self.parts[at.part].is_damaged(at.group);
        let first = self.places.get(digest)?;
        std::iter::once(first).chain(self.others.get(digest).into_iter().flatten()).find(sound).copied()
    }

    fn collect<S: AsRef<str>, T>(
        &self,
        digests: &[S],
        take: impl Fn(&Rows, usize) -> T,
    ) -> Result<Vec<Option<T>>> {
        let mut found: Vec<Option<T>> = digests.iter().map(|_| None).collect();
        let mut pending: Vec<usize> = (0..digests.len()).collect();
        // A second turn only for what lay in a row group that proved damaged in the first.
        while !pending.is_empty() {
            let mut wanted: BTreeMap<(usize, usize), Vec<(usize, usize)>> = BTreeMap::new();
            for item in pending.drain(..) {
                if let Some(at) = self.find(digests[item].as_ref()) {
                    wanted.entry((at.part, at.group)).or_default().push((item, at.row));
                }
            }
            for ((part, group), items) in wanted {
                match self.parts[part].load(group) {
                    Ok(rows) => items.iter().for_each(|&(item, row)| found[item] = Some(take(&rows, row))),
                    Err(problem) => {
                        if let PartProblem::Io { kind, reason } = &problem {
                            let source = io::Error::new(*kind, reason.clone());
                            return Err(Error::io("read", self.parts[part].path())(source));
                        }
                        self.warn(part, problem);
                        pending.extend(items.iter().map(|&(item, _)| item));
                    }
                }
            }
        }
        Ok(found)
    }

    fn warn(&self, part: usize, problem: PartProblem) {
        let warning = PartWarning { path: self.parts[part].path().to_owned(), problem };
        let mut warnings = self.lock_warnings();
        if !warnings.contains(&warning) {
            warnings.push(warning);
        }
    }

    fn lock_warnings(&self) -> std::sync::MutexGuard<'_, Vec<PartWarning>> {
        // Nobody panics while pushing, and a list of warnings is whole at any time.
        self.warnings.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// `<name>-<8 hex digits>`, the name without what a file system may not like.
fn folder_name(identity: &EncoderIdentity) -> String {
    let name: String = identity
        .name
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '-' })
        .collect();
    let hash = blake3::hash(part::identity_json(identity).as_bytes()).to_hex();
    format!("{}-{}", name.trim_start_matches('.'), &hash[..8])
}

/// The parts in a folder, in the order of their names.
fn part_paths(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut paths = Vec::new();
    for entry in entries {
        let name = entry?.file_name();
        if name.to_str().is_some_and(|name| name.starts_with("part-") && name.ends_with(".parquet")) {
            paths.push(folder.join(name));
        }
    }
    paths.sort_unstable();
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_that_is_not_finite_counts_as_not_cached_and_can_be_embedded_again() {
        let home = tempfile::tempdir().unwrap();
        let identity = EncoderIdentity {
            name: "test".into(),
            weights_sha256: String::new(),
            preprocessing: "test/1".into(),
            sampling: String::new(),
            head: "embedding".into(),
            dtype: "f32".into(),
            dim: 2,
        };
        let row = |text: &str, embedding: [f32; 2]| EmbeddingRow {
            digest: crate::digest_text(text),
            source: text.into(),
            frames: 1,
            warnings: Vec::new(),
            embedding: embedding.into(),
        };
        // As another program may write it, with a digest of the content that is right.
        let path = home.path().join(folder_name(&identity)).join(part::new_name());
        part::write(&path, &identity, &[&row("bad.mp4", [1.0, f32::NAN])]).unwrap();

        let digest = crate::digest_text("bad.mp4");
        let mut cache = EmbeddingCache::open(home.path(), &identity).unwrap();
        assert_eq!(cache.get_many(&[&digest]).unwrap(), [None]);
        let warning = cache.warnings()[0].to_string();
        assert!(warning.contains("`bad.mp4` has numbers that are not finite"), "{warning}");
        cache.append(&[row("bad.mp4", [1.0, 2.0])]).unwrap();
        let cache = EmbeddingCache::open(home.path(), &identity).unwrap();
        assert_eq!(cache.get_many(&[&digest]).unwrap(), [Some(vec![1.0, 2.0])]);
    }
}
