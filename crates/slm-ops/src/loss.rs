//! The language-model head and its loss together, in chunks, on learned positions only.

#[cfg(feature = "libtorch")]
mod cuda;
mod flex;
mod fused;
#[cfg(feature = "libtorch")]
mod libtorch;
mod portable;

use burn::backend::Dispatch;
use burn::tensor::{Bool, DType, Device, Int, Tensor};

use crate::{DeviceSums, HeadShape, carried};
use fused::HeadLoss;

/// How many logits exist at a time (64 MiB in f32); the whole matrix never does.
pub const LOGITS_AT_ONCE: usize = 16 << 20;
/// The same on a GPU: enough rows for products at their full rate, which those of a processor have with fewer.
pub const LOGITS_AT_ONCE_ON_GPU: usize = 128 << 20;

/// How many of `n` rows of logits are held at a time: in chunks as alike as can be, since a chunk of few rows reads the whole
/// head all the same.
pub fn rows_at_once(n: usize, vocab: usize) -> usize {
    rows_of_at_most(LOGITS_AT_ONCE, n, vocab)
}

/// The same of at most `logits` values at a time.
pub fn rows_of_at_most(logits: usize, n: usize, vocab: usize) -> usize {
    let most = (logits / vocab.max(1)).max(1);
    let chunks = n.div_ceil(most).max(1);
    n.div_ceil(chunks).max(1)
}

/// What a token's loss counts in the gradient.
#[expect(
    clippy::large_enum_variant,
    reason = "one exists per micro-batch, and is passed by reference"
)]
#[derive(Clone, Debug)]
pub enum TokenWeights {
    /// The same for all. Supervised training takes 1 / learned tokens of the whole *step*, so that accumulating over
    /// uneven micro-batches equals one large batch.
    Same(f64),
    /// One per token, `[n]` in f32: −d(objective) / d(ln p of the token), for an objective of log-probabilities.
    Each(Tensor<1>),
}

impl TokenWeights {
    /// The same, `factor` times as large.
    #[must_use]
    pub fn scaled(self, factor: f64) -> Self {
        match self {
            Self::Same(weight) => Self::Same(factor * weight),
            Self::Each(weights) => Self::Each(weights.mul_scalar(factor)),
        }
    }

    /// The weights of `n` tokens, `[n]` in f32.
    pub(crate) fn each(&self, n: usize, device: &Device) -> Tensor<1> {
        match self {
            Self::Same(weight) => Tensor::full([n], *weight, (device, DType::F32)),
            Self::Each(weights) => weights.clone().inner(),
        }
    }
}

/// The loss of some tokens, and what its backward pass starts from.
#[derive(Clone, Debug)]
pub struct TokenLoss {
    pub sums: DeviceSums,
    /// A scalar whose gradient with respect to `hidden` and `head` is that of the weighted sum of losses. Its value
    /// means nothing: the gradients were formed with the logits, chunk by chunk, and are carried here as a product.
    pub surrogate: Tensor<1>,
}

/// What a model says of some given tokens.
#[derive(Clone, Debug)]
pub struct TokenScores {
    /// Natural logarithm of each token's probability: `[n]`, f32.
    pub logprobs: Tensor<1>,
    /// Whether no other token was likelier: `[n]`.
    pub greedy: Tensor<1, Bool>,
}

/// Cross entropy of `softmax(shape.logits(hidden, head))` at `targets`, without ever holding all logits.
///
/// # Shapes
/// - `hidden`: `[n, d]`, the final states of the learned positions
/// - `head`: `[vocab, d]`, HF layout
/// - `targets`: `[n]`
///
/// `smoothing` is HF's `label_smoothing_factor` ε: (1 − ε) · −ln p(target) + ε · mean over the vocabulary of −ln p.
/// Softmax and loss are in f32. The gradient of `head` is formed only when it requires one.
pub fn linear_cross_entropy(
    hidden: Tensor<2>,
    head: Tensor<2>,
    targets: Tensor<1, Int>,
    weights: &TokenWeights,
    shape: &HeadShape,
    smoothing: f64,
) -> TokenLoss {
    let wants = Wants::of(&head);
    let matrix = head.clone().inner();
    let weights = weights.each(hidden.dims()[0], &matrix.device());
    let states = hidden.clone().inner();
    head_loss(states, matrix, targets, weights, shape, smoothing, wants)
        .carried(hidden, head, wants)
}

/// The sums of [`linear_cross_entropy`] alone, without gradients and smoothing; shapes as there.
pub fn linear_nll(
    hidden: Tensor<2>,
    head: Tensor<2>,
    targets: Tensor<1, Int>,
    shape: &HeadShape,
) -> DeviceSums {
    DeviceSums::of(scores(hidden, head, targets, shape))
}

/// What the model says of each of `targets`, without gradients; shapes as in [`linear_cross_entropy`].
pub fn token_scores(
    hidden: Tensor<2>,
    head: Tensor<2>,
    targets: Tensor<1, Int>,
    shape: &HeadShape,
) -> TokenScores {
    let scores = scores(hidden, head, targets, shape);
    let column = |i| scores.clone().narrow(1, i, 1).flatten::<1>(0, 1);
    TokenScores {
        logprobs: column(0).neg(),
        greedy: column(2).greater_elem(0.5),
    }
}

/// Loss, entropy and greediness of each target, `[n, 3]`.
fn scores(
    hidden: Tensor<2>,
    head: Tensor<2>,
    targets: Tensor<1, Int>,
    shape: &HeadShape,
) -> Tensor<2> {
    let (hidden, head) = (hidden.inner(), head.inner());
    let weights = TokenWeights::Same(0.0).each(hidden.dims()[0], &head.device());
    head_loss(hidden, head, targets, weights, shape, 0.0, Wants::NOTHING).scores
}

/// Which gradients are asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wants {
    pub(crate) states: bool,
    pub(crate) head: bool,
}

impl Wants {
    pub(crate) const NOTHING: Self = Self {
        states: false,
        head: false,
    };

    /// The gradient of the states, and that of `head` where it requires one.
    pub(crate) fn of(head: &Tensor<2>) -> Self {
        Self {
            states: true,
            head: head.is_autodiff() && head.is_tracked(),
        }
    }

    pub(crate) fn any(self) -> bool {
        self.states || self.head
    }
}

/// What a head says of some tokens.
pub(crate) struct Found {
    /// `[n, 3]`, f32: loss, entropy, and whether no other token was likelier (1 or 0).
    pub(crate) scores: Tensor<2>,
    /// The gradient of the states, `[n, d]`, where it is wanted.
    pub(crate) d_states: Tensor<2>,
    /// The gradient of the head's weight, `[vocab, d]`, where it is wanted.
    pub(crate) d_head: Tensor<2>,
}

impl Found {
    /// The loss of `hidden` and `head`, which are in the graph, that carries the gradients found.
    pub(crate) fn carried(self, hidden: Tensor<2>, head: Tensor<2>, wants: Wants) -> TokenLoss {
        let mut surrogate = carried(hidden, self.d_states);
        if wants.head {
            surrogate = surrogate.add(carried(head, self.d_head));
        }
        TokenLoss {
            sums: DeviceSums::of(self.scores),
            surrogate,
        }
    }
}

/// Scores and gradients, outside the graph; shapes as in [`linear_cross_entropy`], `weights` is `[n]`.
fn head_loss(
    hidden: Tensor<2>,
    head: Tensor<2>,
    targets: Tensor<1, Int>,
    weights: Tensor<1>,
    shape: &HeadShape,
    smoothing: f64,
    wants: Wants,
) -> Found {
    if !crate::fused::applies(&head) {
        return portable::head_loss(hidden, head, targets, weights, shape, smoothing, wants);
    }
    let (scores, d_states, d_head) = Dispatch::head_loss(
        hidden.into_dispatch(),
        head.into_dispatch(),
        targets.into_dispatch(),
        weights.into_dispatch(),
        *shape,
        smoothing,
        wants,
    );
    let [scores, d_states, d_head] = [scores, d_states, d_head].map(Tensor::from_dispatch);
    Found {
        scores,
        d_states,
        d_head,
    }
}
