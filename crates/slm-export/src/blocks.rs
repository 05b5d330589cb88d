//! f32 to blocks, on all threads.

use std::num::NonZero;
use std::thread::{available_parallelism, scope};

use slm_gguf::{GgufError, TensorType, codec};

/// A tensor of whole rows as bytes of its type. Each thread turns some of the rows; the bytes do not depend on how many.
///
/// `importance` says how much each column matters; see [`codec::quantize_weighted`].
///
/// # Errors
/// Those of [`codec::quantize`] and [`codec::quantize_weighted`].
pub(crate) fn to_blocks(
    tensor_type: TensorType,
    values: &[f32],
    row_len: usize,
    importance: Option<&[f32]>,
) -> Result<Vec<u8>, GgufError> {
    let size_bytes = |n: usize| Ok(tensor_type.size_bytes(n as u64)? as usize);
    let mut bytes = vec![0; size_bytes(values.len())?];
    if values.is_empty() {
        return Ok(bytes);
    }
    let n_threads = available_parallelism().map_or(1, NonZero::get);
    let n_rows = values.len() / row_len;
    let part = n_rows.div_ceil(n_threads) * row_len;
    let part_bytes = size_bytes(part)?;
    scope(|scope| {
        let parts = values.chunks(part).zip(bytes.chunks_mut(part_bytes));
        let turned: Vec<_> = parts
            .map(|(values, bytes)| {
                scope.spawn(move || match importance {
                    None => codec::quantize(tensor_type, values, bytes),
                    Some(importance) => {
                        codec::quantize_weighted(tensor_type, values, importance, bytes)
                    }
                })
            })
            .collect();
        (0..).zip(turned).try_for_each(|(at, turned)| {
            let result = turned.join();
            let result = result.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            result.map_err(|error| within(error, at * part))
        })
    })?;
    Ok(bytes)
}

/// The same error with its place counted from the tensor's first element.
fn within(mut error: GgufError, first: usize) -> GgufError {
    if let GgufError::NotFinite { index, .. } = &mut error {
        *index += first;
    }
    error
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_change_nothing() {
        let values: Vec<f32> = (0..37 * 256).map(|i| ((i * 7919) % 1009) as f32).collect();
        let importance: Vec<f32> = (0..256).map(|i| (i % 5) as f32).collect();
        for tensor_type in [TensorType::F32, TensorType::Q8_0, TensorType::Q4_K] {
            let size = tensor_type.size_bytes(values.len() as u64).unwrap();
            let mut expected = vec![0; size as usize];
            codec::quantize(tensor_type, &values, &mut expected).unwrap();
            let found = to_blocks(tensor_type, &values, 256, None).unwrap();
            assert_eq!(found, expected, "{tensor_type}");
            codec::quantize_weighted(tensor_type, &values, &importance, &mut expected).unwrap();
            let found = to_blocks(tensor_type, &values, 256, Some(&importance)).unwrap();
            assert_eq!(found, expected, "{tensor_type}");
        }
        assert!(
            to_blocks(TensorType::F16, &[], 256, None)
                .unwrap()
                .is_empty()
        );
    }

    #[test]
    fn the_place_of_what_is_not_finite_is_counted_from_the_start() {
        let mut values = vec![1.0; 64 * 32];
        values[63 * 32 + 5] = f32::NAN;
        let error = to_blocks(TensorType::Q8_0, &values, 32, None).unwrap_err();
        assert!(matches!(error, GgufError::NotFinite { index: 2021, .. }));
    }
}
