//! Baselines that stand beside the method: what a spread costs without a fit, or without an encoder.

use squbed_core::{Clip, EncoderIdentity, Sampling};

use crate::{calibrate::Parts, fit::Group, method::TaskEmbeddings};

/// Name of the colour histogram where an encoder's name stands.
pub const HISTOGRAM: &str = "colour-histogram-64";

/// Bins a channel.
const BINS: usize = 4;

/// The colour histogram's identity, so that it is cached as an embedding is.
pub fn histogram_identity(sampling: &Sampling) -> EncoderIdentity {
    EncoderIdentity {
        name: HISTOGRAM.to_owned(),
        weights_sha256: String::new(),
        preprocessing: "colour-histogram/1".to_owned(),
        sampling: sampling.identity(),
        head: "square-root frequencies".to_owned(),
        dtype: "f32".to_owned(),
        dim: BINS * BINS * BINS,
    }
}

/// Square roots of the frequencies of 4×4×4 RGB bins over all pixels of a clip: a unit vector `[64]`,
/// whose inner products are Bhattacharyya coefficients.
pub fn colour_histogram(clip: &Clip) -> Vec<f32> {
    let mut counts = [0_u64; BINS * BINS * BINS];
    let bin = |byte: u8| usize::from(byte) * BINS / 256;
    for pixel in clip.frames().iter().flat_map(|f| f.rgb().chunks_exact(3)) {
        counts[(bin(pixel[0]) * BINS + bin(pixel[1])) * BINS + bin(pixel[2])] += 1;
    }
    let all: u64 = counts.iter().sum();
    counts.iter().map(|&c| (c as f64 / all as f64).sqrt() as f32).collect()
}

/// 1 − the mean cosine over all pairs of rows, in \[0, 2\].
pub fn mean_pairwise_cosine_distance(rows: &Group<'_>) -> f64 {
    let units: Vec<Vec<f64>> = rows
        .iter()
        .map(|row| {
            let norm = row.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>().sqrt();
            row.iter().map(|&x| f64::from(x) / norm).collect()
        })
        .collect();
    let m = units.len() as f64;
    let pairs = (0..units.len()).flat_map(|i| (0..i).map(move |j| (i, j)));
    // |x − y|² / 2 = 1 − cos, without the cancellation of 1 − x·y.
    let distance = |(i, j): (usize, usize)| {
        units[i].iter().zip(&units[j]).map(|(x, y)| (x - y).powi(2)).sum::<f64>() / 2.0
    };
    pairs.map(distance).sum::<f64>() / (m * (m - 1.0) / 2.0)
}

/// The baseline's name with an encoder's embeddings.
pub fn pairwise_name(encoder: &str) -> String {
    format!("mean pairwise cosine, {encoder}")
}

/// The mean pairwise cosine distance in the place of both entropies: of the prompts, and of the videos
/// averaged over the latent prompts.
pub fn pairwise_parts(task: &TaskEmbeddings<'_>) -> Parts {
    let videos: Vec<f64> = task.videos.iter().map(mean_pairwise_cosine_distance).collect();
    Parts {
        id: task.id.to_owned(),
        aleatoric: mean_pairwise_cosine_distance(&task.prompts),
        epistemic: videos.iter().sum::<f64>() / videos.len() as f64,
        // Videos that are all the same have distance 0, which has its place in a mean.
        latents_left_out: 0,
        videos_digest: None,
    }
}

#[cfg(test)]
mod tests {
    use squbed_core::Frame;

    use super::*;

    #[test]
    fn a_histogram_is_a_unit_vector_of_root_frequencies() {
        let frame = Frame::new(2, 2, vec![0, 0, 0, 0, 0, 0, 255, 255, 255, 0, 255, 0]).unwrap();
        let histogram = colour_histogram(&Clip::new(vec![frame], vec![0.0]).unwrap());
        assert_eq!(histogram[0], 0.5_f32.sqrt());
        assert_eq!((histogram[63], histogram[12]), (0.5, 0.5));
        assert!((histogram.iter().map(|x| x * x).sum::<f32>() - 1.0).abs() < 1e-6);
    }

    #[test]
    fn distances_average_over_pairs() {
        let rows: Group<'_> = vec![&[1.0, 0.0], &[0.0, 2.0], &[-3.0, 0.0]];
        assert!((mean_pairwise_cosine_distance(&rows) - (1.0 + 2.0 + 1.0) / 3.0).abs() < 1e-15);
    }
}
