//! Q5_K: 256 levels of five bits in eight groups, each with a scale and an offset.
//!
//! | bytes | what |
//! |---|---|
//! | 0..16 | the groups' lines, see `k_lines.rs` |
//! | 16..48 | fifth bits: that of element `i` of group `g` is bit `g` of byte `i` |
//! | 48..176 | low four bits: 32 bytes for two groups, the first in the lower halves, the second in the upper ones |

use super::fit_line::{Difference, Search};
use super::k_lines;

const LEN: usize = 256;
const BYTES: usize = 176;
const SEARCH: Search = Search {
    top: 31,
    first: -0.5,
    step: 0.1,
    n_steps: 15,
    difference: Difference::Squared,
};

pub(super) fn dequantize(block: &[u8; BYTES], values: &mut [f32; LEN]) {
    let lines = k_lines::read(block);
    let high = &block[16..48];
    for (i, values) in values.as_chunks_mut::<32>().0.iter_mut().enumerate() {
        let (scale, offset) = lines[i];
        let low = &block[48 + i / 2 * 32..];
        for (value, (low, high)) in values.iter_mut().zip(low.iter().zip(high)) {
            let level = low >> (i % 2 * 4) & 0xf | (high >> i & 1) << 4;
            *value = scale * f32::from(level) - offset;
        }
    }
}

pub(super) fn quantize(values: &[f32; LEN], block: &mut [u8; BYTES]) {
    let levels = k_lines::quantize(values, SEARCH, block);
    pack(&levels, block);
}

pub(super) fn quantize_weighted(
    values: &[f32; LEN],
    weights: &[f32; LEN],
    block: &mut [u8; BYTES],
) {
    let levels = k_lines::quantize_weighted(values, weights, SEARCH.top, block);
    pack(&levels, block);
}

fn pack(levels: &[u8; LEN], block: &mut [u8; BYTES]) {
    let (high, low) = block[16..].split_at_mut(32);
    high.fill(0);
    for (i, levels) in levels.as_chunks::<32>().0.iter().enumerate() {
        high.iter_mut()
            .zip(levels)
            .for_each(|(byte, level)| *byte |= (level >> 4) << i);
    }
    for (bytes, levels) in low
        .as_chunks_mut::<32>()
        .0
        .iter_mut()
        .zip(levels.as_chunks::<64>().0)
    {
        for (i, byte) in bytes.iter_mut().enumerate() {
            *byte = levels[i] & 0xf | levels[i + 32] << 4;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_by_hand() {
        let mut block = [0; BYTES];
        block[..4].copy_from_slice(&[0x00, 0x38, 0x00, 0x3c]); // d = 0.5, dmin = 1
        (block[4], block[8]) = (2, 3); // group 0: scale 2, offset 3
        (block[5], block[9]) = (4, 0); // group 1: scale 4, offset 0
        (block[16], block[17], block[48]) = (0b01, 0b10, 0x7f);
        let mut values = [9.0; LEN];
        dequantize(&block, &mut values);
        assert_eq!((values[0], values[1]), (31.0 - 3.0, -3.0));
        assert_eq!((values[32], values[33]), (2.0 * 7.0, 2.0 * 16.0));
    }

    #[test]
    fn zeros_stay_zeros() {
        let mut block = [0xee; BYTES];
        quantize(&[0.0; LEN], &mut block);
        assert_eq!(block, [0; BYTES]);
    }
}
