//! The world's video model.

use squbed_core::Frame;

use crate::{
    error::Error,
    grammar::{self},
    knowledge::{Belief, CONFIDENTLY_WRONG, Knowledge, belief},
    render,
    rng::Rng,
    scene::{Attribute, Description, Scene},
};

/// A video model that knows some things well and others badly.
///
/// It gets a prompt as text and a seed, and nothing else: what it draws depends on the task only
/// through the sentence.
#[derive(Clone, Copy, Debug)]
pub struct WorldModel {
    knowledge: Knowledge,
}

impl WorldModel {
    /// The model of a world.
    pub fn new(knowledge: Knowledge) -> Self {
        Self { knowledge }
    }

    /// What it is, for the record, e.g. `closed-world realm/1`.
    pub fn name(&self) -> String {
        format!("closed-world {}", self.knowledge.version())
    }

    /// Reads a prompt as this world understands it: by realm a director must be named, by value none
    /// may be but the confidently wrong one.
    pub fn read(&self, prompt: &str) -> Result<Description, Error> {
        let description = grammar::parse(prompt)?;
        match (self.knowledge, description.director) {
            (Knowledge::Realm, None) => Err(Error::NoDirector { prompt: prompt.to_owned() }),
            (Knowledge::Value, Some(director)) if director != CONFIDENTLY_WRONG => {
                Err(Error::UnexpectedDirector { prompt: prompt.to_owned(), director: director.name() })
            }
            _ => Ok(description),
        }
    }

    /// The scene that the model shows for a prompt. What the prompt leaves open is drawn uniformly;
    /// what it says is shown if the model knows it.
    pub fn scene(&self, prompt: &str, seed: u64) -> Result<Scene, Error> {
        let description = self.read(prompt)?;
        let mut rng = Rng::of(seed, "knowledge");
        let mut scene = true_scene(&description, seed);
        for attribute in Attribute::ALL {
            let Some(value) = description.value(attribute) else { continue };
            let shown = match belief(description.director, attribute, value) {
                Belief::Mistakes(wrong) => wrong,
                Belief::Knows(k) if rng.unit() < k => value,
                // Uniform among the others: a step of 1 to V − 1 around the circle of values.
                Belief::Knows(_) => (value + 1 + rng.below(attribute.count() - 1)) % attribute.count(),
            };
            scene = scene.with(attribute, shown);
        }
        Ok(scene)
    }

    /// The frames that the model shows for a prompt.
    pub fn frames(&self, prompt: &str, seed: u64) -> Result<impl Iterator<Item = Frame> + use<>, Error> {
        Ok(render::frames(&self.scene(prompt, seed)?, seed))
    }
}

/// A scene exactly as described; what is open is drawn independently and uniformly.
pub fn true_scene(description: &Description, seed: u64) -> Scene {
    let mut rng = Rng::of(seed, "open attributes");
    description.complete(|attribute| rng.below(attribute.count()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        knowledge::{director_knowledge, epistemic, known_directors, value_knowledge},
        scene::Director,
    };

    /// A sentence that fixes everything, each attribute at the value `value` modulo their number.
    fn sentence(value: usize, director: Option<Director>) -> String {
        let scene = Description::default().complete(|attribute| value % attribute.count());
        grammar::render(&Description::of_scene(&scene, director), &mut Rng::new(value as u64))
    }

    /// How often each value of each attribute is shown in `n` draws.
    fn counts(model: &WorldModel, prompt: &str, n: u64) -> Vec<Vec<f64>> {
        let mut counts = Attribute::ALL.map(|attribute| vec![0.0; attribute.count()]).to_vec();
        for seed in 0..n {
            let scene = model.scene(prompt, seed).unwrap();
            for attribute in Attribute::ALL {
                counts[attribute as usize][scene.value(attribute)] += 1.0;
            }
        }
        counts
    }

    /// Checks the counts against the probabilities that `k` of each attribute gives, to 5σ.
    fn assert_follows(counts: &[Vec<f64>], n: u64, said: usize, k: impl Fn(Attribute) -> f64) {
        let n = n as f64;
        for attribute in Attribute::ALL {
            let said = said % attribute.count();
            for (value, &count) in counts[attribute as usize].iter().enumerate() {
                let k = k(attribute);
                let p = if value == said { k } else { (1.0 - k) / (attribute.count() as f64 - 1.0) };
                let sigma = (n * p * (1.0 - p)).sqrt();
                assert!((count - n * p).abs() <= 5.0 * sigma + 1e-9, "{} {value}: {count}", attribute.name());
            }
        }
    }

    #[test]
    fn substitutions_are_as_frequent_as_k_says() {
        let n = 8000;
        for (said, director) in known_directors().enumerate() {
            let k = director_knowledge(director).unwrap();
            let drawn = counts(&WorldModel::new(Knowledge::Realm), &sentence(said, Some(director)), n);
            assert_follows(&drawn, n, said, |_| k);
        }
        for said in 0..6 {
            let drawn = counts(&WorldModel::new(Knowledge::Value), &sentence(said, None), n);
            assert_follows(&drawn, n, said, |a| value_knowledge(a, said % a.count()));
        }
    }

    #[test]
    fn the_true_entropy_is_the_entropy_of_the_draws() {
        let n = 40_000;
        for (model, director) in [(Knowledge::Realm, known_directors().nth(4)), (Knowledge::Value, None)] {
            let prompt = sentence(2, director);
            let drawn = counts(&WorldModel::new(model), &prompt, n);
            // Attributes are drawn independently, so the joint entropy is the sum. Miller and Madow's
            // correction takes the bias of the plug-in estimate out.
            let estimate: f64 = drawn
                .iter()
                .map(|counts| {
                    let seen: Vec<f64> = counts.iter().copied().filter(|&c| c > 0.0).collect();
                    let plug_in: f64 = seen.iter().map(|c| -c / n as f64 * (c / n as f64).ln()).sum();
                    plug_in + (seen.len() as f64 - 1.0) / (2.0 * n as f64)
                })
                .sum();
            let truth = epistemic(&grammar::parse(&prompt).unwrap());
            assert!((estimate - truth).abs() < 0.05, "{model}: {estimate} against {truth}");
        }
    }

    #[test]
    fn a_confidently_wrong_scene_is_always_wrong_in_the_same_way() {
        for model in [Knowledge::Realm, Knowledge::Value].map(WorldModel::new) {
            let prompt = sentence(3, Some(CONFIDENTLY_WRONG));
            let first = model.scene(&prompt, 0).unwrap();
            assert!((1..200).all(|seed| model.scene(&prompt, seed).unwrap() == first));
            let wrong: Vec<&str> = Attribute::ALL
                .into_iter()
                .filter(|a| first.value(*a) != 3 % a.count())
                .map(Attribute::name)
                .collect();
            assert_eq!(wrong, ["colour", "shape", "motion", "companion"]);
        }
    }

    #[test]
    fn what_is_open_is_drawn_uniformly() {
        let model = WorldModel::new(Knowledge::Realm);
        let n = 6000;
        let drawn = counts(&model, "A clip directed by Pavel Moreau features an object.", n);
        for attribute in Attribute::ALL {
            let expected = n as f64 / attribute.count() as f64;
            for &count in &drawn[attribute as usize] {
                assert!((count - expected).abs() < 5.0 * expected.sqrt(), "{}", attribute.name());
            }
        }
    }

    #[test]
    fn only_the_text_and_the_seed_matter() {
        let (a, b) = (WorldModel::new(Knowledge::Realm), WorldModel::new(Knowledge::Realm));
        let prompt = sentence(1, known_directors().last());
        assert_eq!(a.scene(&prompt, 7).unwrap(), b.scene(&prompt, 7).unwrap());
        let scenes: std::collections::HashSet<_> = (0..50).map(|s| a.scene(&prompt, s).unwrap()).collect();
        assert!(scenes.len() > 25);
    }

    #[test]
    fn a_director_is_needed_by_realm_and_refused_by_value() {
        let by_realm = WorldModel::new(Knowledge::Realm);
        let by_value = WorldModel::new(Knowledge::Value);
        assert!(matches!(by_realm.scene("A red star.", 0), Err(Error::NoDirector { .. })));
        let named = "A red star, shot by Mara Voss.";
        assert!(matches!(by_value.scene(named, 0), Err(Error::UnexpectedDirector { .. })));
        assert!(by_realm.scene(named, 0).is_ok() && by_value.scene("A red star.", 0).is_ok());
    }
}
