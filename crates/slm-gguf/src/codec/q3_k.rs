//! Q3_K: 256 levels of three bits around zero in sixteen groups, each with a scale.
//!
//! | bytes | what |
//! |---|---|
//! | 0..32 | third bits: that of element `i` of eighth `e` is bit `e` of byte `i` |
//! | 32..96 | lower two bits, see `two_bits.rs` |
//! | 96..108 | sixteen scales of six bits, 32 of which is 0 |
//! | 108..110 | scale `d` of the scales, F16; element = `(d * (scale - 32)) * (level - 4)` |

use super::fit::{self, in_a_row, nearest, side_by_side};
use super::{fit_levels, largest_magnitude, read_f16, two_bits, write_f16};

const LEN: usize = 256;
const BYTES: usize = 110;
const GROUPS: usize = 16;
/// The level of 0.
const MIDDLE: i32 = 4;
/// The scale of 0.
const SCALE_MIDDLE: i32 = 32;

pub(super) fn dequantize(block: &[u8; BYTES], values: &mut [f32; LEN]) {
    let scales = scales(block);
    let low = two_bits::unpack(&block[32..96]);
    for (i, value) in values.iter_mut().enumerate() {
        let level = low[i] | (block[i % 32] >> (i / 32) & 1) << 2;
        *value = scales[i / 16] * (f32::from(level) - MIDDLE as f32);
    }
}

pub(super) fn quantize(values: &[f32; LEN], block: &mut [u8; BYTES]) {
    let mut levels = [0; LEN];
    let groups = levels.as_chunks_mut::<16>().0;
    let found: [f32; GROUPS] = std::array::from_fn(|group| {
        let (scale, levels) = fit_levels::around_zero(&values.as_chunks().0[group], MIDDLE);
        groups[group] = levels;
        scale
    });
    let largest = largest_magnitude(&found);
    if largest == 0.0 {
        return write(values, levels, 0.0, [0; GROUPS], block);
    }
    let inverse = -(SCALE_MIDDLE as f32) / largest;
    let scales = found.map(|scale| {
        let level = nearest(inverse * scale).clamp(-SCALE_MIDDLE, SCALE_MIDDLE - 1);
        (level + SCALE_MIDDLE) as u8
    });
    write(values, levels, 1.0 / inverse, scales, block);
}

pub(super) fn quantize_weighted(
    values: &[f32; LEN],
    weights: &[f32; LEN],
    block: &mut [u8; BYTES],
) {
    let (values_of, weights_of) = (side_by_side(values), side_by_side(weights));
    let (found, lanes) = fit::around_zero::<16, GROUPS>(&values_of, &weights_of, MIDDLE);
    let mut levels = [0; LEN];
    in_a_row(&lanes, &mut levels);
    let sums = fit::sums_of_groups::<16, GROUPS>(weights);
    let (d, scales) = fit::one_around_zero(&found, &sums, SCALE_MIDDLE);
    write(values, levels, d, scales, block);
}

fn write(
    values: &[f32; LEN],
    mut levels: [u8; LEN],
    d: f32,
    scales: [u8; GROUPS],
    block: &mut [u8; BYTES],
) {
    pack_scales(&scales, &mut block[96..108]);
    write_f16(block, 108, d);
    // The scales as they will be read are not quite those that were found: round once more, to them.
    let groups = values.as_chunks::<16>().0.iter();
    let groups = groups.zip(levels.as_chunks_mut::<16>().0);
    for ((group, levels), scale) in groups.zip(self::scales(block)) {
        if scale != 0.0 {
            *levels = group
                .map(|value| (nearest(value / scale).clamp(-MIDDLE, MIDDLE - 1) + MIDDLE) as u8);
        }
    }
    let (high, low) = block.split_at_mut(32);
    high.fill(0);
    for (i, levels) in levels.as_chunks::<32>().0.iter().enumerate() {
        high.iter_mut()
            .zip(levels)
            .for_each(|(byte, level)| *byte |= (level >> 2) << i);
    }
    two_bits::pack(&levels, &mut low[..64]);
}

fn scales(block: &[u8; BYTES]) -> [f32; GROUPS] {
    let (d, packed) = (read_f16(block, 108), &block[96..108]);
    std::array::from_fn(|group| {
        let low = packed[group % 8] >> (group / 8 * 4) & 0xf;
        let high = packed[8 + group % 4] >> (group / 4 * 2) & 3;
        d * (f32::from(low | high << 4) - SCALE_MIDDLE as f32)
    })
}

/// Low four bits of the first eight in lower halves, those of the others in upper halves; then the upper two bits of groups
/// `i`, `4 + i`, `8 + i` and `12 + i` in a byte.
fn pack_scales(scales: &[u8; GROUPS], packed: &mut [u8]) {
    packed.fill(0);
    for (group, scale) in scales.iter().enumerate() {
        packed[group % 8] |= (scale & 0xf) << (group / 8 * 4);
        packed[8 + group % 4] |= (scale >> 4) << (group / 4 * 2);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_by_hand() {
        let mut block = [0; BYTES];
        block[108..].copy_from_slice(&[0x00, 0x38]); // d = 0.5
        pack_scales(
            &std::array::from_fn(|group| if group == 13 { 0x2f } else { 32 }),
            &mut block[96..108],
        );
        (block[16], block[32 + 32 + 16]) = (1 << 6, 0b00_10_00_00); // element 208: level 6
        let mut values = [9.0; LEN];
        dequantize(&block, &mut values);
        assert_eq!(values[208], 0.5 * 15.0 * 2.0);
        assert_eq!(values[209], 0.5 * 15.0 * -4.0);
        assert_eq!((values[0], values[255]), (0.0, 0.0));
    }

    #[test]
    fn zeros_have_no_scale() {
        let mut block = [0xee; BYTES];
        quantize(&[1e-16; LEN], &mut block);
        assert_eq!(block, [0; BYTES]);
    }
}
