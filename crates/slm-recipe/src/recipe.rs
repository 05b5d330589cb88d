//! The recipe: everything one run needs to know.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    DataSection, EvalSection, ExportSection, LoraSection, ModelSection, TokenizerSection,
    TrainSection,
};

/// The recipe format this version reads and writes.
pub const SCHEMA_VERSION: u32 = 1;

/// What the user asked for, with every default filled in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Recipe {
    /// Version of the recipe format.
    #[schemars(extend("const" = SCHEMA_VERSION))]
    pub schema_version: u32,
    /// Name of the run; the file's stem if it is not set.
    pub name: String,
    /// Seed of every random number.
    pub seed: u64,
    /// The run directory; `runs/<name>` if it is not set.
    pub output_dir: String,
    /// The base model.
    pub model: ModelSection,
    /// A tokenizer trained on the training rows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokenizer: Option<TokenizerSection>,
    /// The rows.
    pub data: DataSection,
    /// The adapter.
    pub lora: LoraSection,
    /// How the student learns.
    pub train: TrainSection,
    /// What is measured.
    pub eval: EvalSection,
    /// What is shipped.
    pub export: ExportSection,
}

impl Default for Recipe {
    fn default() -> Self {
        Self {
            schema_version: SCHEMA_VERSION,
            name: String::new(),
            seed: 42,
            output_dir: String::new(),
            model: ModelSection::default(),
            tokenizer: None,
            data: DataSection::default(),
            lora: LoraSection::default(),
            train: TrainSection::default(),
            eval: EvalSection::default(),
            export: ExportSection::default(),
        }
    }
}

impl Recipe {
    /// The resolved recipe: every key in force. Loads again to an equal recipe.
    pub fn to_toml(&self) -> String {
        toml::to_string(self).expect("a recipe holds only what TOML can write")
    }
}
