//! `[distill.filters]`: which answers of a served teacher become rows.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What an answer has to be, white space at both ends aside. An answer that is empty is never kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct FilterSection {
    /// Whether it has to have ended by itself, and not by `max_tokens`.
    pub finished: bool,
    /// Whether it has to be one JSON value.
    pub json: bool,
    /// If not empty: what it may be; empty = `data.labels`.
    pub labels: Vec<String>,
    /// Fewest characters.
    pub min_chars: usize,
    /// Most characters, 0 for any number.
    pub max_chars: usize,
    /// Share of a prompt's answers that have to be equal to it; of those, one row is kept. 0 keeps all, equal ones too.
    #[schemars(extend("minimum" = 0, "maximum" = 1))]
    pub min_agreement: f64,
    /// A rubric with `mode = "score"`: a judge gives each answer that the other filters keep a score.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("minLength" = 1))]
    pub rubric: Option<String>,
    /// The least score that is kept.
    pub min_score: f64,
}

impl Default for FilterSection {
    fn default() -> Self {
        Self {
            finished: true,
            json: false,
            labels: Vec::new(),
            min_chars: 1,
            max_chars: 0,
            min_agreement: 0.0,
            rubric: None,
            min_score: 0.0,
        }
    }
}
