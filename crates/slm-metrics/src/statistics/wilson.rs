//! The score interval of a proportion.

use super::Interval;

/// The 97.5 % point of the standard normal distribution.
const Z_95: f64 = 1.959_963_984_540_054;

/// The 95 % score interval of a proportion (Wilson 1927): honest at 0, at 1 and for few items, where the textbook interval is not.
/// Without items it is `[0, 1]`.
pub fn wilson(successes: usize, n: usize) -> Interval {
    if n == 0 {
        return Interval {
            low: 0.0,
            high: 1.0,
        };
    }
    let (n_items, p) = (n as f64, successes as f64 / n as f64);
    let z2 = Z_95 * Z_95;
    let center = (p + z2 / (2.0 * n_items)) / (1.0 + z2 / n_items);
    let half = Z_95 / (1.0 + z2 / n_items)
        * (p * (1.0 - p) / n_items + z2 / (4.0 * n_items * n_items)).sqrt();
    // At the two ends the formula gives exactly 0 and 1 but for rounding.
    Interval {
        low: if successes == 0 {
            0.0
        } else {
            (center - half).max(0.0)
        },
        high: if successes == n {
            1.0
        } else {
            (center + half).min(1.0)
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `statsmodels.stats.proportion.proportion_confint(k, n, 0.05, "wilson")`, statsmodels 0.15.0, scipy 1.17.1.
    #[test]
    fn agrees_with_statsmodels() {
        for (k, n, low, high) in [
            (0, 10, 0.0, 0.27753279986288926),
            (10, 10, 0.7224672001371106, 1.0),
            (5, 10, 0.23659309051256394, 0.7634069094874361),
            (495, 1001, 0.4636133541543836, 0.525439645297978),
            (1, 1000, 0.00017654637062607765, 0.005642558597957937),
        ] {
            let interval = wilson(k, n);
            assert!((interval.low - low).abs() < 1e-12, "{k}/{n}: {interval:?}");
            assert!(
                (interval.high - high).abs() < 1e-12,
                "{k}/{n}: {interval:?}"
            );
        }
    }

    #[test]
    fn knows_nothing_without_items() {
        assert_eq!(
            wilson(0, 0),
            Interval {
                low: 0.0,
                high: 1.0
            }
        );
    }
}
