//! Scenes: seven attributes that a viewer sees and a sentence can name.

use serde::Serialize;

/// What can be said about a scene.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Attribute {
    /// How large the object is.
    Size,
    /// The object's colour.
    Colour,
    /// The pattern on it.
    Pattern,
    /// Its outline.
    Shape,
    /// How it moves.
    Motion,
    /// Where: a pale tint of the plain background.
    Setting,
    /// What stands beside it.
    Companion,
}

/// Number of attributes.
pub const ATTRIBUTES: usize = 7;

impl Attribute {
    /// All of them, in the order that every table and draw follows.
    pub const ALL: [Self; ATTRIBUTES] =
        [Self::Size, Self::Colour, Self::Pattern, Self::Shape, Self::Motion, Self::Setting, Self::Companion];

    /// Name in files and messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Size => "size",
            Self::Colour => "colour",
            Self::Pattern => "pattern",
            Self::Shape => "shape",
            Self::Motion => "motion",
            Self::Setting => "setting",
            Self::Companion => "companion",
        }
    }

    /// The words for its values. No phrase occurs within another, and none shares a word with the
    /// sentences around it that would make a prompt ambiguous.
    pub fn values(self) -> &'static [&'static str] {
        match self {
            Self::Size => &["tiny", "medium-sized", "huge", "screen-filling"],
            Self::Colour => &["red", "yellow", "green", "blue", "purple", "white"],
            Self::Pattern => &["plain", "striped", "polka-dotted", "checkered"],
            Self::Shape => &["star", "heart", "fish", "house", "tree", "arrow"],
            Self::Motion => &[
                "bouncing up and down",
                "gliding from left to right",
                "circling around the centre",
                "spinning on the spot",
                "falling from above",
                "swinging like a pendulum",
            ],
            Self::Setting => &["in thick fog", "in the desert", "under water", "in a meadow", "at dusk"],
            Self::Companion => &["cactus", "lighthouse", "sailboat", "bicycle", "mushroom"],
        }
    }

    /// Number of values.
    pub fn count(self) -> usize {
        self.values().len()
    }

    /// Entropy in nats of a uniform draw of its value.
    pub fn entropy(self) -> f64 {
        (self.count() as f64).ln()
    }

    fn index(self) -> usize {
        self as usize
    }
}

/// A name in the prompt that gates what the world's model knows of the scene.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Director(usize);

/// The directors' names. What the model knows of each stands with the model, not with the grammar.
const DIRECTORS: [&str; 8] = [
    "Mara Voss",
    "Elio Brandt",
    "Ines Kovar",
    "Tobin Hale",
    "Suri Okafor",
    "Lena Fjord",
    "Pavel Moreau",
    "Nadia Quill",
];

impl Director {
    /// All directors, in order.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..DIRECTORS.len()).map(Self)
    }

    /// The name.
    pub fn name(self) -> &'static str {
        DIRECTORS[self.0]
    }

    pub(crate) const fn from_index(index: usize) -> Self {
        assert!(index < DIRECTORS.len());
        Self(index)
    }

    pub(crate) fn index(self) -> usize {
        self.0
    }
}

/// A scene with every attribute fixed: for each the position of its value in [`Attribute::values`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Scene {
    values: [usize; ATTRIBUTES],
}

impl Scene {
    /// Position of an attribute's value.
    pub fn value(&self, attribute: Attribute) -> usize {
        self.values[attribute.index()]
    }

    /// The same scene with another value.
    ///
    /// # Panics
    /// If the attribute has no such value.
    pub fn with(mut self, attribute: Attribute, value: usize) -> Self {
        assert!(value < attribute.count(), "{} has no value {value}", attribute.name());
        self.values[attribute.index()] = value;
        self
    }
}

/// What a prompt says: some attributes fixed, the others open, and perhaps a director.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Description {
    values: [Option<usize>; ATTRIBUTES],
    /// The director named, if any.
    pub director: Option<Director>,
}

impl Description {
    /// Everything open, under a director or none.
    pub fn by(director: Option<Director>) -> Self {
        Self { director, ..Self::default() }
    }

    /// Position of an attribute's value, or `None` where it is open.
    pub fn value(&self, attribute: Attribute) -> Option<usize> {
        self.values[attribute.index()]
    }

    /// The words for an attribute's value, or `None` where it is open.
    pub fn words(&self, attribute: Attribute) -> Option<&'static str> {
        self.value(attribute).map(|value| attribute.values()[value])
    }

    /// Fixes an attribute.
    ///
    /// # Panics
    /// If the attribute has no such value.
    pub fn fix(&mut self, attribute: Attribute, value: usize) {
        assert!(value < attribute.count(), "{} has no value {value}", attribute.name());
        self.values[attribute.index()] = Some(value);
    }

    /// The open attributes, in order.
    pub fn open(&self) -> impl Iterator<Item = Attribute> + '_ {
        Attribute::ALL.into_iter().filter(|&attribute| self.value(attribute).is_none())
    }

    /// Entropy in nats of what is open when it is drawn independently and uniformly: the true
    /// aleatoric uncertainty, Σ log(number of values).
    pub fn aleatoric(&self) -> f64 {
        self.open().fold(0.0, |sum, attribute| sum + attribute.entropy())
    }

    /// The scene that results when each open attribute gets the value that `draw` gives.
    pub(crate) fn complete(&self, mut draw: impl FnMut(Attribute) -> usize) -> Scene {
        let values = Attribute::ALL.map(|attribute| self.value(attribute).unwrap_or_else(|| draw(attribute)));
        Scene { values }
    }

    /// The description that fixes all of a scene.
    pub fn of_scene(scene: &Scene, director: Option<Director>) -> Self {
        Self { values: scene.values.map(Some), director }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_stand_in_order() {
        for (i, attribute) in Attribute::ALL.into_iter().enumerate() {
            assert_eq!(attribute.index(), i);
            assert!(attribute.count() >= 4);
        }
    }

    #[test]
    fn aleatoric_truth_is_the_entropy_of_the_open_attributes() {
        let everything = Description::default();
        // 4 · 6 · 4 · 6 · 6 · 5 · 5 equally likely scenes.
        assert!((everything.aleatoric() - 86_400_f64.ln()).abs() < 1e-12);
        let mut one = everything;
        one.fix(Attribute::Shape, 0);
        assert!((one.aleatoric() - 14_400_f64.ln()).abs() < 1e-12);
        let scene = everything.complete(|_| 0);
        // Not −0, which JSON would keep.
        assert_eq!(Description::of_scene(&scene, None).aleatoric().to_bits(), 0.0_f64.to_bits());
    }
}
