//! `[data.clean.balance]`: how many rows to learn from a label may have.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Rows that are left out of the training side so that no label has too many. Which ones stay is a function of what they say and of
/// the seed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct BalanceSection {
    /// Most rows of a label, 0 = any number.
    pub max_per_label: usize,
    /// Most rows of a label for each row of the rarest one, at least 1; 0 = any number.
    #[schemars(extend("minimum" = 0))]
    pub max_ratio: f64,
}

impl BalanceSection {
    /// Whether anything is asked for.
    pub fn is_on(&self) -> bool {
        self.max_per_label > 0 || self.max_ratio > 0.0
    }
}
