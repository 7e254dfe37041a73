//! Does a latent prompt entail the prompt?

use std::{fmt, sync::Mutex};

use squbed_core::BoxError;
use squbed_models::llm::Message;
use squbed_tensor::TextEncoder;

use crate::chat::ChatModel;

/// Cosine of a latent prompt's embedding with the prompt's below which it is rejected as another subject.
pub const SIMILARITY: f64 = 0.4;

/// Pairs (description, prompt) whose answer is known: whether a video of the description is one of the prompt.
const CONTROLS: [(&str, &str, bool); 8] = [
    ("A grey cat sleeps on a red sofa in a sunny room.", "a cat napping", true),
    ("A small boy in a yellow coat jumps into a puddle.", "a dog swimming", false),
    ("Two chefs chop onions on a steel table in a busy kitchen.", "people cooking", true),
    ("A grey cat chases a moth across a garden at dusk.", "a cat napping", false),
    ("A blue truck crosses a long bridge in heavy rain.", "a vehicle on a bridge", true),
    ("A white horse gallops along an empty beach.", "a woman playing the piano", false),
    ("An old man in a straw hat waters tomatoes in his garden.", "a person gardening", true),
    ("A blue truck stands in a garage with its lights off.", "a vehicle on a bridge", false),
];
/// Controls that a judge has to know.
const KNOWN: usize = 7;

/// What judges.
pub enum Judge {
    /// The refiner's own model, which knew this many of the controls.
    Model {
        /// Controls answered rightly.
        right: usize,
    },
    /// The cosine of embeddings, since the model knew too few of the controls. It is no entailment.
    Similarity {
        /// The encoder.
        encoder: Mutex<Box<dyn TextEncoder>>,
        /// Controls that the model answered rightly.
        right: usize,
    },
    /// Nothing, since there is no encoder and the model knew too few of the controls.
    Nothing {
        /// Controls that the model answered rightly.
        right: usize,
    },
}

impl fmt::Display for Judge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of = CONTROLS.len();
        match self {
            Self::Model { right } => {
                write!(f, "entailment by the model itself ({right} of {of} controls right)")
            }
            Self::Similarity { encoder, right } => {
                let name = encoder.lock().map(|encoder| encoder.identity().name.clone()).unwrap_or_default();
                write!(
                    f,
                    "similarity, cosine of {name} at least {SIMILARITY} (the model judged {right} of {of} controls rightly)"
                )
            }
            Self::Nothing { right } => {
                write!(f, "nothing (the model judged {right} of {of} controls rightly)")
            }
        }
    }
}

impl Judge {
    pub(super) fn choose(
        model: &dyn ChatModel,
        encoder: Option<Box<dyn TextEncoder>>,
    ) -> Result<Self, BoxError> {
        let questions: Vec<_> = CONTROLS.iter().map(|(text, prompt, _)| question(text, prompt)).collect();
        let answers = model.says_yes(&questions)?;
        let right =
            answers.iter().zip(CONTROLS).filter(|(given, (.., known))| **given == Some(*known)).count();
        Ok(match encoder {
            _ if right >= KNOWN => Self::Model { right },
            Some(encoder) => Self::Similarity { encoder: Mutex::new(encoder), right },
            None => Self::Nothing { right },
        })
    }

    /// Of each latent prompt, that it is good or why not.
    pub(super) fn verdicts(
        &self,
        model: &dyn ChatModel,
        prompt: &str,
        latents: &[String],
    ) -> Result<Vec<Result<(), String>>, BoxError> {
        if latents.is_empty() {
            return Ok(Vec::new());
        }
        match self {
            Self::Nothing { .. } => Ok(latents.iter().map(|_| Ok(())).collect()),
            Self::Model { .. } => {
                let questions: Vec<_> = latents.iter().map(|latent| question(latent, prompt)).collect();
                let verdict = |says: Option<bool>| match says {
                    Some(true) => Ok(()),
                    _ => Err("does not entail the prompt, as the model judges".to_owned()),
                };
                Ok(model.says_yes(&questions)?.into_iter().map(verdict).collect())
            }
            Self::Similarity { encoder, .. } => {
                let texts: Vec<&str> =
                    std::iter::once(prompt).chain(latents.iter().map(String::as_str)).collect();
                let encoder = encoder.lock().map_err(|_| "the encoder failed before")?;
                let rows: Vec<Vec<f32>> = encoder.embed(&texts)?.to_vec2()?;
                let verdict = |row: &Vec<f32>| match cosine(&rows[0], row) {
                    cosine if cosine >= SIMILARITY => Ok(()),
                    cosine => Err(format!("is too unlike the prompt: similarity {cosine:.2}")),
                };
                Ok(rows[1..].iter().map(verdict).collect())
            }
        }
    }
}

fn question(text: &str, prompt: &str) -> Vec<Message> {
    vec![
        Message::system("You compare descriptions of videos. Answer yes or no."),
        Message::user(format!(
            "Description: {text}\nIs a video of it also a video of \"{prompt}\"? Answer yes or no."
        )),
    ]
}

fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let dot = |x: &[f32], y: &[f32]| x.iter().zip(y).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum::<f64>();
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}
