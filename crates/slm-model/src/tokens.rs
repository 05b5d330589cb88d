//! One batch as the decoder reads it.

use burn::tensor::{Device, Int, Tensor};
use slm_ops::{Sight, upload::ints};

/// Token ids with the places and the sight of each.
#[derive(Clone, Debug)]
pub struct Tokens {
    /// `[batch, time]`
    pub ids: Tensor<2, Int>,
    /// Row-major `[batch, time]`; restarts with every packed conversation.
    pub positions: Vec<i32>,
    pub shape: [usize; 2],
    /// Before any sliding window.
    pub sight: Sight,
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
            sight: Sight::of_segments(segments, shape),
        }
    }

    /// One row by itself.
    pub fn of_row(ids: &[u32], device: &Device) -> Self {
        let time = ids.len();
        let ids: Vec<i32> = ids.iter().map(|&id| id as i32).collect();
        let positions: Vec<i32> = (0..time as i32).collect();
        Self::new(&ids, &positions, &vec![1; time], [1, time], device)
    }

    /// Rows of the shape of `sight`, which says what they see, cached keys included.
    pub fn seeing(ids: &[i32], positions: Vec<i32>, sight: Sight, device: &Device) -> Self {
        let [batch, time, _] = sight.dims();
        Self {
            ids: id_tensor(ids, [batch, time], device),
            positions,
            shape: [batch, time],
            sight,
        }
    }

    /// Keys that the longest row has.
    pub(crate) fn seen(&self) -> usize {
        self.sight.dims()[2]
    }

    /// Positions that the rotary encoding must reach: the highest one, counted from 1.
    pub(crate) fn n_positions(&self) -> usize {
        let highest = self.positions.iter().max().copied().unwrap_or(0);
        usize::try_from(highest).unwrap_or(0) + 1
    }
}

fn id_tensor(ids: &[i32], shape: [usize; 2], device: &Device) -> Tensor<2, Int> {
    ints(ids.to_vec(), shape, device)
}
