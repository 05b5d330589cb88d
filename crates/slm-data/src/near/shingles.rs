use slm_recipe::Shingle;
use unicode_normalization::UnicodeNormalization;
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use crate::content::{Content, Judged};

/// The distinct shingles of a row, as hashes in order.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Shingles(Vec<u64>);

impl Shingles {
    /// Those of all that a row says, system messages left out: many rows share them. Of rows that are tokens, every id counts
    /// as a word.
    pub(crate) fn of(content: &Content, shingle: Shingle, size: usize) -> Self {
        let ids = ids(content);
        if ids.is_empty() {
            return Self::of_text(&compared(content.said()), shingle, size);
        }
        let words: Vec<[u8; 4]> = ids.iter().map(|id| id.to_le_bytes()).collect();
        Self::of_words(&words, size)
    }

    /// Those of a text that is made equal already; the whole of a shorter one is one shingle.
    pub(crate) fn of_text(text: &str, shingle: Shingle, size: usize) -> Self {
        if text.is_empty() {
            return Self::default();
        }
        match shingle {
            Shingle::Words => {
                let words: Vec<&[u8]> = text.split(' ').map(str::as_bytes).collect();
                Self::of_words(&words, size)
            }
            Shingle::Chars => {
                let starts = text.char_indices().map(|(at, _)| at);
                let mut starts: Vec<usize> = starts.collect();
                starts.push(text.len());
                let size = size.min(starts.len() - 1);
                let ends = starts[size..].iter();
                let pieces = starts.iter().zip(ends).map(|(from, to)| &text[*from..*to]);
                Self::sorted(pieces.map(|piece| xxh3_64(piece.as_bytes())).collect())
            }
        }
    }

    fn of_words<W: AsRef<[u8]>>(words: &[W], size: usize) -> Self {
        let hash = |words: &[W]| {
            let words = words.iter();
            words.fold(0, |seed, word| xxh3_64_with_seed(word.as_ref(), seed))
        };
        Self::sorted(words.windows(size.min(words.len())).map(hash).collect())
    }

    fn sorted(mut hashes: Vec<u64>) -> Self {
        hashes.sort_unstable();
        hashes.dedup();
        Self(hashes)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The `count` least of them, of a row with fewer all: a sketch of the row (Broder 1997). The least ones of rows together are
    /// the least of those of each.
    pub(crate) fn least(&self, count: usize) -> &[u64] {
        &self.0[..count.min(self.0.len())]
    }

    /// Those that [`Self::hashes`] gave.
    pub(super) fn put_away(hashes: Vec<u64>) -> Self {
        Self(hashes)
    }

    pub(super) fn hashes(&self) -> &[u64] {
        &self.0
    }

    /// Shingles that both have, of those that either has; 0 where neither has any.
    pub(crate) fn jaccard(&self, other: &Self) -> f64 {
        let (mut left, mut right, mut both) = (0, 0, 0_usize);
        while left < self.0.len() && right < other.0.len() {
            let order = self.0[left].cmp(&other.0[right]);
            both += usize::from(order.is_eq());
            left += usize::from(order.is_le());
            right += usize::from(order.is_ge());
        }
        match self.0.len() + other.0.len() - both {
            0 => 0.0,
            either => both as f64 / either as f64,
        }
    }
}

/// Texts as they are compared: composed, in small letters, every run of blanks one space.
pub(crate) fn compared<'a>(texts: impl IntoIterator<Item = &'a str>) -> String {
    let mut all = String::new();
    for text in texts {
        let composed: String = text.nfc().flat_map(char::to_lowercase).collect();
        for word in composed.split_whitespace() {
            if !all.is_empty() {
                all.push(' ');
            }
            all.push_str(word);
        }
    }
    all
}

/// The ids of a row that is tokens.
fn ids(content: &Content) -> Vec<u32> {
    let of = |judged: &Judged| ids(&judged.content);
    match content {
        Content::Tokens(row) => row.ids.clone(),
        Content::Preference { chosen, rejected } => [of(chosen), of(rejected)].concat(),
        Content::Rated { answer, .. } => of(answer),
        Content::Chat(_) | Content::Pair { .. } | Content::Text(_) => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chars(text: &str) -> Shingles {
        Shingles::of_text(text, Shingle::Chars, 3)
    }

    #[test]
    fn jaccard_by_hand() {
        // abc bcd cde | bcd cde def
        assert_eq!(chars("abcde").jaccard(&chars("bcdef")), 0.5);
        assert_eq!(chars("aaaa").0.len(), 1);
        assert_eq!(chars("ab").jaccard(&chars("ab")), 1.0);
        assert_eq!(chars("äöü").0.len(), 1);
        assert_eq!(chars("").jaccard(&chars("")), 0.0);
        let words = |text| Shingles::of_text(text, Shingle::Words, 2);
        // the-card card-is is-late | the-card card-is is-here
        assert_eq!(
            words("the card is late").jaccard(&words("the card is here")),
            0.5
        );
        assert_ne!(words("ab c"), words("a bc"));
    }

    #[test]
    fn case_blanks_and_composition_do_not_tell_texts_apart() {
        assert_eq!(compared(["Caf\u{65}\u{301}\n\tX ", " y"]), "café x y");
    }
}
