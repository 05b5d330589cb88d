//! Two models on the same items: is the difference chance?

/// The exact two-sided McNemar p-value of two paired right/wrong records.
///
/// Only the items on which the two disagree tell anything: `gained` were wrong and became right, `lost` were right and became wrong.
/// If the two were equally good, each of them would be a fair coin, so the p-value is twice the binomial tail of the smaller count, at most 1.
/// Without a disagreement it is 1.
pub fn mcnemar_exact(gained: usize, lost: usize) -> f64 {
    let n = gained + lost;
    // ln C(n, i) - n ln 2, from one i to the next, so that thousands of items neither overflow nor underflow.
    let mut ln_term = -(n as f64) * std::f64::consts::LN_2;
    let mut tail = ln_term.exp();
    for i in 1..=gained.min(lost) {
        ln_term += ((n - i + 1) as f64 / i as f64).ln();
        tail += ln_term.exp();
    }
    (2.0 * tail).min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `statsmodels.stats.contingency_tables.mcnemar(table, exact=True).pvalue`, statsmodels 0.15.0, scipy 1.17.1.
    #[test]
    fn agrees_with_statsmodels() {
        for (gained, lost, p) in [
            (5, 0, 0.0625),
            (1, 9, 0.021484375),
            (12, 2, 0.012939453125),
            (400, 350, 0.07350777405843484),
            (7, 7, 1.0),
            (3000, 2800, 0.00896943600119357),
        ] {
            let found = mcnemar_exact(gained, lost);
            assert!(
                (found - p).abs() < 1e-10,
                "{gained} against {lost}: {found}"
            );
        }
    }

    #[test]
    fn two_models_that_agree_do_not_differ() {
        assert_eq!(mcnemar_exact(0, 0), 1.0);
    }
}
