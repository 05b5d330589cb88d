//! `data.html`: what a model is to learn from, in one file that loads nothing from anywhere.

mod bars;
mod groups;
mod samples;

use slm_data::{DataCard, Groups, Leak, LeakKind, Share, Side, SideStats};

use self::bars::{Bar, bars, histogram};
pub use self::samples::{ShownRow, ShownToken};
use super::markup::{escape, excerpt};
use super::numbers::{count, size};
use super::{data, document};
use crate::report::DataSide;

/// Labels that have a bar; the rest is only counted.
const MOST_LABELS: usize = 30;
/// Leaks that are listed.
const MOST_LEAKS: usize = 20;
/// Characters of a label.
const LABEL_CHARACTERS: usize = 60;

/// Everything that the page shows.
#[derive(Clone, Debug)]
pub struct RowsPage {
    /// Files, splits, lengths, labels, cleaning and what is stated of them.
    pub card: DataCard,
    /// The sides, as a run's report has them.
    pub sides: Vec<DataSide>,
    /// How often the rows of each training file come up.
    pub shares: Vec<Share>,
    /// Duplicates and contradictions.
    pub groups: Groups,
    /// Rows of tasks among those to learn from.
    pub leaks: Vec<Leak>,
    /// Some rows, token by token.
    pub samples: Vec<ShownRow>,
}

/// The page as HTML, as safe as the report of a run: all text of rows is escaped, and nothing is loaded.
pub fn rows_html(page: &RowsPage) -> String {
    let card = &page.card;
    let sections = [
        headline(card),
        data(&page.sides),
        lengths(card),
        labels(card),
        sources(page),
        cleaning(card),
        personal(card),
        leaks(page),
        groups::duplicates(&page.groups),
        groups::conflicts(&page.groups),
        samples::section(&page.samples),
    ];
    let footer = format!("slm-tune {}", escape(&card.tool_version));
    let title = format!("{} · rows", card.name);
    document(&title, &sections.concat(), &footer)
}

fn headline(card: &DataCard) -> String {
    let manifest = &card.manifest;
    let tile = |name: &str, big: String, below: String| {
        format!(
            "<div class=\"tile\"><p>{name}</p><p class=\"big\"><b>{big}</b></p><p>{below}</p></div>"
        )
    };
    let (train, held_out) = (&manifest.train, &manifest.validation);
    let percent = |part: usize, of: usize| 100.0 * part as f64 / of.max(1) as f64;
    let share = percent(train.learned_tokens, train.tokens);
    let cleaned = manifest.cleaned_out();
    let held_out_of = match manifest.test.rows {
        0 => "rows".into(),
        test => format!("rows, and {} of the test", count(test)),
    };
    let tiles = [
        tile("to learn from", count(train.rows), "rows".into()),
        tile("held out", count(held_out.rows), held_out_of),
        tile(
            "tokens to learn from",
            count(train.tokens),
            format!("{share:.1} % learned"),
        ),
        tile(
            "left out",
            count(cleaned),
            "rows, by cleaning and leaks".into(),
        ),
    ];
    format!(
        "<header>\n<p class=\"kicker\">rows</p>\n<h1>{}</h1>\n<div class=\"tiles\">{}</div>\n</header>\n",
        escape(&card.name),
        tiles.concat()
    )
}

fn lengths(card: &DataCard) -> String {
    let chart = |name: &str, class: &str, side: &SideStats| match &side.lengths {
        None => String::new(),
        Some(it) => {
            let title = format!("{name}: {} to {} tokens, median {}", it.min, it.max, it.p50);
            histogram(&title, class, &side.histogram)
        }
    };
    let train = chart("to learn from", "train", &card.stats.train);
    let held_out = chart("held out", "eval", &card.stats.validation);
    let test = card.stats.test.as_ref();
    let test = test.map_or_else(String::new, |side| chart("test", "eval", side));
    let most = count(card.manifest.max_length);
    format!(
        "<section><h2>Lengths</h2>\n<p class=\"sub\">rows by tokens · a row may have {most}</p>\n\
         <div class=\"pair\">{train}{held_out}{test}</div></section>\n"
    )
}

fn labels(card: &DataCard) -> String {
    let (stats, rows) = (&card.stats, card.stats.train.rows);
    let distinct = count(stats.distinct_targets);
    if stats.targets.is_empty() || stats.distinct_targets == rows {
        return format!(
            "<section><h2>Answers</h2>\n<p>{distinct} different ones in {} rows to learn from: no labels.</p></section>\n",
            count(rows)
        );
    }
    let mut targets: Vec<_> = stats.targets.iter().collect();
    targets.sort_by_key(|(_, rows)| std::cmp::Reverse(**rows));
    let bar = |(label, rows): &(&String, &usize)| Bar {
        name: excerpt(label.trim(), LABEL_CHARACTERS),
        value: **rows,
        note: String::new(),
    };
    let shown: Vec<Bar> = targets.iter().take(MOST_LABELS).map(bar).collect();
    let rest = match targets.len().saturating_sub(MOST_LABELS) {
        0 => String::new(),
        rest => format!("<p class=\"foot\">and {} more</p>", count(rest)),
    };
    format!(
        "<section><h2>Answers</h2>\n<p class=\"sub\">{distinct} different ones in the rows to learn from</p>\n{}{rest}</section>\n",
        bars("answer", "rows", &shown)
    )
}

fn sources(page: &RowsPage) -> String {
    let mut shares = page.shares.iter();
    let rows = page.card.manifest.sources.iter().map(|source| {
        let share = match source.given_as {
            Side::Train => shares.next(),
            Side::Validation | Side::Test => None,
        };
        let bytes = size(source.size_bytes);
        let note = match share.filter(|share| share.weight != 1.0) {
            Some(share) => format!(
                "{bytes} · weight {}: {} an epoch",
                share.weight,
                count(share.per_epoch())
            ),
            None => bytes,
        };
        Bar {
            name: escape(&source.path),
            value: source.rows,
            note,
        }
    });
    let rows: Vec<Bar> = rows.collect();
    format!(
        "<section><h2>Files</h2>\n{}</section>\n",
        bars("file", "rows", &rows)
    )
}

fn cleaning(card: &DataCard) -> String {
    let rows: String = card
        .manifest
        .cleaning
        .iter()
        .map(|it| {
            let cells = [it.changed, it.left_out, it.listed];
            line(it.step.name(), &cells)
        })
        .collect();
    if rows.is_empty() {
        return String::new();
    }
    format!(
        "<section><h2>Cleaning</h2>\n<p class=\"sub\">rows that each step changed, left out or listed; <code>cleaning.jsonl</code> has every one</p>\n{}</section>\n",
        table(&["step", "changed", "left out", "listed"], &rows)
    )
}

fn personal(card: &DataCard) -> String {
    let rows = card.personal.iter();
    let rows: String = rows
        .map(|(kind, it)| line(kind.name(), &[it.rows, it.places]))
        .collect();
    match rows.is_empty() {
        true => rows,
        false => format!(
            "<section><h2>Personal data</h2>\n{}</section>\n",
            table(&["kind", "rows", "places"], &rows)
        ),
    }
}

fn leaks(page: &RowsPage) -> String {
    if page.leaks.is_empty() {
        return String::new();
    }
    let row = |leak: &Leak| {
        let how = match (leak.kind, &leak.passage) {
            (LeakKind::Exact, _) => "equal".into(),
            (LeakKind::Near, _) => format!("{:.0} % alike", 100.0 * leak.similarity.unwrap_or(0.0)),
            (LeakKind::Passage, Some(passage)) => format!("“{}”", escape(passage)),
            (LeakKind::Passage, None) => "13 words in a row".into(),
        };
        format!(
            "<tr><td data-name=\"row\">{}</td><td data-name=\"task\">{}</td><td data-name=\"its row\">{}</td><td data-name=\"how\">{how}</td></tr>",
            escape(&leak.origin),
            escape(&leak.task),
            escape(&leak.item)
        )
    };
    let rows: String = page.leaks.iter().take(MOST_LEAKS).map(row).collect();
    let found: usize = page.card.manifest.leaks.iter().map(|it| it.leaked).sum();
    format!(
        "<section><h2>Rows of tasks among those to learn from</h2>\n<p class=\"sub\">{} rows of tasks; <code>leaks.jsonl</code> has every one</p>\n\
         <table class=\"stack leaks\"><thead><tr><th>row</th><th>task</th><th>its row</th><th>how</th></tr></thead><tbody>{rows}</tbody></table></section>\n",
        count(found)
    )
}

/// A table of counts.
fn table(header: &[&str], rows: &str) -> String {
    let heads: String = header
        .iter()
        .enumerate()
        .map(|(at, name)| match at {
            0 => format!("<th>{name}</th>"),
            _ => format!("<th class=\"n\">{name}</th>"),
        })
        .collect();
    format!(
        "<table class=\"counts\"><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>\n"
    )
}

fn line(name: &str, cells: &[usize]) -> String {
    let cells: String = cells
        .iter()
        .map(|n| format!("<td class=\"n\">{}</td>", count(*n)))
        .collect();
    format!("<tr><th scope=\"row\">{}</th>{cells}</tr>", escape(name))
}
