//! Against ways of computing that share nothing with the crate's.
#![expect(clippy::print_stdout, reason = "the worst errors are figures to report")]

mod functions;
mod quadrature;
mod sampling;
