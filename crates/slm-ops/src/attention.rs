//! Causal, grouped-query attention over whole batches, packed or padded.

#[cfg(feature = "libtorch")]
mod conversations;
#[cfg(feature = "libtorch")]
mod flash;
mod flex;
pub(crate) mod fused;
#[cfg(feature = "libtorch")]
mod libtorch;
pub(crate) mod rows;
mod sight;

pub use sight::Sight;

use burn::backend::{Dispatch, DispatchDevice};
use burn::tensor::{DType, Tensor, activation::softmax};

use fused::Attention;

/// How scores are formed.
#[derive(Clone, Copy, Debug)]
pub struct Scores {
    /// What `q · k` is multiplied by.
    pub scale: f64,
    /// With a cap c, a score s becomes `c · tanh(s / c)`.
    pub softcap: Option<f64>,
}

/// `softmax(cap(q kᵀ · scale)) v` over the keys that each query sees, with `heads / kv_heads` queries sharing each key.
///
/// # Shapes
/// - `q`: `[batch, heads, time, head_dim]`
/// - `k`, `v`: `[batch, kv_heads, seen, head_dim]`
/// - `sight`: of `[batch, time, seen]`
/// - result: `[batch, heads, time, head_dim]`
///
/// Query head `h` reads key head `h / (heads / kv_heads)`. The softmax is computed in f32.
pub fn attention(
    q: Tensor<4>,
    k: Tensor<4>,
    v: Tensor<4>,
    sight: &Sight,
    scores: Scores,
) -> Tensor<4> {
    if has_kernel(&q, q.dims()[3], sight, scores) && crate::fused::applies(&q) {
        let [q, k, v] = [q, k, v].map(Tensor::into_dispatch);
        return Tensor::from_dispatch(Dispatch::attention(q, k, v, sight.clone(), scores));
    }
    portable(q, k, v, sight, scores)
}

/// Whether heads of `head_dim` channels on the device of `x` and in its dtype are attended fused.
///
/// ATen's kernels cap no scores, and those of a GPU see conversations only.
#[cfg_attr(
    not(feature = "libtorch"),
    expect(unused_variables, reason = "only ATen's kernels have limits")
)]
pub(crate) fn has_kernel<const D: usize>(
    x: &Tensor<D>,
    head_dim: usize,
    sight: &Sight,
    scores: Scores,
) -> bool {
    match x.device().inner().as_dispatch() {
        DispatchDevice::Flex(_) => true,
        #[cfg(feature = "libtorch")]
        DispatchDevice::LibTorch(device) => {
            scores.softcap.is_none() && libtorch::has_kernel(*device, sight, head_dim, x.dtype())
        }
        _ => false,
    }
}

/// Keys are never repeated: the queries of one group are stacked along time instead.
fn portable(q: Tensor<4>, k: Tensor<4>, v: Tensor<4>, sight: &Sight, scores: Scores) -> Tensor<4> {
    let Scores { scale, softcap } = scores;
    let [batch, heads, time, head_dim] = q.dims();
    let [_, kv_heads, seen, _] = k.dims();
    let dtype = q.dtype();
    let bias = sight.bias(&q.device().inner());
    let bias = match q.is_autodiff() {
        true => bias.autodiff(),
        false => bias,
    };
    let grouped = [batch, kv_heads, heads / kv_heads * time, head_dim];

    let scores = q
        .mul_scalar(scale)
        .reshape(grouped)
        .matmul(k.swap_dims(2, 3)); // [b, kv, g·t, s]
    let scores = scores.cast(DType::F32).reshape([batch, heads, time, seen]);
    let scores = match softcap {
        Some(cap) => scores.div_scalar(cap).tanh().mul_scalar(cap),
        None => scores,
    };
    let weights = softmax(scores.add(bias), 3)
        .cast(dtype)
        .reshape([grouped[0], grouped[1], grouped[2], seen]);
    weights.matmul(v).reshape([batch, heads, time, head_dim])
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Device, TensorData, Tolerance};

    #[test]
    fn grouped_queries_equal_repeated_keys() {
        let device = Device::flex();
        let values = |n: usize, seed: u32| -> Vec<f32> {
            (0..n as u32)
                .map(|i| ((i * 37 + seed * 11) % 17) as f32 / 8.0 - 1.0)
                .collect()
        };
        let tensor = |shape: [usize; 4], seed| {
            let data = TensorData::new(values(shape.iter().product(), seed), shape);
            Tensor::<4>::from_data(data, &device)
        };
        let q = tensor([1, 4, 3, 2], 1);
        let [k, v] = [2, 3].map(|seed| tensor([1, 2, 3, 2], seed));
        let sight = Sight::of_segments(&[1, 1, 1], [1, 3]);
        let repeated = |x: Tensor<4>| {
            let (a, b) = (x.clone().narrow(1, 0, 1), x.narrow(1, 1, 1));
            Tensor::cat(vec![a.clone(), a, b.clone(), b], 1)
        };
        let scores = Scores {
            scale: 0.7,
            softcap: None,
        };
        for attend in [attention, portable] {
            let grouped = attend(q.clone(), k.clone(), v.clone(), &sight, scores);
            let (k, v) = (repeated(k.clone()), repeated(v.clone()));
            let plain = attend(q.clone(), k, v, &sight, scores);
            let close = Tolerance::<f32>::absolute(1e-6);
            grouped
                .into_data()
                .assert_approx_eq(&plain.into_data(), close);
        }
    }
}
