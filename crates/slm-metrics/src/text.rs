//! Comparing texts.

/// Whether a generated answer is the target.
///
/// The one normalisation: white space at both ends is dropped on both sides, because a completion often starts with the blank that separates it
/// from its prompt. Case, punctuation and white space inside are compared as they are.
pub fn exact_match(output: &str, target: &str) -> bool {
    output.trim() == target.trim()
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
}
