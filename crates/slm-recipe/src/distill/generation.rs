//! `[distill.generation]`: answers that are generated while a student learns.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How the student answers with `distill.lmbda`, and its teacher with `distill.seq_kd`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct GenerationSection {
    /// Longest answer, in tokens; with its prompt it is never longer than `model.max_length`.
    #[schemars(extend("minimum" = 1))]
    pub max_new_tokens: usize,
    /// Sampling temperature; 0 = greedy.
    #[schemars(extend("minimum" = 0))]
    pub temperature: f64,
    /// Nucleus: sample from the likeliest tokens that together have this probability.
    #[schemars(extend("exclusiveMinimum" = 0, "maximum" = 1))]
    pub top_p: f64,
}

impl Default for GenerationSection {
    fn default() -> Self {
        Self {
            max_new_tokens: 128,
            temperature: 1.0,
            top_p: 1.0,
        }
    }
}
