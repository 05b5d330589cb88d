//! What gates come to, in words: one line of each for every output.

mod annotations;
mod junit;
mod markdown;
mod reading;

use std::io::Write;
use std::path::Path;

use anyhow::Result;
use slm_eval::{Claim, GateReport, GateResult, MeasureName};
use slm_metrics::gate::{Side, Verdict};
use slm_recipe::OnInconclusive;

pub(crate) use reading::{Gated, gate_run, saved_run};

use crate::{
    args::GateOutputs,
    failure::GateClosed,
    table::{Table, thousands},
    terminal::Terminal,
};

/// One gate in words.
pub(crate) struct Line {
    /// `intent: accuracy above 60.0 %`.
    title: String,
    figure: String,
    interval: String,
    p_value: String,
    items: String,
    /// What so many items could have shown.
    could_show: String,
    /// How many would decide.
    needed: String,
    verdict: Verdict,
    /// The whole of it in a sentence.
    sentence: String,
}

/// Writes all that was asked for.
pub(crate) fn write(
    report: &GateReport,
    outputs: &GateOutputs,
    run: &Path,
    terminal: &mut Terminal,
) -> Result<()> {
    let lines: Vec<Line> = report.gates.iter().map(Line::of).collect();
    if let Some(path) = &outputs.junit {
        fs_err::write(path, junit::text(report, &lines, run)?)?;
    }
    if let Some(path) = &outputs.markdown {
        fs_err::write(path, markdown::text(report, &lines, run))?;
    }
    if outputs.json {
        terminal.json(report)?;
    } else {
        write_table(report, &lines, &mut terminal.out)?;
    }
    if outputs.annotations {
        annotations::write(report, &lines, &mut terminal.out)?;
    }
    Ok(())
}

/// Whether the run may go on.
pub(crate) fn outcome(report: &GateReport) -> Result<()> {
    let of = |verdict| {
        report
            .gates
            .iter()
            .filter(|gate| gate.verdict == verdict)
            .count()
    };
    match (report.verdict, report.on_inconclusive) {
        (Verdict::Pass, _) | (Verdict::Inconclusive, OnInconclusive::Pass) => Ok(()),
        (verdict, _) => Err(GateClosed {
            is_undecided: verdict == Verdict::Inconclusive,
            count: of(verdict),
            of: report.gates.len(),
        }
        .into()),
    }
}

/// The table for people, and below it whatever a table has no room for.
pub(crate) fn write_table(report: &GateReport, lines: &[Line], out: &mut dyn Write) -> Result<()> {
    let header = [
        "gate",
        "figure",
        "interval",
        "p",
        "items",
        "could show",
        "would decide",
        "verdict",
    ];
    let mut table = Table::new(&header).right(&[1, 3, 4, 5, 6]);
    for line in lines {
        let mut cells = line.cells();
        cells.push(line.verdict.to_string());
        table.row(cells);
    }
    table.write(out)?;
    for line in lines.iter().filter(|line| line.verdict != Verdict::Pass) {
        writeln!(out, "\n{}\n  {}", line.title, line.sentence)?;
    }
    writeln!(out, "\n{}", conclusion(report))?;
    Ok(())
}

/// The verdict over all, and what it means here.
fn conclusion(report: &GateReport) -> String {
    let mut text = report.verdict.to_string();
    if report.verdict == Verdict::Inconclusive && report.on_inconclusive == OnInconclusive::Pass {
        text += ", which counts as passed: `on_inconclusive = \"pass\"`";
    }
    text
}

impl Line {
    /// What a table shows of it beside its verdict.
    fn cells(&self) -> Vec<String> {
        [
            &self.title,
            &self.figure,
            &self.interval,
            &self.p_value,
            &self.items,
            &self.could_show,
            &self.needed,
        ]
        .map(Clone::clone)
        .into()
    }

    pub(crate) fn of(gate: &GateResult) -> Self {
        let none = || "-".to_owned();
        let title = format!("{}: {} {}", gate.task, gate.metric.label(), claim(gate));
        let Some(evidence) = &gate.evidence else {
            return Self {
                title,
                figure: none(),
                interval: none(),
                p_value: none(),
                items: none(),
                could_show: none(),
                needed: none(),
                verdict: gate.verdict,
                sentence: gate.reason.clone().unwrap_or_default(),
            };
        };
        let is_difference = gate.claim.against().is_some();
        let show = |value: f64| value_of(&gate.metric, value, is_difference);
        let bare = |value: f64| show(value).trim_end_matches(" %").to_owned();
        let (side, limit) = gate.claim.beyond(&gate.metric);
        let (sign, word) = match side {
            Side::Above => (1.0, ">"),
            Side::Below => (-1.0, "<"),
        };
        let plan = gate.plan;
        let effect = plan.and_then(|plan| plan.smallest_effect);
        let needed = plan.and_then(|plan| plan.items_needed);
        let interval = format!(
            "[{}, {}]",
            bare(evidence.interval.low),
            bare(evidence.interval.high)
        );
        let p = match gate.verdict {
            Verdict::Fail => gate.p_fail_adjusted.unwrap_or(evidence.p_fail),
            _ => evidence.p_pass,
        };
        let mut line = Self {
            title,
            figure: show(evidence.figure),
            interval,
            p_value: p_value(p),
            items: match evidence.n_groups {
                None => thousands(evidence.n),
                Some(groups) => {
                    format!("{} in {} groups", thousands(evidence.n), thousands(groups))
                }
            },
            could_show: effect
                .map_or_else(none, |it| format!("{word} {}", show(limit + sign * it))),
            needed: match gate.verdict {
                Verdict::Inconclusive => {
                    needed.map_or("no number".into(), |it| format!("{} items", thousands(it)))
                }
                _ => none(),
            },
            verdict: gate.verdict,
            sentence: String::new(),
        };
        line.sentence = line.sentence_of(gate, evidence.undecided.as_deref(), needed);
        line
    }

    fn sentence_of(
        &self,
        gate: &GateResult,
        undecided: Option<&str>,
        needed: Option<usize>,
    ) -> String {
        let level = 100.0 * (1.0 - 2.0 * gate.alpha);
        let items = match self.items.split_once(" in ") {
            Some((items, groups)) => format!("{items} items in {groups}"),
            None => format!("{} items", self.items),
        };
        let found = format!(
            "{} (p {}, {items}, {level:.0} % interval {})",
            self.figure, self.p_value, self.interval
        );
        match gate.verdict {
            Verdict::Pass => format!("shown: {found}"),
            Verdict::Fail => format!("the opposite is shown: {found}"),
            Verdict::Inconclusive => {
                let needed = match needed {
                    Some(items) => format!(
                        "about {} would decide, were the truth what was measured",
                        thousands(items)
                    ),
                    None => "no number of items would decide".into(),
                };
                let why = undecided.map_or_else(String::new, |why| format!("; {why}"));
                let shows = match self.could_show.as_str() {
                    "-" => "so many items can never show it".to_owned(),
                    effect => format!("so many items show {effect} with power {}", gate.power),
                };
                format!("not shown, and not its opposite: {found}{why}; {shows}; {needed}")
            }
        }
    }
}

fn claim(gate: &GateResult) -> String {
    let show = |value| value_of(&gate.metric, value, false);
    match gate.claim {
        Claim::Min { limit } => format!("above {}", show(limit)),
        Claim::Max { limit } => format!("below {}", show(limit)),
        Claim::NonInferiorTo { against, margin } => {
            let margin = match gate.metric.is_share() {
                true => format!("{} points", trimmed(100.0 * margin)),
                false => trimmed(margin),
            };
            format!("not {margin} worse than {}", against.name())
        }
        Claim::BetterThan { against } => format!("better than {}", against.name()),
    }
}

/// A figure, or a signed difference of two; shares in per cent, their differences in points.
fn value_of(metric: &MeasureName, value: f64, is_difference: bool) -> String {
    match (metric.is_share(), is_difference) {
        (true, true) => format!("{:+.1}", 100.0 * value),
        (true, false) => format!("{:.1} %", 100.0 * value),
        (false, true) => format!("{value:+.3}"),
        (false, false) => format!("{value:.3}"),
    }
}

fn p_value(p: f64) -> String {
    if p < 1e-4 {
        "<0.0001".into()
    } else {
        format!("{p:.4}")
    }
}

fn trimmed(value: f64) -> String {
    let text = format!("{value:.4}");
    text.trim_end_matches('0').trim_end_matches('.').into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use slm_eval::MetricName;

    #[test]
    fn shares_are_per_cent_and_their_differences_points() {
        let show =
            |metric: MetricName, is_difference| value_of(&metric.into(), 0.0215, is_difference);
        assert_eq!(show(MetricName::Accuracy, false), "2.1 %");
        assert_eq!(show(MetricName::Accuracy, true), "+2.1");
        assert_eq!(show(MetricName::Loss, false), "0.021");
        assert_eq!(trimmed(0.02), "0.02");
        assert_eq!(trimmed(100.0 * 0.02), "2");
        assert_eq!(
            (p_value(0.00001), p_value(0.05)),
            ("<0.0001".into(), "0.0500".into())
        );
    }
}
