//! The rows of a micro-batch: so many, or as many as fit.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `train.per_device_train_batch_size`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(from = "Written", into = "Written")]
#[schemars(with = "Written")]
pub enum BatchSize {
    /// As many as fit of [`BatchSize::ROWS_OF_A_STEP`]; as many micro-batches make a step.
    Auto,
    Rows(usize),
}

/// [`BatchSize`] as the recipe writes it.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
enum Written {
    Word(Word),
    #[schemars(extend("minimum" = 1))]
    Rows(usize),
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Word {
    Auto,
}

impl BatchSize {
    /// Rows of a step with `"auto"`, on every machine: what is learned does not depend on how much memory there is.
    pub const ROWS_OF_A_STEP: usize = 32;

    /// Rows, where they are said.
    pub fn rows(self) -> Option<usize> {
        match self {
            Self::Auto => None,
            Self::Rows(rows) => Some(rows),
        }
    }
}

impl From<Written> for BatchSize {
    fn from(written: Written) -> Self {
        match written {
            Written::Word(Word::Auto) => Self::Auto,
            Written::Rows(rows) => Self::Rows(rows),
        }
    }
}

impl From<BatchSize> for Written {
    fn from(size: BatchSize) -> Self {
        match size {
            BatchSize::Auto => Self::Word(Word::Auto),
            BatchSize::Rows(rows) => Self::Rows(rows),
        }
    }
}

impl fmt::Display for BatchSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Rows(rows) => rows.fmt(f),
        }
    }
}
