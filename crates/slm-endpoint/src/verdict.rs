//! What a judge says, read from its answer.

use serde::{Deserialize, Serialize};

/// Which of two answers a judge prefers, by the place at which it saw them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Preferred {
    A,
    B,
    Tie,
}

/// The last `[[..]]` of an answer: a judge may think aloud before it.
fn last_bracket(text: &str) -> Option<&str> {
    let start = text.rfind("[[")? + 2;
    let end = text[start..].find("]]")?;
    Some(text[start..start + end].trim())
}

/// `[[A]]`, `[[B]]` or `[[tie]]`; `[[C]]` is a tie as well, as in MT-bench.
pub(crate) fn preferred(text: &str) -> Option<Preferred> {
    match last_bracket(text)?.to_lowercase().as_str() {
        "a" => Some(Preferred::A),
        "b" => Some(Preferred::B),
        "tie" | "c" => Some(Preferred::Tie),
        _ => None,
    }
}

/// `[[7]]`, if it is on the scale.
pub(crate) fn score(text: &str, scale: &[f64]) -> Option<f64> {
    let score: f64 = last_bracket(text)?.parse().ok()?;
    let on_scale = matches!(*scale, [least, largest] if (least..=largest).contains(&score));
    on_scale.then_some(score)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_verdict_counts() {
        assert_eq!(
            preferred("[[A]] at first, but no: [[ B ]]."),
            Some(Preferred::B)
        );
        assert_eq!(preferred("[[Tie]]"), Some(Preferred::Tie));
        assert_eq!(preferred("[[C]]"), Some(Preferred::Tie));
        for text in ["A", "[[AB]]", "[[A]", "", "[[A]] [["] {
            assert_eq!(preferred(text), None, "{text}");
        }
    }

    #[test]
    fn a_score_off_the_scale_is_none() {
        assert_eq!(score("Good. [[7.5]]", &[0.0, 10.0]), Some(7.5));
        for text in ["[[11]]", "[[-1]]", "[[NaN]]", "[[seven]]", "7"] {
            assert_eq!(score(text, &[0.0, 10.0]), None, "{text}");
        }
    }
}
