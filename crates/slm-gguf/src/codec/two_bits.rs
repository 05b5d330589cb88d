//! The lower two bits of 256 levels, in 64 bytes, as Q2_K and Q3_K store them.
//!
//! Each half of 128 elements takes 32 bytes; element `i` of its four quarters of 32 lies in byte `i`, the first quarter's bits
//! lowest.

/// Packs the lower two bits of each level.
pub(super) fn pack(levels: &[u8; 256], packed: &mut [u8]) {
    let halves = levels.as_chunks::<128>().0.iter();
    for (levels, packed) in halves.zip(packed.as_chunks_mut::<32>().0) {
        for (i, byte) in packed.iter_mut().enumerate() {
            let bits = |quarter: usize| (levels[32 * quarter + i] & 3) << (2 * quarter);
            *byte = bits(0) | bits(1) | bits(2) | bits(3);
        }
    }
}

/// The lower two bits of each level.
pub(super) fn unpack(packed: &[u8]) -> [u8; 256] {
    let mut levels = [0; 256];
    for (i, quarter) in levels.as_chunks_mut::<32>().0.iter_mut().enumerate() {
        for (level, byte) in quarter.iter_mut().zip(&packed[i / 4 * 32..]) {
            *level = byte >> (i % 4 * 2) & 3;
        }
    }
    levels
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_lead_back() {
        let mut levels = [0; 256];
        (levels[0], levels[32], levels[96], levels[128 + 65]) = (3, 1, 2, 0b111);
        let mut packed = [0xee; 64];
        pack(&levels, &mut packed);
        assert_eq!(
            (packed[0], packed[1], packed[33]),
            (0b10_00_01_11, 0, 0b00_11_00_00)
        );
        levels[128 + 65] = 3;
        assert_eq!(unpack(&packed), levels);
    }
}
