//! IQ4_XS: 256 levels of four bits that stand for numbers of a table, in eight groups, each with a scale.
//!
//! | bytes | what |
//! |---|---|
//! | 0..2 | scale `d` of the scales, F16 |
//! | 2..4 | upper two bits of each scale, the first group's lowest |
//! | 4..8 | low four bits of each scale, two groups in a byte |
//! | 8..136 | levels, 16 bytes for a group; element = `(d * (scale - 32)) * number`, see `iq4_levels.rs` |

use super::fit::nearest;
use super::{inverse, iq4_levels, largest_magnitude, levels, read_f16, write_f16};

const LEN: usize = 256;
const BYTES: usize = 136;
const GROUPS: usize = 8;
/// The scale of 0.
const MIDDLE: i32 = 32;

pub(super) fn dequantize(block: &[u8; BYTES], values: &mut [f32; LEN]) {
    let d = read_f16(block, 0);
    let high = u16::from_le_bytes([block[2], block[3]]);
    for (group, values) in values.as_chunks_mut::<32>().0.iter_mut().enumerate() {
        let low = block[4 + group / 2] >> (group % 2 * 4) & 0xf;
        let scale = i32::from(low) | i32::from(high >> (group * 2) & 3) << 4;
        let scale = d * (scale - MIDDLE) as f32;
        let levels = levels::unpack_low(&block[8 + group * 16..][..16]);
        *values = levels.map(|level| scale * iq4_levels::number(level));
    }
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
    let (values, weights) = (values.as_chunks::<32>().0, weights.as_chunks::<32>().0);
    let found: [f32; GROUPS] =
        std::array::from_fn(|group| iq4_levels::scale(&values[group], &weights[group]));
    let d = -largest_magnitude(&found) / MIDDLE as f32;
    write_f16(block, 0, d);
    block[4..8].fill(0);
    let mut high = 0;
    for (group, values) in values.iter().enumerate() {
        let scale = nearest(inverse(d) * found[group]).clamp(-MIDDLE, MIDDLE - 1);
        // To the scale before it is rounded to F16, as ggml does.
        let levels = iq4_levels::nearest(values, inverse(d * scale as f32));
        levels::pack_low(&levels, &mut block[8 + group * 16..][..16]);
        let scale = (scale + MIDDLE) as u8;
        block[4 + group / 2] |= (scale & 0xf) << (group % 2 * 4);
        high |= u16::from(scale >> 4) << (group * 2);
    }
    block[2..4].copy_from_slice(&high.to_le_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_by_hand() {
        let mut block = [0; BYTES];
        block[..2].copy_from_slice(&[0x00, 0x38]); // d = 0.5
        block[2..4].copy_from_slice(&0b10_00_00_00_00_00_00_11u16.to_le_bytes());
        (block[4], block[7]) = (0x02, 0x10); // group 0: 50 - 32; group 7: 33 - 32
        (block[8], block[135]) = (0x9f, 0x80);
        let mut values = [0.0; LEN];
        dequantize(&block, &mut values);
        assert_eq!((values[0], values[16]), (9.0 * 113.0, 9.0 * 13.0));
        assert_eq!(values[32], -16.0 * -127.0);
        assert_eq!((values[239], values[255]), (-63.5, 0.5));
    }

    #[test]
    fn zeros_have_no_scale() {
        let mut block = [0xee; BYTES];
        quantize(&[0.0; LEN], &mut block);
        assert_eq!(block[..8], [0, 0x80, 0xaa, 0xaa, 0, 0, 0, 0]); // a negative zero, as ggml has it
        assert_eq!(block[8..], [0x88; 128]);
    }
}
