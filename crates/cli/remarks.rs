//! What is said of tasks below their table.

use std::io::Write;

use anyhow::Result;
use slm_eval::{Cost, TaskReport};

use crate::table::{size, thousands};

/// Pairs of labels that are named.
const MOST_PAIRS: usize = 3;

/// Writes what each task has to say, with an empty line before the first.
pub(crate) fn write<'a>(
    reports: impl Iterator<Item = &'a TaskReport>,
    out: &mut dyn Write,
) -> Result<()> {
    let mut lines = Vec::new();
    for report in reports {
        write_confusions(report, &mut lines)?;
        write_cost(report, &mut lines)?;
        write_calibration(report, &mut lines)?;
    }
    if !lines.is_empty() {
        writeln!(out)?;
        out.write_all(&lines)?;
    }
    Ok(())
}

/// The labels that are most often mistaken, of a closed set.
fn write_confusions(report: &TaskReport, out: &mut dyn Write) -> Result<()> {
    let pairs = report.most_confused();
    if pairs.is_empty() {
        return Ok(());
    }
    let said = pairs.iter().take(MOST_PAIRS).map(|it| {
        let (n, of) = (thousands(it.n as usize), thousands(it.of as usize));
        format!("`{}` for `{}` ({n} of {of})", it.given, it.wanted)
    });
    let said: Vec<String> = said.collect();
    writeln!(
        out,
        "{}, most often mistaken: {}",
        report.task,
        said.join(", ")
    )?;
    Ok(())
}

/// How fast answers were generated, and the memory that they took.
fn write_cost(report: &TaskReport, out: &mut dyn Write) -> Result<()> {
    let Cost {
        latency: Some(latency),
        tokens_per_s: Some(tokens_per_s),
        peak_memory_bytes,
        peak_device_bytes,
    } = report.cost
    else {
        return Ok(());
    };
    let memory = peak_device_bytes.or(peak_memory_bytes);
    let memory = memory.map_or_else(String::new, |it| {
        format!("; {} of memory at most", size(it))
    });
    let [half, most, nearly_all] =
        [latency.p50_s, latency.p90_s, latency.p99_s].map(|it| format!("{it:.2} s"));
    writeln!(
        out,
        "{}: {} tokens/s; half of the answers in {half}, 90 % in {most}, 99 % in {nearly_all}, {} at a time{memory}",
        report.task,
        thousands(tokens_per_s.round() as usize),
        latency.batch_size,
    )?;
    Ok(())
}

/// What a calibrated classifier does on the rows of its test.
fn write_calibration(report: &TaskReport, out: &mut dyn Write) -> Result<()> {
    let task = &report.task;
    if let Some(it) = &report.calibration {
        let percent = |share: f64| format!("{:.1} %", 100.0 * share);
        writeln!(
            out,
            "{task}, calibrated: error {} -> {} at temperature {:.3}; answers {} of the rows and is wrong on {} of all, at most {} promised",
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
