//! One part of the cache: a Parquet file.

use std::{
    fmt,
    fs::File,
    hash::{BuildHasher, Hasher, RandomState},
    io,
    path::{Path, PathBuf},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::{SystemTime, UNIX_EPOCH},
};

use parquet::{
    arrow::{
        ArrowWriter, ProjectionMask,
        arrow_reader::{ArrowReaderMetadata, ParquetRecordBatchReaderBuilder},
    },
    basic::{Compression, ZstdLevel},
    errors::ParquetError,
    file::{
        metadata::KeyValue,
        properties::{EnabledStatistics, WriterProperties},
    },
    schema::types::ColumnPath,
};
use serde::{Deserialize, Serialize};
use squbed_core::EncoderIdentity;

use super::{
    EmbeddingRow,
    rows::{self, Rows},
};
use crate::{
    atomic::write_atomic_with,
    columns::{self, Named},
    error::{Result, writing},
};

/// Version of the parts that are written; those of older versions are read, newer ones passed over.
pub const CACHE_VERSION: u32 = 1;

/// Key of the JSON object in the file's metadata.
const METADATA_KEY: &str = "squbed.cache";

/// Bytes of embeddings in a row group, the unit of reading.
const GROUP_BYTES: usize = 4 << 20;

/// Digests read in one piece on opening.
const DIGESTS_A_BATCH: usize = 1 << 16;

pub(super) type Digest = [u8; 32];

/// What is wrong with a part.
#[derive(Clone, Debug, PartialEq)]
pub enum PartProblem {
    /// The operating system refused to read it.
    Io {
        /// The kind of the system's answer.
        kind: io::ErrorKind,
        /// The system's answer.
        reason: String,
    },
    /// It is cut short or damaged, or was never a part.
    Damaged {
        /// What was found.
        reason: String,
    },
    /// It is compressed in a way that this program does not read.
    Codec {
        /// The compression.
        codec: String,
    },
    /// A newer program wrote it.
    Newer {
        /// Its version.
        version: u32,
    },
    /// It is another encoder's.
    Foreign {
        /// That encoder.
        identity: Box<EncoderIdentity>,
    },
}

impl fmt::Display for PartProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io { reason, .. } => write!(f, "cannot read it: {reason}"),
            Self::Damaged { reason } => {
                write!(f, "damaged: {reason}; delete it, and what it held is embedded again")
            }
            Self::Codec { codec } => write!(f, "it is compressed with {codec}, {}", columns::WRITE_AGAIN),
            Self::Newer { version } => write!(
                f,
                "it has version {version} of the format and this program reads up to {CACHE_VERSION}; \
                 update the program, or choose another cache folder"
            ),
            Self::Foreign { identity } => write!(
                f,
                "it was made by {} (weights {}, {}); move it into the folder `{}`",
                identity.name,
                identity.weights_sha256.get(..8).unwrap_or(&identity.weights_sha256),
                identity.preprocessing,
                super::folder_name(identity)
            ),
        }
    }
}

impl From<io::Error> for PartProblem {
    fn from(error: io::Error) -> Self {
        Self::Io { kind: error.kind(), reason: error.to_string() }
    }
}

impl From<ParquetError> for PartProblem {
    fn from(error: ParquetError) -> Self {
        match &error {
            // A read past the end of a short file is the file's fault, not the system's.
            ParquetError::External(inner) => match inner.downcast_ref::<io::Error>() {
                Some(io) if io.kind() != io::ErrorKind::UnexpectedEof && io.raw_os_error().is_some() => {
                    Self::Io { kind: io.kind(), reason: io.to_string() }
                }
                _ => damaged(error),
            },
            _ => damaged(error),
        }
    }
}

fn damaged(reason: impl fmt::Display) -> PartProblem {
    PartProblem::Damaged { reason: reason.to_string() }
}

/// What a part says of itself.
#[derive(Serialize, Deserialize)]
struct Header {
    version: u32,
    identity: EncoderIdentity,
    groups: Vec<GroupHeader>,
}

#[derive(Clone, Serialize, Deserialize)]
struct GroupHeader {
    rows: usize,
    /// Of the group's content, see [`Rows::check`].
    blake3: String,
}

/// The identity as it stands in a part and in the hash of the folder's name.
pub(super) fn identity_json(identity: &EncoderIdentity) -> String {
    serde_json::to_string(identity).expect("texts and a count have a form in JSON")
}

/// The name of a new part; no two writers choose the same.
pub(super) fn new_name() -> String {
    static COUNTER: AtomicU32 = AtomicU32::new(0);
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    // Seeded by the system in each process: tells apart machines that share a folder.
    let random = RandomState::new().build_hasher().finish() as u32;
    format!(
        "part-{:016}-{:06}-{:04}-{random:08x}.parquet",
        since_1970.as_millis(),
        std::process::id(),
        COUNTER.fetch_add(1, Ordering::Relaxed),
    )
}

/// 64 lower-case hex digits as bytes.
pub(super) fn from_hex(digest: &str) -> Option<Digest> {
    let nibble = |c: u8| match c {
        b'0'..=b'9' => Some(c - b'0'),
        b'a'..=b'f' => Some(c - b'a' + 10),
        _ => None,
    };
    let mut bytes = [0; 32];
    let (pairs, []) = digest.as_bytes().as_chunks::<2>() else { return None };
    if pairs.len() != bytes.len() {
        return None;
    }
    for (byte, &[high, low]) in bytes.iter_mut().zip(pairs) {
        *byte = nibble(high)? << 4 | nibble(low)?;
    }
    Some(bytes)
}

/// The inverse of [`from_hex`].
pub(super) fn to_hex(digest: &Digest) -> String {
    blake3::Hash::from_bytes(*digest).to_hex().to_string()
}

/// Writes rows as a new part.
pub(super) fn write(path: &Path, identity: &EncoderIdentity, rows: &[&EmbeddingRow]) -> Result<()> {
    let rows_a_group = (GROUP_BYTES / (4 * identity.dim.max(1))).max(1);
    write_atomic_with(path, |file| {
        let schema = Arc::new(rows::schema(identity.dim));
        let mut writer =
            ArrowWriter::try_new(file, schema.clone(), Some(properties(rows_a_group))).map_err(writing)?;
        let mut groups = Vec::new();
        for group in rows.chunks(rows_a_group) {
            let group = Rows::new(identity.dim, group);
            let batch = group.to_batch(schema.clone()).map_err(io::Error::other)?;
            writer.write(&batch).and_then(|()| writer.flush()).map_err(writing)?;
            groups.push(GroupHeader { rows: group.len(), blake3: group.check() });
        }
        let header = Header { version: CACHE_VERSION, identity: identity.clone(), groups };
        let header = serde_json::to_string(&header).map_err(io::Error::other)?;
        writer.append_key_value_metadata(KeyValue::new(METADATA_KEY.to_owned(), header));
        writer.close().map_err(writing)?;
        Ok(())
    })
}

fn properties(rows_a_group: usize) -> WriterProperties {
    let digest = ColumnPath::from("digest");
    WriterProperties::builder()
        .set_created_by(concat!("squbed ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_max_row_group_row_count(Some(rows_a_group))
        // Digests and floats hardly repeat, and their extremes help nobody but a search by digest.
        .set_dictionary_enabled(false)
        .set_statistics_enabled(EnabledStatistics::None)
        .set_column_statistics_enabled(digest, EnabledStatistics::Chunk)
        .set_offset_index_disabled(true)
        .build()
}

/// An opened part: what its footer says, and what was found of its groups since.
#[derive(Debug)]
pub(super) struct Part {
    path: PathBuf,
    dim: usize,
    metadata: ArrowReaderMetadata,
    groups: Vec<Group>,
}

#[derive(Debug)]
struct Group {
    rows: usize,
    blake3: String,
    damaged: AtomicBool,
    kept: OnceLock<Rows>,
}

impl Part {
    /// Reads the footer and the digests of all rows.
    pub(super) fn open(path: &Path, identity: &EncoderIdentity) -> Result<(Self, Vec<Digest>), PartProblem> {
        columns::guarded(|| Self::open_unguarded(path, identity))
    }

    fn open_unguarded(path: &Path, identity: &EncoderIdentity) -> Result<(Self, Vec<Digest>), PartProblem> {
        let file = File::open(path)?;
        let metadata = columns::open(&file)?;
        let header = read_header(&metadata)?;
        if header.identity != *identity {
            return Err(PartProblem::Foreign { identity: Box::new(header.identity) });
        }
        if let Some(codec) = columns::unread_codec(&metadata) {
            return Err(PartProblem::Codec { codec });
        }
        let said: Vec<i64> = header.groups.iter().map(|group| group.rows as i64).collect();
        let held: Vec<i64> = metadata.metadata().row_groups().iter().map(|group| group.num_rows()).collect();
        if said != held {
            return Err(damaged("its row groups are not those that were written"));
        }
        let groups = header
            .groups
            .into_iter()
            .map(|GroupHeader { rows, blake3 }| Group {
                rows,
                blake3,
                damaged: AtomicBool::new(false),
                kept: OnceLock::new(),
            })
            .collect();
        let part = Self { path: path.to_owned(), dim: identity.dim, metadata, groups };
        let digests = part.read_digests(file)?;
        Ok((part, digests))
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Row group and row in it, of each row.
    pub(super) fn positions(&self) -> impl Iterator<Item = (usize, usize)> + use<> {
        let rows: Vec<usize> = self.groups.iter().map(|group| group.rows).collect();
        rows.into_iter().enumerate().flat_map(|(group, rows)| (0..rows).map(move |row| (group, row)))
    }

    /// Whether a row group was read and found damaged.
    pub(super) fn is_damaged(&self, group: usize) -> bool {
        self.groups[group].damaged.load(Ordering::Relaxed)
    }

    fn read_digests(&self, file: File) -> Result<Vec<Digest>, PartProblem> {
        let rows: usize = self.groups.iter().map(|group| group.rows).sum();
        let reader = ParquetRecordBatchReaderBuilder::new_with_metadata(file, self.metadata.clone());
        let mask = ProjectionMask::columns(reader.parquet_schema(), ["digest"]);
        let reader = reader.with_projection(mask).with_batch_size(DIGESTS_A_BATCH).build()?;
        let mut digests = Vec::with_capacity(rows);
        for batch in reader {
            let batch = batch.map_err(damaged)?;
            let array = batch.column_by_name("digest");
            let texts = Named { path: &self.path, name: "digest", array }.texts().map_err(damaged)?;
            for row in 0..batch.num_rows() {
                let digest = texts.get(row).and_then(from_hex);
                digests.push(digest.ok_or_else(|| damaged("a digest is not 64 hex digits"))?);
            }
        }
        if digests.len() == rows { Ok(digests) } else { Err(damaged("it has fewer rows than it says")) }
    }

    /// Reads and checks one row group.
    pub(super) fn load(&self, group: usize) -> Result<Rows, PartProblem> {
        let rows = columns::guarded(|| self.load_unguarded(group));
        // What the system refuses now it may give later.
        if !matches!(rows, Ok(_) | Err(PartProblem::Io { .. })) {
            self.groups[group].damaged.store(true, Ordering::Relaxed);
        }
        rows
    }

    /// [`Part::load`], read once and then kept in memory. Marks the group also where the system refused.
    pub(super) fn keep(&self, group: usize) -> Result<&Rows, PartProblem> {
        let Group { kept, damaged, .. } = &self.groups[group];
        if let Some(rows) = kept.get() {
            return Ok(rows);
        }
        match self.load(group) {
            Ok(rows) => Ok(kept.get_or_init(|| rows)),
            Err(problem) => {
                damaged.store(true, Ordering::Relaxed);
                Err(problem)
            }
        }
    }

    fn load_unguarded(&self, group: usize) -> Result<Rows, PartProblem> {
        let file = File::open(&self.path)?;
        let Group { rows, blake3, .. } = &self.groups[group];
        let mut batches = ParquetRecordBatchReaderBuilder::new_with_metadata(file, self.metadata.clone())
            .with_row_groups(vec![group])
            .with_batch_size(*rows)
            .build()?;
        let batch = batches.next().ok_or_else(|| damaged("a row group is empty"))?.map_err(damaged)?;
        if batch.num_rows() != *rows {
            return Err(damaged("a row group has fewer rows than it says"));
        }
        let loaded = Rows::from_batch(&self.path, self.dim, &batch).map_err(damaged)?;
        if loaded.check() != *blake3 {
            return Err(damaged(format!("the content of row group {group} is not what was written")));
        }
        match loaded.not_finite() {
            None => Ok(loaded),
            // What another program wrote; this one refuses such rows.
            Some(source) => {
                Err(damaged(format!("the embedding of `{source}` has numbers that are not finite")))
            }
        }
    }
}

/// Reads the header; its version before the rest, which a newer version may have changed.
fn read_header(metadata: &ArrowReaderMetadata) -> Result<Header, PartProblem> {
    #[derive(Deserialize)]
    struct Version {
        version: u32,
    }
    let text = columns::metadata_value(metadata, METADATA_KEY)
        .ok_or_else(|| damaged(format!("its metadata has no `{METADATA_KEY}`")))?;
    let Version { version } = serde_json::from_str(text).map_err(damaged)?;
    if version > CACHE_VERSION {
        return Err(PartProblem::Newer { version });
    }
    serde_json::from_str(text).map_err(damaged)
}
