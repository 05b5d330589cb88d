//! Rows that belong together: what stayed and what went, and what contradicts.

use slm_data::{GroupedRow, Groups, RowGroup};

use super::super::markup::{escape, excerpt};
use super::super::numbers::count;

/// Characters of a text.
const MOST_CHARACTERS: usize = 400;

pub(super) fn duplicates(groups: &Groups) -> String {
    let cards = groups.duplicates.iter().map(|group| {
        let told = |at: usize, row: &GroupedRow| match at {
            0 => "stays".into(),
            _ if row.similarity >= 1.0 => "left out, equal".into(),
            _ => format!("left out, {:.0} % alike", 100.0 * row.similarity),
        };
        card(group, told)
    });
    section(
        "Duplicates",
        "groups of rows that say the same, or nearly",
        cards.collect(),
        groups.n_duplicates,
    )
}

pub(super) fn conflicts(groups: &Groups) -> String {
    let cards = groups.conflicts.iter().map(|group| {
        let told = |_: usize, row: &GroupedRow| match &row.text {
            Some(text) => format!("answers “{}”", excerpt(text.answer.trim(), 80)),
            None => String::new(),
        };
        card(group, told)
    });
    section(
        "Contradictions",
        "groups of rows that answer the same prompt in different ways",
        cards.collect(),
        groups.n_conflicts,
    )
}

fn section(title: &str, what: &str, cards: Vec<String>, all: usize) -> String {
    if cards.is_empty() {
        return String::new();
    }
    let shown = match all > cards.len() {
        true => format!(", the largest {} of them here", count(cards.len())),
        false => String::new(),
    };
    format!(
        "<section class=\"samples\"><h2>{title}</h2>\n<p class=\"sub\">{} {what}{shown}</p>{}</section>\n",
        count(all),
        cards.concat()
    )
}

/// `told`: what is said of each row, as markup.
fn card(group: &RowGroup, told: impl Fn(usize, &GroupedRow) -> String) -> String {
    let rows = group.members.iter().enumerate().map(|(at, row)| {
        let text = match &row.text {
            Some(text) => excerpt(text.prompt.trim(), MOST_CHARACTERS),
            None => "<em class=\"more\">its file is not what it was</em>".into(),
        };
        let answer = match &row.text {
            Some(text) if !text.answer.trim().is_empty() && text.answer != text.prompt => {
                format!(" <b>{}</b>", excerpt(text.answer.trim(), MOST_CHARACTERS))
            }
            _ => String::new(),
        };
        format!(
            "<tr><td class=\"asked\"><bdi>{text}{answer}</bdi></td><td><small>{}</small><small>{}</small></td></tr>",
            told(at, row),
            escape(&row.origin)
        )
    });
    let rows: String = rows.collect();
    let more = match group.rows.saturating_sub(group.members.len()) {
        0 => String::new(),
        more => format!("<p class=\"foot\">and {} more</p>", count(more)),
    };
    format!(
        "<article><p class=\"what\"><span>{} rows</span></p><table class=\"group\"><tbody>{rows}</tbody></table>{more}</article>",
        count(group.rows)
    )
}
