use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::near::compared;

/// Words of a passage: as many as Brown et al. (2020, appendix C) take where texts are long enough.
pub(super) const WORDS: usize = 13;

/// The words of a text, in small letters, without what stands between them.
#[derive(Debug)]
pub(super) struct Passages {
    words: Vec<String>,
}

impl Passages {
    pub(super) fn of<'a>(texts: impl IntoIterator<Item = &'a str>) -> Self {
        let text = compared(texts);
        let words = text.split(|c: char| !c.is_alphanumeric() && c != '_');
        let words = words.filter(|word| !word.is_empty());
        Self {
            words: words.map(str::to_owned).collect(),
        }
    }

    /// The hash of every passage, in order; none of a shorter text.
    pub(super) fn hashes(&self) -> impl Iterator<Item = u64> {
        let windows = self.words.windows(WORDS);
        windows.map(|words| {
            let words = words.iter();
            words.fold(0, |seed, word| xxh3_64_with_seed(word.as_bytes(), seed))
        })
    }

    /// The passage at a place among the hashes.
    pub(super) fn text(&self, at: usize) -> String {
        self.words[at..at + WORDS].join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thirteen_words_are_one_passage() {
        let text = "One, two; three four five six seven eight nine ten eleven twelve";
        assert_eq!(Passages::of([text]).hashes().count(), 0);
        let longer = Passages::of([text, "Thirteen_13!"]);
        assert_eq!(longer.hashes().count(), 1);
        assert_eq!(
            longer.text(0),
            "one two three four five six seven eight nine ten eleven twelve thirteen_13"
        );
    }
}
