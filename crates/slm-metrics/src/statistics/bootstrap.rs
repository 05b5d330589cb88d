//! The percentile bootstrap, seeded and counter-based: any resample can be drawn on any thread and is always the same one.

use rayon::prelude::*;

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
    match Resamples::draw(&Groups::alone(n), RESAMPLES, seed, statistic) {
        Some(resamples) => resamples.percentiles(0.025),
        None => Interval::NAN,
    }
}

/// What a statistic is on every resample, and how far that is off in standard errors of the resample.
#[derive(Clone, Debug, PartialEq)]
pub struct Resamples {
    /// In rising order; never `NaN`.
    values: Vec<f64>,
    /// The same less what was observed, over the resample's own standard error, in rising order.
    distances: Vec<f64>,
    /// Resamples without a spread of their own, which count at either end.
    spreadless: usize,
    observed: f64,
    standard_error: f64,
}

impl Resamples {
    /// Draws units with replacement, as many as there are, each with all of its items (the cluster bootstrap; without groups the ordinary one), `count` times.
    ///
    /// `None` without units, and where the statistic is not a number on some resample or without some unit.
    pub fn draw(
        groups: &Groups,
        count: usize,
        seed: u64,
        statistic: impl Fn(&[u32]) -> f64 + Sync,
    ) -> Option<Self> {
        let (units, n_units) = (groups.units(), groups.n());
        if n_units == 0 {
            return None;
        }
        let influence = influence(groups, &statistic);
        let observed = statistic(&units.concat());
        let drawn: Vec<(f64, f64)> = (0..count as u64)
            .into_par_iter()
            .map_init(
                || (Vec::new(), Vec::new()),
                |(items, influences), resample| {
                    let key = splitmix(seed, resample);
                    items.clear();
                    influences.clear();
                    for i in 0..n_units as u64 {
                        let unit = below(splitmix(key, i), n_units) as usize;
                        items.extend_from_slice(&units[unit]);
                        influences.push(influence[unit]);
                    }
                    (statistic(items), error_of(influences))
                },
            )
            .collect();
        if drawn
            .iter()
            .any(|(value, error)| value.is_nan() || error.is_nan())
        {
            return None;
        }
        let spread = drawn.iter().filter(|(_, error)| *error > 0.0);
        let distances: Vec<f64> = spread
            .map(|(value, error)| (value - observed) / error)
            .collect();
        Some(Self {
            spreadless: count - distances.len(),
            distances: sorted(distances),
            values: sorted(drawn.into_iter().map(|(value, _)| value).collect()),
            observed,
            standard_error: error_of(&influence),
        })
    }

    /// The interval with a share of `tail` of the resamples beyond either end.
    pub fn percentiles(&self, tail: f64) -> Interval {
        Interval {
            low: quantile(&self.values, tail),
            high: quantile(&self.values, 1.0 - tail),
        }
    }

    /// The interval with an error of `tail` at either end: the bootstrap-t (Efron and Tibshirani, An Introduction to the Bootstrap, 1993, section 12.5), with standard
    /// errors by the jackknife. Unlike [`Self::percentiles`] it is honest at one end where the statistic is skewed or units are few.
    pub fn studentized(&self, tail: f64) -> Interval {
        let share = tail - self.spreadless as f64 / self.values.len() as f64;
        if share <= 0.0 || self.distances.is_empty() {
            return Interval {
                low: f64::NEG_INFINITY,
                high: f64::INFINITY,
            };
        }
        let share = share * self.values.len() as f64 / self.distances.len() as f64;
        let end = |q| self.observed - quantile(&self.distances, q) * self.standard_error;
        Interval {
            low: end(1.0 - share),
            high: end(share),
        }
    }

    /// The p-value against "the statistic is at most `limit`": the smallest tail of [`Self::studentized`] whose lower end is above it.
    /// Never below what so many resamples can show.
    pub fn p_above(&self, limit: f64) -> f64 {
        let far = (self.observed - limit) / self.standard_error;
        let nearer = self.distances.partition_point(|distance| *distance < far);
        self.p(self.distances.len() - nearer, far)
    }

    /// The p-value against "the statistic is at least `limit`".
    pub fn p_below(&self, limit: f64) -> f64 {
        let far = (self.observed - limit) / self.standard_error;
        self.p(
            self.distances.partition_point(|distance| *distance <= far),
            far,
        )
    }

    /// The standard error of the statistic, by the jackknife over units.
    pub fn standard_error(&self) -> f64 {
        self.standard_error
    }

    fn p(&self, beyond: usize, far: f64) -> f64 {
        if far.is_nan() {
            return 1.0;
        }
        (beyond + self.spreadless + 1) as f64 / (self.values.len() + 1) as f64
    }
}

/// What each unit adds to the statistic: its pseudo-value but for a constant, by leaving it out. Of a single unit nothing is known.
fn influence(groups: &Groups, statistic: &(impl Fn(&[u32]) -> f64 + Sync)) -> Vec<f64> {
    let units = groups.units();
    if let [_] = units {
        return vec![0.0];
    }
    let without: Vec<f64> = (0..units.len())
        .into_par_iter()
        .map(|left_out| {
            let kept = units.iter().enumerate().filter(|(i, _)| *i != left_out);
            statistic(&kept.flat_map(|(_, unit)| unit).copied().collect::<Vec<_>>())
        })
        .collect();
    let n = units.len() as f64;
    without
        .into_iter()
        .map(|value| -(n - 1.0) * value)
        .collect()
}

/// The standard error of the mean of pseudo-values; 0 where they are all the same but for rounding.
fn error_of(values: &[f64]) -> f64 {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let squares = values
        .iter()
        .map(|value| (value - mean).powi(2))
        .sum::<f64>();
    let error = (squares / (n * (n - 1.0).max(1.0))).sqrt();
    if error > 1e-12 * mean.abs() {
        error
    } else {
        0.0 * error
    }
}

fn sorted(mut values: Vec<f64>) -> Vec<f64> {
    values.sort_by(f64::total_cmp);
    values
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
        let resamples = Resamples::draw(&groups, RESAMPLES, 42, count).unwrap();
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
        let mean = |draw: &[u32]| {
            draw.iter().map(|i| f64::from(*i).sqrt()).sum::<f64>() / draw.len() as f64
        };
        let resamples = Resamples::draw(&Groups::alone(12), RESAMPLES, 1, mean).unwrap();
        let interval = resamples.studentized(0.05);
        assert!((resamples.p_above(interval.low) - 0.05).abs() < 2e-3);
        assert!((resamples.p_below(interval.high) - 0.05).abs() < 2e-3);
        assert!(resamples.p_above(9.0) > 0.99);
    }

    /// The jackknife's standard error of a mean is the textbook's, and for groups that of the sums of groups.
    #[test]
    fn the_standard_error_of_a_mean_is_known() {
        let mean =
            |draw: &[u32]| draw.iter().map(|i| f64::from(*i)).sum::<f64>() / draw.len() as f64;
        let resamples = Resamples::draw(&Groups::alone(12), RESAMPLES, 1, mean).unwrap();
        // Of 0 to 11 the sum of squares about the mean is 143.
        let expected = (143.0f64 / 11.0 / 12.0).sqrt();
        assert!((resamples.standard_error() - expected).abs() < 1e-12);
    }

    #[test]
    fn one_unit_shows_nothing() {
        let groups = Groups::of([0, 0, 0]);
        let mean = |draw: &[u32]| draw.iter().map(|i| f64::from(*i)).sum::<f64>();
        let resamples = Resamples::draw(&groups, RESAMPLES, 1, mean).unwrap();
        assert_eq!(
            (resamples.p_above(-9.0), resamples.p_below(9.0)),
            (1.0, 1.0)
        );
    }
}
