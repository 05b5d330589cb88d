//! Base against tuned, on the same items.

use serde::{Deserialize, Serialize};

use crate::error::EvalError;
use crate::metrics::{Method, Metric, MetricName, Series};
use crate::statistics::{Interval, bootstrap, mcnemar_exact};
use crate::task_report::TaskReport;

/// One metric of one task, before and after.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// The task's name.
    pub task: String,
    /// The metric.
    pub name: MetricName,
    /// The base's figure.
    pub base: Metric,
    /// The tuned model's figure.
    pub tuned: Metric,
    /// Tuned minus base.
    pub difference: f64,
    /// The 95 % interval of the difference, both models on the same resamples of the items.
    pub interval: Interval,
    /// How the interval was found.
    pub method: Method,
    /// Items that only the tuned model got right, for a share of right items.
    pub gained: Option<usize>,
    /// Items that only the base got right, for a share of right items.
    pub lost: Option<usize>,
    /// The exact McNemar p-value, for a share of right items.
    pub p_value: Option<f64>,
    /// Which of the two is better.
    pub verdict: Verdict,
}

/// What the interval of a difference says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The interval lies on the better side of zero.
    Better,
    /// The interval lies on the worse side of zero.
    Worse,
    /// The interval holds zero: these items do not tell.
    Unclear,
}

/// Compares two models on one task, metric by metric, in the order of the tuned model's.
///
/// # Errors
/// When the two reports are not about the same items with the same targets.
pub fn compare(
    base: &TaskReport,
    tuned: &TaskReport,
    seed: u64,
) -> Result<Vec<Comparison>, EvalError> {
    check_paired(base, tuned)?;
    let mut rows = Vec::new();
    for after in &tuned.metrics {
        let name = after.name;
        let (Some(before), Some((applies, base_series)), Some((_, tuned_series))) = (
            base.metric(name),
            name.observe(&base.samples),
            name.observe(&tuned.samples),
        ) else {
            continue;
        };
        let interval = bootstrap(applies.len(), seed, |draw| {
            tuned_series.value_over(draw) - base_series.value_over(draw)
        });
        let flips = flips(&base_series, &tuned_series);
        rows.push(Comparison {
            task: tuned.task.clone(),
            name,
            base: before.clone(),
            tuned: after.clone(),
            difference: after.value - before.value,
            interval,
            method: Method::PairedBootstrap,
            gained: flips.map(|[gained, _]| gained),
            lost: flips.map(|[_, lost]| lost),
            p_value: flips.map(|[gained, lost]| mcnemar_exact(gained, lost)),
            verdict: Verdict::of(interval, name.higher_is_better()),
        });
    }
    Ok(rows)
}

impl Verdict {
    fn of(interval: Interval, higher_is_better: bool) -> Self {
        match (interval.low > 0.0, interval.high < 0.0) {
            (true, _) if higher_is_better => Self::Better,
            (_, true) if !higher_is_better => Self::Better,
            (false, false) => Self::Unclear,
            _ => Self::Worse,
        }
    }
}

/// Items that became right and items that became wrong.
fn flips(base: &Series, tuned: &Series) -> Option<[usize; 2]> {
    let (Series::Proportion(base), Series::Proportion(tuned)) = (base, tuned) else {
        return None;
    };
    let count = |from: bool| {
        base.iter()
            .zip(tuned)
            .filter(|(b, t)| **b == from && **t != from)
            .count()
    };
    Some([count(false), count(true)])
}

fn check_paired(base: &TaskReport, tuned: &TaskReport) -> Result<(), EvalError> {
    let found = if base.task != tuned.task {
        format!("the other is of task `{}`", base.task)
    } else if base.samples.len() != tuned.samples.len() {
        format!("{} against {}", base.samples.len(), tuned.samples.len())
    } else {
        let differ = base
            .samples
            .iter()
            .zip(&tuned.samples)
            .find(|(b, t)| b.row != t.row || b.origin != t.origin || b.target != t.target);
        match differ {
            Some((b, t)) if b.origin == t.origin => format!("{} has two targets", b.origin),
            Some((b, t)) => format!("{} against {}", b.origin, t.origin),
            None => return Ok(()),
        }
    };
    Err(EvalError::NotPaired {
        task: tuned.task.clone(),
        found,
    })
}
