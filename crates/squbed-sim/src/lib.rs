//! A procedural video model whose true uncertainty is known.
//!
//! Whether an estimate of uncertainty is right cannot be seen on a real video model, as nobody knows
//! what it knows. Here it can. A [`Scene`] has seven attributes; a prompt fixes some, and what it
//! leaves open is *aleatoric*, Σ log(number of values). The [`WorldModel`] shows a value as it was told
//! with a probability k of its own and otherwise another one at random; the entropy of that is
//! *epistemic*. A [`World`] crosses the two over its tasks, so that the truths are uncorrelated, and
//! [`write_world`] makes its prompts and its real video files.
//!
//! Two kinds of [`Knowledge`]: by *realm*, where a director's name in the prompt gates one k for the
//! whole scene, and by *value*, where each value has its own. In both there is a director for whom the
//! model is *confidently wrong*: always the same wrong values, no entropy at all. An uncertainty that is
//! estimated from samples cannot find such tasks, and their truths say so.
//!
//! **Invariant**: the model gets a prompt as text and a seed, and nothing else. What it knows is fixed
//! in this crate and never fitted to any encoder or estimator.
//!
//! Limits: the world is visually easy, a flat picture of one object and one companion, and a colour
//! histogram may do as well on it as a video encoder. It shows that a decomposition is right where
//! the truth is known; it does not show how it does on real videos.
//!
//! ```
//! use squbed_core::{PromptRefiner, RefineRequest};
//! use squbed_sim::{World, WorldSpec};
//!
//! let world = World::new(WorldSpec::default())?;
//! let (task, truth) = &world.tasks()[0];
//! let request = RefineRequest { prompt: &task.prompt, n: 4, seed: 1 };
//! let latents = world.refiner().refine(&request)?;
//! let scene = world.generator().scene(&latents[0], 1)?;
//! assert_eq!(squbed_sim::frames(&scene, 1).count(), 32);
//! assert!(truth.aleatoric >= 0.0);
//! # Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
//! ```

mod design;
mod error;
mod grammar;
mod knowledge;
mod model;
mod refiner;
mod render;
mod rng;
mod scene;
mod world;
mod write;

pub use error::Error;
pub use grammar::{GRAMMAR, PromptError, parse};
pub use knowledge::{
    Belief, CONFIDENTLY_WRONG, Knowledge, UnknownKnowledge, belief, director_knowledge, epistemic,
    value_knowledge,
};
pub use model::{WorldModel, true_scene};
pub use refiner::GrammarRefiner;
pub use render::{FPS, FRAMES, NUISANCE, Nuisance, SIDE, frames};
pub use rng::{ground_truth_seed, refine_seed, sample_seed};
pub use scene::{ATTRIBUTES, Attribute, Description, Director, Scene};
pub use world::{Truth, World, WorldSpec, ground_truth_path, video_path};
pub use write::{Progress, WorldFiles, write_world};
