//! `[tokenizer]`: a tokenizer trained on the recipe's own rows.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A byte-level BPE tokenizer that is trained on the training rows; only with `model.init = "scratch"`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TokenizerSection {
    /// Number of tokens, the 256 bytes and the special tokens included.
    #[schemars(extend("minimum" = 260))]
    pub vocab_size: usize,
}

impl Default for TokenizerSection {
    fn default() -> Self {
        Self { vocab_size: 4096 }
    }
}
