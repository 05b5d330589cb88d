//! Q6_K: 256 levels of six bits around zero in sixteen groups, each with a scale.
//!
//! | bytes | what |
//! |---|---|
//! | 0..128 | low four bits |
//! | 128..192 | upper two bits |
//! | 192..208 | scales, i8 |
//! | 208..210 | scale `d` of the scales, F16; element = `(d * scale) * (level - 32)` |
//!
//! The two halves of 128 elements are stored alike. In each, element `i` of its four quarters of 32 has its low bits in byte
//! `i` (lower half), `32 + i` (lower), `i` (upper) and `32 + i` (upper), and its upper bits in byte `i`, the first quarter's
//! lowest.

use super::fit::{self, in_a_row, nearest, side_by_side};
use super::{largest_magnitude, read_f16, write_f16};

const LEN: usize = 256;
const BYTES: usize = 210;
const GROUPS: usize = 16;
/// The level of 0.
const MIDDLE: i32 = 32;

pub(super) fn dequantize(block: &[u8; BYTES], values: &mut [f32; LEN]) {
    let scales = scales(block);
    for (group, values) in values.as_chunks_mut::<16>().0.iter_mut().enumerate() {
        let place = Place::of(group);
        let (low, high) = (&block[place.low..], &block[place.high..]);
        for (value, (low, high)) in values.iter_mut().zip(low.iter().zip(high)) {
            let level = (low >> place.low_shift & 0xf) | (high >> place.high_shift & 3) << 4;
            *value = scales[group] * (f32::from(level) - MIDDLE as f32);
        }
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
    block.fill(0);
    let (lanes, weights) = (side_by_side(values), side_by_side(weights));
    let (found, lanes) = fit::around_zero::<16, GROUPS>(&lanes, &weights, MIDDLE);
    let mut levels = [0; LEN];
    in_a_row(&lanes, &mut levels);
    let largest = largest_magnitude(&found);
    if largest.abs() < fit::ALL_ZERO {
        return;
    }

    let inverse = -128.0 / largest;
    for (byte, scale) in block[192..208].iter_mut().zip(found) {
        *byte = nearest(inverse * scale).min(127) as i8 as u8;
    }
    write_f16(block, 208, 1.0 / inverse);

    // The scales as they will be read are not quite those that were found: round once more, to them.
    let groups = values
        .as_chunks::<16>()
        .0
        .iter()
        .zip(levels.as_chunks_mut::<16>().0);
    for ((group, levels), scale) in groups.zip(scales(block)) {
        if scale != 0.0 {
            *levels = group
                .map(|value| (nearest(value / scale).clamp(-MIDDLE, MIDDLE - 1) + MIDDLE) as u8);
        }
    }
    for (group, levels) in levels.as_chunks::<16>().0.iter().enumerate() {
        let place = Place::of(group);
        for (i, level) in levels.iter().enumerate() {
            block[place.low + i] |= (level & 0xf) << place.low_shift;
            block[place.high + i] |= (level >> 4) << place.high_shift;
        }
    }
}

fn scales(block: &[u8; BYTES]) -> [f32; GROUPS] {
    let d = read_f16(block, 208);
    std::array::from_fn(|group| d * f32::from(block[192 + group] as i8))
}

/// Where the bits of a group's first level lie in a block; those of the next ones lie in the next bytes.
struct Place {
    low: usize,
    low_shift: usize,
    high: usize,
    high_shift: usize,
}

impl Place {
    fn of(group: usize) -> Self {
        let (half, quarter, first) = (group / 8, group / 2 % 4, group % 2 * 16);
        Self {
            low: half * 64 + quarter % 2 * 32 + first,
            low_shift: quarter / 2 * 4,
            high: 128 + half * 32 + first,
            high_shift: quarter * 2,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_by_hand() {
        let mut block = [0; BYTES];
        block[208..].copy_from_slice(&[0x00, 0x38]); // d = 0.5
        (block[192], block[192 + 6], block[192 + 15]) = (2, 0xff, 4); // groups 0, 6, 15: 2, -1, 4
        (block[0], block[128]) = (0x5f, 0b00_11_00_10); // element 0: level 2f; element 64: 35; element 96: 5 of quarter 3
        block[64 + 63] = 0x30; // the last element: low bits 3
        let mut values = [9.0; LEN];
        dequantize(&block, &mut values);
        assert_eq!(values[0], 1.0 * (0x2f as f32 - 32.0));
        assert_eq!(values[1], -32.0);
        assert_eq!(values[96], -0.5 * (0.0 - 32.0));
        assert_eq!(values[255], 2.0 * (3.0 - 32.0));
    }

    #[test]
    fn zeros_stay_zeros() {
        let mut block = [0xee; BYTES];
        quantize(&[1e-16; LEN], &mut block);
        assert_eq!(block, [0; BYTES]);
    }
}
