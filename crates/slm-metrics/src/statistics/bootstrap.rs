//! The percentile bootstrap, seeded and counter-based: any resample can be drawn on any thread and is always the same one.

use rayon::prelude::*;

use super::Interval;

/// Resamples behind every bootstrap interval.
pub const RESAMPLES: usize = 10_000;

/// The 95 % percentile interval of a statistic over `n` items.
///
/// `statistic` gets the indices of one resample (`n` of them, drawn with replacement). For a paired difference it computes both sides on the
/// same indices. Deterministic in `seed`; the number of threads plays no part. Both ends are `NaN` when the statistic is not a number on
/// any resample, and without items.
pub fn bootstrap(n: usize, seed: u64, statistic: impl Fn(&[u32]) -> f64 + Sync) -> Interval {
    if n == 0 {
        return Interval::NAN;
    }
    let mut values: Vec<f64> = (0..RESAMPLES as u64)
        .into_par_iter()
        .map_init(
            || vec![0u32; n],
            |draw, resample| {
                let key = splitmix(seed, resample);
                for (i, slot) in draw.iter_mut().enumerate() {
                    *slot = below(splitmix(key, i as u64), n);
                }
                statistic(draw)
            },
        )
        .collect();
    if values.iter().any(|value| value.is_nan()) {
        return Interval::NAN;
    }
    values.sort_by(f64::total_cmp);
    Interval {
        low: quantile(&values, 0.025),
        high: quantile(&values, 0.975),
    }
}

/// The `q` quantile of sorted values, linear between neighbours as numpy's default. `NaN` for no values.
fn quantile(sorted: &[f64], q: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else {
        return f64::NAN;
    };
    let place = q * last as f64;
    let below = place.floor() as usize;
    let (a, b) = (sorted[below], sorted[(below + 1).min(last)]);
    if a == b {
        a
    } else {
        a + (b - a) * (place - below as f64)
    }
}

/// The `counter`-th output of the SplitMix64 generator with this state (Steele, Lea and Flood 2014).
fn splitmix(state: u64, counter: u64) -> u64 {
    let mut z = state.wrapping_add(0x9E37_79B9_7F4A_7C15u64.wrapping_mul(counter.wrapping_add(1)));
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// A number below `n` from 64 random bits, by multiplication (Lemire 2019; its bias at n < 2^32 is below 2^-32).
fn below(bits: u64, n: usize) -> u32 {
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

    #[test]
    fn quantile_agrees_with_numpy() {
        // numpy.quantile([1, 2, 4, 8, 16, 32], q), numpy 2.4.6: 1.5 and 30.0 by the same rule.
        let values = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0];
        assert_eq!(quantile(&values, 0.1), 1.5);
        assert!((quantile(&values, 0.975) - 30.0).abs() < 1e-12);
        assert_eq!(quantile(&[3.0], 0.975), 3.0);
        assert!(quantile(&[], 0.5).is_nan());
    }

    /// The bootstrap of a share is a binomial, so its percentiles are known: scipy 1.17.1, `binom.ppf([.025, .975], 50, .4)` = 13 and 27,
    /// `binom.ppf([.025, .975], 200, .1)` = 12 and 29.
    #[test]
    fn resamples_of_a_share_are_binomial() {
        for (n, successes, low, high) in [(50, 20, 13.0, 27.0), (200, 20, 12.0, 29.0)] {
            let interval = bootstrap(n, 42, |draw| {
                draw.iter().filter(|i| (**i as usize) < successes).count() as f64
            });
            assert_eq!(interval, Interval { low, high });
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_interval() {
        let mean = |draw: &[u32]| draw.iter().map(|i| f64::from(*i).sqrt()).sum::<f64>();
        assert_eq!(bootstrap(30, 7, mean), bootstrap(30, 7, mean));
        assert_ne!(bootstrap(30, 7, mean), bootstrap(30, 8, mean));
    }

    #[test]
    fn nothing_to_resample_is_no_interval() {
        assert!(bootstrap(0, 1, |_| 0.0).low.is_nan());
        assert!(bootstrap(3, 1, |_| f64::NAN).high.is_nan());
    }
}
