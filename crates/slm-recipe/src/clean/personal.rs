//! `[data.clean.personal]`: what else is personal data, and the key of pseudonyms.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Lists of words beside the shapes that are always looked for, and the key of pseudonyms; read where `data.clean.pii` is not `off`.
///
/// A line of a list is one entry, of one word or several. An entry in small letters is found in any letters; one with capitals as it is
/// written, or all in capitals.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PersonalSection {
    /// Files with names of persons.
    pub names: Vec<String>,
    /// Files with addresses, or parts of them such as streets.
    pub addresses: Vec<String>,
    /// Environment variable that holds the key of `pii = "pseudonymise"`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_env: Option<String>,
    /// File that holds the key, instead of an environment variable.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_file: Option<String>,
}
