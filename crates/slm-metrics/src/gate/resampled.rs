//! Whether any other figure or difference is above a limit, by the bootstrap.

use std::collections::BTreeMap;

use super::{Answer, Evidence, GateMethod, Plan, Planner, Question};
use crate::statistics::{Errors, Groups, Interval, Resamples, at_most, clopper_pearson, reach};

/// With fewer units than this the bootstrap has hardly anything to draw from, and decides nothing.
const LEAST_UNITS: usize = 20;
/// With fewer units than this that differ from the others, resamples hardly vary, and the share of such units is looked at instead.
const LEAST_MOVED: usize = 10;

/// What there is to look at.
enum View {
    Nothing(String),
    /// Units that differ from all others.
    Moved(usize),
    Resamples(Resamples),
}

pub(super) fn above(
    question: &Question<'_>,
    statistic: impl Fn(&[u32]) -> f64 + Sync,
    limit: f64,
) -> Answer {
    let Question { groups, errors, .. } = *question;
    let figure = statistic(&(0..groups.n_items() as u32).collect::<Vec<_>>());
    let is_clustered = groups.is_clustered();
    let evidence = Evidence {
        figure,
        interval: Interval::NAN,
        method: match is_clustered {
            true => GateMethod::ClusterBootstrap,
            false => GateMethod::Bootstrap,
        },
        p_pass: 1.0,
        p_fail: 1.0,
        n: groups.n_items(),
        n_groups: is_clustered.then(|| groups.n()),
        undecided: None,
    };
    let least = LEAST_UNITS as f64 / groups.n() as f64;
    let items = |per_unit: f64| (groups.n_items() as f64 * per_unit.max(least)).ceil() as usize;
    let distance = (figure - limit).abs();
    let answer = |evidence, effect: Option<f64>, per_unit: Option<f64>| Answer {
        evidence,
        planner: Planner::Made(Plan {
            smallest_effect: effect,
            items_needed: per_unit.filter(|it| it.is_finite()).map(items),
        }),
    };
    match view(question, &statistic) {
        View::Nothing(reason) => {
            let evidence = Evidence {
                undecided: Some(reason),
                ..evidence
            };
            answer(evidence, None, (groups.n() > 0).then_some(least))
        }
        View::Moved(moved) => {
            let (evidence, share) = rare(evidence, moved, groups, limit, errors);
            answer(evidence, Some(share), Some(share / distance))
        }
        View::Resamples(resamples) => {
            let evidence = Evidence {
                interval: resamples.studentized(errors.alpha),
                p_pass: resamples.p_above(limit),
                p_fail: resamples.p_below(limit),
                ..evidence
            };
            // As far as the interval reaches, and so much more that it clears the limit with the power that is asked for.
            let effect =
                figure - evidence.interval.low + reach(errors.power) * resamples.standard_error();
            let shown = Some(effect).filter(|it| it.is_finite());
            answer(evidence, shown, Some((effect / distance).powi(2)))
        }
    }
}

fn view(question: &Question<'_>, statistic: &(impl Fn(&[u32]) -> f64 + Sync)) -> View {
    let groups = question.groups;
    let units = if groups.is_clustered() {
        "groups"
    } else {
        "items"
    };
    if groups.n() < LEAST_UNITS {
        let n = groups.n();
        let reason = format!("{n} {units} are too few to resample; {LEAST_UNITS} are needed");
        return View::Nothing(reason);
    }
    let mut alike: BTreeMap<u64, usize> = BTreeMap::new();
    for unit in groups.units() {
        *alike.entry(statistic(unit).to_bits()).or_default() += 1;
    }
    let moved = groups.n() - alike.into_values().max().unwrap_or(0);
    if moved < LEAST_MOVED {
        return View::Moved(moved);
    }
    match Resamples::draw(groups, question.resamples, question.seed, statistic) {
        Some(resamples) => View::Resamples(resamples),
        None => View::Nothing(format!(
            "the metric is not a number on some resamples of the {units}"
        )),
    }
}

/// Where hardly any unit differs from the others. Resampling only draws what was seen: if none of a hundred items differs between two models, it says that none
/// ever will. Here the exact bound of the share of units that differ counts instead, each of them worth as much as 1.
fn rare(
    evidence: Evidence,
    moved: usize,
    groups: &Groups,
    limit: f64,
    errors: Errors,
) -> (Evidence, f64) {
    let (moved, n) = (moved as f64, groups.n() as f64);
    let figure = evidence.figure;
    let share = clopper_pearson(moved, n, errors.alpha).high;
    let p = |distance: f64| {
        if distance > 0.0 {
            at_most(moved, n, distance)
        } else {
            1.0
        }
    };
    let evidence = Evidence {
        interval: Interval {
            low: figure - share,
            high: figure + share,
        },
        method: GateMethod::RareDifferences,
        p_pass: p(figure - limit),
        p_fail: p(limit - figure),
        ..evidence
    };
    (evidence, share)
}

#[cfg(test)]
mod tests {
    use super::super::{Side, Subject};
    use super::*;
    use crate::Series;

    fn ask(first: &Series, second: &Series) -> Answer {
        let question = Question {
            subject: Subject::Difference(first, second),
            side: Side::Above,
            limit: -0.02,
            errors: Errors {
                alpha: 0.05,
                power: 0.8,
            },
            groups: &Groups::alone(first.n()),
            resamples: 500,
            seed: 1,
        };
        question.answer()
    }

    fn fields(n: usize) -> Series {
        Series::Ratio((0..n).map(|i| [f64::from(i % 3 > 0), 1.0]).collect())
    }

    /// Two equal models: `0.98^n <= 0.05` from 149 items on.
    #[test]
    fn equal_models_pass_once_there_are_enough_items() {
        let few = ask(&fields(148), &fields(148));
        assert_eq!(few.evidence.method, GateMethod::RareDifferences);
        assert!((few.evidence.p_pass - 0.98f64.powi(148)).abs() < 1e-12);
        assert!(few.evidence.p_pass > 0.05);
        assert_eq!(few.plan().items_needed, Some(149));
        assert!(ask(&fields(149), &fields(149)).evidence.p_pass <= 0.05);
    }

    #[test]
    fn a_handful_of_items_decides_nothing() {
        let answer = ask(&fields(19), &fields(19));
        assert_eq!((answer.evidence.p_pass, answer.evidence.p_fail), (1.0, 1.0));
        assert_eq!(
            answer.evidence.undecided.as_deref(),
            Some("19 items are too few to resample; 20 are needed")
        );
        assert_eq!(answer.plan().items_needed, Some(20));
    }

    #[test]
    fn what_is_not_a_number_decides_nothing() {
        let empty = Series::Ratio(vec![[0.0, 0.0]; 30]);
        let answer = ask(&empty, &fields(30));
        assert_eq!(answer.evidence.p_pass, 1.0);
    }
}
