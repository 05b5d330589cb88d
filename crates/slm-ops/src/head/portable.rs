//! A head's loop over chunks, in burn's primitives.

use burn::tensor::Tensor;

use crate::HeadShape;
use crate::loss::{Found, Wants, rows_at_once};

/// `compare(start, logits, weights)` chunk by chunk gives scores, `[r, 3]`, and, where gradients are wanted, that of the capped
/// logits; then their products. A chunk has as many rows as may hold `widest` logits each. Of `weights`, `[n]`, a chunk gets `factor` times its rows, `[r, 1]`.
pub(crate) fn in_chunks(
    [hidden, head]: [Tensor<2>; 2],
    shape: &HeadShape,
    weights: Tensor<1>,
    factor: f64,
    widest: usize,
    wants: Wants,
    mut compare: impl FnMut(usize, Tensor<2>, Tensor<2>) -> (Tensor<2>, Option<Tensor<2>>),
) -> Found {
    let [n, d] = hidden.dims();
    let (device, dtype) = (head.device(), head.dtype());
    // Chunks are joined at the end; so that there is something to join without any, each begins with nothing.
    let mut scores = vec![Tensor::empty([0, 3], &device)];
    let mut d_states = vec![Tensor::empty([0, d], (&device, dtype))];
    let mut d_head = Tensor::zeros([0, d], (&device, dtype));
    let step = rows_at_once(n, widest);
    for start in (0..n).step_by(step) {
        let rows = step.min(n - start);
        let states = hidden.clone().narrow(0, start, rows);
        let logits = shape.logits(states.clone(), head.clone());
        let slope = shape.cap_slope(&logits);
        let weights = weights.clone().narrow(0, start, rows);
        let weights = weights.unsqueeze_dim::<2>(1).mul_scalar(factor);
        let (found, gradient) = compare(start, logits, weights);
        scores.push(found);
        let Some(mut gradient) = gradient else {
            continue;
        };
        if let Some(slope) = slope {
            gradient = gradient.mul(slope);
        }
        let gradient = gradient.cast(dtype);
        if wants.head {
            let part = gradient.clone().transpose().matmul(states);
            d_head = match start {
                0 => part,
                _ => d_head.add(part),
            };
        }
        if wants.states {
            d_states.push(gradient.matmul(head.clone()));
        }
    }
    Found {
        scores: Tensor::cat(scores, 0),
        d_states: Tensor::cat(d_states, 0),
        d_head,
    }
}
