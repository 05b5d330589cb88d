//! One batch as the decoder reads it.

use burn::tensor::{Device, Int, Tensor, TensorData};
use slm_ops::attention::{segment_bias, visibility_bias};

/// Token ids with the places and the sight of each.
#[derive(Clone, Debug)]
pub struct Tokens {
    /// `[batch, time]`
    pub ids: Tensor<2, Int>,
    /// Row-major `[batch, time]`; restarts with every packed conversation.
    pub positions: Vec<i32>,
    /// Additive attention bias, `[1 or batch, 1, time, seen]`, f32.
    pub bias: Tensor<4>,
    pub shape: [usize; 2],
}

impl Tokens {
    /// Rows of whole conversations: causal, and blind across segments (0 is padding, on the right).
    pub fn new(
        ids: &[i32],
        positions: &[i32],
        segments: &[i32],
        shape: [usize; 2],
        device: &Device,
    ) -> Self {
        Self {
            ids: id_tensor(ids, shape, device),
            positions: positions.to_vec(),
            bias: segment_bias(segments, shape, device),
            shape,
        }
    }

    /// Rows in which `visible(row, query, key)` says what sees what; `seen` keys, cached ones first.
    pub fn with_sight(
        ids: &[i32],
        positions: Vec<i32>,
        shape: [usize; 2],
        seen: usize,
        device: &Device,
        visible: impl Fn(usize, usize, usize) -> bool,
    ) -> Self {
        Self {
            ids: id_tensor(ids, shape, device),
            positions,
            bias: visibility_bias([shape[0], shape[1], seen], device, visible),
            shape,
        }
    }
}

fn id_tensor(ids: &[i32], shape: [usize; 2], device: &Device) -> Tensor<2, Int> {
    Tensor::from_data(TensorData::new(ids.to_vec(), shape), device)
}
