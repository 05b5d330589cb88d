//! The end of a walk: base against tuned, the files, and what to do next.

use std::io::Write;

use anyhow::Result;
use serde_json::{Value, json};
use slm_eval::{MeasureName, Metric, TaskReport, Unleaked, Verdict, report::TaskResult};

use crate::{
    remarks,
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
            let name = named(&metric.name);
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
            let difference = signed(&metric.name, it.difference);
            let ends = [it.interval.low, it.interval.high].map(|end| signed(&metric.name, end));
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
        if let Some(unleaked) = &result.unleaked {
            add_unleaked(unleaked, &mut table);
        }
    }
    table.write(out)?;
    remarks::write(results.iter().map(|it| &it.tuned), out)
}

/// The figures without the items that are among the rows to learn from.
fn add_unleaked(unleaked: &Unleaked, table: &mut Table) {
    let (leaked, n) = (thousands(unleaked.leaked), thousands(unleaked.n));
    let mut first = format!("  without {leaked} leaked ({n} rows)");
    if unleaked.n == 0 {
        table.row([first.clone()]);
    }
    for metric in &unleaked.tuned {
        let (tuned, range) = figures(metric);
        let base = unleaked.base.iter().find(|it| it.name == metric.name);
        let (base, base_range) = base.map(figures).unwrap_or_default();
        let name = named(&metric.name);
        table.row([
            std::mem::take(&mut first),
            name,
            base,
            base_range,
            tuned,
            range,
        ]);
    }
}

/// The table of one model.
pub(crate) fn write_reports(reports: &[TaskReport], out: &mut dyn Write) -> Result<()> {
    let mut table = Table::new(&["task", "metric", "value", ""]).right(&[2]);
    for report in reports {
        for (at, metric) in report.metrics.iter().enumerate() {
            let (value, range) = figures(metric);
            let task = titled(at, &report.task, metric.n);
            table.row([task, named(&metric.name), value, range]);
        }
    }
    table.write(out)?;
    remarks::write(reports.iter(), out)
}

/// A figure's name; of a suite's with its direction, which people may not know.
fn named(name: &MeasureName) -> String {
    match name {
        MeasureName::Suite(it) if !it.higher_is_better => {
            format!("{}, less is better", name.label())
        }
        _ => name.label(),
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
        .map(|it| json!({"tuned": it.tuned, "base": it.base, "comparisons": it.comparisons, "without_leaked": it.unleaked}))
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
        [metric.value, metric.low, metric.high].map(|it| figure(&metric.name, it));
    let value = if metric.name.is_share() {
        format!("{value} %")
    } else {
        value
    };
    (value, format!("[{low}, {high}]"))
}

fn figure(name: &MeasureName, value: f64) -> String {
    match name.is_share() {
        _ if matches!(name, MeasureName::Suite(_)) => decimals(value),
        true => format!("{:.1}", value * 100.0),
        false if value.abs() < 100.0 => format!("{value:.3}"),
        false => format!("{value:.0}"),
    }
}

fn signed(name: &MeasureName, value: f64) -> String {
    let sign = if value < 0.0 { "-" } else { "+" };
    format!("{sign}{}", figure(name, value.abs()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use slm_eval::MetricName;

    #[test]
    fn shares_are_in_per_cent_and_losses_are_not() {
        assert_eq!(figure(&MetricName::Accuracy.into(), 0.4951), "49.5");
        assert_eq!(figure(&MetricName::Loss.into(), 1.23456), "1.235");
        assert_eq!(figure(&MetricName::Perplexity.into(), 512.4), "512");
        assert_eq!(signed(&MetricName::Accuracy.into(), -0.031), "-3.1");
    }
}
