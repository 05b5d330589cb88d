//! Comparing texts.

use regex::Regex;

/// Whether a generated answer is the target.
///
/// The one normalisation: white space at both ends is dropped on both sides, because a completion often starts with the blank that separates it
/// from its prompt. Case, punctuation and white space inside are compared as they are.
pub fn exact_match(output: &str, target: &str) -> bool {
    output.trim() == target.trim()
}

/// What lm-evaluation-harness may leave out of both sides before it compares them: its `exact_match` with the keys of the same names.
///
/// White space counts, also at the ends.
#[derive(Clone, Debug, Default)]
pub struct Normalisation {
    /// Everything that one of these matches is deleted, one after the other; before the rest.
    pub regexes_to_ignore: Vec<Regex>,
    /// Compares in lower case.
    pub ignore_case: bool,
    /// Deletes the 32 punctuation characters of ASCII.
    pub ignore_punctuation: bool,
    /// Deletes the digits 0 to 9.
    pub ignore_numbers: bool,
}

impl Normalisation {
    /// A text as it is compared.
    pub fn apply(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for regex in &self.regexes_to_ignore {
            text = regex.replace_all(&text, "").into_owned();
        }
        if self.ignore_case {
            text = text.to_lowercase();
        }
        text.retain(|c| {
            !(self.ignore_punctuation && c.is_ascii_punctuation()
                || self.ignore_numbers && c.is_ascii_digit())
        });
        text
    }

    /// Whether both sides are the same text.
    pub fn matches(&self, output: &str, target: &str) -> bool {
        self.apply(output) == self.apply(target)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_ends_are_normalised() {
        assert!(exact_match(" card_arrival\n", "card_arrival"));
        assert!(!exact_match("Card_arrival", "card_arrival"));
        assert!(!exact_match("card  arrival", "card arrival"));
        assert!(!exact_match("card_arrival.", "card_arrival"));
    }

    #[test]
    fn regexes_come_before_case() {
        let normalisation = Normalisation {
            regexes_to_ignore: vec![Regex::new("The ").expect("a pattern")],
            ignore_case: true,
            ..Normalisation::default()
        };
        assert!(normalisation.matches("The Cat", "cat"));
        assert!(!normalisation.matches("the Cat", "cat"));
    }
}
