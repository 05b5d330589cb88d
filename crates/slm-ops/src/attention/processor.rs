//! Attention of libtorch on a processor by Flex's loops. They look at no key that a query does not see, where ATen's kernel adds a
//! mask, and their backward pass is the faster one; what both sides copy is little beside that.

use burn::backend::tensor::FloatTensor;
use burn::backend::{Flex, LibTorch};
use tch::{Device, Kind, Tensor};

use super::fused::{Kept, Passes};
use super::{Scores, Sight};
use crate::rows::tensor;
use crate::torch::values;

/// Whether heads lie where Flex's loops can read them.
pub(super) fn reads(heads: &Tensor) -> bool {
    heads.device() == Device::Cpu && heads.kind() == Kind::Float
}

/// The result, and the logarithms of sums.
pub(super) fn forward(heads: [&Tensor; 3], sight: &Sight, scores: Scores) -> (Tensor, Tensor) {
    let [q, k, v] = heads.map(flex);
    let (y, log_sums) = Flex::forward(&q, &k, &v, sight, scores);
    (torch(&y), torch(&log_sums))
}

/// The gradients of q, k and v.
pub(super) fn backward(kept: &Kept<LibTorch>, dy: &Tensor) -> [Tensor; 3] {
    let kept = Kept {
        q: flex(&kept.q.tensor),
        k: flex(&kept.k.tensor),
        v: flex(&kept.v.tensor),
        y: flex(&kept.y.tensor),
        log_sums: flex(&kept.log_sums.tensor),
        sight: kept.sight.clone(),
        scores: kept.scores,
    };
    Flex::backward(kept, flex(dy)).map(|x| torch(&x))
}

/// `[batch, heads, time, ..]`, which lies position by position as a projection writes it, and so is copied as it lies.
fn flex(x: &Tensor) -> FloatTensor<Flex> {
    let x = x.transpose(1, 2).contiguous();
    let dims: Vec<usize> = x.size().iter().map(|n| *n as usize).collect();
    tensor(values::<f32>(&x).to_vec(), dims).transpose(1, 2)
}

/// The same back, in the order in which it lies.
fn torch(x: &FloatTensor<Flex>) -> Tensor {
    let shape: Vec<i64> = x.layout().shape().iter().map(|n| *n as i64).collect();
    let lies_by_position = !x.layout().is_contiguous();
    let values = Tensor::from_slice(x.storage::<f32>());
    match lies_by_position {
        false => values.view(&shape[..]),
        true => {
            let mut by_position = shape;
            by_position.swap(1, 2);
            values.view(&by_position[..]).transpose(1, 2)
        }
    }
}
