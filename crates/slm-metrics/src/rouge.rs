//! ROUGE-1, ROUGE-2 and ROUGE-L as the package rouge-score computes them.

use std::collections::HashMap;

use crate::porter;

/// Which ROUGE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rouge {
    /// Words in common.
    One,
    /// Pairs of words in common.
    Two,
    /// The longest common subsequence of words.
    L,
}

/// Precision, recall and their harmonic mean, each from 0 to 1.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct RougeScore {
    /// Share of the answer that the reference has.
    pub precision: f64,
    /// Share of the reference that the answer has.
    pub recall: f64,
    /// Harmonic mean of the two.
    pub f1: f64,
}

impl Rouge {
    /// Scores an answer against its reference. `stemmed` compares the stems of words of more than three letters.
    ///
    /// Words are runs of ASCII letters and digits, in lower case: texts in other scripts have none, and score 0.
    pub fn score(self, answer: &str, reference: &str, stemmed: bool) -> RougeScore {
        let (answer, reference) = (words(answer, stemmed), words(reference, stemmed));
        match self {
            Self::One => of_ngrams(&answer, &reference, 1),
            Self::Two => of_ngrams(&answer, &reference, 2),
            Self::L => {
                let common = longest_common_subsequence(&answer, &reference);
                RougeScore::of(common, answer.len(), reference.len())
            }
        }
    }

    /// The score against the reference with the largest F1; the first of equal ones.
    pub fn best(self, answer: &str, references: &[&str], stemmed: bool) -> RougeScore {
        let mut best: Option<RougeScore> = None;
        for reference in references {
            let score = self.score(answer, reference, stemmed);
            if best.is_none_or(|best| score.f1 > best.f1) {
                best = Some(score);
            }
        }
        best.unwrap_or_default()
    }
}

impl RougeScore {
    fn of(common: usize, answer: usize, reference: usize) -> Self {
        let precision = common as f64 / answer.max(1) as f64;
        let recall = common as f64 / reference.max(1) as f64;
        let f1 = match precision + recall > 0.0 {
            true => 2.0 * precision * recall / (precision + recall),
            false => 0.0,
        };
        Self {
            precision,
            recall,
            f1,
        }
    }
}

fn of_ngrams(answer: &[String], reference: &[String], length: usize) -> RougeScore {
    let mut left: HashMap<&[String], usize> = HashMap::new();
    for ngram in reference.windows(length) {
        *left.entry(ngram).or_default() += 1;
    }
    let mut common = 0;
    for ngram in answer.windows(length) {
        if let Some(n) = left.get_mut(ngram).filter(|n| **n > 0) {
            *n -= 1;
            common += 1;
        }
    }
    let count = |words: &[String]| (words.len() + 1).saturating_sub(length);
    RougeScore::of(common, count(answer), count(reference))
}

fn longest_common_subsequence(a: &[String], b: &[String]) -> usize {
    // One row of the table at a time; `diagonal` is the value up and to the left.
    let mut row = vec![0; b.len() + 1];
    for x in a {
        let mut diagonal = 0;
        for (j, y) in b.iter().enumerate() {
            let above = row[j + 1];
            row[j + 1] = match x == y {
                true => diagonal + 1,
                false => above.max(row[j]),
            };
            diagonal = above;
        }
    }
    row[b.len()]
}

fn words(text: &str, stemmed: bool) -> Vec<String> {
    let text = text.to_lowercase();
    let is_other = |c: char| !(c.is_ascii_lowercase() || c.is_ascii_digit());
    let words = text.split(is_other).filter(|word| !word.is_empty());
    words
        .map(|word| match stemmed && word.len() > 3 {
            true => porter::stem(word),
            false => word.into(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_hand() {
        // Common: the, cat, mat of 4 and 5 words; subsequence the cat mat.
        let score = Rouge::L.score("The cat's mat", "the cat on the mat", false);
        assert_eq!((score.precision, score.recall), (0.75, 0.6));
        assert_eq!(Rouge::Two.score("a", "a", false), RougeScore::default());
        assert_eq!(Rouge::One.score("", "a", false), RougeScore::default());
        let stems = Rouge::One.score("running dogs", "run dog", true);
        assert_eq!(stems.f1, 1.0);
        let best = Rouge::One.best("a b", &["c", "b a"], false);
        assert_eq!(best.f1, 1.0);
    }
}
