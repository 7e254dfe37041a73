//! S-QUBED: how far can a text-to-video model be trusted on a prompt?
//!
//! The method as its paper gives it, by name: [`method::aleatoric_uncertainty`] is Algorithm 1,
//! [`method::epistemic_uncertainty`] Algorithm 2, [`method::estimate`] both and their sum (Eq. 3).
//! Around them stand the steps that a run takes, each usable alone: [`steps`] refines, generates and
//! embeds; [`accuracy`] compares with the true videos; [`calibrate`] asks whether uncertainty predicts
//! accuracy; [`run`] does all of it from one [`experiment`] file and can be stopped and started again.

pub mod ablation;
pub mod accuracy;
pub mod adaptive;
pub mod aleatoric;
pub mod anomaly;
pub mod baseline;
pub mod basis;
pub mod calibrate;
pub mod choice;
pub mod cuda_program;
pub mod dataset;
pub mod decode_speed;
pub mod demo;
pub mod devices;
pub mod embed;
pub mod encode_speed;
mod error;
pub mod experiment;
pub mod fit;
pub mod fit_speed;
mod flags;
pub mod generator;
pub mod interval;
pub mod machine;
pub mod method;
pub mod pair;
pub mod plan;
pub mod progress;
pub mod refiner;
mod remedy;
pub mod results;
pub mod run;
pub mod score;
pub mod sources;
pub mod steps;
pub mod summary;

pub use error::{Error, Fault, Result};
pub use remedy::remedy;
pub use squbed_core as core;
pub use squbed_generate as generate;
pub use squbed_metrics as metrics;
pub use squbed_models as models;
pub use squbed_sim as sim;
pub use squbed_stats as stats;
pub use squbed_store as store;
pub use squbed_tensor as tensor;
pub use squbed_video as video;
pub use squbed_vmf as vmf;
