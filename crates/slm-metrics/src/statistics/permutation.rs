//! Two models on the same items, whatever the metric: would it matter which of the two answers is whose?

use rayon::prelude::*;

use super::random::splitmix;
use super::{Groups, RESAMPLES};

/// Values within so much of each other are ties: the same sum in another order.
const TIE: f64 = 1e-12;

/// The two-sided p-value of the paired permutation test.
///
/// If the two models were equally good, exchanging their answers on any unit would change nothing but the sign of what that unit adds. `difference`
/// gets, item by item, whether the two answers are exchanged, and gives the difference of the metric. All exchanges are tried where they are at most
/// [`RESAMPLES`] (13 units), else so many random ones, deterministic in `seed`, with the observed one counted among them. 1 without units, and where the
/// difference is not a number.
pub fn permutation(groups: &Groups, seed: u64, difference: impl Fn(&[bool]) -> f64 + Sync) -> f64 {
    let observed = difference(&vec![false; groups.n_items()]).abs();
    if groups.n() == 0 || observed.is_nan() {
        return 1.0;
    }
    let all = 1u64.checked_shl(groups.n() as u32).unwrap_or(u64::MAX);
    let is_exact = all <= RESAMPLES as u64;
    let rounds = if is_exact { all } else { RESAMPLES as u64 };
    let as_large = (0..rounds)
        .into_par_iter()
        .map_init(
            || vec![false; groups.n_items()],
            |exchanged, round| {
                let key = if is_exact {
                    round
                } else {
                    splitmix(seed, round)
                };
                for (i, unit) in groups.units().iter().enumerate() {
                    let bits = if is_exact {
                        key
                    } else {
                        splitmix(key, i as u64 / 64)
                    };
                    let flip = bits >> (i % 64) & 1 == 1;
                    unit.iter()
                        .for_each(|item| exchanged[*item as usize] = flip);
                }
                difference(exchanged).abs() >= observed - TIE * observed.max(1.0)
            },
        )
        .filter(|is_as_large| *is_as_large)
        .count() as f64;
    match is_exact {
        true => as_large / rounds as f64,
        false => (as_large + 1.0) / (rounds + 1) as f64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn p_of(differences: &[f64], groups: &Groups) -> f64 {
        permutation(groups, 42, |exchanged| {
            let signed = differences.iter().zip(exchanged);
            signed.map(|(d, flip)| if *flip { -d } else { *d }).sum()
        })
    }

    /// `scipy.stats.permutation_test((d,), sum, permutation_type="samples", n_resamples=inf)`, scipy 1.17.1.
    #[test]
    fn few_units_agree_with_scipy() {
        let d = [0.3, -0.1, 0.8, 0.4, -0.2, 0.5, 0.9, 0.05, 0.1, -0.4];
        assert_eq!(p_of(&d, &Groups::alone(10)), 0.126953125);
        let d = [0.3, -0.1, 0.8, 0.4, -0.2, 0.5, 0.9, 0.05];
        assert_eq!(p_of(&d, &Groups::alone(8)), 0.0625);
    }

    /// Six groups of two: what their sums give alone.
    #[test]
    fn a_group_is_exchanged_as_a_whole() {
        let sums = [0.4, -0.1, 0.6, 0.2, 0.9, 0.3];
        let halves: Vec<f64> = sums.iter().flat_map(|d| [d / 2.0, d / 2.0]).collect();
        let groups = Groups::of((0..12).map(|i| i / 2));
        assert_eq!(p_of(&halves, &groups), p_of(&sums, &Groups::alone(6)));
        assert!(p_of(&halves, &Groups::alone(12)) < p_of(&halves, &groups));
    }

    /// With differences of plus and minus one the test is McNemar's: the exact p-value within its sampling error.
    #[test]
    fn many_units_agree_with_the_binomial() {
        let d: Vec<f64> = (0..100).map(|i| if i < 60 { 1.0 } else { -1.0 }).collect();
        let exact = crate::statistics::mcnemar_exact(60, 40);
        assert!((p_of(&d, &Groups::alone(100)) - exact).abs() < 0.01);
    }

    #[test]
    fn no_difference_is_no_evidence() {
        assert_eq!(p_of(&[0.0; 5], &Groups::alone(5)), 1.0);
        assert_eq!(p_of(&[], &Groups::alone(0)), 1.0);
        assert_eq!(p_of(&[f64::NAN], &Groups::alone(1)), 1.0);
    }
}
