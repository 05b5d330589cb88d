//! Blanks that a tokenizer of words leaves before punctuation, taken out as `clean_up_tokenization_spaces` says.

/// What transformers replaces (`PreTrainedTokenizerBase.clean_up_tokenization`), one after the other.
const REPLACED: [(&str, &str); 10] = [
    (" .", "."),
    (" ?", "?"),
    (" !", "!"),
    (" ,", ","),
    (" ' ", "'"),
    (" n't", "n't"),
    (" 'm", "'m"),
    (" 's", "'s"),
    (" 've", "'ve"),
    (" 're", "'re"),
];

/// A text without those blanks.
pub(crate) fn clean(text: &str) -> String {
    REPLACED
        .iter()
        .fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
}

/// The length of a beginning of `text` that can be cleaned without the rest: up to the last blank behind a letter or a
/// digit, because nothing that is replaced reaches over such a place.
pub(crate) fn settled(text: &str) -> usize {
    let blanks = text.match_indices(' ').rev();
    let is_word = |at: usize| text[..at].ends_with(char::is_alphanumeric);
    blanks
        .map(|(at, _)| at)
        .find(|at| is_word(*at))
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blanks_before_punctuation_go() {
        // What transformers 5.23.0 answers.
        for (text, cleaned) in [
            ("Hello , world !", "Hello, world!"),
            ("it is n't , it 's we 've 'm", "it isn't, it's we've'm"),
            ("the ' quoted ' word", "the'quoted'word"),
            ("a ' .", "a '."),
            ("a ..  ? b", "a.. ? b"),
        ] {
            assert_eq!(clean(text), cleaned, "{text}");
        }
    }

    #[test]
    fn a_settled_beginning_is_cleaned_alone() {
        let text = "the ' quoted ' word , is n't . 4 ' s it 're ' .";
        for end in 0..=text.len() {
            let at = settled(&text[..end]);
            let apart = clean(&text[..at]) + &clean(&text[at..]);
            assert_eq!(apart, clean(text), "{:?}", &text[..at]);
        }
        assert_eq!(settled("one two"), 3);
        assert_eq!(settled("one , ' "), 3);
        assert_eq!(settled(", ' "), 0);
    }
}
