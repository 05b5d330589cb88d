//! `[lora]`: the adapter, in the names of PEFT.

use std::collections::BTreeMap;

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
    /// Modules that get no adapter all the same.
    pub exclude_modules: Vec<String>,
    /// Numbers of the layers that get one; empty = all.
    pub layers_to_transform: Vec<usize>,
    /// Ranks of their own: from the end of a module's name (a regular expression) to its rank.
    pub rank_pattern: BTreeMap<String, usize>,
    /// Alphas of their own, as `rank_pattern`.
    pub alpha_pattern: BTreeMap<String, f64>,
    /// Whether the scale is `lora_alpha / √r` (rsLoRA).
    pub use_rslora: bool,
    /// Whether the norm of each output row is trained apart from its direction (DoRA).
    pub use_dora: bool,
    /// Modules that are trained whole, in a copy that the adapter keeps. A tied head stays tied.
    pub modules_to_save: Vec<String>,
    /// How the adapter begins: `default` (A uniform, B zero), `gaussian` (A normal, B zero) or `pissa` (the weight's
    /// principal part).
    pub init_lora_weights: InitLora,
    /// Iterations that find the principal part; 0 = until it stands still.
    pub pissa_niter: usize,
    /// B learns at this multiple of the learning rate (LoRA+); 1 = the same.
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub loraplus_lr_ratio: f64,
    /// An adapter to go on from, instead of a fresh one: a folder in PEFT's format. Its own settings count.
    pub adapter_path: Option<String>,
}

impl Default for LoraSection {
    fn default() -> Self {
        Self {
            r: 8,
            lora_alpha: 16.0,
            lora_dropout: 0.0,
            target_modules: TargetModules::AllLinear,
            exclude_modules: Vec::new(),
            layers_to_transform: Vec::new(),
            rank_pattern: BTreeMap::new(),
            alpha_pattern: BTreeMap::new(),
            use_rslora: false,
            use_dora: false,
            modules_to_save: Vec::new(),
            init_lora_weights: InitLora::Default,
            pissa_niter: 0,
            loraplus_lr_ratio: 1.0,
            adapter_path: None,
        }
    }
}

/// How an adapter begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum InitLora {
    /// A uniform, B zero.
    #[default]
    Default,
    /// A normal, B zero.
    Gaussian,
    /// The principal part of the weight; what counts is the distance from it.
    Pissa,
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
