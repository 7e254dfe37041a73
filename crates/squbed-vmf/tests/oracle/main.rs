//! Against ways of computing that share nothing with the crate's.

mod functions;
mod quadrature;
mod sampling;
