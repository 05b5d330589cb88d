//! The tasks: figures with intervals, base against tuned.

use super::markup::escape;
use super::numbers::{count, difference, figure, p_value, plain, size};
use super::{TaskResult, labels, leaked, reliability, slices, worst};
use crate::comparison::{Comparison, Verdict};
use crate::cost::Cost;
use slm_metrics::Method;

use crate::metric::Metric;
use crate::task_report::TaskReport;
use slm_recipe::OutputType;

/// Tiles at the top of the page.
const MOST_TILES: usize = 4;

/// The first figure of each task, large.
pub(super) fn tiles(tasks: &[TaskResult]) -> String {
    let tiles: String = tasks.iter().take(MOST_TILES).filter_map(tile).collect();
    if tiles.is_empty() {
        return String::new();
    }
    format!("<div class=\"tiles\">{tiles}</div>\n")
}

fn tile(task: &TaskResult) -> Option<String> {
    let metric = task.tuned.metrics.first()?;
    let comparison = task
        .comparisons
        .iter()
        .find(|comparison| comparison.name == metric.name);
    let (before, change) = match comparison {
        Some(row) => (
            format!("<s>{}</s> → ", figure(&row.name, row.base.value)),
            format!(
                "<span class=\"{}\">{}</span> · ",
                verdict_class(row.verdict),
                change(row)
            ),
        ),
        None => Default::default(),
    };
    Some(format!(
        "<div class=\"tile\"><p>{}: {}</p><p class=\"big\">{before}<b>{}</b></p><p>{change}{} items</p></div>",
        escape(&task.tuned.task),
        escape(&metric.name.label()),
        figure(&metric.name, metric.value),
        count(metric.n)
    ))
}

/// One section per task.
pub(super) fn sections(tasks: &[TaskResult]) -> String {
    tasks.iter().map(section).collect()
}

fn section(task: &TaskResult) -> String {
    let tuned = &task.tuned;
    let how = match tuned.output_type {
        OutputType::MultipleChoice => format!(
            "the likeliest of {} choices, by log-likelihood",
            count(tuned.choices.len())
        ),
        OutputType::GenerateUntil => "generated answers".into(),
        OutputType::Loglikelihood => "likelihood of the wanted answers".into(),
        OutputType::LoglikelihoodRolling => "likelihood of whole texts".into(),
    };
    let table = match task.comparisons.is_empty() {
        true => table_of_one(&tuned.metrics),
        false => table_of_two(&task.comparisons),
    };
    format!(
        "<section><h2>{}</h2>\n<p class=\"sub\">{} items · {how}{}</p>\n{table}{}</section>\n",
        escape(&tuned.task),
        count(tuned.n),
        speed(tuned),
        [
            leaked::section(task),
            labels::section(tuned),
            reliability::section(tuned),
            slices::section(task),
            worst::section(task),
        ]
        .concat(),
    )
}

/// How fast answers were generated, and what memory they took.
fn speed(report: &TaskReport) -> String {
    let Cost {
        latency,
        tokens_per_s,
        peak_memory_bytes,
        peak_device_bytes,
    } = report.cost;
    let rate = tokens_per_s.map(|rate| format!("{} tokens/s", plain(rate)));
    let wait = latency.map(|it| {
        format!(
            "an answer in {} s, nine of ten in {} s, 99 of 100 in {} s, {} at a time",
            plain(it.p50_s),
            plain(it.p90_s),
            plain(it.p99_s),
            count(it.batch_size)
        )
    });
    let memory = peak_device_bytes.or(peak_memory_bytes);
    let memory = memory.map(|bytes| format!("{} of memory at most", size(bytes)));
    let parts = [rate, wait, memory].into_iter().flatten();
    parts.map(|part| format!(" · {part}")).collect()
}

fn table_of_two(rows: &[Comparison]) -> String {
    let body: String = rows.iter().map(comparison_row).collect();
    let has = |method| rows.iter().any(|row| row.method == method);
    let of_differences = match (has(Method::Newcombe), has(Method::PairedBootstrap)) {
        (true, false) => "by Newcombe, p by McNemar's exact test",
        (false, true) => "by the bootstrap over pairs of answers",
        _ => {
            "by Newcombe for shares of items, else by the bootstrap over pairs of answers; p by McNemar's exact test"
        }
    };
    format!(
        "<table class=\"stack scores\"><thead><tr><th>metric</th><th class=\"n\">base</th><th class=\"n\">tuned</th>\
         <th class=\"n\">difference</th><th class=\"ranges\"><span class=\"key base\"><i></i>base</span><span class=\"key tuned\"><i></i>tuned</span></th>\
         <th>verdict</th></tr></thead><tbody>{body}</tbody></table>\
         <p class=\"foot\">Under each figure its 95 % interval: {}; of differences {of_differences}.</p>\n",
        methods(rows.iter().map(|row| &row.tuned))
    )
}

fn comparison_row(row: &Comparison) -> String {
    let most = scale(row.name.is_share(), &[&row.base, &row.tuned]);
    let ranges = format!(
        "<div class=\"range\">{}{}</div>",
        range("base", &row.base, most),
        range("tuned", &row.tuned, most)
    );
    let detail = match (row.gained, row.lost, row.p_value) {
        (Some(gained), Some(lost), Some(p)) => format!(
            "<small>{} won, {} lost, {}</small>",
            count(gained),
            count(lost),
            p_value(p)
        ),
        _ => String::new(),
    };
    format!(
        "<tr><th scope=\"row\">{}</th><td class=\"n\" data-name=\"base\">{}</td><td class=\"n strong\" data-name=\"tuned\">{}</td>\
         <td class=\"n\" data-name=\"difference\">{}<small>{} to {}</small></td><td class=\"ranges\">{ranges}</td>\
         <td data-name=\"verdict\"><span class=\"{}\">{}</span>{detail}</td></tr>",
        escape(&row.name.label()),
        with_interval(&row.base),
        with_interval(&row.tuned),
        change(row),
        difference(&row.name, row.interval.low),
        difference(&row.name, row.interval.high),
        verdict_class(row.verdict),
        verdict_text(row.verdict),
    )
}

fn table_of_one(metrics: &[Metric]) -> String {
    let body: String = metrics
        .iter()
        .map(|metric| {
            let most = scale(metric.name.is_share(), &[metric]);
            format!(
                "<tr><th scope=\"row\">{}</th><td class=\"n strong\" data-name=\"value\">{}</td>\
                 <td class=\"ranges\"><div class=\"range\">{}</div></td></tr>",
                escape(&metric.name.label()),
                with_interval(metric),
                range("tuned", metric, most)
            )
        })
        .collect();
    format!(
        "<table class=\"stack scores one\"><thead><tr><th>metric</th><th class=\"n\">value</th><th class=\"ranges\"></th></tr></thead><tbody>{body}</tbody></table>\
         <p class=\"foot\">Under each figure its 95 % interval: {}.</p>\n",
        methods(metrics.iter())
    )
}

fn methods<'a>(metrics: impl Iterator<Item = &'a Metric> + Clone) -> &'static str {
    let has = |method| metrics.clone().any(|metric| metric.method == method);
    match (has(Method::Wilson), has(Method::Bootstrap)) {
        (true, false) => "of shares by Wilson",
        (false, true) => "by the bootstrap",
        _ => "of shares by Wilson, of all else by the bootstrap",
    }
}

pub(super) fn with_interval(metric: &Metric) -> String {
    format!(
        "{}<small>{} to {}</small>",
        figure(&metric.name, metric.value),
        figure(&metric.name, metric.low),
        figure(&metric.name, metric.high)
    )
}

fn change(row: &Comparison) -> String {
    let unit = if row.name.is_share() { " points" } else { "" };
    format!("{}{unit}", difference(&row.name, row.difference))
}

/// The right end of a range drawing: 1 for shares, else what holds all intervals.
fn scale(is_share: bool, metrics: &[&Metric]) -> f64 {
    match is_share {
        true => 1.0,
        false => metrics.iter().fold(0.0, |most, m| m.high.max(most)),
    }
}

fn range(class: &str, metric: &Metric, most: f64) -> String {
    let place = |value: f64| match most > 0.0 {
        true => (value / most * 100.0).clamp(0.0, 100.0),
        false => 0.0,
    };
    let (low, high) = (place(metric.low), place(metric.high));
    format!(
        "<div class=\"{class}\"><i style=\"left:{low:.2}%;width:{:.2}%\"></i><b style=\"left:{:.2}%\"></b></div>",
        high - low,
        place(metric.value)
    )
}

fn verdict_class(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Better => "good",
        Verdict::Worse => "bad",
        Verdict::Unclear => "unclear",
    }
}

fn verdict_text(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Better => "better",
        Verdict::Worse => "worse",
        Verdict::Unclear => "no clear difference",
    }
}
