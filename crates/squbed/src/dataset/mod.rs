//! Data sets of tasks: taken over from other programs, looked over, sorted into categories, sampled, and given away.

mod classify;
mod error;
mod export;
mod import;
mod python;
mod sample;
mod validate;

pub use classify::{
    Category, Classified, PAPER_CATEGORIES, VOTES, classify, classify_by_model, read_categories,
};
pub use error::DatasetError;
pub use export::{ExportForm, ExportOptions, Exported, export};
pub use import::{DatasetForm, ImportOptions, ImportRecord, Imported, PassedOver, import};
pub use sample::{CategoryCount, SampleError, SampleRecord, Sampled, sample};
pub use validate::{Problem, Validation, validate};
