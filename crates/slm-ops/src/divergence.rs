//! Two language-model heads and how far apart their distributions are, together, in chunks, on learned positions only.
//!
//! With s the student's distribution, t the teacher's, both softmaxes of logits / T, and z the student's logits / T:
//!
//! | | D | dD/dz |
//! |---|---|---|
//! | forward KL | Σ t (ln t − ln s) | s Σ t − t |
//! | reverse KL | Σ s (ln s − ln t) | s (ln s − ln t − D) |
//! | Jensen-Shannon, β | β KL(t‖m) + (1 − β) KL(s‖m), m = β t + (1 − β) s | (1 − β) s (ln s − ln m − KL(s‖m)) |
//! | total variation | ½ Σ \|s − t\| | ½ s (sign(s − t) − Σ s sign(s − t)) |
//!
//! They hold for a `t` that does not add up to 1 as well. The loss and its gradient are Agarwal et al. 2024 (GKD, eq. 1), as TRL's
//! `generalized_jsd_loss` has them.

mod flex;
mod fused;
#[cfg(feature = "libtorch")]
mod libtorch;
mod portable;
mod row;
mod top;

use burn::backend::Dispatch;
use burn::tensor::activation::log_softmax;
use burn::tensor::{DType, Int, Tensor};

use crate::head::as_multiplied;
use crate::loss::{Found, TokenLoss, TokenWeights, Wants};
use crate::{DeviceSums, HeadShape};
use fused::HeadDivergence;

/// How far a student's distribution is from its teacher's, in nats.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Divergence {
    /// KL(t‖s): the student covers everything that its teacher says.
    ForwardKl,
    /// KL(s‖t): the student says only what its teacher would (MiniLLM).
    ReverseKl,
    /// The generalized one of GKD: 0 is forward KL and 1 reverse KL, as in TRL, although the formula goes to 0 there.
    JensenShannon { beta: f64 },
    /// Half the sum of absolute differences: from 0 to 1.
    TotalVariation,
}

impl Divergence {
    /// With the ends of `JensenShannon` as what they stand for.
    fn resolved(self) -> Self {
        match self {
            Self::JensenShannon { beta } if beta <= 0.0 => Self::ForwardKl,
            Self::JensenShannon { beta } if beta >= 1.0 => Self::ReverseKl,
            other => other,
        }
    }

    /// What gradients are multiplied by: (1 − β) and ½ above.
    fn factor(self) -> f64 {
        match self {
            Self::ForwardKl | Self::ReverseKl => 1.0,
            Self::JensenShannon { beta } => 1.0 - beta,
            Self::TotalVariation => 0.5,
        }
    }
}

/// Who a student learns from.
#[expect(
    clippy::large_enum_variant,
    reason = "one exists per micro-batch, and is passed by reference"
)]
#[derive(Clone, Debug)]
pub enum Teacher {
    /// A model of the same vocabulary: its final states `[n, d_t]` of the same positions and its head `[vocab, d_t]`, of
    /// one dtype, on the student's device.
    Live {
        hidden: Tensor<2>,
        head: Tensor<2>,
        shape: HeadShape,
    },
    Cached(TopTokens),
}

/// A teacher's likeliest tokens.
#[derive(Clone, Debug)]
pub struct TopTokens {
    /// `[n, k]`, no id twice in a row. Where `logprobs` is −∞ a place is not used, and its id can be any.
    pub ids: Tensor<2, Int>,
    /// Natural logarithms of their probabilities at the temperature that the student is compared at: `[n, k]`, f32.
    pub logprobs: Tensor<2>,
    pub rest: Rest,
}

/// What is made of all other tokens.
#[expect(
    clippy::large_enum_variant,
    reason = "one exists per micro-batch, and is passed by reference"
)]
#[derive(Clone, Debug)]
pub enum Rest {
    /// Nothing: the sum goes over the likeliest, with probabilities of the whole vocabulary. Forward KL only, and no
    /// divergence: it can be negative.
    Dropped,
    /// Nothing, and what the likeliest have is made 1, for teacher and student.
    Renormalised,
    /// They are one outcome; the logarithm of the teacher's probability of it, `[n]`, f32. −∞ counts as −87.3, that of the
    /// smallest normal number.
    Bucket(Tensor<1>),
}

/// The logarithm of a probability that is 0, in sums that may not have infinities.
const NEVER: f64 = -1e4;
/// Logarithms below are of places that are not used.
const UNUSED: f64 = NEVER / 2.0;
/// ln of the smallest normal number of f32.
const SMALLEST: f64 = -87.336;

/// The divergence of `softmax(shape.logits(hidden, head) / temperature)` from the teacher's, without ever holding all logits
/// of either.
///
/// # Shapes
/// - `hidden`: `[n, d]`, the student's final states of the learned positions
/// - `head`: `[vocab, d]`, HF layout
///
/// The loss has no T² in it: weights do where it is wanted. Softmax and divergence are in f32. The gradient of `head` is
/// formed only when it requires one; none flows to the teacher.
///
/// Of the sums, `loss` is the divergence, `entropy` the student's at the temperature, and `correct` counts positions where no
/// token is likelier to the student than the teacher's likeliest.
///
/// # Panics
/// If the rest is dropped and the divergence is not the forward KL.
pub fn linear_kl(
    hidden: Tensor<2>,
    head: Tensor<2>,
    teacher: &Teacher,
    weights: &TokenWeights,
    shape: &HeadShape,
    divergence: Divergence,
    temperature: f64,
) -> TokenLoss {
    let wants = Wants::of(&head);
    let figures = Figures::new(shape, divergence, temperature, wants);
    let (states, matrix) = (hidden.clone().inner(), head.clone().inner());
    head_divergence(states, matrix, teacher, weights, figures).carried(hidden, head, wants)
}

/// The sums of [`linear_kl`] alone, without gradients; shapes as there.
pub fn linear_kl_sums(
    hidden: Tensor<2>,
    head: Tensor<2>,
    teacher: &Teacher,
    shape: &HeadShape,
    divergence: Divergence,
    temperature: f64,
) -> DeviceSums {
    let figures = Figures::new(shape, divergence, temperature, Wants::NOTHING);
    let weights = TokenWeights::Same(0.0);
    let found = head_divergence(hidden.inner(), head.inner(), teacher, &weights, figures);
    DeviceSums::of(found.scores)
}

/// What is done to a chunk of logits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Figures {
    shape: HeadShape,
    divergence: Divergence,
    temperature: f64,
    wants: Wants,
}

impl Figures {
    fn new(shape: &HeadShape, divergence: Divergence, temperature: f64, wants: Wants) -> Self {
        Self {
            shape: *shape,
            divergence: divergence.resolved(),
            temperature,
            wants,
        }
    }

    /// What the weights of tokens are multiplied by on the way to the product with the head.
    fn pull(&self) -> f64 {
        self.divergence.factor() * self.shape.scale / self.temperature
    }
}

/// Scores and gradients, outside the graph; shapes as in [`linear_kl`].
fn head_divergence(
    hidden: Tensor<2>,
    head: Tensor<2>,
    teacher: &Teacher,
    weights: &TokenWeights,
    figures: Figures,
) -> Found {
    let weights = weights.each(hidden.dims()[0], &head.device());
    let teacher = teacher.outside(figures.divergence);
    if !crate::fused::applies(&head) {
        return portable::head_divergence(hidden, head, &teacher, weights, &figures);
    }
    let [hidden, head] = [hidden, head].map(Tensor::into_dispatch);
    let weights = weights.into_dispatch();
    let (scores, d_states, d_head) = match teacher {
        Outside::Live(states, matrix, shape) => {
            let teacher = [states, matrix].map(Tensor::into_dispatch);
            let [states, matrix] = teacher;
            Dispatch::live_divergence(hidden, head, states, matrix, shape, weights, figures)
        }
        Outside::Cached(ids, outcomes) => {
            let (ids, outcomes) = (ids.into_dispatch(), outcomes.into_dispatch());
            Dispatch::cached_divergence(hidden, head, ids, outcomes, weights, figures)
        }
    };
    let [scores, d_states, d_head] = [scores, d_states, d_head].map(Tensor::from_dispatch);
    Found {
        scores,
        d_states,
        d_head,
    }
}

/// A teacher that has left the graph, as all versions take it.
enum Outside {
    /// States, head and its shape.
    Live(Tensor<2>, Tensor<2>, HeadShape),
    /// Ids `[n, k]` and logarithms of probabilities `[n, k]`, or `[n, k + 1]` with all other tokens as one more outcome. Unused
    /// places are below [`UNUSED`].
    Cached(Tensor<2, Int>, Tensor<2>),
}

impl Teacher {
    /// The rows of a student's head `[rows, d]` that it is compared on: where a live teacher's head is smaller, what the student
    /// has beyond it is padding.
    pub fn seen_of(&self, head: Tensor<2>) -> Tensor<2> {
        match self {
            Self::Live { head: own, .. } if own.dims()[0] < head.dims()[0] => {
                head.narrow(0, 0, own.dims()[0])
            }
            _ => head,
        }
    }

    fn outside(&self, divergence: Divergence) -> Outside {
        match self {
            Self::Live {
                hidden,
                head,
                shape,
            } => {
                let [states, matrix] = as_multiplied([hidden, head].map(|it| it.clone().inner()));
                Outside::Live(states, matrix, *shape)
            }
            Self::Cached(top) => Outside::Cached(top.ids.clone(), top.outcomes(divergence)),
        }
    }
}

impl TopTokens {
    /// The outcomes that student and teacher are compared on, as the teacher sees them.
    fn outcomes(&self, divergence: Divergence) -> Tensor<2> {
        let top = self.logprobs.clone().inner().cast(DType::F32);
        let top = top.clamp_min(NEVER);
        match &self.rest {
            Rest::Renormalised => log_softmax(top, 1),
            Rest::Dropped => {
                let is_forward = divergence == Divergence::ForwardKl;
                assert!(is_forward, "only forward KL is taken without the rest");
                let nothing = top.clone().narrow(1, 0, 1).full_like(NEVER);
                Tensor::cat(vec![top, nothing], 1)
            }
            Rest::Bucket(rest) => {
                let rest = rest.clone().inner().cast(DType::F32);
                let nothing = rest.clone().lower_elem(NEVER);
                let rest = rest.mask_fill(nothing, SMALLEST);
                Tensor::cat(vec![top, rest.unsqueeze_dim(1)], 1)
            }
        }
    }
}
