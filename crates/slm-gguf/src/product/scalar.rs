//! The products in plain Rust: what the other kernels are held to.

use super::{GROUP, Vectors};
use crate::TensorType;

/// A block as codes and lines: value = `scale · (code − zero) − offset`. What a small block does not have stays as it was.
struct Block {
    codes: [u8; 256],
    /// Of 16 codes each.
    scales: [f32; 16],
    /// Of 32 codes each.
    offsets: [f32; 8],
    zero: i32,
}

pub(super) fn multiply(
    tensor_type: TensorType,
    rows: &[u8],
    row_bytes: usize,
    vectors: &Vectors,
    y: &mut [f32],
) {
    let mut block = Block {
        codes: [0; 256],
        scales: [0.0; 16],
        offsets: [0.0; 8],
        zero: 0,
    };
    let groups = tensor_type.block_len() / GROUP;
    for (row, y) in rows
        .chunks_exact(row_bytes)
        .zip(y.chunks_mut(vectors.count()))
    {
        y.fill(0.0);
        for (b, bytes) in row.chunks_exact(tensor_type.block_bytes()).enumerate() {
            read(tensor_type, bytes, &mut block);
            for (i, y) in y.iter_mut().enumerate() {
                *y += (0..groups)
                    .map(|k| block.group(k, vectors, i, b * groups + k))
                    .sum::<f32>();
            }
        }
    }
}

impl Block {
    /// What its group `k` gives with group `at` of vector `i`.
    fn group(&self, k: usize, vectors: &Vectors, i: usize, at: usize) -> f32 {
        let codes = self.codes[k * GROUP..][..GROUP].as_chunks::<16>().0;
        let q = vectors.groups(i)[at].codes;
        let halves = codes
            .iter()
            .zip(q.as_chunks::<16>().0)
            .zip(&self.scales[2 * k..]);
        let sum: f32 = halves
            .map(|((codes, q), scale)| {
                let terms = codes.iter().zip(q);
                let sum: i32 = terms
                    .map(|(code, q)| (i32::from(*code) - self.zero) * i32::from(*q))
                    .sum();
                scale * sum as f32
            })
            .sum();
        sum * vectors.steps(i)[at] - self.offsets[k] * vectors.sums(i)[at]
    }
}

fn half(bytes: &[u8], at: usize) -> f32 {
    half::f16::from_le_bytes([bytes[at], bytes[at + 1]]).to_f32()
}

fn read(tensor_type: TensorType, bytes: &[u8], block: &mut Block) {
    match tensor_type {
        TensorType::Q4_0 | TensorType::Q4_1 => {
            small(bytes, tensor_type == TensorType::Q4_1, 8, None, block)
        }
        TensorType::Q5_0 => small(bytes, false, 16, Some(2), block),
        TensorType::Q5_1 => small(bytes, true, 0, Some(4), block),
        TensorType::Q4_K => k_lines(bytes, None, &bytes[16..], block),
        TensorType::Q5_K => k_lines(bytes, Some(&bytes[16..48]), &bytes[48..], block),
        TensorType::Q6_K => q6_k(bytes, block),
        _ => {
            block.scales[..2].fill(half(bytes, 0));
            block.zero = 128;
            for (code, byte) in block.codes.iter_mut().zip(&bytes[2..]) {
                *code = byte ^ 0x80;
            }
        }
    }
}

/// Q4_0, Q4_1, Q5_0 and Q5_1: a line, fifth bits at `high` where there are any, and low bits, of which the upper halves of the bytes
/// are the second half of the block.
fn small(bytes: &[u8], has_offset: bool, zero: i32, high: Option<usize>, block: &mut Block) {
    block.scales[..2].fill(half(bytes, 0));
    block.zero = if has_offset { 0 } else { zero };
    block.offsets[0] = if has_offset { -half(bytes, 2) } else { 0.0 };
    for (i, byte) in bytes[bytes.len() - 16..].iter().enumerate() {
        block.codes[i] = byte & 0xf;
        block.codes[i + 16] = byte >> 4;
    }
    if let Some(at) = high {
        for (i, code) in block.codes[..GROUP].iter_mut().enumerate() {
            *code |= (bytes[at + i / 8] >> (i % 8) & 1) << 4;
        }
    }
}

fn k_lines(bytes: &[u8], high: Option<&[u8]>, low: &[u8], block: &mut Block) {
    let (d, dmin) = (half(bytes, 0), half(bytes, 2));
    let (scales, offsets) = bytes[4..].first_chunk().map_or(([0; 8], [0; 8]), six_bits);
    block.zero = 0;
    for k in 0..8 {
        block.scales[2 * k..][..2].fill(d * f32::from(scales[k]));
        block.offsets[k] = dmin * f32::from(offsets[k]);
        for (i, code) in block.codes[k * GROUP..][..GROUP].iter_mut().enumerate() {
            let fifth = high.map_or(0, |high| (high[i] >> k & 1) << 4);
            *code = low[k / 2 * GROUP + i] >> (k % 2 * 4) & 0xf | fifth;
        }
    }
}

/// Eight scales and eight offsets from 12 bytes; `codec/k_lines.rs` has their layout.
#[inline(always)]
pub(super) fn six_bits(packed: &[u8; 12]) -> ([u8; 8], [u8; 8]) {
    let word = |at: usize| u32::from_le_bytes(std::array::from_fn(|i| packed[at + i]));
    let (first, second, shared) = (word(0), word(4), word(8));
    let upper = |word: u32| (word >> 6 & 0x0303_0303) << 4;
    let both = |low: u32, high: u32| (u64::from(high) << 32 | u64::from(low)).to_le_bytes();
    (
        both(first & 0x3f3f_3f3f, shared & 0x0f0f_0f0f | upper(first)),
        both(
            second & 0x3f3f_3f3f,
            shared >> 4 & 0x0f0f_0f0f | upper(second),
        ),
    )
}

fn q6_k(bytes: &[u8], block: &mut Block) {
    let d = half(bytes, 208);
    block.zero = 32;
    block.offsets.fill(0.0);
    for (scale, byte) in block.scales.iter_mut().zip(&bytes[192..208]) {
        *scale = d * f32::from(*byte as i8);
    }
    for k in 0..8 {
        let (half, quarter) = (k / 4, k % 4);
        let low = &bytes[half * 64 + quarter % 2 * 32..];
        let high = &bytes[128 + half * 32..];
        for (i, code) in block.codes[k * GROUP..][..GROUP].iter_mut().enumerate() {
            *code = low[i] >> (quarter / 2 * 4) & 0xf | (high[i] >> (quarter * 2) & 3) << 4;
        }
    }
}
