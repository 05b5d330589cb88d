//! `report.html`: one page with everything about a run, in one file that loads nothing from anywhere.

mod chart;
mod curves;
mod digests;
mod files;
mod labels;
mod leaked;
mod markup;
mod numbers;
mod reliability;
mod rows_page;
mod samples;
mod scores;
mod slices;
mod worst;

pub use curves::{Curves, EvalPoint, StepPoint};
pub use digests::Digest;
pub use files::ShippedFile;
pub use rows_page::{RowsPage, ShownRow, ShownToken, rows_html};

use crate::comparison::Comparison;
use crate::task_report::TaskReport;
use crate::unleaked::Unleaked;
use markup::escape;
use numbers::count;

const STYLE: &str = include_str!("report/style.css");

/// Everything that the page shows.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// Name of the run.
    pub name: String,
    /// Version of slm-tune.
    pub tool_version: String,
    /// When the run ended, as text.
    pub created: String,
    /// Short facts, by name: base, method, parameters, device, duration.
    pub facts: Vec<(String, String)>,
    /// What the user should look at.
    pub warnings: Vec<String>,
    /// The sides of the data.
    pub data: Vec<DataSide>,
    /// The course of training.
    pub curves: Curves,
    /// The tasks, in the order of the recipe.
    pub tasks: Vec<TaskResult>,
    /// What was exported.
    pub files: Vec<ShippedFile>,
    /// The resolved recipe.
    pub recipe: String,
    /// Digests of what went in and what came out.
    pub digests: Vec<Digest>,
}

/// Counts of one side of the data.
#[derive(Clone, Debug, Default)]
pub struct DataSide {
    /// `training` or `held out`.
    pub name: String,
    /// Rows read.
    pub read: usize,
    /// Rows left out, by reason.
    pub dropped: Vec<(String, usize)>,
    /// Rows that were cut and kept.
    pub truncated: usize,
    /// Rows used.
    pub rows: usize,
    /// Their tokens.
    pub tokens: usize,
    /// Tokens that are learned from, or scored.
    pub learned_tokens: usize,
}

/// One task, of the tuned model and, where it was measured, of the base.
#[derive(Clone, Debug)]
pub struct TaskResult {
    /// The tuned model's answers.
    pub tuned: TaskReport,
    /// The base's answers to the same items.
    pub base: Option<TaskReport>,
    /// The two compared; empty without a base.
    pub comparisons: Vec<Comparison>,
    /// The figures without the items that are among the rows to learn from, where there are some.
    pub unleaked: Option<Unleaked>,
}

/// The page as HTML.
///
/// Styles and drawings are inline, there is no script, and a content security policy forbids loading anything. All text of the run (prompts, answers,
/// names, the recipe) is escaped.
pub fn html(page: &Page) -> String {
    let sections = [
        headline(page),
        warnings(&page.warnings),
        scores::sections(&page.tasks),
        files::section(&page.files),
        curves::section(&page.curves),
        data(&page.data),
        samples::section(&page.tasks),
        recipe(&page.recipe),
        digests::section(&page.digests),
    ];
    let footer = format!(
        "slm-tune {} · {}",
        escape(&page.tool_version),
        escape(&page.created)
    );
    document(&page.name, &sections.concat(), &footer)
}

/// A page around what is in it; `main` and `footer` are markup.
fn document(title: &str, main: &str, footer: &str) -> String {
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <title>{} · slm-tune</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n{main}\
         <footer>{footer}</footer>\n</main>\n</body>\n</html>\n",
        escape(title),
    )
}

fn headline(page: &Page) -> String {
    let facts: String = page
        .facts
        .iter()
        .map(|(name, value)| {
            format!(
                "<div><dt>{}</dt><dd>{}</dd></div>",
                escape(name),
                escape(value)
            )
        })
        .collect();
    format!(
        "<header>\n<p class=\"kicker\">run</p>\n<h1>{}</h1>\n{}<dl class=\"facts\">{facts}</dl>\n</header>\n",
        escape(&page.name),
        scores::tiles(&page.tasks),
    )
}

fn warnings(warnings: &[String]) -> String {
    if warnings.is_empty() {
        return String::new();
    }
    let items: String = warnings
        .iter()
        .map(|warning| format!("<li>{}</li>", escape(warning)))
        .collect();
    format!("<section class=\"warnings\"><h2>Look at this</h2><ul>{items}</ul></section>\n")
}

fn data(sides: &[DataSide]) -> String {
    if sides.is_empty() {
        return String::new();
    }
    let rows: String = sides.iter().map(data_row).collect();
    format!(
        "<section><h2>Data</h2>\n<table class=\"stack\"><thead><tr><th>rows</th><th class=\"n\">read</th><th class=\"n\">dropped</th>\
         <th class=\"n\">cut</th><th class=\"n\">used</th><th class=\"n\">tokens</th><th class=\"n\">learned or scored</th></tr></thead>\
         <tbody>{rows}</tbody></table>\n</section>\n"
    )
}

fn data_row(side: &DataSide) -> String {
    let total: usize = side.dropped.iter().map(|(_, rows)| rows).sum();
    let reasons: Vec<String> = side
        .dropped
        .iter()
        .filter(|(_, rows)| *rows > 0)
        .map(|(reason, rows)| format!("{} {}", count(*rows), escape(reason)))
        .collect();
    let mut dropped = count(total);
    if !reasons.is_empty() {
        dropped += &format!(" <small>{}</small>", reasons.join(", "));
    }
    let cells = [
        ("read", count(side.read)),
        ("dropped", dropped),
        ("cut", count(side.truncated)),
        ("used", count(side.rows)),
        ("tokens", count(side.tokens)),
        ("learned or scored", count(side.learned_tokens)),
    ];
    let cells: String = cells
        .iter()
        .map(|(name, value)| format!("<td class=\"n\" data-name=\"{name}\">{value}</td>"))
        .collect();
    format!(
        "<tr><th scope=\"row\">{}</th>{cells}</tr>",
        escape(&side.name)
    )
}

fn recipe(recipe: &str) -> String {
    if recipe.is_empty() {
        return String::new();
    }
    format!(
        "<section><h2>Recipe</h2>\n<details><summary>Every value in force</summary><pre>{}</pre></details>\n</section>\n",
        escape(recipe)
    )
}
