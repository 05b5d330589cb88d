//! `[data.card]`: what only people know of a data set, for its card.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What is stated of the rows as a whole. It is written into data cards as it stands; nothing that is trained depends on it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CardSection {
    /// What the rows are, where they come from, and what they are for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Licence of all files that state none of their own: an identifier of the SPDX list, or a URL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub license: Option<String>,
    /// Languages of the texts, as BCP 47 tags.
    pub languages: Vec<String>,
    /// Who made the data set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub creator: Option<String>,
    /// Where it is found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// When it was published, as in `2026-01-31`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub published: Option<String>,
    /// How it is cited.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub citation: Option<String>,
}
