//! Random numbers from (seed, purpose): the same on every backend, in any order, and after a resume.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// A generator for one purpose, such as the name of the tensor that it fills.
pub(crate) fn stream(seed: u64, purpose: &str) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    // FNV-1a, so that a stream depends on the purpose's text alone and not on a hasher's version.
    let hash = purpose.bytes().fold(0xcbf2_9ce4_8422_2325u64, |h, b| {
        (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3)
    });
    rng.set_stream(hash);
    rng
}

/// Uniform in [0, 1), 24 bits.
pub(crate) fn unit(rng: &mut ChaCha8Rng) -> f32 {
    (rng.next_u32() >> 8) as f32 / (1u32 << 24) as f32
}

/// `n` values uniform in [-bound, bound).
pub(crate) fn uniform(seed: u64, purpose: &str, n: usize, bound: f32) -> Vec<f32> {
    let mut rng = stream(seed, purpose);
    (0..n)
        .map(|_| (unit(&mut rng) * 2.0 - 1.0) * bound)
        .collect()
}

/// `n` normal values with mean 0 (Box and Muller 1958).
pub(crate) fn normal(seed: u64, purpose: &str, n: usize, std: f32) -> Vec<f32> {
    let mut rng = stream(seed, purpose);
    let mut values = Vec::with_capacity(n + 1);
    while values.len() < n {
        let radius = (-2.0 * (1.0 - unit(&mut rng)).ln()).sqrt() * std;
        let angle = std::f32::consts::TAU * unit(&mut rng);
        values.push(radius * angle.cos());
        values.push(radius * angle.sin());
    }
    values.truncate(n);
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_differ_by_purpose_and_repeat_by_seed() {
        assert_eq!(uniform(1, "a", 4, 1.0), uniform(1, "a", 4, 1.0));
        assert_ne!(uniform(1, "a", 4, 1.0), uniform(1, "b", 4, 1.0));
        assert_ne!(uniform(1, "a", 4, 1.0), uniform(2, "a", 4, 1.0));
    }

    #[test]
    fn normal_values_have_their_moments() {
        let values = normal(3, "moments", 20_000, 0.5);
        let mean = values.iter().sum::<f32>() / 20_000.0;
        let variance = values.iter().map(|v| v * v).sum::<f32>() / 20_000.0;
        assert!(mean.abs() < 0.02, "mean {mean}");
        assert!((variance - 0.25).abs() < 0.01, "variance {variance}");
    }
}
