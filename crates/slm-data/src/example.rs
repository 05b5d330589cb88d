use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use slm_text::Conversation;

use crate::content::Content;
use crate::origin::Origin;

/// What is given to a model so that it answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Prompt {
    /// Messages up to the answer: render them with a generation prompt.
    Chat(Conversation),
    /// Text up to the answer; empty for rows of plain text.
    Text(String),
    /// The ids of a conversation up to its answer, and those of the answer: the last stretch that is learned.
    Tokens {
        /// What the model is given.
        prompt: Vec<u32>,
        /// What it should say, as [`HeldOut::target`] does in text.
        answer: Vec<u32>,
    },
}

/// One row as the recipe reads it.
#[derive(Clone, Debug, PartialEq)]
pub struct Example {
    /// Counted from 0 over all sources in the order of the recipe, before any row is left out.
    pub row: usize,
    /// Where it came from.
    pub origin: Origin,
    /// What it says.
    pub content: Content,
    /// Value of the column `data.group_by`.
    pub group: Option<String>,
    /// Short columns that the prompt does not use, to tell results apart by.
    pub slices: BTreeMap<String, String>,
}

/// A row to answer: what the model is given, and what it should say.
#[derive(Clone, Debug, PartialEq)]
pub struct HeldOut {
    /// As in [`Example::row`].
    pub row: usize,
    /// Where it came from, as in `train.csv:12`.
    pub origin: String,
    /// What the model is given.
    pub prompt: Prompt,
    /// What it should say: the completion as it stands (with its leading space), the last assistant message, or the text.
    pub target: String,
    /// Short columns that the prompt does not use, to tell results apart by.
    pub slices: BTreeMap<String, String>,
}

impl From<Example> for HeldOut {
    fn from(example: Example) -> Self {
        Self {
            row: example.row,
            origin: example.origin.to_string(),
            prompt: example.content.prompt(),
            target: example.content.target().to_owned(),
            slices: example.slices,
        }
    }
}
