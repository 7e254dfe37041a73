//! A procedural video model whose true uncertainty is known.
mod error;
mod grammar;
mod knowledge;
mod model;
mod refiner;
mod render;
mod rng;
mod scene;

pub use error::Error;
pub use grammar::{GRAMMAR, PromptError, parse};
pub use knowledge::{
    Belief, CONFIDENTLY_WRONG, Knowledge, UnknownKnowledge, belief, director_knowledge, epistemic, value_knowledge,
};
pub use model::{WorldModel, true_scene};
pub use refiner::GrammarRefiner;
pub use render::{FPS, FRAMES, NUISANCE, Nuisance, SIDE, frames};
pub use rng::{ground_truth_seed, refine_seed, sample_seed};
pub use scene::{ATTRIBUTES, Attribute, Description, Director, Scene};
