//! The sentences of the world: from a [`Description`] to English and back.
//!
//! Six frames say the same thing in different words and orders, and a few words of the frames have
//! synonyms; the words for values are always the same. What is open is left out. Reading is strict:
//! a word that no sentence of the world has is an error, not a guess.

use std::sync::LazyLock;

use crate::{
    rng::Rng,
    scene::{Attribute, Description, Director},
};

/// Name and version of the sentences; raised when any of them changes.
pub const GRAMMAR: &str = "grammar/1";

/// Sentence frames. `{slot}` is filled; a part in `[…]` is dropped when the attribute or the director
/// in it is open.
pub(crate) const FRAMES: [&str; 6] = [
    "{object}[ {motion}][ {setting}][ {near} {companion}][, {directed} {director}].",
    "A {clip}[ {directed} {director}] {shows} {object}[ {motion}][ {near} {companion}][ {setting}].",
    "[{setting}, ]we see {object}[ {motion}][ {near} {companion}][, in a {clip} {directed} {director}].",
    "[In a {clip} {directed} {director}, ]there is {object}[ {near} {companion}][ {setting}][, {motion}].",
    "[{near} {companion}, ]the camera {follows} {object}[ {motion}][ {setting}][, {directed} {director}].",
    "[{setting}, ]{object} {appears}[ {near} {companion}][, {motion}][; {directed} {director}].",
];

/// Words of the frames that may be said in more than one way. No choice bears on what is seen.
pub(crate) const SYNONYMS: [(&str, &[&str]); 7] = [
    ("clip", &["clip", "video", "film", "short scene"]),
    ("near", &["next to", "beside", "close to"]),
    ("directed", &["directed by", "shot by", "made by"]),
    ("shows", &["shows", "presents", "features"]),
    ("follows", &["follows", "captures", "watches"]),
    ("appears", &["appears", "can be seen", "is shown"]),
    ("thing", &["object", "shape"]),
];

/// Why a prompt says nothing about a scene of the world.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PromptError {
    /// Nothing is written.
    #[error("the prompt is empty")]
    Empty,
    /// A word that is not in the world's vocabulary.
    #[error(
        "prompt `{prompt}`: the closed world does not know the word `{word}`; \
         its words are those of the prompts that `squbed sim world` writes"
    )]
    UnknownWord {
        /// The prompt.
        prompt: String,
        /// The word.
        word: String,
    },
    /// Two values of one attribute, or two directors.
    #[error("prompt `{prompt}` names two values of {attribute}: `{first}` and `{second}`")]
    Contradiction {
        /// The prompt.
        prompt: String,
        /// The attribute, or `director`.
        attribute: &'static str,
        /// The value read first.
        first: &'static str,
        /// The other value.
        second: &'static str,
    },
    /// Known words that name neither a value nor a director.
    #[error("prompt `{prompt}` names nothing that the closed world can show")]
    Nothing {
        /// The prompt.
        prompt: String,
    },
}

/// Writes a sentence; frame and synonyms come from the stream.
pub(crate) fn render(description: &Description, rng: &mut Rng) -> String {
    let frame = FRAMES[rng.below(FRAMES.len())];
    let mut sentence = String::new();
    let mut rest = frame;
    while let Some(open) = rest.find('[') {
        fill(&rest[..open], description, rng, &mut sentence);
        let close = open + rest[open..].find(']').unwrap_or(rest.len() - open);
        let part = &rest[open + 1..close];
        if !is_open(part, description) {
            fill(part, description, rng, &mut sentence);
        }
        rest = &rest[close + 1..];
    }
    fill(rest, description, rng, &mut sentence);
    let mut letters = sentence.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

/// Whether an optional part speaks of something that the description leaves open.
fn is_open(part: &str, description: &Description) -> bool {
    (part.contains("{director}") && description.director.is_none())
        || description.open().any(|attribute| part.contains(&format!("{{{}}}", attribute.name())))
}

/// Appends a piece of a frame, its slots filled.
fn fill(piece: &str, description: &Description, rng: &mut Rng, sentence: &mut String) {
    let mut rest = piece;
    while let Some((before, after)) = rest.split_once('{') {
        sentence.push_str(before);
        let (slot, after) = after.split_once('}').unwrap_or((after, ""));
        match slot {
            "object" => sentence.push_str(&object(description, rng)),
            "companion" => sentence
                .push_str(&description.words(Attribute::Companion).map_or_else(String::new, with_article)),
            "motion" => sentence.push_str(description.words(Attribute::Motion).unwrap_or_default()),
            "setting" => sentence.push_str(description.words(Attribute::Setting).unwrap_or_default()),
            "director" => sentence.push_str(description.director.map(Director::name).unwrap_or_default()),
            _ => sentence.push_str(synonym(slot, rng)),
        }
        rest = after;
    }
    sentence.push_str(rest);
}

/// "a huge red striped star", or "an object" where all of it is open.
fn object(description: &Description, rng: &mut Rng) -> String {
    let noun = description.words(Attribute::Shape).unwrap_or_else(|| synonym("thing", rng));
    let words: Vec<&str> = [Attribute::Size, Attribute::Colour, Attribute::Pattern]
        .into_iter()
        .filter_map(|attribute| description.words(attribute))
        .chain([noun])
        .collect();
    with_article(&words.join(" "))
}

fn with_article(noun: &str) -> String {
    let article = if noun.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" };
    format!("{article} {noun}")
}

/// One way to say a word of the frames.
fn synonym(slot: &str, rng: &mut Rng) -> &'static str {
    SYNONYMS.iter().find(|(name, _)| *name == slot).map_or("", |(_, ways)| rng.pick(ways))
}

/// What a phrase of a prompt means.
#[derive(Clone, Copy)]
enum Meaning {
    Value(Attribute, usize),
    Director(Director),
    /// A word of the frames.
    Filler,
}

/// Every phrase of the world as its words in lower case, the longest first, so that "in the desert"
/// is read before "in".
static PHRASES: LazyLock<Vec<(Vec<String>, Meaning)>> = LazyLock::new(|| {
    let mut phrases = Vec::new();
    for attribute in Attribute::ALL {
        for (value, phrase) in attribute.values().iter().enumerate() {
            phrases.push((words(phrase), Meaning::Value(attribute, value)));
        }
    }
    phrases.extend(Director::all().map(|director| (words(director.name()), Meaning::Director(director))));
    let synonyms = SYNONYMS.iter().flat_map(|(_, ways)| ways.iter().copied());
    let literals = FRAMES.iter().flat_map(|frame| frame.split(['[', ']', '{', '}']));
    let slots: Vec<&str> = SYNONYMS.iter().map(|(slot, _)| *slot).collect();
    let is_slot = |piece: &str| slots.contains(&piece) || NAMED_SLOTS.contains(&piece);
    let mut fillers: Vec<String> =
        synonyms.chain(literals.filter(|piece| !is_slot(piece))).chain(["a", "an"]).flat_map(words).collect();
    fillers.sort();
    fillers.dedup();
    phrases.extend(fillers.into_iter().map(|word| (vec![word], Meaning::Filler)));
    phrases.sort_by_key(|(words, _)| std::cmp::Reverse(words.len()));
    phrases
});

/// Slots of the frames that have no synonyms.
const NAMED_SLOTS: [&str; 5] = ["object", "motion", "setting", "companion", "director"];

/// The words of a text in lower case, without punctuation.
fn words(text: &str) -> Vec<String> {
    text.split(|c: char| c.is_whitespace() || ",.;:!?\"'()".contains(c))
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .collect()
}

/// Reads a prompt.
///
/// The order of the phrases does not matter, nor do case and punctuation; words outside the world's
/// vocabulary, two values of an attribute, and prompts that name nothing are errors.
pub fn parse(prompt: &str) -> Result<Description, PromptError> {
    let words = words(prompt);
    let mut rest = words.as_slice();
    let mut description = Description::default();
    let mut names_something = false;
    while let Some(word) = rest.first() {
        let Some((phrase, meaning)) = PHRASES.iter().find(|(phrase, _)| rest.starts_with(phrase)) else {
            return Err(PromptError::UnknownWord { prompt: prompt.to_owned(), word: word.clone() });
        };
        rest = &rest[phrase.len()..];
        names_something |= !matches!(meaning, Meaning::Filler);
        let contradiction = |attribute, first, second| {
            Err(PromptError::Contradiction { prompt: prompt.to_owned(), attribute, first, second })
        };
        match *meaning {
            Meaning::Filler => {}
            Meaning::Value(attribute, value) => match description.value(attribute) {
                Some(first) if first != value => {
                    let values = attribute.values();
                    return contradiction(attribute.name(), values[first], values[value]);
                }
                _ => description.fix(attribute, value),
            },
            Meaning::Director(director) => match description.director {
                Some(first) if first != director => {
                    return contradiction("director", first.name(), director.name());
                }
                _ => description.director = Some(director),
            },
        }
    }
    match (words.is_empty(), names_something) {
        (true, _) => Err(PromptError::Empty),
        (_, false) => Err(PromptError::Nothing { prompt: prompt.to_owned() }),
        _ => Ok(description),
    }
}

#[cfg(test)]
mod tests {
    use proptest::{prop_assert, prop_assert_eq, prop_assume, proptest};

    use super::*;

    /// Every description there is, open attributes included; directors take turns.
    fn every_description() -> impl Iterator<Item = Description> {
        let choices = Attribute::ALL.map(|attribute| attribute.count() + 1);
        let directors: Vec<_> = Director::all().map(Some).chain([None]).collect();
        (0..choices.iter().product::<usize>()).map(move |number| {
            let mut description = Description::by(directors[number % directors.len()]);
            let mut rest = number;
            for (attribute, choices) in Attribute::ALL.into_iter().zip(choices) {
                if let Some(value) = (rest % choices).checked_sub(1) {
                    description.fix(attribute, value);
                }
                rest /= choices;
            }
            description
        })
    }

    #[test]
    fn every_description_reads_back() {
        let mut rng = Rng::new(1);
        for description in every_description() {
            let sentence = render(&description, &mut rng);
            if description == Description::default() {
                assert!(matches!(parse(&sentence), Err(PromptError::Nothing { .. })));
            } else {
                assert_eq!(parse(&sentence).as_ref(), Ok(&description), "{sentence}");
            }
        }
    }

    proptest! {
        #[test]
        fn every_wording_reads_back(numbers: [usize; 7], director: usize, seed: u64) {
            let mut description = Description::by(Director::all().nth(director % 9));
            for (attribute, number) in Attribute::ALL.into_iter().zip(numbers) {
                if let Some(value) = (number % (attribute.count() + 1)).checked_sub(1) {
                    description.fix(attribute, value);
                }
            }
            prop_assume!(description != Description::default());
            let sentence = render(&description, &mut Rng::new(seed));
            prop_assert_eq!(parse(&sentence), Ok(description));
            prop_assert!(sentence.starts_with(char::is_uppercase) && sentence.ends_with('.'));
            for clumsy in ["  ", " ,", ",,", "[", "]", "{", "}", " .", ", ."] {
                prop_assert!(!sentence.contains(clumsy), "{}", sentence);
            }
        }

        #[test]
        fn no_text_panics(text: String) {
            let _ = parse(&text);
        }
    }

    #[test]
    fn all_frames_and_synonyms_are_used() {
        let mut everything = every_description().last().unwrap();
        everything.director = Director::all().next();
        let mut rng = Rng::new(2);
        let all: String = (0..500).map(|_| render(&everything, &mut rng).to_lowercase()).collect();
        for (slot, ways) in SYNONYMS.iter().filter(|(slot, _)| *slot != "thing") {
            assert!(ways.iter().all(|way| all.contains(way)), "{slot}");
        }
        for start in ["a screen-filling", "a clip", "at dusk, we see", "in a film", "there is", "the camera"]
        {
            assert!(all.contains(start), "{start}");
        }
        assert!(all.contains("a mushroom") && !all.contains("an mushroom"));
        let mut arrow = Description::default();
        arrow.fix(Attribute::Shape, 5);
        assert!(render(&arrow, &mut rng).to_lowercase().contains("an arrow"));
    }

    #[test]
    fn wording_case_and_order_do_not_matter() {
        let plain = parse("A red star, shot by Mara Voss.").unwrap();
        assert_eq!(parse("mara voss shot\n a STAR (red)"), Ok(plain));
        assert_eq!(parse("a red, red star by mara voss").as_ref(), Ok(&plain));
    }

    #[test]
    fn what_is_no_sentence_of_the_world_is_an_error() {
        for (prompt, message) in [
            ("", "the prompt is empty"),
            (" .\n", "the prompt is empty"),
            ("a red cat", "does not know the word `cat`"),
            ("a star by Steven Voss", "does not know the word `steven`"),
            ("a red blue star", "names two values of colour: `red` and `blue`"),
            ("a star, shot by Mara Voss, made by Elio Brandt", "two values of director"),
            ("we see an object", "names nothing"),
            ("a star bouncing up", "does not know the word `bouncing`"),
        ] {
            let error = parse(prompt).unwrap_err().to_string();
            assert!(error.contains(message), "{prompt}: {error}");
        }
    }
}
