//! chrF2 as sacrebleu computes it: n-grams of up to six characters without white space, recall four times as important as precision.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::words::is_space;

/// Longest n-grams.
const ORDERS: usize = 6;
/// The square of beta = 2.
const BETA_2: f64 = 4.0;

/// What chrF counts on one answer. Counts of several answers add up to those of a corpus.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChrfCounts {
    /// n-grams of the answer, of the reference, and of both, by length.
    orders: [[u64; 3]; ORDERS],
}

impl ChrfCounts {
    /// Counts one answer against the reference that it agrees with best.
    pub fn of(answer: &str, references: &[&str]) -> Self {
        let answer = characters(answer);
        let mut best: Option<(f64, Self)> = None;
        for reference in references {
            let counts = Self::against(&answer, &characters(reference));
            let score = counts.score();
            if best.is_none_or(|(other, _)| score > other) {
                best = Some((score, counts));
            }
        }
        best.map_or_else(Self::default, |(_, counts)| counts)
    }

    fn against(answer: &[char], reference: &[char]) -> Self {
        let mut counts = Self::default();
        for (length, order) in (1..).zip(&mut counts.orders) {
            let (answer, reference) = (ngrams(answer, length), ngrams(reference, length));
            let total = |counts: &HashMap<_, u64>| counts.values().sum::<u64>();
            let both = answer
                .iter()
                .map(|(ngram, n)| *n.min(reference.get(ngram).unwrap_or(&0)));
            *order = [
                // Without a reference n-gram of this length, those of the answer are not held against it.
                if reference.is_empty() {
                    0
                } else {
                    total(&answer)
                },
                total(&reference),
                both.sum(),
            ];
        }
        counts
    }

    /// Adds the counts of another answer.
    pub fn add(&mut self, other: &Self) {
        for (mine, theirs) in self.orders.iter_mut().zip(&other.orders) {
            for (a, b) in mine.iter_mut().zip(theirs) {
                *a += b;
            }
        }
    }

    /// chrF2 of these counts, 0 to 100: mean precision and recall over the lengths that both sides have.
    pub fn score(&self) -> f64 {
        let (mut precision, mut recall, mut orders) = (0.0, 0.0, 0.0);
        for [answer, reference, both] in self.orders {
            if answer > 0 && reference > 0 {
                precision += both as f64 / answer as f64;
                recall += both as f64 / reference as f64;
                orders += 1.0;
            }
        }
        if precision + recall == 0.0 {
            return 0.0;
        }
        let (precision, recall) = (precision / orders, recall / orders);
        100.0 * ((1.0 + BETA_2) * precision * recall / (BETA_2 * precision + recall))
    }
}

fn characters(text: &str) -> Vec<char> {
    text.chars().filter(|c| !is_space(*c)).collect()
}

fn ngrams(characters: &[char], length: usize) -> HashMap<&[char], u64> {
    let mut counts = HashMap::new();
    for ngram in characters.windows(length) {
        *counts.entry(ngram).or_default() += 1;
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_texts_are_all_there_and_white_space_is_nothing() {
        assert_eq!(ChrfCounts::of("a b c", &["ab\nc"]).score(), 100.0);
        assert_eq!(ChrfCounts::of("", &["abc"]).score(), 0.0);
        assert_eq!(ChrfCounts::of("abc", &["xyz", "abc"]).score(), 100.0);
    }
}
