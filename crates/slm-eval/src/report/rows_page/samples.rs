//! Rows token by token, the learned ones coloured.

use super::super::markup::escape;
use super::super::numbers::count;

/// Tokens of a row that are shown.
const MOST_TOKENS: usize = 800;

/// A row to be shown.
#[derive(Clone, Debug, PartialEq)]
pub struct ShownRow {
    /// What it is called: its number, its answer, its side.
    pub title: String,
    /// Where it came from.
    pub origin: String,
    /// Its tokens.
    pub tokens: Vec<ShownToken>,
}

/// A token as text.
#[derive(Clone, Debug, PartialEq)]
pub struct ShownToken {
    /// What it stands for.
    pub text: String,
    /// Whether it is learned.
    pub learned: bool,
}

pub(super) fn section(rows: &[ShownRow]) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let cards: String = rows.iter().map(card).collect();
    format!(
        "<section class=\"samples\"><h2>Rows as the model sees them</h2>\n\
         <p class=\"sub\">token by token · <span class=\"tokens\"><b>learned</b></span> · <span class=\"tokens\"><i>given</i></span></p>{cards}</section>\n"
    )
}

fn card(row: &ShownRow) -> String {
    let learned = row.tokens.iter().filter(|token| token.learned).count();
    let tokens: String = row.tokens.iter().take(MOST_TOKENS).map(shown).collect();
    let more = match row.tokens.len().saturating_sub(MOST_TOKENS) {
        0 => String::new(),
        more => format!("<em class=\"more\"> … {} more tokens</em>", count(more)),
    };
    format!(
        "<article><p class=\"what\"><span>{} <small>{} tokens, {} learned</small></span><span>{}</span></p>\
         <div class=\"tokens\"><bdi>{tokens}{more}</bdi></div></article>",
        escape(&row.title),
        count(row.tokens.len()),
        count(learned),
        escape(&row.origin)
    )
}

/// A token; a line break is drawn and done.
fn shown(token: &ShownToken) -> String {
    let element = if token.learned { 'b' } else { 'i' };
    let text = escape(&token.text).replace('\n', "⏎\n");
    format!("<{element}>{text}</{element}>")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn learned_tokens_are_told_apart_and_nothing_is_markup() {
        let token = |text: &str, learned| ShownToken {
            text: text.into(),
            learned,
        };
        let row = ShownRow {
            title: "row 1".into(),
            origin: "a:1".into(),
            tokens: vec![token("<b>", false), token("\n", false), token(" yes", true)],
        };
        let shown = section(&[row]);
        assert!(
            shown.contains("<i>&lt;b&gt;</i><i>⏎\n</i><b> yes</b>"),
            "{shown}"
        );
        assert!(shown.contains("3 tokens, 1 learned"));
    }
}
