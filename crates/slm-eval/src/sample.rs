//! One item as it was answered: kept whole, so that every figure can be computed again from the file.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use slm_metrics::JsonScore;

/// One item, the model's answer and its score.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// Number of the row among all that were read; the same for every model.
    pub row: usize,
    /// Where the row comes from, `file:line`.
    pub origin: String,
    /// The prompt as the model saw it, special tokens included.
    pub prompt: String,
    /// The answer that was wanted.
    pub target: String,
    /// The answer that the model gave; the target itself where only its likelihood is asked.
    pub output: String,
    /// Tokens of the prompt.
    pub prompt_tokens: usize,
    /// Tokens of the answer, the end-of-turn token included.
    pub output_tokens: usize,
    /// Short columns of the row, to tell results apart by.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub slices: BTreeMap<String, String>,
    /// How it was scored.
    #[serde(flatten)]
    pub score: Score,
}

/// What a task measures on one item.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "scored_by", rename_all = "snake_case")]
pub enum Score {
    /// Every choice was scored; the likeliest is the answer.
    Choices {
        /// Whether the choice with the largest summed log-likelihood is the target.
        correct: bool,
        /// The choice with the largest log-likelihood per token.
        output_norm: String,
        /// Whether that one is the target.
        correct_norm: bool,
        /// The summed log-likelihood of each choice, in nats, in the task's order.
        logprobs: Vec<f32>,
        /// Tokens of each choice.
        choice_tokens: Vec<usize>,
    },
    /// The answer was generated.
    Generated {
        /// Whether it is the target, white space at both ends aside.
        correct: bool,
        /// Why it ended.
        finish: Finish,
        /// How it compares field by field, where the target is a JSON object.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        json: Option<JsonScore>,
    },
    /// The target's likelihood was asked.
    Likelihood {
        /// Summed log-likelihood of the target's tokens given the prompt, in nats.
        logprob: f64,
        /// Bytes of the target's text.
        target_bytes: usize,
        /// Whether each of its tokens was the likeliest one, so that greedy generation gives exactly the target.
        greedy: bool,
    },
}

/// Why a generated answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Finish {
    /// The model ended its turn, or wrote a stop string; the answer of a task with a constraint is whole.
    Stop,
    /// `max_new_tokens` was reached: the answer is cut short, and what its constraint wants is not met.
    Length,
    /// The model's context was full, which cuts an answer short as well.
    Context,
}

impl Sample {
    /// Whether the answer counts as right; for a likelihood, whether greedy generation gives it.
    pub fn is_correct(&self) -> bool {
        match &self.score {
            Score::Choices { correct, .. } | Score::Generated { correct, .. } => *correct,
            Score::Likelihood { greedy, .. } => *greedy,
        }
    }
}
