//! Categories of tasks by their prompts, zero-shot: the nearest description in the space of sentence embeddings, or what a
//! language model answers.

use std::path::Path;

use serde::{Deserialize, Serialize};
use squbed_core::Task;
use squbed_generate::chat::{ChatModel, ChatRequest};
use squbed_models::llm::{Message, TokenSampling};
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
    /// By embeddings its share among all categories, a softmax of cosines at temperature 0.05, where among five 0.2 says
    /// nothing; by a language model its share of the answers.
    pub confidence: f64,
    /// The category that came next, where one did.
    pub next: Option<String>,
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
            next: Some(near[1].1.to_owned()),
        });
    }
    for (task, row) in tasks.iter_mut().zip(&rows) {
        task.category = Some(row.category.clone());
    }
    Ok(rows)
}

/// Answers that a language model gives on one prompt.
pub const VOTES: usize = 5;

/// Gives each task the category that a language model names most often in [`VOTES`] answers; the confidence is that
/// category's share of them. An answer counts for the one category whose name it holds, and for none where it holds
/// several or none. A task without any such answer keeps no category and is returned among the second.
///
/// # Errors
///
/// The language model's.
pub fn classify_by_model(
    tasks: &mut [Task],
    categories: &[Category],
    model: &dyn ChatModel,
    seed: u64,
    progress: &dyn Progress,
) -> Result<(Vec<Classified>, Vec<String>)> {
    let names: Vec<&str> = categories.iter().map(|c| c.name.as_str()).collect();
    let kinds: Vec<String> =
        categories.iter().map(|c| format!("{}: {}", c.name, c.descriptions.join("; "))).collect();
    let system = format!(
        "You sort descriptions of videos into categories. The categories are:\n{}\nAnswer with the name of one \
         category and nothing else.",
        kinds.join("\n")
    );
    let sampling = TokenSampling { temperature: 0.7, ..TokenSampling::default() };
    let (mut rows, mut without) = (Vec::new(), Vec::new());
    progress.begin("classify", tasks.len() as u64, "tasks");
    for (i, task) in tasks.iter_mut().enumerate() {
        let messages = [Message::system(&system), Message::user(format!("Description: {}", task.prompt))];
        let request = ChatRequest {
            messages: &messages,
            n: VOTES,
            max_tokens: 12,
            sampling: &sampling,
            seed: seed.wrapping_add(i as u64),
        };
        let answers = model.answers(&request).map_err(|source| Error::Classifier {
            model: model.describe(),
            task: task.id.clone(),
            source,
        })?;
        let votes: Vec<&str> = answers.iter().filter_map(|answer| named(&answer.text, &names)).collect();
        let mut counts: Vec<(usize, &str)> =
            names.iter().map(|&name| (votes.iter().filter(|&&vote| vote == name).count(), name)).collect();
        // Ties go to the category that stands first.
        counts.sort_by_key(|&(count, _)| std::cmp::Reverse(count));
        task.category = None;
        match counts[0] {
            (0, _) => without.push(task.id.clone()),
            (count, name) => {
                task.category = Some(name.to_owned());
                rows.push(Classified {
                    id: task.id.clone(),
                    category: name.to_owned(),
                    confidence: count as f64 / VOTES as f64,
                    next: counts.get(1).filter(|(count, _)| *count > 0).map(|(_, name)| (*name).to_owned()),
                });
            }
        }
        progress.advance(1);
    }
    progress.end();
    Ok((rows, without))
}

/// The one category that an answer names, in either case and as a whole word.
fn named<'a>(answer: &str, names: &[&'a str]) -> Option<&'a str> {
    let answer = answer.to_lowercase();
    let holds = |name: &str| {
        let name = name.to_lowercase();
        answer.match_indices(&name).any(|(at, _)| {
            let inside = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
            !inside(answer[..at].chars().next_back()) && !inside(answer[at + name.len()..].chars().next())
        })
    };
    let mut found = names.iter().filter(|name| holds(name));
    let first = found.next()?;
    found.next().is_none().then_some(first)
}

fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let dot = |x: &[f32], y: &[f32]| x.iter().zip(y).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum::<f64>();
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use squbed_core::BoxError;
    use squbed_generate::chat::ChatAnswer;

    use super::*;
    use crate::progress::Silent;

    /// Answers by a script, and remembers what it was asked.
    struct Scripted(Mutex<Vec<Vec<&'static str>>>);

    impl ChatModel for Scripted {
        fn describe(&self) -> String {
            "scripted".to_owned()
        }

        fn answers(&self, request: &ChatRequest<'_>) -> Result<Vec<ChatAnswer>, BoxError> {
            assert_eq!(request.n, VOTES);
            let texts = self.0.lock().unwrap().pop().ok_or("no more answers")?;
            Ok(texts.into_iter().map(|text| ChatAnswer { text: text.to_owned(), cut: false }).collect())
        }

        fn says_yes(&self, _: &[Vec<Message>]) -> Result<Vec<Option<bool>>, BoxError> {
            Err("not asked".into())
        }
    }

    fn task(id: &str) -> Task {
        Task {
            id: id.to_owned(),
            prompt: "a prompt".to_owned(),
            dataset: None,
            category: Some("old".to_owned()),
            ground_truth: None,
            latents: Vec::new(),
        }
    }

    #[test]
    fn the_votes_of_a_language_model_decide() {
        let categories = ["animals", "food", "other"]
            .map(|name| Category { name: name.to_owned(), descriptions: vec!["x".to_owned()] });
        let answers = Scripted(Mutex::new(vec![
            vec!["", "I cannot", "food or animals", "otherwise", "foods"],
            vec!["Animals.", "food", "animals", "The category is: Animals", "Animals and food"],
        ]));
        let mut tasks = [task("a"), task("b")];
        let (rows, without) = classify_by_model(&mut tasks, &categories, &answers, 1, &Silent).unwrap();
        assert_eq!((rows.len(), without), (1, vec!["b".to_owned()]));
        let row = &rows[0];
        assert_eq!(
            (row.category.as_str(), row.confidence, row.next.as_deref()),
            ("animals", 0.6, Some("food"))
        );
        assert_eq!((tasks[0].category.as_deref(), tasks[1].category.as_deref()), (Some("animals"), None));
        let error = classify_by_model(&mut tasks, &categories, &answers, 1, &Silent).unwrap_err();
        assert!(error.to_string().contains("scripted") && error.to_string().contains("`a`"), "{error}");
    }
}
