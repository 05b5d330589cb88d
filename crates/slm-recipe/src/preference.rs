//! `[preference]`: how much judged answers count, in the names of TRL.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Learning from judged answers; read when `train.objective` is `dpo`, `orpo` or `kto`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PreferenceSection {
    /// How much a change of a log-probability counts: with `dpo` and `kto` against the reference, with `orpo` the weight of
    /// the odds ratio beside the cross entropy.
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub beta: f64,
    /// The loss of a pair, with `dpo`.
    pub loss_type: LossType,
    /// Share of the pairs that may be judged wrongly, with `loss_type = "robust"`.
    #[schemars(extend("minimum" = 0, "exclusiveMaximum" = 0.5))]
    pub label_smoothing: f64,
    /// Weight of the desirable answers, with `kto`.
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub desirable_weight: f64,
    /// Weight of the undesirable answers, with `kto`.
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub undesirable_weight: f64,
}

impl Default for PreferenceSection {
    fn default() -> Self {
        Self {
            beta: 0.1,
            loss_type: LossType::Sigmoid,
            label_smoothing: 0.0,
            desirable_weight: 1.0,
            undesirable_weight: 1.0,
        }
    }
}

/// The loss of a pair.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LossType {
    /// That of the DPO paper.
    #[default]
    Sigmoid,
    /// The same, unbiased where some pairs are judged wrongly (robust DPO).
    Robust,
}
