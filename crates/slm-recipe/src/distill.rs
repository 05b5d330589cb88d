//! `[distill]`: learning from a larger model.

mod endpoint;
mod filters;
mod generation;
mod hidden;

pub use endpoint::{Api, EndpointSection};
pub use filters::FilterSection;
pub use generation::GenerationSection;
pub use hidden::{HiddenLoss, HiddenSection, LayerMap};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Dtype;

/// A teacher, and how much of what it says is learned. With `[distill]`, `train.objective` is `sft`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DistillSection {
    /// What is learned from the teacher.
    pub method: DistillMethod,
    /// Share of the teacher in the loss; the rows' own tokens have the rest.
    #[schemars(extend("exclusiveMinimum" = 0, "maximum" = 1))]
    pub alpha: f64,
    /// What logits of both are divided by before they are compared. The loss is multiplied by its square, and total variation by
    /// itself, so that gradients stay as large as they are at 1.
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub temperature: f64,
    /// How the student is compared with its teacher.
    pub loss: DistillLoss,
    /// How far the student is from its teacher.
    pub divergence: DivergenceKind,
    /// The share of the teacher in the mixture that both are compared with, for `divergence = "jsd"`; 0 is forward KL and 1
    /// reverse KL, as in TRL.
    #[schemars(extend("minimum" = 0, "maximum" = 1))]
    pub beta: f64,
    /// Share of the micro-batches in which the student answers the rows' prompts itself, and learns what its teacher says of these
    /// answers (GKD). The rows' own tokens have no share in the loss there.
    #[schemars(extend("minimum" = 0, "maximum" = 1))]
    pub lmbda: f64,
    /// Whether the teacher answers the prompts of the other micro-batches, in place of the rows' answers.
    pub seq_kd: bool,
    /// How these answers are generated.
    pub generation: GenerationSection,
    /// What is learned from the teacher's layers.
    pub hidden: HiddenSection,
    /// A folder for what the teacher says, so that it says it once; without it, the teacher is asked in every step.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("minLength" = 1))]
    pub cache_dir: Option<String>,
    /// Most tokens of the vocabulary that the cache keeps for a learned token.
    #[schemars(extend("minimum" = 1, "maximum" = 65535))]
    pub top_k: usize,
    /// The cache keeps the likeliest tokens that together have this probability, if `top_k` of them do.
    #[schemars(extend("exclusiveMinimum" = 0, "maximum" = 1))]
    pub mass: f64,
    /// How far the cache may be from the teacher on a few rows, in nats per token, before it is refused.
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub max_gap: f64,
    /// Who teaches.
    pub teacher: TeacherSection,
    /// Which of a served teacher's answers become rows, with `method = "sequence"`.
    pub filters: FilterSection,
}

impl DistillSection {
    /// Whether answers are generated while the student learns.
    pub fn generates(&self) -> bool {
        self.lmbda > 0.0 || self.seq_kd
    }
}

impl Default for DistillSection {
    fn default() -> Self {
        Self {
            method: DistillMethod::Logits,
            alpha: 0.5,
            temperature: 2.0,
            loss: DistillLoss::Divergence,
            divergence: DivergenceKind::ForwardKl,
            beta: 0.5,
            lmbda: 0.0,
            seq_kd: false,
            generation: GenerationSection::default(),
            hidden: HiddenSection::default(),
            cache_dir: None,
            top_k: 32,
            mass: 0.999,
            max_gap: 0.01,
            teacher: TeacherSection::default(),
            filters: FilterSection::default(),
        }
    }
}

/// `[distill.teacher]`: a model on this machine, or one behind an endpoint.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct TeacherSection {
    /// A run directory, a folder in Hugging Face format, or a hub name.
    pub path: String,
    /// Branch, tag or commit of a hub model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// An adapter to put on it: a folder in PEFT's format. A run brings its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("minLength" = 1))]
    pub adapter: Option<String>,
    /// Precision of its weights and activations.
    pub dtype: Dtype,
    /// As `model.device`; without it, the student's.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("minLength" = 1))]
    pub device: Option<String>,
    /// Where it is served, and how it is asked, with `method = "sequence"`.
    #[serde(flatten, skip_serializing_if = "EndpointSection::is_unset")]
    pub endpoint: EndpointSection,
}

impl TeacherSection {
    /// Its path, or the name by which it is served.
    pub fn name(&self) -> &str {
        match self.path.is_empty() {
            true => &self.endpoint.model,
            false => &self.path,
        }
    }
}

/// What is learned from a teacher.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DistillMethod {
    /// Its distribution over the vocabulary at every learned token.
    #[default]
    Logits,
    /// Its answers to the prompts of the training rows, which it gives once, through an endpoint.
    Sequence,
}

/// How a student is compared with its teacher.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DistillLoss {
    /// By the divergence of their distributions; both have one vocabulary.
    #[default]
    Divergence,
    /// By the probabilities in descending order, whatever the tokens are, where tokens of both begin at the same place of the text:
    /// universal logit distillation. For a teacher with another vocabulary.
    Uld,
}

/// How far two distributions are from each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DivergenceKind {
    /// KL(teacher‖student): the student covers everything that its teacher says.
    #[default]
    ForwardKl,
    /// KL(student‖teacher): the student says only what its teacher would.
    ReverseKl,
    /// Generalized Jensen-Shannon, between the two.
    Jsd,
    /// Half the sum of absolute differences.
    Tvd,
}
