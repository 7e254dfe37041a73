//! A refiner whose distribution is known.

use squbed_core::{BoxError, PromptRefiner, RefineRequest};

use crate::{
    grammar::{self, GRAMMAR},
    rng::{Rng, draw_seed},
    scene::Description,
};

/// Completes a prompt of the closed world: each open attribute is drawn independently and uniformly,
/// and the result is said in a full sentence. What the prompt fixes stays, the director too.
///
/// Stands in for the language model p(Z | ℓ). It knows the grammar and nothing of what the world's
/// model knows.
#[derive(Clone, Copy, Debug, Default)]
pub struct GrammarRefiner;

impl GrammarRefiner {
    /// Latent prompt number `index` of a request; it does not depend on how many are asked for.
    pub fn draw(&self, description: &Description, seed: u64, index: usize) -> String {
        let seed = draw_seed(seed, index);
        let mut rng = Rng::of(seed, "open attributes");
        let scene = description.complete(|attribute| rng.below(attribute.count()));
        grammar::render(&Description::of_scene(&scene, description.director), &mut Rng::of(seed, "wording"))
    }
}

impl PromptRefiner for GrammarRefiner {
    fn describe(&self) -> String {
        format!("closed-world {GRAMMAR}")
    }

    fn refine(&self, request: &RefineRequest<'_>) -> Result<Vec<String>, BoxError> {
        let description = grammar::parse(request.prompt)?;
        Ok((0..request.n).map(|index| self.draw(&description, request.seed, index)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scene::Attribute;

    fn refine(prompt: &str, n: usize, seed: u64) -> Vec<Description> {
        let latents = GrammarRefiner.refine(&RefineRequest { prompt, n, seed }).unwrap();
        latents.iter().map(|latent| grammar::parse(latent).unwrap()).collect()
    }

    #[test]
    fn what_the_prompt_fixes_stays_and_nothing_is_left_open() {
        let prompt = "A huge blue fish gliding from left to right, directed by Ines Kovar.";
        let fixed = grammar::parse(prompt).unwrap();
        for latent in refine(prompt, 200, 3) {
            assert_eq!(latent.director, fixed.director);
            assert_eq!(latent.open().count(), 0);
            for attribute in Attribute::ALL {
                assert!(fixed.value(attribute).is_none_or(|value| latent.value(attribute) == Some(value)));
            }
        }
    }

    #[test]
    fn open_attributes_are_uniform_and_independent() {
        let n = 12_000;
        let latents = refine("We see a plain tree.", n, 11);
        let value = |latent: &Description, attribute| latent.value(attribute).unwrap();
        let open =
            [Attribute::Size, Attribute::Colour, Attribute::Motion, Attribute::Setting, Attribute::Companion];
        for (i, &first) in open.iter().enumerate() {
            for &second in &open[i + 1..] {
                // Pearson's χ² of the joint table against the uniform one, which holds both claims.
                let cells = first.count() * second.count();
                let mut counts = vec![0_u32; cells];
                for latent in &latents {
                    counts[value(latent, first) * second.count() + value(latent, second)] += 1;
                }
                let expected = n as f64 / cells as f64;
                let chi2: f64 = counts.iter().map(|&c| (f64::from(c) - expected).powi(2) / expected).sum();
                let freedom = (cells - 1) as f64;
                // Six standard deviations of χ².
                let bound = freedom + 6.0 * (2.0 * freedom).sqrt();
                assert!(chi2 < bound, "{} x {}: {chi2} >= {bound}", first.name(), second.name());
            }
        }
    }

    #[test]
    fn same_seed_same_answer_and_the_first_draws_do_not_depend_on_their_number() {
        let ask =
            |n, seed| GrammarRefiner.refine(&RefineRequest { prompt: "A red heart.", n, seed }).unwrap();
        assert_eq!(ask(10, 1), ask(10, 1));
        assert_eq!(ask(10, 1)[..4], ask(4, 1));
        assert_ne!(ask(10, 1), ask(10, 2));
    }

    #[test]
    fn a_full_prompt_is_still_said_in_many_ways() {
        let prompt =
            "A tiny red plain star spinning on the spot in thick fog beside a cactus, shot by Mara Voss.";
        let latents = GrammarRefiner.refine(&RefineRequest { prompt, n: 100, seed: 1 }).unwrap();
        let distinct: std::collections::BTreeSet<_> = latents.iter().collect();
        assert!(distinct.len() > 40, "{}", distinct.len());
    }

    #[test]
    fn a_foreign_prompt_is_refused() {
        let request = RefineRequest { prompt: "A cat on a sofa.", n: 2, seed: 1 };
        let error = GrammarRefiner.refine(&request).unwrap_err().to_string();
        assert!(error.contains("`cat`"), "{error}");
    }
}
