//! The language-model head and its loss together, in chunks, on learned positions only.

use burn::tensor::{Bool, IndexingUpdateOp, Int, Tensor};

use crate::{DeviceSums, HeadShape};

/// How many logits exist at a time (64 MiB in f32); the whole matrix never does.
pub const LOGITS_AT_ONCE: usize = 16 << 20;

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
    /// The weights of `rows` tokens from `start` on, as a column `[rows, 1]` like `like`.
    fn column(&self, start: usize, like: &Tensor<2>) -> Tensor<2> {
        let [rows, _] = like.dims();
        match self {
            Self::Same(weight) => like.full_like(*weight),
            Self::Each(weights) => weights
                .clone()
                .inner()
                .narrow(0, start, rows)
                .unsqueeze_dim::<2>(1),
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
    let train_head = head.is_autodiff() && head.is_tracked();
    let matrix = head.clone().inner();
    let dtype = matrix.dtype();

    let mut sums = DeviceSums::default();
    let mut hidden_grads = Vec::new();
    let mut head_grad: Option<Tensor<2>> = None;
    for (start, states, targets) in chunks(&hidden, &matrix, &targets) {
        let logits = shape.logits(states.clone(), matrix.clone());
        let slope = shape.cap_slope(&logits);
        let chunk = Chunk::new(logits, targets, smoothing);
        sums.chunks.push(chunk.sums());
        let weights = weights.column(start, &chunk.target).mul_scalar(shape.scale);
        let mut gradient = chunk.gradient(weights, smoothing);
        if let Some(slope) = slope {
            gradient = gradient.mul(slope);
        }
        let gradient = gradient.cast(dtype);
        hidden_grads.push(gradient.clone().matmul(matrix.clone()));
        if train_head {
            let part = gradient.transpose().matmul(states);
            head_grad = Some(match head_grad {
                Some(whole) => whole.add(part),
                None => part,
            });
        }
    }

    let mut surrogate = match hidden_grads.is_empty() {
        true => hidden.sum(),
        false => hidden.mul(Tensor::cat(hidden_grads, 0)).sum(),
    };
    if let Some(gradient) = head_grad {
        surrogate = surrogate.add(head.mul(gradient).sum());
    }
    TokenLoss { sums, surrogate }
}

/// The sums of [`linear_cross_entropy`] alone, without gradients and smoothing; shapes as there.
pub fn linear_nll(
    hidden: Tensor<2>,
    head: Tensor<2>,
    targets: Tensor<1, Int>,
    shape: &HeadShape,
) -> DeviceSums {
    let head = head.inner();
    let sums = chunks(&hidden, &head, &targets).map(|(_, states, targets)| {
        Chunk::new(shape.logits(states, head.clone()), targets, 0.0).sums()
    });
    DeviceSums {
        chunks: sums.collect(),
    }
}

/// What the model says of each of `targets`, without gradients; shapes as in [`linear_cross_entropy`], `n` at least 1.
pub fn token_scores(
    hidden: Tensor<2>,
    head: Tensor<2>,
    targets: Tensor<1, Int>,
    shape: &HeadShape,
) -> TokenScores {
    let head = head.inner();
    let (logprobs, greedy) = chunks(&hidden, &head, &targets)
        .map(|(_, states, targets)| {
            let chunk = Chunk::new(shape.logits(states, head.clone()), targets, 0.0);
            let greedy = chunk.greedy().flatten::<1>(0, 1);
            (chunk.loss.neg().flatten::<1>(0, 1), greedy)
        })
        .unzip();
    TokenScores {
        logprobs: Tensor::cat(logprobs, 0),
        greedy: Tensor::cat(greedy, 0),
    }
}

/// States and targets outside the graph, with the place of the first, as many at a time as [`LOGITS_AT_ONCE`] allows.
fn chunks(
    hidden: &Tensor<2>,
    head: &Tensor<2>,
    targets: &Tensor<1, Int>,
) -> impl Iterator<Item = (usize, Tensor<2>, Tensor<1, Int>)> {
    let (hidden, targets) = (hidden.clone().inner(), targets.clone().inner());
    let [n, _] = hidden.dims();
    let step = (LOGITS_AT_ONCE / head.dims()[0]).clamp(1, n.max(1));
    (0..n).step_by(step).map(move |start| {
        let rows = step.min(n - start);
        let states = hidden.clone().narrow(0, start, rows);
        (start, states, targets.clone().narrow(0, start, rows))
    })
}

/// The softmax of some tokens, taken apart: `r` rows, f32. Logits are shifted so that the largest of a row is 0.
struct Chunk {
    exp: Tensor<2>,        // [r, vocab], e^logit
    sum: Tensor<2>,        // [r, 1], their sums
    index: Tensor<2, Int>, // [r, 1], the targets
    target: Tensor<2>,     // [r, 1], their logits
    loss: Tensor<2>,       // [r, 1]
    entropy: Tensor<2>,    // [r, 1]
}

impl Chunk {
    /// Each operation reuses the memory of the last where it can: these passes cost as much as a small model's head.
    fn new(logits: Tensor<2>, targets: Tensor<1, Int>, smoothing: f64) -> Self {
        let largest = logits.clone().max_dim(1);
        let logits = logits.sub(largest);
        let index = targets.unsqueeze_dim::<2>(1);
        let target = logits.clone().gather(1, index.clone());
        let exp = logits.clone().exp();
        let sum = exp.clone().sum_dim(1);
        let log_sum = sum.clone().log();
        let mut loss = log_sum.clone().sub(target.clone());
        if smoothing > 0.0 {
            let uniform = log_sum.clone().sub(logits.clone().mean_dim(1));
            loss = loss
                .mul_scalar(1.0 - smoothing)
                .add(uniform.mul_scalar(smoothing));
        }
        // −Σ p ln p = ln Σ e^z − Σ e^z z / Σ e^z
        let expected = logits.mul(exp.clone()).sum_dim(1).div(sum.clone());
        Self {
            exp,
            sum,
            index,
            target,
            loss,
            entropy: log_sum.sub(expected),
        }
    }

    /// Whether each target's logit is the largest: `[r, 1]`.
    fn greedy(&self) -> Tensor<2, Bool> {
        self.target.clone().greater_equal_elem(0.0)
    }

    /// Summed loss, entropy and count of argmax: `[3]`.
    fn sums(&self) -> Tensor<1> {
        let correct = self.greedy().float().sum();
        Tensor::cat(
            vec![self.loss.clone().sum(), self.entropy.clone().sum(), correct],
            0,
        )
    }

    /// The gradient of the loss with respect to the logits, `weights · (softmax − (1 − ε)·onehot − ε/vocab)`: `[r, vocab]`.
    fn gradient(self, weights: Tensor<2>, smoothing: f64) -> Tensor<2> {
        let [_, vocab] = self.exp.dims();
        let onehot = weights.clone().mul_scalar(smoothing - 1.0);
        let gradient = self.exp.mul(weights.clone().div(self.sum)).scatter(
            1,
            self.index,
            onehot,
            IndexingUpdateOp::Add,
        );
        if smoothing > 0.0 {
            gradient.sub(weights.mul_scalar(smoothing / vocab as f64))
        } else {
            gradient
        }
    }
}
