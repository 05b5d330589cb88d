//! The percentile bootstrap, seeded and counter-based: any resample can be drawn on any thread and is always the same one.

use rayon::prelude::*;
use statrs::distribution::{ContinuousCDF, Normal, StudentsT};

use super::random::{below, splitmix};
use super::{Groups, Interval};

/// Resamples behind every bootstrap interval.
pub const RESAMPLES: usize = 10_000;

/// The 95 % percentile interval of a statistic over `n` items.
///
/// `statistic` gets the indices of one resample (`n` of them, drawn with replacement). For a paired difference it computes both sides on the
/// same indices. Deterministic in `seed`; the number of threads plays no part. Both ends are `NaN` when the statistic is not a number on
/// any resample, and without items.
pub fn bootstrap(n: usize, seed: u64, statistic: impl Fn(&[u32]) -> f64 + Sync) -> Interval {
    match Resamples::draw(&Groups::alone(n), seed, statistic) {
        Some(resamples) => resamples.percentiles(0.025),
        None => Interval::NAN,
    }
}

/// What a statistic is on every resample.
#[derive(Clone, Debug, PartialEq)]
pub struct Resamples {
    /// In rising order; never `NaN`.
    values: Vec<f64>,
    n_units: usize,
}

impl Resamples {
    /// Draws units with replacement, as many as there are, each with all of its items (the cluster bootstrap; without groups the ordinary one).
    ///
    /// `None` without units, and where the statistic is not a number on some resample.
    pub fn draw(
        groups: &Groups,
        seed: u64,
        statistic: impl Fn(&[u32]) -> f64 + Sync,
    ) -> Option<Self> {
        let (units, n_units) = (groups.units(), groups.n());
        if n_units == 0 {
            return None;
        }
        let mut values: Vec<f64> = (0..RESAMPLES as u64)
            .into_par_iter()
            .map_init(
                || Vec::with_capacity(groups.n_items()),
                |draw, resample| {
                    let key = splitmix(seed, resample);
                    draw.clear();
                    for i in 0..n_units as u64 {
                        let unit = below(splitmix(key, i), n_units);
                        draw.extend_from_slice(&units[unit as usize]);
                    }
                    statistic(draw)
                },
            )
            .collect();
        if values.iter().any(|value| value.is_nan()) {
            return None;
        }
        values.sort_by(f64::total_cmp);
        Some(Self { values, n_units })
    }

    /// The interval with a share of `tail` of the resamples beyond either end.
    pub fn percentiles(&self, tail: f64) -> Interval {
        Interval {
            low: quantile(&self.values, tail),
            high: quantile(&self.values, 1.0 - tail),
        }
    }

    /// The interval with an error of `tail` at either end, wider than [`Self::percentiles`] where units are few.
    ///
    /// Percentiles of a mean are too narrow by `sqrt((n - 1) / n)` and by what a normal distribution is narrower than Student's; this takes
    /// the percentiles that make up for it (the expanded percentile interval: Hesterberg, The American Statistician 69, 2015).
    pub fn expanded(&self, tail: f64) -> Interval {
        self.percentiles(self.expanded_tail(tail))
    }

    /// The p-value against "the statistic is at most `limit`": the smallest tail of [`Self::expanded`] whose lower end is not above it.
    /// Never below what this many resamples can show.
    pub fn p_above(&self, limit: f64) -> f64 {
        self.p(self.values.partition_point(|value| *value <= limit))
    }

    /// The p-value against "the statistic is at least `limit`".
    pub fn p_below(&self, limit: f64) -> f64 {
        let below = self.values.partition_point(|value| *value < limit);
        self.p(self.values.len() - below)
    }

    /// The standard deviation of the statistic from resample to resample: its standard error.
    pub fn standard_error(&self) -> f64 {
        let n = self.values.len() as f64;
        let mean = self.values.iter().sum::<f64>() / n;
        let squares = self.values.iter().map(|value| (value - mean).powi(2));
        (squares.sum::<f64>() / (n - 1.0)).sqrt()
    }

    fn expanded_tail(&self, tail: f64) -> f64 {
        match student(self.n_units) {
            Some((student, stretch)) => {
                Normal::standard().cdf(stretch * student.inverse_cdf(tail))
            }
            None => 0.0,
        }
    }

    fn p(&self, beyond: usize) -> f64 {
        let share = (beyond + 1) as f64 / (self.values.len() + 1) as f64;
        match student(self.n_units) {
            _ if share >= 1.0 => 1.0,
            Some((student, stretch)) => {
                student.cdf(Normal::standard().inverse_cdf(share) / stretch)
            }
            None => 1.0,
        }
    }
}

/// Student's distribution for the mean of so many units, and how much wider than the bootstrap's the error of that mean is. `None` for one unit, whose
/// error nothing tells.
fn student(n_units: usize) -> Option<(StudentsT, f64)> {
    let freedom = n_units.checked_sub(1)? as f64;
    let student = StudentsT::new(0.0, 1.0, freedom).ok()?;
    Some((student, (n_units as f64 / freedom).sqrt()))
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

#[cfg(test)]
mod tests {
    use super::*;

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

    /// Fifty groups of four equal rows tell what fifty rows do: the counts are four times the binomial above.
    #[test]
    fn rows_of_one_group_are_drawn_together() {
        let groups = Groups::of((0..200).map(|row| row / 4));
        let count = |draw: &[u32]| draw.iter().filter(|i| **i < 80).count() as f64;
        let resamples = Resamples::draw(&groups, 42, count).unwrap();
        let expected = Interval {
            low: 52.0,
            high: 108.0,
        };
        assert_eq!(resamples.percentiles(0.025), expected);
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

    /// The p-value and the interval are two sides of one thing.
    #[test]
    fn the_interval_leaves_out_what_the_p_value_refuses() {
        let mean = |draw: &[u32]| draw.iter().map(|i| f64::from(*i).sqrt()).sum::<f64>() / 12.0;
        let resamples = Resamples::draw(&Groups::alone(12), 1, mean).unwrap();
        let interval = resamples.expanded(0.05);
        assert!((resamples.p_above(interval.low) - 0.05).abs() < 2e-3);
        assert!((resamples.p_below(interval.high) - 0.05).abs() < 2e-3);
        assert!(interval.low < resamples.percentiles(0.05).low);
        assert_eq!(resamples.p_above(9.0), 1.0);
    }

    /// `numpy.std(values) / sqrt(12)` is the bootstrap's standard error of a mean without resampling.
    #[test]
    fn the_standard_error_of_a_mean_is_known() {
        let mean = |draw: &[u32]| draw.iter().map(|i| f64::from(*i)).sum::<f64>() / 12.0;
        let resamples = Resamples::draw(&Groups::alone(12), 1, mean).unwrap();
        let expected = (143.0f64 / 12.0).sqrt() / 12.0f64.sqrt();
        assert!((resamples.standard_error() / expected - 1.0).abs() < 0.02);
    }

    #[test]
    fn one_unit_shows_nothing() {
        let groups = Groups::of([0, 0, 0]);
        let mean = |draw: &[u32]| draw.iter().map(|i| f64::from(*i)).sum::<f64>();
        let resamples = Resamples::draw(&groups, 1, mean).unwrap();
        assert_eq!((resamples.p_above(-9.0), resamples.p_below(9.0)), (1.0, 1.0));
    }
}
