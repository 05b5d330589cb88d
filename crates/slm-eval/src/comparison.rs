//! Base against tuned, on the same items.

use serde::{Deserialize, Serialize};

use crate::error::EvalError;
use crate::measure_name::MeasureName;
use crate::metric::{Answers, Metric};
use crate::task_report::TaskReport;
use slm_metrics::statistics::{
    Agreement, Groups, Interval, RESAMPLES, Resamples, holm, mcnemar_exact, newcombe, permutation,
};
use slm_metrics::{Method, Series};
use slm_recipe::MetricName;

/// One metric of one task, before and after.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// The task's name.
    pub task: String,
    /// The metric.
    pub name: MeasureName,
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
    /// McNemar's exact p-value for a share of right items, else that of the paired permutation test.
    pub p_value: Option<f64>,
    /// The same, adjusted for all comparisons of the run (Holm); equal until [`holm_across`] has seen them.
    #[serde(default)]
    pub p_adjusted: Option<f64>,
    /// Which of the two is better.
    pub verdict: Verdict,
}

/// What a comparison says.
///
/// The adjusted p-value decides, at 5 %.
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

/// The share of false claims that all verdicts of a run together may hold.
const ALPHA: f64 = 0.05;

/// Compares two models on one task, metric by metric, in the order of the tuned model's. Rows with the same value of the column `group_by` are taken
/// together.
///
/// # Errors
/// When the two reports are not about the same items with the same targets, and where a row has no such column.
pub fn compare(
    base: &TaskReport,
    tuned: &TaskReport,
    group_by: Option<&str>,
    seed: u64,
) -> Result<Vec<Comparison>, EvalError> {
    check_paired(base, tuned)?;
    let mut rows = Vec::new();
    for after in &tuned.metrics {
        let name = &after.name;
        let (Some(before), Some((applies, base_series)), Some((_, tuned_series))) = (
            base.metric(name.clone()),
            base.observe(name),
            tuned.observe(name),
        ) else {
            continue;
        };
        let groups = tuned.groups(&applies, group_by);
        let groups = groups.map_err(|reason| EvalError::NoGroup { reason })?;
        let pairs = agreement(&base_series, &tuned_series);
        let (interval, method, p_value) = match pairs {
            Some(pairs) if !groups.is_clustered() => (
                newcombe(pairs),
                Method::Newcombe,
                mcnemar_exact(pairs.first_only, pairs.second_only),
            ),
            _ => {
                let difference =
                    |draw: &[u32]| tuned_series.value_over(draw) - base_series.value_over(draw);
                let resamples = Resamples::draw(&groups, RESAMPLES, seed, difference);
                let interval = resamples.map_or(Interval::NAN, |it| it.percentiles(0.025));
                let both = match name {
                    MeasureName::Metric(name) => end_to_end(*name, base, tuned),
                    MeasureName::Suite(_) => base_series.followed_by(&tuned_series),
                };
                let p_value = both.map_or(1.0, |both| exchanged_p(&both, &groups, seed));
                (interval, Method::PairedBootstrap, p_value)
            }
        };
        let mut row = Comparison {
            task: tuned.task.clone(),
            name: name.clone(),
            base: before.clone(),
            tuned: after.clone(),
            difference: after.value - before.value,
            interval,
            method,
            gained: pairs.map(|pairs| pairs.first_only),
            lost: pairs.map(|pairs| pairs.second_only),
            p_value: Some(p_value),
            p_adjusted: None,
            verdict: Verdict::Unclear,
        };
        row.adjust(p_value);
        rows.push(row);
    }
    Ok(rows)
}

/// Adjusts the verdicts of all comparisons of a run for their number, so that any false one among them is as improbable as it would be of a single one.
pub fn holm_across<'a>(comparisons: impl IntoIterator<Item = &'a mut Comparison>) {
    let mut tested: Vec<_> = comparisons
        .into_iter()
        .filter_map(|it| it.p_value.map(|p| (it, p)))
        .collect();
    let adjusted = holm(&tested.iter().map(|(_, p)| *p).collect::<Vec<_>>());
    for ((comparison, _), p) in tested.iter_mut().zip(adjusted) {
        comparison.adjust(p);
    }
}

impl Comparison {
    fn adjust(&mut self, p: f64) {
        self.p_adjusted = Some(p);
        let is_better = (self.difference > 0.0) == self.name.higher_is_better();
        self.verdict = match (p < ALPHA, is_better) {
            (false, _) => Verdict::Unclear,
            (true, true) => Verdict::Better,
            (true, false) => Verdict::Worse,
        };
    }
}

/// What a metric observes on the base's answers and then on the tuned model's, both by the same numbers of labels.
fn end_to_end(name: MetricName, base: &TaskReport, tuned: &TaskReport) -> Option<Series> {
    let samples = [base.samples.as_slice(), &tuned.samples].concat();
    let both = Answers {
        samples: &samples,
        ..tuned.answers()
    };
    both.observe(name).map(|(_, series)| series)
}

/// The permutation test on what was observed on both models, end to end, so that a draw may take either's.
fn exchanged_p(both: &Series, groups: &Groups, seed: u64) -> f64 {
    let n = groups.n_items() as u32;
    permutation(groups, seed, |exchanged| {
        let draw = |is_tuned: bool| -> Vec<u32> {
            let items = (0..n).zip(exchanged);
            items
                .map(|(item, flip)| if is_tuned == *flip { item } else { n + item })
                .collect()
        };
        both.value_over(&draw(true)) - both.value_over(&draw(false))
    })
}

/// How two right/wrong records agree, the tuned model's first.
fn agreement(base: &Series, tuned: &Series) -> Option<Agreement> {
    match (base, tuned) {
        (Series::Proportion(base), Series::Proportion(tuned)) => Some(Agreement::of(tuned, base)),
        _ => None,
    }
}

pub(crate) fn check_paired(base: &TaskReport, tuned: &TaskReport) -> Result<(), EvalError> {
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
