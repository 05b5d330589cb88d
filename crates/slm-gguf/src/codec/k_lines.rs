//! What Q4_K and Q5_K share: 256 elements in eight groups of 32, each with a scale and an offset of six bits.
//!
//! The first 16 bytes of both:
//!
//! | bytes | what |
//! |---|---|
//! | 0..2 | scale `d` of the scales, F16 |
//! | 2..4 | scale `dmin` of the offsets, F16 |
//! | 4..16 | eight scales and eight offsets |
//!
//! Element = `(d * scale) * level - (dmin * offset)`.

use super::fit::{in_a_row, nearest, side_by_side, sums_of_groups};
use super::fit_line::{self, Search, from_smallest};
use super::{extremes, fit_levels, read_f16, write_f16};

const GROUPS: usize = 8;
/// The highest scale and offset.
const TOP: f32 = 63.0;

/// A line for each group: element = `scale * level - offset`.
pub(super) type Lines = [(f32, f32); GROUPS];

/// The lines, from the first bytes of a block.
pub(super) fn read(block: &[u8]) -> Lines {
    let (d, dmin) = (read_f16(block, 0), read_f16(block, 2));
    let packed = &block[4..16];
    std::array::from_fn(|group| {
        let (scale, offset) = unpack(packed, group);
        (d * f32::from(scale), dmin * f32::from(offset))
    })
}

/// Finds lines and levels, and writes the lines into the first bytes of a block.
pub(super) fn quantize(values: &[f32; 256], search: Search, block: &mut [u8]) -> [u8; 256] {
    let mut weights = [0.0; 256];
    let groups = values.as_chunks::<32>().0.iter();
    for (group, weights) in groups.zip(weights.as_chunks_mut().0) {
        *weights = self::weights(group);
    }
    let found = from_smallest(&side_by_side(values), &side_by_side(&weights), search);
    let (scales, offsets) = (six_bits(&found.scales), six_bits(&found.offsets));
    write(values, &found, search.top, scales, offsets, block)
}

/// The same where weights are given; levels go up to `top`.
pub(super) fn quantize_weighted(
    values: &[f32; 256],
    weights: &[f32; 256],
    top: u8,
    block: &mut [u8],
) -> [u8; 256] {
    let search = Search::weighted(top);
    let found = from_smallest(&side_by_side(values), &side_by_side(weights), search);
    let sums = sums_of_groups::<32, GROUPS>(weights);
    let scales = fit_levels::from_zero(&found.scales, &sums, TOP as u8);
    let offsets = fit_levels::from_zero(&found.offsets, &sums, TOP as u8);
    write(values, &found, top, scales, offsets, block)
}

/// Writes these scales and offsets, each as a unit and multiples of it, and returns the levels for them.
fn write(
    values: &[f32; 256],
    found: &fit_line::Lines<32, GROUPS>,
    top: u8,
    (d, scales): (f32, [u8; GROUPS]),
    (dmin, offsets): (f32, [u8; GROUPS]),
    block: &mut [u8],
) -> [u8; 256] {
    write_f16(block, 0, d);
    write_f16(block, 2, dmin);
    pack(&scales, &offsets, &mut block[4..16]);
    // The lines as they will be read are not quite those that were found: round once more, to them.
    let mut levels = [0; 256];
    in_a_row(&found.levels, &mut levels);
    let groups = values.as_chunks::<32>().0.iter();
    let groups = groups.zip(levels.as_chunks_mut::<32>().0);
    for ((group, levels), (scale, offset)) in groups.zip(read(block)) {
        if scale != 0.0 {
            *levels =
                group.map(|value| nearest((value + offset) / scale).clamp(0, top.into()) as u8);
        }
    }
    levels
}

/// How much an element's error counts: its magnitude, and that of the group.
fn weights(group: &[f32; 32]) -> [f32; 32] {
    let mut sum_x2 = 0f32;
    for value in group {
        sum_x2 += value * value;
    }
    let magnitude = (sum_x2 / 32.0).sqrt();
    group.map(|value| magnitude + value.abs())
}

/// Numbers of which none counts below 0, as multiples of what is returned first.
fn six_bits(numbers: &[f32; GROUPS]) -> (f32, [u8; GROUPS]) {
    let largest = extremes(numbers).1;
    let largest = if largest > 0.0 { largest } else { 0.0 };
    let inverse = if largest > 0.0 { TOP / largest } else { 0.0 };
    (
        largest / TOP,
        numbers.map(|number| (nearest(inverse * number) as u8).min(TOP as u8)),
    )
}

/// Scale and offset of a group. Those of the first four have six bits in a byte of their own; those of the last four have their
/// low four bits in a shared byte, and the upper two above those of the first four.
fn unpack(packed: &[u8], group: usize) -> (u8, u8) {
    match group {
        0..4 => (packed[group] & 63, packed[group + 4] & 63),
        _ => {
            let shared = packed[group + 4];
            (
                shared & 0xf | packed[group - 4] >> 6 << 4,
                shared >> 4 | packed[group] >> 6 << 4,
            )
        }
    }
}

fn pack(scales: &[u8; GROUPS], offsets: &[u8; GROUPS], packed: &mut [u8]) {
    for group in 0..4 {
        packed[group] = scales[group] | scales[group + 4] >> 4 << 6;
        packed[group + 4] = offsets[group] | offsets[group + 4] >> 4 << 6;
        packed[group + 8] = scales[group + 4] & 0xf | offsets[group + 4] << 4;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_lead_back() {
        let scales = [0, 63, 1, 33, 62, 17, 0, 48];
        let offsets = [63, 0, 5, 44, 15, 16, 63, 21];
        let mut packed = [0; 12];
        pack(&scales, &offsets, &mut packed);
        // The fourth of each and the last: 33 with the upper bits of 48, 44 with those of 21, and both low halves.
        assert_eq!(
            (packed[3], packed[7], packed[11]),
            (33 | 0b11 << 6, 44 | 0b01 << 6, 0x50)
        );
        let back: [_; GROUPS] = std::array::from_fn(|group| unpack(&packed, group));
        assert_eq!(back.map(|(scale, _)| scale), scales);
        assert_eq!(back.map(|(_, offset)| offset), offsets);
    }

    #[test]
    fn six_bits_reach_the_largest() {
        let (scale, bits) = six_bits(&[0.0, 126.0, 63.0, 3.0, 1.0, 0.9, -1.0, 5.0]);
        assert_eq!(scale, 2.0);
        assert_eq!(bits[..6], [0, 63, 32, 2, 0, 0]); // 31.5 and 1.5 to even
        assert_eq!(six_bits(&[0.0; GROUPS]), (0.0, [0; GROUPS]));
    }
}
