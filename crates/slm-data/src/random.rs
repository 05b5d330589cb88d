//! Random numbers from (seed, purpose, what they are for), never from a global stream: the same ones in a resumed run.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use sha2::{Digest, Sha256};

/// SHA-256 of parts, each preceded by its length so that no two lists of parts collide.
fn key(purpose: &str, seed: u64, parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in [purpose.as_bytes(), &seed.to_le_bytes()]
        .iter()
        .chain(parts)
    {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}

/// 64 bits that depend on everything given and look uniform.
pub(crate) fn bits(purpose: &str, seed: u64, parts: &[&[u8]]) -> u64 {
    let mut first = [0; 8];
    first.copy_from_slice(&key(purpose, seed, parts)[..8]);
    u64::from_le_bytes(first)
}

/// A number in `[0, 1)` that depends on everything given.
pub(crate) fn fraction(purpose: &str, seed: u64, parts: &[&[u8]]) -> f64 {
    (bits(purpose, seed, parts) >> 11) as f64 / (1u64 << 53) as f64
}

/// A permutation of `0..n` (Fisher-Yates over ChaCha8).
pub(crate) fn permutation(n: usize, purpose: &str, seed: u64, epoch: usize) -> Vec<usize> {
    let mut rng = ChaCha8Rng::from_seed(key(purpose, seed, &[&(epoch as u64).to_le_bytes()]));
    let mut order: Vec<usize> = (0..n).collect();
    for last in (1..n).rev() {
        order.swap(last, below(&mut rng, last as u64 + 1) as usize);
    }
    order
}

/// A number in `0..n` without bias: draws from the incomplete last cycle of `n` are thrown away.
fn below(rng: &mut ChaCha8Rng, n: u64) -> u64 {
    let limit = u64::MAX - u64::MAX % n;
    loop {
        let draw = rng.next_u64();
        if draw < limit {
            return draw % n;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fractions_are_in_range_and_spread() {
        let draws: Vec<f64> = (0..10_000u32)
            .map(|i| fraction("t", 1, &[&i.to_le_bytes()]))
            .collect();
        assert!(draws.iter().all(|draw| (0.0..1.0).contains(draw)));
        let mean = draws.iter().sum::<f64>() / 10_000.0;
        assert!((mean - 0.5).abs() < 0.02, "{mean}");
    }

    #[test]
    fn parts_do_not_run_together() {
        assert_ne!(bits("t", 1, &[b"ab", b"c"]), bits("t", 1, &[b"a", b"bc"]));
    }

    #[test]
    fn a_permutation_holds_everything_once_and_depends_on_seed_and_epoch() {
        let one = permutation(100, "t", 1, 0);
        let mut sorted = one.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, (0..100).collect::<Vec<_>>());
        assert_eq!(one, permutation(100, "t", 1, 0));
        assert_ne!(one, permutation(100, "t", 1, 1));
        assert_ne!(one, permutation(100, "t", 2, 0));
    }
}
