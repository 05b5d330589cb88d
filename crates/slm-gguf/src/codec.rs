//! Blocks to f32 and back, bit for bit what ggml computes.
//!
//! One file per type, each with the layout of its block and two functions on one block. A new type is such a file and a line in
//! [`dequantize`], [`quantize`] and [`quantize_weighted`]. The reference for each is `ggml-quants.c` in ggml-org/llama.cpp:
//! `dequantize_row_*` and `quantize_*`, in plain f32 without fused multiply-add, which is how ggml's base library is built for
//! x86-64.
//!
//! Nothing here starts threads: a caller that has some gives each of them rows of its own.

mod bf16;
mod f16;
mod f32;
mod fit;
mod fit_levels;
mod fit_line;
mod iq4_levels;
mod iq4_nl;
mod iq4_xs;
mod k_lines;
mod levels;
mod q2_k;
mod q3_k;
mod q4_0;
mod q4_1;
mod q4_k;
mod q5_0;
mod q5_1;
mod q5_k;
mod q6_k;
mod q8_0;
mod two_bits;
mod weighted;

pub use weighted::quantize_weighted;

use crate::{GgufError, TensorType};

/// Turns whole blocks into f32.
///
/// # Errors
/// [`GgufError::NoCodec`] where the type cannot be turned into f32, [`GgufError::PartialBlock`] and [`GgufError::BlockBytes`]
/// where `bytes` are not those of `values`.
pub fn dequantize(
    tensor_type: TensorType,
    bytes: &[u8],
    values: &mut [f32],
) -> Result<(), GgufError> {
    ensure_length(tensor_type, values.len(), bytes.len())?;
    match tensor_type {
        TensorType::F32 => f32::dequantize(bytes, values),
        TensorType::F16 => f16::dequantize(bytes, values),
        TensorType::BF16 => bf16::dequantize(bytes, values),
        TensorType::Q4_0 => each_block(bytes, values, q4_0::dequantize),
        TensorType::Q4_1 => each_block(bytes, values, q4_1::dequantize),
        TensorType::Q5_0 => each_block(bytes, values, q5_0::dequantize),
        TensorType::Q5_1 => each_block(bytes, values, q5_1::dequantize),
        TensorType::Q8_0 => each_block(bytes, values, q8_0::dequantize),
        TensorType::Q2_K => each_block(bytes, values, q2_k::dequantize),
        TensorType::Q3_K => each_block(bytes, values, q3_k::dequantize),
        TensorType::Q4_K => each_block(bytes, values, q4_k::dequantize),
        TensorType::Q5_K => each_block(bytes, values, q5_k::dequantize),
        TensorType::Q6_K => each_block(bytes, values, q6_k::dequantize),
        TensorType::IQ4_NL => each_block(bytes, values, iq4_nl::dequantize),
        TensorType::IQ4_XS => each_block(bytes, values, iq4_xs::dequantize),
        _ => {
            return Err(GgufError::NoCodec {
                tensor_type,
                action: "turned into f32",
            });
        }
    }
    Ok(())
}

/// Turns f32 into whole blocks.
///
/// F16 and BF16 round to nearest even; F16 turns numbers from 65520 up into infinity, as ggml does.
///
/// # Errors
/// [`GgufError::NoCodec`] where the type cannot be made from f32, [`GgufError::PartialBlock`] and [`GgufError::BlockBytes`] where
/// `bytes` are not those of `values`, and [`GgufError::NotFinite`] for a quantized type, which has no way to say so.
pub fn quantize(
    tensor_type: TensorType,
    values: &[f32],
    bytes: &mut [u8],
) -> Result<(), GgufError> {
    ensure_length(tensor_type, values.len(), bytes.len())?;
    if tensor_type.is_quantized() {
        ensure_finite(tensor_type, values)?;
    }
    match tensor_type {
        TensorType::F32 => f32::quantize(values, bytes),
        TensorType::F16 => f16::quantize(values, bytes),
        TensorType::BF16 => bf16::quantize(values, bytes),
        TensorType::Q4_0 => to_each_block(values, bytes, q4_0::quantize),
        TensorType::Q4_1 => to_each_block(values, bytes, q4_1::quantize),
        TensorType::Q5_0 => to_each_block(values, bytes, q5_0::quantize),
        TensorType::Q5_1 => to_each_block(values, bytes, q5_1::quantize),
        TensorType::Q8_0 => to_each_block(values, bytes, q8_0::quantize),
        TensorType::Q2_K => to_each_block(values, bytes, q2_k::quantize),
        TensorType::Q3_K => to_each_block(values, bytes, q3_k::quantize),
        TensorType::Q4_K => to_each_block(values, bytes, q4_k::quantize),
        TensorType::Q5_K => to_each_block(values, bytes, q5_k::quantize),
        TensorType::Q6_K => to_each_block(values, bytes, q6_k::quantize),
        TensorType::IQ4_NL => to_each_block(values, bytes, iq4_nl::quantize),
        TensorType::IQ4_XS => to_each_block(values, bytes, iq4_xs::quantize),
        _ => {
            return Err(GgufError::NoCodec {
                tensor_type,
                action: "made from f32",
            });
        }
    }
    Ok(())
}

fn ensure_length(
    tensor_type: TensorType,
    n_elements: usize,
    n_bytes: usize,
) -> Result<(), GgufError> {
    let needed = tensor_type.size_bytes(n_elements as u64)?;
    if needed != n_bytes as u64 {
        return Err(GgufError::BlockBytes {
            tensor_type,
            n_elements,
            needed,
            found: n_bytes,
        });
    }
    Ok(())
}

fn ensure_finite(tensor_type: TensorType, values: &[f32]) -> Result<(), GgufError> {
    // All of a chunk before any answer, so that the compiler can take many at once.
    let all_finite = |chunk: &[f32]| {
        chunk
            .iter()
            .fold(true, |finite, value| finite & value.is_finite())
    };
    if values.chunks(256).all(all_finite) {
        return Ok(());
    }
    match values.iter().position(|value| !value.is_finite()) {
        Some(index) => Err(GgufError::NotFinite {
            tensor_type,
            index,
            value: values[index],
        }),
        None => Ok(()),
    }
}

fn each_block<const BYTES: usize, const LEN: usize>(
    bytes: &[u8],
    values: &mut [f32],
    dequantize: impl Fn(&[u8; BYTES], &mut [f32; LEN]),
) {
    let blocks = bytes.as_chunks().0.iter();
    blocks
        .zip(values.as_chunks_mut().0)
        .for_each(|(block, values)| dequantize(block, values));
}

fn to_each_block<const BYTES: usize, const LEN: usize>(
    values: &[f32],
    bytes: &mut [u8],
    quantize: impl Fn(&[f32; LEN], &mut [u8; BYTES]),
) {
    let blocks = bytes.as_chunks_mut().0.iter_mut();
    values
        .as_chunks()
        .0
        .iter()
        .zip(blocks)
        .for_each(|(values, block)| quantize(values, block));
}

/// The two bytes at `at` as an F16 number.
fn read_f16(block: &[u8], at: usize) -> f32 {
    half::f16::from_le_bytes([block[at], block[at + 1]]).to_f32()
}

/// Writes a number at `at` as F16, rounded to nearest even.
fn write_f16(block: &mut [u8], at: usize, value: f32) {
    block[at..at + 2].copy_from_slice(&half::f16::from_f32(value).to_le_bytes());
}

/// `1 / scale`, or 0 where there is no scale because all elements are 0.
fn inverse(scale: f32) -> f32 {
    if scale == 0.0 { 0.0 } else { 1.0 / scale }
}

/// The smallest and the largest of a group; of a zero and a negative zero whichever comes first, of which ggml keeps the sign.
fn extremes(values: &[f32]) -> (f32, f32) {
    values
        .iter()
        .fold((f32::MAX, f32::MIN), |(smallest, largest), &value| {
            (
                if value < smallest { value } else { smallest },
                if value > largest { value } else { largest },
            )
        })
}

/// The first element of the largest magnitude; 0 where all are 0.
fn largest_magnitude(values: &[f32]) -> f32 {
    // Without its sign a finite number compares like its bits, and integers can be compared in any order, so many at once.
    let magnitude = |value: f32| (value.to_bits() & 0x7fff_ffff) as i32;
    let largest = values
        .iter()
        .fold(0, |largest, &value| magnitude(value).max(largest));
    match values.iter().find(|&&value| magnitude(value) == largest) {
        Some(&value) if largest > 0 => value,
        _ => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_is_an_error() {
        let mut values = [0.0; 32];
        let error = dequantize(TensorType::Q8_0, &[0; 33], &mut values).unwrap_err();
        assert_eq!(
            error.to_string(),
            "32 elements of Q8_0 take 34 bytes, 33 were given"
        );
        let error = dequantize(TensorType::Q8_0, &[0; 33], &mut values[..31]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "31 elements are not whole blocks: Q8_0 stores 32 at a time"
        );
        let error = dequantize(TensorType::I32, &[0; 128], &mut values).unwrap_err();
        assert_eq!(error.to_string(), "I32 cannot be turned into f32");
    }

    #[test]
    fn the_first_zero_gives_its_sign() {
        let signs = |values: &[f32]| {
            let (smallest, largest) = extremes(values);
            (smallest.to_bits() >> 31, largest.to_bits() >> 31)
        };
        assert_eq!(signs(&[0.0, -0.0]), (0, 0));
        assert_eq!(signs(&[-0.0, 0.0]), (1, 1));
        assert_eq!(extremes(&[1.0, -3.0, 2.0]), (-3.0, 2.0));
    }

    #[test]
    fn the_first_of_the_largest_magnitude_is_taken() {
        assert_eq!(largest_magnitude(&[1.0, -3.0, 3.0, 2.0]), -3.0);
        assert_eq!(largest_magnitude(&[-1.0, 3.0, -3.0]), 3.0);
        assert_eq!(largest_magnitude(&[-0.0; 3]).to_bits(), 0);
    }

    #[test]
    fn what_is_not_finite_is_named() {
        let mut values = [0.0; 320];
        values[300] = f32::NAN;
        let error = quantize(TensorType::Q8_0, &values, &mut [0; 340]).unwrap_err();
        assert!(matches!(error, GgufError::NotFinite { index: 300, .. }));
    }
}
