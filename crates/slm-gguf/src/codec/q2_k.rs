//! Q2_K: 256 levels of two bits in sixteen groups, each with a scale and an offset.
//!
//! | bytes | what |
//! |---|---|
//! | 0..16 | a scale (lower half) and an offset (upper half) for each group |
//! | 16..80 | levels, see `two_bits.rs` |
//! | 80..82 | scale `d` of the scales, F16 |
//! | 82..84 | scale `dmin` of the offsets, F16; element = `(d * scale) * level - (dmin * offset)` |

use super::fit::{in_a_row, nearest, side_by_side, sums_of_groups};
use super::fit_line::{Difference, Lines, Search, from_smallest};
use super::{extremes, fit_levels, read_f16, two_bits, write_f16};

const LEN: usize = 256;
const BYTES: usize = 84;
const GROUPS: usize = 16;
/// The highest scale and offset.
const TOP: u8 = 15;
const SEARCH: Search = Search {
    top: 3,
    first: -0.5,
    step: 0.1,
    n_steps: 15,
    difference: Difference::Absolute,
};

pub(super) fn dequantize(block: &[u8; BYTES], values: &mut [f32; LEN]) {
    let levels = two_bits::unpack(&block[16..80]);
    let groups = values.as_chunks_mut::<16>().0.iter_mut();
    for ((values, levels), (scale, offset)) in
        groups.zip(levels.as_chunks::<16>().0).zip(lines(block))
    {
        for (value, &level) in values.iter_mut().zip(levels) {
            *value = scale * f32::from(level) - offset;
        }
    }
}

pub(super) fn quantize(values: &[f32; LEN], block: &mut [u8; BYTES]) {
    let lanes = side_by_side(values);
    let weights = lanes.map(|lane: [f32; GROUPS]| lane.map(f32::abs));
    let found = from_smallest(&lanes, &weights, SEARCH);
    let (scales, offsets) = (four_bits(&found.scales), four_bits(&found.offsets));
    write(values, &found, scales, offsets, block);
}

pub(super) fn quantize_weighted(
    values: &[f32; LEN],
    weights: &[f32; LEN],
    block: &mut [u8; BYTES],
) {
    let search = Search::weighted(SEARCH.top);
    let found = from_smallest(&side_by_side(values), &side_by_side(weights), search);
    let sums = sums_of_groups::<16, GROUPS>(weights);
    let scales = fit_levels::from_zero(&found.scales, &sums, TOP);
    let offsets = fit_levels::from_zero(&found.offsets, &sums, TOP);
    write(values, &found, scales, offsets, block);
}

/// Writes a block with these scales and offsets, each as a unit and multiples of it.
fn write(
    values: &[f32; LEN],
    found: &Lines<16, GROUPS>,
    (d, scales): (f32, [u8; GROUPS]),
    (dmin, offsets): (f32, [u8; GROUPS]),
    block: &mut [u8; BYTES],
) {
    for (byte, (scale, offset)) in block.iter_mut().zip(scales.iter().zip(offsets)) {
        *byte = scale | offset << 4;
    }
    write_f16(block, 80, d);
    write_f16(block, 82, dmin);
    // The lines as they will be read are not quite those that were found: round once more, to them.
    let mut levels = [0; LEN];
    in_a_row(&found.levels, &mut levels);
    let groups = values.as_chunks::<16>().0.iter();
    let groups = groups.zip(levels.as_chunks_mut::<16>().0);
    for ((group, levels), (scale, offset)) in groups.zip(lines(block)) {
        if scale != 0.0 {
            *levels = group.map(|value| nearest((value + offset) / scale).clamp(0, 3) as u8);
        }
    }
    two_bits::pack(&levels, &mut block[16..80]);
}

/// A line for each group: element = `scale * level - offset`.
fn lines(block: &[u8; BYTES]) -> [(f32, f32); GROUPS] {
    let (d, dmin) = (read_f16(block, 80), read_f16(block, 82));
    std::array::from_fn(|group| {
        let byte = block[group];
        (d * f32::from(byte & 0xf), dmin * f32::from(byte >> 4))
    })
}

/// Numbers of which none counts below 0, as multiples of what is returned first.
fn four_bits(numbers: &[f32; GROUPS]) -> (f32, [u8; GROUPS]) {
    let largest = extremes(numbers).1;
    if largest <= 0.0 {
        return (0.0, [0; GROUPS]);
    }
    let inverse = f32::from(TOP) / largest;
    let multiples = numbers.map(|number| nearest(inverse * number) as u8);
    (largest / f32::from(TOP), multiples)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_by_hand() {
        let mut block = [0; BYTES];
        block[80..].copy_from_slice(&[0x00, 0x38, 0x00, 0x3c]); // d = 0.5, dmin = 1
        (block[0], block[15]) = (0x32, 0x04); // group 0: scale 2, offset 3; group 15: scale 4
        (block[16], block[79]) = (0b11, 0b10_00_00_00);
        let mut values = [9.0; LEN];
        dequantize(&block, &mut values);
        assert_eq!((values[0], values[1]), (3.0 - 3.0, -3.0));
        assert_eq!((values[254], values[255]), (0.0, 2.0 * 2.0));
    }

    #[test]
    fn zeros_stay_zeros() {
        let mut block = [0xee; BYTES];
        quantize(&[0.0; LEN], &mut block);
        assert_eq!(block, [0; BYTES]);
    }
}
