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
    pub shape: [usize; 2],
    sight: Sight,
}

/// Which positions each one sees, before any sliding window.
#[derive(Clone, Debug)]
enum Sight {
    /// Those before it in its own segment; `[batch, time]`, 0 is padding on the right.
    Segments(Vec<i32>),
    /// `[batch, time, seen]`, cached keys first.
    Mask { seen: usize, visible: Vec<bool> },
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
            shape,
            sight: Sight::Segments(segments.to_vec()),
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
        let [batch, time] = shape;
        let places = (0..batch * time * seen)
            .map(|i| visible(i / (time * seen), i / seen % time, i % seen))
            .collect();
        Self {
            ids: id_tensor(ids, shape, device),
            positions,
            shape,
            sight: Sight::Mask {
                seen,
                visible: places,
            },
        }
    }

    /// What is added to the scores: `[1 or batch, 1, time, seen]`, f32. With a `window`, a position sees that many at most,
    /// itself included.
    pub(crate) fn bias(&self, window: Option<usize>, device: &Device) -> Tensor<4> {
        let [batch, time] = self.shape;
        match &self.sight {
            Sight::Segments(segments) => segment_bias(segments, self.shape, window, device),
            Sight::Mask { seen, visible } => {
                let cached = seen - time;
                visibility_bias([batch, time, *seen], device, |row, query, key| {
                    let near = window.is_none_or(|window| key + window > query + cached);
                    near && visible[(row * time + query) * seen + key]
                })
            }
        }
    }

    /// Keys that the longest row has.
    pub(crate) fn seen(&self) -> usize {
        match &self.sight {
            Sight::Segments(_) => self.shape[1],
            Sight::Mask { seen, .. } => *seen,
        }
    }

    /// Positions that the rotary encoding must reach: the highest one, counted from 1.
    pub(crate) fn n_positions(&self) -> usize {
        let highest = self.positions.iter().max().copied().unwrap_or(0);
        usize::try_from(highest).unwrap_or(0) + 1
    }
}

fn id_tensor(ids: &[i32], shape: [usize; 2], device: &Device) -> Tensor<2, Int> {
    Tensor::from_data(TensorData::new(ids.to_vec(), shape), device)
}
