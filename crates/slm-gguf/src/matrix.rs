//! A matrix that stays in its blocks.

use std::ops::Range;
use std::sync::Arc;

use crate::product::{self, Vectors};
use crate::{GgufError, TensorType, codec};

/// Rows of blocks, `[rows, columns]`, of a file that is mapped or in memory of their own; cloning shares them.
#[derive(Clone, Debug)]
pub struct BlockMatrix {
    tensor_type: TensorType,
    shape: [usize; 2],
    row_bytes: usize,
    bytes: Bytes,
}

#[derive(Clone, Debug)]
enum Bytes {
    Mapped(Arc<memmap2::Mmap>, Range<usize>),
    Own(Arc<[u8]>),
}

impl BlockMatrix {
    /// Rows one after the other.
    ///
    /// # Errors
    /// [`GgufError::NoCodec`] where the type cannot be read as numbers, [`GgufError::PartialBlock`] and [`GgufError::BlockBytes`] where
    /// the bytes are not those of the shape.
    pub fn new(
        tensor_type: TensorType,
        shape: [usize; 2],
        bytes: impl Into<Arc<[u8]>>,
    ) -> Result<Self, GgufError> {
        Self::of(tensor_type, shape, Bytes::Own(bytes.into()))
    }

    pub(crate) fn mapped(
        tensor_type: TensorType,
        shape: [usize; 2],
        file: Arc<memmap2::Mmap>,
        bytes: Range<usize>,
    ) -> Result<Self, GgufError> {
        Self::of(tensor_type, shape, Bytes::Mapped(file, bytes))
    }

    fn of(tensor_type: TensorType, shape: [usize; 2], bytes: Bytes) -> Result<Self, GgufError> {
        let row_bytes = tensor_type.size_bytes(shape[1] as u64)? as usize;
        let matrix = Self {
            tensor_type,
            shape,
            row_bytes,
            bytes,
        };
        let (found, needed) = (matrix.bytes().len(), shape[0] * row_bytes);
        if found != needed {
            return Err(GgufError::BlockBytes {
                tensor_type,
                n_elements: shape[0] * shape[1],
                needed: needed as u64,
                found,
            });
        }
        // Asked once, of no blocks at all: what reads rows later has nothing to report.
        codec::dequantize(tensor_type, &[], &mut [])?;
        Ok(matrix)
    }

    pub fn tensor_type(&self) -> TensorType {
        self.tensor_type
    }

    pub fn shape(&self) -> [usize; 2] {
        self.shape
    }

    /// What it takes up.
    pub fn size_bytes(&self) -> usize {
        self.shape[0] * self.row_bytes
    }

    fn bytes(&self) -> &[u8] {
        match &self.bytes {
            Bytes::Mapped(file, range) => &file[range.clone()],
            Bytes::Own(bytes) => bytes,
        }
    }

    /// The blocks of some rows.
    fn rows(&self, rows: Range<usize>) -> &[u8] {
        &self.bytes()[rows.start * self.row_bytes..rows.end * self.row_bytes]
    }

    /// The same rows in another order: row `i` is what was row `from(i)`. The blocks are copied as they are.
    #[must_use]
    pub fn reordered(&self, from: impl Fn(usize) -> usize) -> Self {
        let row = |i: usize| self.rows(from(i)..from(i) + 1);
        let bytes: Vec<u8> = (0..self.shape[0]).flat_map(row).copied().collect();
        Self {
            bytes: Bytes::Own(bytes.into()),
            ..self.clone()
        }
    }

    /// All rows of a matrix in F32 as they lie, where they lie as this processor reads them.
    pub fn floats(&self) -> Option<&[f32]> {
        if self.tensor_type != TensorType::F32 || cfg!(target_endian = "big") {
            return None;
        }
        #[expect(unsafe_code, reason = "a copy would take as long as a product")]
        // SAFETY: every four bytes are an f32.
        match unsafe { self.bytes().align_to::<f32>() } {
            ([], floats, []) => Some(floats),
            _ => None,
        }
    }

    /// Some rows as f32, into as many values.
    ///
    /// # Panics
    /// Where there are not so many rows, or values.
    pub fn dequantize(&self, rows: Range<usize>, values: &mut [f32]) {
        codec::dequantize(self.tensor_type, self.rows(rows), values)
            .expect("the type was asked when the matrix was made, and a row is whole blocks");
    }

    /// The product of some rows with each vector: `y` is `[rows, vectors]`.
    ///
    /// # Panics
    /// Where there are not so many rows, or the vectors have another length.
    pub fn multiply(&self, first: usize, vectors: &Vectors, y: &mut [f32]) {
        assert_eq!(self.shape[1], vectors.len(), "a vector is as long as a row");
        let n_rows = y.len() / vectors.count().max(1);
        product::multiply(
            self.tensor_type,
            self.rows(first..first + n_rows),
            vectors,
            y,
        )
        .expect("the type was asked when the matrix was made, and a row is whole blocks");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_reordered_and_read() {
        let values: Vec<f32> = (0..3 * 32).map(|i| (i / 32) as f32 * 127.0).collect();
        let mut bytes = vec![0; 3 * 34];
        codec::quantize(TensorType::Q8_0, &values, &mut bytes).unwrap();
        let matrix = BlockMatrix::new(TensorType::Q8_0, [3, 32], bytes).unwrap();
        let turned = matrix.reordered(|i| 2 - i);
        let mut row = [0.0; 32];
        turned.dequantize(0..1, &mut row);
        assert_eq!(row, [254.0; 32]);
        let mut y = [0.0; 2];
        turned.multiply(1, &Vectors::new(&[1.0; 32], 32), &mut y);
        assert_eq!(y, [127.0 * 32.0, 0.0]);
        assert_eq!(turned.size_bytes(), 3 * 34);
        assert_eq!(turned.floats(), None);
    }

    #[test]
    fn floats_lie_as_they_are() {
        let bytes: Vec<u8> = [1.0f32, -2.5]
            .iter()
            .flat_map(|x| x.to_le_bytes())
            .collect();
        let matrix = BlockMatrix::new(TensorType::F32, [2, 1], bytes).unwrap();
        assert!(matrix.floats().is_none_or(|floats| floats == [1.0, -2.5]));
    }

    #[test]
    fn what_is_no_matrix_is_an_error() {
        let of = |tensor_type, shape, n| BlockMatrix::new(tensor_type, shape, vec![0; n]);
        let error = of(TensorType::Q8_0, [2, 32], 34).unwrap_err();
        assert!(matches!(error, GgufError::BlockBytes { needed: 68, .. }));
        let error = of(TensorType::Q8_0, [2, 31], 34).unwrap_err();
        assert!(matches!(error, GgufError::PartialBlock { .. }));
        let error = of(TensorType::I32, [1, 2], 8).unwrap_err();
        assert!(matches!(error, GgufError::NoCodec { .. }));
    }
}
