use std::sync::LazyLock;

use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::Shingles;
use crate::random::bits;

/// Hash functions of a signature.
const HASHES: usize = 128;
/// Share of the rows that are exactly as similar as the threshold and may be missed.
const MISSED: f64 = 1e-3;

/// Factor (odd) and summand of each hash function (multiply-shift, Dietzfelbinger et al. 1997).
static FUNCTIONS: LazyLock<Vec<(u64, u64)>> = LazyLock::new(|| {
    let draw = |what: &[u8], i: usize| bits("minhash", 0, &[what, &(i as u64).to_le_bytes()]);
    (0..HASHES)
        .map(|i| (draw(b"factor", i) | 1, draw(b"summand", i)))
        .collect()
});

/// The least value of each hash function over the shingles of a row: two rows share each with the probability of their Jaccard
/// similarity (Broder 1997).
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Signature(Vec<u32>);

impl Signature {
    pub(super) fn of(shingles: &Shingles) -> Self {
        let least = |(factor, summand): &(u64, u64)| {
            let hash =
                |shingle: &u64| (shingle.wrapping_mul(*factor).wrapping_add(*summand) >> 32) as u32;
            shingles.hashes().iter().map(hash).min().unwrap_or(u32::MAX)
        };
        Self(FUNCTIONS.iter().map(least).collect())
    }
}

/// How a signature is cut into bands; rows that share one are candidates.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Banding {
    hashes_per_band: usize,
}

impl Banding {
    /// The longest bands, and so the fewest candidates, that miss few enough at the threshold.
    pub(super) fn for_threshold(threshold: f64) -> Self {
        let missed = |hashes: usize| {
            let bands = (HASHES / hashes) as i32;
            (1.0 - threshold.powi(hashes as i32)).powi(bands)
        };
        let longest = (1..=8).rev().find(|hashes| missed(*hashes) <= MISSED);
        Self {
            hashes_per_band: longest.unwrap_or(1),
        }
    }

    pub(super) fn keys(self, signature: &Signature) -> impl Iterator<Item = u64> {
        let bands = signature.0.chunks_exact(self.hashes_per_band);
        bands.enumerate().map(|(number, band)| {
            let bytes: Vec<u8> = band.iter().flat_map(|hash| hash.to_le_bytes()).collect();
            xxh3_64_with_seed(&bytes, number as u64)
        })
    }
}

#[cfg(test)]
mod tests {
    use slm_recipe::Shingle;

    use super::*;

    #[test]
    fn bands_by_hand() {
        // 0.85^7 = 0.3206, (1 - 0.3206)^18 = 0.00095; with 8: (1 - 0.2725)^16 = 0.0062.
        for (threshold, hashes_per_band) in [(1.0, 8), (0.85, 7), (0.8, 5), (0.5, 2)] {
            assert_eq!(
                Banding::for_threshold(threshold),
                Banding { hashes_per_band }
            );
        }
    }

    #[test]
    fn equal_hashes_estimate_the_similarity() {
        let text = |from: usize| {
            let numbers: Vec<String> = (from..from + 1000).map(|i| i.to_string()).collect();
            Shingles::of_text(&numbers.join(" "), Shingle::Words, 1)
        };
        let (one, other) = (text(0), text(250));
        assert_eq!(one.jaccard(&other), 0.6);
        let (left, right) = (Signature::of(&one), Signature::of(&other));
        let equal = left.0.iter().zip(&right.0).filter(|(a, b)| a == b).count();
        // The standard deviation is sqrt(128 * 0.6 * 0.4) = 5.5.
        assert!((60..=93).contains(&equal), "{equal}");
    }
}
