//! `[data.clean.outliers]`: rows to learn from that are unlike the others, or unlike what people write.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Which rows are outliers, and what becomes of them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct OutlierSection {
    /// What becomes of them.
    pub action: OutlierAction,
    /// Robust z-score of the logarithm of a row's characters, either way, above which it is one; 0 = off.
    #[schemars(extend("minimum" = 0))]
    pub max_length_z: f64,
    /// Share of a row's words that have a letter below which it is one, of rows with 50 words or more; 0 = off.
    #[schemars(extend("minimum" = 0, "maximum" = 1))]
    pub min_words_with_letters: f64,
    /// Whether rows with 50 words or more that say the same again and again are.
    pub repetition: bool,
}

impl Default for OutlierSection {
    fn default() -> Self {
        Self {
            action: OutlierAction::Off,
            max_length_z: 3.5,
            min_words_with_letters: 0.8,
            repetition: true,
        }
    }
}

/// What becomes of outliers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OutlierAction {
    /// They are not looked for.
    #[default]
    Off,
    /// They are listed.
    Report,
    /// They are left out.
    Drop,
}
