//! Products of matrices that lie in slices, with strides, so that nothing is copied for them.

use std::marker::PhantomData;

use burn::backend::Flex;
use burn::backend::tensor::FloatTensor;

use crate::rows::tensor;

/// A matrix of f32; entry (i, j) is at `i · row + j · col` of its slice.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Matrix<'a> {
    start: *const f32,
    rows: usize,
    cols: usize,
    row: usize,
    col: usize,
    slice: PhantomData<&'a [f32]>,
}

impl<'a> Matrix<'a> {
    /// Rows of `cols` values that begin `stride` values apart.
    pub(crate) fn new(values: &'a [f32], [rows, cols]: [usize; 2], stride: usize) -> Self {
        assert!(
            holds(values, [rows, cols], stride),
            "a matrix lies in its slice"
        );
        Self {
            start: values.as_ptr(),
            rows,
            cols,
            row: stride,
            col: 1,
            slice: PhantomData,
        }
    }

    pub(crate) fn cols(&self) -> usize {
        self.cols
    }

    pub(crate) fn transpose(self) -> Self {
        Self {
            rows: self.cols,
            cols: self.rows,
            row: self.col,
            col: self.row,
            ..self
        }
    }
}

/// A tensor of Flex with two dimensions, as it lies.
pub(crate) struct Dense {
    tensor: FloatTensor<Flex>,
    start: usize,
    dims: [usize; 2],
    strides: [usize; 2],
}

impl Dense {
    /// Without a copy where either dimension lies in one piece.
    pub(crate) fn of(tensor: &FloatTensor<Flex>) -> Self {
        let strides = tensor.layout().strides();
        let fits = strides.iter().all(|&s| s > 0) && strides.contains(&1);
        let tensor = match fits {
            true => tensor.clone(),
            false => tensor.to_contiguous(),
        };
        let layout = tensor.layout();
        let (start, dims) = (layout.start_offset(), [0, 1].map(|i| layout.shape()[i]));
        let strides = [0, 1].map(|i| layout.strides()[i].unsigned_abs());
        Self {
            tensor,
            start,
            dims,
            strides,
        }
    }

    pub(crate) fn matrix(&self) -> Matrix<'_> {
        let values = &self.tensor.storage::<f32>()[self.start..];
        let ([rows, cols], [row, col]) = (self.dims, self.strides);
        match col {
            1 => Matrix::new(values, [rows, cols], row),
            _ => Matrix::new(values, [cols, rows], col).transpose(),
        }
    }
}

fn holds(values: &[f32], [rows, cols]: [usize; 2], stride: usize) -> bool {
    rows == 0 || cols == 0 || (rows - 1) * stride + cols <= values.len()
}

/// Who does a product.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Threads {
    /// The caller alone.
    One,
    /// All of the pool's.
    All,
}

/// What was in the place of a product.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Before {
    Nothing,
    /// It is added to.
    Terms,
}

/// `out = scale · a b`, or that added to `out`, whose rows begin `stride` values apart. A sum's order does not depend on the
/// number of threads.
pub(crate) fn product(
    (out, stride): (&mut [f32], usize),
    before: Before,
    scale: f32,
    (a, b): (Matrix, Matrix),
    threads: Threads,
) {
    assert_eq!(a.cols, b.rows, "inner dimensions of a product");
    assert!(
        holds(out, [a.rows, b.cols], stride),
        "a product lies in its slice"
    );
    // SAFETY: the result's place is borrowed for the call, and just checked.
    #[expect(
        unsafe_code,
        reason = "a place is a pointer, which may lead to what was never written"
    )]
    unsafe {
        write((out.as_mut_ptr(), stride), before, scale, (a, b), threads);
    }
}

/// `scale · a b` by all threads, in memory that is not written before.
pub(crate) fn new_product(scale: f32, (a, b): (Matrix, Matrix)) -> FloatTensor<Flex> {
    assert_eq!(a.cols, b.rows, "inner dimensions of a product");
    let n = a.rows * b.cols;
    let mut out = Vec::with_capacity(n);
    let place = (out.as_mut_ptr(), b.cols);
    // SAFETY: there is room for `n` values, and a product of which nothing is added to what was there writes all of them.
    #[expect(
        unsafe_code,
        reason = "zeros that nobody reads cost up to a tenth of a product"
    )]
    unsafe {
        write(place, Before::Nothing, scale, (a, b), Threads::All);
        out.set_len(n);
    }
    tensor(out, [a.rows, b.cols])
}

/// # Safety
/// A matrix `[a.rows, b.cols]` may be written there, and read if it is added to.
#[expect(unsafe_code, reason = "the product's interface is made of pointers")]
unsafe fn write(
    (out, stride): (*mut f32, usize),
    before: Before,
    scale: f32,
    (a, b): (Matrix, Matrix),
    threads: Threads,
) {
    let threads = match threads {
        Threads::All if a.rows * a.cols * b.cols > SMALL => gemm::Parallelism::Rayon(0),
        Threads::All | Threads::One => gemm::Parallelism::None,
    };
    // SAFETY: both factors lie within slices that are borrowed for the call, and the caller says it of the result.
    unsafe {
        gemm::gemm(
            a.rows,
            b.cols,
            a.cols,
            out,
            1,
            stride as isize,
            matches!(before, Before::Terms),
            a.start,
            a.col as isize,
            a.row as isize,
            b.start,
            b.col as isize,
            b.row as isize,
            1.0,
            scale,
            false,
            false,
            false,
            threads,
        );
    }
}

/// Multiplications of a product that is not worth another thread's attention.
const SMALL: usize = 1 << 18;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strided_and_transposed_factors() {
        let a = [1.0, 2.0, 9.0, 3.0, 4.0, 9.0]; // [[1, 2], [3, 4]], a column to spare
        let b = [5.0, 6.0, 7.0, 8.0]; // [[5, 6], [7, 8]]ᵀ
        let (a, b) = (Matrix::new(&a, [2, 2], 3), Matrix::new(&b, [2, 2], 2));
        let mut out = [1.0; 6];
        product(
            (&mut out, 4),
            Before::Terms,
            2.0,
            (a, b.transpose()),
            Threads::One,
        );
        assert_eq!(out, [35.0, 47.0, 1.0, 1.0, 79.0, 107.0]);
        product((&mut out, 4), Before::Nothing, 1.0, (a, b), Threads::All);
        assert_eq!(out, [19.0, 22.0, 1.0, 1.0, 43.0, 50.0]);
    }

    #[test]
    #[should_panic(expected = "lies in its slice")]
    fn a_matrix_that_is_too_large() {
        Matrix::new(&[0.0; 5], [2, 3], 3);
    }
}
