//! `[[eval.task.filter]]`: what an answer is made of, out of what was written.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Steps that follow each other; the last one leaves one text.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["name", "steps"]))]
pub struct FilterPipeline {
    /// Name in reports; unique in its task.
    #[schemars(extend("minLength" = 1))]
    pub name: String,
    /// The steps.
    pub steps: Vec<FilterStep>,
}

impl Default for FilterPipeline {
    fn default() -> Self {
        Self {
            name: "none".into(),
            steps: vec![FilterStep::default()],
        }
    }
}

/// One step.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["function"]))]
pub struct FilterStep {
    /// What it does.
    pub function: FilterFunction,
    /// What `regex` and `multi_choice_regex` look for, as Python's `re` reads it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub regex_pattern: Option<String>,
    /// Which of the places that were found `regex` takes; -1 is the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group_select: Option<i64>,
    /// What `regex` gives where it finds nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fallback: Option<String>,
    /// How many texts `take_first_k` keeps.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("minimum" = 1))]
    pub k: Option<usize>,
}

/// What a step does with the texts that were written for a row, in the names of lm-evaluation-harness.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FilterFunction {
    /// Keeps the first one.
    #[default]
    TakeFirst,
    /// Keeps the first `k`.
    TakeFirstK,
    /// Keeps the commonest one.
    MajorityVote,
    /// Takes out of each what a regular expression finds.
    Regex,
    /// Takes white space away at both ends.
    RemoveWhitespace,
    /// Makes small letters.
    Lowercase,
    /// Makes capital letters.
    Uppercase,
}
