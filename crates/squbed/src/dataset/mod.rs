//! Data sets of tasks: sorted into categories, and sampled.

mod classify;
mod sample;

pub use classify::{Category, Classified, PAPER_CATEGORIES, classify, read_categories};
pub use sample::{CategoryCount, SampleError, SampleRecord, Sampled, sample};
