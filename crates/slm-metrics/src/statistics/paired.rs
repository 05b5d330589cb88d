//! A difference of two proportions on the same items, tested against any limit: exactly, whatever the number of items.

use rayon::prelude::*;
use statrs::distribution::{Binomial, ContinuousCDF, Discrete, Normal};

use super::binomial::{at_least, root};
use super::{Agreement, Interval};

/// Shares of disagreement that the exact test is taken over at first, before it looks closer around the worst of them.
const GRID: usize = 40;
/// Standard deviations of a count beyond which nothing is added up: less than 1e-14 of it.
const REACH: f64 = 8.0;

/// Items on which the two disagree, and how many there are in all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Discordance {
    /// Right in the first alone.
    pub gained: usize,
    /// Right in the second alone.
    pub lost: usize,
    /// All items.
    pub n: usize,
}

impl From<Agreement> for Discordance {
    fn from(pairs: Agreement) -> Self {
        Self {
            gained: pairs.first_only,
            lost: pairs.second_only,
            n: pairs.both + pairs.first_only + pairs.second_only + pairs.neither,
        }
    }
}

impl Discordance {
    /// The first share minus the second.
    pub fn difference(self) -> f64 {
        (self.gained as f64 - self.lost as f64) / self.n as f64
    }

    /// The share of items on which the two disagree.
    pub fn share(self) -> f64 {
        (self.gained + self.lost) as f64 / self.n as f64
    }

    /// The same with the two exchanged.
    pub fn mirrored(self) -> Self {
        Self {
            gained: self.lost,
            lost: self.gained,
            ..self
        }
    }

    /// The score statistic against a difference of `limit`: standard normal there (Tango, Statistics in Medicine 17, 1998).
    pub fn z(self, limit: f64) -> f64 {
        let [b, c, n] = [self.gained, self.lost, self.n].map(|count| count as f64);
        // The likeliest share of items that only the second has right, of those that leave the difference at the limit.
        let (p, q) = (
            -b - c + (2.0 * n - b + c) * limit,
            -c * limit * (1.0 - limit),
        );
        let lost = ((p * p - 8.0 * n * q).max(0.0).sqrt() - p) / (4.0 * n);
        let variance = n * (2.0 * lost + limit * (1.0 - limit));
        if variance > 0.0 {
            (b - c - n * limit) / variance.sqrt()
        } else {
            0.0
        }
    }

    /// The interval of the difference with an error of about `tail` at either end: all limits that the score statistic does not refuse.
    pub fn interval(self, tail: f64) -> Interval {
        let z = -Normal::standard().inverse_cdf(tail);
        let end = |z: f64| 2.0 * root(|at| z - self.z(2.0 * at - 1.0)) - 1.0;
        Interval {
            low: end(z),
            high: end(-z),
        }
    }

    /// The p-value against "the difference is at most `limit`".
    ///
    /// Against zero it is McNemar's exact one: given the items on which the two disagree, each is a fair coin. Against any other limit it is the exact unconditional
    /// one (Hsueh, Liu and Chen, Biometrics 57, 2001): the probability of a score statistic this large, at the share of disagreement for
    /// which it is largest. Never below the score statistic's own, so that an interval and a test agree.
    pub fn p_above(self, limit: f64) -> f64 {
        if self.n == 0 {
            return 1.0;
        }
        let z = self.z(limit);
        let score = 1.0 - Normal::standard().cdf(z);
        let exact = match limit {
            0.0 => at_least(self.gained as f64, (self.gained + self.lost) as f64, 0.5),
            _ => Region::beyond(z, limit, self.n).largest_error(),
        };
        exact.max(score)
    }
}

/// The counts for which a test says that the difference is above a limit.
pub(super) struct Region {
    limit: f64,
    n: usize,
    /// By the items lost, how many have to be gained; more than there are where no number is enough.
    needed: Vec<usize>,
}

impl Region {
    /// Where the score statistic is at least `z`.
    pub(super) fn beyond(z: f64, limit: f64, n: usize) -> Self {
        Self::new(limit, n, |pairs| pairs.z(limit) >= z - 1e-12)
    }

    /// Where McNemar's exact test refuses, and the score statistic too.
    pub(super) fn mcnemar(z: f64, alpha: f64, n: usize) -> Self {
        Self::new(0.0, n, |pairs| {
            let (gained, lost) = (pairs.gained as f64, pairs.lost as f64);
            at_least(gained, gained + lost, 0.5) <= alpha && pairs.z(0.0) >= z
        })
    }

    /// `refuses` has to stay true when more is gained, and false when more is lost.
    fn new(limit: f64, n: usize, refuses: impl Fn(Discordance) -> bool) -> Self {
        let mut needed = Vec::with_capacity(n + 1);
        let mut gained = 0;
        for lost in 0..=n {
            // The more is lost the more has to be gained.
            while gained + lost <= n && !refuses(Discordance { gained, lost, n }) {
                gained += 1;
            }
            needed.push(gained);
        }
        Self { limit, n, needed }
    }

    /// How probable it is at a true difference and share of disagreement.
    pub(super) fn probability(&self, difference: f64, discordance: f64) -> f64 {
        let [gained, lost] = [difference, -difference].map(|d| ((discordance + d) / 2.0).max(0.0));
        let n = self.n as f64;
        let (mean, reach) = (n * lost, REACH * (n * lost * (1.0 - lost)).sqrt() + 1.0);
        let Ok(losses) = Binomial::new(lost.min(1.0), self.n as u64) else {
            return 1.0;
        };
        let rest = if lost < 1.0 {
            gained / (1.0 - lost)
        } else {
            0.0
        };
        let first = (mean - reach).max(0.0) as usize;
        let last = ((mean + reach) as usize).min(self.n);
        (first..=last)
            .map(|lost| {
                let needed = at_least(
                    self.needed[lost] as f64,
                    (self.n - lost) as f64,
                    rest.min(1.0),
                );
                losses.pmf(lost as u64) * needed
            })
            .sum()
    }

    /// The largest probability with the true difference at the limit.
    pub(super) fn largest_error(&self) -> f64 {
        let least = self.limit.abs();
        let share = |at: f64| least + (1.0 - least) * at * at;
        let error = |at: f64| self.probability(self.limit, share(at));
        let errors: Vec<f64> = (0..=GRID)
            .into_par_iter()
            .map(|i| error(i as f64 / GRID as f64))
            .collect();
        let (at, largest) = errors
            .iter()
            .enumerate()
            .max_by(|a, b| a.1.total_cmp(b.1))
            .map_or((0, 1.0), |(at, error)| (at, *error));
        let ends = [at.saturating_sub(1), (at + 1).min(GRID)];
        let [mut low, mut high] = ends.map(|i| i as f64 / GRID as f64);
        let mut refined = largest;
        for _ in 0..12 {
            let [a, b] = [low + (high - low) / 3.0, high - (high - low) / 3.0];
            let [of_a, of_b] = [error(a), error(b)];
            refined = refined.max(of_a).max(of_b);
            if of_a < of_b {
                low = a;
            } else {
                high = b;
            }
        }
        refined
    }
}
