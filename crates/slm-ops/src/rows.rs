//! Tensors of Flex as rows of floats, and work on them by all threads.

use std::ops::Range;

use burn::backend::Flex;
use burn::backend::tensor::FloatTensor;
use burn::tensor::{Shape, TensorData};
use rayon::prelude::*;

use crate::matrix::Matrix;

/// Values for one task: fewer are not worth another thread's attention.
const TASK: usize = 1 << 14;

/// A tensor whose last dimension lies in one piece.
pub(crate) struct Rows {
    tensor: FloatTensor<Flex>,
    start: usize,
    stride: usize,
    /// Number of rows.
    pub(crate) count: usize,
    /// Their length.
    pub(crate) n: usize,
}

impl Rows {
    /// The rows of `tensor`; without a copy where it is in one piece, or a range of a matrix' columns.
    pub(crate) fn of(tensor: &FloatTensor<Flex>) -> Self {
        let layout = tensor.layout();
        let (dims, strides) = (layout.shape().to_vec(), layout.strides());
        let n = dims.last().copied().unwrap_or(1);
        let count = layout.num_elements() / n.max(1);
        if let ([_, _], &[stride, 1]) = (&dims[..], strides)
            && let Ok(stride) = usize::try_from(stride)
        {
            return Self {
                start: layout.start_offset(),
                tensor: tensor.clone(),
                stride,
                count,
                n,
            };
        }
        let tensor = tensor.to_contiguous();
        Self {
            tensor,
            start: 0,
            stride: n,
            count,
            n,
        }
    }

    /// Some of the rows.
    pub(crate) fn matrix(&self, rows: Range<usize>) -> Matrix<'_> {
        let values = &self.values().0[rows.start * self.stride..];
        Matrix::new(values, [rows.len(), self.n], self.stride)
    }

    /// All values, from the first row on, and what lies from one row to the next.
    pub(crate) fn values(&self) -> (&[f32], usize) {
        (&self.tensor.storage::<f32>()[self.start..], self.stride)
    }
}

/// Row `i` of length `n`.
#[inline(always)]
pub(crate) fn row((values, stride): (&[f32], usize), i: usize, n: usize) -> &[f32] {
    &values[i * stride..][..n]
}

/// Rows of length `n` that one task takes.
pub(crate) fn rows_per_task(n: usize) -> usize {
    TASK.div_ceil(n.max(1)).max(1)
}

/// `work(first row, rows)` on pieces of `out`, whose rows have length `n`; the pieces do not depend on the number of threads.
pub(crate) fn by_rows(out: &mut [f32], n: usize, work: impl Fn(usize, &mut [f32]) + Sync) {
    let rows = rows_per_task(n);
    if out.len() <= 2 * TASK {
        return work(0, out);
    }
    out.par_chunks_mut(rows * n)
        .enumerate()
        .for_each(|(i, piece)| work(i * rows, piece));
}

/// The same on two outputs with as many rows.
pub(crate) fn by_rows_of_two(
    (a, a_n): (&mut [f32], usize),
    (b, b_n): (&mut [f32], usize),
    work: impl Fn(usize, &mut [f32], &mut [f32]) + Sync,
) {
    let rows = rows_per_task(a_n.max(b_n));
    if a.len().max(b.len()) <= 2 * TASK {
        return work(0, a, b);
    }
    a.par_chunks_mut(rows * a_n)
        .zip(b.par_chunks_mut(rows * b_n))
        .enumerate()
        .for_each(|(i, (a, b))| work(i * rows, a, b));
}

/// The tensor in one piece, in its own memory where it lies so: to be written without a copy, if nobody else reads it.
pub(crate) fn in_one_piece(x: FloatTensor<Flex>) -> FloatTensor<Flex> {
    let piece = x.to_contiguous();
    // Until here both hold the memory, which would be copied before it is written.
    drop(x);
    piece
}

/// Values as a tensor.
pub(crate) fn tensor(values: Vec<f32>, shape: impl Into<Shape>) -> FloatTensor<Flex> {
    FloatTensor::<Flex>::from_data(TensorData::new(values, shape.into()))
}
