//! Gates: is a figure, or a difference of two, on the right side of a limit, and do so many items tell?
//!
//! A gate claims that a quantity lies beyond a limit: an accuracy above 0.6, a loss below 1.2, the difference from a baseline above -0.02. Two tests
//! look at it. Where the claim being false is refused, the gate is [`Verdict::Pass`]; where the claim being true is refused, [`Verdict::Fail`];
//! where neither is, these items do not tell: [`Verdict::Inconclusive`]. A small test set widens what cannot be told. It never lets a gate pass.
//!
//! # What `alpha` bounds
//!
//! - The probability of PASS where the claim is false, however close to the limit the truth is. Of several gates in one file it bounds the
//!   probability that *all* pass although any one claim is false, without a correction: the file passes only where each of them does (an
//!   intersection-union test; Berger, Technometrics 24, 1982). A correction would make the file stricter than declared.
//! - The probability of FAIL where the claim is true. One failed gate fails the file, so this one grows with the number of gates, and Holm's adjustment over all
//!   gates of the file keeps the probability of *any* false FAIL at the largest `alpha` among them.
//!
//! Shares of right items are tested exactly: by the binomial ([`at_least`](crate::statistics::at_least)), on pairs against zero by McNemar's test, against any other limit by the
//! unconditional exact test ([`Discordance::p_above`](crate::statistics::Discordance::p_above)). Their `alpha` is a bound. All other metrics, and pairs in groups, are tested by the
//! studentized bootstrap ([`Resamples`](crate::statistics::Resamples)), whose `alpha` holds the better the more units there are (declared 5 %, of losses as skewed as a log-normal
//! of sigma 0.5 it is 5.5 % at 200 units and 6.6 % at 60); below 20 it never decides, and where fewer than 10 units
//! differ at all, the exact bound of their share takes its place.

mod paired;
mod proportion;
mod resampled;
mod verdict;

use serde::{Deserialize, Serialize};

use crate::Series;
use crate::statistics::{Agreement, Discordance, Errors, Groups, Interval};

pub use verdict::{Judgement, Verdict, judge};

/// What a limit is put to.
#[derive(Clone, Copy, Debug)]
pub enum Subject<'a> {
    /// A figure.
    Figure(&'a Series),
    /// The first figure minus the second, over the same items.
    Difference(&'a Series, &'a Series),
}

/// On which side of its limit a quantity is claimed to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// Above it.
    Above,
    /// Below it.
    Below,
}

/// What a gate asks of the items.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// The quantity.
    pub subject: Subject<'a>,
    /// Where it is claimed to be.
    pub side: Side,
    /// Of what.
    pub limit: f64,
    /// How wrong the answer may be.
    pub errors: Errors,
    /// Which items belong together.
    pub groups: &'a Groups,
    /// How often the items are resampled, where they are; [`RESAMPLES`](crate::statistics::RESAMPLES) for a verdict that counts.
    pub resamples: usize,
    /// Seed of the resamples.
    pub seed: u64,
}

/// How a gate was tested.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GateMethod {
    /// The binomial, exactly.
    Binomial,
    /// The binomial over the effective number of items of groups.
    EffectiveBinomial,
    /// McNemar's exact test.
    Mcnemar,
    /// The exact unconditional test of a paired difference.
    PairedExact,
    /// The bootstrap over items.
    Bootstrap,
    /// The bootstrap over groups.
    ClusterBootstrap,
    /// The exact bound of the share of items, or groups, that differ at all.
    RareDifferences,
}

/// What the items say.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Evidence {
    /// The quantity, as measured.
    pub figure: f64,
    /// All values that are not refused, with an error of `alpha` at either end: a gate passes only if its limit is beyond the one end, and fails only if it is
    /// beyond the other.
    pub interval: Interval,
    /// How it was tested.
    pub method: GateMethod,
    /// The p-value against the claim being false.
    pub p_pass: f64,
    /// The p-value against the claim being true.
    pub p_fail: f64,
    /// Items.
    pub n: usize,
    /// Groups of items, where some hold several.
    pub n_groups: Option<usize>,
    /// Why these items cannot decide at all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub undecided: Option<String>,
}

/// What so many items can show, and how many would be needed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Plan {
    /// How far beyond the limit the truth has to be for so many items to show it with the power that is asked for; `None` where they never can.
    pub smallest_effect: Option<f64>,
    /// How many items would decide with that power, were the truth what was measured; `None` where no number would.
    pub items_needed: Option<usize>,
}

/// Evidence, and a plan that is made when it is asked for: it takes longer.
#[derive(Debug)]
pub struct Answer {
    /// What the items say.
    pub evidence: Evidence,
    planner: Planner,
}

#[derive(Debug)]
enum Planner {
    Proportion(proportion::Planner),
    Paired(paired::Planner),
    Made(Plan),
}

impl Answer {
    /// What so many items can show.
    pub fn plan(&self) -> Plan {
        match &self.planner {
            Planner::Proportion(planner) => planner.plan(),
            Planner::Paired(planner) => planner.plan(),
            Planner::Made(plan) => *plan,
        }
    }
}

impl Question<'_> {
    /// Puts the question to the items.
    pub fn answer(&self) -> Answer {
        match self.side {
            Side::Above => self.above(false, self.limit),
            Side::Below => {
                let around = match self.subject {
                    Subject::Figure(Series::Proportion(_)) => 1.0,
                    _ => 0.0,
                };
                let mut answer = self.above(true, around - self.limit);
                let evidence = &mut answer.evidence;
                let Interval { low, high } = evidence.interval;
                evidence.figure = around - evidence.figure;
                evidence.interval = Interval {
                    low: around - high,
                    high: around - low,
                };
                answer
            }
        }
    }

    /// Whether the quantity is above `limit`; of the mirrored quantity, the share of wrong items or the negative value.
    fn above(&self, is_mirrored: bool, limit: f64) -> Answer {
        let is_clustered = self.groups.is_clustered();
        match self.subject {
            Subject::Figure(Series::Proportion(right)) => {
                let right: Vec<bool> = right.iter().map(|right| *right != is_mirrored).collect();
                proportion::above(&right, self.groups, limit, self.errors)
            }
            Subject::Difference(Series::Proportion(first), Series::Proportion(second))
                if !is_clustered =>
            {
                let pairs: Discordance = Agreement::of(first, second).into();
                let pairs = if is_mirrored { pairs.mirrored() } else { pairs };
                paired::above(pairs, limit, self.errors)
            }
            subject => {
                let sign = if is_mirrored { -1.0 } else { 1.0 };
                let statistic = |draw: &[u32]| sign * subject.value_over(draw);
                resampled::above(self, statistic, limit)
            }
        }
    }
}

impl Subject<'_> {
    fn value_over(self, draw: &[u32]) -> f64 {
        match self {
            Self::Figure(series) => series.value_over(draw),
            Self::Difference(first, second) => first.value_over(draw) - second.value_over(draw),
        }
    }
}
