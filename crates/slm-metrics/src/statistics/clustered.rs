//! What right and wrong answers are worth when rows share a group.

use statrs::distribution::{ContinuousCDF, StudentsT};

use super::{Groups, Interval, clopper_pearson};

/// A clustered sample of right and wrong answers, as a sample of independent ones that tells as much.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EffectiveSample {
    /// Right answers; the share of `n` is that of the items.
    pub successes: f64,
    /// Independent items; never more than there are.
    pub n: f64,
}

impl EffectiveSample {
    /// The sample size over the design effect, corrected for the number of groups (Korn and Graubard, Survey Methodology 24, 1998).
    ///
    /// The variance of the share comes from the differences between the groups, by linearisation. Where it is zero, as when all answers are right, every
    /// group counts as one item. Without groups nothing changes.
    pub fn of(right: &[bool], groups: &Groups) -> Self {
        let (items, units) = (right.len() as f64, groups.n() as f64);
        let successes = right.iter().filter(|right| **right).count() as f64;
        if !groups.is_clustered() {
            return Self {
                successes,
                n: items,
            };
        }
        let share = successes / items;
        let residuals = groups.units().iter().map(|unit| {
            let right = unit.iter().filter(|item| right[**item as usize]).count();
            (right as f64 - share * unit.len() as f64) / items
        });
        let spread = residuals.map(|residual| residual * residual).sum::<f64>();
        let variance = units / (units - 1.0) * spread;
        let simple = share * (1.0 - share) / variance;
        let n = match variance > 0.0 {
            true => simple * (t(items) / t(units)).powi(2),
            false => units,
        };
        let n = n.min(items);
        Self {
            successes: share * n,
            n,
        }
    }

    /// The exact interval of the share, with an error of `tail` at either end.
    pub fn interval(self, tail: f64) -> Interval {
        clopper_pearson(self.successes, self.n, tail)
    }
}

/// The 97.5 % point of Student's distribution for the mean of `n` values.
fn t(n: f64) -> f64 {
    StudentsT::new(0.0, 1.0, n - 1.0).map_or(f64::INFINITY, |student| student.inverse_cdf(0.975))
}
