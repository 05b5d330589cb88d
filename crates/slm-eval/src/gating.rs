//! The gates of a run: every claim put to the items, and one verdict over all. Whatever cannot be looked at fails.

use serde::Serialize;
use slm_metrics::Series;
use slm_metrics::gate::{Answer, Evidence, Plan, Question, Side, Subject, Verdict, judge};
use slm_metrics::statistics::{Errors, Groups, RESAMPLES};
use slm_recipe::{Against, GateCheck, GateSection, MetricName, OnInconclusive};
use slm_suite::FigureName;

use crate::baseline::Baseline;
use crate::comparison::check_paired;
use crate::evaluation::Evaluation;
use crate::measure_name::MeasureName;
use crate::task_report::TaskReport;

/// What the gates of a file come to.
#[derive(Clone, Debug, Serialize)]
pub struct GateReport {
    /// The worst of all gates.
    pub verdict: Verdict,
    /// What becomes of a run whose items do not tell.
    pub on_inconclusive: OnInconclusive,
    /// The file that the run was compared with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub baseline: Option<String>,
    /// Gate by gate.
    pub gates: Vec<GateResult>,
}

/// One gate.
#[derive(Clone, Debug, Serialize)]
pub struct GateResult {
    /// The task.
    pub task: String,
    /// The metric.
    pub metric: MeasureName,
    /// What is claimed of it.
    pub claim: Claim,
    /// How probable a wrong verdict may be.
    pub alpha: f64,
    /// How probable the right one has to be.
    pub power: f64,
    /// Whether the claim holds.
    pub verdict: Verdict,
    /// Why it could not be looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What the items say.
    #[serde(flatten)]
    pub evidence: Option<Evidence>,
    /// The p-value against the claim being true, adjusted for the number of gates.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p_fail_adjusted: Option<f64>,
    /// What so many items can show.
    #[serde(flatten)]
    pub plan: Option<Plan>,
}

/// What a gate claims.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Claim {
    /// The figure is above the limit.
    Min {
        /// The limit.
        limit: f64,
    },
    /// The figure is below the limit.
    Max {
        /// The limit.
        limit: f64,
    },
    /// The figure is worse by less than the margin.
    NonInferiorTo {
        /// Than what.
        against: Against,
        /// The margin.
        margin: f64,
    },
    /// The figure is better.
    BetterThan {
        /// Than what.
        against: Against,
    },
}

impl Claim {
    fn of(check: &GateCheck) -> Vec<Self> {
        let margin = check.margin.unwrap_or(0.0);
        let claims = [
            check.min.map(|limit| Self::Min { limit }),
            check.max.map(|limit| Self::Max { limit }),
            check
                .non_inferior_to
                .map(|against| Self::NonInferiorTo { against, margin }),
            check
                .better_than
                .map(|against| Self::BetterThan { against }),
        ];
        claims.into_iter().flatten().collect()
    }

    /// What the figure is compared with.
    pub fn against(self) -> Option<Against> {
        match self {
            Self::NonInferiorTo { against, .. } | Self::BetterThan { against } => Some(against),
            Self::Min { .. } | Self::Max { .. } => None,
        }
    }

    /// On which side of what the figure, or its difference, has to be.
    pub fn beyond(self, metric: &MeasureName) -> (Side, f64) {
        let better = if metric.higher_is_better() {
            Side::Above
        } else {
            Side::Below
        };
        match (self, better) {
            (Self::Min { limit }, _) => (Side::Above, limit),
            (Self::Max { limit }, _) => (Side::Below, limit),
            (Self::NonInferiorTo { margin, .. }, Side::Above) => (better, -margin),
            (Self::NonInferiorTo { margin, .. }, Side::Below) => (better, margin),
            (Self::BetterThan { .. }, _) => (better, 0.0),
        }
    }
}

/// Puts all gates to a run: what was measured of it, and what the section's baseline holds; or why they cannot be read.
pub fn gate(
    section: &GateSection,
    evaluation: Result<&Evaluation, String>,
    baseline: Result<&Baseline, String>,
    seed: u64,
) -> GateReport {
    let hall = Hall {
        section,
        evaluation,
        baseline,
        seed,
    };
    let mut answers = Vec::new();
    let mut gates = Vec::new();
    for check in &section.check {
        for claim in Claim::of(check) {
            let answer = hall.answer(check, claim);
            gates.push(GateResult::new(check, claim, &answer));
            answers.push(answer.map(|(_, answer)| answer));
        }
    }
    let answered: Vec<(&Evidence, f64)> = answers
        .iter()
        .zip(&gates)
        .filter_map(|(answer, gate)| Some((&answer.as_ref().ok()?.evidence, gate.alpha)))
        .collect();
    let judged = judge(&answered);
    let looked_at = gates.iter_mut().filter(|gate| gate.evidence.is_some());
    for (gate, judgement) in looked_at.zip(judged) {
        gate.verdict = judgement.verdict;
        gate.p_fail_adjusted = Some(judgement.p_fail_adjusted);
    }
    GateReport {
        verdict: Verdict::of_all(gates.iter().map(|gate| gate.verdict)),
        on_inconclusive: section.on_inconclusive,
        baseline: section.baseline.clone(),
        gates,
    }
}

impl GateResult {
    fn new(
        check: &GateCheck,
        claim: Claim,
        answer: &Result<(MeasureName, Answer), String>,
    ) -> Self {
        let answered = answer.as_ref().ok();
        Self {
            task: check.task.clone(),
            metric: answered.map_or_else(|| named(&check.metric), |(name, _)| name.clone()),
            claim,
            alpha: check.alpha,
            power: check.power,
            verdict: Verdict::Fail,
            reason: answer.as_ref().err().cloned(),
            evidence: answered.map(|(_, answer)| answer.evidence.clone()),
            p_fail_adjusted: None,
            plan: answered.map(|(_, answer)| answer.plan()),
        }
    }
}

/// Where claims are heard.
struct Hall<'a> {
    section: &'a GateSection,
    evaluation: Result<&'a Evaluation, String>,
    baseline: Result<&'a Baseline, String>,
    seed: u64,
}

impl Hall<'_> {
    fn answer(&self, check: &GateCheck, claim: Claim) -> Result<(MeasureName, Answer), String> {
        let task = &check.task;
        let evaluation = self.evaluation.as_ref().map_err(Clone::clone)?;
        let report = find(&evaluation.tuned, task)
            .ok_or_else(|| format!("task `{task}` was not evaluated"))?;
        let own = report.metrics.iter().map(|it| &it.name);
        let metric = own.clone().find(|name| name.key() == check.metric);
        let metric = metric
            .cloned()
            .or(MetricName::from_key(&check.metric).map(Into::into))
            .ok_or_else(|| format!("there is no metric `{}`", check.metric))?;
        let (applies, series) = report
            .observe(&metric)
            .ok_or_else(|| format!("no item of task `{task}` is measured by `{}`", check.metric))?;
        let (side, limit) = claim.beyond(&metric);
        let is_share = metric.is_share() || matches!(series, Series::Proportion(_));
        if claim.against().is_none() && is_share && !(0.0..=1.0).contains(&limit) {
            return Err(format!(
                "the limit is {limit}, and `{}` is a share of 1",
                check.metric
            ));
        }
        let other = match claim.against() {
            None => None,
            Some(Against::Baseline) => Some(self.of_baseline(report, &check.metric)?),
            Some(Against::Base) => Some(of_base(evaluation, report, &metric)?),
        };
        if other.as_ref().is_some_and(|other| other.n() != series.n()) {
            return Err(format!(
                "`{}` of task `{task}` is about other items there",
                check.metric
            ));
        }
        let groups = report.groups(&applies, self.section.group_by.as_deref())?;
        let question = Question {
            subject: match &other {
                None => Subject::Figure(&series),
                Some(other) => Subject::Difference(&series, other),
            },
            side,
            limit,
            errors: Errors {
                alpha: check.alpha,
                power: check.power,
            },
            groups: &groups,
            resamples: RESAMPLES,
            seed: self.seed,
        };
        Ok((metric, question.answer()))
    }

    fn of_baseline(&self, report: &TaskReport, metric: &str) -> Result<Series, String> {
        let baseline = self.baseline.as_ref().map_err(Clone::clone)?;
        let name = &report.task;
        let task = baseline
            .task(name)
            .ok_or_else(|| format!("the baseline has no task `{name}`"))?;
        if let Some(difference) = task.difference(report) {
            return Err(difference);
        }
        let series = task.metrics.get(metric);
        series
            .cloned()
            .ok_or_else(|| format!("the baseline has no `{metric}` of task `{name}`"))
    }
}

fn of_base(
    evaluation: &Evaluation,
    report: &TaskReport,
    metric: &MeasureName,
) -> Result<Series, String> {
    let base = find(&evaluation.base, &report.task)
        .ok_or_else(|| format!("the base was not evaluated on task `{}`", report.task))?;
    check_paired(base, report).map_err(|error| error.to_string())?;
    let observed = base.observe(metric);
    let (_, series) = observed.ok_or_else(|| "the base has no such metric".to_owned())?;
    Ok(series)
}

/// A metric that nothing was measured by, for people.
fn named(key: &str) -> MeasureName {
    match MetricName::from_key(key) {
        Some(name) => name.into(),
        None => MeasureName::Suite(FigureName {
            metric: key.into(),
            filter: "none".into(),
            higher_is_better: true,
        }),
    }
}

impl TaskReport {
    /// Which of the samples in `items` belong together by a column of their rows; all apart without one.
    pub(crate) fn groups(&self, items: &[usize], by: Option<&str>) -> Result<Groups, String> {
        let Some(column) = by else {
            return Ok(Groups::alone(items.len()));
        };
        let keys = items.iter().map(|item| {
            let sample = &self.samples[*item];
            sample.slices.get(column).ok_or_else(|| {
                format!(
                    "{} of task `{}` has no column `{column}` to group by, or its prompt uses it",
                    sample.origin, self.task
                )
            })
        });
        Ok(Groups::of(keys.collect::<Result<Vec<_>, _>>()?))
    }
}

fn find<'a>(reports: &'a [TaskReport], task: &str) -> Option<&'a TaskReport> {
    reports.iter().find(|report| report.task == task)
}
