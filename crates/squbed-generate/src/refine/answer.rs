//! A model's answer as a latent prompt.

use std::collections::BTreeSet;

use crate::chat::ChatAnswer;

/// Share of common words from which two sentences say nearly the same.
const NEAR: f64 = 0.8;
/// Longest latent prompt, in characters; no video model reads more.
const LONGEST: usize = 1000;

/// The sentence of an answer, or why it is no refinement of `prompt`.
pub(super) fn sentence(answer: &ChatAnswer, prompt: &str) -> Result<String, &'static str> {
    let line = answer.text.lines().map(str::trim).find(|line| !line.is_empty()).ok_or("is empty")?;
    let line = line.trim_matches(['"', '“', '”', '\'', '*', ' ']);
    let mut text = line.split_whitespace().collect::<Vec<_>>().join(" ");
    if text.chars().any(char::is_control) || text.contains('\u{fffd}') {
        return Err("holds characters that are no text");
    }
    // The last line of a cut answer ends in the middle; what stands before its last full stop is whole.
    if answer.cut && answer.text.trim().lines().count() <= 1 {
        let end = text.rfind(['.', '!', '?']).ok_or("was cut at the longest length")?;
        text.truncate(end + 1);
    }
    if text.chars().count() > LONGEST {
        return Err("is too long");
    }
    if words(&text).is_empty() {
        return Err("is empty");
    }
    let count = |text: &str| text.split_whitespace().count();
    if count(&text) <= count(prompt) || words(&text).is_subset(&words(prompt)) {
        return Err("adds nothing to the prompt");
    }
    Ok(text)
}

/// Whether two sentences have nearly the same words (Jaccard's index of their sets).
pub(super) fn near(a: &str, b: &str) -> bool {
    let (a, b) = (words(a), words(b));
    let (common, all) = (a.intersection(&b).count(), a.union(&b).count());
    all == 0 || common as f64 >= NEAR * all as f64
}

fn words(text: &str) -> BTreeSet<String> {
    let word = |word: &str| word.to_lowercase();
    text.split(|c: char| !c.is_alphanumeric()).filter(|w| !w.is_empty()).map(word).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str, cut: bool) -> Result<String, &'static str> {
        sentence(&ChatAnswer { text: text.to_owned(), cut }, "a cat doing something")
    }

    #[test]
    fn the_first_line_without_quotes_is_the_sentence() {
        assert_eq!(
            of("\n \"A grey cat  chases a moth.\" \nMore.", false).unwrap(),
            "A grey cat chases a moth."
        );
        let cut = "A grey cat chases a moth. It jumps over the";
        assert_eq!(of(cut, true).unwrap(), "A grey cat chases a moth.");
    }

    #[test]
    fn what_is_no_refinement_is_told() {
        for (text, cut, reason) in [
            ("", false, "is empty"),
            ("... !!! ... --- ...", false, "is empty"),
            ("A cat doing something.", false, "adds nothing to the prompt"),
            ("A cat, doing something, a cat.", false, "adds nothing to the prompt"),
            ("A grey cat chases a moth over the", true, "was cut at the longest length"),
            ("a\u{7}b c d e f g", false, "holds characters that are no text"),
        ] {
            assert_eq!(of(text, cut), Err(reason), "{text}");
        }
        assert_eq!(of(&"word ".repeat(400), false), Err("is too long"));
    }

    #[test]
    fn near_sentences_share_four_words_in_five() {
        assert!(near("A grey cat sleeps on a sofa.", "a grey cat sleeps, on a sofa"));
        assert!(near("one two three four five", "one two three four"));
        assert!(!near("one two three four", "one two three five"));
    }
}
