//! Levels: the small unsigned integers that a block of 32 stores for its elements.
//!
//! Their low four bits lie in 16 bytes, element `i` in the lower half of byte `i` and element `16 + i` in the upper half; their
//! fifth bits lie in four bytes, that of element `i` at bit `i`.

use super::{extremes, inverse, largest_magnitude};

/// The low four bits of each level, in 16 bytes.
pub(super) fn pack_low(levels: &[u8; 32], packed: &mut [u8]) {
    let (first, second) = levels.split_at(16);
    for (byte, (first, second)) in packed.iter_mut().zip(first.iter().zip(second)) {
        *byte = (first & 0xf) | (second << 4);
    }
}

/// The low four bits of each level, from 16 bytes.
pub(super) fn unpack_low(packed: &[u8]) -> [u8; 32] {
    let mut levels = [0; 32];
    let (first, second) = levels.split_at_mut(16);
    for (byte, (first, second)) in packed.iter().zip(first.iter_mut().zip(second)) {
        *first = byte & 0xf;
        *second = byte >> 4;
    }
    levels
}

/// The fifth bit of each level, in four bytes.
pub(super) fn pack_high(levels: &[u8; 32], packed: &mut [u8]) {
    for (byte, levels) in packed.iter_mut().zip(levels.as_chunks::<8>().0) {
        *byte = levels
            .iter()
            .rev()
            .fold(0, |byte, level| (byte << 1) | ((level >> 4) & 1));
    }
}

/// Levels of five bits, from 16 bytes of low bits and four of fifth bits.
pub(super) fn unpack(low: &[u8], high: &[u8]) -> [u8; 32] {
    let mut levels = unpack_low(low);
    for (i, level) in levels.iter_mut().enumerate() {
        *level |= ((high[i / 8] >> (i % 8)) & 1) << 4;
    }
    levels
}

/// Scale and levels of elements around zero: element = `d * (level - middle)`, levels up to `2 * middle - 1`.
///
/// The element with the largest magnitude gets level 0, whatever its sign, so that no level is lost to symmetry.
pub(super) fn around_zero(values: &[f32; 32], middle: u8) -> (f32, [u8; 32]) {
    let largest = largest_magnitude(values);
    let middle = f32::from(middle);
    let d = largest / -middle;
    let inverse = inverse(d);
    let top = (2.0 * middle) as i8 - 1;
    (
        d,
        values.map(|value| ((value * inverse + (middle + 0.5)) as i8).min(top) as u8),
    )
}

/// Scale, smallest element and levels of elements from there up: element = `d * level + smallest`, levels up to `top`.
pub(super) fn from_smallest(values: &[f32; 32], top: u8) -> (f32, f32, [u8; 32]) {
    let (smallest, largest) = extremes(values);
    let d = (largest - smallest) / f32::from(top);
    let inverse = inverse(d);
    (
        d,
        smallest,
        values.map(|value| (((value - smallest) * inverse + 0.5) as u8).min(top)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_lie_where_the_layout_says() {
        let mut levels = [0; 32];
        (levels[0], levels[1], levels[16], levels[31]) = (0x1f, 0x02, 0x0a, 0x13);
        let (mut low, mut high) = ([0; 16], [0; 4]);
        pack_low(&levels, &mut low);
        pack_high(&levels, &mut high);
        assert_eq!((low[0], low[1], low[15]), (0xaf, 0x02, 0x30));
        assert_eq!(high, [0x01, 0, 0, 0x80]);
        assert_eq!(unpack(&low, &high), levels);
        assert_eq!(unpack_low(&low), levels.map(|level| level & 0xf));
    }

    #[test]
    fn the_largest_magnitude_is_level_0() {
        let mut values = [0.0; 32];
        (values[0], values[1], values[2], values[3]) = (-4.0, 4.0, 0.2, 0.3);
        let (d, levels) = around_zero(&values, 8);
        assert_eq!(d, 0.5);
        // -4 / 0.5 + 8 = 0; 4 would be 16 and is cut to 15; 0.2 is 8.4, 0.3 is 8.6.
        assert_eq!(levels[..5], [0, 15, 8, 9, 8]);
        let (d, levels) = around_zero(&values.map(|value| -value), 8);
        assert_eq!((d, levels[0], levels[1]), (-0.5, 0, 15));
        assert_eq!(around_zero(&[0.0; 32], 8), (-0.0, [8; 32]));
    }

    #[test]
    fn the_smallest_is_level_0() {
        let mut values = [1.0; 32];
        (values[0], values[1], values[2]) = (-2.0, 5.5, 0.2);
        let (d, smallest, levels) = from_smallest(&values, 15);
        assert_eq!((d, smallest), (0.5, -2.0));
        assert_eq!(levels[..4], [0, 15, 4, 6]); // 2.2 / 0.5 = 4.4
        assert_eq!(from_smallest(&[3.0; 32], 15), (0.0, 3.0, [0; 32]));
    }
}
