//! What the figures are without the items that were learned from.

use super::TaskResult;
use super::markup::escape;
use super::numbers::count;
use super::scores::with_interval;
use crate::metric::Metric;

/// A table of the figures with and without these items; empty where there are none.
pub(super) fn section(task: &TaskResult) -> String {
    let Some(unleaked) = &task.unleaked else {
        return String::new();
    };
    let said = format!(
        "{} of the {} items are among the rows to learn from, so that a score on them says nothing",
        count(unleaked.leaked),
        count(task.tuned.n)
    );
    if unleaked.n == 0 {
        return format!("<h3>Leaked items</h3><p class=\"sub bad\">{said}: all of them</p>");
    }
    let has_base = task.base.is_some();
    let head = match has_base {
        true => {
            "<th class=\"n\">base, others</th><th class=\"n\">tuned, all</th><th class=\"n\">tuned, others</th>"
        }
        false => "<th class=\"n\">all items</th><th class=\"n\">others</th>",
    };
    let rows = task.tuned.metrics.iter().map(|all| {
        let find = |of: &[Metric]| {
            let found = of.iter().find(|metric| metric.name == all.name);
            found.map_or_else(|| "–".into(), with_interval)
        };
        let base = match has_base {
            true => format!(
                "<td class=\"n\" data-name=\"base, others\">{}</td>",
                find(&unleaked.base)
            ),
            false => String::new(),
        };
        format!(
            "<tr><th scope=\"row\">{}</th>{base}<td class=\"n\" data-name=\"all\">{}</td><td class=\"n strong\" data-name=\"others\">{}</td></tr>",
            escape(&all.name.label()),
            with_interval(all),
            find(&unleaked.tuned)
        )
    });
    format!(
        "<h3>Without leaked items</h3><p class=\"sub\">{said}; the other {} tell more. <code>data/leaks.jsonl</code> lists them.</p>\
         <table class=\"stack scores\"><thead><tr><th>metric</th>{head}</tr></thead><tbody>{}</tbody></table>",
        count(unleaked.n),
        rows.collect::<String>()
    )
}
