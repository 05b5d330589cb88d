//! `[train]`: method, schedule, optimizer, and when to evaluate and save; in the names of Hugging Face's `TrainingArguments`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How the student learns.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TrainSection {
    /// Train an adapter, or all weights.
    pub method: Method,
    /// Passes over the training rows; a fraction is allowed. Not read when `max_steps` is set.
    #[schemars(extend("minimum" = 0))]
    pub num_train_epochs: f64,
    /// Optimizer steps; wins over `num_train_epochs` when > 0.
    pub max_steps: usize,
    /// Rows of a micro-batch.
    #[schemars(extend("minimum" = 1))]
    pub per_device_train_batch_size: usize,
    /// Rows of a batch in evaluation.
    #[schemars(extend("minimum" = 1))]
    pub per_device_eval_batch_size: usize,
    /// Micro-batches of one optimizer step.
    #[schemars(extend("minimum" = 1))]
    pub gradient_accumulation_steps: usize,
    /// Peak learning rate.
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub learning_rate: f64,
    /// Shape of the learning rate after the warm-up.
    pub lr_scheduler_type: Scheduler,
    /// Share of the steps that warm up.
    #[schemars(extend("minimum" = 0, "maximum" = 1))]
    pub warmup_ratio: f64,
    /// Steps that warm up; wins over `warmup_ratio` when > 0.
    pub warmup_steps: usize,
    /// Decoupled weight decay of AdamW.
    #[schemars(extend("minimum" = 0))]
    pub weight_decay: f64,
    /// Decay of AdamW's first moment.
    #[schemars(extend("minimum" = 0, "exclusiveMaximum" = 1))]
    pub adam_beta1: f64,
    /// Decay of AdamW's second moment.
    #[schemars(extend("minimum" = 0, "exclusiveMaximum" = 1))]
    pub adam_beta2: f64,
    /// Added to the root of AdamW's second moment.
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub adam_epsilon: f64,
    /// Gradients are scaled down to this norm; 0 = off.
    #[schemars(extend("minimum" = 0))]
    pub max_grad_norm: f64,
    /// Whether activations are computed again in the backward pass instead of kept.
    pub gradient_checkpointing: bool,
    /// Steps between two lines of the log.
    #[schemars(extend("minimum" = 1))]
    pub logging_steps: usize,
    /// Steps between two evaluations; 0 = once an epoch.
    pub eval_steps: usize,
    /// Steps between two checkpoints; 0 = whenever evaluated.
    pub save_steps: usize,
    /// Checkpoints to keep besides the best one; 0 = all.
    pub save_total_limit: usize,
    /// Whether the checkpoint with the lowest held-out loss is the result, instead of the last one.
    pub load_best_model_at_end: bool,
    /// Evaluations without a better loss after which training stops; 0 = off.
    pub early_stopping_patience: usize,
}

impl Default for TrainSection {
    fn default() -> Self {
        Self {
            method: Method::Lora,
            num_train_epochs: 3.0,
            max_steps: 0,
            per_device_train_batch_size: 8,
            per_device_eval_batch_size: 8,
            gradient_accumulation_steps: 1,
            learning_rate: 2e-4,
            lr_scheduler_type: Scheduler::Cosine,
            warmup_ratio: 0.03,
            warmup_steps: 0,
            weight_decay: 0.0,
            adam_beta1: 0.9,
            adam_beta2: 0.999,
            adam_epsilon: 1e-8,
            max_grad_norm: 1.0,
            gradient_checkpointing: false,
            logging_steps: 10,
            eval_steps: 0,
            save_steps: 0,
            save_total_limit: 2,
            load_best_model_at_end: true,
            early_stopping_patience: 0,
        }
    }
}

/// What is trained.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// A low-rank adapter; the base stays as it is.
    #[default]
    Lora,
    /// All weights.
    Full,
}

/// Shape of the learning rate after the warm-up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Scheduler {
    /// Down to 0 in a line.
    Linear,
    /// Down to 0 in half a cosine.
    #[default]
    Cosine,
    /// Stays at the peak.
    Constant,
}
