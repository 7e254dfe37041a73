//! What squbed keeps on disk.
//!
//! - [`read_tasks`] and [`write_tasks`]: the list of tasks, as JSON Lines, Parquet or a folder tree.
//! - [`EmbeddingCache`]: embeddings by content digest, in Parquet parts that other tools open as they are.
//! - [`results`]: uncertainties, accuracies and truths of tasks.
//! - [`failures`]: the items that failed while the others went on.
//! - [`npy`] and [`safetensors`]: arrays that users bring and take away.
//! - [`write_clips`] and [`read_rows`]: tables of clips, as exported data sets carry them.
//! - [`write_embeddings`]: embeddings with their keys, for other programs.
//!
//! Every file but a journal ([`append_journal`]) appears whole or not at all: it is written under a temporary name in its own folder,
//! flushed to the disk and renamed ([`write_atomic`]). Nothing here knows a tensor library.

mod atomic;
mod cache;
mod clips;
mod columns;
mod digest;
mod embeddings;
mod error;
pub mod failures;
mod jsonl;
pub mod npy;
pub mod results;
pub mod safetensors;
mod tasks;

pub use atomic::{write_atomic, write_atomic_with};
pub use cache::{CACHE_VERSION, EmbeddingCache, EmbeddingRow, PartProblem, PartWarning, RowProblem};
pub use clips::{ClipKind, ClipRow, read_rows, write_clips};
pub use digest::{digest_file, digest_text};
pub use embeddings::{EmbeddingFormat, EmbeddingTable, write_embeddings};
pub use error::{Error, Place, Result};
pub use failures::{Failure, append_failures, read_failures};
pub use jsonl::{append_journal, read_journal, read_json_lines, write_json_lines};
pub use npy::{NpyArray, NpyData, read_npy, write_npy};
pub use results::{
    TruthRow, read_accuracy, read_method, read_truth, read_uncertainty, write_accuracy, write_truth,
    write_uncertainty,
};
pub use safetensors::{read_all_safetensors, read_safetensors};
pub use tasks::{VIDEO_EXTENSIONS, natural_order, read_tasks, write_tasks};
