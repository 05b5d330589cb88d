//! What a judge found, item by item and task by task.

use std::collections::BTreeMap;

use serde::Serialize;
use slm_metrics::statistics::{mcnemar_exact, wilson};
use slm_recipe::JudgeMode;

use crate::Cost;

/// Everything that a judge found: `judge.json`.
#[derive(Clone, Debug, Serialize)]
pub struct Judgement {
    /// Version of this format.
    pub format_version: u32,
    /// What was asked.
    pub mode: JudgeMode,
    /// The model that judged.
    pub model: String,
    /// SHA-256 of template, system message, mode and scale.
    pub prompt_hash: String,
    /// Figures by task.
    pub tasks: BTreeMap<String, TaskVerdict>,
    /// What it cost.
    pub cost: Cost,
    /// Every item.
    pub items: Vec<JudgedItem>,
}

/// One item as it was judged.
#[derive(Clone, Debug, Serialize)]
pub struct JudgedItem {
    /// The task.
    pub task: String,
    /// Number of the row.
    pub row: usize,
    /// Where the row comes from.
    pub origin: String,
    /// How the tuned model does against the base: 1 better, 0 alike, -1 worse; none where a verdict is missing. Two orders that
    /// contradict each other are alike.
    pub outcome: Option<i8>,
    /// The same by order, the tuned model's answer first and then second; empty with scores.
    pub orders: Vec<Option<i8>>,
    /// Scores of the tuned model and of the base; empty for pairs.
    pub scores: Vec<Option<f64>>,
    /// Keys of the requests in the journal.
    pub requests: Vec<String>,
}

/// The items of a task together.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct TaskVerdict {
    /// Items that were judged.
    pub n: usize,
    /// Items on which the tuned model is better.
    pub win: usize,
    /// Items on which it is as good.
    pub tie: usize,
    /// Items on which it is worse.
    pub loss: usize,
    /// Items without a verdict.
    pub invalid: usize,
    /// Share of wins among wins and losses, with its 95 % Wilson interval; none without either.
    pub win_rate: Option<[f64; 3]>,
    /// How likely so uneven a count is if neither is better: the exact sign test, two-sided.
    pub p_value: Option<f64>,
    /// Share of the items on which both orders say the same, of those with two verdicts; none with scores.
    pub agreement: Option<f64>,
    /// Share of the verdicts for one side that were for the answer seen first; one half for a judge that order does not sway.
    pub first_preferred: Option<f64>,
    /// Mean scores of the tuned model and of the base; none for pairs.
    pub mean_scores: Option<[Option<f64>; 2]>,
}

impl TaskVerdict {
    /// Counts the items of one task.
    pub(crate) fn of(items: &[&JudgedItem]) -> Self {
        let count = |outcome: Option<i8>| items.iter().filter(|it| it.outcome == outcome).count();
        let (win, tie, loss, invalid) =
            (count(Some(1)), count(Some(0)), count(Some(-1)), count(None));
        let decided = win + loss;
        let pairs: Vec<_> = items.iter().filter_map(|it| both(&it.orders)).collect();
        let agreeing = pairs
            .iter()
            .filter(|[first, second]| first == second)
            .count();
        let first = pairs
            .iter()
            .map(|[first, second]| usize::from(*first == 1) + usize::from(*second == -1));
        let sided = pairs.iter().flatten().filter(|it| **it != 0).count();
        let scored = items.iter().any(|it| !it.scores.is_empty());
        Self {
            n: items.len(),
            win,
            tie,
            loss,
            invalid,
            win_rate: (decided > 0).then(|| {
                let interval = wilson(win, decided);
                [share(win, decided), interval.low, interval.high]
            }),
            p_value: (decided > 0).then(|| mcnemar_exact(win, loss)),
            agreement: (!pairs.is_empty()).then(|| share(agreeing, pairs.len())),
            first_preferred: (sided > 0).then(|| share(first.sum(), sided)),
            mean_scores: scored.then(|| [0, 1].map(|who| mean(items, who))),
        }
    }
}

fn both(orders: &[Option<i8>]) -> Option<[i8; 2]> {
    match *orders {
        [Some(first), Some(second)] => Some([first, second]),
        _ => None,
    }
}

fn share(part: usize, of: usize) -> f64 {
    part as f64 / of as f64
}

fn mean(items: &[&JudgedItem], who: usize) -> Option<f64> {
    let scores = items.iter().filter_map(|it| *it.scores.get(who)?);
    let scores: Vec<f64> = scores.collect();
    (!scores.is_empty()).then(|| scores.iter().sum::<f64>() / scores.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(outcome: Option<i8>, orders: [Option<i8>; 2]) -> JudgedItem {
        JudgedItem {
            task: "t".into(),
            row: 0,
            origin: String::new(),
            outcome,
            orders: orders.to_vec(),
            scores: Vec::new(),
            requests: Vec::new(),
        }
    }

    #[test]
    fn a_task_is_counted() {
        let items = [
            item(Some(1), [Some(1), Some(1)]),
            item(Some(1), [Some(1), Some(1)]),
            item(Some(-1), [Some(-1), Some(-1)]),
            item(Some(0), [Some(1), Some(-1)]),
            item(None, [Some(1), None]),
        ];
        let found = TaskVerdict::of(&items.iter().collect::<Vec<_>>());
        assert_eq!(
            (found.win, found.tie, found.loss, found.invalid),
            (2, 1, 1, 1)
        );
        assert_eq!(found.agreement, Some(0.75));
        // Seen first and preferred: once for each win and for the loss, and twice where order alone decided.
        assert_eq!(found.first_preferred, Some(5.0 / 8.0));
        assert_eq!(found.p_value, Some(1.0));
        assert_eq!(found.win_rate.unwrap()[0], 2.0 / 3.0);
    }
}
