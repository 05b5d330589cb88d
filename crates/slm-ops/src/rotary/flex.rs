//! The rotation's loop on Flex.

use burn::backend::Flex;
use burn::backend::tensor::FloatTensor;

use super::fused::Passes;
use crate::heads::{Heads, by_position};
use crate::vector::vectorised;

impl Passes for Flex {
    /// Reads heads as a projection leaves them, and writes them so: position by position.
    fn rotate(
        x: &FloatTensor<Self>,
        cos: &FloatTensor<Self>,
        sin: &FloatTensor<Self>,
        sign: f32,
    ) -> FloatTensor<Self> {
        let x = Heads::of(x);
        let (cos, sin) = (Heads::of(cos), Heads::of(sin));
        let [_, n_heads, time, head_dim] = x.dims;
        by_position(x.dims, |place, y| {
            let (b, t) = (place / time, place % time);
            let table = [
                cos.row(b.min(cos.dims[0] - 1), 0, t),
                sin.row(b.min(sin.dims[0] - 1), 0, t),
            ];
            for (h, y) in (0..n_heads).zip(y.chunks_exact_mut(head_dim)) {
                rotate_head(x.row(b, h, t), table[0], table[1], sign, y);
            }
        })
    }
}

vectorised! {
    pub(crate) fn rotate_head(x: &[f32], cos: &[f32], sin: &[f32], sign: f32, y: &mut [f32]) {
        let half = cos.len();
        let ((x1, x2), (y1, y2)) = (x.split_at(half), y.split_at_mut(half));
        let ((x2, rest), (y2, y_rest)) = (x2.split_at(half), y2.split_at_mut(half));
        for i in 0..half {
            let sin = sign * sin[i];
            y1[i] = x1[i] * cos[i] - x2[i] * sin;
            y2[i] = x2[i] * cos[i] + x1[i] * sin;
        }
        y_rest.copy_from_slice(rest);
    }
}
