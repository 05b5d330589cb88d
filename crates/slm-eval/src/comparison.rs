//! Base against tuned, on the same items.

use serde::{Deserialize, Serialize};

use crate::error::EvalError;
use crate::metric::Metric;
use crate::task_report::TaskReport;
use slm_metrics::statistics::{Agreement, Interval, bootstrap, mcnemar_exact, newcombe};
use slm_metrics::{Method, Series};
use slm_recipe::MetricName;

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
    /// The 95 % interval of the difference: Newcombe's for shares of right items, else by the bootstrap with both models on the same resamples of the items.
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

/// What a comparison says.
///
/// For shares of right items McNemar's exact test decides, at 5 %; for all else, whether the interval of the difference leaves zero out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The tuned model is better.
    Better,
    /// The tuned model is worse.
    Worse,
    /// These items do not tell.
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
            base.answers().observe(name),
            tuned.answers().observe(name),
        ) else {
            continue;
        };
        let pairs = agreement(&base_series, &tuned_series);
        let (interval, method) = match pairs {
            Some(pairs) => (newcombe(pairs), Method::Newcombe),
            None => {
                let interval = bootstrap(applies.len(), seed, |draw| {
                    tuned_series.value_over(draw) - base_series.value_over(draw)
                });
                (interval, Method::PairedBootstrap)
            }
        };
        let p_value = pairs.map(|pairs| mcnemar_exact(pairs.first_only, pairs.second_only));
        let difference = after.value - before.value;
        let is_clear = match p_value {
            Some(p) => p < 0.05,
            None => interval.low > 0.0 || interval.high < 0.0,
        };
        rows.push(Comparison {
            task: tuned.task.clone(),
            name,
            base: before.clone(),
            tuned: after.clone(),
            difference,
            interval,
            method,
            gained: pairs.map(|pairs| pairs.first_only),
            lost: pairs.map(|pairs| pairs.second_only),
            p_value,
            verdict: match (is_clear, (difference > 0.0) == name.higher_is_better()) {
                (false, _) => Verdict::Unclear,
                (true, true) => Verdict::Better,
                (true, false) => Verdict::Worse,
            },
        });
    }
    Ok(rows)
}

/// How two right/wrong records agree, the tuned model's first.
fn agreement(base: &Series, tuned: &Series) -> Option<Agreement> {
    let (Series::Proportion(base), Series::Proportion(tuned)) = (base, tuned) else {
        return None;
    };
    let count = |first: bool, second: bool| {
        tuned
            .iter()
            .zip(base)
            .filter(|(t, b)| **t == first && **b == second)
            .count()
    };
    Some(Agreement {
        both: count(true, true),
        first_only: count(true, false),
        second_only: count(false, true),
        neither: count(false, false),
    })
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
