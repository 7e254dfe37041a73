//! Accuracy of generated videos against the true one.

use squbed_core::{AccuracyScore, Task};

use crate::{embed::Embeddings, sources::videos_digest};

/// Cosine similarity of two embeddings, in f64.
pub fn cosine(x: &[f32], y: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum::<f64>();
    dot(x, y) / (dot(x, x) * dot(y, y)).sqrt()
}

/// The metric's name: an accuracy is named after what computed it, e.g. `i3d-kinetics-400 cosine`.
pub fn cosine_metric(encoder: &str) -> String {
    format!("{encoder} cosine")
}

/// Mean cosine of each task's videos with its ground truth, over all its latent prompts. Tasks without a
/// ground truth, or whose embeddings failed, have no score.
pub fn cosine_scores(tasks: &[Task], videos: &Embeddings) -> Vec<AccuracyScore> {
    let mut scores = Vec::new();
    for task in tasks {
        let Some(truth) = task.ground_truth.as_ref().and_then(|path| videos.video(path)) else { continue };
        let paths = task.latents.iter().flat_map(|z| &z.videos);
        let cosines: Vec<f64> = paths.filter_map(|p| videos.video(p)).map(|v| cosine(v, truth)).collect();
        if !cosines.is_empty() {
            scores.push(AccuracyScore {
                id: task.id.clone(),
                metric: cosine_metric(&videos.identity().name),
                value: cosines.iter().sum::<f64>() / cosines.len() as f64,
                videos: cosines.len(),
                videos_digest: Some(videos_digest(task, |path| videos.digest(path))),
            });
        }
    }
    scores
}
