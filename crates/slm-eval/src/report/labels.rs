//! Answers to a closed set of labels: which are mistaken for which, and what each label comes to.

use slm_metrics::{LabelCounts, Tally, confusion, most_confused};

use super::markup::escape;
use super::numbers::count;
use crate::metric::Labels;
use crate::task_report::TaskReport;

/// Labels up to which the matrix is a table of numbers; beyond, a picture.
const MOST_IN_A_TABLE: usize = 16;
/// Pairs of labels shown.
const MOST_PAIRS: usize = 12;
/// Labels up to which their table is open.
const MOST_OPEN: usize = 16;

/// The confusion matrix, the most confused pairs and a row for each label; empty for tasks without labels.
pub(super) fn section(report: &TaskReport) -> String {
    let labels = Labels::of(report.answers());
    let is_of_items = !report.observed.is_empty() && report.choices.is_empty();
    if labels.truth.is_empty() || is_of_items {
        return String::new();
    }
    let n = labels.names.len();
    let matrix = confusion(&labels.truth, &labels.predicted, n);
    let tally = Tally::of(&labels.truth, &labels.predicted, n);
    let occurring: Vec<usize> = (0..n)
        .filter(|label| tally.labels()[*label].occurs())
        .collect();
    let picture = match occurring.len() <= MOST_IN_A_TABLE {
        true => table(&labels.names, &occurring, &matrix),
        false => heat_map(&labels.names, &occurring, &matrix),
    };
    format!(
        "<h3>Labels</h3><div class=\"labels\">{picture}{}</div>{}",
        pairs(&labels.names, &matrix),
        per_label(&labels.names, &occurring, tally.labels())
    )
}

/// The matrix as numbers. Columns are numbered: names would not fit above them.
fn table(names: &[String], occurring: &[usize], matrix: &[Vec<u64>]) -> String {
    let head: String = (1..=occurring.len())
        .map(|number| format!("<th class=\"n\">{number}</th>"))
        .collect();
    let body: String = (1..)
        .zip(occurring)
        .map(|(number, truth)| {
            let row = &matrix[*truth];
            let total = row.iter().sum::<u64>();
            let cells: String = occurring
                .iter()
                .map(|predicted| cell(*truth == *predicted, row[*predicted], total))
                .collect();
            format!(
                "<tr><th scope=\"row\"><small>{number}</small> {}</th>{cells}</tr>",
                escape(&names[*truth])
            )
        })
        .collect();
    format!(
        "<figure class=\"matrix\"><figcaption><b>Wanted by row, given by column</b></figcaption><div class=\"wide\">\
         <table><thead><tr><th></th>{head}</tr></thead><tbody>{body}</tbody></table></div></figure>"
    )
}

fn cell(is_right: bool, n: u64, total: u64) -> String {
    if n == 0 {
        return "<td class=\"n none\">·</td>".into();
    }
    let class = if is_right { "right" } else { "wrong" };
    format!(
        "<td class=\"n\"><i class=\"{class}\" style=\"opacity:{:.2}\"></i><span>{n}</span></td>",
        strength(n, total)
    )
}

/// How dark a cell is: by its share of the row.
fn strength(n: u64, total: u64) -> f64 {
    0.12 + 0.5 * n as f64 / total.max(1) as f64
}

/// The matrix as a picture of many labels, in their order; pointing at a cell names it.
fn heat_map(names: &[String], occurring: &[usize], matrix: &[Vec<u64>]) -> String {
    let mut cells = String::new();
    for (y, truth) in occurring.iter().enumerate() {
        let row = &matrix[*truth];
        let total = row.iter().sum::<u64>();
        for (x, predicted) in occurring.iter().enumerate() {
            let n = row[*predicted];
            if n > 0 {
                let class = if truth == predicted { "right" } else { "wrong" };
                cells += &format!(
                    "<rect class=\"{class}\" x=\"{x}\" y=\"{y}\" width=\"1\" height=\"1\" opacity=\"{:.2}\"><title>{} given for {}: {n} of {total}</title></rect>",
                    0.25 + 0.75 * n as f64 / total.max(1) as f64,
                    escape(&names[*predicted]),
                    escape(&names[*truth])
                );
            }
        }
    }
    let n = occurring.len();
    format!(
        "<figure class=\"matrix\"><figcaption><b>{n} labels: wanted from top to bottom, given from left to right</b></figcaption>\
         <svg class=\"heat\" viewBox=\"0 0 {n} {n}\" role=\"img\" aria-label=\"Confusion matrix of {n} labels\">{cells}</svg></figure>"
    )
}

fn pairs(names: &[String], matrix: &[Vec<u64>]) -> String {
    let pairs = most_confused(matrix);
    if pairs.is_empty() {
        return "<p class=\"sub\">No label was mistaken for another.</p>".into();
    }
    let rows: String = pairs
        .iter()
        .take(MOST_PAIRS)
        .map(|pair| {
            let total = matrix[pair.truth as usize].iter().sum::<u64>();
            format!(
                "<tr><td>{}</td><td>{}</td><td class=\"n\">{} of {}</td></tr>",
                escape(&names[pair.truth as usize]),
                escape(&names[pair.predicted as usize]),
                count(pair.n as usize),
                count(total as usize)
            )
        })
        .collect();
    let more = match pairs.len().saturating_sub(MOST_PAIRS) {
        0 => String::new(),
        more => format!("<p class=\"foot\">{} more pairs</p>", count(more)),
    };
    format!(
        "<div class=\"wide\"><table class=\"pairs\"><caption>Most confused</caption><thead><tr><th>wanted</th><th>given</th><th class=\"n\">rows</th></tr></thead>\
         <tbody>{rows}</tbody></table>{more}</div>"
    )
}

/// Rows by F1, the lowest first: those are looked for.
fn per_label(names: &[String], occurring: &[usize], counts: &[LabelCounts]) -> String {
    let mut order = occurring.to_vec();
    order.sort_by(|a, b| counts[*a].f1().total_cmp(&counts[*b].f1()));
    let percent = |value: f64| format!("{:.1} %", 100.0 * value);
    let rows: String = order
        .iter()
        .map(|label| {
            let it = counts[*label];
            format!(
                "<tr><th scope=\"row\">{}</th><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td></tr>",
                escape(&names[*label]),
                percent(it.precision()),
                percent(it.recall()),
                percent(it.f1()),
                count(it.truth as usize)
            )
        })
        .collect();
    let open = if order.len() <= MOST_OPEN {
        " open"
    } else {
        ""
    };
    format!(
        "<details{open}><summary>Each of {} labels, the lowest F1 first</summary><div class=\"wide\"><table class=\"per-label\"><thead><tr><th>label</th>\
         <th class=\"n\">precision</th><th class=\"n\">recall</th><th class=\"n\">F1</th><th class=\"n\">support</th></tr></thead>\
         <tbody>{rows}</tbody></table></div></details>",
        count(order.len())
    )
}
