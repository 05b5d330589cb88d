//! A task's figures without the items that are among the rows that were learned from.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::metric::Metric;
use crate::report::TaskResult;
use crate::task_report::TaskReport;

/// What a task measures on the items that nobody learned from.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Unleaked {
    /// Items that are left out here.
    pub leaked: usize,
    /// Items that remain.
    pub n: usize,
    /// The tuned model's figures over these; none where none remain.
    pub tuned: Vec<Metric>,
    /// The base's, where it was measured.
    pub base: Vec<Metric>,
}

impl Unleaked {
    /// The figures of a task without the items that come from one of these places, or none where it asks no such item.
    pub fn of(result: &TaskResult, leaked: &BTreeSet<&str>, seed: u64) -> Option<Self> {
        let samples = result.tuned.samples.iter();
        let all = result.tuned.samples.len();
        let remain = samples.filter(|sample| !leaked.contains(sample.origin.as_str()));
        let n = remain.count();
        (n < all).then(|| Self {
            leaked: all - n,
            n,
            tuned: figures(&result.tuned, leaked, seed),
            base: result
                .base
                .as_ref()
                .map_or_else(Vec::new, |base| figures(base, leaked, seed)),
        })
    }
}

/// The metrics of a report over its other items.
fn figures(report: &TaskReport, leaked: &BTreeSet<&str>, seed: u64) -> Vec<Metric> {
    let figure = |metric: &Metric| {
        let (applies, series) = report.observe(&metric.name)?;
        let others: Vec<u32> = (0..)
            .zip(applies)
            .filter(|(_, sample)| !leaked.contains(report.samples[*sample].origin.as_str()))
            .map(|(item, _)| item)
            .collect();
        let metric = || Metric::of(metric.name.clone(), &series.of_items(&others), seed);
        (!others.is_empty()).then(metric)
    };
    report.metrics.iter().filter_map(figure).collect()
}

#[cfg(test)]
mod tests {
    use slm_recipe::{MetricName, OutputType};

    use super::*;
    use crate::sample::{Sample, Score};

    /// An item that is answered rightly or not.
    fn sample(row: usize, correct: bool) -> Sample {
        let (target, other) = ("yes".to_owned(), "no".to_owned());
        Sample {
            row,
            origin: format!("test.jsonl:{}", row + 1),
            prompt: "?".into(),
            output: if correct {
                target.clone()
            } else {
                other.clone()
            },
            target,
            prompt_tokens: 1,
            output_tokens: 1,
            slices: Default::default(),
            score: Score::Choices {
                correct,
                output_norm: other,
                correct_norm: false,
                logprobs: if correct {
                    vec![-0.1, -2.0]
                } else {
                    vec![-2.0, -0.1]
                },
                choice_tokens: vec![1, 1],
            },
        }
    }

    /// Of ten items, those before `right` are answered rightly.
    fn report(right: usize) -> TaskReport {
        let samples = (0..10).map(|row| sample(row, row < right)).collect();
        let choices = vec!["yes".into(), "no".into()];
        TaskReport::new("t", OutputType::MultipleChoice, choices, samples, 1, 0.0).unwrap()
    }

    #[test]
    fn leaked_items_count_for_neither_model() {
        let result = TaskResult {
            tuned: report(6),
            base: Some(report(1)),
            comparisons: Vec::new(),
            unleaked: None,
        };
        let leaked = BTreeSet::from(["test.jsonl:1", "test.jsonl:2", "other.jsonl:3"]);
        let unleaked = Unleaked::of(&result, &leaked, 1).unwrap();
        assert_eq!((unleaked.leaked, unleaked.n), (2, 8));
        let accuracy = |metrics: &[Metric]| {
            let found = metrics.iter().find(|it| it.name == MetricName::Accuracy);
            found.map(|it| (it.value, it.n)).unwrap()
        };
        // Both of the items that the training rows have were answered rightly by the tuned model, one by the base.
        assert_eq!(accuracy(&unleaked.tuned), (0.5, 8));
        assert_eq!(accuracy(&unleaked.base), (0.0, 8));
        assert_eq!(
            unleaked.tuned.len(),
            result.tuned.metrics.len(),
            "every figure of the task"
        );
        assert_eq!(Unleaked::of(&result, &BTreeSet::new(), 1), None);
    }

    #[test]
    fn where_every_item_leaked_no_figure_is_left() {
        let result = TaskResult {
            tuned: report(6),
            base: None,
            comparisons: Vec::new(),
            unleaked: None,
        };
        let origins: Vec<String> = (1..=10).map(|line| format!("test.jsonl:{line}")).collect();
        let leaked = origins.iter().map(String::as_str).collect();
        let unleaked = Unleaked::of(&result, &leaked, 1).unwrap();
        assert_eq!((unleaked.leaked, unleaked.n), (10, 0));
        assert!(unleaked.tuned.is_empty() && unleaked.base.is_empty());
    }
}
