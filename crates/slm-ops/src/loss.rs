//! The language-model head and its loss together, in chunks, on learned positions only.

use burn::tensor::{DType, IndexingUpdateOp, Int, Tensor, activation::log_softmax};

/// How many logits exist at a time (64 MiB in f32); the whole matrix never does.
pub const LOGITS_AT_ONCE: usize = 16 << 20;

/// The loss of some tokens, and what its backward pass starts from.
#[derive(Clone, Debug)]
pub struct TokenLoss {
    /// Sum of the cross entropies, in nats.
    pub sum: f64,
    /// A scalar whose gradient with respect to `hidden` and `head` is that of `scale · sum`. Its value means nothing:
    /// the gradients were formed with the logits, chunk by chunk, and are carried here as a product.
    pub surrogate: Tensor<1>,
}

/// Cross entropy of `softmax(hidden headᵀ)` at `targets`, without ever holding all logits.
///
/// # Shapes
/// - `hidden`: `[n, d]`, the final states of the learned positions
/// - `head`: `[vocab, d]`, HF layout
/// - `targets`: `[n]`
///
/// `scale` is 1 / learned tokens of the whole *step*, so that accumulating over uneven micro-batches equals one large
/// batch. Softmax and loss are in f32. The gradient of `head` is formed only when it requires one.
pub fn linear_cross_entropy(
    hidden: Tensor<2>,
    head: Tensor<2>,
    targets: Tensor<1, Int>,
    scale: f64,
) -> TokenLoss {
    let [n, _] = hidden.dims();
    let [vocab, _] = head.dims();
    let train_head = head.is_autodiff() && head.is_tracked();
    let weights = head.clone().inner();
    let chunk = (LOGITS_AT_ONCE / vocab).clamp(1, n.max(1));

    let mut sum = 0.0;
    let mut hidden_grads = Vec::new();
    let mut head_grad: Option<Tensor<2>> = None;
    for start in (0..n).step_by(chunk) {
        let rows = chunk.min(n - start);
        let states = hidden.clone().inner().narrow(0, start, rows);
        let ids = targets.clone().inner().narrow(0, start, rows);
        let (chunk_sum, grad) = chunk_gradient(states.clone(), weights.clone(), ids, scale);
        sum += chunk_sum;
        hidden_grads.push(grad.clone().matmul(weights.clone()));
        if train_head {
            let part = grad.transpose().matmul(states);
            head_grad = Some(match head_grad {
                Some(whole) => whole.add(part),
                None => part,
            });
        }
    }

    let mut surrogate = hidden.mul(Tensor::cat(hidden_grads, 0)).sum();
    if let Some(grad) = head_grad {
        surrogate = surrogate.add(head.mul(grad).sum());
    }
    TokenLoss { sum, surrogate }
}

/// The summed cross entropy alone, in nats, without gradients; shapes as in [`linear_cross_entropy`].
pub fn linear_nll(hidden: Tensor<2>, head: Tensor<2>, targets: Tensor<1, Int>) -> f64 {
    let [n, _] = hidden.dims();
    let chunk = (LOGITS_AT_ONCE / head.dims()[0]).clamp(1, n.max(1));
    let sum_of = |start: usize| {
        let rows = chunk.min(n - start);
        let states = hidden.clone().inner().narrow(0, start, rows);
        let index = targets.clone().narrow(0, start, rows).unsqueeze_dim::<2>(1);
        let log_probs = log_softmax(
            states
                .matmul(head.clone().inner().transpose())
                .cast(DType::F32),
            1,
        );
        -f64::from(log_probs.gather(1, index).sum().into_scalar::<f32>())
    };
    (0..n).step_by(chunk).map(sum_of).sum()
}

/// The summed loss of one chunk, and `scale · (softmax − onehot)`: `[rows, vocab]`.
fn chunk_gradient(
    states: Tensor<2>,
    head: Tensor<2>,
    targets: Tensor<1, Int>,
    scale: f64,
) -> (f64, Tensor<2>) {
    let dtype = states.dtype();
    let logits = states.matmul(head.transpose()).cast(DType::F32);
    let index = targets.unsqueeze_dim::<2>(1);
    let log_probs = log_softmax(logits, 1);
    let sum = -log_probs
        .clone()
        .gather(1, index.clone())
        .sum()
        .into_scalar::<f32>() as f64;
    let rows = index.dims()[0];
    let minus_one = Tensor::full([rows, 1], -1.0, (&log_probs.device(), DType::F32));
    let grad = log_probs
        .exp()
        .scatter(1, index, minus_one, IndexingUpdateOp::Add)
        .mul_scalar(scale);
    (sum, grad.cast(dtype))
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Device, TensorData, Tolerance};

    fn tensor(shape: [usize; 2], seed: u32) -> Tensor<2> {
        let n = (shape[0] * shape[1]) as u32;
        let values: Vec<f32> = (0..n)
            .map(|i| ((i * 29 + seed * 7) % 23) as f32 / 11.0 - 1.0)
            .collect();
        Tensor::from_data(TensorData::new(values, shape), &Device::flex())
            .autodiff()
            .require_grad()
    }

    #[test]
    fn the_chunked_loss_has_the_gradients_of_the_plain_one() {
        let targets = Tensor::<1, Int>::from_ints([1, 0, 3], &Device::flex());
        let (hidden, head) = (tensor([3, 4], 1), tensor([5, 4], 2));
        let fused = linear_cross_entropy(hidden.clone(), head.clone(), targets.clone(), 1.0 / 3.0);
        let grads = fused.surrogate.backward();

        let (hidden2, head2) = (tensor([3, 4], 1), tensor([5, 4], 2));
        let logits = hidden2.clone().matmul(head2.clone().transpose());
        let plain = log_softmax(logits, 1)
            .gather(1, targets.unsqueeze_dim::<2>(1))
            .mean()
            .neg();
        let mean = plain.clone().into_scalar::<f32>() as f64;
        let plain_grads = plain.backward();

        assert!((fused.sum / 3.0 - mean).abs() < 1e-6);
        for (a, b) in [(&hidden, &hidden2), (&head, &head2)] {
            let (got, want) = (a.grad(&grads).unwrap(), b.grad(&plain_grads).unwrap());
            got.into_data()
                .assert_approx_eq::<f32>(&want.into_data(), Tolerance::absolute(1e-6));
        }
    }
}
