//! Video models, and the care that a paid sample deserves.
//!
//! A model writes one clip to a file of a hidden name beside its place; the clip is looked into, written down in the
//! [ledger](Ledger) and only then given its name. So a clip that has its name is whole, is in the ledger, and stays so
//! if the program is killed at any moment.

mod command;
mod folder;
mod ledger;
mod produce;
mod server;

pub use command::{CommandError, CommandModel, CommandOptions, TemplateError};
pub use folder::clips;
pub use ledger::{Ledger, LedgerError, LedgerRow, Outcome};
pub use produce::{Job, ProduceError, ProduceOptions, Produced, produce, seed_of};
pub use server::{VideoServer, VideoServerError, VideoServerOptions};
