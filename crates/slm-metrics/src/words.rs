//! Texts as the Python packages cut them.

/// What Python's `str.isspace` calls white space: Unicode's, and the four separators of ASCII.
pub(crate) fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c)
}

/// Python's `str.split()`.
pub(crate) fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(is_space).filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_separators_of_ascii_are_white_space() {
        // list("\x1ca\x1fb\u00a0c\u3000d\u200be".split()) in Python: U+200B is none.
        let found: Vec<_> = words("\u{1c}a\u{1f}b\u{a0}c\u{3000}d\u{200b}e").collect();
        assert_eq!(found, ["a", "b", "c", "d\u{200b}e"]);
    }
}
