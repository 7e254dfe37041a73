//! Drawing a token from logits.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::error::LlmError;

/// How tokens are drawn, in the order of the steps: repetition penalty, temperature, top-p, min-p.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenSampling {
    /// Logits are divided by it; 0 takes the likeliest token.
    pub temperature: f64,
    /// The likeliest tokens that together have this probability are kept (Holtzman et al. 2020, arXiv 1904.09751); 1
    /// keeps all.
    pub top_p: f64,
    /// Tokens of less than this share of the likeliest one's probability are dropped (Nguyen et al. 2024, arXiv
    /// 2407.01082); 0 keeps all.
    pub min_p: f64,
    /// Logits of tokens that the answer already has are divided by it where positive, multiplied where negative (Keskar
    /// et al. 2019, arXiv 1909.05858); 1 leaves them. Tokens of the prompt are not touched.
    pub repetition_penalty: f64,
}

impl Default for TokenSampling {
    /// Temperature 1: the model's own distribution, cut at nothing but the unlikeliest.
    fn default() -> Self {
        Self { temperature: 1.0, top_p: 0.95, min_p: 0.05, repetition_penalty: 1.0 }
    }
}

impl TokenSampling {
    /// Always the likeliest token.
    pub fn greedy() -> Self {
        Self { temperature: 0.0, top_p: 1.0, min_p: 0.0, repetition_penalty: 1.0 }
    }

    /// That each setting is in its range.
    pub fn check(&self) -> Result<(), LlmError> {
        let range = |name, value: f64, good: bool, expected| {
            if good { Ok(()) } else { Err(LlmError::Sampling { name, value, expected }) }
        };
        let t = self.temperature;
        range("temperature", t, (0.0..=100.0).contains(&t), "it is from 0 to 100")?;
        range("top_p", self.top_p, self.top_p > 0.0 && self.top_p <= 1.0, "it is above 0 and at most 1")?;
        range("min_p", self.min_p, (0.0..1.0).contains(&self.min_p), "it is at least 0 and below 1")?;
        let penalty = self.repetition_penalty;
        range("repetition_penalty", penalty, (0.1..=10.0).contains(&penalty), "it is from 0.1 to 10")
    }
}

/// Draws the tokens of one answer.
pub(super) struct Sampler<'s> {
    sampling: &'s TokenSampling,
    random: ChaCha8Rng,
    used: Vec<u32>,
}

impl<'s> Sampler<'s> {
    /// Answers of one seed differ by their number, and do not depend on how many there are.
    pub(super) fn new(sampling: &'s TokenSampling, seed: u64, number: u64) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        random.set_stream(number);
        Self { sampling, random, used: Vec::new() }
    }

    /// The next token. `logits` has one number for each token of the vocabulary, and is spoiled.
    pub(super) fn draw(&mut self, logits: &mut [f32]) -> Result<u32, LlmError> {
        if logits.iter().any(|x| x.is_nan()) || logits.is_empty() {
            return Err(LlmError::NotFinite);
        }
        let TokenSampling { temperature, top_p, min_p, repetition_penalty } = *self.sampling;
        let penalty = repetition_penalty as f32;
        for &token in &self.used {
            if let Some(x) = logits.get_mut(token as usize) {
                *x = if *x > 0.0 { *x / penalty } else { *x * penalty };
            }
        }
        // Of equals the first, as the references have it.
        let best = (1..logits.len()).fold(0, |best, i| if logits[i] > logits[best] { i } else { best });
        let token = if temperature == 0.0 {
            best as u32
        } else {
            let top = f64::from(logits[best]);
            let mut weights: Vec<(u32, f64)> = (0..)
                .zip(logits.iter())
                .map(|(id, &x)| (id, ((f64::from(x) - top) / temperature).exp()))
                .collect();
            let total: f64 = weights.iter().map(|&(_, w)| w).sum();
            // What lies below the second bound cannot, even together, be more than the tail that top-p cuts off.
            let least = min_p.max((1.0 - top_p) * total / weights.len() as f64);
            weights.retain(|&(_, w)| w >= least);
            weights.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
            let weights = &weights[..nucleus(&weights, top_p * total)];
            let total: f64 = weights.iter().map(|&(_, w)| w).sum();
            let mut rest = self.random.random::<f64>() * total;
            let drawn = weights.iter().find(|&&(_, w)| {
                rest -= w;
                rest < 0.0
            });
            drawn.unwrap_or(&weights[0]).0
        };
        if !self.used.contains(&token) {
            self.used.push(token);
        }
        Ok(token)
    }
}

/// How many of the sorted weights it takes to reach a sum; all where they do not.
fn nucleus(weights: &[(u32, f64)], wanted: f64) -> usize {
    let mut sum = 0.0;
    let reached = weights.iter().position(|&(_, w)| {
        sum += w;
        sum >= wanted
    });
    reached.map_or(weights.len(), |last| last + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Probabilities .5, .3, .15, .05.
    fn logits() -> Vec<f32> {
        [0.5f32, 0.3, 0.15, 0.05].map(f32::ln).to_vec()
    }

    fn counts(sampling: &TokenSampling, draws: u64) -> [u64; 4] {
        let mut counts = [0; 4];
        for number in 0..draws {
            let token = Sampler::new(sampling, 7, number).draw(&mut logits()).unwrap();
            counts[token as usize] += 1;
        }
        counts
    }

    fn sampling(temperature: f64, top_p: f64, min_p: f64) -> TokenSampling {
        TokenSampling { temperature, top_p, min_p, repetition_penalty: 1.0 }
    }

    #[test]
    fn tokens_come_as_often_as_their_probabilities_say() {
        let n = 20_000;
        for (temperature, power) in [(1.0, 1.0), (0.5, 2.0), (2.0, 0.5)] {
            let weights = [0.5f64, 0.3, 0.15, 0.05].map(|p| p.powf(power));
            let total: f64 = weights.iter().sum();
            for (count, weight) in counts(&sampling(temperature, 1.0, 0.0), n).into_iter().zip(weights) {
                let p = weight / total;
                let deviation = (n as f64 * p * (1.0 - p)).sqrt();
                let off = (count as f64 - n as f64 * p).abs();
                assert!(off < 5.0 * deviation, "temperature {temperature}: {count} of {n}, p = {p}");
            }
        }
    }

    #[test]
    fn top_p_keeps_what_reaches_it_and_min_p_what_is_near_the_likeliest() {
        assert_eq!(counts(&sampling(1.0, 0.5, 0.0), 500), [500, 0, 0, 0]);
        let two = counts(&sampling(1.0, 0.51, 0.0), 500);
        assert!(two[1] > 0 && two[2..] == [0, 0], "{two:?}");
        let three = counts(&sampling(1.0, 1.0, 0.2), 500);
        assert!(three[2] > 0 && three[3] == 0, "{three:?}");
        assert_eq!(counts(&sampling(0.0, 1.0, 0.0), 10), [10, 0, 0, 0]);
    }

    #[test]
    fn a_token_that_was_used_is_less_likely_again() {
        let sampling = TokenSampling { repetition_penalty: 2.0, ..TokenSampling::greedy() };
        let mut sampler = Sampler::new(&sampling, 0, 0);
        let mut draw = || sampler.draw(&mut [4.0, 3.0, -1.0, -1.5]).unwrap();
        // 4 becomes 2, then 3 becomes 1.5, so that 2 is the greatest again.
        assert_eq!([draw(), draw(), draw()], [0, 1, 0]);
        let mut sampler = Sampler::new(&sampling, 0, 0);
        let mut draw = || sampler.draw(&mut [-1.0, -1.5]).unwrap();
        assert_eq!([draw(), draw()], [0, 1]);
    }

    #[test]
    fn answers_of_one_seed_differ_and_repeat() {
        let s = sampling(1.0, 1.0, 0.0);
        let draw = |seed, number| {
            let mut sampler = Sampler::new(&s, seed, number);
            (0..20).map(|_| sampler.draw(&mut logits()).unwrap()).collect::<Vec<_>>()
        };
        assert_eq!(draw(1, 0), draw(1, 0));
        assert_ne!(draw(1, 0), draw(1, 1));
        assert_ne!(draw(1, 0), draw(2, 0));
    }

    #[test]
    fn settings_out_of_range_and_logits_that_are_none_are_refused() {
        for bad in [
            sampling(-1.0, 1.0, 0.0),
            sampling(f64::NAN, 1.0, 0.0),
            sampling(1.0, 0.0, 0.0),
            sampling(1.0, 1.5, 0.0),
            sampling(1.0, 1.0, 1.0),
            TokenSampling { repetition_penalty: 0.0, ..TokenSampling::greedy() },
        ] {
            assert!(bad.check().is_err(), "{bad:?}");
        }
        assert!(TokenSampling::default().check().is_ok() && TokenSampling::greedy().check().is_ok());
        let s = TokenSampling::greedy();
        assert!(matches!(Sampler::new(&s, 0, 0).draw(&mut [0.0, f32::NAN]), Err(LlmError::NotFinite)));
    }
}
