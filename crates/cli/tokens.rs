//! A row token by token, with the learned ones marked.

use std::io::{self, Write};

use serde::Serialize;
use slm_data::Sample;
use slm_text::ChatTokenizer;

/// One token for people and programs.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct ShownToken {
    pub(crate) id: u32,
    pub(crate) text: String,
    pub(crate) learned: bool,
}

/// The tokens of a row.
pub(crate) fn of(sample: &Sample, tokenizer: &ChatTokenizer) -> Vec<ShownToken> {
    let tokens = sample.ids.iter().zip(&sample.learn);
    tokens
        .map(|(&id, &learned)| ShownToken {
            id,
            text: tokenizer.token(id),
            learned,
        })
        .collect()
}

/// Writes tokens as one text: learned ones in green or, without colours, in brackets; `|` between two of the others.
pub(crate) fn write(tokens: &[ShownToken], colours: bool, out: &mut dyn Write) -> io::Result<()> {
    let mut previous_plain = false;
    for token in tokens {
        let text = visible(&token.text);
        match (token.learned, colours) {
            (true, true) => write!(out, "\u{1b}[1;32m[{text}]\u{1b}[0m")?,
            (true, false) => write!(out, "[{text}]")?,
            (false, true) => write!(out, "{}\u{1b}[2m{text}\u{1b}[0m", bar(previous_plain))?,
            (false, false) => write!(out, "{}{text}", bar(previous_plain))?,
        }
        if token.text.ends_with('\n') {
            writeln!(out)?;
        }
        previous_plain = !token.learned && !token.text.ends_with('\n');
    }
    writeln!(out)
}

fn bar(after_plain: bool) -> &'static str {
    if after_plain { "|" } else { "" }
}

/// Line breaks, tabs and other control characters as what they are called in a string.
pub(crate) fn visible(text: &str) -> String {
    let shown = |c: char| match c {
        '\u{FFFD}' => c.to_string(),
        _ if c.is_control() => c.escape_debug().to_string(),
        _ => c.to_string(),
    };
    text.chars().map(shown).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn learned_tokens_stand_in_brackets() {
        let token = |text: &str, learned| ShownToken {
            id: 0,
            text: text.into(),
            learned,
        };
        let row = [
            token("<s>", false),
            token("Where", false),
            token("?\n", false),
            token("Intent", false),
            token(":", false),
            token(" card", true),
            token("</s>", true),
            token("x", false),
        ];
        let mut out = Vec::new();
        write(&row, false, &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text, "<s>|Where|?\\n\nIntent|:[ card][</s>]x\n");
    }
}
