//! IQ4_NL: 32 levels of four bits that stand for numbers of a table, with a scale.
//!
//! | bytes | what |
//! |---|---|
//! | 0..2 | scale `d`, F16 |
//! | 2..18 | levels; element = `d * number`, see `iq4_levels.rs` |
//!
//! As ggml's `quantize_iq4_nl` makes it for files, which tries more scales than `quantize_row_iq4_nl_ref`.

use super::{inverse, iq4_levels, levels, read_f16, write_f16};

const LEN: usize = 32;
const BYTES: usize = 18;

pub(super) fn dequantize(block: &[u8; BYTES], values: &mut [f32; LEN]) {
    let d = read_f16(block, 0);
    *values = levels::unpack_low(&block[2..]).map(|level| d * iq4_levels::number(level));
}

/// Each element's error counts by the element's square.
pub(super) fn quantize(values: &[f32; LEN], block: &mut [u8; BYTES]) {
    quantize_weighted(values, &values.map(|value| value * value), block);
}

pub(super) fn quantize_weighted(
    values: &[f32; LEN],
    weights: &[f32; LEN],
    block: &mut [u8; BYTES],
) {
    let d = iq4_levels::scale(values, weights);
    write_f16(block, 0, d);
    let levels = iq4_levels::nearest(values, inverse(d));
    levels::pack_low(&levels, &mut block[2..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_by_hand() {
        let mut block = [0; BYTES];
        block[..3].copy_from_slice(&[0x00, 0x38, 0x1f]); // d = 0.5; levels 15 and 1
        let mut values = [0.0; LEN];
        dequantize(&block, &mut values);
        assert_eq!((values[0], values[16]), (56.5, -52.0));
        assert_eq!(values[1], -63.5);
        let mut back = [0xee; BYTES];
        quantize(&values, &mut back);
        assert_eq!(back, block);
    }

    #[test]
    fn zeros_have_no_scale() {
        let mut block = [0xee; BYTES];
        quantize(&[0.0; LEN], &mut block);
        let mut expected = [0x88; BYTES];
        expected[..2].fill(0);
        assert_eq!(block, expected);
    }
}
