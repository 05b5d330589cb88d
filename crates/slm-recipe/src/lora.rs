//! `[lora]`: the adapter, in the names of PEFT.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The low-rank adapter; read when `train.method = "lora"`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LoraSection {
    /// Rank.
    #[schemars(extend("minimum" = 1))]
    pub r: usize,
    /// The adapter's output is scaled by `lora_alpha / r`.
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub lora_alpha: f64,
    /// Probability that an input of the adapter is dropped while training.
    #[schemars(extend("minimum" = 0, "exclusiveMaximum" = 1))]
    pub lora_dropout: f64,
    /// `all-linear` (every linear layer but the head), or a list of module names.
    pub target_modules: TargetModules,
}

impl Default for LoraSection {
    fn default() -> Self {
        Self {
            r: 8,
            lora_alpha: 16.0,
            lora_dropout: 0.0,
            target_modules: TargetModules::AllLinear,
        }
    }
}

/// Which modules get an adapter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(from = "Written", into = "Written")]
#[schemars(with = "Written")]
pub enum TargetModules {
    /// Every linear layer but the head.
    AllLinear,
    /// The modules whose name ends in one of these, such as `q_proj`.
    Names(Vec<String>),
}

/// [`TargetModules`] as the recipe writes it.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
enum Written {
    Preset(Preset),
    #[schemars(extend("minItems" = 1))]
    Names(Vec<String>),
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum Preset {
    AllLinear,
}

impl From<Written> for TargetModules {
    fn from(written: Written) -> Self {
        match written {
            Written::Preset(Preset::AllLinear) => Self::AllLinear,
            Written::Names(names) => Self::Names(names),
        }
    }
}

impl From<TargetModules> for Written {
    fn from(modules: TargetModules) -> Self {
        match modules {
            TargetModules::AllLinear => Self::Preset(Preset::AllLinear),
            TargetModules::Names(names) => Self::Names(names),
        }
    }
}
