//! Random bits by number, not by turn: the same on any thread.

/// The `counter`-th output of the SplitMix64 generator with this state (Steele, Lea and Flood 2014).
pub(super) fn splitmix(state: u64, counter: u64) -> u64 {
    let mut z = state.wrapping_add(0x9E37_79B9_7F4A_7C15u64.wrapping_mul(counter.wrapping_add(1)));
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// A number below `n` from 64 random bits, by multiplication (Lemire 2019; its bias at n < 2^32 is below 2^-32).
pub(super) fn below(bits: u64, n: usize) -> u32 {
    ((u128::from(bits) * n as u128) >> 64) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splitmix_gives_the_published_stream() {
        // The reference implementation's first outputs for seed 0 (Vigna, splitmix64.c).
        assert_eq!(splitmix(0, 0), 0xE220_A839_7B1D_CDAF);
        assert_eq!(splitmix(0, 1), 0x6E78_9E6A_A1B9_65F4);
        assert_eq!(splitmix(0, 2), 0x06C4_5D18_8009_454F);
    }
}
