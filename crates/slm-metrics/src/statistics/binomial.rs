//! Exact statements about one proportion.

use statrs::function::beta::beta_reg;

use super::Interval;

/// Halvings that bring an interval of 1 below the precision of its ends.
const HALVINGS: usize = 60;

/// The probability of at least `k` successes in `n` draws of probability `p`.
///
/// `k` and `n` may be fractions, as effective sizes of clustered samples are: the regularised beta function lies between the binomial's steps.
pub fn at_least(k: f64, n: f64, p: f64) -> f64 {
    if k <= 0.0 || p >= 1.0 {
        f64::from(k <= n)
    } else if k > n || p <= 0.0 {
        0.0
    } else {
        beta_reg(k, n - k + 1.0, p)
    }
}

/// The probability of at most `k` successes.
pub fn at_most(k: f64, n: f64, p: f64) -> f64 {
    at_least(n - k, n, 1.0 - p)
}

/// The exact interval of a proportion with an error of at most `tail` at either end (Clopper and Pearson 1934). `[0, 1]` without items.
pub fn clopper_pearson(k: f64, n: f64, tail: f64) -> Interval {
    Interval {
        low: if k > 0.0 {
            root(|p| at_least(k, n, p) - tail)
        } else {
            0.0
        },
        high: if k < n {
            root(|p| tail - at_most(k, n, p))
        } else {
            1.0
        },
    }
}

/// Where a rising function of a probability crosses zero.
pub(super) fn root(rising: impl Fn(f64) -> f64) -> f64 {
    let (mut low, mut high) = (0.0, 1.0);
    for _ in 0..HALVINGS {
        let middle = (low + high) / 2.0;
        if rising(middle) < 0.0 {
            low = middle;
        } else {
            high = middle;
        }
    }
    (low + high) / 2.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn impossible_and_certain_counts() {
        assert_eq!(at_least(0.0, 5.0, 0.3), 1.0);
        assert_eq!(at_least(6.0, 5.0, 0.3), 0.0);
        assert_eq!(at_least(5.0, 5.0, 1.0), 1.0);
        assert_eq!(at_least(1.0, 5.0, 0.0), 0.0);
        assert_eq!(at_most(5.0, 5.0, 0.3), 1.0);
        assert!((at_most(0.0, 5.0, 0.3) - 0.7f64.powi(5)).abs() < 1e-14);
    }

    #[test]
    fn knows_nothing_without_items() {
        let all = Interval {
            low: 0.0,
            high: 1.0,
        };
        assert_eq!(clopper_pearson(0.0, 0.0, 0.05), all);
    }
}
