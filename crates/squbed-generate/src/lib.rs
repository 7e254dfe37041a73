//! The two black boxes of the method, as people run them.
//!
//! - [`refine`]: a [`PromptRefiner`](squbed_core::PromptRefiner) that has a language model ([`chat`]) make a prompt more
//!   specific, throws away what is no refinement, and says what it threw away; or takes refinements from a file.
//! - [`video`]: a [`VideoGenerator`](squbed_core::VideoGenerator) that is a program or a server, and the ledger of what
//!   was generated.
//! - [`chat`]: a language model on this machine, or behind an OpenAI-compatible server.
//!
//! A key comes from the environment and goes into a request's header alone: no log, record or message holds it.

pub mod chat;
pub mod http;
pub mod refine;
pub mod video;
