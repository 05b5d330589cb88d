//! Values dropped in one pass on Flex, the mask nowhere.

use burn::backend::tensor::FloatTensor;
use burn::backend::{Flex, TensorMetadata};

use super::{Draw, Dropout};
use crate::rows::{Rows, by_rows, in_one_piece, row, tensor};
use crate::vector::vectorised;

impl Dropout {
    /// `x`, `[rows, columns]`, with values dropped, in memory of its own.
    pub(crate) fn of_flex(self, x: &FloatTensor<Flex>) -> FloatTensor<Flex> {
        let (shape, x) = (x.shape(), Rows::of(x));
        let mut y = vec![0.0; x.count * x.n];
        let draw = self.draw();
        by_rows(&mut y, x.n, |first, y| {
            add_kept(x.values(), x.n, first, draw, y)
        });
        tensor(y, shape)
    }

    /// Adds `x` with values dropped to `y`, in the memory of `y` where that lies in one piece.
    pub(crate) fn added(self, y: FloatTensor<Flex>, x: &FloatTensor<Flex>) -> FloatTensor<Flex> {
        let mut y = in_one_piece(y);
        let (x, draw) = (Rows::of(x), self.draw());
        by_rows(y.storage_mut::<f32>(), x.n, |first, y| {
            add_kept(x.values(), x.n, first, draw, y)
        });
        y
    }
}

vectorised! {
    /// Adds rows of length `n`, from the `first` on, times their mask to `y`.
    fn add_kept(x: (&[f32], usize), n: usize, first: usize, draw: Draw, y: &mut [f32]) {
        for (i, y) in y.chunks_exact_mut(n).enumerate() {
            let start = ((first + i) * n) as u64;
            for (j, (y, x)) in y.iter_mut().zip(row(x, first + i, n)).enumerate() {
                *y += x * draw.factor(start + j as u64);
            }
        }
    }
}
