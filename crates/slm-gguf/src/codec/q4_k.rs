//! Q4_K: 256 levels of four bits in eight groups, each with a scale and an offset.
//!
//! | bytes | what |
//! |---|---|
//! | 0..16 | the groups' lines, see `k_lines.rs` |
//! | 16..144 | levels: 32 bytes for two groups, the first in the lower halves, the second in the upper ones |

use super::fit_line::{Difference, Search};
use super::k_lines;

const LEN: usize = 256;
const BYTES: usize = 144;
const SEARCH: Search = Search {
    top: 15,
    first: -1.0,
    step: 0.1,
    n_steps: 20,
    difference: Difference::Squared,
};

pub(super) fn dequantize(block: &[u8; BYTES], values: &mut [f32; LEN]) {
    let lines = k_lines::read(block);
    for (i, values) in values.as_chunks_mut::<32>().0.iter_mut().enumerate() {
        let (scale, offset) = lines[i];
        for (value, byte) in values.iter_mut().zip(&block[16 + i / 2 * 32..]) {
            let level = byte >> (i % 2 * 4) & 0xf;
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
    for (bytes, levels) in block[16..]
        .as_chunks_mut::<32>()
        .0
        .iter_mut()
        .zip(levels.as_chunks::<64>().0)
    {
        for (i, byte) in bytes.iter_mut().enumerate() {
            *byte = levels[i] | levels[i + 32] << 4;
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
        block[12] = 0x41; // group 4: scale 1, offset 4
        (block[16], block[16 + 64]) = (0x7f, 0x0a);
        let mut values = [9.0; LEN];
        dequantize(&block, &mut values);
        assert_eq!((values[0], values[1]), (1.0 * 15.0 - 3.0, -3.0));
        assert_eq!(values[32], 0.0); // group 1 has level 7, and no scale
        assert_eq!((values[128], values[129]), (0.5 * 10.0 - 4.0, -4.0));
    }

    #[test]
    fn zeros_stay_zeros() {
        let mut block = [0xee; BYTES];
        quantize(&[0.0; LEN], &mut block);
        assert_eq!(block, [0; BYTES]);
    }
}
