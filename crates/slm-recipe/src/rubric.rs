//! A rubric: who judges answers, by what prompt.

use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{EndpointSection, RecipeErrors, loader};

/// A file of its own, so that one judge serves many runs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["prompt", "endpoint"]))]
pub struct Rubric {
    /// What is asked of the judge.
    pub mode: JudgeMode,
    /// What the judge reads, as a Jinja template over `prompt`, `target`, `a` and `b` (pairwise) or `answer` (score). It has to
    /// ask for a verdict in double brackets: `[[A]]`, `[[B]]` or `[[tie]]`, or a number such as `[[7]]`.
    #[schemars(extend("minLength" = 1))]
    pub prompt: String,
    /// Judge at most this many items of a task, 0 for all.
    pub max_samples: usize,
    /// The least and the largest score that a judge may give, with `mode = "score"`.
    pub scale: Vec<f64>,
    /// Who judges.
    pub endpoint: EndpointSection,
}

/// What is asked of a judge.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum JudgeMode {
    /// Which of two answers is better; asked in both orders.
    #[default]
    Pairwise,
    /// How good one answer is.
    Score,
}

impl Rubric {
    /// Reads a rubric, lays overrides over it, and checks it.
    ///
    /// # Errors
    /// Everything that is wrong with it, at once.
    pub fn load(path: &Path, overrides: &[String]) -> Result<Self, RecipeErrors> {
        loader::load("rubric", path, overrides, Self::check)
    }

    fn check(&mut self) -> Vec<(String, String)> {
        let endpoint = self.endpoint.contradictions().into_iter();
        let mut found: Vec<_> = endpoint
            .map(|(key, reason)| (format!("endpoint.{key}"), reason))
            .collect();
        if self.endpoint.model.is_empty() {
            found.push(("endpoint.model".into(), "is empty; needs a name".into()));
        }
        if self.scale.is_empty() {
            self.scale = vec![0.0, 10.0];
        }
        if !matches!(self.scale[..], [least, largest] if least < largest) {
            let reason = "needs two numbers, the least and the largest score";
            found.push(("scale".into(), reason.into()));
        }
        found
    }
}
