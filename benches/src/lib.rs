//! Benchmarks of squbed. Results worth keeping lie in `benches/results`.
