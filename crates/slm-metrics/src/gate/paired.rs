//! Whether one share of right items is above another by more than a limit, on the same items.

use super::{Answer, Evidence, GateMethod, Plan};
use crate::statistics::{Discordance, Errors, Interval, PairedTest};

/// Plans when it is asked to.
#[derive(Debug)]
pub(super) struct Planner {
    pairs: Discordance,
    limit: f64,
    errors: Errors,
}

pub(super) fn above(pairs: Discordance, limit: f64, errors: Errors) -> Answer {
    let (p_pass, p_fail) = (pairs.p_above(limit), pairs.mirrored().p_above(-limit));
    let score = pairs.interval(errors.alpha);
    let evidence = Evidence {
        figure: pairs.difference(),
        // The exact test may refuse less than the score that the interval is made of.
        interval: Interval {
            low: match p_pass > errors.alpha {
                true => score.low.min(limit),
                false => score.low,
            },
            high: match p_fail > errors.alpha {
                true => score.high.max(limit),
                false => score.high,
            },
        },
        method: match limit {
            0.0 => GateMethod::Mcnemar,
            _ => GateMethod::PairedExact,
        },
        p_pass,
        p_fail,
        n: pairs.n,
        n_groups: None,
        undecided: None,
    };
    let planner = Planner {
        pairs,
        limit,
        errors,
    };
    Answer {
        evidence,
        planner: super::Planner::Paired(planner),
    }
}

impl Planner {
    pub(super) fn plan(&self) -> Plan {
        let (n, figure) = (self.pairs.n, self.pairs.difference());
        let test = |limit| PairedTest {
            limit,
            errors: self.errors,
            // One item at least: that none differ here is no proof that none ever do.
            discordance: self.pairs.share().max(1.0 / n as f64),
        };
        let needed = test(self.limit).items(figure);
        Plan {
            smallest_effect: test(self.limit).smallest_effect(n),
            items_needed: needed.or_else(|| test(-self.limit).items(-figure)),
        }
    }
}
