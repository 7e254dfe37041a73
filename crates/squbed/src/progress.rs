//! How a long step tells what it does, without knowing who listens.

/// A listener to the steps of a run.
///
/// One step at a time: `begin`, any number of `advance`, `end`.
pub trait Progress: Sync {
    /// A step of `total` items of work starts, e.g. `embed videos`, 408, `clips`.
    fn begin(&self, step: &str, total: u64, unit: &str);
    /// `by` more items are done.
    fn advance(&self, by: u64);
    /// The step is done.
    fn end(&self);
    /// Something that went wrong and that the user has to know of.
    fn warn(&self, message: &str);
}

/// Listens to nothing.
pub struct Silent;

impl Progress for Silent {
    fn begin(&self, _: &str, _: u64, _: &str) {}
    fn advance(&self, _: u64) {}
    fn end(&self) {}
    fn warn(&self, _: &str) {}
}
