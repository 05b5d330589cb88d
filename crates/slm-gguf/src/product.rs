//! Products of rows of blocks with vectors, without turning the blocks into f32.
//!
//! The vectors are quantized to 8 bits, a scale for 32 values, and what is summed within those 32 is exact:
//!
//! `Σ w x ≈ Σ over groups of 32: scale · step · Σ (code − zero) · q − offset · step · Σ q`
//!
//! with `w = scale · (code − zero) − offset` as the block's type has it and `x ≈ step · q`. ggml takes the products of its CPU
//! backend in the same way, with a step for 256 values where the blocks are of 256. Floats are multiplied as they are; other types are dequantized row
//! by row, and multiplied in f32.
//!
//! Nothing here starts threads: a caller that has some gives each of them rows of its own.

mod kernel;
mod scalar;
mod vectors;
#[cfg(target_arch = "x86_64")]
mod wide;

pub use vectors::Vectors;

use crate::{GgufError, TensorType, codec};
use kernel::Kernel;

/// Values that share a step.
const GROUP: usize = 32;

/// Whether rows of this type are multiplied with the vectors' codes.
pub fn takes_codes(tensor_type: TensorType) -> bool {
    use TensorType::{Q4_0, Q4_1, Q4_K, Q5_0, Q5_1, Q5_K, Q6_K, Q8_0};
    matches!(
        tensor_type,
        Q4_0 | Q4_1 | Q5_0 | Q5_1 | Q8_0 | Q4_K | Q5_K | Q6_K
    )
}

/// The product of each row with each vector: `y` is `[rows, vectors]`.
///
/// # Errors
/// [`GgufError::PartialBlock`] and [`GgufError::BlockBytes`] where `rows` are not as many rows as `y` asks for, of the vectors'
/// length; [`GgufError::NoCodec`] where the type cannot be read as numbers.
pub fn multiply(
    tensor_type: TensorType,
    rows: &[u8],
    vectors: &Vectors,
    y: &mut [f32],
) -> Result<(), GgufError> {
    let row_bytes = tensor_type.size_bytes(vectors.len() as u64)? as usize;
    let n_rows = y.len() / vectors.count().max(1);
    if rows.len() != n_rows * row_bytes {
        return Err(GgufError::BlockBytes {
            tensor_type,
            n_elements: n_rows * vectors.len(),
            needed: (n_rows * row_bytes) as u64,
            found: rows.len(),
        });
    }
    let is_float = matches!(
        tensor_type,
        TensorType::F32 | TensorType::F16 | TensorType::BF16
    );
    match Kernel::best() {
        Kernel::Scalar if is_float => by_rows(tensor_type, rows, row_bytes, vectors, y),
        best if is_float || takes_codes(tensor_type) => {
            best.multiply(tensor_type, rows, row_bytes, vectors, y);
            Ok(())
        }
        _ => by_rows(tensor_type, rows, row_bytes, vectors, y),
    }
}

/// Row by row in f32.
fn by_rows(
    tensor_type: TensorType,
    rows: &[u8],
    row_bytes: usize,
    vectors: &Vectors,
    y: &mut [f32],
) -> Result<(), GgufError> {
    let mut values = vec![0.0; vectors.len()];
    let places = y.chunks_exact_mut(vectors.count().max(1));
    for (row, y) in rows.chunks_exact(row_bytes.max(1)).zip(places) {
        codec::dequantize(tensor_type, row, &mut values)?;
        for (i, y) in y.iter_mut().enumerate() {
            *y = dot(&values, vectors.values(i));
        }
    }
    Ok(())
}

/// In lanes, so that the compiler can take many at once.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    const LANES: usize = 16;
    let mut lanes = [0.0; LANES];
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
    for (a, b) in a.iter().zip(b) {
        for i in 0..LANES {
            lanes[i] += a[i] * b[i];
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    lanes.iter().sum::<f32>() + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    const WITH_KERNEL: [TensorType; 8] = [
        TensorType::Q4_0,
        TensorType::Q4_1,
        TensorType::Q5_0,
        TensorType::Q5_1,
        TensorType::Q8_0,
        TensorType::Q4_K,
        TensorType::Q5_K,
        TensorType::Q6_K,
    ];

    /// Numbers from -1 to 1, of splitmix64.
    fn numbers(seed: u64, n: usize) -> Vec<f32> {
        let number = |i: u64| {
            let mut x = (seed << 32 | i).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            x = (x ^ x >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            x = (x ^ x >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
            (x ^ x >> 31) as f32 / u64::MAX as f32 * 2.0 - 1.0
        };
        (0..n as u64).map(number).collect()
    }

    fn blocks(tensor_type: TensorType, values: &[f32]) -> Vec<u8> {
        let mut bytes = vec![0; tensor_type.size_bytes(values.len() as u64).unwrap() as usize];
        codec::quantize(tensor_type, values, &mut bytes).unwrap();
        bytes
    }

    /// What the product is taken of: the vectors as they were rounded.
    fn products(tensor_type: TensorType, bytes: &[u8], x: &Vectors, n_rows: usize) -> Vec<f64> {
        let n = x.len();
        let mut w = vec![0.0; n_rows * n];
        codec::dequantize(tensor_type, bytes, &mut w).unwrap();
        let mut y = Vec::new();
        for w in w.chunks(n) {
            for i in 0..x.count() {
                let terms = w.iter().zip(x.rounded(i));
                y.push(terms.map(|(w, x)| f64::from(*w) * f64::from(x)).sum());
            }
        }
        y
    }

    /// Rows and vectors end within tiles, and rows within pairs of blocks.
    #[test]
    fn every_kernel_multiplies_what_the_blocks_stand_for() {
        for tensor_type in WITH_KERNEL {
            let block = tensor_type.block_len();
            for (n_rows, n_blocks, count) in [(1, 1, 1), (7, 3, 1), (4, 2, 4), (9, 5, 7)] {
                let n = n_blocks * block;
                let bytes = blocks(tensor_type, &numbers(1, n_rows * n));
                let x = Vectors::new(&numbers(2, count * n), n);
                let want = products(tensor_type, &bytes, &x, n_rows);
                for kernel in Kernel::ALL.into_iter().filter(|kernel| kernel.is_here()) {
                    let mut y = vec![f32::NAN; n_rows * count];
                    kernel.multiply(tensor_type, &bytes, bytes.len() / n_rows, &x, &mut y);
                    for (y, want) in y.iter().zip(&want) {
                        let off = (f64::from(*y) - want).abs();
                        assert!(
                            off < 2e-6 * n as f64,
                            "{kernel:?} {tensor_type} {n}: {y} {want}"
                        );
                    }
                }
            }
        }
    }

    /// Blocks of random bytes: every bit of a code and a scale counts, -128 among them.
    #[test]
    fn every_bit_is_read() {
        for tensor_type in WITH_KERNEL {
            let n = 2 * tensor_type.block_len();
            let mut bytes: Vec<u8> = numbers(3, 5 * tensor_type.block_bytes() * 2)
                .iter()
                .map(|x| (x * 128.0) as i8 as u8)
                .collect();
            for block in bytes.chunks_mut(tensor_type.block_bytes()) {
                let halves: &[usize] = match tensor_type {
                    TensorType::Q6_K => &[208],
                    TensorType::Q4_0 | TensorType::Q5_0 | TensorType::Q8_0 => &[0],
                    _ => &[0, 2],
                };
                for at in halves {
                    block[at + 1] = 0x2c | block[at + 1] & 0x83; // about 1/16
                }
            }
            let x = Vectors::new(&numbers(4, n), n);
            let want = products(tensor_type, &bytes, &x, 5 * 2 / 2);
            for kernel in Kernel::ALL.into_iter().filter(|kernel| kernel.is_here()) {
                let mut y = vec![f32::NAN; 5];
                kernel.multiply(tensor_type, &bytes, bytes.len() / 5, &x, &mut y);
                for (y, want) in y.iter().zip(&want) {
                    let off = (f64::from(*y) - want).abs();
                    assert!(off < 1e-2, "{kernel:?} {tensor_type}: {y} {want}");
                }
            }
        }
    }

    #[test]
    fn other_types_are_multiplied_in_floats() {
        for (tensor_type, n) in [
            (TensorType::F16, 37),
            (TensorType::BF16, 70),
            (TensorType::F32, 5),
            (TensorType::F32, 99),
            (TensorType::IQ4_NL, 96),
            (TensorType::Q2_K, 512),
        ] {
            let bytes = blocks(tensor_type, &numbers(5, 3 * n));
            let values = numbers(6, 7 * n);
            let x = Vectors::new(&values, n);
            let mut w = vec![0.0; 3 * n];
            codec::dequantize(tensor_type, &bytes, &mut w).unwrap();
            let mut y = vec![f32::NAN; 21];
            multiply(tensor_type, &bytes, &x, &mut y).unwrap();
            for (i, y) in y.iter().enumerate() {
                let terms = w[i / 7 * n..].iter().zip(&values[i % 7 * n..][..n]);
                let want: f32 = terms.map(|(w, x)| w * x).sum();
                assert!((y - want).abs() < 1e-4, "{tensor_type}: {y} {want}");
            }
        }
    }

    #[test]
    fn bytes_that_are_not_the_rows_are_an_error() {
        let x = Vectors::new(&[1.0; 64], 64);
        let mut y = [0.0; 2];
        let error = multiply(TensorType::Q8_0, &[0; 68], &x, &mut y).unwrap_err();
        assert!(matches!(
            error,
            GgufError::BlockBytes {
                needed: 136,
                found: 68,
                ..
            }
        ));
    }
}
