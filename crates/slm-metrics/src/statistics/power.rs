//! What a number of items can show, and how many items it takes.

use statrs::distribution::{ContinuousCDF, Normal};

use super::binomial::{at_least, root};
use super::paired::Region;

/// Up to so many items the test whose power is asked is the exact one; beyond, the two differ in the third digit at most.
const EXACT_UP_TO: usize = 2000;
/// More items than anybody will label.
const MOST: usize = 100_000_000;

/// The errors that a test may make.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Errors {
    /// How probable it may be to say what is not so.
    pub alpha: f64,
    /// How probable it has to be to say what is so.
    pub power: f64,
}

/// The test that a proportion is above a limit: exact, by the binomial.
#[derive(Clone, Copy, Debug)]
pub struct ProportionTest {
    /// The limit.
    pub limit: f64,
    /// What may go wrong.
    pub errors: Errors,
}

impl ProportionTest {
    /// How probable it is that `n` items show a true share of `truth` to be above the limit.
    pub fn power(self, n: usize, truth: f64) -> f64 {
        let needed = self.needed(n);
        at_least(needed as f64, n as f64, truth)
    }

    /// How far above the limit the truth has to be for `n` items to show it; `None` where they never can.
    pub fn smallest_effect(self, n: usize) -> Option<f64> {
        let needed = self.needed(n);
        if needed > n {
            return None;
        }
        let truth = root(|p| at_least(needed as f64, n as f64, p) - self.errors.power);
        Some(truth - self.limit)
    }

    /// How many items show a true share of `truth` to be above the limit; `None` where it is not.
    pub fn items(self, truth: f64) -> Option<usize> {
        if truth <= self.limit {
            return None;
        }
        search(|n| self.power(n, truth) >= self.errors.power)
    }

    /// How many of `n` have to be right; more than `n` where no number is enough.
    fn needed(self, n: usize) -> usize {
        let is_enough = |k: usize| at_least(k as f64, n as f64, self.limit) <= self.errors.alpha;
        let (mut low, mut high) = (0, n + 1);
        while low < high {
            let middle = (low + high) / 2;
            if is_enough(middle) {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        low
    }
}

/// The test that a difference of two proportions on the same items is above a limit: [`Discordance::p_above`](super::Discordance::p_above).
#[derive(Clone, Copy, Debug)]
pub struct PairedTest {
    /// The limit.
    pub limit: f64,
    /// What may go wrong.
    pub errors: Errors,
    /// The true share of items on which the two disagree; where a difference needs more, so many.
    pub discordance: f64,
}

impl PairedTest {
    /// How probable it is that `n` items show a true difference of `truth` to be above the limit.
    pub fn power(self, n: usize, truth: f64) -> f64 {
        if n > EXACT_UP_TO {
            return self.approximate_power(n, truth);
        }
        self.region(n).probability(truth, self.share(truth))
    }

    /// How far above the limit the difference has to be for `n` items to show it; `None` where they never can.
    pub fn smallest_effect(self, n: usize) -> Option<f64> {
        let room = 1.0 - self.limit;
        let region = (n <= EXACT_UP_TO).then(|| self.region(n));
        let power = |effect: f64| {
            let truth = self.limit + effect;
            match &region {
                Some(region) => region.probability(truth, self.share(truth)),
                None => self.approximate_power(n, truth),
            }
        };
        if power(room) < self.errors.power {
            return None;
        }
        Some(room * root(|share| power(room * share) - self.errors.power))
    }

    /// How many items show a true difference of `truth` to be above the limit; `None` where it is not.
    pub fn items(self, truth: f64) -> Option<usize> {
        if truth <= self.limit {
            return None;
        }
        let mut n = search(|n| self.approximate_power(n, truth) >= self.errors.power)?;
        // The exact test needs a little more.
        while n <= EXACT_UP_TO && self.power(n, truth) < self.errors.power {
            n += 1 + n / 30;
        }
        Some(n)
    }

    fn share(self, truth: f64) -> f64 {
        self.discordance.max(truth.abs()).min(1.0)
    }

    fn region(self, n: usize) -> Region {
        let (z, alpha) = (self.z_alpha(), self.errors.alpha);
        if self.limit == 0.0 {
            return Region::mcnemar(z, alpha, n);
        }
        let keeps = |z: f64| Region::beyond(z, self.limit, n).largest_error() <= alpha;
        let (mut low, mut high) = (z, z);
        while !keeps(high) {
            (low, high) = (high, high + 0.25);
        }
        while high - low > 1e-3 {
            let middle = (low + high) / 2.0;
            if keeps(middle) {
                high = middle;
            } else {
                low = middle;
            }
        }
        Region::beyond(high, self.limit, n)
    }

    /// By the normal distribution (Nam, Biometrics 53, 1997, with the share of disagreement the same at the limit and in truth).
    fn approximate_power(self, n: usize, truth: f64) -> f64 {
        let share = self.share(truth);
        let at_limit = share.max(self.limit.abs()) - self.limit * self.limit;
        let in_truth = share - truth * truth;
        let reach = (truth - self.limit) * (n as f64).sqrt() - self.z_alpha() * at_limit.sqrt();
        match in_truth > 0.0 {
            true => Normal::standard().cdf(reach / in_truth.sqrt()),
            false => f64::from(reach >= 0.0),
        }
    }

    fn z_alpha(self) -> f64 {
        -Normal::standard().inverse_cdf(self.errors.alpha)
    }
}

/// How many standard errors beyond what is refused the truth has to be to be shown with a probability of `power`.
pub fn reach(power: f64) -> f64 {
    Normal::standard().inverse_cdf(power)
}

/// The smallest number of items from which on enough is shown, as nearly as the steps of whole numbers let it be told.
fn search(is_enough: impl Fn(usize) -> bool) -> Option<usize> {
    let mut high = 1;
    while !is_enough(high) {
        high *= 2;
        if high > MOST {
            return None;
        }
    }
    let mut low = high / 2;
    while high - low > 1 {
        let middle = (low + high) / 2;
        if is_enough(middle) {
            high = middle;
        } else {
            low = middle;
        }
    }
    Some(high)
}
