//! How the results came about.

use serde::Serialize;

/// The command, the machine and the steps.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Run {
    /// When the report was made, e.g. `2026-03-14T09:26:53Z`.
    pub made: String,
    /// The command that reproduces it.
    pub command: String,
    /// Version of squbed.
    pub version: String,
    /// The machine, e.g. “2 × Intel Xeon (AVX-512), 24 GiB, Linux 6.1”.
    pub machine: String,
    /// Device and arithmetic, e.g. “cpu, f32”.
    pub device: String,
    /// What the tasks are, e.g. “closed world, realm knowledge, seed 1”.
    pub world: String,
    /// Tasks.
    pub tasks: usize,
    /// n, latent prompts a task; the largest where tasks differ.
    pub latents: usize,
    /// m, videos a latent prompt; the largest where tasks differ.
    pub videos: usize,
    /// What was run, in order.
    pub steps: Vec<Step>,
    /// Further facts (name, value), e.g. digests of models.
    pub facts: Vec<(String, String)>,
}

/// A step of the run.
#[derive(Clone, Debug, Serialize)]
pub struct Step {
    /// E.g. “generate”.
    pub name: String,
    /// Wall clock.
    pub seconds: f64,
    /// What it went through, e.g. 408.
    pub items: usize,
    /// What an item is, in the plural, e.g. “clips”; empty where nothing is counted.
    pub unit: String,
    /// Items taken from an earlier run, out of `items`.
    pub reused: usize,
}

/// Something that failed while the run went on.
#[derive(Clone, Debug, Serialize)]
pub struct Failure {
    /// What was worked on: a task, a file.
    pub item: String,
    /// The step.
    pub step: String,
    /// The error with its causes.
    pub error: String,
    /// What to do about it; empty for nothing.
    pub hint: String,
}
