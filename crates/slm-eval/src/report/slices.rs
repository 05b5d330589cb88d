//! The headline of a task by what its rows say about themselves.

use std::collections::BTreeMap;

use slm_metrics::Series;

use super::TaskResult;
use super::markup::escape;
use super::numbers::{count, figure};
use crate::measure_name::MeasureName;
use crate::task_report::TaskReport;

/// Values up to which a column tells rows apart, instead of naming each.
const MOST_VALUES: usize = 40;
/// Items that a value has at least, on average: fewer tell nothing.
const FEWEST_ITEMS: usize = 5;
/// Values up to which a table is open.
const MOST_OPEN: usize = 10;
/// Of the bootstrap inside a slice.
const SEED: u64 = 42;

/// A table for each column of the rows that has a few values; empty without such columns.
pub(super) fn section(task: &TaskResult) -> String {
    let Some(headline) = task.tuned.metrics.first() else {
        return String::new();
    };
    let tables: String = columns(&task.tuned)
        .iter()
        .map(|(column, values)| table(task, &headline.name, column, values))
        .collect();
    match tables.is_empty() {
        true => tables,
        false => format!(
            "<h3>Slices: {}</h3><div class=\"slices\">{tables}</div>",
            escape(&headline.name.label())
        ),
    }
}

/// The columns and, for each of their values, the numbers of the samples.
fn columns(report: &TaskReport) -> Vec<(&str, BTreeMap<&str, Vec<usize>>)> {
    let mut columns: BTreeMap<&str, BTreeMap<&str, Vec<usize>>> = BTreeMap::new();
    for (i, sample) in report.samples.iter().enumerate() {
        for (column, value) in &sample.slices {
            let values = columns.entry(column).or_default();
            values.entry(value).or_default().push(i);
        }
    }
    let n = report.samples.len();
    let tells = |values: &BTreeMap<&str, Vec<usize>>| {
        (2..=MOST_VALUES).contains(&values.len()) && n >= FEWEST_ITEMS * values.len()
    };
    columns
        .into_iter()
        .filter(|(_, values)| tells(values))
        .collect()
}

fn table(
    task: &TaskResult,
    name: &MeasureName,
    column: &str,
    values: &BTreeMap<&str, Vec<usize>>,
) -> String {
    let tuned = task.tuned.observe(name);
    let base = task.base.as_ref().and_then(|base| base.observe(name));
    let rows: String = values
        .iter()
        .map(|(value, samples)| {
            let before = base.as_ref().map_or_else(String::new, |observed| {
                format!("<td class=\"n\">{}</td>", of_slice(name, observed, samples))
            });
            let after = tuned.as_ref().map(|observed| of_slice(name, observed, samples));
            format!(
                "<tr><th scope=\"row\">{}</th><td class=\"n\">{}</td>{before}<td class=\"n strong\">{}</td></tr>",
                escape(value),
                count(samples.len()),
                after.unwrap_or_default()
            )
        })
        .collect();
    let head = match base {
        Some(_) => "<th class=\"n\">base</th><th class=\"n\">tuned</th>",
        None => "<th class=\"n\">value</th>",
    };
    let open = if values.len() <= MOST_OPEN {
        " open"
    } else {
        ""
    };
    let column = escape(column);
    format!(
        "<details{open}><summary>{column}</summary><div class=\"wide\"><table><thead><tr><th>{column}</th><th class=\"n\">items</th>{head}</tr></thead>\
         <tbody>{rows}</tbody></table></div></details>"
    )
}

/// The figure over some samples and its interval.
fn of_slice(name: &MeasureName, observed: &(Vec<usize>, Series), samples: &[usize]) -> String {
    let (applies, series) = observed;
    let items: Vec<u32> = (0..)
        .zip(applies)
        .filter(|(_, sample)| samples.binary_search(sample).is_ok())
        .map(|(item, _)| item)
        .collect();
    if items.is_empty() {
        return "-".into();
    }
    let (interval, _) = series.of_items(&items).interval(SEED);
    format!(
        "{}<small>{} to {}</small>",
        figure(name, series.value_over(&items)),
        figure(name, interval.low),
        figure(name, interval.high)
    )
}
