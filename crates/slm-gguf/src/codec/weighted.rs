//! Blocks where some columns matter more than others.

use super::{
    ensure_finite, ensure_length, iq4_nl, iq4_xs, q2_k, q3_k, q4_0, q4_1, q4_k, q5_0, q5_1, q5_k,
    q6_k, quantize,
};
use crate::imatrix::ensure_sums;
use crate::{GgufError, TensorType};

/// Turns f32 into whole blocks, with errors in some columns counting more than in others: ggml's `quantize_*` with an importance
/// matrix, bit for bit.
///
/// `values` are whole rows, `importance` has one number for each column: the mean square of what it is multiplied with, see
/// [`ImportanceMatrix::weights`](crate::ImportanceMatrix::weights). Types without a search (F32, F16, BF16, Q8_0) do not look
/// at it.
///
/// # Errors
/// Those of [`quantize`]; [`GgufError::ImportanceLength`] where `values` are not whole rows, [`GgufError::Importance`] where
/// an importance is below 0 or not finite.
pub fn quantize_weighted(
    tensor_type: TensorType,
    values: &[f32],
    importance: &[f32],
    bytes: &mut [u8],
) -> Result<(), GgufError> {
    ensure_rows(tensor_type, values.len(), importance)?;
    ensure_length(tensor_type, values.len(), bytes.len())?;
    if tensor_type.is_quantized() {
        ensure_finite(tensor_type, values)?;
    }
    let rows = Rows {
        values,
        importance,
        bytes,
    };
    match tensor_type {
        TensorType::Q4_0 => rows.each_block(Spread::Row, q4_0::quantize_weighted),
        TensorType::Q4_1 => rows.each_block(Spread::Row, q4_1::quantize_weighted),
        TensorType::Q5_0 => rows.each_block(Spread::Row, q5_0::quantize_weighted),
        TensorType::Q5_1 => rows.each_block(Spread::Row, q5_1::quantize_weighted),
        TensorType::Q2_K => rows.each_block(Spread::Block, q2_k::quantize_weighted),
        TensorType::Q3_K => rows.each_block(Spread::BlockTwice, q3_k::quantize_weighted),
        TensorType::Q4_K => rows.each_block(Spread::BlockTwice, q4_k::quantize_weighted),
        TensorType::Q5_K => rows.each_block(Spread::BlockTwice, q5_k::quantize_weighted),
        TensorType::Q6_K => rows.each_block(Spread::Ignored, q6_k::quantize_weighted),
        TensorType::IQ4_NL => rows.each_block(Spread::BlockTwice, iq4_nl::quantize_weighted),
        TensorType::IQ4_XS => rows.each_block(Spread::BlockTwice, iq4_xs::quantize_weighted),
        _ => return quantize(tensor_type, values, rows.bytes),
    }
    Ok(())
}

/// Whose mean square is added to an element's own before the root of it multiplies the importance.
#[derive(Clone, Copy)]
enum Spread {
    Row,
    Block,
    /// Twice that of the block.
    BlockTwice,
    /// The importance is the weight, whatever the element.
    Ignored,
}

struct Rows<'a> {
    values: &'a [f32],
    importance: &'a [f32],
    bytes: &'a mut [u8],
}

impl Rows<'_> {
    fn each_block<const BYTES: usize, const LEN: usize>(
        self,
        spread: Spread,
        quantize: impl Fn(&[f32; LEN], &[f32; LEN], &mut [u8; BYTES]),
    ) {
        let n_columns = self.importance.len();
        let importance = self.importance.as_chunks::<LEN>().0;
        let mut blocks = self.bytes.as_chunks_mut::<BYTES>().0.iter_mut();
        for row in self.values.chunks_exact(n_columns) {
            let of_row = match spread {
                Spread::Row => sum_of_squares(row) / n_columns as f32,
                _ => 0.0,
            };
            let row = row.as_chunks::<LEN>().0.iter().zip(importance);
            for ((values, importance), block) in row.zip(&mut blocks) {
                let weights = match spread {
                    Spread::Row => weights(values, importance, of_row),
                    Spread::Block => weights(values, importance, mean_square(values)),
                    Spread::BlockTwice => weights(values, importance, 2.0 * mean_square(values)),
                    Spread::Ignored => *importance,
                };
                quantize(values, &weights, block);
            }
        }
    }
}

fn weights<const LEN: usize>(
    values: &[f32; LEN],
    importance: &[f32; LEN],
    mean_square: f32,
) -> [f32; LEN] {
    std::array::from_fn(|i| importance[i] * (mean_square + values[i] * values[i]).sqrt())
}

fn mean_square<const LEN: usize>(values: &[f32; LEN]) -> f32 {
    sum_of_squares(values) / LEN as f32
}

fn sum_of_squares(values: &[f32]) -> f32 {
    values.iter().fold(0.0, |sum, value| sum + value * value)
}

fn ensure_rows(
    tensor_type: TensorType,
    n_elements: usize,
    importance: &[f32],
) -> Result<(), GgufError> {
    let n_columns = importance.len();
    if n_columns == 0 || !n_elements.is_multiple_of(n_columns) {
        return Err(GgufError::ImportanceLength {
            n_elements,
            n_columns,
        });
    }
    // A row is whole blocks.
    tensor_type.size_bytes(n_columns as u64)?;
    ensure_sums(importance)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_is_an_error() {
        let mut bytes = [0; 36];
        let error = |n: usize, importance: &[f32], bytes: &mut [u8]| {
            quantize_weighted(TensorType::Q4_0, &[1.0; 64][..n], importance, bytes)
                .unwrap_err()
                .to_string()
        };
        assert_eq!(
            error(64, &[1.0; 48], &mut bytes),
            "64 elements are not whole rows of 48 columns, of which each has an importance"
        );
        assert_eq!(
            error(48, &[1.0; 16], &mut bytes),
            "16 elements are not whole blocks: Q4_0 stores 32 at a time"
        );
        let mut importance = [1.0; 32];
        importance[3] = -1.0;
        assert_eq!(
            error(64, &importance, &mut bytes),
            "the importance of column 3 is -1, needs a finite number from 0 up"
        );
    }

    #[test]
    fn the_important_column_is_met_best() {
        let values: [f32; 32] = std::array::from_fn(|i| (i as f32).sin());
        let off = |importance: &[f32; 32]| {
            let (mut bytes, mut back) = ([0; 18], [0.0; 32]);
            quantize_weighted(TensorType::Q4_0, &values, importance, &mut bytes).unwrap();
            super::super::dequantize(TensorType::Q4_0, &bytes, &mut back).unwrap();
            (back[5] - values[5]).abs()
        };
        let mut importance = [1.0; 32];
        let evenly = off(&importance);
        importance[5] = 1e6;
        assert!(
            off(&importance) < evenly,
            "{} of {evenly}",
            off(&importance)
        );
    }
}
