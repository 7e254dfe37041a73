//! Which videos are unlike the others of their latent prompt.

use std::path::PathBuf;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use squbed_core::{Task, float};
use squbed_vmf::{Estimator, PairDistances, VonMisesFisher};

use crate::{embed::Embeddings, error::Result};

/// One video under the fit of the others.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VideoAnomaly {
    /// The task.
    pub id: String,
    /// Position of the latent prompt.
    pub latent: usize,
    /// The video.
    pub video: PathBuf,
    /// Videos of the latent prompt, this one included.
    pub videos: usize,
    /// Log-density of this video, nats, under the von Mises–Fisher distribution fitted to the *other* videos of its
    /// latent prompt; NaN where those are fewer than two or have no direction.
    #[serde(with = "float")]
    pub log_density: f64,
    /// −log-density less the entropy of that distribution, nats: how much more surprising this video is than one of that
    /// distribution is on average. Of other latent prompts and tasks it is comparable, which the density is not.
    #[serde(with = "float")]
    pub surprise: f64,
}

/// The videos of all tasks, the most surprising first.
///
/// A fit that a video takes part in is drawn towards it, most of all where it is the odd one out, so each is left out in
/// turn. Videos that could not be embedded are left out.
///
/// # Errors
///
/// Embeddings without direction.
pub fn anomalies(tasks: &[Task], videos: &Embeddings, estimator: Estimator) -> Result<Vec<VideoAnomaly>> {
    let latents: Vec<(&Task, usize)> =
        tasks.iter().flat_map(|task| (0..task.latents.len()).map(move |latent| (task, latent))).collect();
    let scored: Vec<Vec<VideoAnomaly>> = latents
        .par_iter()
        .map(|&(task, latent)| {
            let known =
                task.latents[latent].videos.iter().filter_map(|path| Some((path, videos.video(path)?)));
            let (paths, rows): (Vec<&PathBuf>, Vec<&[f32]>) = known.unzip();
            if rows.is_empty() {
                return Ok(Vec::new());
            }
            let pairs = PairDistances::of(&rows)?;
            let score = |(i, path): (usize, &&PathBuf)| {
                let (log_density, surprise) = left_out(&pairs, i, estimator)?;
                Ok(VideoAnomaly {
                    id: task.id.clone(),
                    latent,
                    video: (*path).clone(),
                    videos: rows.len(),
                    log_density,
                    surprise,
                })
            };
            paths.iter().enumerate().map(score).collect()
        })
        .collect::<Result<_>>()?;
    let mut all: Vec<VideoAnomaly> = scored.into_iter().flatten().collect();
    // Those without a score last.
    all.sort_by(|a, b| a.surprise.is_nan().cmp(&b.surprise.is_nan()).then(b.surprise.total_cmp(&a.surprise)));
    Ok(all)
}

/// Log-density and surprise of one row under the fit of the others.
fn left_out(pairs: &PairDistances, row: usize, estimator: Estimator) -> Result<(f64, f64)> {
    let (Some(others), Some(distance)) = (pairs.without(row), pairs.from_others(row)) else {
        return Ok((f64::NAN, f64::NAN));
    };
    let fit = squbed_vmf::fit(&others, estimator)?;
    let log_density = VonMisesFisher::new(others.dim, fit.kappa)?.log_density(distance);
    Ok((log_density, -log_density - fit.entropy))
}

#[cfg(test)]
mod tests {
    use squbed_vmf::Sampler;

    use super::*;

    #[test]
    fn the_odd_one_out_surprises_most_and_others_little() {
        let dim = 64;
        let mut rows = Sampler::new(dim, 300.0, None).unwrap().rows(7, 1).unwrap();
        let mut away = vec![0.0; dim];
        away[5] = 1.0;
        rows.extend(Sampler::new(dim, 300.0, Some(&away)).unwrap().rows(1, 2).unwrap());
        let rows: Vec<&[f64]> = rows.chunks(dim).collect();
        let surprise = |rows: &[&[f64]]| -> Vec<f64> {
            let pairs = PairDistances::of(rows).unwrap();
            (0..rows.len()).map(|i| left_out(&pairs, i, Estimator::U).unwrap().1).collect()
        };
        let all = surprise(&rows);
        assert!(all[7] > 100.0 && all[..7].iter().all(|s| *s < all[7] / 3.0), "{all:?}");
        // Of one distribution the surprise is 0 on average, but for what a fit of six is off.
        let alike = surprise(&rows[..7]);
        assert!((alike.iter().sum::<f64>() / 7.0).abs() < 10.0, "{alike:?}");
        // Two videos: one other has no spread.
        assert!(surprise(&rows[..2]).iter().all(|s| s.is_nan()));
        // All the same but one: the others are a point, and it is not there.
        let same = [rows[0], rows[0], rows[0], rows[7]];
        assert_eq!(surprise(&same)[3], f64::INFINITY);
    }
}
