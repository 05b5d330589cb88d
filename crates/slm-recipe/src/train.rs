//! `[train]`: method, schedule, optimizer, and when to evaluate and save; in the names of Hugging Face's `TrainingArguments`.

mod batch_size;
mod optim;
mod scheduler;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::MetricName;

pub use batch_size::BatchSize;
pub use optim::Optim;
pub use scheduler::{LrSchedulerKwargs, Ramp, Scheduler, ThresholdMode};

/// How the student learns.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TrainSection {
    /// Train an adapter, or all weights.
    pub method: Method,
    /// What is learned from the rows.
    pub objective: Objective,
    /// Passes over the training rows; a fraction is allowed. Not read when `max_steps` is set.
    #[schemars(extend("minimum" = 0))]
    pub num_train_epochs: f64,
    /// Optimizer steps; wins over `num_train_epochs` when > 0.
    pub max_steps: usize,
    /// Rows of a micro-batch; `auto` for as many as fit of a step of 32, with `gradient_checkpointing` if not even one does
    /// without. `gradient_accumulation_steps` follows.
    pub per_device_train_batch_size: BatchSize,
    /// Rows of a batch in evaluation.
    #[schemars(extend("minimum" = 1))]
    pub per_device_eval_batch_size: usize,
    /// Whether rows of similar length share a batch, so that little is padded; not where `data.shuffle` is off. Where length
    /// goes with the task, batches become all of one kind, and a mixture may learn less.
    pub group_by_length: bool,
    /// Micro-batches of one optimizer step.
    #[schemars(extend("minimum" = 1))]
    pub gradient_accumulation_steps: usize,
    /// The optimizer.
    pub optim: Optim,
    /// Peak learning rate.
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub learning_rate: f64,
    /// Shape of the learning rate over the steps.
    pub lr_scheduler_type: Scheduler,
    /// Share of the steps that warm up.
    #[schemars(extend("minimum" = 0, "maximum" = 1))]
    pub warmup_ratio: f64,
    /// Steps that warm up; wins over `warmup_ratio` when > 0.
    pub warmup_steps: usize,
    /// Weight decay: decoupled, but with `optim = "sgd"` added to the gradient. Norms and biases do not decay.
    #[schemars(extend("minimum" = 0))]
    pub weight_decay: f64,
    /// Decay of AdamW's first moment; of Lion, the share of the momentum in a step.
    #[schemars(extend("minimum" = 0, "exclusiveMaximum" = 1))]
    pub adam_beta1: f64,
    /// Decay of AdamW's second moment; of Lion, of its momentum.
    #[schemars(extend("minimum" = 0, "exclusiveMaximum" = 1))]
    pub adam_beta2: f64,
    /// Added to the root of AdamW's second moment.
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub adam_epsilon: f64,
    /// Momentum of `optim = "sgd"`.
    #[schemars(extend("minimum" = 0, "exclusiveMaximum" = 1))]
    pub momentum: f64,
    /// Gradients are scaled down to this norm; 0 = off.
    #[schemars(extend("minimum" = 0))]
    pub max_grad_norm: f64,
    /// Share of the loss that pulls all tokens of the vocabulary up alike; not in the held-out loss.
    #[schemars(extend("minimum" = 0, "exclusiveMaximum" = 1))]
    pub label_smoothing_factor: f64,
    /// Noise on the embeddings while training (NEFTune): uniform in ± this / √(tokens of a row · width); 0 = none.
    #[schemars(extend("minimum" = 0))]
    pub neftune_noise_alpha: f64,
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
    /// Whether the best checkpoint is the result, instead of the last one.
    pub load_best_model_at_end: bool,
    /// What the best checkpoint is best at: `loss` on the held-out rows, or the metric of a task, `TASK/METRIC`.
    #[schemars(extend("minLength" = 1))]
    pub metric_for_best_model: String,
    /// Whether a larger metric is better; without it, unless it is a loss or a perplexity.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub greater_is_better: Option<bool>,
    /// Evaluations without a better metric after which training stops; 0 = off.
    pub early_stopping_patience: usize,
    /// How much better a metric must be to count for `early_stopping_patience`.
    #[schemars(extend("minimum" = 0))]
    pub early_stopping_threshold: f64,
    /// A step whose loss is more than so many times the median of the last ones stops the run; 0 = off.
    #[schemars(extend("minimum" = 0))]
    pub loss_spike_factor: f64,
    /// Where metrics go besides `metrics.jsonl`.
    pub report_to: Vec<ReportTo>,
    /// Figures of the schedule; each is read by some of them.
    pub lr_scheduler_kwargs: LrSchedulerKwargs,
}

impl Default for TrainSection {
    fn default() -> Self {
        Self {
            method: Method::Lora,
            objective: Objective::Sft,
            num_train_epochs: 3.0,
            max_steps: 0,
            per_device_train_batch_size: BatchSize::Rows(8),
            per_device_eval_batch_size: 8,
            group_by_length: false,
            gradient_accumulation_steps: 1,
            optim: Optim::Adamw,
            learning_rate: 2e-4,
            lr_scheduler_type: Scheduler::Cosine,
            warmup_ratio: 0.03,
            warmup_steps: 0,
            weight_decay: 0.0,
            adam_beta1: 0.9,
            adam_beta2: 0.999,
            adam_epsilon: 1e-8,
            momentum: 0.0,
            max_grad_norm: 1.0,
            label_smoothing_factor: 0.0,
            neftune_noise_alpha: 0.0,
            gradient_checkpointing: false,
            logging_steps: 10,
            eval_steps: 0,
            save_steps: 0,
            save_total_limit: 2,
            load_best_model_at_end: true,
            metric_for_best_model: "loss".into(),
            greater_is_better: None,
            early_stopping_patience: 0,
            early_stopping_threshold: 0.0,
            loss_spike_factor: 0.0,
            report_to: Vec::new(),
            lr_scheduler_kwargs: LrSchedulerKwargs::default(),
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

/// What is learned from the rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Objective {
    /// To write the learned tokens.
    #[default]
    Sft,
    /// To prefer chosen answers to rejected ones, more than the model does before its first step.
    Dpo,
    /// To write chosen answers, and to hold them for likelier than rejected ones; without a reference.
    Orpo,
    /// To hold desirable answers for likelier, and undesirable ones for less likely, than before the first step.
    Kto,
}

impl Objective {
    /// As it is written in a recipe.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sft => "sft",
            Self::Dpo => "dpo",
            Self::Orpo => "orpo",
            Self::Kto => "kto",
        }
    }
}

/// Where metrics go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReportTo {
    /// Event files under `tensorboard/` of the run directory.
    Tensorboard,
}

impl TrainSection {
    /// Task and metric of `metric_for_best_model`; `None` when it is the loss on the held-out rows.
    pub fn task_metric(&self) -> Option<(&str, &str)> {
        self.metric_for_best_model.rsplit_once('/')
    }

    /// Whether a larger `metric_for_best_model` is better.
    pub fn greater_is_better(&self) -> bool {
        let rises = self.task_metric().is_some_and(|(_, metric)| {
            let metric: Result<MetricName, _> = serde_json::from_value(metric.into());
            metric.is_ok_and(MetricName::higher_is_better)
        });
        self.greater_is_better.unwrap_or(rises)
    }
}
