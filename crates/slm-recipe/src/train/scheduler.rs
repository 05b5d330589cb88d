//! `train.lr_scheduler_type` and its figures, in the names of Hugging Face's `SchedulerType` and `lr_scheduler_kwargs`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Shape of the learning rate over the steps. All but `constant` and `reduce_lr_on_plateau` begin with a warm-up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Scheduler {
    /// Down to 0 in a line.
    Linear,
    /// Down to 0 in half a cosine.
    #[default]
    Cosine,
    /// `num_cycles` times down to 0 in half a cosine, each from the peak.
    CosineWithRestarts,
    /// Down to `lr_end` as a power.
    Polynomial,
    /// At the peak from the first step.
    Constant,
    /// At the peak after the warm-up.
    ConstantWithWarmup,
    /// Down as 1 / √step.
    InverseSqrt,
    /// Down to `min_lr` or `min_lr_rate` in half a cosine.
    CosineWithMinLr,
    /// At the peak, and down over the last `num_decay_steps`.
    WarmupStableDecay,
    /// At the peak; less whenever `metric_for_best_model` no longer improves.
    ReduceLrOnPlateau,
}

/// Figures of a schedule, under the names and with the defaults of transformers' `get_*_schedule` functions.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LrSchedulerKwargs {
    /// Waves of a cosine; default 0.5, of `cosine_with_restarts` 1 restart cycle.
    #[schemars(extend("exclusiveMinimum" = 0))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub num_cycles: Option<f64>,
    /// Exponent of `polynomial`; default 1.
    #[schemars(extend("exclusiveMinimum" = 0))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub power: Option<f64>,
    /// Where `polynomial` ends; default 1e-7.
    #[schemars(extend("minimum" = 0))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lr_end: Option<f64>,
    /// Steps after which `inverse_sqrt` has fallen by √2; default the warm-up, or 10,000 without one.
    #[schemars(extend("minimum" = 1))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timescale: Option<usize>,
    /// The lowest rate of `cosine_with_min_lr` and `reduce_lr_on_plateau`.
    #[schemars(extend("minimum" = 0))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_lr: Option<f64>,
    /// The same for `cosine_with_min_lr`, as a share of the peak.
    #[schemars(extend("minimum" = 0, "maximum" = 1))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_lr_rate: Option<f64>,
    /// Steps that `warmup_stable_decay` falls; it has no default.
    #[schemars(extend("minimum" = 0))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub num_decay_steps: Option<usize>,
    /// Steps at the peak; default all that warm-up and decay leave.
    #[schemars(extend("minimum" = 0))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub num_stable_steps: Option<usize>,
    /// How `warmup_stable_decay` rises; default `linear`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warmup_type: Option<Ramp>,
    /// How it falls; default `cosine`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decay_type: Option<Ramp>,
    /// Where it begins and ends, as a share of the peak; default 0.
    #[schemars(extend("minimum" = 0, "maximum" = 1))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_lr_ratio: Option<f64>,
    /// What `reduce_lr_on_plateau` multiplies the rate by; default 0.1.
    #[schemars(extend("exclusiveMinimum" = 0, "exclusiveMaximum" = 1))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub factor: Option<f64>,
    /// Evaluations without gain that it tolerates; default 10.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub patience: Option<usize>,
    /// What counts as a gain; default 1e-4.
    #[schemars(extend("minimum" = 0))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threshold: Option<f64>,
    /// Whether `threshold` is a share of the best value; default `rel`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threshold_mode: Option<ThresholdMode>,
    /// Evaluations that are not judged after the rate was reduced; default 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cooldown: Option<usize>,
}

/// How a rate goes from one level to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Ramp {
    /// In a line.
    Linear,
    /// In half a cosine.
    Cosine,
    /// As 1 − √.
    #[serde(rename = "1-sqrt")]
    OneMinusSqrt,
}

/// What a threshold is relative to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ThresholdMode {
    /// A share of the best value.
    Rel,
    /// A difference.
    Abs,
}

impl Scheduler {
    /// Whether its first steps rise to the peak.
    pub fn warms_up(self) -> bool {
        !matches!(self, Self::Constant | Self::ReduceLrOnPlateau)
    }

    /// The keys of `lr_scheduler_kwargs` that it reads.
    pub(crate) fn kwargs(self) -> &'static [&'static str] {
        match self {
            Self::Linear | Self::Constant | Self::ConstantWithWarmup => &[],
            Self::Cosine | Self::CosineWithRestarts => &["num_cycles"],
            Self::Polynomial => &["power", "lr_end"],
            Self::InverseSqrt => &["timescale"],
            Self::CosineWithMinLr => &["num_cycles", "min_lr", "min_lr_rate"],
            Self::WarmupStableDecay => &[
                "num_decay_steps",
                "num_stable_steps",
                "warmup_type",
                "decay_type",
                "min_lr_ratio",
                "num_cycles",
            ],
            Self::ReduceLrOnPlateau => &[
                "factor",
                "patience",
                "threshold",
                "threshold_mode",
                "cooldown",
                "min_lr",
            ],
        }
    }
}
