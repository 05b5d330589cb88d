//! The end of a walk: base against tuned, the files, and what to do next.

use std::io::Write;

use anyhow::Result;
use serde_json::{Value, json};
use slm_eval::{Metric, MetricName, TaskReport, Verdict, report::TaskResult};
use slm_suite::Figure;

use crate::{
    table::{Table, size, thousands},
    terminal::Terminal,
    walk::{Artifact, Walk},
};

/// What `train` and `resume` end with.
pub(crate) fn write(
    walk: &Walk,
    results: &[TaskResult],
    artifacts: &[Artifact],
    json: bool,
    terminal: &mut Terminal,
) -> Result<()> {
    let root = walk.run.root();
    let report = walk.run.path("report.html");
    let report = match fs_err::metadata(&report) {
        Ok(file) => vec![(report, file.len(), String::new())],
        Err(_) => Vec::new(),
    };
    let files = artifacts
        .iter()
        .map(|it| (it.path.clone(), it.size_bytes, it.finding()));
    let files: Vec<_> = files.chain(report).collect();
    if json {
        let files: Vec<_> = files
            .iter()
            .map(|(path, size_bytes, finding)| json!({"path": path, "size_bytes": size_bytes, "finding": finding}))
            .collect();
        let end = json!({"event": "end", "run": root, "results": json_of(results), "files": files});
        writeln!(terminal.out, "{end}")?;
        return Ok(());
    }
    if !results.is_empty() {
        writeln!(terminal.out)?;
        write_results(results, &mut terminal.out)?;
    }
    writeln!(terminal.out)?;
    let mut table = Table::new(&["file", "size", "beside the trained model"]).right(&[1]);
    for (path, size_bytes, finding) in files {
        table.row([path.display().to_string(), size(size_bytes), finding]);
    }
    table.write(&mut terminal.out)?;
    if !terminal.quiet {
        writeln!(terminal.out, "\nnext: slm-tune chat {}", root.display())?;
    }
    Ok(())
}

/// The table of base against tuned.
pub(crate) fn write_results(results: &[TaskResult], out: &mut dyn Write) -> Result<()> {
    let header = [
        "task",
        "metric",
        "base",
        "",
        "tuned",
        "",
        "difference",
        "",
        "",
    ];
    let mut table = Table::new(&header).right(&[2, 4, 6]);
    for result in results {
        for (at, metric) in result.tuned.metrics.iter().enumerate() {
            let task = titled(at, &result.tuned.task, metric.n);
            let name = metric.name.label().to_owned();
            let (tuned, range) = figures(metric);
            let compared = result.comparisons.iter().find(|it| it.name == metric.name);
            let Some(it) = compared else {
                let none = String::new;
                table.row([
                    task,
                    name,
                    none(),
                    none(),
                    tuned,
                    range,
                    none(),
                    none(),
                    none(),
                ]);
                continue;
            };
            let (base, base_range) = figures(&it.base);
            let difference = signed(metric.name, it.difference);
            let ends = [it.interval.low, it.interval.high].map(|end| signed(metric.name, end));
            let ends = format!("[{}, {}]", ends[0], ends[1]);
            let verdict = match it.verdict {
                Verdict::Better => "better",
                Verdict::Worse => "worse",
                Verdict::Unclear => "unclear",
            };
            table.row([
                task,
                name,
                base,
                base_range,
                tuned,
                range,
                difference,
                ends,
                verdict.into(),
            ]);
        }
    }
    table.write(out)?;
    write_calibrations(results.iter().map(|it| &it.tuned), out)
}

/// The table of one model.
pub(crate) fn write_reports(reports: &[TaskReport], out: &mut dyn Write) -> Result<()> {
    let mut table = Table::new(&["task", "metric", "value", ""]).right(&[2]);
    for report in reports {
        // A suite's task has figures of its own names.
        for (at, it) in report.figures.iter().enumerate() {
            let task = titled(at, &report.task, it.n);
            let [value, low, high] = [it.value, it.low, it.high].map(decimals);
            table.row([task, named(it), value, format!("[{low}, {high}]")]);
        }
        if !report.figures.is_empty() {
            continue;
        }
        for (at, metric) in report.metrics.iter().enumerate() {
            let (value, range) = figures(metric);
            let task = titled(at, &report.task, metric.n);
            table.row([task, metric.name.label().into(), value, range]);
        }
    }
    table.write(out)?;
    write_calibrations(reports.iter(), out)
}

/// What calibrated classifiers do on the rows of their tests.
fn write_calibrations<'a>(
    reports: impl Iterator<Item = &'a TaskReport>,
    out: &mut dyn Write,
) -> Result<()> {
    let calibrated = reports.filter_map(|it| Some((&it.task, it.calibration.as_ref()?)));
    for (task, it) in calibrated {
        let percent = |share: f64| format!("{:.1} %", 100.0 * share);
        writeln!(
            out,
            "\n{task}, calibrated: error {} -> {} at temperature {:.3}; answers {} of the rows and is wrong on {} of all, at most {} promised",
            percent(it.error_before.value),
            percent(it.error_after.value),
            it.classifier.temperature,
            percent(it.answered.value),
            percent(it.wrong.value),
            percent(1.0 - it.classifier.coverage),
        )?;
    }
    Ok(())
}

/// A figure's name, with the filter where there are several.
fn named(it: &Figure) -> String {
    let arrow = if it.higher_is_better {
        ""
    } else {
        ", less is better"
    };
    match it.filter.as_str() {
        "none" => format!("{}{arrow}", it.metric),
        filter => format!("{}, {filter}{arrow}", it.metric),
    }
}

/// Four decimals, as lm-evaluation-harness prints; fewer of large numbers.
fn decimals(value: f64) -> String {
    match value.abs() {
        size if size >= 10_000.0 => format!("{value:.3e}"),
        size if size >= 100.0 => format!("{value:.1}"),
        _ => format!("{value:.4}"),
    }
}

/// The results without the samples.
pub(crate) fn json_of(results: &[TaskResult]) -> Value {
    let list: Vec<_> = results
        .iter()
        .map(|it| json!({"tuned": it.tuned, "base": it.base, "comparisons": it.comparisons}))
        .collect();
    json!(list)
}

/// The task and its number of rows, once.
fn titled(at: usize, task: &str, rows: usize) -> String {
    match at {
        0 => format!("{task} ({} rows)", thousands(rows)),
        _ => String::new(),
    }
}

/// A value and its 95 % interval.
fn figures(metric: &Metric) -> (String, String) {
    let [value, low, high] =
        [metric.value, metric.low, metric.high].map(|it| figure(metric.name, it));
    let value = if metric.name.is_share() {
        format!("{value} %")
    } else {
        value
    };
    (value, format!("[{low}, {high}]"))
}

fn figure(name: MetricName, value: f64) -> String {
    match name.is_share() {
        true => format!("{:.1}", value * 100.0),
        false if value.abs() < 100.0 => format!("{value:.3}"),
        false => format!("{value:.0}"),
    }
}

fn signed(name: MetricName, value: f64) -> String {
    let sign = if value < 0.0 { "-" } else { "+" };
    format!("{sign}{}", figure(name, value.abs()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_in_per_cent_and_losses_are_not() {
        assert_eq!(figure(MetricName::Accuracy, 0.4951), "49.5");
        assert_eq!(figure(MetricName::Loss, 1.23456), "1.235");
        assert_eq!(figure(MetricName::Perplexity, 512.4), "512");
        assert_eq!(signed(MetricName::Accuracy, -0.031), "-3.1");
    }
}
