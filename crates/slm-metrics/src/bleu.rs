//! BLEU as sacrebleu computes it: tokenizer `13a`, exponential smoothing, up to four words, case kept.

use std::collections::HashMap;
use std::sync::LazyLock;

use regex::Regex;
use serde::{Deserialize, Serialize};

use crate::words::{is_space, words};

/// Longest n-grams.
const ORDERS: usize = 4;

/// What BLEU counts on one answer. Counts of several answers add up to those of a corpus.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BleuCounts {
    /// Tokens of the answer.
    pub answer_tokens: u64,
    /// Tokens of the reference whose length is nearest to the answer's.
    pub reference_tokens: u64,
    /// n-grams of the answer that a reference has, each at most as often as there, by length.
    pub matched: [u64; ORDERS],
    /// n-grams of the answer, by length.
    pub given: [u64; ORDERS],
}

impl BleuCounts {
    /// Counts one answer against its references.
    pub fn of(answer: &str, references: &[&str]) -> Self {
        let answer = tokenize_13a(answer);
        let answer: Vec<&str> = words(&answer).collect();
        let mut most: HashMap<Vec<String>, u64> = HashMap::new();
        let mut reference_tokens: Option<usize> = None;
        for reference in references {
            let text = tokenize_13a(reference);
            let tokens: Vec<&str> = words(&text).collect();
            let distance = |length: usize| (length.abs_diff(answer.len()), length);
            reference_tokens = Some(match reference_tokens {
                Some(best) if distance(best) <= distance(tokens.len()) => best,
                _ => tokens.len(),
            });
            for (ngram, n) in ngrams(&tokens) {
                let ngram = ngram.iter().map(|token| token.to_string()).collect();
                let slot = most.entry(ngram).or_default();
                *slot = n.max(*slot);
            }
        }
        let mut counts = Self {
            answer_tokens: answer.len() as u64,
            reference_tokens: reference_tokens.unwrap_or(0) as u64,
            ..Self::default()
        };
        for (ngram, n) in ngrams(&answer) {
            let key: Vec<String> = ngram.iter().map(|token| token.to_string()).collect();
            counts.given[ngram.len() - 1] += n;
            counts.matched[ngram.len() - 1] += n.min(most.get(&key).copied().unwrap_or(0));
        }
        counts
    }

    /// Adds the counts of another answer.
    pub fn add(&mut self, other: &Self) {
        self.answer_tokens += other.answer_tokens;
        self.reference_tokens += other.reference_tokens;
        for order in 0..ORDERS {
            self.matched[order] += other.matched[order];
            self.given[order] += other.given[order];
        }
    }

    /// BLEU of these counts, 0 to 100: sacrebleu's `corpus_bleu`.
    pub fn corpus(&self) -> f64 {
        self.score(false)
    }

    /// As [`Self::corpus`], but n-grams longer than the answer do not count: sacrebleu's `sentence_bleu`.
    pub fn sentence(&self) -> f64 {
        self.score(true)
    }

    fn score(&self, effective_order: bool) -> f64 {
        if self.matched.iter().all(|n| *n == 0) {
            return 0.0;
        }
        let mut smoothing = 1.0;
        let mut log_sum = 0.0;
        let mut orders = 0u8;
        for (matched, given) in self.matched.iter().zip(&self.given) {
            if *given == 0 {
                break;
            }
            orders += 1;
            let precision = match matched {
                0 => {
                    smoothing *= 2.0;
                    100.0 / (smoothing * *given as f64)
                }
                _ => 100.0 * *matched as f64 / *given as f64,
            };
            log_sum += precision.ln();
        }
        // Without an n-gram of some length BLEU is 0, unless such lengths are left out.
        if usize::from(orders) < ORDERS && !effective_order {
            return 0.0;
        }
        self.brevity_penalty() * (log_sum / f64::from(orders)).exp()
    }

    fn brevity_penalty(&self) -> f64 {
        match (self.answer_tokens, self.reference_tokens) {
            (answer, reference) if answer >= reference => 1.0,
            (0, _) => 0.0,
            (answer, reference) => (1.0 - reference as f64 / answer as f64).exp(),
        }
    }
}

fn ngrams<'a>(tokens: &'a [&'a str]) -> HashMap<&'a [&'a str], u64> {
    let mut counts = HashMap::new();
    for order in 1..=ORDERS {
        for ngram in tokens.windows(order) {
            *counts.entry(ngram).or_default() += 1;
        }
    }
    counts
}

/// The tokenizer of mteval-v13a: symbols stand alone; so do points and commas that are not between digits, and a dash after a digit.
fn tokenize_13a(text: &str) -> String {
    static RULES: LazyLock<[(Regex, &str); 4]> = LazyLock::new(|| {
        [
            (r"([{-~\[-` -&(-+:-@/])", " $1 "),
            (r"([^0-9])([.,])", "$1 $2 "),
            (r"([.,])([^0-9])", " $1 $2"),
            (r"([0-9])(-)", "$1 $2 "),
        ]
        .map(|(rule, by)| (Regex::new(rule).expect("a rule of 13a"), by))
    });
    let mut text = text
        .trim_end_matches(is_space)
        .replace("<skipped>", "")
        .replace("-\n", "")
        .replace('\n', " ");
    // In this order: `&amp;lt;` becomes `<`.
    for (entity, character) in [
        ("&quot;", "\""),
        ("&amp;", "&"),
        ("&lt;", "<"),
        ("&gt;", ">"),
    ] {
        text = text.replace(entity, character);
    }
    let mut text = format!(" {text} ");
    for (rule, by) in RULES.iter() {
        text = rule.replace_all(&text, *by).into_owned();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_by_hand() {
        let tokens = |text: &str| {
            words(&tokenize_13a(text))
                .map(String::from)
                .collect::<Vec<_>>()
        };
        assert_eq!(
            tokens("It costs 1,234.50 EUR (incl. VAT)."),
            [
                "It", "costs", "1,234.50", "EUR", "(", "incl", ".", "VAT", ")", "."
            ]
        );
        assert_eq!(
            tokens("3-4 \"a\"&amp;lt;b"),
            ["3", "-", "4", "\"", "a", "\"", "<", "b"]
        );
    }

    #[test]
    fn the_nearest_reference_sets_the_length() {
        let counts = BleuCounts::of("a b c", &["a b c d e", "a", "a b"]);
        assert_eq!(counts.reference_tokens, 2);
        assert_eq!(counts.matched, [3, 2, 1, 0]);
        // Of equally near ones, the shorter.
        assert_eq!(
            BleuCounts::of("a b c", &["a b c d", "a b"]).reference_tokens,
            2
        );
    }
}
