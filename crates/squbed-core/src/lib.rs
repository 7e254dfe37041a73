//! The words of squbed as plain data.
//!
//! Every other crate speaks in these types: a [`Task`] with its [`LatentPrompt`]s, a [`Clip`] of RGB
//! frames with their timestamps, the [`Sampling`] that chose them, the [`EncoderIdentity`] that
//! turned them into an embedding, and the results of the method. The two black boxes of the method,
//! the language model that refines a prompt and the video model that draws from it, are the traits
//! [`PromptRefiner`] and [`VideoGenerator`].
//!
//! Nothing here does I/O or knows a tensor library.

mod causes;
mod clip;
mod encoder;
pub mod float;
mod result;
mod sampling;
mod source;
mod task;

pub use causes::causes;
pub use clip::{Clip, ClipError, Frame};
pub use encoder::EncoderIdentity;
pub use result::{AccuracyScore, CutPrompt, Flag, GroupFit, Interval, Intervals, Repeat, TaskUncertainty};
pub use sampling::{Sampling, SamplingError};
pub use source::{
    BoxError, GenerateRequest, PromptRefiner, RefineRequest, Refinement, Rejection, VideoGenerator,
};
pub use task::{LatentPrompt, Task, TaskError};
