//! The score interval of a difference of two proportions on the same items.

use super::{Interval, wilson};

/// How two right/wrong records of the same items agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Agreement {
    /// Right in both.
    pub both: usize,
    /// Right in the first alone.
    pub first_only: usize,
    /// Right in the second alone.
    pub second_only: usize,
    /// Right in neither.
    pub neither: usize,
}

impl Agreement {
    /// Counts two records of the same items.
    ///
    /// # Panics
    /// When one is longer than the other.
    pub fn of(first: &[bool], second: &[bool]) -> Self {
        assert_eq!(first.len(), second.len(), "records of the same items");
        let count = |a: bool, b: bool| {
            let pairs = first.iter().zip(second);
            pairs.filter(|(f, s)| **f == a && **s == b).count()
        };
        Self {
            both: count(true, true),
            first_only: count(true, false),
            second_only: count(false, true),
            neither: count(false, false),
        }
    }
}

/// The 95 % interval of the first share minus the second (Newcombe 1998, method 10): the two Wilson intervals, put together with the correlation of the pairs.
///
/// Unlike the bootstrap it has a width when the two agree on every item, and is honest with a handful of disagreements. Without items it is `[-1, 1]`.
pub fn newcombe(pairs: Agreement) -> Interval {
    let Agreement {
        both,
        first_only,
        second_only,
        neither,
    } = pairs;
    let n = both + first_only + second_only + neither;
    if n == 0 {
        return Interval {
            low: -1.0,
            high: 1.0,
        };
    }
    let share = |right: usize| right as f64 / n as f64;
    let (p1, p2) = (share(both + first_only), share(both + second_only));
    let (of1, of2) = (wilson(both + first_only, n), wilson(both + second_only, n));
    let phi = correlation(pairs, n);
    let half = |a: f64, b: f64| (a * a - 2.0 * phi * a * b + b * b).max(0.0).sqrt();
    Interval {
        low: p1 - p2 - half(p1 - of1.low, of2.high - p2),
        high: p1 - p2 + half(p2 - of2.low, of1.high - p1),
    }
}

/// The phi coefficient with Newcombe's continuity correction; 0 where one share is 0 or 1.
fn correlation(pairs: Agreement, n: usize) -> f64 {
    let [a, b, c, d] = [
        pairs.both,
        pairs.first_only,
        pairs.second_only,
        pairs.neither,
    ]
    .map(|count| count as f64);
    let denominator = ((a + b) * (c + d) * (a + c) * (b + d)).sqrt();
    if denominator == 0.0 {
        return 0.0;
    }
    let product = a * d - b * c;
    let corrected = if product > 0.0 {
        (product - n as f64 / 2.0).max(0.0)
    } else {
        product
    };
    corrected / denominator
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interval([both, first_only, second_only, neither]: [usize; 4]) -> Interval {
        newcombe(Agreement {
            both,
            first_only,
            second_only,
            neither,
        })
    }

    /// Method 10 as biostatUZH's `confIntPairedProportion` (R) has it, written in Python over
    /// `statsmodels.stats.proportion.proportion_confint(.., method="wilson")`, statsmodels 0.15.0. The first table is that function's own example.
    #[test]
    fn agrees_with_the_formula_over_statsmodels() {
        for (table, low, high) in [
            ([14, 5, 0, 22], 0.011483241383033221, 0.2264926843512112),
            ([1, 1, 7, 12], -0.506920226686141, -0.025559124164859837),
            ([59, 6, 16, 80], -0.11862119563870999, -0.004625113933050047),
            ([43, 0, 0, 12], -0.050408464660645254, 0.050408464660645254),
            ([0, 0, 4, 96], -0.09837071435887923, 0.004280850061827816),
            ([0, 0, 0, 50], -0.07134759913335874, 0.07134759913335874),
            ([20, 0, 0, 0], -0.16112515805281957, 0.16112515805281957),
            (
                [400, 30, 95, 476],
                -0.08641976167309413,
                -0.04328357298247043,
            ),
        ] {
            let found = interval(table);
            assert!((found.low - low).abs() < 1e-12, "{table:?}: {found:?}");
            assert!((found.high - high).abs() < 1e-12, "{table:?}: {found:?}");
        }
    }
}
