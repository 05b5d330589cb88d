//! Whether a share of right items is above a limit.

use super::{Answer, Evidence, GateMethod, Plan};
use crate::statistics::{EffectiveSample, Errors, Groups, ProportionTest, at_least, at_most};

/// Plans when it is asked to.
#[derive(Debug)]
pub(super) struct Planner {
    figure: f64,
    n: usize,
    effective: f64,
    test: ProportionTest,
}

pub(super) fn above(right: &[bool], groups: &Groups, limit: f64, errors: Errors) -> Answer {
    let sample = EffectiveSample::of(right, groups);
    let EffectiveSample { successes, n } = sample;
    let figure = right.iter().filter(|right| **right).count() as f64 / right.len() as f64;
    let is_clustered = groups.is_clustered();
    let evidence = Evidence {
        figure,
        interval: sample.interval(errors.alpha),
        method: match is_clustered {
            true => GateMethod::EffectiveBinomial,
            false => GateMethod::Binomial,
        },
        p_pass: at_least(successes, n, limit),
        p_fail: at_most(successes, n, limit),
        n: right.len(),
        n_groups: is_clustered.then(|| groups.n()),
        undecided: None,
    };
    let planner = Planner {
        figure,
        n: right.len(),
        effective: n,
        test: ProportionTest { limit, errors },
    };
    Answer {
        evidence,
        planner: super::Planner::Proportion(planner),
    }
}

impl Planner {
    pub(super) fn plan(&self) -> Plan {
        let mirrored = ProportionTest {
            limit: 1.0 - self.test.limit,
            ..self.test
        };
        let needed = self.test.items(self.figure);
        let needed = needed.or_else(|| mirrored.items(1.0 - self.figure));
        // Items in groups tell less, and more of them will be of the same kind.
        let per_item = self.n as f64 / self.effective;
        Plan {
            smallest_effect: self.test.smallest_effect(self.effective as usize),
            items_needed: needed.map(|items| (items as f64 * per_item).ceil() as usize),
        }
    }
}
