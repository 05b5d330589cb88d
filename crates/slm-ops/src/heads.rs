//! Tensors of Flex as heads: `[batch, heads, time, channels]`.

use std::ops::Range;

use burn::backend::Flex;
use burn::backend::tensor::FloatTensor;

use crate::matrix::Matrix;
use crate::rows::{by_rows, tensor};

/// A tensor of heads whose channels lie in one piece; positions and heads lie as they may.
pub(crate) struct Heads {
    tensor: FloatTensor<Flex>,
    start: usize,
    /// Batch, heads, time, channels.
    pub(crate) dims: [usize; 4],
    strides: [usize; 3],
}

impl Heads {
    /// Without a copy where channels lie in one piece.
    pub(crate) fn of(tensor: &FloatTensor<Flex>) -> Self {
        let fits = tensor.layout().strides().iter().all(|&s| s >= 0)
            && tensor.layout().strides().last() == Some(&1);
        let tensor = match fits {
            true => tensor.clone(),
            false => tensor.to_contiguous(),
        };
        let layout = tensor.layout();
        let dims: [usize; 4] = std::array::from_fn(|i| layout.shape()[i]);
        let strides = std::array::from_fn(|i| layout.strides()[i].unsigned_abs());
        let start = layout.start_offset();
        Self {
            tensor,
            start,
            dims,
            strides,
        }
    }

    /// The values of one head from its first position on.
    pub(crate) fn head(&self, b: usize, h: usize) -> &[f32] {
        &self.tensor.storage::<f32>()[self.start + b * self.strides[0] + h * self.strides[1]..]
    }

    /// Some positions of one head, a row each.
    pub(crate) fn matrix(&self, b: usize, h: usize, positions: &Range<usize>) -> Matrix<'_> {
        let values = &self.head(b, h)[positions.start * self.strides[2]..];
        Matrix::new(values, [positions.len(), self.dims[3]], self.strides[2])
    }

    pub(crate) fn row(&self, b: usize, h: usize, t: usize) -> &[f32] {
        &self.head(b, h)[t * self.strides[2]..][..self.dims[3]]
    }
}

/// Heads `[batch, heads, time, channels]`, written position by position as a projection reads them: `work(b · time + t, values)`
/// fills `[heads, channels]`.
pub(crate) fn by_position(
    [batch, heads, time, channels]: [usize; 4],
    work: impl Fn(usize, &mut [f32]) + Sync,
) -> FloatTensor<Flex> {
    let n = heads * channels;
    let mut values = vec![0.0; batch * time * n];
    by_rows(&mut values, n, |first, rows| {
        for (i, row) in rows.chunks_exact_mut(n).enumerate() {
            work(first + i, row);
        }
    });
    tensor(values, [batch, time, heads, channels]).transpose(1, 2)
}
