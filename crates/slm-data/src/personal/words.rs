//! Lists of names and addresses, which no shape tells.

use std::collections::HashMap;
use std::ops::Range;

use super::{Personal, PersonalKind};
use crate::error::DataError;

/// Entries of files, one a line: one or more words each, found as whole words. An entry in small letters is found in any letters; one
/// with capitals as it is written, or all in capitals.
#[derive(Clone, Debug, Default)]
pub(crate) struct WordList {
    /// By their first words in small letters, longest first.
    entries: HashMap<String, Vec<Entry>>,
}

#[derive(Clone, Debug)]
struct Entry {
    kind: PersonalKind,
    /// As it is written, blanks as one space.
    text: String,
    /// What stands before each word but the first, and the word in small letters.
    words: Vec<(String, String)>,
}

/// A word of a text.
struct Word {
    at: Range<usize>,
    small: String,
}

impl WordList {
    /// Reads files of entries of a kind. Blank lines and lines that begin with `#` are none.
    pub(crate) fn read(files: &[(PersonalKind, &str)]) -> Result<Self, DataError> {
        let mut list = Self::default();
        for (kind, path) in files {
            let text = fs_err::read_to_string(path).map_err(|source| DataError::Io { source })?;
            let lines = text.trim_start_matches('\u{feff}').lines().map(str::trim);
            let before = list.len();
            for line in lines.filter(|line| !line.starts_with('#')) {
                list.add(*kind, line);
            }
            if list.len() == before {
                return Err(DataError::Words {
                    path: (*path).into(),
                });
            }
        }
        Ok(list)
    }

    fn len(&self) -> usize {
        self.entries.values().map(Vec::len).sum()
    }

    fn add(&mut self, kind: PersonalKind, line: &str) {
        let text = line.split_whitespace().collect::<Vec<_>>().join(" ");
        let words = words(&text);
        let (Some(first), Some(last)) = (words.first(), words.last()) else {
            return;
        };
        let pairs = (0..words.len()).map(|at| (parted(&text, &words, at), &words[at].small));
        let entry = Entry {
            kind,
            words: pairs
                .map(|(before, word)| (before.to_owned(), word.clone()))
                .collect(),
            // Without what stands around its words, as it is found.
            text: text[first.at.start..last.at.end].to_owned(),
        };
        let same = self.entries.entry(first.small.clone()).or_default();
        let at = same.partition_point(|other| other.words.len() >= entry.words.len());
        same.insert(at, entry);
    }

    /// The places of entries in a text, in order; no two overlap, and a longer entry wins.
    pub(super) fn places(&self, text: &str) -> Vec<Personal> {
        if self.entries.is_empty() {
            return Vec::new();
        }
        let (words, mut found, mut at) = (words(text), Vec::new(), 0);
        while at < words.len() {
            let entries = self.entries.get(&words[at].small).into_iter().flatten();
            let mut entries = entries.filter(|entry| entry.is_at(text, &words[at..]));
            match entries.next() {
                Some(entry) => {
                    let last = at + entry.words.len() - 1;
                    found.push(Personal {
                        kind: entry.kind,
                        range: words[at].at.start..words[last].at.end,
                    });
                    at = last + 1;
                }
                None => at += 1,
            }
        }
        found
    }
}

impl Entry {
    fn is_at(&self, text: &str, words: &[Word]) -> bool {
        let Some(there) = words.get(..self.words.len()) else {
            return false;
        };
        let same = self.words.iter().enumerate().all(|(at, (before, word))| {
            let between = parted(text, there, at);
            // A line may break between two words.
            let blanks = before == " " && !between.is_empty() && between.trim().is_empty();
            *word == there[at].small && (blanks || between == before)
        });
        same && self.has_letters(&text[there[0].at.start..there[there.len() - 1].at.end])
    }

    /// Whether it may be written in these letters.
    fn has_letters(&self, said: &str) -> bool {
        let letters = |text: &str| text.split_whitespace().collect::<String>();
        let (own, said) = (letters(&self.text), letters(said));
        !own.contains(char::is_uppercase) || own == said || own.to_uppercase() == said
    }
}

/// What stands before a word, after the one before it.
fn parted<'a>(text: &'a str, words: &[Word], at: usize) -> &'a str {
    match at {
        0 => "",
        at => &text[words[at - 1].at.end..words[at].at.start],
    }
}

/// Runs of letters and digits.
fn words(text: &str) -> Vec<Word> {
    let (mut words, mut start) = (Vec::new(), None);
    let ends = text.char_indices().chain([(text.len(), ' ')]);
    for (at, c) in ends {
        // Marks that were not composed belong to their letter (the block of combining diacritics).
        let inside = c.is_alphanumeric() || ('\u{300}'..='\u{36f}').contains(&c);
        match (inside, start) {
            (true, None) => start = Some(at),
            (false, Some(from)) => {
                words.push(Word {
                    at: from..at,
                    small: text[from..at].to_lowercase(),
                });
                start = None;
            }
            _ => {}
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(entries: &[&str]) -> WordList {
        let mut list = WordList::default();
        for entry in entries {
            list.add(PersonalKind::Name, entry);
        }
        list
    }

    fn found<'a>(list: &WordList, text: &'a str) -> Vec<&'a str> {
        let places = list.places(text).into_iter();
        places.map(|it| &text[it.range]).collect()
    }

    #[test]
    fn whole_words_only_and_the_longest_entry() {
        let list = list(&["Ann", "Ann Lee", "O'Neill", "Jean-Luc  Moreau"]);
        let text = "Ann Leeds met Ann\n Lee, Hannah, Anna, O'Neill's cat and Jean-Luc Moreau. Jean Luc Moreau";
        assert_eq!(
            found(&list, text),
            ["Ann", "Ann\n Lee", "O'Neill", "Jean-Luc Moreau"]
        );
    }

    #[test]
    fn capitals_of_an_entry_count() {
        let list = list(&["Rose", "main street", "von der Heide"]);
        let text = "ROSE rose Rose rOse; Main Street MAIN STREET; Von Der Heide, an der von der Heide, VON DER HEIDE";
        assert_eq!(
            found(&list, text),
            [
                "ROSE",
                "Rose",
                "Main Street",
                "MAIN STREET",
                "von der Heide",
                "VON DER HEIDE"
            ]
        );
        assert!(found(&WordList::default(), "Rose").is_empty());
    }
}
