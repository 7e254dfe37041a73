//! What the world's model knows, and the entropy of what it therefore draws.

use std::{fmt, str::FromStr, sync::LazyLock};

use serde::{Deserialize, Serialize};

use crate::{
    rng::Rng,
    scene::{ATTRIBUTES, Attribute, Description, Director},
};

/// What the model's knowledge is a property of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Knowledge {
    /// The realm: the director named in the prompt gates one k for the whole scene, so that the true
    /// epistemic uncertainty does not depend on what else the prompt says.
    #[default]
    Realm,
    /// Each value: the model has a k for every colour, shape, motion and so on. The harder one.
    Value,
}

impl Knowledge {
    /// Name and version of the world, `realm/1` or `value/1`; raised when any parameter changes.
    pub fn version(self) -> &'static str {
        match self {
            Self::Realm => "realm/1",
            Self::Value => "value/1",
        }
    }
}

impl fmt::Display for Knowledge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Realm => "realm",
            Self::Value => "value",
        })
    }
}

/// A name that is no kind of knowledge.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{given}` is no kind of world; write realm or value")]
pub struct UnknownKnowledge {
    /// What was given.
    pub given: String,
}

impl FromStr for Knowledge {
    type Err = UnknownKnowledge;

    fn from_str(given: &str) -> Result<Self, UnknownKnowledge> {
        match given {
            "realm" => Ok(Self::Realm),
            "value" => Ok(Self::Value),
            _ => Err(UnknownKnowledge { given: given.to_owned() }),
        }
    }
}

/// What the model believes of one value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Belief {
    /// Shows the value with this probability k, otherwise another one, uniformly among the others.
    Knows(f64),
    /// Always shows this other value: wrong, and certain of it.
    Mistakes(usize),
}

/// k of the directors in order; the last director is the confidently wrong one. The steps are such
/// that the entropy of a scene rises about evenly from none to 10 of at most 11.4 nats.
const DIRECTOR_KNOWLEDGE: [f64; 7] = [1.0, 0.97, 0.92, 0.85, 0.75, 0.62, 0.45];

/// The director whose scenes are confidently wrong.
pub const CONFIDENTLY_WRONG: Director = Director::from_index(DIRECTOR_KNOWLEDGE.len());

/// Attributes that the confidently wrong director always gets wrong, each value as the next one.
pub(crate) const MISTAKEN: [Attribute; 4] =
    [Attribute::Colour, Attribute::Shape, Attribute::Motion, Attribute::Companion];

/// 1 − k of the least known value of an attribute in the world by value, and the power of the rise to
/// it from the best known one, which is known fully.
const LEAST_KNOWN: (f64, f64) = (0.7, 1.5);

/// k of each value. Which value gets which is shuffled once and for all, with a fixed seed.
static VALUE_KNOWLEDGE: LazyLock<[Vec<f64>; ATTRIBUTES]> = LazyLock::new(|| {
    Attribute::ALL.map(|attribute| {
        let last = (attribute.count() - 1) as f64;
        let (most, power) = LEAST_KNOWN;
        let mut table: Vec<f64> =
            (0..attribute.count()).map(|i| 1.0 - most * (i as f64 / last).powf(power)).collect();
        Rng::of(1, attribute.name()).shuffle(&mut table);
        table
    })
});

/// The directors whose k is known, in the order of falling k.
pub(crate) fn known_directors() -> impl Iterator<Item = Director> {
    Director::all().filter(|&director| director != CONFIDENTLY_WRONG)
}

/// The one k of a director's scenes; `None` for the confidently wrong one.
pub fn director_knowledge(director: Director) -> Option<f64> {
    DIRECTOR_KNOWLEDGE.get(director.index()).copied()
}

/// k of a value in the world by value.
pub fn value_knowledge(attribute: Attribute, value: usize) -> f64 {
    VALUE_KNOWLEDGE[attribute as usize][value]
}

/// What the model believes of a value, given the director named beside it. Without a director the
/// value's own k decides.
pub fn belief(director: Option<Director>, attribute: Attribute, value: usize) -> Belief {
    match director.map(director_knowledge) {
        Some(Some(k)) => Belief::Knows(k),
        Some(None) if MISTAKEN.contains(&attribute) => Belief::Mistakes((value + 1) % attribute.count()),
        Some(None) => Belief::Knows(1.0),
        None => Belief::Knows(value_knowledge(attribute, value)),
    }
}

impl Belief {
    /// Entropy in nats of what the model shows, of V possible `values`:
    /// −k log k − (1 − k) log((1 − k)/(V − 1)), and 0 for a mistake.
    pub fn entropy(self, values: usize) -> f64 {
        match self {
            Self::Knows(k) => {
                let term = |p: f64, ways: f64| if p > 0.0 { -p * (p / ways).ln() } else { 0.0 };
                term(k, 1.0) + term(1.0 - k, values as f64 - 1.0)
            }
            Self::Mistakes(_) => 0.0,
        }
    }
}

/// Entropy in nats of what the model shows for the refinements of a description, in the mean over
/// them: the true epistemic uncertainty. Open attributes count with the mean over their values, which
/// is exact as the refiner draws them independently and uniformly.
pub fn epistemic(description: &Description) -> f64 {
    let of = |attribute: Attribute, value| {
        belief(description.director, attribute, value).entropy(attribute.count())
    };
    Attribute::ALL
        .into_iter()
        .map(|attribute| match description.value(attribute) {
            Some(value) => of(attribute, value),
            None => {
                let count = attribute.count();
                (0..count).map(|value| of(attribute, value)).sum::<f64>() / count as f64
            }
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entropy_of_a_belief_is_that_of_its_distribution() {
        for values in 2..8 {
            for k in [0.0, 0.1, 0.5, 0.97, 1.0] {
                let other = (1.0 - k) / (values as f64 - 1.0);
                let direct: f64 = std::iter::once(k)
                    .chain(std::iter::repeat_n(other, values - 1))
                    .filter(|&p| p > 0.0)
                    .map(|p: f64| -p * p.ln())
                    .sum();
                assert!((Belief::Knows(k).entropy(values) - direct).abs() < 1e-12);
            }
            let uniform = Belief::Knows(1.0 / values as f64).entropy(values);
            assert!((uniform - (values as f64).ln()).abs() < 1e-12);
        }
        assert_eq!(Belief::Knows(1.0).entropy(6), 0.0);
        assert_eq!(Belief::Mistakes(2).entropy(6), 0.0);
    }

    #[test]
    fn a_director_gates_the_whole_scene_whatever_else_is_said() {
        let mut last = -1.0;
        for director in known_directors() {
            let mut description = Description::by(Some(director));
            let truth = epistemic(&description);
            assert!(truth > last + 1.0 || (last < 0.0 && truth == 0.0), "the levels lie apart");
            last = truth;
            for attribute in Attribute::ALL {
                description.fix(attribute, attribute.count() - 1);
                assert!((epistemic(&description) - truth).abs() < 1e-12);
            }
        }
        let wrong = Description::by(Some(CONFIDENTLY_WRONG));
        assert_eq!(epistemic(&wrong), 0.0);
    }

    #[test]
    fn values_are_known_from_fully_to_hardly() {
        for attribute in Attribute::ALL {
            let mut table: Vec<f64> = (0..attribute.count()).map(|v| value_knowledge(attribute, v)).collect();
            table.sort_by(f64::total_cmp);
            assert!((table[0] - 0.3).abs() < 1e-12 && table.last() == Some(&1.0), "{table:?}");
            // Less known means more entropy all the way: k never falls below chance.
            assert!(table[0] > 1.0 / attribute.count() as f64);
        }
    }
}
