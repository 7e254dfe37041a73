//! Categories of tasks by their prompts, zero-shot: the nearest description in the space of sentence embeddings.

use std::path::Path;

use serde::{Deserialize, Serialize};
use squbed_core::Task;
use squbed_tensor::TextEncoder;

use crate::{
    embed,
    error::{Error, Result},
    progress::Progress,
};

/// A category and what is said of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Category {
    /// Its name.
    pub name: String,
    /// Sentences of what belongs to it; the nearest one counts.
    pub descriptions: Vec<String>,
}

/// The paper's five categories, in words of ours.
pub const PAPER_CATEGORIES: [(&str, &[&str]); 5] = [
    ("animals", &["a video of an animal", "a dog, a cat, a bird or another pet", "wild animals in nature"]),
    (
        "food",
        &["a video of food or a dish", "somebody cooks or prepares a meal", "fruit, vegetables and drinks"],
    ),
    (
        "games",
        &["a recording of a video game", "people play a board game or cards", "a game character on a screen"],
    ),
    ("people", &["a video of a person", "people talk, work or do sports", "a man, a woman or a child"]),
    (
        "other",
        &[
            "a landscape, the sea or the sky",
            "a vehicle, a machine or a device",
            "a building, a city or a room",
            "a chart, text or an animation",
        ],
    ),
];

/// A task's category.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Classified {
    /// The task.
    pub id: String,
    /// The category.
    pub category: String,
    /// Its share among all categories, by a softmax of cosines at temperature 0.05; at five categories 0.2 says nothing.
    pub confidence: f64,
    /// The category that came next.
    pub next: String,
}

/// Temperature of the softmax: cosines of sentences differ by some hundredths.
const TEMPERATURE: f64 = 0.05;

/// The user's categories, a JSON array of [`Category`]; two at least.
///
/// # Errors
///
/// A file that cannot be read or is none.
pub fn read_categories(path: &Path) -> Result<Vec<Category>> {
    let bytes = squbed_files::read(path).map_err(|source| Error::Read { path: path.to_owned(), source })?;
    let read: Vec<Category> =
        serde_json::from_slice(&bytes).map_err(|source| Error::Json { path: path.to_owned(), source })?;
    if read.len() < 2 || read.iter().any(|c| c.name.trim().is_empty() || c.descriptions.is_empty()) {
        return Err(Error::Categories { path: path.to_owned() });
    }
    Ok(read)
}

/// Gives each task the category whose description is nearest to its prompt; one that a task has already is replaced.
///
/// # Errors
///
/// The encoder's; a prompt whose embedding has no direction.
pub fn classify(
    tasks: &mut [Task],
    categories: &[Category],
    encoder: &dyn TextEncoder,
    progress: &dyn Progress,
) -> Result<Vec<Classified>> {
    let texts: Vec<&str> = tasks
        .iter()
        .map(|task| task.prompt.as_str())
        .chain(categories.iter().flat_map(|c| c.descriptions.iter().map(String::as_str)))
        .collect();
    let (embeddings, _) = embed::embed_texts(&texts, encoder, None, progress)?;
    let of = |text: &str| {
        embeddings.text(text).ok_or_else(|| Error::NotEmbedded {
            encoder: encoder.identity().name.clone(),
            item: format!("“{text}”"),
        })
    };
    let mut rows = Vec::new();
    for task in tasks.iter() {
        let prompt = of(&task.prompt)?;
        let mut near = Vec::new();
        for category in categories {
            let mut nearest = f64::NEG_INFINITY;
            for description in &category.descriptions {
                nearest = nearest.max(cosine(prompt, of(description)?));
            }
            near.push((nearest, category.name.as_str()));
        }
        near.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(b.1)));
        let best = near[0].0;
        let total: f64 = near.iter().map(|(cosine, _)| ((cosine - best) / TEMPERATURE).exp()).sum();
        rows.push(Classified {
            id: task.id.clone(),
            category: near[0].1.to_owned(),
            confidence: 1.0 / total,
            next: near[1].1.to_owned(),
        });
    }
    for (task, row) in tasks.iter_mut().zip(&rows) {
        task.category = Some(row.category.clone());
    }
    Ok(rows)
}

fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let dot = |x: &[f32], y: &[f32]| x.iter().zip(y).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum::<f64>();
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}
